"""The ways in for leaked keys: the public page, and GitHub's signed reports."""

from __future__ import annotations

import base64
import hashlib
import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import BoundedSemaphore, Thread

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.core.cache import cache
from django.test import Client

from apikeys import registered
from apikeys.integrations import github
from apikeys.models import ApiKey
from apikeys.web import leaks as pages
from tests.factories import MinerFactory

PAGE = "/report-leak/"
OLD = "nf-7Kd93jsLq02x-Export"
GITHUB = "/integrations/github/secret-scanning"
#: GitHub's own example, from its documentation.
EXAMPLE_KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE9MJJHnMfn2+H4xL4YaPDA4RpJqUqkCmRCBnYERxZanmcpzQSXs1X/AljlKkbJ8qpVIW4clayyef9"
    "gWhFbNHWAA=="
)
EXAMPLE_BODY = b'[{"token":"some_token","type":"some_type","url":"some_url"}]'
EXAMPLE_SIGNATURE = "MEUCIQDKZokqnCjrRtw0tni+2Ltvl/uiMJ1EGumEsp1BsNr32AIgQY1YXD2nlj+XNfGK4rBfkMJ1JDOQcYXxa2sY8FNkrKc="


@pytest.fixture(autouse=True)
def no_attempts():
    cache.clear()
    github.public_keys.start_anew()


class Keys:
    """A server of public keys, as GitHub's: what it answers is changed by the test."""

    def __init__(self):
        self.private = ec.generate_private_key(ec.SECP256R1())
        pem = self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        self.rows = [{"key_identifier": "abc", "key": pem}, {"key_identifier": "example", "key": EXAMPLE_KEY}]
        self.status, self.asked = 200, 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked += 1
                self.send_response(outer.status)
                self.end_headers()
                self.wfile.write(json.dumps({"public_keys": outer.rows}).encode())

            def log_message(self, *args):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/keys"

    def sign(self, body):
        return base64.b64encode(self.private.sign(body, ec.ECDSA(SHA256()))).decode()


@pytest.fixture
def keys(settings):
    served = Keys()
    settings.PITHEAD_GITHUB_KEYS_URL = served.url
    yield served
    served.server.shutdown()
    served.server.server_close()


def send(body, *, identifier="abc", signature):
    headers = {"Github-Public-Key-Identifier": identifier, "Github-Public-Key-Signature": signature}
    return Client().post(GITHUB, body, content_type="application/json", headers=headers)


def report(keys, items):
    body = json.dumps(items).encode()
    return send(body, signature=keys.sign(body))


def test_anybody_hands_a_key_in_and_it_stops(issue_key, client):
    key, secret = issue_key(name="Grafana")
    assert "Found an API key?" in client.get(PAGE).content.decode()
    answer = client.post(PAGE, {"found": f"curl -H 'Authorization: Bearer {secret}'", "url": "gist.example/1"})
    page = answer.content.decode()
    assert "The key is stopped" in page
    assert "no-store" in answer["Cache-Control"]
    assert not any(told in page for told in ("Grafana", key.key_id, "Northfold", secret))
    key.refresh_from_db()
    assert key.revoke_reason == "leaked"
    assert "had been stopped before" in client.post(PAGE, {"found": secret}).content.decode()


def test_what_is_no_key_is_said_and_stops_nothing(issue_key, client):
    key, secret = issue_key()
    assert "No key of ours" in client.post(PAGE, {"found": secret[:-1] + "~"}).content.decode()
    assert "Paste the key that you found." in client.post(PAGE, {"found": ""}).content.decode()
    wrong = client.post(PAGE, {"found": secret, "url": "not an address"})
    assert "Enter a valid URL." in wrong.content.decode()
    key.refresh_from_db()
    assert key.status == "active"


def test_the_page_is_limited(client, db, monkeypatch):
    monkeypatch.setattr(pages, "REPORTS", pages.Limit("leak-report", 2, pages.REPORTS.window))
    statuses = [client.post(PAGE, {"found": "nothing"}).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]


