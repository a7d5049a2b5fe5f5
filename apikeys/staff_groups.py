"""What the pool's staff may do: three groups, and what each permits, as one table.

Kept in the database as Django's own groups, so that a person is put into them on their page. `ensure` runs after each
``migrate``: a group's permissions are what this table says, whatever was there before.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps as installed
from django.apps.registry import Apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission

SUPPORT, SECURITY, ADMINISTRATORS = "support", "security", "administrators"

_VIEW = {
    "accounts.view_account",
    "accounts.view_auditevent",
    "accounts.view_membership",
    "accounts.view_user",
    "apikeys.view_apikey",
    "apikeys.view_role",
    "apikeys.view_signingkey",
    "entities.view_entity",
    "entities.view_hubclient",
    "entities.view_hubinvitation",
}
_STOP = {"apikeys.disable_apikey"}
_INCIDENT = {
    "accounts.export_auditevent",
    "accounts.sign_out_user",
    "apikeys.revoke_apikey",
    "apikeys.retire_signingkey",
}
_ADMINISTER = {
    "accounts.add_account",
    "accounts.change_account",
    "accounts.suspend_account",
    "accounts.add_membership",
    "accounts.change_membership",
    "accounts.delete_membership",
    "accounts.add_user",
    "accounts.change_user",
    "apikeys.add_apikey",
    "apikeys.change_apikey",
    "apikeys.enable_apikey",
    "apikeys.rotate_apikey",
    "apikeys.register_supportkey",
    "apikeys.bootstrap_account",
    "apikeys.rotate_signingkey",
    "apikeys.add_role",
    "apikeys.change_role",
    "apikeys.delete_role",
    "entities.add_entity",
    "entities.change_entity",
    "entities.transfer_entity",
    "entities.import_pool_data",
    "entities.add_hubclient",
    "entities.change_hubclient",
    "entities.delete_hubclient",
}

#: Group -> what it permits. Superusers, whom `createsuperuser` makes, may all of it, and appoint staff.
GROUPS: dict[str, frozenset[str]] = {
    SUPPORT: frozenset(_VIEW | _STOP),
    SECURITY: frozenset(_VIEW | _STOP | _INCIDENT),
    ADMINISTRATORS: frozenset(_VIEW | _STOP | _INCIDENT | _ADMINISTER),
}


def ensure(*, using: str, apps: Apps = installed, **kwargs: Any) -> None:
    """Make the groups what the table says, in the database ``using``. A receiver of ``post_migrate``.

    Two queries when they are. Where a migration was undone, what is not there is left out.
    """
    try:
        group_model: type[Group] = apps.get_model("auth", "Group")
        permission_model: type[Permission] = apps.get_model("auth", "Permission")
    except LookupError:
        return

    def permissions() -> dict[str, int]:
        rows = permission_model.objects.using(using).values_list("content_type__app_label", "codename", "pk")
        return {f"{app}.{codename}": pk for app, codename, pk in rows}

    by_name = permissions()
    if missing := set().union(*GROUPS.values()) - by_name.keys():
        # This runs in the middle of post_migrate: Django makes the permissions of later applications after it.
        for label in sorted({name.partition(".")[0] for name in missing}):
            create_permissions(installed.get_app_config(label), verbosity=0, using=using, apps=apps)
        by_name = permissions()
    held: dict[str, set[int | None]] = {}
    for name, permission in group_model.objects.using(using).filter(name__in=GROUPS).values_list("name", "permissions"):
        held.setdefault(name, set()).add(permission)
    for name, wanted in GROUPS.items():
        ids = {by_name[permission] for permission in wanted & by_name.keys()}
        if held.get(name) != ids:
            group, _made = group_model.objects.using(using).get_or_create(name=name)
            group.permissions.set(ids)
