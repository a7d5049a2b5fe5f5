"""The audit trail in the staff admin: narrowed, read, checked, and never changed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import transaction
from django.utils import timezone

from accounts import admin_audit
from accounts.audit import Actor, dated, record
from accounts.models import AuditEvent
from tests.accounts.trails import run
from tests.conftest import person
from tests.factories import AccountFactory, UserFactory

LIST = "/admin/accounts/auditevent/"


@pytest.fixture
def support(db):
    user = person(None, "Sven")
    user.is_staff = True
    user.save()
    user.groups.add(Group.objects.get(name="support"))
    return user


@pytest.fixture
def look(support, sign_in_as):
    client = sign_in_as(support)
    return lambda path="", **query: client.get(LIST + path, query)


@pytest.fixture
def northfold(db):
    return AccountFactory(name="Northfold", slug="northfold")


@pytest.fixture
def olga(db):
    return UserFactory(name="Olga")


@pytest.fixture
def trail(northfold, olga):
    """Seven events, all told apart by their action."""
    web = Actor(name="Olga", via="web", user=olga, address="192.0.2.1")
    key = Actor.for_key("key_1", "Dashboard", "2001:db8::1")
    with transaction.atomic():
        record("key.issued", actor=web, account=northfold, target=northfold)
        record("key.revoked", actor=web, account=northfold, reason="unneeded")
        record("key.edited", actor=web, account=northfold, changes={"name": ["a", "b"]})
        record("signing_key.retired", actor=web, account=northfold)
        record("miner.changed", actor=key, account=AccountFactory(), changes={"name": {"from": None, "to": "nf-1"}})
        record("passkey.refused", actor=web, target=olga)
    for action, days in [("pool_data.imported", 3), ("hub.changed", 20), ("miner.created", 200)]:
        with dated(timezone.now() - timedelta(days=days)), transaction.atomic():
            record(action, actor=Actor.for_command("tests"))
    with transaction.atomic():
        record("key.revoked", actor=web, account=northfold, reason="leaked", target=northfold)


def actions(answer) -> list[str]:
    assert answer.status_code == 200, answer
    return sorted(event.action for event in answer.context["cl"].result_list)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"action": "key.issued"}, ["key.issued"]),
        ({"action": "key."}, ["key.edited", "key.issued", "key.revoked", "key.revoked"]),
        ({"action": "none.such"}, []),
        ({"via": "api"}, ["miner.changed"]),
        ({"via": "none"}, []),
        ({"security": "1"}, ["key.revoked", "passkey.refused", "signing_key.retired"]),
        ({"security": "2"}, []),
        ({"account": "northfold", "action": "key.revoked"}, ["key.revoked", "key.revoked"]),
        ({"when": "week", "via": "command"}, ["pool_data.imported"]),
        ({"when": "month", "via": "command"}, ["hub.changed", "pool_data.imported"]),
        ({"when": "day", "via": "command"}, []),
        ({"until": "2026-01-01"}, []),
        ({"actor": "x"}, []),
        ({"actor": "9" * 30}, []),
        ({"q": "192.0.2.1", "action": "key.issued"}, ["key.issued"]),
        ({"q": "2001:DB8:0::1"}, ["miner.changed"]),
        ({"q": "dashb"}, ["miner.changed"]),
        ({"q": "northf", "action": "key.issued"}, ["key.issued"]),
    ],
    ids=str,
)
def test_the_list_is_narrowed(trail, look, query, expected):
    assert actions(look(**query)) == expected


def test_the_list_is_narrowed_to_days_both_of_them_whole(look, db):
    for hour in (0, 23):
        with dated(datetime(2026, 3, 4, hour, 59, 59, tzinfo=UTC)), transaction.atomic():
            record(f"hour.{hour}", actor=Actor.for_command("tests"))
    assert actions(look(since="2026-03-04", until="2026-03-04")) == ["hour.0", "hour.23"]
    assert actions(look(since="2026-03-05")) == actions(look(until="2026-03-03")) == []


def test_the_list_is_narrowed_to_a_person_and_a_target(trail, look, olga, northfold):
    assert len(actions(look(actor=str(olga.pk)))) == 6
    assert actions(look(target=f"user:{olga.pk}")) == ["passkey.refused"]
    answer = look(target=f"account:{northfold.pk}", actor=str(olga.pk))
    assert actions(answer) == actions(look(q=str(northfold.pk))) == ["key.issued", "key.revoked"]
    assert actions(look(q="key_none")) == []
    assert "By target" in answer.text
    assert "By person" in answer.text


@pytest.mark.parametrize(
    "query",
    [
        {"when": "x"},
        {"since": "yesterday"},
        {"until": "2026-02-30"},
        {"data__contains": "x"},
        {"digest": "x"},
        {"target": "a\0"},
    ],
    ids=str,
)
def test_a_filter_that_makes_no_sense_is_refused_politely(look, query):
    answer = look(**query)
    assert (answer.status_code, answer.get("Location", "?e=1")[-4:]) in [(302, "?e=1"), (400, "?e=1")]


def test_filters_keep_each_other(trail, look):
    html = look(account="northfold", when="week", q="olga").text
    forms = re.findall(r'<form class="ph-account-filter.*?</form>', html, re.DOTALL)
    hidden = [dict(re.findall(r'type="hidden" name="(\w+)" value="(\w+)"', form)) for form in forms]
    assert {"account": "northfold", "q": "olga"} in hidden  # the form of dates
    assert {"when": "week", "q": "olga"} in hidden  # the one of accounts
    assert {"account": "northfold", "when": "week", "q": "olga"} in hidden  # the one of actions
    assert re.search(r'<optgroup label="key">.*key: all.*key\.revoked', html, re.DOTALL)


def test_a_long_list_costs_few_queries(trail, look, support, django_assert_max_num_queries):
    look()
    with django_assert_max_num_queries(16):
        look()


def test_an_event_says_all_of_itself_and_links_to_its_kin(trail, look, olga):
    event = AuditEvent.objects.get(action="key.edited")
    html = look(f"{event.pk}/change/").text
    for text in [
        "Northfold",
        "?account=northfold",
        f"?actor={olga.pk}",
        "192.0.2.1",
        "Name",
        "a → b",
        "Event 3 of the chain of Northfold",
        event.digest.hex()[:16],
        "Holds",
        f"?chain={event.chain}",
    ]:
        assert text in html, text
    assert event.digest.hex() not in html
    pool = AuditEvent.objects.get(action="passkey.refused")
    assert "Event 1 of the pool’s own chain" in look(f"{pool.pk}/change/").text


def test_an_event_that_was_tampered_with_says_so(trail, look):
    run("UPDATE accounts_auditevent SET action = 'key.enabled' WHERE action = 'key.edited'")
    event = AuditEvent.objects.get(action="key.enabled")
    assert "Broken" in look(f"{event.pk}/change/").text
    run("DELETE FROM accounts_wrappedkey")
    assert "The key of the audit trail is gone" in look(f"{event.pk}/change/").text


def test_details_that_any_caller_may_write_are_shown():
    data = {"changes": {"a": ["", [1]], "b": {"x": 1}}, "on": True, "none": None, "list": [1], "empty": [], "n": 3}
    assert [(label, text) for label, _kind, text in admin_audit.facts_of(data)] == [
        ("A", "nothing → [\n  1\n]"),
        ("b", '{\n  "x": 1\n}'),
        ("On", "yes"),
        ("None", "nothing"),
        ("List", "[\n  1\n]"),
        ("Empty", "nothing"),
        ("N", "3"),
    ]
    assert [text for _label, _kind, text in admin_audit.facts_of({"changes": ["x"]})] == ['[\n  "x"\n]']


def test_nobody_changes_the_trail_in_the_admin(trail, staff, sign_in_as):
    client = sign_in_as(staff)
    event = AuditEvent.objects.first()
    before = AuditEvent.objects.order_by("pk").values()[::1]
    for path in ["add/", f"{event.pk}/change/", f"{event.pk}/delete/"]:
        assert client.post(LIST + path, {"action": "x", "post": "yes"}).status_code == 403, path
    client.post(LIST, {"action": "delete_selected", "_selected_action": str(event.pk)})
    assert AuditEvent.objects.order_by("pk").values()[::1] == before


@pytest.fixture
def verify(support, sign_in_as):
    client = sign_in_as(support)
    return lambda chain="": client.post(LIST + "verify/", {"chain": chain})


def test_the_verify_page_checks_when_it_is_asked(trail, look, verify, northfold):
    assert look("verify/", chain=str(northfold.pk)).context["checked"] is False
    assert "Whole: 10 events" in verify().text
    assert "Whole: 5 events" in verify(str(northfold.pk)).text
    assert "Whole: 4 events" in verify("pool").text


def test_the_verify_page_names_the_first_broken_link(trail, verify, northfold):
    run("UPDATE accounts_auditevent SET action = 'key.enabled' WHERE action = 'key.edited'")
    html = verify().text
    assert "Broken: 1 of 3 chains" in html
    assert "Event 3, key.enabled" in html
    assert html.index("Northfold</th>") < html.index("The pool’s own</th>")
    assert "Whole: 4 events" in verify("pool").text


def test_the_verify_page_checks_no_more_than_a_page_may(trail, verify, monkeypatch):
    monkeypatch.setattr(admin_audit, "CHECKED_EVENTS", 9)
    answer = verify()
    assert answer.context["checked"] is False
    assert "manage.py verify_audit" in answer.text
    assert "Whole" in verify("pool").text


def test_the_verify_page_takes_no_other_chain_and_says_when_it_has_no_key(trail, verify):
    assert verify("x").context["checked"] is False
    run("DELETE FROM accounts_wrappedkey")
    assert "The key of the audit trail is gone" in verify().text


def test_an_empty_trail_is_said_to_be_empty(look, verify):
    assert "The key of the audit trail is gone" not in look("verify/").text
    assert "Nothing has been recorded yet" in verify().text
