"""The demo's keys: one at every access level, one of another environment, one with a custom role, and `states`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.access_levels import CUSTOM, AccessLevel
from accounts.environments import Environment
from accounts.models import Account
from apikeys import lifecycle, roles
from apikeys.demo.past import backdate_key
from apikeys.demo.states import make_shown_keys
from apikeys.demo.support_keys import make_support_keys
from apikeys.demo.usage import make_usage
from apikeys.models import ApiKey, Role
from apikeys.scopes import Scope

ACCOUNT = "northfold"
AGE = timedelta(days=75)
SCOPES = ["*:miners/*", "*:hubs/*", "*:pools/*"]


@dataclass(frozen=True)
class Wanted:
    name: str
    access_level: AccessLevel
    environment: Environment = Environment.PRODUCTION


KEYS = [
    *(Wanted(f"Demo {level}", level) for level in AccessLevel),
    Wanted("Demo viewer, staging", AccessLevel.VIEWER, Environment.STAGING),
]

ROLE = "Billing export"
ROLE_DESCRIPTION = "Month-end export to the ERP: earnings and hub finances, no machines."
ROLE_PERMISSIONS = ["entities:read", "accruals:read", "payouts:read", "hub-finance:read"]
ROLE_KEY = "ERP export"


@dataclass(frozen=True)
class SeededKey:
    """A demo key beside its fresh secret, which nobody can read again."""

    key: ApiKey
    secret: str

    @property
    def account(self) -> str:
        return self.key.account.slug

    @property
    def scopes(self) -> list[str]:
        return [str(row) for row in self.key.scopes.order_by("pk")]


def make_keys(actor: audit.Actor, now: datetime) -> list[SeededKey]:
    """Give every demo key a fresh secret, making those that are missing or revoked, and bring their use up to ``now``.

    Raises Refused where the account's own limits forbid it.
    """
    account = Account.objects.get(slug=ACCOUNT)
    with transaction.atomic():
        _make_role(account, actor, now)
        keys = [_make_key(account, wanted, actor, now) for wanted in KEYS]
        make_shown_keys(account, actor, now)
        make_support_keys(account, actor, now)
        make_usage(account, now)
    return keys


def _make_role(account: Account, actor: audit.Actor, now: datetime) -> None:
    """Show what a custom role in use looks like. Nobody is to call with its key: its secret is kept by nobody."""
    role = Role.objects.filter(account=account, name=ROLE).first() or roles.create(
        account, actor=actor, name=ROLE, description=ROLE_DESCRIPTION, permissions=ROLE_PERMISSIONS
    )
    if not role.keys.filter(name=ROLE_KEY, revoked_at=None).exists():
        with audit.dated(now - AGE):
            key, _ = lifecycle.issue(
                account,
                actor=actor,
                name=ROLE_KEY,
                environment=Environment.PRODUCTION,
                access_level=CUSTOM,
                role=role,
                scopes=[Scope.parse(text) for text in SCOPES],
            )
        backdate_key(key, now - AGE)


def _make_key(account: Account, wanted: Wanted, actor: audit.Actor, now: datetime) -> SeededKey:
    key = _usable_key(account, wanted)
    if key is None:
        with audit.dated(now - AGE):
            key, secret = lifecycle.issue(
                account,
                actor=actor,
                name=wanted.name,
                environment=wanted.environment,
                access_level=wanted.access_level,
                scopes=[Scope.parse(text) for text in SCOPES],
            )
        backdate_key(key, now - AGE)
        return SeededKey(key, secret)
    if key.disabled_at is not None:
        key = lifecycle.enable(key, actor=actor)
    return SeededKey(key, lifecycle.regenerate(key, actor=actor))


def _usable_key(account: Account, wanted: Wanted) -> ApiKey | None:
    """The newest key of that name and level that can still be made to answer."""
    candidates = ApiKey.objects.filter(
        account=account, environment=wanted.environment, name=wanted.name, access_level=wanted.access_level
    )
    now = timezone.now()
    expired = candidates.expired(now).values("pk")
    return candidates.not_revoked().exclude(pk__in=expired).order_by("-created_at").first()
