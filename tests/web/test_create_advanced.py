"""The fine print of the form of a new key: actions, dates, limits, addresses, and what crafted posts try."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apikeys.models import ApiKey
from apikeys.web.expiry import end_of
from apikeys.web.picker import MOST_PICKED
from tests.factories import HubFactory, MinerFactory
from tests.web.conftest import KEYS
from tests.web.test_create import CREATE, secret_in

ALL_ACTIONS = ["none", "read", "write", "admin"]


@pytest.fixture
def send(sign_in_as, owner, filled):
    """Post the owner's form with changes."""
    client = sign_in_as(owner)
    return lambda **changes: client.post(CREATE, filled(owner, **changes))


def rows(key):
    return sorted(str(scope) for scope in key.scopes.all())


def test_read_all_miners_and_write_only_these_two(send, account, api):
    two = MinerFactory.create_batch(2, account=account)
    response = send(
        access_level="administrator",
        miners_all_actions=["none", "read"],
        miners=[str(miner.pk) for miner in two],
        miners_actions=["none", "write"],
    )
    secret_in(response)
    expected = ["read:miners/*", *(f"write:miners/{miner.pk}" for miner in two)]
    assert rows(ApiKey.objects.get()) == sorted(expected)


def test_every_action_ticked_is_written_as_one_star(send):
    secret_in(send(miners_all_actions=ALL_ACTIONS, miners_actions=ALL_ACTIONS))
    assert rows(ApiKey.objects.get()) == ["*:miners/*"]


def test_picks_beside_an_unlimited_all_say_nothing(send, miner):
    secret_in(send(miners=[str(miner.pk)]))
    assert rows(ApiKey.objects.get()) == ["*:miners/*"]


@pytest.mark.parametrize("actions", [["none"], ["none", "delete"], ["*"], ["none", "read", "*"], ["\x00"], [""]])
def test_no_action_or_one_that_is_not_offered_is_an_error_beside_the_scope(send, actions):
    page = send(miners_all_actions=actions).content.decode()
    assert "Miners: choose at least one action" in page
    assert not ApiKey.objects.exists()


def test_the_summary_tells_what_the_actions_leave_of_the_level(send, miner):
    page = send(access_level="administrator", miners_all_actions=["none", "read"], preview="1").content.decode()
    summary = page[page.index('id="summary"') :]
    assert "Read: all miners, current and future" in summary
    assert "Cannot change anything" in summary
    page = send(miners_all_actions=["none", "read", "write"], preview="1").content.decode()
    assert "The access level holds nothing for: Write" in page


def test_the_advanced_part_the_date_and_the_limits_survive_an_error(send, miner):
    day = (timezone.localdate() + timedelta(days=40)).isoformat()
    page = send(
        name="",
        description="Asks for <b>names</b>",
        miners_all_actions=["none", "read"],
        miners=[str(miner.pk)],
        miners_actions=["none", "write"],
        expires_in="date",
        expires_on=day,
        rate_limit="12o",
        allowed_cidrs="10.0.0.0/8",
    ).content.decode()
    assert 'value="Asks for &lt;b&gt;names&lt;/b&gt;"' in page
    assert '<details class="ph-scope-actions" open>' in page
    assert f'name="miners" value="{miner.pk}" checked' in page
    assert 'name="miners_actions" value="write" checked' in page
    assert 'name="miners_actions" value="read">' in page
    assert f'value="{day}"' in page
    assert 'value="12o"' in page
    assert "10.0.0.0/8</textarea>" in page


def test_all_that_is_wrong_is_said_at_once(send):
    page = send(name="", miners_all="", rate_limit="0", allowed_cidrs="x", expires_in="date").content.decode()
    for sentence in (
        "Give the key a name.",
        "Choose at least one miner",
        "Between 1 and 1,000,000",
        "Line 1, “x”",
        "Choose the last day",
    ):
        assert sentence in page


def test_picks_survive_a_search_that_does_not_find_them(send, account, miner):
    MinerFactory.create_batch(70, account=account)
    page = send(miners_all="", miners=[str(miner.pk)], find_miners="miner-", preview="1").content.decode()
    assert f'value="{miner.pk}" checked' in page


