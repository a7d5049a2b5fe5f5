"""Keys that manage keys, and bodies of keys that they make."""

from __future__ import annotations

from typing import Any

from accounts.access_levels import CUSTOM
from accounts.models import Account
from apikeys import lifecycle, roles
from apikeys.models import ApiKey, Role
from apikeys.scopes import Scope
from tests.conftest import COMMAND

KEYS = "/api/v1/keys"
WATCHING = ("entities:read", "stats:read", "hashrate:read", "workers:read")


def allow_automation(account: Account, **policies: bool) -> None:
    for name, value in {"key_automation": True, **policies}.items():
        setattr(account, name, value)
    account.save()


def make_manager(
    account: Account, *permissions: str, scopes: tuple[str, ...] = ("*:*",), name: str = "Terraform", **fields: Any
) -> tuple[ApiKey, str]:
    """A key with keys:read, keys:write and ``permissions``, a Viewer's where none are named, and its secret."""
    allow_automation(account)
    held = ("keys:read", "keys:write", *(permissions or WATCHING))
    role = Role.objects.filter(account=account, name=f"Role of {name}").first()
    role = role or roles.create(account, actor=COMMAND, name=f"Role of {name}", permissions=held)
    fields = {"environment": "production", "actor": COMMAND, **fields}
    return lifecycle.issue(
        account,
        name=name,
        access_level=CUSTOM,
        role=role,
        scopes=[Scope.parse(text) for text in scopes],
        **fields,
    )


def new_key(**fields: Any) -> dict[str, Any]:
    """The body of a new key."""
    return {"name": "Dashboard", "access_level": "viewer", "scopes": ["*:*"], **fields}
