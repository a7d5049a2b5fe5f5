"""The list of keys: what a row says, filters, order, pages, and what it costs."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Membership
from apikeys import lifecycle, signing
from apikeys.models import ApiKey, ApiKeySecret, KeyScope, UsageHour
from tests.conftest import COMMAND
from tests.factories import MinerFactory
from tests.web.conftest import KEYS
from tests.web.test_operations import revoking

# What a page shows must grow with it; what it costs must not.
MOST_QUERIES = 14


def rows(page) -> list[str]:
    """The rows of the upper list, as text with its tags."""
    body = page.content.decode().split("<tbody>")[1].split("</tbody>")[0]
    return [html.unescape(row) for row in body.split("<tr>")[1:]]


def names(page) -> list[str]:
    return re.findall(r'<a id="k\d+" href="[^"]+">([^<]+)</a>', page.content.decode())


def expire(key: ApiKey) -> None:
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now() - timedelta(hours=1))


def used(key: ApiKey, at, address="203.0.113.7") -> None:
    newest = key.secrets.order_by("-created_at", "-pk")[0]
    ApiKeySecret.objects.filter(pk=newest.pk).update(last_used_at=at, last_used_address=address)
    ApiKey.objects.filter(pk=key.pk).update(last_used_at=at)


def test_the_list_filters_by_status_level_environment_and_text(sign_in_as, owner, issue_key):
    shown, _ = issue_key("viewer", name="Grafana")
    off, _ = issue_key("viewer", name="Old poller")
    issue_key("treasurer", name="Sweep", environment="staging")
    lifecycle.disable(off, actor=COMMAND)
    client = sign_in_as(owner)

    def names(query: str) -> set[str]:
        page = client.get(f"{KEYS}?{query}").content.decode()
        return {name for name in ("Grafana", "Old poller", "Sweep") if f">{name}</a>" in page}

    assert names("") == {"Grafana", "Sweep"}
    assert names("status=disabled") == {"Old poller"}
    assert names("status=all") == {"Grafana", "Old poller", "Sweep"}
    assert names("environment=staging") == {"Sweep"}
    assert names("level=viewer") == {"Grafana"}
    assert names("q=graf") == {"Grafana"}
    assert names(f"q={shown.key_id}") == {"Grafana"}
    assert names("q=%00&status=nonsense&page=99&level=%F0") == {"Grafana", "Sweep"}


def test_a_row_says_what_the_key_is_and_how_it_is_used(sign_in_as, owner, issue_key, miner):
    now = timezone.now()
    key, _ = issue_key("treasurer", ["*:miners/*"], name="Grafana", expires_at=now + timedelta(days=84, hours=1))
    used(key, now - timedelta(minutes=3, seconds=5))
    UsageHour.objects.create(key=key, hour=now - timedelta(hours=1), requests=1200, refused=3)
    UsageHour.objects.create(key=key, hour=now - timedelta(days=4), requests=4, refused=0)
    UsageHour.objects.create(key=key, hour=now - timedelta(days=31), requests=9999, refused=0)
    (row,) = rows(sign_in_as(owner).get(KEYS))
    for text in ("Grafana", key.masked, key.key_id, "Treasurer", "Production", "All miners, current and future"):
        assert text in row
    assert "3 min ago" in row
    assert "from 203.0.113.7" in row
    assert "in 84 days" in row
    assert "</svg>1,204" in row
    assert re.search(r'<path d="M0 8V8h\d+V\dh1', row)
    assert f'formaction="{key.key_id}/disable/"' in row


def test_a_key_that_was_never_used_says_when_it_was_made(sign_in_as, owner, issue_key):
    issue_key()
    (row,) = rows(sign_in_as(owner).get(KEYS))
    assert "Never" in row
    assert "created" in row
    assert '<path d=""/>' in row


def test_during_a_rotation_the_row_tells_the_last_use_of_both_secrets(sign_in_as, owner, issue_key):
    key, _ = issue_key()
    used(key, timezone.now() - timedelta(hours=2), "203.0.113.1")
    lifecycle.rotate(key, actor=COMMAND)
    used(key, timezone.now() - timedelta(minutes=5), "203.0.113.2")
    (row,) = rows(sign_in_as(owner).get(KEYS))
    assert re.search(r"New: 5 min ago.*203\.0\.113\.2.*Old: 2 h ago.*203\.0\.113\.1", row, re.DOTALL)
    assert f'href="{key.key_id}/end-overlap/"' in row
    assert "/rotate/" not in row


def test_an_expiry_within_a_fortnight_stands_out_and_a_due_rotation_is_hinted_at(sign_in_as, owner, account, issue_key):
    issue_key(name="soon", expires_at=timezone.now() + timedelta(days=13))
    issue_key(name="later", expires_at=timezone.now() + timedelta(days=15))
    old, _ = issue_key(name="old")
    ApiKeySecret.objects.filter(key=old).update(created_at=timezone.now() - timedelta(days=91))
    found = {row.split(">")[2].split("<")[0]: row for row in rows(sign_in_as(owner).get(KEYS))}
    assert "<mark>" in found["soon"]
    assert "<mark>" not in found["later"]
    assert "Rotation due" in found["old"]
    assert "Rotation due" not in found["soon"]
    account.rotation_days = None
    account.save()
    assert "Rotation due" not in sign_in_as(owner).get(KEYS).content.decode()


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("", ["c", "b", "a"]),
        ("created", ["a", "b", "c"]),
        ("name", ["a", "b", "c"]),
        ("-name", ["c", "b", "a"]),
        ("used", ["b", "c", "a"]),  # never used is the longest ago
        ("-used", ["a", "c", "b"]),
        ("expires", ["c", "a", "b"]),  # no expiry is after any
        ("-expires", ["b", "a", "c"]),
        ("digest", ["c", "b", "a"]),
        ("--name", ["c", "b", "a"]),
    ],
)
def test_rows_are_ordered_by_what_the_address_says(sign_in_as, owner, issue_key, sort, expected):
    now = timezone.now()
    a, _ = issue_key(name="a", expires_at=now + timedelta(days=20))
    issue_key(name="b")
    c, _ = issue_key(name="c", expires_at=now + timedelta(days=10))
    used(a, now - timedelta(minutes=1))
    used(c, now - timedelta(days=1))
    assert names(sign_in_as(owner).get(KEYS, {"sort": sort})) == expected


def test_a_header_says_its_order_and_turns_it_round(sign_in_as, owner, issue_key):
    issue_key(name="a")
    page = sign_in_as(owner).get(f"{KEYS}?sort=name&q=a").content.decode()
    assert re.search(r'<th scope="col" aria-sort="ascending"><a href="\?q=a&amp;sort=-name"', page)
    assert page.count("aria-sort") == 1


def test_a_key_is_found_by_the_start_of_its_id_and_by_nothing_shorter_than_its_prefix(sign_in_as, owner, issue_key):
    key, _ = issue_key(name="first")
    ApiKey.objects.filter(pk=key.pk).update(key_id="key_AAAAAAAAAAAA")
    other, _ = issue_key(name="second")
    ApiKey.objects.filter(pk=other.pk).update(key_id="key_BBBBBBBBBBBB")
    client = sign_in_as(owner)
    assert names(client.get(KEYS, {"q": "key_AAA"})) == ["first"]
    assert names(client.get(KEYS, {"q": "key_"})) == ["second", "first"]
    assert names(client.get(KEYS, {"q": "AAA"})) == []
    assert "No key fits" in client.get(KEYS, {"q": "AAA"}).content.decode()


def test_keys_without_a_secret_have_a_filter_only_while_there_are_some(sign_in_as, owner, account, issue_key):
    key, _ = issue_key(name="stranded")
    client = sign_in_as(owner)
    assert "without_secret" not in client.get(KEYS).content.decode()
    signing.retire(signing.current_signing_key(account), actor=COMMAND)
    page = client.get(KEYS, {"status": "without_secret"})
    assert names(page) == ["stranded"]
    assert f'href="{key.key_id}/regenerate/"' in rows(page)[0]
    assert "No secret" in rows(page)[0]
    assert 'href="?status=without_secret"' in client.get(KEYS).content.decode()


def test_the_counts_beside_the_statuses_follow_the_other_filters(sign_in_as, owner, issue_key):
    issue_key("viewer", name="a")
    off, _ = issue_key("viewer", name="b")
    lifecycle.disable(off, actor=COMMAND)
    gone, _ = issue_key("treasurer", name="c")
    expire(gone)
    page = sign_in_as(owner).get(KEYS, {"level": "viewer"}).content.decode()
    counts = dict(re.findall(r">(\w+) <span class=\"n\">(\d+)</span>", page))
    assert counts == {"Active": "1", "Disabled": "1", "Expired": "0", "All": "2"}


def test_what_leads_on_keeps_the_filters(sign_in_as, owner, issue_key, monkeypatch):
    monkeypatch.setattr("apikeys.web.key_list.PAGE_SIZE", 2)
    for number in range(5):
        issue_key(name=f"bot {number}")
    client = sign_in_as(owner)
    page = client.get(f"{KEYS}?q=bot&sort=name&page=2")
    assert names(page) == ["bot 2", "bot 3"]
    text = page.content.decode()
    assert 'href="?q=bot&amp;sort=name&amp;page=3" rel="next"' in text
    assert 'href="?q=bot&amp;sort=name&amp;page=1" rel="prev"' in text
    assert "3–4 of 5" in text
    assert names(client.get(f"{KEYS}?q=bot&sort=name&page=nonsense")) == ["bot 0", "bot 1"]
    assert names(client.get(f"{KEYS}?q=bot&sort=name&page=99")) == ["bot 4"]


def test_revoked_keys_are_cut_into_pages_of_their_own(sign_in_as, owner, issue_key):
    for number in range(12):
        key, _ = issue_key(name=f"gone {number}")
        lifecycle.revoke(key, actor=COMMAND, reason="unneeded")
    client = sign_in_as(owner)
    first, second = (client.get(KEYS, {"revoked": number}).content.decode() for number in (1, 2))
    assert (first.count(">gone "), second.count(">gone ")) == (10, 2)
    assert "1–10 of 12" in first
    assert "11–12 of 12" in second
    assert 'href="?revoked=2#revoked"' in first


def test_a_search_that_finds_nothing_is_not_told_that_there_are_no_keys(sign_in_as, owner, issue_key):
    issue_key()
    client = sign_in_as(owner)
    page = client.get(KEYS, {"q": "nothing like it"}).content.decode()
    assert "No key fits" in page
    assert "No API keys yet" not in page
    assert "No keys here" in client.get(KEYS, {"status": "disabled"}).content.decode()


def test_a_member_who_may_change_nothing_sees_every_control_off_with_the_reason(sign_in_as, member, issue_key):
    key, _ = issue_key()
    page = sign_in_as(member).get(KEYS)
    (row,) = rows(page)
    assert row.count("<button disabled title=") == 2
    assert "formaction" not in row
    assert f'href="{key.key_id}/' not in row.split("</th>")[0].split("<p>")[1]
    assert "Your role does not include changing API keys" in row
    assert "Your role does not include revoking API keys" in row
    assert "Ask an owner of Northfold Mining" in page.content.decode()


def test_who_has_less_than_a_key_gets_no_secret_of_it(sign_in_as, treasurer, issue_key):
    key, _ = issue_key("administrator", name="wide")
    (row,) = rows(sign_in_as(treasurer).get(KEYS))
    assert f"{key.key_id}/rotate/" not in row
    assert "This key may do more than you may." in row
    assert f"{key.key_id}/revoke/" in row


def test_a_revoked_key_stands_below_with_name_scope_level_reason_and_who(sign_in_as, owner, issue_key, api, miner):
    key, secret = issue_key("accountant", ["*:miners/*"], name="ERP export")
    client = sign_in_as(owner)
    response = client.post(f"{KEYS}{key.key_id}/revoke/", revoking(owner), follow=True)
    revoked = response.content.decode().split('id="revoked"')[1]
    for text in ("ERP export", "Accountant", "All miners, current and future", "Project ended", "by Olga"):
        assert text in revoked
    answer = api(secret).get("/api/v1/key")
    assert (answer.status_code, answer.json()["code"]) == (401, "key_revoked")


def figures(page) -> str:
    body = page.content.decode().split('<dl class="ph-stats">')[1].split("</dl>")[0]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_the_figures_above_the_list_are_the_accounts_whatever_is_filtered(
    sign_in_as, owner, account, other_account, issue_key
):
    now = timezone.now()
    busy, _ = issue_key(name="busy")
    used(busy, now)
    issue_key(name="idle")
    off, _ = issue_key(name="off")
    lifecycle.disable(off, actor=COMMAND)
    signing.bootstrap(other_account, actor=COMMAND)
    foreign, _ = issue_key(name="foreign", account=other_account)
    for key, hours, requests, refused in [(busy, 1, 1204, 30), (off, 20, 100, 0), (busy, 25, 7, 7), (foreign, 1, 9, 9)]:
        UsageHour.objects.create(key=key, hour=now - timedelta(hours=hours), requests=requests, refused=refused)
    account.max_active_keys = 50
    account.save()
    client = sign_in_as(owner)
    said = "Requests, last 24 h 1,304 Refused 30 2.3 % Active keys 2 of 50 allowed Never used 1 Review"
    assert figures(client.get(KEYS)) == said
    assert figures(client.get(f"{KEYS}?q=nothing-like-it")) == said
    assert names(client.get(f"{KEYS}?sort=used")) == ["idle", "busy"]


def test_a_page_of_fifty_keys_costs_a_constant_number_of_queries(
    sign_in_as, owner, issue_key, django_assert_max_num_queries
):
    for number in range(50):
        issue_key(name=f"key {number}")
    client = sign_in_as(owner)
    with django_assert_max_num_queries(MOST_QUERIES):
        page = client.get(KEYS)
    assert page.content.decode().count("<tr><th><a id=") == 50


def test_an_account_of_five_hundred_keys_costs_no_more(sign_in_as, owner, issue_key, django_assert_max_num_queries):
    template, _ = issue_key(name="key")
    secret = template.secrets.get()
    keys = ApiKey.objects.bulk_create(
        ApiKey(account=template.account, environment="production", name=f"key {n}", access_level="viewer",
               created_by_name="tests", revoked_at=timezone.now() if n % 10 == 0 else None)
        for n in range(500)
    )  # fmt: skip
    ApiKeySecret.objects.bulk_create(
        ApiKeySecret(key=key, signing_key=secret.signing_key, selector=f"{n:012}", digest=b"x" * 32)
        for n, key in enumerate(keys)
    )
    KeyScope.objects.bulk_create(KeyScope(key=key, kind="*") for key in keys)
    client = sign_in_as(owner)
    for query in ("", "?status=all&page=3&revoked=2", "?sort=-used&q=key&level=viewer"):
        with django_assert_max_num_queries(MOST_QUERIES):
            assert len(names(client.get(KEYS + query))) == 50


def test_ten_thousand_picked_entities_are_counted_and_not_read(sign_in_as, owner, account, issue_key):
    key, _ = issue_key(name="picky")
    KeyScope.objects.filter(key=key).delete()
    first = MinerFactory(account=account)
    miners = type(first).objects.bulk_create(
        [type(first)(account=account, environment="production", kind="miner", name=f"m{n}") for n in range(9_999)]
    )
    KeyScope.objects.bulk_create(KeyScope(key=key, kind="miner", entity=miner) for miner in [first, *miners])
    with CaptureQueriesContext(connection) as made:
        (row,) = rows(sign_in_as(owner).get(KEYS))
    assert re.search("10,?000 miners", row)
    scopes = [query["sql"] for query in made.captured_queries if 'FROM "apikeys_keyscope"' in query["sql"]]
    assert len(scopes) == 1
    assert "COUNT(" in scopes[0]


def test_fifty_rows_with_long_names_and_everything_in_them_stay_under_sixty_kilobytes(sign_in_as, owner, issue_key):
    now = timezone.now()
    for number in range(50):
        key, _ = issue_key(
            "administrator",
            name=f"{number:02} Nightly export of accruals and payouts to the ERP system",
            environment="development",
            expires_at=now + timedelta(days=50),
        )
        UsageHour.objects.bulk_create(
            UsageHour(key=key, hour=now - timedelta(days=day), requests=1000 * (1 + (day * 7 + number) % 8), refused=1)
            for day in range(30)
        )
        used(key, now, "203.0.113.141")
    page = sign_in_as(owner).get(KEYS)
    assert len(names(page)) == 50
    assert all("203.0.113.141" in row and "in 50 days" in row for row in rows(page))
    assert len(page.content) < 60_000


def test_a_removed_member_is_out_at_the_next_click(sign_in_as, member, issue_key):
    issue_key()
    client = sign_in_as(member)
    assert client.get(KEYS).status_code == 200
    Membership.objects.filter(user=member).delete()
    assert client.get(KEYS).status_code == 404
