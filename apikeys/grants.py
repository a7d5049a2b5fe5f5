"""The grant: what one presented secret may do right now, loaded with one SELECT."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from itertools import compress
from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connections
from django.db.models import Q

from accounts.access_levels import AUTOMATION_PERMISSIONS, CUSTOM, LEVEL_PERMISSIONS, AccessLevel
from apikeys.rate_limits import burst_in_force
from entities.scoping import KINDS, Way

# The hot path: fixed SQL, because compiling this query in the ORM costs more than running it (bench/README.md).
# tests/apikeys/test_grants.py holds it against the ORM's answer. Column order is _Row's.
_SELECT = """
SELECT s.digest, s.argon2, s.id, s.retires_at, g.wrapped, g.retired_at,
       k.id, k.key_id, k.name, k.environment, k.access_level, k.allowed_cidrs,
       k.expires_at, k.disabled_at, k.revoked_at, k.support, a.id, a.slug, a.name, a.suspended_at,
       a.key_automation,
       CASE WHEN a.max_rate_limit < COALESCE(k.rate_limit, a.default_rate_limit) THEN a.max_rate_limit
            ELSE COALESCE(k.rate_limit, a.default_rate_limit, a.max_rate_limit) END,
       k.rate_burst, r.name, r.permissions,
       (SELECT {join_all}(c.action || ':' || c.kind, ' ')
          FROM apikeys_keyscope c WHERE c.key_id = k.id AND c.entity_id IS NULL),
       EXISTS (SELECT 1 FROM apikeys_keyscope c WHERE c.key_id = k.id AND c.kind = 'miner' AND c.entity_id IS NOT NULL),
       EXISTS (SELECT 1 FROM apikeys_keyscope c WHERE c.key_id = k.id AND c.kind = 'hub' AND c.entity_id IS NOT NULL),
       EXISTS (SELECT 1 FROM apikeys_keyscope c WHERE c.key_id = k.id AND c.kind = 'pool' AND c.entity_id IS NOT NULL)
  FROM apikeys_apikeysecret s
  JOIN apikeys_apikey k ON k.id = s.key_id
  JOIN apikeys_signingkey g ON g.id = s.signing_key_id
  JOIN accounts_account a ON a.id = k.account_id
  LEFT JOIN apikeys_role r ON r.id = k.role_id
 WHERE {where}
"""
#: Vendor -> how it joins the rows of a group, and how a parameter is written.
_VENDORS = {"postgresql": ("string_agg", "%(found)s"), "sqlite": ("group_concat", ":found")}
#: Two registered secrets of one lookup are chance: nobody is made to wait for more.
MAX_CANDIDATES = 5


def _statements(where: str) -> dict[str, str]:
    return {
        vendor: _SELECT.format(join_all=join_all, where=where.format(parameter))
        for vendor, (join_all, parameter) in _VENDORS.items()
    }


_BY_SELECTOR = _statements("s.selector = {}")
_BY_LOOKUP = _statements(f"s.lookup = {{}} ORDER BY s.id LIMIT {MAX_CANDIDATES}")


@dataclass(frozen=True)
class Grant:
    """What a presented secret may do, and whose it is. Facts only; `decisions.decide` judges them."""

    key_pk: UUID
    secret_pk: int
    key_id: str
    name: str
    account_id: UUID
    account_slug: str
    account_name: str
    environment: str
    access_level: str
    role: str  # the custom role's name, "" where the access level is one of the four
    permissions: frozenset[str]
    all_scopes: frozenset[tuple[str, str]]
    picked_kinds: frozenset[str]
    allowed_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    rate_limit: int | None = None  # requests per minute: the key's or the account's default, within its maximum
    rate_burst: int | None = None  # how many of them at once
    expires_at: datetime | None = None
    secret_retires_at: datetime | None = None
    signing_key_retired_at: datetime | None = None
    disabled_at: datetime | None = None
    revoked_at: datetime | None = None
    account_suspended_at: datetime | None = None
    picked_only: bool = False  # a support key: what is picked by hand, and nothing that comes with it
    # For DRF's `request.user` and its checks: a key is never a person.
    is_authenticated: bool = field(default=True, repr=False)

    def reaches_all(self, kind: str, action: str) -> bool:
        """Whether a scope row gives ``action`` (read, write or admin) on all, current and future, of ``kind``."""
        return not self.picked_only and any((a, k) in self.all_scopes for a in (action, "*") for k in (kind, "*"))

    def picked(self, kind: str, action: str) -> Way | None:
        """The entities that scope rows pick by hand, listed by `KeyScope`'s index; None where there are none."""
        if kind not in self.picked_kinds:
            return None
        rows = Q(
            scope_rows__key_id=self.key_pk,
            scope_rows__kind=kind,
            scope_rows__action__in=[action, "*"],
        )
        return Way(rows, id_at="scope_rows__entity_id")