def test_githubs_own_example_verifies():
    key = github.read_public_key(EXAMPLE_KEY)
    assert github.verify(key, EXAMPLE_BODY, EXAMPLE_SIGNATURE)
    assert not github.verify(key, EXAMPLE_BODY + b" ", EXAMPLE_SIGNATURE)
    assert not github.verify(key, EXAMPLE_BODY, EXAMPLE_SIGNATURE[:-8])
    assert not github.verify(key, EXAMPLE_BODY, "no base64 at all")


def test_githubs_own_example_is_answered_as_github_asks(keys, db):
    answer = send(EXAMPLE_BODY, identifier="example", signature=EXAMPLE_SIGNATURE)
    assert answer.status_code == 200
    assert answer.json() == [
        {
            "token_hash": hashlib.sha256(b"some_token").hexdigest(),
            "token_type": "some_type",
            "label": "false_positive",
        }
    ]


def test_a_signed_report_stops_the_key_and_answers_as_github_asks(keys, issue_key):
    key, secret = issue_key()
    items = [
        {"token": secret, "type": "pithead_api_key", "url": "https://github.com/o/r/blob/1/a.py", "source": "commit"},
        {"token": "ph_live_nothing", "type": "pithead_api_key", "url": ""},
        "no item",
        {"type": "without a token"},
        {"token": 7},
    ]
    answer = report(keys, items)
    assert answer.status_code == 200
    assert answer.json() == [
        {
            "token_hash": hashlib.sha256(secret.encode()).hexdigest(),
            "token_type": "pithead_api_key",
            "label": "true_positive",
        },
        {
            "token_hash": hashlib.sha256(b"ph_live_nothing").hexdigest(),
            "token_type": "pithead_api_key",
            "label": "false_positive",
        },
    ]
    key.refresh_from_db()
    assert (key.revoke_reason, key.revoked_by_name) == ("leaked", "GitHub secret scanning")
    assert report(keys, items).json() == answer.json()


def test_what_github_did_not_sign_stops_nothing(keys, issue_key):
    key, secret = issue_key()
    body = json.dumps([{"token": secret, "type": "t", "url": ""}]).encode()
    signature = keys.sign(body)
    assert send(body + b" ", signature=signature).status_code == 403
    assert send(body, signature=keys.sign(b"other")).status_code == 403
    assert send(body, identifier="unknown", signature=signature).status_code == 403
    assert send(body, identifier="example", signature=signature).status_code == 403
    assert send(body, signature="").status_code == 403
    assert Client().post(GITHUB, body, content_type="application/json").status_code == 403
    assert Client().get(GITHUB).status_code == 405
    key.refresh_from_db()
    assert key.status == "active"


@pytest.mark.parametrize("body", [b"", b"{", b'{"token": "x"}', b"[" * 100_000, b"\xff"])
def test_a_signed_body_that_is_no_list_is_told_what_would_be_right(keys, db, body):
    assert send(body, signature=keys.sign(body)).status_code == 400


def test_a_body_too_large_is_refused(keys, db):
    assert send(b" " * (github.MAX_BODY + 1), signature="x").status_code == 413


def test_public_keys_are_fetched_once_and_again_for_an_identifier_that_is_new(keys, db, monkeypatch):
    assert report(keys, []).status_code == 200
    assert report(keys, []).status_code == 200
    assert keys.asked == 1
    keys.rows.append({**keys.rows[0], "key_identifier": "new"})
    body = b"[]"
    assert send(body, identifier="new", signature=keys.sign(body)).status_code == 403  # asked for a moment ago
    monkeypatch.setattr(github, "RETRY_SECONDS", 0.0)
    assert send(body, identifier="new", signature=keys.sign(body)).status_code == 200
    assert keys.asked == 2


