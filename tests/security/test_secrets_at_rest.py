"""A stolen database, its sessions and its cache give no key away (TRAPS 1)."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode

import pytest
import redis
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import connection

from accounts import second_factor, wrapped_keys
from accounts.audit import Actor
from apikeys import lifecycle, registered
from apikeys.models import SigningKey
from tests.factories import PASSWORD, MinerFactory
from tests.people import actor_for, fresh_code

COMMAND = Actor.for_command("tests")
OLD = "zq-7Kd93jsLq02x-Export"


def readable(value):
    """Every way in which a value of a column could be read."""
    if isinstance(value, memoryview):
        value = value.tobytes()
    if isinstance(value, bytes):
        return [value.decode("latin-1"), value.hex(), b64encode(value).decode()]
    return [str(value)]


def dump():
    """Everything at rest, as one text: each value of each row of each table, decoded sessions, the cache."""
    texts = []
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        assert {"apikeys_apikeysecret", "apikeys_signingkey", "accounts_auditevent", "django_session"} <= set(tables)
        for table in tables:
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608
            texts += [text for row in cursor.fetchall() for value in row for text in readable(value)]
    texts += [repr(session.get_decoded()) for session in Session.objects.all()]
    texts += [text for value in [*cached(), *registered._own._cache.values()] for text in readable(value)]
    return "\n".join(texts)


def cached():
    """Every value of the cache, as stored: Redis's serialised keys and values, or the process's own dictionary."""
    if not settings.REDIS_URL:
        return list(cache._cache.values())
    server = redis.Redis.from_url(settings.REDIS_URL)
    return [part for key in server.scan_iter() for part in (key, server.dump(key) or b"")]


def forms(secret):
    """A secret as written, and in the encodings in which it could have been kept."""
    raw = secret if isinstance(secret, bytes) else secret.encode()
    written = {raw.decode("latin-1"), raw.hex(), b64encode(raw).decode(), urlsafe_b64encode(raw).decode()}
    return written | {text.rstrip("=") for text in written}


@pytest.fixture
def known(account, owner, issue_key, register_key, api, sign_in_as):
    """Every secret of an account in full use: keys, signing keys, recovery codes, a code, a password."""
    browser = sign_in_as(owner)
    answer = browser.post("/me/recovery-codes/", {"nonce": "form-1", "code": fresh_code(owner)})
    codes = answer.context["codes"]
    second_factor.verify(owner, codes[0], action="key.issue", nonce="form-2")
    code = fresh_code(owner)
    second_factor.verify(owner, code, action="key.issue", nonce="form-3")
    first, secret = issue_key(idempotency_key="form-3")
    regenerated = lifecycle.regenerate(first, actor=actor_for(owner, "key.regenerate"))
    revoked, third = issue_key("administrator", environment="staging")
    lifecycle.revoke(revoked, actor=COMMAND, reason="leaked", note="by mail")
    for key in (secret, regenerated, third, regenerated[:-1] + "x"):
        api(key).get("/api/v1/key")
        browser.get("/", headers={"Authorization": f"Bearer {key}"})
    register_key(OLD, [MinerFactory(account=account)])
    assert api(OLD).get("/api/v1/key").status_code == 200
    return {"keys": [secret, regenerated, third], "codes": codes, "code": code}


def test_no_key_is_at_rest(known):
    text = dump()
    for key in known["keys"]:
        secret = key.rsplit("_", 1)[1][12:]
        assert len(secret) == 49
        for part in (key, secret, secret[:43], secret[:16], secret[-22:-6]):
            assert not any(form in text for form in forms(part))


def test_no_old_key_of_support_s_is_at_rest_but_for_its_first_four_characters(known):
    text = dump()
    for part in (OLD, OLD[:6], OLD[4:12], OLD[-8:]):
        assert not any(form in text for form in forms(part))
    assert "argon2$argon2id$" in text
    stores = len(registered._own._cache)
    assert stores == (0 if settings.REDIS_URL else 1), "it is remembered"
    raw = wrapped_keys.key_named(registered.KEY_NAME)
    assert not any(form in text for form in forms(raw))


def test_what_names_a_key_is_at_rest_so_the_dump_is_a_dump(known):
    text = dump()
    for key in known["keys"]:
        assert key.rsplit("_", 1)[1][:12] in text
    assert "key.revoked" in text
    assert "by mail" in text


def test_no_signing_key_is_at_rest_unwrapped(known):
    text = dump()
    rows = list(SigningKey.objects.all())
    assert rows
    for row in rows:
        raw = wrapped_keys.unwrap(bytes(row.wrapped))
        assert not any(form in text for form in forms(raw))
        assert bytes(row.wrapped).decode("latin-1") in text


def test_no_master_key_is_at_rest(known, settings):
    text = dump()
    for key in [*settings.PITHEAD_MASTER_KEYS, settings.SECRET_KEY]:
        assert not any(form in text for form in forms(key))


def test_no_recovery_code_and_no_password_is_at_rest(known):
    text = dump()
    assert len(known["codes"]) == 10
    for code in known["codes"]:
        for part in (code, code.replace("-", ""), code.replace("-", "")[2:], code[5:]):
            assert not any(form in text for form in forms(part))
    assert PASSWORD not in text