def test_a_chosen_day_lasts_until_its_end_in_the_readers_zone(send):
    day = timezone.localdate() + timedelta(days=40)
    secret_in(send(expires_in="date", expires_on=day.isoformat()))
    assert ApiKey.objects.get().expires_at == datetime.combine(day, time(23, 59, 59), tzinfo=UTC)


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/St_Johns", "Pacific/Kiritimati"])
def test_the_end_of_a_day_follows_the_time_zone(zone):
    with timezone.override(zone):
        end = end_of(date(2027, 3, 1))
    assert end.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M:%S") == "2027-03-01 23:59:59"


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31", "2020-02-30", "1e9", "\x00", "٣", "", "tomorrow", "-1"])
def test_absurd_days_are_errors(send, day):
    response = send(expires_in="date", expires_on=day)
    assert response.status_code == 200
    assert "No key was created" in response.content.decode()
    assert not ApiKey.objects.exists()


def test_a_preset_does_not_look_at_the_day(send):
    secret_in(send(expires_in="30", expires_on=""))


def test_the_accounts_longest_life_holds_for_presets_and_days(send, account):
    account.max_lifetime_days = 45
    account.save()
    too_far = (timezone.localdate() + timedelta(days=47)).isoformat()
    for change in ({"expires_in": "90"}, {"expires_in": "none"}, {"expires_in": "date", "expires_on": too_far}):
        assert "No key was created" in send(**change).content.decode()
    last = (timezone.now() + timedelta(days=45)).date().isoformat()
    secret_in(send(expires_in="date", expires_on=last))
    assert ApiKey.objects.get().expires_at <= timezone.now() + timedelta(days=45, minutes=1)


def test_an_empty_rate_limit_follows_the_account_and_the_form_names_it(send, sign_in_as, owner, account):
    account.default_rate_limit = 600
    account.save()
    page = sign_in_as(owner).get(CREATE).content.decode()
    assert "Empty means the account’s default, 600." in page
    assert "Up to 600 requests a minute" in page
    secret_in(send(rate_limit=""))
    key = ApiKey.objects.get()
    assert (key.rate_limit, key.rate_limit_in_force) == (None, 600)


def test_a_burst_is_typed_beside_the_limit_and_said_in_the_summary(send, miner):
    page = send(rate_limit="300", rate_burst="20", preview="1").content.decode()
    assert "Up to 300 requests a minute, 20 at once" in page
    assert '<details class="ph-more mt-2" open>' in page
    secret_in(send(rate_limit="300", rate_burst="20"))
    key = ApiKey.objects.get()
    assert (key.rate_limit, key.rate_burst) == (300, 20)


def test_the_place_of_the_burst_is_closed_until_there_is_one(sign_in_as, owner, miner):
    assert '<details class="ph-more mt-2">' in sign_in_as(owner).get(CREATE).content.decode()


@pytest.mark.parametrize(
    ("limit", "burst", "said"),
    [
        ("", "5", "there is no rate limit"),
        ("300", "301", "Between 1 and 300 requests at once"),
        ("300", "0", "Between 1 and 300 requests at once"),
        ("1", "2", "Between 1 and 1 request at once"),
        ("300", "-1", "Between 1 and 300 requests at once"),
        ("300", "few", "Type a whole number of requests, such as 20"),
        ("300", "1.5", "Type a whole number of requests, such as 20"),
        ("0", "5", "Between 1 and 1,000,000 requests per minute"),
    ],
)
def test_a_burst_that_is_none_is_an_error_beside_it_and_in_the_summary(send, miner, limit, burst, said):
    page = send(rate_limit=limit, rate_burst=burst).content.decode()
    assert said in page
    assert "No key was created" in page
    assert f'value="{burst}"' in page
    assert '<details class="ph-more mt-2" open>' in page
    assert not ApiKey.objects.exists()
    preview = send(rate_limit=limit, rate_burst=burst, preview="1").content.decode()
    assert "no whole number" in preview
    assert "As many requests as it likes" not in preview


def test_the_form_says_the_plan_s_maximum_and_refuses_more(send, sign_in_as, owner, account, miner):
    account.max_rate_limit = 600
    account.save()
    page = sign_in_as(owner).get(CREATE).content.decode()
    assert "At most 600, as the account’s plan allows. Empty means 600." in page
    assert "Up to 600 requests a minute" in page
    assert (
        "Between 1 and 600 requests per minute, the most in this account&#x27;s plan"
        in send(rate_limit="601").content.decode()
    )
    assert not ApiKey.objects.exists()
    secret_in(send(rate_limit="600"))
    assert ApiKey.objects.get().rate_limit == 600


