"""/metrics: what operators read, who may, and that it names nobody."""

from __future__ import annotations

import os
import signal
import socket
import time
import urllib.request
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import OperationalError, connection
from prometheus_client.parser import text_string_to_metric_families

from accounts import stops
from apikeys import checks, rate_limits
from apikeys.early_refusal import EarlyRefusal
from apikeys.problems import CODES
from apikeys.request_log import RequestLogWriter
from tests.security.live_server import ask, serving

TOKEN = "a-token-of-forty-characters-or-so-000000"


@pytest.fixture(autouse=True)
def fresh():
    rate_limits.start_anew()
    yield
    rate_limits.start_anew()


@pytest.fixture
def token(settings):
    settings.PITHEAD_METRICS_TOKEN = TOKEN
    return f"Bearer {TOKEN}"


@pytest.fixture
def read(client, token, db):
    """What /metrics says now: {(name, values of the labels, the last label's first): value}."""
    return lambda: numbers(client.get("/metrics", headers={"Authorization": token}).content.decode())


def numbers(text):
    families = text_string_to_metric_families(text)
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items(), reverse=True))): sample.value
        for family in families
        for sample in family.samples
    }


def requests(face, code):
    return ("pithead_requests_total", face, code)


# Who may read it


@pytest.mark.parametrize("presented", [None, "Bearer ", f"Bearer {TOKEN}"])
def test_without_a_token_in_the_settings_there_is_no_such_page(client, settings, presented):
    settings.PITHEAD_METRICS_TOKEN = ""
    headers = {"Authorization": presented} if presented else {}
    answer = client.get("/metrics", headers=headers)
    assert answer.status_code == 404
    assert b"pithead_" not in answer.content


@pytest.mark.parametrize(
    "presented",
    [None, "", "Bearer", "Bearer ", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN} ", "Bearer ключ"],
)
def test_whoever_has_not_the_token_reads_nothing(client, token, presented):
    headers = {"Authorization": presented} if presented is not None else {}
    answer = client.get("/metrics", headers=headers)
    assert (answer.status_code, answer.content) == (401, b"")
    assert answer["WWW-Authenticate"] == 'Bearer realm="metrics"'


def test_an_api_key_is_no_token(client, token, issue_key):
    _, secret = issue_key("administrator")
    assert client.get("/metrics", headers={"Authorization": f"Bearer {secret}"}).status_code == 401


def test_the_token_opens_it_and_nothing_is_kept_of_the_answer(client, token, db):
    answer = client.get("/metrics", headers={"Authorization": token})
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "no-store" in answer["Cache-Control"]
    assert TOKEN not in answer.content.decode()
    assert client.post("/metrics", headers={"Authorization": token}).status_code == 405


def test_a_short_token_is_refused_at_the_start(settings):
    settings.PITHEAD_METRICS_TOKEN = "short"
    (error,) = checks.check_metrics_token()
    assert "PITHEAD_METRICS_TOKEN" in error.msg
    settings.PITHEAD_METRICS_TOKEN = ""
    assert checks.check_metrics_token() == []


# What it says


def test_answers_are_counted_by_their_code(read, issue_key, api, client):
    _, secret = issue_key(rate_limit=2)
    before = read()
    for path in ("/api/v1/key", "/api/v1/miners/none/accruals", "/api/v1/key"):
        api(secret).get(path)
    api(secret[:-1]).get("/api/v1/key")
    api("").get("/api/v1/key")
    client.get("/gateway/verify")
    after = read()
    rise = {name: after[name] - before[name] for name in after if name[0] == "pithead_requests_total"}
    assert {name[1:]: count for name, count in rise.items() if count} == {
        ("api", "ok"): 1,
        ("api", "permission_denied"): 1,
        ("api", "rate_limited"): 1,
        ("api", "invalid_key"): 2,
        ("gateway", "missing_credentials"): 1,
    }


def test_a_key_that_is_refused_before_django_is_counted_once(read):
    before = read()
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/api/v1/key", "HTTP_AUTHORIZATION": "Bearer nonsense"}
    EarlyRefusal(lambda *_: [])(environ, lambda *_: None)
    assert read()[requests("api", "invalid_key")] == before[requests("api", "invalid_key")] + 1


def test_decisions_are_timed(read, issue_key, api, client):
    _, secret = issue_key()
    before = read()
    api(secret).get("/api/v1/key")
    client.get("/gateway/verify", headers={"Authorization": f"Bearer {secret}", "X-Pithead-Permission": "stats:read"})
    after = read()
    for face in ("api", "gateway"):
        assert after["pithead_decision_seconds_count", face] == before["pithead_decision_seconds_count", face] + 1
        assert 0 < after["pithead_decision_seconds_sum", face] - before["pithead_decision_seconds_sum", face] < 5


