"""Parallel changes of custom roles: a name is used once, and no key is left with a role that changed or went."""

from __future__ import annotations

import pytest

from accounts.audit import Actor
from accounts.models import AuditEvent
from apikeys import lifecycle, roles
from apikeys.lifecycle import Refused
from apikeys.models import ApiKey, Role
from apikeys.scopes import Scope
from tests.people import actor_for
from tests.security.racing import race

pytestmark = [pytest.mark.race, pytest.mark.django_db(transaction=True)]

COMMAND = Actor.for_command("tests")


def test_ten_parallel_roles_of_one_name_are_one_role(account, owner):
    def make():
        return roles.create(account, actor=actor_for(owner, "role.create"), name="ERP", permissions=["payouts:read"])

    results = race([make] * 10)
    assert sum(isinstance(result, Role) for result in results) == 1
    assert sum(isinstance(result, Refused) for result in results) == 9
    assert Role.objects.count() == 1


def test_a_key_never_gets_a_role_that_goes_or_changes_beside_it(account, make_role):
    def give(role):
        return lifecycle.issue(
            account,
            actor=COMMAND,
            name="bot",
            environment="production",
            access_level="custom",
            role=role,
            scopes=[Scope("*", "*")],
        )

    for number in range(5):
        role = make_role("payouts:read", name=f"Role {number}")
        changed = {"name": role.name, "permissions": ["payouts:read", "settings:write"]}
        results = race(
            [
                lambda role=role: give(role),
                lambda role=role, changed=changed: roles.edit(role, actor=COMMAND, **changed),
                lambda role=role: roles.delete(role, actor=COMMAND),
            ]
        )
        assert not [result for result in results if isinstance(result, Exception) and not isinstance(result, Refused)]
        issued, edited, deleted = (not isinstance(result, Refused) for result in results)
        assert issued != deleted
        assert Role.objects.filter(pk=role.pk).exists() == issued
        assert ApiKey.objects.filter(role_id=role.pk).count() == issued
        # Whatever changed the role did so while no key had it.
        events = AuditEvent.objects.filter(action="role.changed", target_id=str(role.pk))
        assert [event.data["keys"] for event in events] == [0] * edited