@pytest.mark.parametrize("limit", ["0", "-1", "1000001", "1.5", "ten", "9" * 12, "\x00", "NaN", "1e3"])
def test_absurd_rate_limits_are_errors(send, limit):
    assert "No key was created" in send(rate_limit=limit).content.decode()
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("10.0.0.0/8", "IPv6 clients will be refused"),
        ("2001:db8::/32", "IPv4 clients will be refused"),
        ("0.0.0.0/0\n2001:db8::/32", "0.0.0.0/0 lets every IPv4 address in"),
        ("10.0.0.0/8\n::/0", "::/0 lets every IPv6 address in"),
    ],
)
def test_what_a_list_of_addresses_means_is_said_in_hint_and_summary(send, typed, said):
    page = send(allowed_cidrs=typed, preview="1").content.decode()
    assert page.count(said) == 2
    secret_in(send(allowed_cidrs=typed))


def test_a_list_of_both_versions_needs_no_remark(send):
    page = send(allowed_cidrs="10.0.0.0/8\n2001:db8::/32", preview="1").content.decode()
    assert "will be refused" not in page
    assert "lets every" not in page


def test_the_description_is_kept_in_one_line_and_a_long_one_refused(send):
    secret_in(send(description=" Fleet \n dashboards 🙂 "))
    assert ApiKey.objects.get().description == "Fleet dashboards 🙂"
    assert "No key was created" in send(description="x" * 301).content.decode()


def test_an_entity_of_another_environment_is_refused(send, account):
    elsewhere = MinerFactory(account=account, environment="staging")
    assert "not in this account and environment" in send(miners_all="", miners=[str(elsewhere.pk)]).content.decode()


def test_a_hub_among_the_miners_is_refused(send, account):
    hub = HubFactory(account=account)
    assert "not in this account and environment" in send(miners_all="", miners=[str(hub.pk)]).content.decode()


def test_more_picks_than_anybody_reads_are_refused(send, account):
    many = MinerFactory.create_batch(MOST_PICKED + 1, account=account)
    page = send(miners_all="", miners=[str(miner.pk) for miner in many]).content.decode()
    assert f"pick at most {MOST_PICKED} by hand" in page
    assert not ApiKey.objects.exists()


def test_ten_thousand_picks_are_refused_and_make_no_key(send, miner):
    assert send(miners_all="", miners=[str(miner.pk)] * 10_000).status_code == 400
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("name", ["\x00", "a\x00b", "\u202e", " ", "x" * 81])
def test_names_that_do_not_print_are_refused(send, name):
    assert "No key was created" in send(name=name).content.decode()
    assert not ApiKey.objects.exists()


def test_a_level_above_the_persons_own_is_refused_whatever_the_actions(sign_in_as, treasurer, filled):
    data = filled(treasurer, access_level="administrator", miners_all_actions=["none", "read"])
    assert "Your own access level is Treasurer" in sign_in_as(treasurer).post(CREATE, data).content.decode()
    assert not ApiKey.objects.exists()


FIELDS = [
    "name", "description", "environment", "access_level", "miners", "miners_all", "miners_actions", "hubs_all",
    "miners_all_actions", "find_miners", "expires_in", "expires_on", "rate_limit", "rate_burst", "allowed_cidrs",
    "scope", "nonce",
]  # fmt: skip


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.dictionaries(st.sampled_from(FIELDS), st.text(max_size=40), min_size=1), preview=st.booleans())
def test_whatever_is_typed_the_form_answers_and_never_fails(send, changes, preview):
    ApiKey.objects.all().delete()
    response = send(**changes, **({"preview": "1"} if preview else {}))
    assert response.status_code in (200, 409)


@pytest.mark.parametrize("what", ["created", "rotated", "regenerated"])
def test_the_page_of_a_secret_says_why_there_is_one(rf, owner, issue_key, what):
    from apikeys.web.reveal import reveal

    key, secret = issue_key(name="bot")
    if what == "rotated":
        key.secrets.update(retires_at=timezone.now() + timedelta(hours=5))
    request = rf.post(KEYS)
    request.user = owner
    response = reveal(request, key, secret, what)
    page = response.content.decode()
    assert page.count(secret) == 1
    assert "no-store" in response["Cache-Control"]
    assert {"created": "Key created: bot"}.get(what, "New secret for bot") in page
    assert ("The old secret works until" in page) is (what == "rotated")
    assert ("The old secret has stopped" in page) is (what == "regenerated")


@pytest.mark.parametrize("typed", ["99999999999999999999", "0", "ten", "-1", "1.5"])
def test_a_rate_limit_that_is_none_is_not_said_to_be_no_limit(send, account, typed):
    MinerFactory(account=account)
    page = send(rate_limit=typed, preview="1").content.decode()
    assert "The rate limit is no whole number yet" in page
    assert "As many requests as it likes" not in page
