"""The Authorization header: what each shape of it is answered, byte for byte."""

from __future__ import annotations

import hmac
import re

import pytest
from django.test import Client

from apikeys import key_format, signing
from apikeys.models import ApiKeySecret
from apikeys.signing import matches

ROUTE = "/api/v1/key"
CLIENT = Client()  # one for all: each loads the middleware anew


@pytest.fixture
def secret(issue_key):
    return issue_key()[1]


def ask(header=None, **extra):
    if header is not None:
        extra["HTTP_AUTHORIZATION"] = header
    return CLIENT.get(ROUTE, **extra)


def known_but_wrong(secret):
    """The same selector, another secret, and a right checksum."""
    body = secret[:20] + ("A" if secret[20] != "A" else "B") + secret[21:-6]
    return body + key_format.checksum(body)


def unknown(secret):
    return key_format.generate("production", prefix="ph").text


SHAPES = {
    # name: header made from a good secret, status, code
    "good": (lambda s: f"Bearer {s}", 200, None),
    "lower-case scheme": (lambda s: f"bearer {s}", 200, None),
    "upper-case scheme": (lambda s: f"BEARER {s}", 200, None),
    "basic": (lambda s: f"Basic {s}", 401, "missing_credentials"),
    "token": (lambda s: f"Token {s}", 401, "missing_credentials"),
    "no scheme": (lambda s: s, 401, "missing_credentials"),
    "empty": (lambda s: "", 401, "missing_credentials"),
    "tab": (lambda s: f"Bearer\t{s}", 401, "missing_credentials"),
    "leading space": (lambda s: f" Bearer {s}", 401, "missing_credentials"),
    "scheme alone": (lambda s: "Bearer", 401, "invalid_key"),
    "scheme and space": (lambda s: "Bearer ", 401, "invalid_key"),
    "two spaces": (lambda s: f"Bearer  {s}", 401, "invalid_key"),
    "trailing space": (lambda s: f"Bearer {s} ", 401, "invalid_key"),
    "newline": (lambda s: f"Bearer {s}\n", 401, "invalid_key"),
    "word": (lambda s: "Bearer hello", 401, "invalid_key"),
    "upper-case key": (lambda s: f"Bearer {s.upper()}", 401, "invalid_key"),
    "cut short": (lambda s: f"Bearer {s[:-1]}", 401, "invalid_key"),
    "bad checksum": (lambda s: f"Bearer {s[:-1]}{'0' if s[-1] != '0' else '1'}", 401, "invalid_key"),
    "other prefix": (lambda s: f"Bearer {key_format.generate('production', prefix='acme').text}", 401, "invalid_key"),
    "two keys": (lambda s: f"Bearer {s},Bearer {s}", 401, "invalid_key"),
    "two keys with a space": (lambda s: f"Bearer {s}, {s}", 401, "invalid_key"),
    "quoted": (lambda s: f'Bearer "{s}"', 401, "invalid_key"),
    "latin-1": (lambda s: f"Bearer {s[:-1]}\xe9", 401, "invalid_key"),
    "utf-8 as the server reads it": (lambda s: f"Bearer {s[:-1]}\xc3\xa9", 401, "invalid_key"),
    "surrogate": (lambda s: f"Bearer {s[:-1]}\ud800", 401, "invalid_key"),
    "NUL": (lambda s: f"Bearer {s}\0", 401, "invalid_key"),
    "1 MB": (lambda s: "Bearer " + "A" * 1_000_000, 401, "invalid_key"),
    "1 MB scheme": (lambda s: "A" * 1_000_000, 401, "missing_credentials"),
    "unknown selector": (lambda s: f"Bearer {unknown(s)}", 401, "invalid_key"),
    "wrong secret": (lambda s: f"Bearer {known_but_wrong(s)}", 401, "invalid_key"),
}
CHALLENGES = {
    "missing_credentials": 'Bearer realm="pithead"',
    "invalid_key": 'Bearer realm="pithead", error="invalid_token"',
}


@pytest.mark.parametrize("shape", SHAPES)
def test_each_shape_of_header_has_its_answer(secret, shape):
    make, status, code = SHAPES[shape]
    answer = ask(make(secret))
    assert answer.status_code == status, answer.content
    assert answer["Cache-Control"] == "no-store"
    assert re.fullmatch(r"req_[0-9a-f]{16}", answer["X-Request-Id"])
    if code is None:
        return
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["WWW-Authenticate"] == CHALLENGES[code]
    problem = answer.json()
    assert problem["request_id"] == answer["X-Request-Id"]
    assert (problem["status"], problem["code"], problem["type"]) == (status, code, "about:blank")
    assert problem["title"]
    assert problem["detail"]
    assert secret not in answer.text
    assert secret[20:63] not in answer.text


def test_no_header_asks_for_one(db):
    answer = ask()
    assert answer.status_code == 401
    assert answer.json()["code"] == "missing_credentials"
    assert answer["WWW-Authenticate"] == 'Bearer realm="pithead"'
    assert answer["Cache-Control"] == "no-store"
    assert answer["X-Request-Id"] == answer.json()["request_id"]


