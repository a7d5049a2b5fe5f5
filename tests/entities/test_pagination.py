"""Pages of lists: stable while rows come and go, and nothing is guessed."""

from datetime import date, timedelta
from urllib.parse import quote

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from entities.models import HashrateSample, Miner
from tests.entities.conftest import MOUNT
from tests.entities.test_miners import earn, pay
from tests.factories import HubClientFactory, HubFactory, MinerFactory, WorkerFactory


def pages(read, path, limit=2):
    """Every page of a list, followed to its end."""
    joint = "&" if "?" in path else "?"
    page = read(f"{path}{joint}limit={limit}")
    yield page["data"]
    while page["page"]["next"] is not None:
        page = read(f"{path}{joint}limit={limit}&cursor={page['page']['next']}")
        yield page["data"]


def test_a_list_is_walked_by_its_cursor_in_order_of_creation(read, account):
    miners = MinerFactory.create_batch(5, account=account)
    walked = [[row["id"] for row in page] for page in pages(read, "miners")]
    ids = [str(miner.pk) for miner in miners]
    assert walked == [ids[:2], ids[2:4], ids[4:]]


def test_a_full_last_page_has_no_next(read, account):
    MinerFactory.create_batch(4, account=account)
    assert [len(page) for page in pages(read, "miners")] == [2, 2]


def test_a_page_holds_fifty_unless_told(read, account):
    MinerFactory.create_batch(51, account=account)
    page = read("miners")
    assert (len(page["data"]), page["page"]["limit"]) == (50, 50)
    assert len(read("miners?limit=51")["data"]) == 51
    assert read("miners?limit=500")["page"] == {"limit": 500, "next": None}


def test_rows_that_come_while_a_list_is_walked_repeat_and_hide_nothing(read, account):
    miners = MinerFactory.create_batch(4, account=account)
    seen = []
    for page in pages(read, "miners", limit=1):
        seen += [row["id"] for row in page]
        if len(seen) == 2:
            miners.append(MinerFactory(account=account))
    assert seen == [str(miner.pk) for miner in miners]


def test_the_row_of_a_cursor_may_go_and_the_walk_goes_on(read, account):
    miners = MinerFactory.create_batch(3, account=account)
    cursor = read("miners?limit=1")["page"]["next"]
    Miner.objects.filter(pk=miners[0].pk).delete()
    assert [row["id"] for row in read(f"miners?cursor={cursor}")["data"]] == [str(m.pk) for m in miners[1:]]


def test_new_rows_of_a_time_series_do_not_shift_its_older_pages(read, account):
    miner = MinerFactory(account=account)
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    for age in (3, 2, 1):
        HashrateSample.objects.create(miner=miner, at=hour - timedelta(hours=age), hashrate=age)
    first = read(f"miners/{miner.pk}/hashrate?limit=2")
    HashrateSample.objects.create(miner=miner, at=hour, hashrate=0)
    second = read(f"miners/{miner.pk}/hashrate?limit=2&cursor={first['page']['next']}")
    assert [row["hashrate"] for row in first["data"] + second["data"]] == [1, 2, 3]


def test_accruals_of_one_day_are_walked_without_loss(read, account):
    hub = HubFactory(account=account)
    for day in (1, 2):
        for _ in range(4):
            earn(hub, "1", day=date(2026, 11, day), client=MinerFactory())
    rows = [row for page in pages(read, f"hubs/{hub.pk}/accruals", limit=3) for row in page]
    assert [row["day"] for row in rows] == ["2026-11-02"] * 4 + ["2026-11-01"] * 4
    assert len({(row["day"], row["client"]) for row in rows}) == 8


def test_payments_of_one_moment_are_walked_without_loss(read, account):
    miner, moment = MinerFactory(account=account), timezone.now()
    ids = {str(pay(miner, "1", paid_at=moment, transaction=f"tx-{n}").pk) for n in range(5)}
    walked = [row["id"] for page in pages(read, f"miners/{miner.pk}/payments") for row in page]
    assert (len(walked), set(walked)) == (5, ids)


def test_clients_that_joined_at_one_moment_are_walked_without_loss(read, account):
    hub, moment = HubFactory(account=account), timezone.now()
    ids = {str(HubClientFactory(hub=hub, joined_at=moment).miner_id) for _ in range(5)}
    walked = [row["miner"]["id"] for page in pages(read, f"hubs/{hub.pk}/clients") for row in page]
    assert (len(walked), set(walked)) == (5, ids)


def test_a_filter_holds_over_all_pages(read, account):
    miner = MinerFactory(account=account)
    online = WorkerFactory.create_batch(3, miner=miner)
    WorkerFactory(miner=miner, last_share_at=None)
    walked = [row["id"] for page in pages(read, f"miners/{miner.pk}/workers?status=online") for row in page]
    assert walked == [str(worker.pk) for worker in online]


# Nothing is guessed


