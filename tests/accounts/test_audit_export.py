"""The audit trail as a file: what the list shows, whole, and recorded itself."""

from __future__ import annotations

import csv
import io
import json

import pytest
from django.contrib.auth.models import Group
from django.db import transaction

from accounts import audit_check, audit_export
from accounts.audit import Actor, record
from accounts.models import AuditEvent
from tests.accounts.trails import OLGA, fill
from tests.conftest import person
from tests.factories import AccountFactory

LIST = "/admin/accounts/auditevent/"


def in_group(name):
    user = person(None, name.title())
    user.is_staff = True
    user.save()
    user.groups.add(Group.objects.get(name=name))
    return user


@pytest.fixture
def auditor(db):
    return in_group("security")


@pytest.fixture
def export(auditor, sign_in_as):
    client = sign_in_as(auditor)
    return lambda format="ndjson", query="": client.post(f"{LIST}export/{query}", {"format": format})


@pytest.fixture
def northfold(db):
    return AccountFactory(name="Northfold", slug="northfold")


def lines(answer):
    assert answer.status_code == 200, answer.get("Location")
    return [json.loads(line) for line in answer.getvalue().decode().splitlines()]


def test_ndjson_holds_each_event_whole_oldest_first(northfold, export):
    events = fill(northfold, 3)
    answer = export()
    rows = lines(answer)
    assert [row["data"].get("step") for row in rows] == [1, 2, 3, None]  # the last one is the export itself
    assert rows[1] == {
        "id": str(events[1].pk),
        "at": events[1].at.isoformat(timespec="microseconds"),
        "account_id": str(northfold.pk),
        "account": "Northfold",
        "actor_id": None,
        "actor": "Olga",
        "via": "web",
        "address": "192.0.2.1",
        "action": "key.issued",
        "target_type": "account",
        "target_id": str(northfold.pk),
        "target": "Northfold",
        "data": {"step": 2},
        "chain": str(northfold.pk),
        "number": 2,
        "digest": events[1].digest.hex(),
    }
    assert answer["Content-Type"] == "application/x-ndjson"
    assert answer["Content-Disposition"].startswith('attachment; filename="audit-20')
    assert "no-store" in answer["Cache-Control"]


def test_csv_holds_the_same_and_no_formula(northfold, export):
    with transaction.atomic():
        for name in ["=1+1", "+1", "-1", "@x", "\tx", "\rx", 'a "b",\nc', "Ольга", "x=1"]:
            record("key.issued", actor=Actor(name=name, via="web"), account=northfold, note=name)
    answer = export("csv", "?action=key.issued")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.getvalue().decode(), newline="")))
    assert list(rows[0]) == audit_export.COLUMNS
    assert [row["actor"] for row in rows] == [
        "'=1+1", "'+1", "'-1", "'@x", "'\tx", "'\rx", 'a "b",\nc', "Ольга", "x=1",
    ]  # fmt: skip
    assert json.loads(rows[0]["data"]) == {"note": "=1+1"}
    assert (rows[0]["number"], rows[0]["actor_id"]) == ("1", "")


def test_an_export_is_what_the_list_shows_and_is_recorded_with_it(northfold, export, auditor):
    fill(northfold, 2)
    fill(AccountFactory(), 2)
    fill(None, 1)
    assert len(lines(export(query="?account=northfold&q=olga"))) == 2
    event = AuditEvent.objects.get(action="audit.exported")
    assert (event.actor, event.account, event.via) == (auditor, northfold, "admin")
    assert event.data == {"format": "ndjson", "filters": {"account": "northfold", "search": "olga"}}


def test_an_export_that_finds_nothing_is_none_and_keeps_no_word_of_what_was_sought(export, db):
    fill(None, 1)
    answer = export(query="?q=ph_live_7GkQ2mZp4XbTf0Rr")
    assert answer.status_code == 302
    assert AuditEvent.objects.count() == 1


@pytest.mark.parametrize("query", ["?since=x", "?when=x"])
def test_bad_filters_and_formats_lead_back_to_the_list(export, query, db):
    fill(None, 1)
    assert export(query=query)["Location"].startswith(LIST)
    assert export("xlsx")["Location"].startswith(LIST)
    assert AuditEvent.objects.count() == 1


def test_a_long_trail_comes_in_pieces(northfold, export, monkeypatch):
    monkeypatch.setattr(audit_export, "BATCH_EVENTS", 2)
    fill(northfold, 5)
    for format in ("csv", "ndjson"):
        answer = export(format, "?account=northfold&action=key.issued")
        pieces = list(answer.streaming_content)
        assert len(pieces) == 3
        assert len(b"".join(pieces).splitlines()) == 5 + (format == "csv")


def test_only_who_may_export_is_offered_it_and_does_it(northfold, auditor, sign_in_as):
    fill(northfold, 1)
    support = sign_in_as(in_group("support"))
    assert "Export as" not in support.get(LIST).text
    assert support.post(f"{LIST}export/", {"format": "csv"}).status_code == 403
    client = sign_in_as(auditor)
    assert "Export as CSV" in client.get(LIST).text
    assert client.get(f"{LIST}export/?format=csv").status_code == 405
    assert not AuditEvent.objects.filter(action="audit.exported").exists()


def test_an_export_holds_no_key_of_the_chain(export, db):
    record("tested", actor=OLGA)
    assert audit_check.key().hex().encode() not in export().getvalue()