def test_without_github_the_keys_from_before_stay_good_and_without_any_it_is_asked_to_come_again(keys, db, monkeypatch):
    monkeypatch.setattr(github, "RETRY_SECONDS", 0.0)
    keys.status = 500
    answer = report(keys, [])
    assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "0")
    keys.status = 200
    assert report(keys, []).status_code == 200
    keys.status = 500
    monkeypatch.setattr(github, "FRESH_SECONDS", -1.0)
    assert report(keys, []).status_code == 200
    assert keys.asked == 3
    keys.status, signed_before = 200, keys.rows
    for keys.rows in ([], [{"key_identifier": "abc", "key": "no key"}]):
        assert report(keys, []).status_code == 200, "a list without keys took those from before"
    keys.rows = signed_before


def test_a_new_identifier_while_github_is_gone_is_asked_to_come_again(keys, db, monkeypatch):
    assert report(keys, []).status_code == 200
    monkeypatch.setattr(github, "RETRY_SECONDS", 0.0)
    keys.rows.append({**keys.rows[0], "key_identifier": "new"})
    keys.status, body = 500, b"[]"
    assert send(body, identifier="new", signature=keys.sign(body)).status_code == 503
    assert report(keys, []).status_code == 200, "the one from before stays good"
    keys.status = 200
    assert send(body, identifier="new", signature=keys.sign(body)).status_code == 200


@pytest.mark.parametrize("rows", [None, [None], [{"key_identifier": "abc"}], [{"key_identifier": "abc", "key": 7}]])
def test_public_keys_of_another_shape_are_none(keys, db, rows):
    keys.rows = rows
    assert report(keys, []).status_code == 503


def test_an_odd_address_does_not_lose_the_mail_nor_the_findings_after_it(
    keys, issue_key, owner, mailoutbox, django_capture_on_commit_callbacks
):
    first, one = issue_key(name="first")
    second, other = issue_key(name="second")
    items = [
        {"token": one, "type": "t", "url": "https://example.com/\ud800\0"},
        {"token": other, "type": "t", "url": ""},
    ]
    with django_capture_on_commit_callbacks(execute=True):
        assert [row["label"] for row in report(keys, items).json()] == ["true_positive"] * 2
    assert {"Leaked API key stopped: first", "Leaked API key stopped: second"} <= {mail.subject for mail in mailoutbox}
    for key in (first, second):
        key.refresh_from_db()
        assert key.status == "revoked"


# Where too many old keys are verified at once


@pytest.fixture
def busy(register_key, account, monkeypatch):
    """An old key, while all turns to verify one are taken."""
    register_key(OLD, [MinerFactory(account=account)])
    monkeypatch.setattr(registered, "WAIT_SECONDS", 0.0)
    monkeypatch.setattr(registered, "_turns", BoundedSemaphore(1))
    with registered._turns:
        yield


def test_the_page_asks_to_hand_it_in_again(busy, client):
    answer = client.post(PAGE, {"found": OLD})
    assert answer.status_code == 503
    assert "Hand it in again in a few seconds." in answer.content.decode()


def test_github_is_asked_to_come_again_and_the_rest_of_its_report_is_not_lost(busy, keys, issue_key):
    key, secret = issue_key()
    answer = report(keys, [{"token": OLD, "type": "t", "url": ""}, {"token": secret, "type": "t", "url": ""}])
    assert (answer.status_code, answer["Retry-After"]) == (503, "10")
    key.refresh_from_db()
    assert key.status == "revoked"


def test_github_is_told_of_an_old_key_that_is_ours(keys, register_key, account):
    key = register_key(OLD, [MinerFactory(account=account)])
    answer = report(keys, [{"token": OLD, "type": "t", "url": ""}, {"token": OLD + "x", "type": "t", "url": ""}])
    assert [row["label"] for row in answer.json()] == ["true_positive", "false_positive"]
    assert ApiKey.every.get(pk=key.pk).status == "revoked"
