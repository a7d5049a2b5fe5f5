"""Delete: only a revoked key, only where the account's policy allows it; the trail stays."""

from __future__ import annotations

import pytest

from accounts.audit import Actor, StepUpMissing
from accounts.changes import Refused
from accounts.models import Account, AuditEvent
from apikeys import lifecycle
from apikeys.models import ApiKey, ApiKeySecret, KeyScope
from tests.factories import MembershipFactory, UserFactory
from tests.people import actor_for

COMMAND = Actor.for_command("tests")


@pytest.fixture
def revoked(issue_key):
    key, secret = issue_key()
    return lifecycle.revoke(key, actor=COMMAND, reason="unneeded"), secret


@pytest.fixture
def allowed(account):
    Account.objects.update(permanent_delete=True)


@pytest.mark.usefixtures("allowed")
def test_the_row_its_secrets_and_scopes_go_and_the_trail_stays(revoked, owner, api):
    key, secret = revoked
    lifecycle.delete(key, actor=actor_for(owner, "key.delete"))
    assert not ApiKey.objects.exists()
    assert not ApiKeySecret.objects.exists()
    assert not KeyScope.objects.exists()
    trail = AuditEvent.objects.filter(target_id=key.key_id).order_by("at", "id")
    assert [event.action for event in trail] == ["key.issued", "key.revoked", "key.deleted"]
    assert trail[2].target_name == key.name
    assert api(secret).get("/api/v1/key").json()["code"] == "invalid_key"


def test_the_policy_keeps_keys_unless_it_says_otherwise(revoked, owner):
    with pytest.raises(Refused, match="policy"):
        lifecycle.delete(revoked[0], actor=actor_for(owner, "key.delete"))
    assert ApiKey.objects.exists()


@pytest.mark.usefixtures("allowed")
def test_a_key_that_is_not_revoked_is_not_deleted(issue_key, owner):
    key, _ = issue_key()
    for state in ("active", "disabled"):
        if state == "disabled":
            lifecycle.disable(key, actor=COMMAND)
        with pytest.raises(Refused, match="Revoke the key first"):
            lifecycle.delete(key, actor=actor_for(owner, "key.delete"))
    assert ApiKey.objects.exists()


@pytest.mark.usefixtures("allowed")
def test_deleted_already_is_no_error_and_writes_no_second_row(revoked):
    key = ApiKey.objects.get(pk=revoked[0].pk)
    lifecycle.delete(revoked[0], actor=COMMAND)
    lifecycle.delete(key, actor=COMMAND)
    assert AuditEvent.objects.filter(action="key.deleted").count() == 1


@pytest.mark.usefixtures("allowed")
def test_it_takes_a_code_and_the_right_to_revoke(revoked, owner, account):
    key, _ = revoked
    with pytest.raises(StepUpMissing):
        lifecycle.delete(key, actor=actor_for(owner, "key.revoke"))
    user = UserFactory()
    MembershipFactory(account=account, user=user, can_view_keys=True, can_create_keys=True, can_update_keys=True)
    with pytest.raises(Refused, match="You may not do that"):
        lifecycle.delete(key, actor=actor_for(user, "key.delete"))
    assert ApiKey.objects.exists()
