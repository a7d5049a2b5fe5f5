"""``/miners/{id}/payments``: rewards and payouts as one list, newest first, cut from two tables."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from apikeys.models import Role
from entities.models import Accrual, Payout
from entities.payments import PAYOUT, REWARD, list_payments
from tests.entities.test_miners import earn, pay
from tests.factories import HubFactory, MinerFactory, WalletFactory

TERAHASH = 10**12


def at(day, hour=0, **parts):
    return datetime(2026, 11, day, hour, **parts, tzinfo=UTC)


@pytest.fixture
def week(miner):
    """Seven days of rewards and a payout on every third, at six in the morning."""
    for day in range(1, 8):
        earn(miner, "0.01", day=date(2026, 11, day), hashrate=day * TERAHASH)
    for day in (3, 6):
        pay(miner, "0.02", paid_at=at(day, 6), transaction=f"tx-{day}")
    return miner


def listed(answer):
    return [(row["type"], row["created_at"][:10]) for row in answer["data"]]


WHOLE_WEEK = [
    ("reward", "2026-11-07"), ("payout", "2026-11-06"), ("reward", "2026-11-06"), ("reward", "2026-11-05"),
    ("reward", "2026-11-04"), ("payout", "2026-11-03"), ("reward", "2026-11-03"), ("reward", "2026-11-02"),
    ("reward", "2026-11-01"),
]  # fmt: skip


def test_a_reward_shows_its_day_and_the_hashrate_that_earned_it(read, miner):
    reward = earn(miner, "0.00000001", day=date(2026, 11, 21), hashrate=201 * TERAHASH)
    assert read(f"miners/{miner.pk}/payments")["data"] == [
        {
            "id": str(reward.pk),
            "type": "reward",
            "amount": "0.00000001",
            "currency": "BTC",
            "created_at": "2026-11-21T00:00:00Z",
            "metadata": {"hashrate": 201 * TERAHASH},
            "address": None,
            "transaction": None,
            "wallet": None,
        }
    ]


def test_a_payout_shows_where_it_went(read, miner):
    payout = pay(miner, "12", paid_at=at(21, 6), transaction="tx-1")
    assert read(f"miners/{miner.pk}/payments")["data"] == [
        {
            "id": str(payout.pk),
            "type": "payout",
            "amount": "12.00000000",
            "currency": "BTC",
            "created_at": "2026-11-21T06:00:00Z",
            "metadata": {"hashrate": None},
            "address": "BTC-address",
            "transaction": "tx-1",
            "wallet": str(payout.wallet_id),
        }
    ]


def test_a_payout_keeps_the_address_that_it_went_to(read, miner):
    payout = pay(miner, "1")
    payout.wallet.address = "elsewhere"
    payout.wallet.save()
    assert read(f"miners/{miner.pk}/payments")["data"][0]["address"] == "BTC-address"


def test_both_kinds_are_listed_newest_first(read, week):
    assert listed(read(f"miners/{week.pk}/payments")) == WHOLE_WEEK


@pytest.mark.parametrize("limit", range(1, 10))
def test_pages_of_any_size_add_up_to_the_whole(read, week, limit):
    url = f"miners/{week.pk}/payments?limit={limit}"
    pages = [read(url)]
    while cursor := pages[-1]["page"]["next"]:
        pages.append(read(f"{url}&cursor={cursor}"))
    assert [len(page["data"]) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    assert [row for page in pages for row in listed(page)] == WHOLE_WEEK


def test_what_happens_between_two_pages_shifts_nothing(read, week):
    url = f"miners/{week.pk}/payments?limit=3"
    first = read(url)
    pay(week, "1", paid_at=at(8), transaction="tx-8")
    earn(week, "1", day=date(2026, 11, 8))
    Accrual.objects.filter(entity=week, day=date(2026, 11, 6)).delete()  # the very row of the cursor
    second = read(f"{url}&cursor={first['page']['next']}")
    assert listed(first) + listed(second) == WHOLE_WEEK[:6]


def test_what_falls_on_one_moment_comes_once_whatever_the_page(read, miner):
    """At midnight sharp a day's rewards and payouts have one and the same moment."""
    for number in range(5):
        earn(miner, "1", coin=f"C{number}", day=date(2026, 11, 5))
        pay(miner, "1", paid_at=at(5), transaction=f"tx-{number}")
    url = f"miners/{miner.pk}/payments"
    whole = [row["id"] for row in read(url)["data"]]
    assert len(set(whole)) == 10
    for limit in (1, 2, 3, 7):
        ids, cursor = [], ""
        while cursor is not None:
            page = read(f"{url}?limit={limit}{cursor and '&cursor='}{cursor}")
            ids += [row["id"] for row in page["data"]]
            cursor = page["page"]["next"]
        assert ids == whole


