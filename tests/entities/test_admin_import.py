"""Importing pool data in the staff admin: a dry run that writes nothing, and the import of exactly the same file."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection

from accounts.models import AuditEvent
from entities import admin_import
from entities.ingest import importing
from entities.models import Miner
from tests.factories import MinerFactory, UserFactory
from tests.people import enrol, fresh_code

URL = "/admin/entities/entity/import/"
CSV = "account,name,created_at\nnorthfold,shaft-1,2026-01-01T00:00:00Z\nnorthfold,shaft-2,\nnobody,shaft-3,soon\n"


@pytest.fixture
def client(staff, sign_in_as, account):
    return sign_in_as(staff)


def upload(text=CSV, name="miners.csv"):
    return SimpleUploadedFile(name, text.encode() if isinstance(text, str) else text)


@pytest.fixture
def dry(client):
    def run(text=CSV, name="miners.csv", **fields):
        return client.post(URL, {"file": upload(text, name), "kind": "", "environment": "production", **fields})

    return run


@pytest.fixture
def confirm(client, staff):
    """Send the second step that a dry run's answer offers, with the file ``text``."""

    def send(answer, text=CSV, name="miners.csv", **fields):
        form = answer.context["form"]
        shown = {field: form[field].value() for field in ("nonce", "kind", "environment", "checked")}
        return client.post(URL, {**shown, "file": upload(text, name), "code": fresh_code(staff), **fields})

    return send


def counts(answer):
    return {name: count for name, count in vars(answer.context["report"].counts).items() if count}


def test_a_dry_run_reports_each_row_and_writes_nothing(dry, account):
    MinerFactory(account=account, name="shaft-2")
    before = AuditEvent.objects.count()
    answer = dry()
    assert counts(answer) == {"received": 3, "created": 1, "unchanged": 1, "refused": 1}
    [error] = answer.context["report"].errors
    assert (error.row, error.column) == (4, "created_at")
    page = answer.content.decode()
    assert "nothing was changed" in page
    assert "<code>created_at</code>" in page
    assert list(Miner.objects.values_list("name", flat=True)) == ["shaft-2"]
    assert AuditEvent.objects.count() == before


@pytest.mark.django_db(transaction=True)
def test_a_dry_run_holds_nothing_from_one_batch_to_the_next(dry, account, monkeypatch):
    """Owners of the accounts in a long file change keys meanwhile."""
    monkeypatch.setattr(importing, "BATCH_ROWS", 1)
    held, read = [], admin_import.READERS["csv"]

    def rows(*args):
        for row in read(*args):
            held.append(connection.in_atomic_block)
            yield row

    monkeypatch.setitem(admin_import.READERS, "csv", rows)
    assert counts(dry()) == {"received": 3, "created": 2, "refused": 1}
    assert held == [False] * 3
    assert not Miner.objects.exists()
    assert not AuditEvent.objects.filter(action="pool_data.imported").exists()


@pytest.mark.parametrize(
    ("row", "words"), [("nobody,shaft-1", "mend the file"), ("northfold,shaft-2", "all that it says is known")]
)
def test_no_code_is_asked_for_an_import_of_nothing(dry, account, row, words):
    MinerFactory(account=account, name="shaft-2")
    answer = dry(f"account,name\n{row}\n", "export.csv", kind="miners", environment="production")
    form, page = answer.context["form"], answer.content.decode()
    assert words in page
    assert "nothing was changed" in page
    assert "code" not in form.fields
    assert (form["kind"].value(), form["environment"].value()) == ("miners", "production")


def test_the_import_does_what_the_dry_run_said_and_leaves_one_event(dry, confirm, staff):
    answer = confirm(dry())
    assert counts(answer) == {"received": 3, "created": 2, "refused": 1}
    assert Miner.objects.count() == 2
    event = AuditEvent.objects.get(action="pool_data.imported")
    assert (event.actor, event.via, event.account) == (staff, "admin", None)
    assert event.data["source"] == "miners.csv"
    assert (event.data["created"], event.data["kind"], event.data["environment"]) == (2, "miners", "production")


