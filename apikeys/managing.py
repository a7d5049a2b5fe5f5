"""Keys that manage keys: what caps them.

A member is capped by their access level. A key is capped by all that it is itself, for nobody looks on while it acts:
whoever steals it gains no more than it had. No key makes or changes one that manages keys, itself included.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, cast

from accounts import audit
from accounts.access_levels import STAFF_PERMISSIONS, Action
from accounts.changes import Refused
from accounts.models import Account
from apikeys.models import ApiKey, KeyScope
from apikeys.scopes import Scope
from entities.models import Entity, Kind

#: What it takes, and what no key gives to another.
MANAGE = "keys:write"
SCOPES_NAMED = 3


class NotAllowed(Refused):
    """The actor may not do this to this key, whatever they ask for: nothing of the request can be mended."""


@dataclass(frozen=True)
class Powers:
    """All that makes one key wider than another.

    ``rate_limit`` is the one in force, in requests per minute, and ``rate_burst`` how many of them may come at once.
    """

    environment: str
    permissions: frozenset[str]
    scopes: frozenset[Scope]
    allowed_cidrs: Sequence[str]
    rate_limit: int | None
    rate_burst: int | None
    expires_at: datetime | None

    @classmethod
    def of(cls, key: ApiKey) -> Powers:
        return cls(
            environment=key.environment,
            permissions=key.permissions,
            scopes=frozenset(Scope(row.action, row.kind, row.entity_id) for row in key.scopes.all()),
            allowed_cidrs=tuple(key.allowed_cidrs),
            rate_limit=key.rate_limit_in_force,
            rate_burst=key.rate_burst_in_force,
            expires_at=key.expires_at,
        )


@dataclass(frozen=True)
class ManagingKey:
    """A key that changes keys of its account, as it stands now."""

    key: ApiKey
    powers: Powers

    @property
    def givable(self) -> frozenset[str]:
        """What it may give: not what is staff's, even where it has that itself."""
        return self.powers.permissions - STAFF_PERMISSIONS - {MANAGE}

    def require_within(self, other: ApiKey) -> None:
        """Raise NotAllowed if ``other`` is wider than this key: its secret, or its life, would be a gain."""
        self.require_reach(other)
        try:
            self.check(Powers.of(other))
        except Refused as refused:
            raise NotAllowed(f"This key may not do that to “{other.name}”. {refused}") from None

    def require_reach(self, other: ApiKey) -> None:
        """Raise NotAllowed if ``other`` is of another environment, or support's."""
        if other.environment != self.key.environment or other.support:
            raise NotAllowed("A key manages the keys of its own account and environment alone.")

    def check(self, wanted: Powers) -> None:
        """Raise Refused if a key with the powers ``wanted`` would be wider than this one."""
        own = self.powers
        if wanted.environment != own.environment:
            raise Refused("A key manages keys of its own environment alone.", "environment")
        self.check_permissions(wanted.permissions, "access_level")
        if beyond := self._beyond_scopes(wanted.scopes):
            named = ", ".join(str(row) for row in beyond[:SCOPES_NAMED]) + ("…" if len(beyond) > SCOPES_NAMED else "")
            raise Refused(f"Not within the scopes of the key that asks: {named}.", "scopes")
        if own.expires_at is not None and (wanted.expires_at is None or wanted.expires_at > own.expires_at):
            raise Refused(
                f"Not within the life of the key that asks, which ends {own.expires_at:%Y-%m-%dT%H:%M:%SZ}.",
                "expires_at",
            )
        if own.allowed_cidrs and not _are_within(wanted.allowed_cidrs, own.allowed_cidrs):
            raise Refused(
                f"Not within the addresses of the key that asks: {', '.join(own.allowed_cidrs)}.", "allowed_cidrs"
            )
        if own.rate_limit is not None and (wanted.rate_limit is None or wanted.rate_limit > own.rate_limit):
            raise Refused(
                f"Not within the rate limit of the key that asks: {own.rate_limit} requests a minute.", "rate_limit"
            )
        if own.rate_burst is not None and (wanted.rate_burst is None or wanted.rate_burst > own.rate_burst):
            raise Refused(
                f"Not within the burst of the key that asks: {own.rate_burst} requests at once.", "rate_burst"
            )

    def check_permissions(self, permissions: frozenset[str], field: str) -> None:
        """Raise Refused if this key may not give all ``permissions``."""
        if MANAGE in permissions:
            raise Refused(f"Only people make and change keys with {MANAGE}.", field)
        if beyond := permissions - self.givable:
            raise Refused(f"Not within what the key that asks may give: {', '.join(sorted(beyond))}.", field)

    def _beyond_scopes(self, wanted: Iterable[Scope]) -> list[Scope]:
        own = self.powers.scopes
        others = [row for row in wanted if row not in own]
        picked = [row.entity_id for row in others if row.entity_id is not None]
        of_account = Entity.objects.of_account(self.key.account_id, self.key.environment).filter(pk__in=picked)
        owned = set(of_account.values_list("pk", flat=True)) if picked else set()
        return sorted((row for row in others if not _is_covered(row, own, row.entity_id in owned)), key=str)


def find(actor: audit.Actor, account: Account) -> ManagingKey:
    """Return the key that ``actor`` is, read afresh, if it may change keys of ``account`` now. Raises NotAllowed."""
    keys = ApiKey.objects.select_related("account", "role").prefetch_related("secrets", "scopes")
    key = keys.filter(account=account, key_id=actor.key_id).first()
    if (
        key is None
        or MANAGE not in key.permissions
        or not key.account.key_automation
        or key.account.suspended_at is not None
        or key.status != "active"
    ):
        raise NotAllowed("This key may not manage the keys of this account (any more).")
    return ManagingKey(key, Powers.of(key))


def _is_covered(row: Scope, own: frozenset[Scope], is_owned: bool) -> bool:
    """Whether rows of ``own`` give what ``row`` does, now and whatever happens to hubs and pools later.

    ``is_owned``: the entity that ``row`` picks is the account's own. "All miners" are these; every other one that can
    be picked is a client of the account's hubs. What a picked hub or pool reaches may leave it, so that covers no row.
    """

    def gives(action: str, kind: str, entity_id: Any = None) -> bool:
        return any(Scope(each, kind, entity_id) in own for each in (action, KeyScope.Action.ANY))

    def gives_all(action: str, kind: str) -> bool:
        return gives(action, kind) or gives(action, KeyScope.ANY_KIND)

    def covers(action: str) -> bool:
        if row.entity_id is None:
            return gives_all(action, row.kind)
        if is_owned:
            return gives(action, row.kind, row.entity_id) or gives_all(action, row.kind)
        return gives(action, row.kind, row.entity_id) or (row.kind == Kind.MINER and gives_all(action, Kind.HUB))

    return covers(row.action) or (row.action == KeyScope.Action.ANY and all(covers(action) for action in Action))


def _are_within(wanted: Sequence[str], own: Sequence[str]) -> bool:
    """Whether every one of the networks ``wanted`` lies in one of ``own``. None wanted means any address."""
    networks = [ip_network(text) for text in own]
    return bool(wanted) and all(any(_is_subnet(ip_network(text), network) for network in networks) for text in wanted)


def _is_subnet(inner: IPv4Network | IPv6Network, outer: IPv4Network | IPv6Network) -> bool:
    return inner.version == outer.version and inner.subnet_of(cast(Any, outer))