def test_the_list_is_narrowed_by_type_days_and_currency(read, week):
    earn(week, "1", coin="LTC", day=date(2026, 11, 4))
    url = f"miners/{week.pk}/payments"
    assert listed(read(f"{url}?type=payout")) == [row for row in WHOLE_WEEK if row[0] == "payout"]
    rewards = [row for row in listed(read(f"{url}?type=reward&currency=BTC")) if row[0] == "reward"]
    assert rewards == [row for row in WHOLE_WEEK if row[0] == "reward"]
    assert listed(read(f"{url}?currency=LTC")) == [("reward", "2026-11-04")]
    assert listed(read(f"{url}?since=2026-11-03&until=2026-11-06&currency=BTC")) == WHOLE_WEEK[1:7]
    assert listed(read(f"{url}?until=2026-11-03&type=payout")) == [("payout", "2026-11-03")]
    assert listed(read(f"{url}?since=2026-11-07")) == WHOLE_WEEK[:1]


@pytest.mark.parametrize("query", ["since=0001-01-01", "until=9999-12-31", "since=9999-12-31", "until=0001-01-01"])
def test_the_first_and_the_last_day_of_time_are_days_too(read, week, query):
    assert listed(read(f"miners/{week.pk}/payments?{query}")) in (WHOLE_WEEK, [])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("type=gift", "type"),
        ("since=yesterday", "since"),
        ("until=2026-13-01", "until"),
        ("currency=" + "B" * 9, "currency"),
        ("coin=BTC", "coin"),
        ("ordering=created_at", "ordering"),
        ("cursor=rubbish", "cursor"),
        ("limit=501", "limit"),
    ],
)
def test_wrong_parameters_are_named(read, miner, query, field):
    assert field in read(f"miners/{miner.pk}/payments?{query}", status=400)["errors"]


def test_a_cursor_holds_for_its_list_alone(read, week, account):
    cursor = read(f"miners/{week.pk}/payments?limit=2")["page"]["next"]
    other = MinerFactory(account=account)
    for path in (f"miners/{week.pk}/payments?type=payout&", f"miners/{other.pk}/payments?"):
        assert "cursor" in read(f"{path}cursor={cursor}", status=400)["errors"]


def test_an_accountant_sees_no_hashrate(issue_key, api, week):
    _, secret = issue_key("accountant")
    rows = api(secret).get(f"/api/v1/miners/{week.pk}/payments").json()["data"]
    assert len(rows) == 9
    assert {row["metadata"]["hashrate"] for row in rows} == {None}


def test_a_hubs_rewards_are_its_commissions(read, account):
    hub, client = HubFactory(account=account), MinerFactory()
    earn(hub, "0.5", day=date(2026, 11, 2), client=client, hashrate=TERAHASH)
    pay(hub, "0.25", paid_at=at(3))
    assert listed(read(f"hubs/{hub.pk}/payments")) == [("payout", "2026-11-03"), ("reward", "2026-11-02")]


@pytest.fixture
def payouts_alone(issue_key, api, account, week):
    """A client whose key may read payouts and no accruals."""
    role = Role.objects.create(account=account, name="Payouts", permissions=["entities:read", "payouts:read"])
    key, secret = issue_key("accountant")
    key.access_level, key.role = "custom", role
    key.save()
    return api(secret)


def test_a_key_without_accruals_sees_payouts_alone(payouts_alone, week):
    answer = payouts_alone.get(f"/api/v1/miners/{week.pk}/payments").json()
    assert listed(answer) == [("payout", "2026-11-06"), ("payout", "2026-11-03")]
    assert listed(payouts_alone.get(f"/api/v1/miners/{week.pk}/payments?type=payout").json()) == listed(answer)


def test_asking_for_rewards_without_accruals_names_what_is_missing(payouts_alone, week):
    answer = payouts_alone.get(f"/api/v1/miners/{week.pk}/payments?type=reward")
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
    assert "accruals:read" in answer.json()["detail"]


class TestPages(TestCase):
    """However rewards and payouts fall, pages are the sorted whole in pieces."""

    moments = st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0, 0, 1, 23])), max_size=8)

    @settings(deadline=None, max_examples=50)
    @given(moments, st.lists(st.integers(0, 3), max_size=6), st.integers(1, 5))
    def test_pages_are_the_sorted_whole_in_pieces(self, paid, earned, limit):
        miner = MinerFactory()
        wallet = WalletFactory(entity=miner)
        first = date(2026, 11, 1)
        for number, day in enumerate(earned):
            earn(miner, "1", coin=f"C{number}", day=first + timedelta(days=day))
        for number, (day, hour) in enumerate(paid):
            Payout.objects.create(
                entity=miner,
                wallet=wallet,
                coin="BTC",
                amount=Decimal(1),
                paid_at=datetime.combine(first + timedelta(days=day), time(hour), UTC),
                transaction=f"tx-{number}",
            )
        whole: list[tuple[datetime, UUID]] = [
            (datetime.combine(row.day, time.min, UTC), row.pk) for row in Accrual.objects.filter(entity=miner)
        ]
        whole += [(row.paid_at, row.pk) for row in Payout.objects.filter(entity=miner)]
        whole.sort(reverse=True)
        pages, after = [], None
        while page := list_payments(miner, limit=limit, after=after):
            assert {row.type for row in page} <= {REWARD, PAYOUT}
            pages += [row.position for row in page]
            after = page[-1].position
        assert pages == whole