@pytest.mark.parametrize("limit", ["0", "-1", "501", "99999999999999999999", "ten", "1.0", " 5", "05", "٥", "", "1e2"])
def test_an_absurd_limit_is_refused(read, limit):
    problem = read(f"miners?limit={quote(limit)}", status=400)
    assert problem["code"] == "invalid_request"
    assert list(problem["errors"]) == ["limit"]


@pytest.mark.parametrize("cursor", ["", "rubbish", "WyIwIl0.AAAA", "....", "é", "💥", "null", "' OR 1=1 --"])
def test_a_made_up_cursor_is_refused(read, cursor):
    problem = read(f"miners?cursor={quote(cursor)}", status=400)
    assert list(problem["errors"]) == ["cursor"]


def test_a_cursor_is_refused_when_a_character_was_changed(read, account):
    MinerFactory.create_batch(2, account=account)
    cursor = read("miners?limit=1")["page"]["next"]
    read(f"miners?cursor={'X' if cursor[0] != 'X' else 'Y'}{cursor[1:]}", status=400)


def test_a_cursor_of_another_list_is_refused(read, account):
    first, second = MinerFactory.create_batch(2, account=account)
    WorkerFactory.create_batch(2, miner=first)
    HubFactory.create_batch(2, account=account)
    paths = ["miners", "hubs", f"miners/{first.pk}/workers"]
    cursors = {path: read(f"{path}?limit=1")["page"]["next"] for path in paths}
    for taken_from, cursor in cursors.items():
        for path in [*paths, f"miners/{second.pk}/workers"]:
            read(f"{path}?cursor={cursor}", status=200 if path == taken_from else 400)


def test_a_cursor_of_the_same_list_otherwise_filtered_is_refused(read, account):
    miner = MinerFactory(account=account)
    WorkerFactory.create_batch(2, miner=miner)
    cursor = read(f"miners/{miner.pk}/workers?limit=1")["page"]["next"]
    read(f"miners/{miner.pk}/workers?status=online&cursor={cursor}", status=400)


def test_a_cursor_of_another_environment_is_refused(read, issue_key, api, account):
    MinerFactory.create_batch(2, account=account)
    cursor = read("miners?limit=1")["page"]["next"]
    _, secret = issue_key("viewer", ["*:*"], environment="staging")
    assert api(secret).get(f"/staging{MOUNT}miners?cursor={cursor}").status_code == 400


def test_a_cursor_that_a_wider_key_got_opens_nothing_to_a_narrower_one(read, issue_key, api, account):
    *_, third = MinerFactory.create_batch(3, account=account)
    cursor = read("miners?limit=1")["page"]["next"]
    _, secret = issue_key("viewer", [f"*:miners/{third.pk}"])
    answer = api(secret).get(f"{MOUNT}miners?cursor={cursor}")
    assert [row["id"] for row in answer.json()["data"]] == [str(third.pk)]


@pytest.mark.parametrize("path", ["miners", "miners/{}", "miners/{}/stats", "miners/{}/balance", "miners/charts"])
def test_an_unknown_parameter_is_refused(read, account, path):
    miner = MinerFactory(account=account)
    problem = read(f"{path.format(miner.pk)}?offset=3", status=400)
    assert (problem["code"], list(problem["errors"])) == ("invalid_request", ["offset"])


@pytest.mark.parametrize("query", ["limit=1&limit=2", "limit=1%00", "cursor=%00", "%00=1", "limit=%ff"])
def test_twofold_and_unreadable_parameters_are_refused(read, query):
    assert read(f"miners?{query}", status=400)["errors"]


def test_more_parameters_than_are_read_are_refused_with_a_problem(read):
    assert read("miners?" + "a=1&" * 1100, status=400)["code"] == "invalid_request"


JUNK = st.one_of(
    st.binary(max_size=60).map(quote),
    st.lists(
        st.tuples(
            st.sampled_from(["limit", "cursor", "status", "period", "id", "", "\0", "fields"]),
            st.one_of(st.text(max_size=30), st.integers().map(str), st.uuids().map(str)),
        ),
        max_size=5,
    ).map(lambda pairs: "&".join(f"{quote(name)}={quote(value, errors='replace')}" for name, value in pairs)),
    st.text(st.characters(min_codepoint=1, max_codepoint=127, exclude_characters="\r\n"), max_size=60),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=JUNK, route=st.sampled_from(["miners", "miners/charts", "{}", "{}/workers", "{}/payments", "{}/stats"]))
def test_no_query_string_breaks_a_route(reader, query, route):
    client, miner = reader
    path = f"{MOUNT}{route.format(f'miners/{miner.pk}')}"
    answer = client.get(path, QUERY_STRING=query)
    assert answer.status_code in (200, 400, 404), (query, answer.content)
    if answer.status_code != 200:
        assert answer["Content-Type"] == "application/problem+json"


@pytest.fixture
def reader(api, issue_key, account):
    miner = MinerFactory(account=account)
    _, secret = issue_key("administrator")
    return api(secret), miner
