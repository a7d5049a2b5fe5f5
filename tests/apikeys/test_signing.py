"""Signing keys: one per account, wrapped, and usable under every master key of the list."""

from __future__ import annotations

from hashlib import sha256
from hmac import HMAC

import pytest
from cryptography.fernet import Fernet, InvalidToken
from django.utils import timezone

from accounts import wrapped_keys
from apikeys import signing
from apikeys.models import SigningKey


@pytest.fixture
def master_keys(settings):
    settings.PITHEAD_MASTER_KEYS = [Fernet.generate_key().decode()]
    yield settings
    wrapped_keys._master_keys.cache_clear()
    wrapped_keys.unwrap.cache_clear()


def test_a_digest_is_the_hmac_of_the_whole_key_under_the_unwrapped_signing_key(account, issue_key):
    key, secret = issue_key()
    row = key.secrets.get()
    raw = wrapped_keys.unwrap(bytes(row.signing_key.wrapped))
    assert len(raw) == 32
    assert bytes(row.digest) == HMAC(raw, secret.encode(), sha256).digest()


def test_accounts_have_signing_keys_of_their_own(account, other_account):
    keys = [
        wrapped_keys.unwrap(bytes(signing.current_signing_key(owner).wrapped)) for owner in (account, other_account)
    ]
    assert keys[0] != keys[1]


def test_a_new_first_master_key_leaves_old_keys_working(master_keys, issue_key, api):
    _, old = issue_key()
    master_keys.PITHEAD_MASTER_KEYS = [Fernet.generate_key().decode(), *master_keys.PITHEAD_MASTER_KEYS]
    assert api(old).get("/api/v1/key").status_code == 200
    _, new = issue_key()
    assert api(new).get("/api/v1/key").status_code == 200


def test_without_its_master_key_a_signing_key_is_of_no_use(master_keys, account):
    wrapped = bytes(signing.current_signing_key(account).wrapped)
    master_keys.PITHEAD_MASTER_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(InvalidToken):
        wrapped_keys.unwrap(wrapped)


def test_the_secret_key_of_the_web_has_no_part_in_it(settings, issue_key, api):
    _, secret = issue_key()
    client = api(secret)
    settings.SECRET_KEY = "another one " * 10
    assert client.get("/api/v1/key").status_code == 200


def test_new_secrets_are_made_under_the_newest_signing_key_that_is_not_retired(account, issue_key):
    first = signing.current_signing_key(account)
    second = SigningKey.objects.create(account=account, version=2, wrapped=wrapped_keys.wrap(b"2" * 32))
    assert issue_key()[0].secrets.get().signing_key == second
    second.retired_at = timezone.now()
    second.save()
    assert issue_key()[0].secrets.get().signing_key == first
