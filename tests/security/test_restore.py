"""A backup that is put back brings no revoked key to life: nothing is served until somebody has decided."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from accounts import stops, suspension
from accounts.audit import Actor
from accounts.models import AuditEvent, WrappedKey
from apikeys import lifecycle, signing
from apikeys.edits import Changes
from apikeys.management.commands.confirm_restore import Command
from apikeys.models import ApiKey, SigningKey
from apikeys.restore_guard import RestoreGuard
from tests.security.backups import Backup
from tests.security.live_server import ask, serving

pytestmark = [pytest.mark.race, pytest.mark.django_db(transaction=True)]

COMMAND = Actor.for_command("tests")


@pytest.fixture
def file(tmp_path, settings):
    path = tmp_path / "state" / "stops.ndjson"
    settings.PITHEAD_STOPS_FILE = str(path)
    yield path
    stops._whole = False


@pytest.fixture
def back_up(tmp_path):
    """Take a backup of what there is by now."""

    def take():
        stops.require_whole()  # as every server does that starts
        return Backup(tmp_path)

    return take


def confirm(*options):
    """Run the command; return its exit code and what it said."""
    out = StringIO()
    try:
        call_command("confirm_restore", *options, stdout=out)
    except CommandError as error:
        return error.returncode, f"{out.getvalue()}{error}"
    return 0, out.getvalue()


def code_of(client):
    return client.get("/api/v1/key").json().get("code", "ok")


# What is remembered


def test_the_first_start_makes_the_file_and_is_not_bothered(file):
    stops.require_whole()
    assert file.read_text() == ""
    assert file.stat().st_mode & 0o777 == 0o600
    assert stops.is_whole()
    assert confirm() == (0, "Nothing that was stopped is missing from this database.\n")


def test_a_stop_stands_in_the_file_once_it_is_committed_and_says_no_name(file, issue_key):
    key, secret = issue_key(name="Customer Zero")
    assert not file.exists(), "a new key closes no door"
    lifecycle.edit(key, Changes(name="Customer One"), actor=COMMAND)
    assert not file.exists(), "neither does its name"
    lifecycle.revoke(key, actor=COMMAND, reason="leaked", note="found by Zoe")
    (line,) = file.read_text().splitlines()
    told = json.loads(line)
    assert (told["action"], told["target"], told["data"]) == ("key.revoked", key.key_id, {"reason": "leaked"})
    for private in ("Customer", "Zoe", secret, "Northfold"):
        assert private not in line


def test_what_is_rolled_back_is_not_remembered(file, issue_key):
    key, _ = issue_key()
    with transaction.atomic():
        lifecycle.disable(key, actor=COMMAND)
        transaction.set_rollback(True)
    assert not file.exists()


def test_a_file_that_cant_be_written_stops_no_revocation_and_is_told(settings, tmp_path, issue_key, caplog):
    (tmp_path / "in the way").write_text("")
    settings.PITHEAD_STOPS_FILE = str(tmp_path / "in the way" / "stops.ndjson")
    key, _ = issue_key()
    lifecycle.revoke(key, actor=COMMAND, reason="leaked")
    assert ApiKey.objects.get().status == "revoked"
    assert "a restore that undoes key.revoked" in caplog.text
    with pytest.raises(stops.NotKnown, match="PITHEAD_STOPS_FILE"):
        stops.require_whole()


def test_the_file_keeps_the_newest_and_no_more_than_it_should(file, issue_key, monkeypatch):
    monkeypatch.setattr(stops, "KEPT", 5)
    key, _ = issue_key()
    for _ in range(4):
        lifecycle.disable(key, actor=COMMAND)
        lifecycle.enable(key, actor=COMMAND)
    lines = file.read_text().splitlines()
    assert len(lines) == 5
    newest = AuditEvent.objects.filter(action="key.enabled").order_by("-at").first()
    assert json.loads(lines[-1])["event"] == str(newest.pk)


def test_a_machine_that_starts_learns_what_another_one_stopped(file, issue_key, settings, tmp_path, back_up):
    key, _ = issue_key()
    backup = back_up()
    settings.PITHEAD_STOPS_FILE = str(tmp_path / "other machine.ndjson")
    lifecycle.revoke(key, actor=COMMAND, reason="leaked")
    settings.PITHEAD_STOPS_FILE = str(file)
    assert "key.revoked" not in file.read_text()
    stops.require_whole()
    assert "key.revoked" in file.read_text()
    backup.restore()
    with pytest.raises(stops.Restored):
        stops.require_whole()


@pytest.mark.parametrize("content", ["nonsense\n", '{"some": "json"}\n', "[1]\n"])
def test_a_file_that_is_damaged_is_told_and_serves_nobody(file, content, client):
    file.parent.mkdir()
    file.write_text(content)
    with pytest.raises(stops.NotKnown, match="holds something that Pithead did not write"):
        stops.require_whole()
    assert confirm()[0] == 2
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["database"]) == (503, "not checked for a restore")


# A restore


def test_a_revoked_key_that_a_restore_brought_back_opens_nothing_until_it_is_decided(
    file, back_up, issue_key, api, client
):
    key, secret = issue_key()
    backup = back_up()
    lifecycle.revoke(key, actor=COMMAND, reason="leaked")
    assert client.get("/readyz").status_code == 200
    backup.restore()
    assert ApiKey.objects.get().status == "active", "nothing was restored"

    with pytest.raises(stops.Restored, match="confirm_restore"):
        stops.require_whole()
    assert not stops.is_whole()
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["database"]) == (503, "restored, not confirmed")

    code, said = confirm()
    assert code == 1
    assert f"key.revoked of apikey {key.key_id}, northfold, now active: viewer key" in said
    assert ApiKey.objects.get().status == "active", "a report changes nothing"

    code, said = confirm("--revoke")
    assert code == 0
    assert f"{key.key_id}: revoked (northfold)" in said
    assert code_of(api(secret)) == "key_revoked"
    assert ApiKey.objects.get().revoke_reason == "leaked"
    stops.require_whole()
    assert client.get("/readyz").status_code == 200
    decided = AuditEvent.objects.get(action=stops.CONFIRMED)
    assert decided.data["stopped_again"] is True
    assert AuditEvent.objects.get(action="key.revoked").via == "command"
    assert confirm()[0] == 0


def test_whoever_accepts_the_restored_database_serves_it_as_it_is_and_is_written_down(file, back_up, issue_key, api):
    key, secret = issue_key()
    backup = back_up()
    lifecycle.revoke(key, actor=COMMAND, reason="unneeded")
    backup.restore()
    assert confirm("--accept")[0] == 0
    stops.require_whole()
    assert code_of(api(secret)) == "ok"
    assert AuditEvent.objects.get(action=stops.CONFIRMED).data["stopped_again"] is False
    # The same backup once more undoes the decision, too.
    backup.restore()
    with pytest.raises(stops.Restored):
        stops.require_whole()


def test_everything_that_was_stopped_is_stopped_anew_in_the_same_way(file, back_up, account, other_account, issue_key):
    keys = {name: issue_key(name=name)[0] for name in ("revoked", "off", "off and on", "replaced", "rotated", "free")}
    elsewhere, _ = issue_key(account=other_account)
    backup = back_up()
    lifecycle.revoke(keys["revoked"], actor=COMMAND, reason="left")
    for name in ("off", "off and on"):
        lifecycle.disable(keys[name], actor=COMMAND)
    lifecycle.enable(keys["off and on"], actor=COMMAND)
    lifecycle.regenerate(keys["replaced"], actor=COMMAND)
    lifecycle.rotate(keys["rotated"], actor=COMMAND)
    signing.retire(SigningKey.objects.get(account=other_account), actor=COMMAND)
    suspension.suspend(account, actor=COMMAND, reason="Unpaid")
    backup.restore()
    assert {key.status for key in ApiKey.objects.all()} == {"active"}

    assert confirm("--revoke")[0] == 0
    assert {name: ApiKey.objects.get(pk=key.pk).status for name, key in keys.items()} == {
        "revoked": "revoked",
        "off": "disabled",
        "off and on": "active",
        "replaced": "disabled",
        "rotated": "disabled",
        "free": "active",
    }
    assert ApiKey.objects.get(pk=elsewhere.pk).status == "without_secret"
    account.refresh_from_db()
    assert account.suspended_at is not None


def test_a_restore_that_undid_no_stop_bothers_nobody(file, back_up, issue_key):
    first, _ = issue_key()
    lifecycle.revoke(first, actor=COMMAND, reason="unneeded")
    backup = back_up()
    issue_key()
    backup.restore()
    stops.require_whole()


def test_what_was_made_after_the_backup_is_told_to_be_gone(file, back_up, issue_key):
    back_up_before = back_up()
    key, _ = issue_key()
    lifecycle.revoke(key, actor=COMMAND, reason="leaked")
    back_up_before.restore()
    code, said = confirm("--revoke")
    assert code == 0
    assert f"{key.key_id}: not in this database" in said


def test_an_emptied_database_is_a_new_one_and_no_restored_one(file, issue_key):
    """What the file knows is of a database that is gone: the demo made anew, another database by the same name."""
    stops.require_whole()
    key, _ = issue_key()
    lifecycle.revoke(key, actor=COMMAND, reason="leaked")
    call_command("flush", interactive=False, verbosity=0)
    stops.require_whole()
    assert file.read_text().count("key.revoked") == 1


def test_rows_taken_out_in_sql_are_found_like_a_restore(file, issue_key):
    stops.require_whole()
    key, _ = issue_key()
    lifecycle.revoke(key, actor=COMMAND, reason="leaked")
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM accounts_auditevent WHERE action = 'key.revoked'")
        cursor.execute("UPDATE apikeys_apikey SET revoked_at = NULL")
    with pytest.raises(stops.Restored):
        stops.require_whole()


def test_other_master_keys_make_no_other_database_of_it(file, back_up, issue_key, settings):
    key, _ = issue_key()
    backup = back_up()
    lifecycle.revoke(key, actor=COMMAND, reason="leaked")
    backup.restore()
    settings.PITHEAD_MASTER_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(stops.Restored):
        stops.require_whole()


# The server


def call(guard, path):
    """Ask through the layer: status, headers, body."""
    told = {}

    def start_response(status, headers):
        told.update(status=status, headers=dict(headers))

    body = b"".join(guard({"PATH_INFO": path}, start_response))
    return told["status"], told["headers"], body


def works(environ, start_response):
    start_response("200 OK", [])
    return [b"served"]


def test_a_server_that_started_without_its_database_asks_before_it_serves(file, back_up, issue_key, monkeypatch):
    key, _ = issue_key()
    backup = back_up()
    lifecycle.revoke(key, actor=COMMAND, reason="leaked")
    backup.restore()
    stops._whole = False

    guard = RestoreGuard(works)

    def gone():
        raise DatabaseError

    with monkeypatch.context() as patch:
        patch.setattr(stops, "require_whole", gone)
        guard.require_whole()  # a database that is down is no reason not to start …
        assert call(guard, "/api/v1/key")[0] == "503 Service Unavailable"  # … and serves nobody
    status, headers, body = call(guard, "/staging/api/v1/miners")
    assert (status, headers["Content-Type"]) == ("503 Service Unavailable", "application/problem+json")
    assert json.loads(body)["code"] == "unavailable"
    assert int(headers["Retry-After"]) > 0
    status, headers, _ = call(guard, "/gateway/verify")
    assert (status, headers["X-Pithead-Code"]) == ("403 Forbidden", "unavailable")
    assert call(guard, "/a/northfold/access/api-keys/")[0] == "503 Service Unavailable"
    assert call(guard, "/healthz")[2] == b"served"

    confirm("--accept")
    assert call(guard, "/api/v1/key")[2] == b"served", "it goes on by itself"


def test_a_server_under_which_the_database_is_put_back_stops_once_it_is_asked_whether_it_is_ready(
    file, back_up, issue_key, client
):
    key, _ = issue_key()
    backup = back_up()
    lifecycle.revoke(key, actor=COMMAND, reason="leaked")
    stops.require_whole()
    guard = RestoreGuard(works)
    backup.restore()
    assert client.get("/readyz").status_code == 503
    assert call(guard, "/api/v1/key")[0] == "503 Service Unavailable"


def test_a_real_server_refuses_to_start_on_a_restored_database_and_says_what_to_do(file, back_up, issue_key, tmp_path):
    key, secret = issue_key()
    backup = back_up()
    lifecycle.revoke(key, actor=COMMAND, reason="leaked")
    backup.restore()
    log = tmp_path / "log"
    with (
        pytest.raises(AssertionError, match="did not start"),
        serving(log, workers=1, PITHEAD_STOPS_FILE=str(file)),
    ):
        pass
    told = log.read_text()
    assert "was put back to an earlier state" in told
    assert "python manage.py confirm_restore" in told
    assert secret not in told
    assert confirm("--revoke")[0] == 0
    with serving(log, workers=1, PITHEAD_STOPS_FILE=str(file)) as (_, port):
        status, body = ask(port, secret)
    assert (status, "key_revoked" in body) == (401, True)


def test_the_command_explains_itself():
    help_text = Command().create_parser("manage.py", "confirm_restore").format_help()
    for words in ("--revoke", "--accept", "PITHEAD_STOPS_FILE", "Exit codes"):
        assert words in help_text


def test_nothing_is_kept_where_the_setting_is_empty(settings, issue_key):
    settings.PITHEAD_STOPS_FILE = ""
    key, _ = issue_key()
    lifecycle.revoke(key, actor=COMMAND, reason="leaked")
    stops.require_whole()
    assert confirm()[0] == 2
    assert not WrappedKey.objects.filter(name="database").exists()