@dataclass(frozen=True)
class StoredSecret:
    """What was found: the digest to compare with, and the grant that it opens. ``argon2`` is a registered secret's."""

    digest: bytes = field(repr=False)
    argon2: str = field(repr=False)
    wrapped_signing_key: bytes = field(repr=False)
    grant: Grant


def load_grant(selector: str) -> StoredSecret | None:
    """Return what ``selector`` stands for, with one SELECT; None if it is unknown."""
    rows = _select(_BY_SELECTOR, selector)
    return _read(rows[0]) if rows else None


def load_registered(lookup: bytes) -> list[StoredSecret]:
    """Return the registered secrets that ``lookup`` finds, with one SELECT: none or one, more by chance alone."""
    return [_read(row) for row in _select(_BY_LOOKUP, lookup)]


def _select(statements: dict[str, str], found: str | bytes) -> list[tuple[Any, ...]]:
    database: Any = connections[DEFAULT_DB_ALIAS]
    was_open = database.connection is not None
    try:
        rows = _fetch(database, statements, found)
    except (OperationalError, InterfaceError):
        # The database was restarted since this thread's last request. Asking beforehand would cost a query each time.
        if not was_open or database.in_atomic_block or database.is_usable():
            raise
        database.close()
        rows = _fetch(database, statements, found)
    database.health_check_done = True  # Django needn't ask once more in this request
    return rows


def _fetch(database: Any, statements: dict[str, str], found: str | bytes) -> list[tuple[Any, ...]]:
    with _cursor(database) as cursor:
        cursor.execute(statements[database.vendor], {"found": found})
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _read(row: tuple[Any, ...]) -> StoredSecret:
    (
        digest, argon2, secret_pk, secret_retires_at, wrapped, signing_key_retired_at,
        key_pk, key_id, name, environment, access_level, allowed_cidrs,
        expires_at, disabled_at, revoked_at, support, account_id, account_slug, account_name, suspended_at,
        key_automation, rate_limit, rate_burst, role, role_permissions, all_scopes, *has_picked,
    ) = row  # fmt: skip
    grant = Grant(
        key_pk=_uuid(key_pk),
        secret_pk=secret_pk,
        key_id=key_id,
        name=name,
        account_id=_uuid(account_id),
        account_slug=account_slug,
        account_name=account_name,
        environment=environment,
        access_level=access_level,
        role=role or "",
        permissions=_permissions(access_level, role_permissions, bool(key_automation)),
        all_scopes=_scopes(all_scopes or ""),
        picked_kinds=frozenset(compress(KINDS, has_picked)),
        allowed_networks=_networks(allowed_cidrs),
        rate_limit=rate_limit,
        rate_burst=burst_in_force(rate_limit, rate_burst),
        expires_at=_time(expires_at),
        secret_retires_at=_time(secret_retires_at),
        signing_key_retired_at=_time(signing_key_retired_at),
        disabled_at=_time(disabled_at),
        revoked_at=_time(revoked_at),
        account_suspended_at=_time(suspended_at),
        picked_only=bool(support),
    )
    return StoredSecret(digest=bytes(digest), argon2=argon2, wrapped_signing_key=bytes(wrapped), grant=grant)


def _cursor(database: Any) -> Any:
    """A driver's own cursor in Django's wrapper, which counts queries and translates errors.

    Django's own cursors rewrite the placeholders of every statement, and on PostgreSQL they bind on the client, where
    nothing can be prepared.
    """
    database.ensure_connection()
    if database.vendor == "postgresql":
        import psycopg

        return database._prepare_cursor(psycopg.Cursor(database.connection))
    return database._prepare_cursor(database.connection.cursor())


def _uuid(value: UUID | str) -> UUID:
    return value if isinstance(value, UUID) else UUID(value)


def _time(value: datetime | str | None) -> datetime | None:
    if value is None or (isinstance(value, datetime) and value.tzinfo):
        return value
    naive = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return naive.replace(tzinfo=UTC)


def _permissions(access_level: str, of_role: Any, key_automation: bool) -> frozenset[str]:
    """What the level or the custom role allows; managing keys only while the account's policy does."""
    if access_level != CUSTOM:
        return LEVEL_PERMISSIONS[AccessLevel(access_level)]
    permissions = frozenset(json.loads(of_role))
    return permissions if key_automation else permissions - AUTOMATION_PERMISSIONS


@lru_cache(maxsize=4096)
def _scopes(rows: str) -> frozenset[tuple[str, str]]:
    """Parse ``"*:miner read:hub"``. Cached, as _networks is."""
    return frozenset((action, kind) for action, _, kind in (row.partition(":") for row in rows.split()))


@lru_cache(maxsize=4096)
def _networks(cidrs: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Parse the JSON text of the row. Cached: a pure function of what each request reads anew."""
    return tuple(ip_network(cidr) for cidr in json.loads(cidrs))
