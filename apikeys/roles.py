"""Custom roles: an account's own access levels. The only writers of roles, for every face.

Each writer runs in one transaction with its audit row, checks the actor's rights afresh, and asks for the step-up
proof of exactly its own action.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts import access, audit
from accounts.access_levels import AUTOMATION_PERMISSIONS, CUSTOM, PERMISSIONS, STAFF_PERMISSIONS, AccessLevel
from accounts.changes import Refused, lock_account
from accounts.models import Account, KeyPermission, Membership
from apikeys.models import Role
from apikeys.rules import check_ceiling, check_description, check_name

CREATE, EDIT, DELETE = "role.create", "role.edit", "role.delete"
NAME_LENGTH, DESCRIPTION_LENGTH = 60, 200

#: A role decides what keys may be made and, where the policy allows it, changes keys in use: it takes all three.
#: To see roles takes the first.
RIGHTS = (KeyPermission.VIEW, KeyPermission.CREATE, KeyPermission.UPDATE)

#: A role of one of these names would pass for something else.
_TAKEN = {CUSTOM, "custom role", "owner", *(level.value for level in AccessLevel)}


def create(
    account: Account,
    *,
    actor: audit.Actor,
    name: str,
    permissions: Iterable[str],
    description: str = "",
    cloned_from: Role | None = None,
) -> Role:
    """Make a role; ``cloned_from`` is where its permissions were taken from, for the record.

    Raises Refused, PermissionDenied, StepUpMissing.
    """
    actor.require_step_up(CREATE)
    with transaction.atomic():
        # The account's row orders what happens to its roles and keys: a name is free, a role unused, until we are done.
        account = lock_account(account.pk)
        new = check(account, actor=actor, name=name, permissions=permissions, description=description)
        role = Role.objects.create(
            account=account, name=new.name, description=new.description, permissions=new.permissions
        )
        origin = {"cloned_from": cloned_from.name} if cloned_from else {}
        audit.record(
            "role.created",
            actor=actor,
            account=account,
            target=role,
            description=role.description,
            permissions=role.permissions,
            **origin,
        )
    return role


def edit(role: Role, *, actor: audit.Actor, name: str, permissions: Iterable[str], description: str = "") -> Role:
    """Change ``role``, and with it what every key that has it may do. Nothing changed is no error.

    Raises Refused, PermissionDenied, StepUpMissing.
    """
    actor.require_step_up(EDIT)
    with transaction.atomic():
        account = lock_account(role.account_id)
        role = _reread(role)
        new = check(account, actor=actor, name=name, permissions=permissions, description=description, role=role)
        changes = {
            field: {"from": getattr(role, field), "to": getattr(new, field)}
            for field in ("name", "description", "permissions")
            if getattr(role, field) != getattr(new, field)
        }
        if changes:
            role.name, role.description, role.permissions = new.name, new.description, new.permissions
            role.save(update_fields=["name", "description", "permissions"])
            audit.record(
                "role.changed", actor=actor, account=account, target=role, changes=changes, keys=keys_in_use(role)
            )
    return role


def delete(role: Role, *, actor: audit.Actor) -> None:
    """Remove ``role``, which no key has, nor had when it was revoked: a revoked key keeps its level for the record.

    Raises Refused, PermissionDenied, StepUpMissing.
    """
    actor.require_step_up(DELETE)
    with transaction.atomic():
        account = lock_account(role.account_id)
        role = _reread(role)
        access.require_right(actor, account, *RIGHTS)
        if reason := why_kept(role.keys.count()):
            raise Refused(reason)
        audit.record("role.deleted", actor=actor, account=account, target=role, permissions=role.permissions)
        role.delete()


@dataclass(frozen=True)
class CheckedRole:
    """What check() made of its arguments: a tidy name and description, permissions in the order of the table."""

    name: str
    description: str
    permissions: list[str]


def check(
    account: Account,
    *,
    actor: audit.Actor,
    name: str,
    permissions: Iterable[str],
    description: str = "",
    role: Role | None = None,
) -> CheckedRole:
    """Judge a new role, or a change of ``role``, writing nothing: forms ask before they spend a code.

    Raises Refused, PermissionDenied.
    """
    giver = access.require_right(actor, account, *RIGHTS)
    if role is not None:
        check_ceiling(frozenset(role.permissions), giver, "permissions", of_role=True)
    name = _check_name(account, name, role)
    description = check_description(description, DESCRIPTION_LENGTH)
    wanted = frozenset(permissions)
    if unknown := sorted(wanted - PERMISSIONS.keys()):
        raise Refused(_("“%(name)s” is no permission.") % {"name": unknown[0][:60]}, "permissions")
    if not wanted:
        raise Refused(_("Choose at least one permission."), "permissions")
    if role is None or wanted != frozenset(role.permissions):
        check_ceiling(wanted, giver, "permissions", of_role=True)
        if wanted & AUTOMATION_PERMISSIONS and not account.key_automation:
            raise Refused(
                _("Only where the account allows keys to manage keys. An owner can switch that on in the settings."),
                "permissions",
            )
        if role is not None and (reason := why_fixed(account, keys_in_use(role))):
            raise Refused(reason, "permissions")
    return CheckedRole(name, description, [known for known in PERMISSIONS if known in wanted])


def of_account(account: Account) -> QuerySet[Role]:
    """The account's roles with how many keys have each: ``used``, and ``in_use`` without the revoked ones."""
    in_use = Count("keys", filter=Q(keys__revoked_at=None))
    return Role.objects.filter(account=account).annotate(in_use=in_use, used=Count("keys"))


