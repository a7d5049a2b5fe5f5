"""Parallel changes of keys: one form makes one key, limits hold, and revoked stays revoked (TRAPS 16)."""

from __future__ import annotations

import pytest
from django.db import transaction

from accounts import second_factor, step_up
from accounts.audit import Actor
from accounts.changes import Refused
from accounts.models import Account, AuditEvent
from accounts.second_factor import AlreadyConfirmed
from apikeys import lifecycle, signing
from apikeys.edits import Changes
from apikeys.lifecycle import AlreadyIssued
from apikeys.models import ApiKey, ApiKeySecret, SigningKey
from apikeys.scopes import Scope
from tests.factories import AccountFactory
from tests.people import actor_for, fresh_code
from tests.security.racing import race

pytestmark = [pytest.mark.race, pytest.mark.django_db(transaction=True)]

COMMAND = Actor.for_command("tests")


def issue(account, actor, nonce=None):
    return lifecycle.issue(
        account,
        actor=actor,
        name="Dashboard",
        environment="production",
        access_level="viewer",
        scopes=[Scope("*", "*")],
        idempotency_key=nonce,
    )


def failures(results, *expected):
    """What went wrong, apart from ``expected``."""
    return [result for result in results if isinstance(result, Exception) and not isinstance(result, expected)]


def test_ten_parallel_posts_of_one_form_make_one_key_and_nine_repeats(account, owner):
    code, nonce = fresh_code(owner), step_up.new_nonce()

    def post():
        proof = step_up.confirm(owner, code, action="key.issue", nonce=nonce)
        return issue(account, Actor(name="Olga", via="web", user=owner, proof=proof), nonce)

    results = race([post] * 10)
    assert not failures(results, AlreadyConfirmed)
    made = [result for result in results if not isinstance(result, Exception)]
    assert len(made) == 1
    assert (ApiKey.objects.count(), ApiKeySecret.objects.count()) == (1, 1)
    assert AuditEvent.objects.filter(action="key.issued").count() == 1


def test_ten_parallel_requests_with_one_idempotency_key_make_one_key_and_show_one_secret(account, owner):
    results = race([lambda: issue(account, actor_for(owner, "key.issue"), "request-1")] * 10)
    assert not failures(results, AlreadyIssued)
    made = [result for result in results if not isinstance(result, Exception)]
    assert len(made) == 1
    assert {repeat.key.pk for repeat in results if isinstance(repeat, AlreadyIssued)} == {made[0][0].pk}
    assert ApiKey.objects.count() == 1


def test_parallel_issues_stop_at_the_account_s_limit(account):
    Account.objects.update(max_active_keys=3)
    results = race([lambda: issue(account, COMMAND)] * 10)
    assert not failures(results, Refused)
    assert ApiKey.objects.active().count() == 3


def test_parallel_issues_and_enablings_stop_at_the_account_s_limit(account):
    off = [lifecycle.disable(issue(account, COMMAND)[0], actor=COMMAND) for _ in range(6)]
    Account.objects.update(max_active_keys=2)
    enablings = [lambda key=key: lifecycle.enable(key, actor=COMMAND) for key in off]
    results = race([*enablings, *[lambda: issue(account, COMMAND)] * 6])
    assert not failures(results, Refused)
    assert ApiKey.objects.active().count() == 2


def test_parallel_bootstraps_make_one_signing_key(owner):
    bare = AccountFactory()
    results = race([lambda: signing.bootstrap(bare, actor=COMMAND)] * 8)
    assert not failures(results)
    assert SigningKey.objects.filter(account=bare).count() == 1


def test_parallel_regenerations_leave_one_secret_alive(account, api):
    key, _ = issue(account, COMMAND)
    secrets = race([lambda: lifecycle.regenerate(key, actor=COMMAND)] * 8)
    assert not failures(secrets)
    codes = [api(secret).get("/api/v1/key").status_code for secret in secrets]
    assert sorted(codes) == [200] + [401] * 7


def test_whatever_races_a_revocation_the_key_ends_revoked(account, api):
    """And nothing deadlocks: enabling locks the account and the key, the others the key alone."""
    key, secret = issue(account, COMMAND)
    lifecycle.disable(key, actor=COMMAND)
    changes = [
        lambda: lifecycle.enable(key, actor=COMMAND),
        lambda: lifecycle.disable(key, actor=COMMAND),
        lambda: lifecycle.regenerate(key, actor=COMMAND),
        lambda: issue(account, COMMAND),
    ]
    results = race([*changes * 3, lambda: lifecycle.revoke(key, actor=COMMAND, reason="leaked"), *changes * 2])
    assert not failures(results, Refused)
    assert ApiKey.objects.get(pk=key.pk).status == "revoked"
    for shown in [secret, *[result for result in results if isinstance(result, str)]]:
        assert api(shown).get("/api/v1/key").json()["code"] == "key_revoked"


def test_parallel_rotations_leave_two_secrets_alive(account, api):
    key, first = issue(account, COMMAND)
    results = race([lambda: lifecycle.rotate(key, actor=COMMAND)] * 8)
    assert not failures(results, Refused)
    rotated = [result for result in results if isinstance(result, str)]
    assert len(rotated) == 1
    assert [api(secret).get("/api/v1/key").status_code for secret in (first, *rotated)] == [200, 200]


def test_whatever_races_a_panic_no_secret_of_that_version_lives(account, api):
    """And nothing deadlocks: all of them take the account before the key."""
    key, secret = issue(account, COMMAND)
    version = SigningKey.objects.get(account=account)
    changes = [
        lambda: lifecycle.rotate(key, actor=COMMAND),
        lambda: lifecycle.edit(key, Changes(rate_limit=60), actor=COMMAND),
        lambda: lifecycle.end_overlap(key, actor=COMMAND),
        lambda: issue(account, COMMAND)[1],
    ]
    results = race([*changes * 2, lambda: signing.retire(version, actor=COMMAND), *changes * 2])
    assert not failures(results, Refused)
    assert not ApiKeySecret.objects.live().filter(signing_key=version).exists()
    assert api(secret).get("/api/v1/key").json()["code"] == "key_revoked"


def test_parallel_revocations_are_one(account):
    key, _ = issue(account, COMMAND)
    results = race([lambda: lifecycle.revoke(key, actor=COMMAND, reason="leaked")] * 8)
    assert not failures(results)
    assert len({result.revoked_at for result in results}) == 1
    assert AuditEvent.objects.filter(action="key.revoked").count() == 1


def test_a_code_spent_for_a_change_that_rolled_back_stays_spent(account, owner):
    code, nonce = fresh_code(owner), step_up.new_nonce()
    proof = step_up.confirm(owner, code, action="key.issue", nonce=nonce)
    with transaction.atomic():
        issue(account, Actor(name="Olga", via="web", user=owner, proof=proof), nonce)
        transaction.set_rollback(True)
    assert not ApiKey.objects.exists()
    with pytest.raises(second_factor.CodeRefused):
        step_up.confirm(owner, code, action="key.issue", nonce=step_up.new_nonce())