def anonymous(answer):
    """The answer without what differs in every answer: its bytes and its headers."""
    request_id = answer["X-Request-Id"]
    headers = {name: value.replace(request_id, "req_") for name, value in answer.items()}
    return answer.status_code, headers, answer.content.replace(request_id.encode(), b"req_")


@pytest.mark.parametrize("shape", [name for name, (_, _, code) in SHAPES.items() if code == "invalid_key"])
def test_every_invalid_key_is_answered_alike_byte_for_byte(secret, shape):
    wrong_secret = ask(f"Bearer {known_but_wrong(secret)}")
    assert anonymous(ask(SHAPES[shape][0](secret))) == anonymous(wrong_secret)


def test_request_ids_differ(db):
    assert len({ask()["X-Request-Id"] for _ in range(50)}) == 50


@pytest.mark.parametrize("shape", ["bad checksum", "word", "1 MB", "basic", "NUL", "quoted", "two keys"])
def test_what_is_no_key_is_refused_without_a_query(secret, shape, django_assert_num_queries):
    header = SHAPES[shape][0](secret)
    with django_assert_num_queries(0):
        assert ask(header).status_code == 401


@pytest.mark.parametrize("slip", ["substitution", "omission", "insertion", "swap"])
def test_a_typo_in_any_place_is_refused_without_a_query(secret, slip, django_assert_num_queries):
    slips = {
        "substitution": lambda place: secret[:place] + ("x" if secret[place] != "x" else "y") + secret[place + 1 :],
        "omission": lambda place: secret[:place] + secret[place + 1 :],
        "insertion": lambda place: secret[:place] + "x" + secret[place:],
        "swap": lambda place: secret[:place] + secret[place : place + 2][::-1] + secret[place + 2 :],
    }
    typos = {slips[slip](place) for place in range(len(secret))} - {secret}
    assert len(typos) > 50
    with django_assert_num_queries(0):
        for typo in typos:
            assert ask(f"Bearer {typo}").json()["code"] == "invalid_key"


def test_a_key_anywhere_but_in_the_header_opens_nothing(secret):
    in_the_address = Client().get(ROUTE, {"key": secret, "api_key": secret, "access_token": secret})
    assert (in_the_address.status_code, in_the_address.json()["code"]) == (400, "invalid_request")
    for answer in (
        Client().get(ROUTE, HTTP_X_API_KEY=secret),
        Client(headers={"Cookie": f"key={secret}"}).get(ROUTE),
    ):
        assert answer.status_code == 401
        assert answer.json()["code"] == "missing_credentials"


def test_a_signed_in_person_s_session_opens_nothing_of_the_api(owner, sign_in_as):
    answer = sign_in_as(owner).get(ROUTE)
    assert answer.status_code == 401


@pytest.fixture
def hmacs(monkeypatch):
    """Every HMAC and every comparison made: what was digested, and what was compared."""
    made, compared = [], []
    real_digest, real_compare = hmac.digest, hmac.compare_digest

    def digest(key, message, algorithm):
        made.append((len(key), message, algorithm))
        return real_digest(key, message, algorithm)

    def compare(left, right):
        compared.append((type(left), len(left), type(right), len(right)))
        return real_compare(left, right)

    monkeypatch.setattr(signing.hmac, "digest", digest)
    monkeypatch.setattr(signing.hmac, "compare_digest", compare)
    return made, compared


def test_an_unknown_selector_costs_the_work_of_a_wrong_secret(secret, hmacs, django_assert_num_queries):
    made, compared = hmacs
    work = {}
    for name, key in [("wrong", known_but_wrong(secret)), ("unknown", unknown(secret))]:
        made.clear()
        compared.clear()
        with django_assert_num_queries(1):
            assert ask(f"Bearer {key}").status_code == 401
        assert [message for _, message, _ in made] == [key.encode()]
        work[name] = ([(size, len(message), algorithm) for size, message, algorithm in made], list(compared))
    assert work["wrong"] == work["unknown"]
    assert work["wrong"][1] == [(bytes, 32, bytes, 32)]


def test_a_digest_of_another_account_s_signing_key_opens_nothing(secret, other_account):
    """Rows moved between accounts, by a bad restore or by hand, fail closed."""
    foreign = signing.current_signing_key(other_account)
    ApiKeySecret.objects.update(signing_key=foreign)
    assert ask(f"Bearer {secret}").json()["code"] == "invalid_key"


@pytest.mark.parametrize("damage", [b"", b"x" * 31, b"x" * 33, b"\0" * 32])
def test_a_damaged_digest_opens_nothing(secret, damage):
    ApiKeySecret.objects.update(digest=damage)
    assert ask(f"Bearer {secret}").json()["code"] == "invalid_key"


def test_the_decoy_never_matches():
    assert matches(None, "ph_live_x", None) is False
    assert matches(None, "ph_live_x", b"x" * 32) is False
