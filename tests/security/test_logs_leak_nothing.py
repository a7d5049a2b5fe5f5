"""A crash with a key in its header, body, message and locals writes it to no log, mail or answer."""

from __future__ import annotations

import io
import logging

import pytest
import structlog
from django.core import mail
from django.test import Client

from apikeys import key_format, registered
from apikeys.redaction import RedactKeys, redact
from tests.factories import MinerFactory

pytestmark = pytest.mark.urls("tests.security.crashing_urls")


@pytest.fixture(params=["json", "console"])
def log(request):
    """What the server's own handler writes, in production's form and in development's."""
    handler = next(h for h in logging.getLogger().handlers if any(isinstance(f, RedactKeys) for f in h.filters))
    stream, formatter = io.StringIO(), handler.formatter
    before = handler.setStream(stream)
    if request.param == "console":
        handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=structlog.dev.ConsoleRenderer(colors=False)))
    yield stream
    handler.setStream(before)
    handler.setFormatter(formatter)


def crash(path, secret):
    client = Client(raise_request_exception=False)
    body = f'{{"key": "{secret}", "line": "one\\n{secret}"}}'
    return client.post(path, body, content_type="application/json", HTTP_AUTHORIZATION=f"Bearer {secret}")


@pytest.mark.parametrize("path", ["/crash/page", "/api/v1/crash", "/crash/{secret}?key={secret}"])
def test_a_crash_leaves_no_key_in_log_mail_or_answer(issue_key, settings, log, capfd, path):
    settings.ADMINS = [("Stina", "stina@example.com")]
    _, secret = issue_key()
    # A whole key in an address is refused before any view: what crashes on has one that was mistyped there.
    mistyped = secret[:-1] + ("0" if secret[-1] != "0" else "1")
    answer = crash(path.format(secret=mistyped), secret)
    assert answer.status_code == 500
    written = log.getvalue()
    assert "no row for KEY_ph_[redacted]" in written, "the crash is logged, with its message"
    assert "Traceback (most recent call last)" in written
    assert "in crash" in written
    assert "about to crash with ph_[redacted]" in written
    for sink in (written, answer.text, repr([vars(message) for message in mail.outbox]), *capfd.readouterr()):
        assert secret not in sink
        assert secret[20:63] not in sink
        assert secret[9:] not in sink


def test_a_crash_on_the_way_of_an_old_key_of_support_s_leaves_none_of_it(db, settings, log, monkeypatch):
    """It has no format to be masked by, so nothing that we write may hold it."""
    settings.ADMINS = [("Stina", "stina@example.com")]
    old = "zq-7Kd93jsLq02x-Export"

    def fail(name):
        raise RuntimeError("the database is out of its mind")

    monkeypatch.setattr("apikeys.registered.find_key_named", fail)
    client = Client(raise_request_exception=False)
    answer = client.get("/api/v1/key", HTTP_AUTHORIZATION=f"Bearer {old}")
    assert answer.status_code == 500
    mailed = repr([vars(message) for message in mail.outbox])
    assert "out of its mind" in log.getvalue()
    for sink in (log.getvalue(), answer.text, mailed):
        assert old not in sink
        assert old[4:12] not in sink
    logging.getLogger("x").warning("sent %r", {"Authorization": f"Bearer {old}"})
    assert old not in log.getvalue()


@pytest.mark.parametrize("place", ["apikeys.registered.find_key_named", "apikeys.verification.request_log.note"])
def test_a_crash_while_a_key_is_verified_for_a_service_leaves_none_of_it(
    issue_key, make_role, register_key, account, settings, log, monkeypatch, place
):
    """Neither of a key of ours nor of an old one: whatever we write, it came in a body."""
    settings.ADMINS = [("Stina", "stina@example.com")]
    old = "zq-7Kd93jsLq02x-Export"
    register_key(old, [MinerFactory(account=account)])
    _, ours = issue_key()
    _, caller = issue_key("custom", role=make_role("verify:use", name="Verifier"))
    registered.start_anew()

    def fail(*args):
        raise RuntimeError(f"out of its mind over {args and args[0]!r}")

    monkeypatch.setattr(place, fail)
    for secret in (old, ours):
        answer = Client(raise_request_exception=False).post(
            "/api/v1/verify",
            {"key": secret, "permission": "entities:read", "method": "GET"},
            content_type="application/json",
            HTTP_AUTHORIZATION=f"Bearer {caller}",
        )
        assert answer.status_code == (500 if secret == old or "note" in place else 200)
        mailed = repr([vars(message) for message in mail.outbox])
        for sink in (log.getvalue(), answer.text, mailed):
            assert secret not in sink
            assert secret[-12:] not in sink
    assert "out of its mind" in log.getvalue()


def test_a_key_in_a_path_or_query_is_not_logged(issue_key, log):
    _, secret = issue_key()
    assert Client().get(f"/nowhere/{secret}", {"key": secret}).status_code == 400
    assert Client().get(f"/api/v1/{secret}", {"key": secret}).status_code == 400
    logging.getLogger("django.request").error("Internal Server Error: %s", f"/x/{secret}")
    assert "[redacted]" in log.getvalue()
    assert secret not in log.getvalue()


class Careless:
    def __init__(self, secret):
        self.secret = secret

    def __repr__(self):
        return f"<Careless {self.secret}>"


@pytest.mark.parametrize(
    "write",
    [
        lambda logger, s: logger.info(s),
        lambda logger, s: logger.info("%s", s),
        lambda logger, s: logger.info("%r", {"a": [s]}),
        lambda logger, s: logger.info("%(a)s", {"a": s}),
        lambda logger, s: logger.info({"a": {"b": [s, (s,)], s: 1}}),
        lambda logger, s: logger.info({"a": Careless(s)}),
        lambda logger, s: logger.info({"a": s.encode()}),
        lambda logger, s: logger.info({"a": {s}}),
        lambda logger, s: logger.info(Careless(s)),
        lambda logger, s: logger.info("%s", Careless(s)),
        lambda logger, s: logger.info(b"bytes " + s.encode()),
        lambda logger, s: logger.info("x", stack_info=True, extra={"secret": s}),
        lambda logger, s: logger.info("x", exc_info=ValueError(s)),
        lambda logger, s: logger.info("x%20" + s),
        lambda logger, s: logger.info(repr("\n" + s)),
    ],
)
def test_whatever_way_a_key_is_logged_it_is_not_written(log, write):
    secret = key_format.generate("production", prefix="ph").text
    write(logging.getLogger("apikeys"), secret)
    assert log.getvalue()
    assert secret[20:63] not in log.getvalue()


@pytest.mark.parametrize("write", [("%d", "{}"), ("%s %s", "{}"), ("100 %", "{}")])
def test_a_badly_formatted_log_line_neither_crashes_nor_leaks(log, capfd, write):
    secret = key_format.generate("production", prefix="ph").text
    template, argument = write
    logging.getLogger("apikeys").info(template, argument.format(secret))
    assert template in log.getvalue()
    for sink in (log.getvalue(), *capfd.readouterr()):
        assert secret[20:63] not in sink


def test_what_is_no_key_is_left_alone():
    text = "key_7GkQ2mZp4XbT ph_live_7GkQ2m•••• graph_liveness /api/v1/key 12345"
    assert redact(text) == text
