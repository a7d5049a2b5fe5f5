"""What the database itself refuses, whoever writes."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError

from apikeys.models import ApiKey, ApiKeySecret, KeyScope, SigningKey
from tests.factories import MinerFactory


@pytest.fixture
def key(issue_key):
    return issue_key()[0]


def assert_refused(model, **fields):
    with pytest.raises(IntegrityError), transaction.atomic():
        model.objects.create(**fields)


def test_a_selector_is_one_secret_s(key, issue_key):
    other, _ = issue_key()
    stored = key.secrets.get()
    assert_refused(ApiKeySecret, key=other, signing_key=stored.signing_key, selector=stored.selector, digest=b"d" * 32)


def test_a_key_id_is_one_key_s(account, key):
    assert_refused(
        ApiKey, account=account, key_id=key.key_id, environment="production", name="x", access_level="viewer"
    )


def test_an_idempotency_key_is_one_key_s_in_an_account(account, issue_key):
    issue_key(idempotency_key="form-1")
    fields = {"environment": "production", "name": "x", "access_level": "viewer"}
    assert_refused(ApiKey, account=account, idempotency_key="form-1", **fields)


def test_a_scope_row_stands_once(account, key):
    miner = MinerFactory(account=account)
    KeyScope.objects.create(key=key, action="read", kind="miner")
    KeyScope.objects.create(key=key, action="read", kind="miner", entity=miner)
    assert_refused(KeyScope, key=key, action="read", kind="miner")
    assert_refused(KeyScope, key=key, action="read", kind="miner", entity=miner)


def test_any_kind_names_no_entity(account, key):
    assert_refused(KeyScope, key=key, action="read", kind="*", entity=MinerFactory(account=account))


def test_a_signing_key_version_is_one_key_s(account):
    assert_refused(SigningKey, account=account, version=1, wrapped=b"x")


def test_an_entity_that_goes_takes_its_scope_rows_along_and_leaves_none_wider(account, issue_key):
    miner = MinerFactory(account=account)
    key, _ = issue_key(scopes=[f"*:miners/{miner.pk}"])
    miner.delete()
    assert not KeyScope.objects.filter(key=key).exists()


def test_keys_keep_their_account_and_their_signing_key(account, key):
    with pytest.raises(ProtectedError):
        account.delete()
    with pytest.raises(ProtectedError):
        key.secrets.get().signing_key.delete()


def test_the_secret_has_no_column(key):
    with connection.cursor() as cursor:
        columns = connection.introspection.get_table_description(cursor, ApiKeySecret._meta.db_table)
    names = {"id", "key_id", "signing_key_id", "selector", "digest", "created_at", "retires_at"}
    names |= {"last_used_at", "last_used_address"}
    names |= {"lookup", "argon2", "hint"}  # of registered secrets: tests/apikeys/test_support_keys.py
    assert {column.name for column in columns} == names
    assert len(bytes(key.secrets.get().digest)) == 32
