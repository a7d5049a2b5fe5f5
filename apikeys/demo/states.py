"""Keys in every state worth seeing: rotating, about to expire, disabled, revoked. Nobody is handed their secrets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from accounts import audit
from accounts.access_levels import AccessLevel
from accounts.environments import Environment
from accounts.models import Account
from apikeys import lifecycle
from apikeys.demo.past import backdate_key
from apikeys.models import ApiKey
from apikeys.scopes import Scope

OVERLAP = timedelta(days=7)
ROTATED_BEFORE = timedelta(hours=20)
EXPIRES_IN = timedelta(days=5)
DISABLED_BEFORE = timedelta(days=3)
REVOKED_BEFORE = timedelta(days=7)


@dataclass(frozen=True)
class Shown:
    """``bring`` brings a key, fresh or of an earlier run, into its state."""

    name: str
    access_level: AccessLevel
    age: timedelta
    bring: Callable[[ApiKey, audit.Actor, datetime], None]
    environment: Environment = Environment.PRODUCTION
    scopes: tuple[str, ...] = ("*:miners/*", "*:hubs/*", "*:pools/*")
    fields: dict[str, Any] = field(default_factory=dict)


def make_shown_keys(account: Account, actor: audit.Actor, now: datetime) -> None:
    """Make the keys that are missing. Raises Refused where the account's own limits forbid it."""
    for shown in SHOWN:
        key = _existing(account, shown, now)
        if key is None:
            with audit.dated(now - shown.age):
                key, _ = lifecycle.issue(
                    account,
                    actor=actor,
                    name=shown.name,
                    environment=shown.environment,
                    access_level=shown.access_level,
                    scopes=[Scope.parse(text) for text in shown.scopes],
                    expires_at=now + EXPIRES_IN if shown.bring is expire else None,
                    **shown.fields,
                )
            backdate_key(key, now - shown.age)
        shown.bring(key, actor, now)


def _existing(account: Account, shown: Shown, now: datetime) -> ApiKey | None:
    """The key of an earlier run. What people did to it stays: a revoked one is replaced only where it should live."""
    keys = ApiKey.objects.filter(account=account, name=shown.name, environment=shown.environment)
    if shown.bring is not revoke:
        keys = keys.filter(revoked_at=None)
    if shown.bring is expire:
        keys = keys.exclude(expires_at__lte=now)
    return keys.order_by("-created_at").first()


def rotate(key: ApiKey, actor: audit.Actor, now: datetime) -> None:
    if len(key.live_secrets) == 1:
        rotated = now - ROTATED_BEFORE
        [old] = key.live_secrets
        with audit.dated(rotated):
            lifecycle.rotate(key, actor=actor, overlap=OVERLAP - ROTATED_BEFORE)
        key.secrets.exclude(pk=old.pk).filter(retires_at=None).update(created_at=rotated)


def expire(key: ApiKey, actor: audit.Actor, now: datetime) -> None:
    """Its expiry was set when it was issued."""


def disable(key: ApiKey, actor: audit.Actor, now: datetime) -> None:
    if key.disabled_at is None and now - key.created_at >= DISABLED_BEFORE:
        with audit.dated(now - DISABLED_BEFORE):
            key = lifecycle.disable(key, actor=actor)
        key.disabled_at = now - DISABLED_BEFORE
        key.save(update_fields=["disabled_at"])


def revoke(key: ApiKey, actor: audit.Actor, now: datetime) -> None:
    if key.revoked_at is None:
        with audit.dated(now - REVOKED_BEFORE):
            key = lifecycle.revoke(key, actor=actor, reason="replaced", note="The new cluster has a key of its own.")
        key.revoked_at = now - REVOKED_BEFORE
        key.save(update_fields=["revoked_at"])


SHOWN = [
    Shown(
        "Grafana fleet dashboards",
        AccessLevel.VIEWER,
        timedelta(days=160),
        rotate,
        fields={
            "description": "Screens in both halls and at the NOC.",
            "allowed_cidrs": ["203.0.113.0/28"],
            "rate_limit": 120,
            "rate_burst": 30,
        },
    ),
    Shown(
        "Contractor export",
        AccessLevel.ACCOUNTANT,
        timedelta(days=25),
        expire,
        scopes=("*:hubs/*",),
        fields={"description": "Vale Data, until the audit is done."},
    ),
    Shown("Smoke tests", AccessLevel.ADMINISTRATOR, timedelta(days=60), disable, environment=Environment.STAGING),
    Shown("Grafana (old cluster)", AccessLevel.ADMINISTRATOR, timedelta(days=220), revoke),
]