def why_beyond(permissions: Collection[str], giver: Membership | None) -> str:
    """Why ``giver`` can't give ``permissions``; "" when they can. None: nothing caps them."""
    beyond = frozenset(permissions) - access.givable(giver) if giver is not None else frozenset()
    if giver is None or not beyond:
        return ""
    if beyond & STAFF_PERMISSIONS:
        return _("Only the pool’s staff give this.")
    if beyond <= AUTOMATION_PERMISSIONS:
        return _("Only an owner lets keys manage keys.")
    return _("More than your own level, %(level)s.") % {"level": giver.get_access_level_display()}


def keys_in_use(role: Role) -> int:
    """How many keys have ``role`` and are not revoked."""
    return role.keys.filter(revoked_at=None).count()


def why_fixed(account: Account, in_use: int) -> str:
    """Why the permissions of a role that ``in_use`` keys have can't be changed; "" when they can."""
    if not in_use or account.keys_editable:
        return ""
    return ngettext(
        "%(count)d key uses this role, so its permissions are fixed. Clone it, and give the clone to new keys.",
        "%(count)d keys use this role, so its permissions are fixed. Clone it, and give the clone to new keys.",
        in_use,
    ) % {"count": in_use}


def why_kept(used: int) -> str:
    """Why a role that ``used`` keys have, revoked ones counted, can't be deleted; "" when it can."""
    if not used:
        return ""
    return ngettext(
        "%(count)d key has this role, revoked keys counted, so it can’t be deleted.",
        "%(count)d keys have this role, revoked keys counted, so it can’t be deleted.",
        used,
    ) % {"count": used}


def in_force(permissions: Iterable[str], account: Account) -> frozenset[str]:
    """What keys can do with ``permissions`` now: to manage keys, the account's policy must allow it, too."""
    held = frozenset(permissions)
    return held if account.key_automation else held - AUTOMATION_PERMISSIONS


def name_level(role: Role) -> str:
    """How a form's one list of access levels writes ``role``: ``role:0192…``."""
    return f"{_ROLE}{role.pk}"


_ROLE = "role:"


def _reread(role: Role) -> Role:
    found = Role.objects.filter(pk=role.pk).first()
    if found is None:
        raise Refused(_("This role was deleted."))
    return found


def _check_name(account: Account, name: str, role: Role | None) -> str:
    name = check_name(name, NAME_LENGTH, _("Give the role a name."))
    if name.casefold() in _TAKEN:
        raise Refused(_("“%(name)s” means something else here. Choose another name.") % {"name": name}, "name")
    others = Role.objects.filter(account=account)
    if role is not None:
        others = others.exclude(pk=role.pk)
    if name.casefold() in {other.casefold() for other in others.values_list("name", flat=True)}:
        raise Refused(_("Another role of this account has that name."), "name")
    return name
