"""The request log: what is noted of a request, and that it is written once, whatever else goes on."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.audit import Actor
from accounts.models import Account
from apikeys import key_format, lifecycle, request_log, request_rows
from apikeys.models import ApiKey, ApiKeySecret, RequestLog, UsageHour, UsageTotal
from apikeys.request_log import RequestLogWriter
from apikeys.request_rows import Entry
from tests.factories import MinerFactory
from tests.security.racing import race
from tests.security.test_database_gone import no_database

COMMAND = Actor.for_command("tests")
SQLITE = connection.vendor == "sqlite"


def make_entry(key: ApiKey, **fields) -> Entry:
    of_key = {"account_id": key.account_id, "key_pk": key.pk, "secret_pk": key.secrets.latest("created_at").pk}
    defaults = {
        "at": timezone.now(),
        "address": "203.0.113.7",
        "method": "GET",
        "route": "/api/v1/miners",
        "status": 200,
        "code": "",
        "duration_ms": 12,
        "request_id": "req_0123456789abcdef",
    }
    return Entry(**{**of_key, **defaults, **fields})


# What is noted


def test_a_request_is_written_with_its_facts_and_the_routes_pattern(account, issue_key, api):
    key, secret = issue_key()
    miner = MinerFactory(account=account)
    before = timezone.now()
    answer = api(secret).get(f"/api/v1/miners/{miner.pk}", REMOTE_ADDR="::ffff:203.0.113.7")
    assert answer.status_code == 200
    assert not RequestLog.objects.exists(), "nothing is written during the request"
    assert request_log.flush()
    row = RequestLog.objects.get()
    assert (row.key, row.account, row.secret) == (key, account, key.secrets.get())
    assert (row.method, row.route, row.status, row.code) == ("GET", "/api/v1/miners/{miner_id}", 200, "")
    assert (row.address, row.request_id) == ("203.0.113.7", answer["X-Request-Id"])
    assert before <= row.at <= timezone.now()
    assert 0 <= row.duration_ms < 10_000


def test_the_path_and_its_parameters_are_not_written(issue_key, api):
    _, secret = issue_key()
    part = secret[8:40]  # of a whole one nothing is written: tests/security/test_logs_leak_nothing.py
    for path in (f"/api/v1/miners/{part}", f"/api/v1/miners?search={part}", f"/api/v1/{part}", "/api/v1/x\x00"):
        api(secret).get(path)
    request_log.flush()
    routes = RequestLog.objects.order_by("pk").values_list("route", flat=True)
    assert list(routes) == ["/api/v1/miners/{miner_id}", "/api/v1/miners", "/api/v1/*", "/api/v1/*"]


REFUSED = {
    "key_disabled": lambda key: lifecycle.disable(key, actor=COMMAND),
    "key_revoked": lambda key: lifecycle.revoke(key, actor=COMMAND, reason="leaked"),
    "key_expired": lambda key: ApiKey.objects.update(expires_at=timezone.now()),
    "account_suspended": lambda key: Account.objects.update(suspended_at=timezone.now()),
    "address_not_allowed": lambda key: ApiKey.objects.update(allowed_cidrs=["192.0.2.0/24"]),
    "wrong_environment": lambda key: ApiKey.objects.update(environment="staging"),
    "permission_denied": lambda key: ApiKey.objects.update(access_level="accountant"),
}


@pytest.mark.parametrize("code", REFUSED)
def test_a_refusal_of_the_right_secret_is_written_with_its_code(issue_key, api, code):
    key, secret = issue_key()
    REFUSED[code](key)
    answer = api(secret).get("/api/v1/workers/stats")
    assert answer.json()["code"] == code
    request_log.flush()
    row = RequestLog.objects.get()
    assert (row.key_id, row.status, row.code) == (key.pk, answer.status_code, code)
    assert row.route == "/api/v1/workers/stats"
    assert UsageHour.objects.values_list("requests", "refused").get() == (1, 1)
    assert key.secrets.get().last_used_address == "127.0.0.1"


@pytest.mark.parametrize(
    ("proxies", "socket", "forwarded", "named"),
    [
        (0, "198.51.100.7", "192.0.2.1", "198.51.100.7"),
        (0, "::ffff:198.51.100.7", "", "198.51.100.7"),
        (0, "2001:DB8::0:7", "", "2001:db8::7"),
        (1, "10.0.0.9", "192.0.2.1, ::ffff:198.51.100.7", "198.51.100.7"),
        (2, "10.0.0.9", "192.0.2.1, 2001:db8::7, 10.0.0.8", "2001:db8::7"),
    ],
)
def test_a_refused_address_is_told_to_the_holder_and_stands_in_the_log(
    issue_key, api, settings, proxies, socket, forwarded, named
):
    settings.PITHEAD_TRUSTED_PROXIES = proxies
    _, secret = issue_key(allowed_cidrs=["192.0.2.0/24"])
    answer = api(secret).get("/api/v1/key", REMOTE_ADDR=socket, HTTP_X_FORWARDED_FOR=forwarded)
    assert (answer.status_code, answer.json()["code"]) == (403, "address_not_allowed")
    assert answer.json()["detail"] == f"This key may not be used from {named}."
    request_log.flush()
    assert RequestLog.objects.values_list("code", "address").get() == ("address_not_allowed", named)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("get", "/api/v1/miners?nonsense=1", 400, "invalid_request"),
        ("get", "/api/v1/miners/none", 404, "not_found"),
        ("delete", "/api/v1/miners", 405, "method_not_allowed"),
    ],
)
def test_what_a_key_asked_wrongly_is_written_too(issue_key, api, method, path, status, code):
    _, secret = issue_key("administrator")
    assert getattr(api(secret), method)(path).status_code == status
    request_log.flush()
    row = RequestLog.objects.get()
    assert (row.method, row.status, row.code) == (method.upper(), status, code)


def test_a_crash_is_written_as_what_the_caller_was_answered(issue_key, api, monkeypatch):
    _, secret = issue_key()
    client = api(secret)
    client.raise_request_exception = False
    monkeypatch.setattr("apikeys.api.whoami.KeyScope.objects", None)
    assert client.get("/api/v1/key").status_code == 500
    request_log.flush()
    assert RequestLog.objects.values_list("status", "code").get() == (500, "internal_error")


def test_what_presents_no_right_secret_is_no_keys_request(issue_key, api, client):
    _, secret = issue_key()
    unknown = key_format.generate("production", prefix="ph").text
    body = secret[:21] + unknown[21:-6]
    wrong = body + key_format.checksum(body)
    assert wrong[:21] == secret[:21]
    for text in (unknown, wrong, secret[:-1], "nonsense"):
        assert api(text).get("/api/v1/key").json()["code"] == "invalid_key"
    client.get("/api/v1/key")
    client.get("/healthz")
    assert request_log._writer.waiting == 0


def test_which_of_two_secrets_was_used_is_told_apart(issue_key, api):
    key, old = issue_key()
    new = lifecycle.rotate(key, actor=COMMAND)
    api(old).get("/api/v1/key", REMOTE_ADDR="203.0.113.1")
    api(new).get("/api/v1/key", REMOTE_ADDR="203.0.113.2")
    request_log.flush()
    used = {secret.last_used_address for secret in key.secrets.all()}
    assert used == {"203.0.113.1", "203.0.113.2"}
    assert RequestLog.objects.values("secret").distinct().count() == 2


# How it is written


def test_usage_is_added_up_by_the_hour(issue_key):
    key, _ = issue_key()
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    for _ in range(2):
        writer = RequestLogWriter()
        writer.note(make_entry(key, at=hour))
        writer.note(make_entry(key, at=hour + timedelta(minutes=59, seconds=59.9), status=429, code="rate_limited"))
        writer.note(make_entry(key, at=hour - timedelta(seconds=1)))
        assert writer.flush()
    rows = UsageHour.objects.order_by("hour").values_list("key", "hour", "requests", "refused")
    assert list(rows) == [(key.pk, hour - timedelta(hours=1), 2, 0), (key.pk, hour, 4, 2)]
    totals = UsageTotal.objects.order_by("hour").values_list("hour", "requests", "refused")
    assert list(totals) == [(hour - timedelta(hours=1), 2, 0), (hour, 4, 2)]


def test_the_last_use_never_goes_backwards(issue_key):
    key, _ = issue_key()
    now = timezone.now()
    for seconds, address in ((0, "203.0.113.1"), (-60, "203.0.113.2")):
        writer = RequestLogWriter()
        writer.note(make_entry(key, at=now + timedelta(seconds=seconds), address=address))
        writer.note(make_entry(key, at=now + timedelta(seconds=seconds - 1), address="203.0.113.9"))
        writer.flush()
    secret = key.secrets.get()
    assert (secret.last_used_at, secret.last_used_address) == (now, "203.0.113.1")
    key.refresh_from_db()
    assert key.last_used_at == now


def test_a_deleted_keys_requests_are_forgotten_and_take_no_other_along(issue_key):
    gone, stays = issue_key()[0], issue_key()[0]
    writer = RequestLogWriter()
    for key in (stays, gone, stays):
        writer.note(make_entry(key))
    Account.objects.update(permanent_delete=True)
    lifecycle.revoke(gone, actor=COMMAND, reason="other")
    lifecycle.delete(gone, actor=COMMAND)
    assert writer.flush()
    assert set(RequestLog.objects.values_list("key", flat=True)) == {stays.pk}
    assert RequestLog.objects.count() == 2
    assert writer.waiting == 0


def test_a_row_that_the_database_refuses_takes_no_other_along(issue_key, caplog):
    key, _ = issue_key()
    writer = RequestLogWriter()
    for number in range(9):
        writer.note(make_entry(key, duration_ms=-1 if number == 5 else number))
    assert writer.flush()
    assert sorted(RequestLog.objects.values_list("duration_ms", flat=True)) == [0, 1, 2, 3, 4, 6, 7, 8]
    assert UsageHour.objects.get().requests == 8
    assert [record.levelname for record in caplog.records if record.name == "apikeys.request_log"] == ["ERROR"]


def test_where_too_many_wait_the_oldest_go_and_it_is_said_once(issue_key, caplog):
    key, _ = issue_key()
    writer = RequestLogWriter(max_waiting=3)
    for number in range(8):
        writer.note(make_entry(key, duration_ms=number))
    assert (writer.waiting, writer.dropped) == (3, 5)
    assert len(caplog.messages) == 1
    writer.flush()
    assert sorted(RequestLog.objects.values_list("duration_ms", flat=True)) == [5, 6, 7]
    assert caplog.messages[1:] == ["The request log is written again; 5 requests were dropped."]
    assert writer.dropped == 0


def test_many_requests_are_few_statements(issue_key):
    key, _ = issue_key()
    writer = RequestLogWriter()
    for _ in range(request_log.BATCH):
        writer.note(make_entry(key))
    with CaptureQueriesContext(connection) as captured:
        writer.flush()
    assert RequestLog.objects.count() == request_log.BATCH
    assert len(captured) <= 10


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_without_a_database_requests_wait_and_are_written_when_it_is_back(issue_key, caplog):
    key, _ = issue_key()
    writer = RequestLogWriter(max_waiting=4)
    for number in range(3):
        writer.note(make_entry(key, duration_ms=number))
    later = [make_entry(key, duration_ms=number) for number in (3, 4)]
    with no_database():
        assert not writer.flush()
        assert not writer.flush()
        assert writer.waiting == 3
        for entry in later:
            writer.note(entry)
        assert not writer.flush()
        assert (writer.waiting, writer.dropped) == (4, 1)
    assert writer.flush()
    assert sorted(RequestLog.objects.values_list("duration_ms", flat=True)) == [1, 2, 3, 4]
    said = [record.getMessage() for record in caplog.records if record.name == "apikeys.request_log"]
    assert len(said) == 3, said  # it fails, it is full, it works again


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_while_somebody_changes_a_key_its_requests_wait_for_the_next_turn(issue_key, monkeypatch):
    """On SQLite the whole database is theirs meanwhile."""
    monkeypatch.setattr(request_log, "HELD_TRIES", 1)
    changed, other = issue_key()[0], issue_key()[0]
    writer = RequestLogWriter()
    entries = [make_entry(changed), make_entry(other)]

    def meanwhile():
        if SQLITE:
            with connection.cursor() as cursor:
                cursor.execute("PRAGMA busy_timeout = 50")
        for entry in entries:
            writer.note(entry)
        return writer.flush(), writer.waiting

    with transaction.atomic():
        ApiKey.objects.select_for_update().get(pk=changed.pk)
        ApiKeySecret.objects.filter(key=changed).update(retires_at=timezone.now())
        assert race([meanwhile]) == [(False, 2) if SQLITE else (True, 1)]
    assert writer.flush()
    assert set(RequestLog.objects.values_list("key", flat=True)) == {changed.pk, other.pk}
    assert RequestLog.objects.count() == 2


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_processes_that_write_about_the_same_keys_lose_no_count_and_hinder_no_change(issue_key):
    keys = [issue_key()[0] for _ in range(6)]
    at = timezone.now()
    writers = [RequestLogWriter() for _ in range(4)]

    def write(writer, order):
        for _ in range(10):
            for key in order:
                writer.note(make_entry(key, at=at))
            assert writer.flush()
        while writer.waiting:
            assert writer.flush()

    def change():
        for key in keys[:3] * 3:
            lifecycle.regenerate(key, actor=COMMAND)

    calls = [lambda w=writer, o=keys[::step]: write(w, o) for writer, step in zip(writers, (1, -1, 1, -1), strict=True)]
    assert race([*calls, change]) == [None] * 5
    assert set(UsageHour.objects.values_list("requests", flat=True)) == {40}
    assert RequestLog.objects.count() == 240


def test_a_forked_process_leaves_to_its_parent_what_its_parent_noted(issue_key):
    key, _ = issue_key()
    request_log.note(make_entry(key))
    child = os.fork()
    if child == 0:
        os._exit(request_log._writer.waiting)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert request_log._writer.waiting == 1


def test_the_suite_has_no_thread_that_writes(issue_key, api):
    _, secret = issue_key()
    api(secret).get("/api/v1/key")
    assert request_log._writer.waiting == 1
    assert request_log._writer._thread is None


# How long it is kept


def test_old_rows_are_removed_in_portions(issue_key, settings, monkeypatch):
    settings.PITHEAD_REQUEST_LOG_DAYS = 10
    monkeypatch.setattr(request_rows, "PORTION", 2)
    key, _ = issue_key()
    now = timezone.now().replace(minute=5)  # the days below lie in ten different hours
    days = (0, 9.99, 10.01, 11, 50, 60, 399, 401, 402, 500)
    request_rows.write([make_entry(key, at=now - timedelta(days=back)) for back in days])
    monkeypatch.setattr(request_rows, "AT_ONCE", 6)
    assert request_rows.remove_old_requests(now) == 6, "the rest is for the next turn"
    assert request_rows.remove_old_requests(now) == 2
    assert request_rows.remove_old_usage(now) == 3
    assert min(RequestLog.objects.values_list("at", flat=True)) == now - timedelta(days=9.99)
    assert UsageHour.objects.count() == 7
    assert request_rows.remove_old_requests(now) == request_rows.remove_old_usage(now) == 0
