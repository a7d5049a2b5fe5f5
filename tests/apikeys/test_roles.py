"""Custom roles: who may make, change and delete them, and what of them keys get."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine
from django.core.exceptions import PermissionDenied
from django.db.models import ProtectedError
from django.utils import timezone

from accounts.access_levels import LEVEL_PERMISSIONS, PERMISSIONS, AccessLevel
from accounts.audit import StepUpMissing
from accounts.models import Account, AuditEvent, Membership
from accounts.step_up import LIFETIME
from apikeys import lifecycle, roles
from apikeys.lifecycle import Refused
from apikeys.models import ApiKey, Role
from apikeys.scopes import Scope
from tests.conftest import COMMAND
from tests.factories import HubFactory, MembershipFactory, MinerFactory, UserFactory
from tests.people import actor_for

LEVELS = [level.value for level in AccessLevel]
ALL_RIGHTS = {f"can_{right}_keys": True for right in ("view", "create", "update")}


def create(account, actor, *permissions, **fields):
    fields = {"name": "Billing export", **fields}
    return roles.create(account, actor=actor, permissions=permissions or ["payouts:read"], **fields)


def edit(role, actor, **changes):
    fields = {"name": role.name, "description": role.description, "permissions": role.permissions, **changes}
    return roles.edit(role, actor=actor, **fields)


def member_at(account, level, **rights):
    user = UserFactory()
    MembershipFactory(account=account, user=user, access_level=level, **(rights or ALL_RIGHTS))
    return user


@contextmanager
def refused_at(field):
    """Expect a refusal that says which field to mend."""
    with pytest.raises(Refused) as refused:
        yield refused
    assert refused.value.field == field


# Making


def test_a_role_is_tidied_and_recorded(account, owner):
    role = create(
        account, actor_for(owner, "role.create"), "payouts:read", "entities:read", "payouts:read",
        name="  Billing \n export ", description=" for  the ERP ",
    )  # fmt: skip
    role.refresh_from_db()
    assert (role.name, role.description) == ("Billing export", "for the ERP")
    assert role.permissions == ["entities:read", "payouts:read"]
    event = AuditEvent.objects.get(action="role.created")
    assert (event.actor, event.account, event.via, event.target_name) == (owner, account, "web", "Billing export")
    assert (event.target_type, event.target_id) == ("role", str(role.pk))
    assert event.data == {"description": "for the ERP", "permissions": ["entities:read", "payouts:read"]}


@pytest.mark.parametrize("name", ["", "  ", "x" * 61, "a\0b", "a\u202eb"])
def test_a_name_must_be_there_be_short_and_print(account, name):
    with refused_at("name"):
        create(account, COMMAND, name=name)
    assert not Role.objects.exists()


@pytest.mark.parametrize("name", ["Viewer", "ADMINISTRATOR", "custom", "Custom role", "owner"])
def test_a_role_can_t_pass_for_an_access_level(account, name):
    with refused_at("name"):
        create(account, COMMAND, name=name)


def test_a_name_is_used_once_in_an_account_whatever_its_case(account, other_account):
    role = create(account, COMMAND, name="Büro")
    for name in ("Büro", "BÜRO", " büro "):
        with refused_at("name"):
            create(account, COMMAND, name=name)
    create(other_account, COMMAND, name="Büro")
    other = create(account, COMMAND, name="Other")
    with refused_at("name"):
        edit(other, COMMAND, name="büro")
    assert edit(role, COMMAND, name="BÜRO").name == "BÜRO"


@pytest.mark.parametrize("description", ["x" * 201, "a\0b"])
def test_a_description_is_short_and_prints(account, description):
    with refused_at("description"):
        create(account, COMMAND, description=description)


def test_a_role_has_at_least_one_permission_and_only_known_ones(account):
    with refused_at("permissions") as none:
        roles.create(account, actor=COMMAND, name="Nothing", permissions=[])
    with refused_at("permissions") as unknown:
        create(account, COMMAND, "stats:read", "stats:raed")
    assert "at least one" in str(none.value)
    assert "stats:raed" in str(unknown.value)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("permission", PERMISSIONS)
def test_a_member_gives_a_role_what_their_own_level_has_and_no_more(account, level, permission):
    Account.objects.update(key_automation=True)
    actor = actor_for(member_at(account, level), "role.create")
    if permission in LEVEL_PERMISSIONS[AccessLevel(level)]:
        assert create(account, actor, permission).permissions == [permission]
    else:
        with refused_at("permissions") as refused:
            create(account, actor, "entities:read", permission)
        assert f"You lack {permission}." in str(refused.value)
        assert not Role.objects.exists()


@pytest.mark.parametrize("permission", ["keys:read", "keys:write"])
def test_managing_keys_is_given_by_owners_and_staff_where_the_account_allows_it(account, owner, staff, permission):
    givers = [actor_for(owner, "role.create"), actor_for(staff, "role.create", via="admin"), COMMAND]
    for actor in givers:
        with refused_at("permissions"):
            create(account, actor, permission)
    Account.objects.update(key_automation=True)
    for number, actor in enumerate(givers):
        assert create(account, actor, permission, name=f"Automation {number}").permissions == [permission]
    with refused_at("permissions"):
        create(account, actor_for(member_at(account, "administrator"), "role.create"), permission)


@pytest.mark.parametrize("permission", ["ingest:write", "verify:use"])
def test_what_is_of_every_account_is_given_by_staff_and_commands_alone(account, owner, staff, permission):
    """Sending the pool's data in, and verifying keys for a service."""
    with refused_at("permissions"):
        create(account, actor_for(owner, "role.create"), permission)
    for number, actor in enumerate([actor_for(staff, "role.create", via="admin"), COMMAND]):
        assert create(account, actor, permission, name=f"Backend {number}").permissions == [permission]


