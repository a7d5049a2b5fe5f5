"""The page of a key: facts, restrictions, secrets, usage, requests, history, and what can be done from it."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.audit import Actor
from apikeys import lifecycle, roles, signing
from apikeys.edits import Changes
from apikeys.models import ApiKey, ApiKeySecret, UsageHour
from apikeys.scopes import Scope
from apikeys.usage import Day
from apikeys.web import charts
from tests.conftest import COMMAND
from tests.factories import MinerFactory
from tests.web.conftest import KEYS


def open_page(client, key) -> str:
    return html.unescape(client.get(f"{KEYS}{key.key_id}/").content.decode())


def section(page: str, heading: str) -> str:
    """The part of the page that an h2 with this id stands over."""
    return page.split(f'id="{heading}"')[1].split("</section>")[0]


def words(text: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def test_the_page_of_a_key_shows_history_and_no_digest(sign_in_as, owner, issue_key):
    key, secret = issue_key("treasurer", name="Sweep")
    page = sign_in_as(owner).get(f"{KEYS}{key.key_id}/").content.decode()
    assert key.masked in page
    assert "hub-finance:write" in page
    assert secret[-40:] not in page
    assert bytes(key.secrets.get().digest).hex() not in page


def test_a_key_of_another_account_is_not_found(sign_in_as, owner, issue_key, other_account):
    key, _ = issue_key(account=other_account)
    client = sign_in_as(owner)
    for path in ("", "revoke/", "enable/", "rotate/", "regenerate/", "end-overlap/", "delete/"):
        assert client.get(f"{KEYS}{key.key_id}/{path}").status_code == 404
    for path in ("disable/", "rotate/", "delete/"):
        assert client.post(f"{KEYS}{key.key_id}/{path}").status_code == 404


def test_restrictions_say_what_is_in_force(sign_in_as, owner, account, issue_key):
    key, _ = issue_key(expires_at=timezone.now() + timedelta(days=20, hours=1), allowed_cidrs=["203.0.113.0/28"])
    client = sign_in_as(owner)
    limits = words(section(open_page(client, key), "limits-h"))
    assert "in 20 days" in limits
    assert "203.0.113.0/28" in limits
    assert "No limit" in limits
    account.default_rate_limit = 600
    account.save()
    assert "600 a minute the account’s default" in words(section(open_page(client, key), "limits-h"))
    lifecycle.edit(key, Changes(rate_limit=1200), actor=COMMAND)
    assert "Rate limit 1,200 a minute" in words(section(open_page(client, key), "limits-h"))
    lifecycle.edit(key, Changes(rate_burst=50), actor=COMMAND)
    assert "Rate limit 1,200 a minute, 50 at once" in words(section(open_page(client, key), "limits-h"))
    account.max_rate_limit = 900
    account.save()
    assert "900 a minute, 50 at once the most in the account’s plan" in words(
        section(open_page(client, key), "limits-h")
    )


def test_two_secrets_are_told_apart_with_the_last_use_of_each(sign_in_as, owner, issue_key):
    key, _ = issue_key()
    ApiKeySecret.objects.filter(key=key).update(
        last_used_at=timezone.now() - timedelta(hours=3), last_used_address="203.0.113.9"
    )
    lifecycle.rotate(key, actor=COMMAND)
    key = ApiKey.objects.get(pk=key.pk)
    new, old = (key.mask_of(secret) for secret in key.live_secrets)
    page = open_page(sign_in_as(owner), key)
    secrets = words(section(page, "secrets-h"))
    assert re.search(rf"{re.escape(new)} New Last used Never .*{re.escape(old)} Old Last used 3 h ago", secrets)
    assert "203.0.113.9" in secrets
    assert "Stops" in secrets
    assert "Two secrets work until" in page
    assert "End overlap now…" in page
    assert f"{KEYS}{key.key_id}/rotate/" not in page


def test_a_secret_that_the_policy_calls_old_is_due_for_rotation(sign_in_as, owner, issue_key):
    key, _ = issue_key()
    client = sign_in_as(owner)
    assert "Due for rotation on" in open_page(client, key)
    ApiKeySecret.objects.filter(key=key).update(created_at=timezone.now() - timedelta(days=91))
    assert "The secret is due for rotation since" in open_page(client, key)


def test_usage_is_drawn_and_told_in_a_table(sign_in_as, owner, issue_key):
    key, _ = issue_key()
    UsageHour.objects.create(key=key, hour=timezone.now() - timedelta(minutes=1), requests=1000, refused=30)
    UsageHour.objects.create(key=key, hour=timezone.now() - timedelta(days=3), requests=204, refused=0)
    usage = section(open_page(sign_in_as(owner), key), "usage-h")
    assert "1,204 requests 30 of them refused" in words(usage)
    assert usage.count("<g>") == 2
    assert 'class="is-refused"' in usage
    assert usage.split("<tbody>")[1].count("<tr>") == 30
    assert "style=" not in usage


def test_a_key_whose_requests_the_log_has_let_go_is_not_said_to_wait_for_its_first(
    sign_in_as, owner, issue_key, settings
):
    settings.PITHEAD_REQUEST_LOG_DAYS = 10
    key, _ = issue_key()
    key.secrets.update(last_used_at=timezone.now() - timedelta(days=40))
    requests = words(section(open_page(sign_in_as(owner), key), "requests-h"))
    assert "No recent requests The log holds no request of this key. It keeps each for 10 days." in requests


def test_recent_requests_are_told_and_nothing_is_made_up_where_there_are_none(sign_in_as, owner, issue_key, called):
    key, _ = issue_key()
    client = sign_in_as(owner)
    assert "No recent requests" in section(open_page(client, key), "requests-h")
    assert "appear here some seconds after" in section(open_page(client, key), "requests-h")
    called(key, "/api/v1/pools", at=timezone.now() - timedelta(days=2))
    called(key, "/api/v1/miners/{miner_id}", status=403, code="permission_denied", address="203.0.113.7")
    called(key, "/api/v1/hubs", times=23, at=timezone.now() - timedelta(hours=1))
    requests = section(open_page(client, key), "requests-h")
    assert requests.count("<tr>") == 26
    first = words(requests.split("<tbody>")[1].split("</tr>")[0])
    assert "GET /api/v1/miners/{miner_id} 403 permission_denied Why?" in first
    assert "203.0.113.7" in first
    called(key, "/api/v1/miners", times=30)
    assert section(open_page(client, key), "requests-h").count("<tr>") == 26
    assert "Secret</th>" not in requests
    lifecycle.rotate(key, actor=COMMAND)
    called(key, "/api/v1/miners", secret=key.secrets.first())
    requests = section(open_page(client, key), "requests-h")
    assert "Secret</th>" in requests
    assert str(key.secrets.first()) in requests


def test_an_edit_reads_from_what_to_what(sign_in_as, owner, account, issue_key, miner, make_role):
    account.keys_editable = True
    account.save()
    key, _ = issue_key("viewer", [f"*:miners/{miner.pk}"], name="Old name", allowed_cidrs=["203.0.113.0/28"])
    role = make_role("stats:read", name="Autotuner")
    changes = Changes(
        name="New name",
        description="Panels",
        rate_limit=120,
        rate_burst=20,
        allowed_cidrs=[],
        expires_at=timezone.now() + timedelta(days=9),
        access_level="custom",
        role=role,
        scopes=[Scope.parse("*:miners/*")],
    )
    lifecycle.edit(key, changes, actor=COMMAND)
    history = words(section(open_page(sign_in_as(owner), key), "history-h"))
    for change in (
        "Name: “Old name” → changed to “New name”",
        "Description: nothing → changed to “Panels”",
        "Rate limit: the account’s default → changed to 120 a minute",
        "Burst: a whole minute’s → changed to 20 at once",
        "Allowed addresses: 203.0.113.0/28 → changed to any address",
        "Expiry: no expiry → changed to",
        "Access level: Viewer → changed to Autotuner",
        "Scope: 1 miner → changed to All miners, current and future",
    ):
        assert change in history


def test_history_is_in_words_for_everything_that_can_happen(sign_in_as, owner, issue_key):
    key, _ = issue_key()
    lifecycle.rotate(key, actor=COMMAND)
    lifecycle.end_overlap(key, actor=COMMAND)
    lifecycle.regenerate(key, actor=COMMAND)
    lifecycle.disable(key, actor=COMMAND)
    lifecycle.enable(key, actor=COMMAND)
    lifecycle.edit(key, Changes(name="x"), actor=Actor.for_command("somebody"))
    lifecycle.revoke(key, actor=COMMAND, reason="leaked", note="In a chat")
    history = words(section(open_page(sign_in_as(owner), key), "history-h"))
    assert not re.search(r"key\.\w", history)
    order = [
        "Revoked",
        "Leaked or suspected leak: In a chat",
        "Edited",
        "manage.py somebody",
        "Switched on",
        "Switched off",
        "Secret replaced",
        "Overlap ended",
        "Rotated",
        "Both secrets until",
        "Created",
    ]
    places = [history.index(words_) for words_ in order]
    assert places == sorted(places)


def test_the_page_offers_what_the_key_s_state_allows(sign_in_as, owner, account, issue_key):
    client = sign_in_as(owner)

    def offered(key) -> set[str]:
        page = open_page(client, key)
        of_key = rf'(?:href|action)="{KEYS}{key.key_id}/([a-z-]+)/"'
        return set(re.findall(of_key, page)) - {"edit", "explain"}

    key, _ = issue_key()
    assert offered(key) == {"rotate", "regenerate", "disable", "revoke"}
    lifecycle.rotate(key, actor=COMMAND)
    assert offered(key) == {"end-overlap", "regenerate", "disable", "revoke"}
    lifecycle.end_overlap(key, actor=COMMAND)
    lifecycle.disable(key, actor=COMMAND)
    assert offered(key) == {"rotate", "regenerate", "enable", "revoke"}
    lifecycle.revoke(key, actor=COMMAND, reason="unneeded")
    assert offered(key) == set()
    assert "The policy of this account keeps revoked keys for the record." in open_page(client, key)
    account.permanent_delete = True
    account.save()
    assert offered(key) == {"delete"}

    expired, _ = issue_key()
    ApiKey.objects.filter(pk=expired.pk).update(expires_at=timezone.now() - timedelta(hours=1))
    assert "rotate" not in offered(expired)
    stranded, _ = issue_key()
    signing.retire(signing.current_signing_key(account), actor=COMMAND)
    assert "regenerate" in offered(stranded)


def test_a_member_without_rights_finds_every_operation_off_with_the_reason(sign_in_as, member, issue_key):
    key, _ = issue_key()
    page = open_page(sign_in_as(member), key)
    for operation in ("edit", "rotate", "regenerate", "disable", "revoke"):
        assert f"{KEYS}{key.key_id}/{operation}/" not in page
    assert page.count('disabled title="Your role does not include changing API keys"') >= 3
    assert page.count('disabled title="Your role does not include revoking API keys"') == 1
    assert "Ask an owner of Northfold Mining for more." in page


def test_the_page_costs_under_fifteen_queries_however_much_there_is(
    sign_in_as, owner, account, issue_key, called, django_assert_max_num_queries
):
    miners = MinerFactory.create_batch(60, account=account)
    key, _ = issue_key("viewer", [f"*:miners/{miner.pk}" for miner in miners])
    lifecycle.rotate(key, actor=COMMAND)
    called(key, "/api/v1/miners", times=40, secret=key.secrets.first())
    client = sign_in_as(owner)
    with django_assert_max_num_queries(14):
        page = open_page(client, key)
    assert "and 10 more" in page


def test_a_role_that_gives_nothing_now_is_said_to(sign_in_as, owner, account, issue_key):
    account.key_automation = True
    account.save()
    role = roles.create(account, actor=COMMAND, name="Automation", permissions=["keys:read"])
    key, _ = issue_key("custom", role=role)
    type(account).objects.update(key_automation=False)
    assert "the account’s policy holds back what the role gives" in open_page(sign_in_as(owner), key)


DAY = timezone.datetime(2026, 11, 21).date()


@pytest.mark.parametrize(
    ("requests", "path"),
    [
        ([], ""),
        ([0, 0, 0], ""),
        ([1, 0, 4], "M0 8V6h1V8h1V0h1V8z"),
        ([5, 5, 5], "M0 8V0h3V8z"),
        ([1, 1_000_000], "M0 8V7h1V0h1V8z"),  # any use is seen
    ],
)
def test_steps_are_as_high_as_the_use_and_equal_days_share_one(requests, path):
    assert charts.steps([Day(DAY, number, 0) for number in requests]) == path


@pytest.mark.parametrize(
    ("most", "ceiling"), [(0, 4), (4, 4), (5, 6), (7, 8), (11, 20), (99, 100), (100, 100), (101, 200), (4_500, 6_000)]
)
def test_the_chart_s_upper_edge_is_a_round_number(most, ceiling):
    assert charts.BarChart([Day(DAY, most, 0)]).ceiling == ceiling


def test_a_bar_has_the_refused_requests_on_top_and_stays_within_the_chart():
    chart = charts.BarChart([Day(DAY, 100, 100), Day(DAY, 100, 25), Day(DAY, 1, 1), Day(DAY, 0, 0)])
    assert [(bar.top, bar.height, bar.refused_height) for bar in chart.bars] == [
        (0.0, 0.0, 100.0),
        (0.0, 75.0, 25.0),
        (99.0, 0.0, 1.0),
        (100.0, 0.0, 0.0),
    ]


def test_a_key_that_was_never_used_says_so_and_warns_of_no_live_calls(sign_in_as, owner, issue_key):
    key, _ = issue_key()
    client = sign_in_as(owner)
    page = client.get(f"{KEYS}{key.key_id}/").content.decode()
    assert "No requests yet." in page
    assert "ph-chart" not in page
    assert "Applications are using" not in client.get(f"{KEYS}{key.key_id}/edit/").content.decode()