def test_no_label_says_whose_key_it_was_and_there_are_few(read, issue_key, api):
    """A label that a stranger can make up would fill the server's memory, and one of an account would tell on it."""
    key, secret = issue_key()
    for path in ("/api/v1/key", "/api/v1/made/up/1", "/api/v1/made/up/2"):
        api(secret).get(path)
    said = read()
    labels = {name[1:] for name in said if name[0] == "pithead_requests_total"}
    assert labels == {(face, code) for face in ("api", "gateway") for code in ("ok", "other", *CODES)}
    assert not any(part in str(name) for name in said for part in (key.key_id, "northfold", "made", secret[8:20]))
    assert len(said) < 150


def test_it_says_what_runs_and_that_the_database_answers(read):
    said = read()
    (build,) = [name for name in said if name[0] == "pithead_build_info"]
    assert connection.vendor in build
    assert said["pithead_database_up",] == 1
    assert said["pithead_restore_unconfirmed",] == 0


def test_a_database_that_is_gone_is_a_zero_and_no_error(read, monkeypatch):
    def refuse(*args, **kwargs):
        raise OperationalError("connection refused")

    with monkeypatch.context() as patch:
        patch.setattr(connection, "cursor", refuse)
        assert read()["pithead_database_up",] == 0


def test_a_restore_that_waits_is_a_one(read, monkeypatch):
    monkeypatch.setattr(stops, "undone", lambda newest: ["one"])
    assert read()["pithead_restore_unconfirmed",] == 1


def test_limits_are_shared_while_redis_answers_and_a_breaker_that_opens_is_counted(read, settings):
    assert read()["pithead_rate_limits_shared",] == bool(django_settings.REDIS_URL)
    opened = read()["pithead_redis_breaker_openings_total",]
    rate_limits.start_anew()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        settings.REDIS_URL = f"redis://127.0.0.1:{probe.getsockname()[1]}/0"
    said = read()
    assert said["pithead_rate_limits_shared",] == 0
    assert said["pithead_redis_breaker_openings_total",] == opened + 1
    assert read()["pithead_redis_breaker_openings_total",] == opened + 1, "it stays open"


def test_requests_that_the_log_had_to_drop_are_counted(read):
    before = read()["pithead_request_log_dropped_total",]
    writer = RequestLogWriter(max_waiting=2)
    for number in range(5):
        writer.note(number)
    assert read()["pithead_request_log_dropped_total",] == before + 3


# Several processes


def scrape(port):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return numbers(answer.read().decode())


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_whichever_process_is_asked_tells_of_all_of_them_and_of_none_that_died(issue_key, tmp_path, monkeypatch):
    _, secret = issue_key()
    monkeypatch.setenv("WEB_CONCURRENCY", "3")
    folder = tmp_path / "numbers"
    options = ("--config", str(django_settings.BASE_DIR / "deploy" / "gunicorn.conf.py"), "--threads", "2")
    variables = {
        "PITHEAD_METRICS_TOKEN": TOKEN,
        "PROMETHEUS_MULTIPROC_DIR": str(folder),
        "PITHEAD_REQUEST_LOG_SECONDS": "3600",
        "REDIS_URL": "",
    }
    folder.mkdir()
    (folder / "counter_1.db").write_bytes(b"left by a server before")
    with serving(tmp_path / "log", *options, workers=3, **variables) as (_, port):
        before = scrape(port)
        for _ in range(60):
            assert ask(port, secret)[0] == 200
        after = [scrape(port) for _ in range(10)]
        assert {said[requests("api", "ok")] - before[requests("api", "ok")] for said in after} == {60}
        assert {said["pithead_decision_seconds_count", "api"] for said in after} == {
            before["pithead_decision_seconds_count", "api"] + 60
        }
        assert {said["pithead_database_up",] for said in after} == {1}
        gauges = {path.name for path in folder.glob("gauge_live*.db")}
        victim = next(iter(gauges)).removesuffix(".db").rsplit("_", 1)[1]
        os.kill(int(victim), signal.SIGKILL)
        deadline = time.monotonic() + 30
        while any(victim in path.name for path in folder.glob("gauge_live*.db")):
            assert time.monotonic() < deadline, "a dead process still says how it stands"
            time.sleep(0.1)
        assert scrape(port)[requests("api", "ok")] == after[0][requests("api", "ok")], "what it counted stays"


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_the_folder_of_the_numbers_makes_itself_and_goes_with_the_server(tmp_path, monkeypatch):
    def ours():
        return set(Path("/dev/shm").glob("pithead-metrics-*"))  # noqa: S108

    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    before = ours()
    options = ("--config", str(django_settings.BASE_DIR / "deploy" / "gunicorn.conf.py"))
    with serving(tmp_path / "log", *options, workers=2, PITHEAD_METRICS_TOKEN=TOKEN) as (_, port):
        assert scrape(port)["pithead_database_up",] == 1
        made = ours() - before
        assert made
    assert not (ours() & made)