@pytest.mark.parametrize("missing", ["view", "create", "update"])
def test_changing_roles_takes_three_rights(account, missing):
    rights = {name: True for name in ALL_RIGHTS if missing not in name}
    user = member_at(account, "administrator", **rights)
    role = create(account, COMMAND)
    with pytest.raises(PermissionDenied):
        create(account, actor_for(user, "role.create"), name="Another")
    with pytest.raises(PermissionDenied):
        edit(role, actor_for(user, "role.edit"), name="Another")
    with pytest.raises(PermissionDenied):
        roles.delete(role, actor=actor_for(user, "role.delete"))
    assert list(Role.objects.values_list("name", flat=True)) == ["Billing export"]


@pytest.mark.parametrize("via", ["web", "api", "other"])
def test_strangers_and_removed_members_are_refused_with_the_proof_in_hand(account, owner, outsider, staff, via):
    Membership.objects.filter(user=owner).delete()
    for user in (owner, outsider, staff):
        with pytest.raises(PermissionDenied):
            create(account, actor_for(user, "role.create", via=via))
    assert not Role.objects.exists()


ACTIONS = {
    "role.create": lambda role, actor: create(role.account, actor, name="Another"),
    "role.edit": lambda role, actor: edit(role, actor, name="Another"),
    "role.delete": lambda role, actor: roles.delete(role, actor=actor),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_each_change_asks_for_a_fresh_proof_of_its_own(make_role, owner, treasurer, action):
    role = make_role("payouts:read")
    events = AuditEvent.objects.count()
    proofs = [actor_for(owner, other).proof for other in [*ACTIONS, "key.issue", ""] if other != action]
    proofs += [None, actor_for(treasurer, action).proof]
    for proof in proofs:
        with pytest.raises(StepUpMissing):
            ACTIONS[action](role, replace(actor_for(owner, action), proof=proof))
    with time_machine.travel(timezone.now(), tick=False) as clock:
        actor = actor_for(owner, action)
        clock.shift(LIFETIME + timedelta(seconds=1))
        with pytest.raises(StepUpMissing):
            ACTIONS[action](role, actor)
    assert AuditEvent.objects.count() == events
    assert list(Role.objects.values_list("name", flat=True)) == ["Billing export"]
    ACTIONS[action](role, actor_for(owner, action))
    assert AuditEvent.objects.count() == events + 1


def test_a_clone_says_what_it_was_made_from(account, make_role, owner):
    role = make_role("payouts:read")
    copy = roles.create(
        account, actor=actor_for(owner, "role.create"), name="Copy", permissions=role.permissions, cloned_from=role
    )
    assert copy.permissions == role.permissions
    assert AuditEvent.objects.get(target_id=str(copy.pk)).data["cloned_from"] == "Billing export"


# Changing


@pytest.fixture
def in_use(make_role, issue_key):
    """A role that two keys have, and a third, revoked one."""
    role = make_role("entities:read", "payouts:read")
    for number in range(3):
        key, _ = issue_key("custom", role=role, name=f"key {number}")
    lifecycle.revoke(key, actor=COMMAND, reason="other")
    return role


def test_permissions_in_use_are_fixed_and_the_refusal_names_the_keys_and_the_way_out(in_use, owner, staff):
    for actor in (actor_for(owner, "role.edit"), actor_for(staff, "role.edit", via="admin"), COMMAND):
        with refused_at("permissions") as refused:
            edit(in_use, actor, permissions=["entities:read"])
        assert "2 keys use this role" in str(refused.value)
        assert "Clone it" in str(refused.value)
    in_use.refresh_from_db()
    assert in_use.permissions == ["entities:read", "payouts:read"]


def test_name_and_description_of_a_role_in_use_may_be_changed(in_use, owner):
    edit(in_use, actor_for(owner, "role.edit"), name="ERP", description="nightly")
    in_use.refresh_from_db()
    assert (in_use.name, in_use.description) == ("ERP", "nightly")


def test_where_the_policy_says_editable_the_keys_change_with_the_role_at_once(in_use, owner, issue_key, api):
    Account.objects.update(keys_editable=True)
    _, secret = issue_key("custom", role=in_use)
    edit(in_use, actor_for(owner, "role.edit"), permissions=["entities:read", "workers:read"])
    assert api(secret).get("/api/v1/key").json()["permissions"] == ["entities:read", "workers:read"]
    event = AuditEvent.objects.get(action="role.changed")
    assert event.data == {
        "changes": {
            "permissions": {"from": ["entities:read", "payouts:read"], "to": ["entities:read", "workers:read"]}
        },
        "keys": 3,
    }


def test_a_role_that_only_revoked_keys_have_may_be_changed(in_use):
    for key in in_use.keys.not_revoked():
        lifecycle.revoke(key, actor=COMMAND, reason="other")
    assert edit(in_use, COMMAND, permissions=["stats:read"]).permissions == ["stats:read"]


def test_nothing_changed_is_no_error_and_leaves_no_trace(in_use):
    edit(in_use, COMMAND)
    assert not AuditEvent.objects.filter(action="role.changed").exists()


def test_a_member_changes_no_role_that_is_wider_than_they_are_before_or_after(account, make_role):
    treasurer = member_at(account, "treasurer")
    wide, narrow = make_role("settings:write", name="Wide"), make_role("payouts:read", name="Narrow")
    for changes in ({"permissions": ["payouts:read"]}, {"name": "Harmless"}):
        with refused_at("permissions"):
            edit(wide, actor_for(treasurer, "role.edit"), **changes)
    with refused_at("permissions"):
        edit(narrow, actor_for(treasurer, "role.edit"), permissions=["settings:write"])
    assert edit(narrow, actor_for(treasurer, "role.edit"), permissions=["balance:read"]).name == "Narrow"


def test_managing_keys_can_be_taken_away_and_not_given_again_when_automation_is_off(account, owner, make_role):
    Account.objects.update(key_automation=True)
    role = make_role("keys:read", "stats:read")
    Account.objects.update(key_automation=False)
    edit(role, actor_for(owner, "role.edit"), name="Renamed")
    with refused_at("permissions"):
        edit(role, actor_for(owner, "role.edit"), permissions=["keys:read"])
    role = edit(role, actor_for(owner, "role.edit"), permissions=["stats:read"])
    with refused_at("permissions"):
        edit(role, actor_for(owner, "role.edit"), permissions=["keys:read", "stats:read"])


def test_a_role_that_was_deleted_meanwhile_is_neither_changed_nor_deleted_nor_given(account, make_role):
    role, stale = make_role("stats:read"), Role.objects.get()
    roles.delete(role, actor=COMMAND)
    with pytest.raises(Refused, match="was deleted"):
        edit(stale, COMMAND, name="Ghost")
    with pytest.raises(Refused, match="was deleted"):
        roles.delete(stale, actor=COMMAND)
    with refused_at("access_level"):
        give(account, COMMAND, stale)


# Deleting


def test_a_role_that_any_key_has_is_kept_and_the_refusal_names_how_many(in_use, owner):
    with pytest.raises(Refused, match="3 keys have this role"):
        roles.delete(in_use, actor=actor_for(owner, "role.delete"))
    for key in in_use.keys.not_revoked():
        lifecycle.revoke(key, actor=COMMAND, reason="other")
    with pytest.raises(Refused, match="3 keys have this role"):
        roles.delete(in_use, actor=actor_for(owner, "role.delete"))
    with pytest.raises(ProtectedError):
        in_use.delete()


def test_an_unused_role_goes_and_its_trail_stays(make_role, owner):
    role = make_role("payouts:read")
    pk = str(role.pk)
    roles.delete(role, actor=actor_for(owner, "role.delete"))
    assert not Role.objects.exists()
    assert [event.action for event in AuditEvent.objects.filter(target_id=pk)] == ["role.deleted", "role.created"]


# Giving


def give(account, actor, role, access_level="custom"):
    return lifecycle.issue(
        account,
        actor=actor,
        name="bot",
        environment="production",
        access_level=access_level,
        role=role,
        scopes=[Scope("*", "*")],
    )


def test_a_key_with_a_role_names_it_in_its_audit_row(account, owner, make_role):
    key, _ = give(account, actor_for(owner, "key.issue"), make_role("payouts:read"))
    key.refresh_from_db()
    assert (key.access_level, key.role.name, key.level_name) == ("custom", "Billing export", "Billing export")
    data = AuditEvent.objects.get(action="key.issued").data
    assert (data["access_level"], data["role"]) == ("custom", "Billing export")


def test_level_and_role_fit_together_or_no_key_is_made(account, other_account, make_role):
    role, foreign = make_role("payouts:read"), make_role("payouts:read", account=other_account)
    for given in [(None, "custom"), (foreign, "custom"), (role, "viewer"), (role, "nonsense"), (None, "nonsense")]:
        with refused_at("access_level"):
            give(account, COMMAND, *given)
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("level", LEVELS)
def test_nobody_gives_a_key_a_role_that_has_more_than_they_have(account, make_role, level):
    user = member_at(account, level)
    for permission in PERMISSIONS.keys() - {"keys:read", "keys:write"}:
        role = make_role(permission, name=permission)
        if permission in LEVEL_PERMISSIONS[AccessLevel(level)]:
            assert give(account, actor_for(user, "key.issue"), role)[0].role == role
        else:
            with refused_at("access_level"):
                give(account, actor_for(user, "key.issue"), role)


def test_who_gets_a_new_secret_has_all_that_its_role_gives(account, owner, staff, make_role, issue_key):
    treasurer = member_at(account, "treasurer")
    narrow, _ = issue_key("custom", role=make_role("payouts:read", name="Narrow"))
    wide, _ = issue_key("custom", role=make_role("settings:write", name="Wide"))
    backend, _ = issue_key("custom", role=make_role("ingest:write", name="Backend"))
    assert lifecycle.regenerate(narrow, actor=actor_for(treasurer, "key.regenerate"))
    assert lifecycle.regenerate(wide, actor=actor_for(owner, "key.regenerate"))
    assert lifecycle.regenerate(backend, actor=actor_for(staff, "key.regenerate", via="admin"))
    for key, user in [(wide, treasurer), (backend, owner)]:
        with refused_at("access_level"):
            lifecycle.regenerate(key, actor=actor_for(user, "key.regenerate"))


#: A read for each permission that has one in the pool data API: route, and the entity that it takes.
READS = {
    "entities:read": "miners/{miner}",
    "stats:read": "miners/{miner}/stats",
    "hashrate:read": "miners/charts?id={miner}",
    "workers:read": "miners/{miner}/workers",
    "accruals:read": "miners/{miner}/accruals",
    "payouts:read": "miners/{miner}/payments",
    "balance:read": "miners/{miner}/balance",
    "clients:read": "hubs/{hub}/clients",
}


@pytest.mark.parametrize("permission", PERMISSIONS)
def test_a_key_gets_exactly_what_its_role_says(account, make_role, issue_key, api, permission):
    Account.objects.update(key_automation=True)
    ids = {"miner": MinerFactory(account=account).pk, "hub": HubFactory(account=account).pk}
    _, secret = issue_key("custom", role=make_role(permission))
    client = api(secret)
    about = client.get("/api/v1/key").json()
    assert (about["access_level"], about["role"]) == ("custom", "Billing export")
    assert about["permissions"] == [permission]
    answered = {name: client.get(f"/api/v1/{path.format(**ids)}").status_code for name, path in READS.items()}
    assert answered == {name: 200 if name == permission else 403 for name in READS}


def test_managing_keys_ends_with_the_account_s_policy_on_the_next_request(account, make_role, issue_key, api):
    Account.objects.update(key_automation=True)
    _, secret = issue_key("custom", role=make_role("keys:read", "stats:read"))
    assert api(secret).get("/api/v1/key").json()["permissions"] == ["keys:read", "stats:read"]
    Account.objects.update(key_automation=False)
    assert api(secret).get("/api/v1/key").json()["permissions"] == ["stats:read"]
