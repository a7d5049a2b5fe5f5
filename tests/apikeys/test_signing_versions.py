"""Versions of an account's signing key: both work during a change, and the panic button stops what hangs on one."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.utils import timezone

from accounts.audit import Actor, StepUpMissing
from accounts.changes import Refused
from accounts.models import Account, AuditEvent, Membership
from apikeys import lifecycle, signing
from apikeys.models import ApiKey, ApiKeySecret, SigningKey
from tests.conftest import person
from tests.people import actor_for
from tests.security.live_server import asking, gunicorn

COMMAND = Actor.for_command("tests")


def version(account, number):
    return SigningKey.objects.get(account=account, version=number)


def status(api, secret):
    return api(secret).get("/api/v1/key").status_code


def counts(account):
    return {row.version: (row.live_keys, row.live_secrets) for row in signing.versions(account)}


def test_after_a_rotation_old_and_new_secrets_answer_side_by_side(account, issue_key, api):
    _, old = issue_key()
    made = signing.rotate(account, actor=COMMAND)
    key, new = issue_key()
    assert made.version == 2
    assert key.secrets.get().signing_key == made
    assert [status(api, secret) for secret in (old, new)] == [200, 200]


def test_the_two_secrets_of_a_key_may_stand_under_two_versions(account, issue_key, api):
    key, old = issue_key()
    signing.rotate(account, actor=COMMAND)
    new = lifecycle.rotate(key, actor=COMMAND)
    assert {secret.signing_key.version for secret in key.secrets.all()} == {1, 2}
    assert [status(api, secret) for secret in (old, new)] == [200, 200]
    assert signing.retire(version(account, 1), actor=COMMAND) == 1
    assert [status(api, secret) for secret in (old, new)] == [401, 200]
    assert ApiKey.objects.get(pk=key.pk).status == "active"


def test_retiring_stops_every_secret_under_that_version_and_no_other(account, other_account, issue_key, api):
    stopped = [issue_key()[1] for _ in range(3)]
    _, foreign = issue_key(account=other_account)
    signing.rotate(account, actor=COMMAND)
    _, spared = issue_key()
    assert signing.retire(version(account, 1), actor=COMMAND) == 3
    assert [status(api, secret) for secret in stopped] == [401] * 3
    assert api(stopped[0]).get("/api/v1/key").json()["code"] == "key_revoked"
    assert [status(api, secret) for secret in (spared, foreign)] == [200, 200]


def test_retiring_the_only_version_makes_a_fresh_one(account, issue_key, api):
    issue_key()
    signing.retire(version(account, 1), actor=COMMAND)
    assert signing.current_signing_key(account).version == 2
    assert bytes(version(account, 1).wrapped) != bytes(version(account, 2).wrapped)
    assert status(api, issue_key()[1]) == 200


def test_retiring_the_current_of_two_makes_a_fresh_one_and_falls_back_on_nothing(account, issue_key, api):
    _, old = issue_key()
    signing.rotate(account, actor=COMMAND)
    signing.retire(version(account, 2), actor=COMMAND)
    assert signing.current_signing_key(account).version == 3
    assert status(api, old) == 200


def test_retiring_an_old_version_makes_none(account):
    signing.rotate(account, actor=COMMAND)
    signing.retire(version(account, 1), actor=COMMAND)
    assert signing.current_signing_key(account).version == 2
    assert SigningKey.objects.filter(account=account).count() == 2


def test_a_new_secret_brings_a_stopped_key_back(account, issue_key, api):
    key, old = issue_key()
    signing.retire(version(account, 1), actor=COMMAND)
    key = ApiKey.objects.get(pk=key.pk)
    assert key.status == "without_secret"
    with pytest.raises(Refused, match="Replace it instead"):
        lifecycle.rotate(key, actor=COMMAND)
    new = lifecycle.regenerate(key, actor=COMMAND)
    assert [status(api, secret) for secret in (old, new)] == [401, 200]
    assert ApiKey.objects.get(pk=key.pk).status == "active"
    assert list(ApiKey.objects.without_secret()) == []


def test_retiring_again_stops_nothing_and_writes_nothing(account, issue_key):
    issue_key()
    first = version(account, 1)
    assert signing.retire(first, actor=COMMAND) == 1
    at = version(account, 1).retired_at
    assert signing.retire(first, actor=COMMAND) == 0
    assert version(account, 1).retired_at == at
    assert AuditEvent.objects.filter(action="signing_key.retired").count() == 1


def test_the_trail_says_which_version_and_how_many_keys(account, owner, issue_key):
    issue_key()
    lifecycle.revoke(issue_key()[0], actor=COMMAND, reason="unneeded")
    signing.retire(version(account, 1), actor=actor_for(owner, signing.RETIRE))
    event = AuditEvent.objects.get(action="signing_key.retired")
    assert (event.actor, event.account) == (owner, account)
    assert event.data == {"version": 1, "secrets_stopped": 2, "keys_stopped": 1, "new_version": 2}
    signing.rotate(account, actor=actor_for(owner, signing.ROTATE))
    assert AuditEvent.objects.get(action="signing_key.rotated").data == {"version": 3}


def test_only_owners_rotate_and_retire_with_a_code_for_just_that(account, owner, treasurer, outsider):
    administrator = person(account, "Ada", access_level="administrator", can_create_keys=True, can_update_keys=True)
    first = version(account, 1)
    calls = {
        signing.ROTATE: lambda actor: signing.rotate(account, actor=actor),
        signing.RETIRE: lambda actor: signing.retire(first, actor=actor),
    }
    for action, call in calls.items():
        for user in (treasurer, administrator, outsider):
            with pytest.raises(PermissionDenied):
                call(actor_for(user, action))
        for wrong in (Actor(name="Olga", via="web", user=owner), actor_for(owner, "key.issue")):
            with pytest.raises(StepUpMissing):
                call(wrong)
        held = actor_for(owner, action)
        Membership.objects.filter(user=owner).update(is_owner=False)
        with pytest.raises(PermissionDenied):
            call(held)
        Membership.objects.filter(user=owner).update(is_owner=True)
    assert counts(account) == {1: (0, 0)}


def test_who_is_no_owner_any_more_when_the_account_is_free_does_nothing(account, owner):
    """Their right is looked up after the wait for whoever holds the account, such as who removes them."""
    first = version(account, 1)
    for action, call in {
        signing.ROTATE: lambda actor: signing.rotate(account, actor=actor),
        signing.RETIRE: lambda actor: signing.retire(first, actor=actor),
        signing.BOOTSTRAP: lambda actor: signing.bootstrap(account, actor=actor),
    }.items():

        def removed_meanwhile(execute, sql, *rest):
            answer = execute(sql, *rest)
            if 'FROM "accounts_account"' in sql:
                Membership.objects.filter(user=owner).update(is_owner=False)
            return answer

        with connection.execute_wrapper(removed_meanwhile), pytest.raises(PermissionDenied):
            call(actor_for(owner, action))
        Membership.objects.filter(user=owner).update(is_owner=True)
    assert counts(account) == {1: (0, 0)}


def test_an_account_that_is_not_set_up_has_nothing_to_rotate(db):
    bare = Account.objects.create(name="Kestrel", slug="kestrel")
    with pytest.raises(signing.NotBootstrapped):
        signing.rotate(bare, actor=COMMAND)
    assert list(signing.versions(bare)) == []


def test_versions_are_counted_in_one_query_by_what_lives(account, issue_key, django_assert_num_queries):
    plain, rotated, disabled, revoked, expired = (issue_key()[0] for _ in range(5))
    signing.rotate(account, actor=COMMAND)
    issue_key()
    lifecycle.rotate(rotated, actor=COMMAND)
    lifecycle.rotate(plain, actor=COMMAND, overlap=timedelta(hours=1))
    lifecycle.end_overlap(plain, actor=COMMAND)
    lifecycle.disable(disabled, actor=COMMAND)
    lifecycle.revoke(revoked, actor=COMMAND, reason="unneeded")
    ApiKey.objects.filter(pk=expired.pk).update(expires_at=timezone.now())
    with django_assert_num_queries(1):
        assert counts(account) == {2: (3, 3), 1: (2, 2)}
    signing.retire(version(account, 1), actor=COMMAND)
    assert counts(account) == {2: (3, 3), 1: (0, 0)}


def test_what_stops_and_what_goes_on_is_known_before(account, issue_key):
    stops, off, rotated, revoked, expired, elsewhere = (issue_key(name=f"key {n}")[0] for n in range(6))
    lifecycle.disable(off, actor=COMMAND)
    lifecycle.revoke(revoked, actor=COMMAND, reason="unneeded")
    ApiKey.objects.filter(pk=expired.pk).update(expires_at=timezone.now())
    signing.rotate(account, actor=COMMAND)
    lifecycle.rotate(rotated, actor=COMMAND)
    lifecycle.regenerate(elsewhere, actor=COMMAND)
    first = version(account, 1)
    assert set(signing.stops_at_once(first)) == {stops, off}
    assert set(signing.keeps_working(first)) == {rotated}
    signing.retire(first, actor=COMMAND)
    assert set(ApiKey.objects.without_secret()) == {stops}
    assert not ApiKeySecret.objects.live().filter(signing_key=first).exists()


@pytest.fixture(scope="module")
def port(django_db_setup, tmp_path_factory):
    with gunicorn(tmp_path_factory.mktemp("server") / "log") as port:
        yield port


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_no_request_that_starts_after_the_panic_is_let_in_by_any_process(port, account, issue_key):
    _, secret = issue_key()
    with asking(port, secret) as met:
        met.wait_for(50)
        signing.retire(version(account, 1), actor=COMMAND)
        stopped = time.monotonic()
        met.wait_for(80, since=stopped)
    before = [code for start, code, _ in met.answers if start <= stopped]
    after = [(code, "key_revoked" in body) for start, code, body in met.answers if start > stopped]
    assert before.count(200) >= 50
    assert len(after) >= 80
    assert set(after) == {(401, True)}


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_rotating_under_load_refuses_nobody(port, account, issue_key):
    key, secret = issue_key()
    with asking(port, secret) as met:
        for _ in range(5):
            met.wait_for(len(met.answers) + 20)
            signing.rotate(account, actor=COMMAND)
        made = lifecycle.rotate(key, actor=COMMAND)
        met.wait_for(len(met.answers) + 20)
    assert set(met.statuses()) == {200}
    with asking(port, made) as met:
        met.wait_for(20)
    assert set(met.statuses()) == {200}