def test_without_a_code_nothing_is_imported(dry, confirm):
    assert "code" in confirm(dry(), code="000000").context["form"].errors
    assert "code" in confirm(dry(), code="").context["form"].errors
    assert not Miner.objects.exists()


@pytest.mark.parametrize(
    "other",
    [
        {"text": CSV.replace("shaft-1", "shaft-9")},
        {"environment": "staging"},
        {"kind": "hubs"},
        {"checked": ""},
        {"checked": "forged:token"},
    ],
)
def test_only_what_the_dry_run_read_is_imported(dry, confirm, other):
    answer = confirm(dry(), **other)
    assert "dry run" in str(answer.context["form"].errors)
    assert not Miner.objects.exists()


def test_the_same_form_sent_twice_imports_once(dry, confirm, client, staff):
    first = dry()
    confirm(first)
    assert "was sent before" in confirm(first).content.decode()
    assert AuditEvent.objects.filter(action="pool_data.imported").count() == 1


def test_a_dry_run_of_somebody_else_is_no_leave_to_import(dry, confirm, staff, sign_in_as):
    other = UserFactory(is_staff=True, is_superuser=True)
    enrol(other)
    form = dry().context["form"]
    shown = {field: form[field].value() for field in ("nonce", "kind", "environment", "checked")}
    answer = sign_in_as(other).post(URL, {**shown, "file": upload(), "code": fresh_code(other)})
    assert "dry run" in str(answer.context["form"].errors)
    assert not Miner.objects.exists()


def test_ndjson_under_another_name_with_its_kind_chosen(dry, confirm):
    lines = '{"account": "northfold", "name": "shaft-1"}\n'
    assert "kind" in dry(lines, "export.ndjson").context["form"].errors
    answer = dry(lines, "export.ndjson", kind="miners", environment="staging")
    confirm(answer, lines, "export.ndjson")
    assert Miner.objects.get().environment == "staging"


@pytest.mark.parametrize(
    ("text", "name", "at"),
    [
        ("", "miners.csv", "file"),
        ("shoe,size\n1,2\n", "miners.csv", "file"),
        (b"\xff\xfem\x00", "miners.csv", "file"),
        (CSV, "miners.xlsx", "file"),
        (CSV, "shoes.csv", "kind"),
    ],
)
def test_a_file_that_can_not_be_read_is_refused_with_what_is_wrong(dry, text, name, at):
    assert at in dry(text, name).context["form"].errors


def test_no_file_and_nonsense_elsewhere_are_refused(client):
    answer = client.post(URL, {"kind": "shoes", "environment": "moon"})
    assert answer.context["form"].errors.keys() == {"file", "kind", "environment"}


def test_a_file_that_is_too_large_is_the_command_s(dry, monkeypatch):
    monkeypatch.setattr(admin_import, "MAX_BYTES", 20)
    assert "manage.py import_pool_data" in str(dry().context["form"].errors["file"])


def test_the_first_errors_are_shown_and_the_others_counted(dry):
    answer = dry("account,name\n" + "nobody,x\n" * 60)
    report = answer.context["report"]
    assert (len(report.errors), report.unshown) == (50, 10)
    assert "10 more errors" in answer.content.decode()


def test_odd_bytes_in_rows_are_errors_of_those_rows(dry):
    answer = dry(b"account,name\nnorthfold,\xff\xfe\nnorthfold,a\x00b\nnorthfold,<b>x</b>\n")
    assert counts(answer) == {"received": 3, "created": 1, "refused": 2}


def test_administrators_import_and_others_do_not(client, staff):
    staff.is_superuser = False
    staff.save()
    for group, status in (("support", 403), ("security", 403), ("administrators", 200)):
        staff.groups.set([Group.objects.get(name=group)])
        assert client.get(URL).status_code == status
        offered = "Import pool data" in client.get("/admin/entities/miner/").content.decode()
        assert offered is (status == 200)
