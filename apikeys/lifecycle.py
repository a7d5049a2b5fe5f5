"""Everything that can happen to a key: the only writers of keys, for every face.

Each function runs in one transaction with its audit rows, checks the actor's right afresh, and asks for the step-up
proof of exactly its own action.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_network
from uuid import UUID

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts import access, access_levels, audit
from accounts.environments import Environment
from accounts.models import Account, KeyPermission, Membership
from apikeys import key_format, signing
from apikeys import scopes as scope_rules
from apikeys.models import ApiKey, ApiKeySecret, KeyScope, Role
from apikeys.scopes import Scope

ISSUE, REVOKE, ENABLE, REGENERATE = "key.issue", "key.revoke", "key.enable", "key.regenerate"
MAX_CIDRS = 100

REVOKE_REASONS = {
    "replaced": "Replaced by another key",
    "unneeded": "No longer needed",
    "leaked": "Leaked or suspected leak",
    "left": "Person or partner left",
    "other": "Other",
}


class Refused(Exception):
    """A change that the rules forbid; ``str()`` is what to tell the person, ``field`` what to mend."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class AlreadyIssued(Exception):
    """The same form or request made this key before; its secret was shown then and is not known any more."""

    def __init__(self, key: ApiKey) -> None:
        super().__init__(key.key_id)
        self.key = key


def issue(
    account: Account,
    *,
    actor: audit.Actor,
    name: str,
    environment: str,
    access_level: str,
    scopes: Iterable[Scope],
    role: Role | None = None,
    expires_at: datetime | None = None,
    allowed_cidrs: Sequence[str] = (),
    idempotency_key: str | None = None,
) -> tuple[ApiKey, str]:
    """Make a key and return it beside its secret, which exists nowhere else from then on.

    ``role`` is the account's custom role where ``access_level`` is "custom", and None where it is one of the four.

    Raises Refused, scopes.InvalidScope, AlreadyIssued, signing.NotBootstrapped, StepUpMissing.
    """
    actor.require_step_up(ISSUE)
    with transaction.atomic():
        # The account's row orders parallel issues: limits hold, and one idempotency key makes one key.
        account = lock_account(account.pk)
        _require(actor, account, KeyPermission.CREATE)
        if idempotency_key:
            earlier = ApiKey.objects.filter(account=account, idempotency_key=idempotency_key).first()
            if earlier is not None:
                raise AlreadyIssued(earlier)
        new = check_new(
            account,
            actor=actor,
            name=name,
            environment=environment,
            access_level=access_level,
            scopes=scopes,
            role=role,
            expires_at=expires_at,
            allowed_cidrs=allowed_cidrs,
        )
        key = ApiKey.objects.create(
            account=account,
            environment=environment,
            name=new.name,
            access_level=access_level,
            role=role,
            allowed_cidrs=new.allowed_cidrs,
            expires_at=expires_at,
            created_by=actor.user,
            created_by_name=actor.name,
            idempotency_key=idempotency_key,
        )
        KeyScope.objects.bulk_create(
            [KeyScope(key=key, action=row.action, kind=row.kind, entity_id=row.entity_id) for row in new.scopes],
            batch_size=1000,
        )
        secret = _add_secret(key)
        audit.record(
            "key.issued",
            actor=actor,
            account=account,
            target=key,
            environment=environment,
            access_level=access_level,
            **({"role": role.name} if role else {}),
            scopes=[str(row) for row in new.scopes[:50]],
            scope_count=len(new.scopes),
            expires_at=expires_at.isoformat() if expires_at else None,
            allowed_cidrs=key.allowed_cidrs,
        )
    return key, secret


@dataclass(frozen=True)
class NewKey:
    """What check_new() made of its arguments: a tidy name, canonical networks, scope rows without repetition."""

    name: str
    allowed_cidrs: list[str]
    scopes: list[Scope]


def check_new(
    account: Account,
    *,
    actor: audit.Actor,
    name: str,
    environment: str,
    access_level: str,
    scopes: Iterable[Scope],
    role: Role | None = None,
    expires_at: datetime | None = None,
    allowed_cidrs: Sequence[str] = (),
) -> NewKey:
    """Judge a key before it is issued, writing nothing: forms ask before they spend a code.

    Raises Refused, scopes.InvalidScope.
    """
    giver = _require(actor, account, KeyPermission.CREATE)
    name = check_name(name)
    if environment not in Environment.values:
        raise Refused("Choose an environment.", "environment")
    check_ceiling(_check_level(account, access_level, role), giver, "access_level")
    _check_lifetime(account, expires_at)
    _check_key_count(account)
    return NewKey(
        name=name,
        allowed_cidrs=normalize_cidrs(allowed_cidrs),
        scopes=scope_rules.check(account, environment, scopes),
    )


def regenerate(key: ApiKey, *, actor: audit.Actor) -> str:
    """Give ``key`` a new secret and return it; every secret before it stops at once.

    Raises Refused when the key is revoked, or wider than the actor's own access level: whoever gets the secret could
    use it. Raises StepUpMissing.
    """
    actor.require_step_up(REGENERATE)
    with transaction.atomic():
        key = _lock(key)
        giver = _require(actor, key.account, KeyPermission.UPDATE)
        _require_not_revoked(key)
        check_ceiling(key.permissions, giver, "access_level")
        now = timezone.now()
        key.secrets.filter(Q(retires_at=None) | Q(retires_at__gt=now)).update(retires_at=now)
        secret = _add_secret(key)
        audit.record("key.regenerated", actor=actor, account=key.account, target=key)
    return secret


def disable(key: ApiKey, *, actor: audit.Actor) -> ApiKey:
    """Switch ``key`` off: it is refused from the next request on. Asks for no code, since stopping must be quick.

    Already off is no error. Raises Refused when the key is revoked.
    """
    with transaction.atomic():
        key = _lock(key)
        _require(actor, key.account, KeyPermission.UPDATE)
        _require_not_revoked(key)
        if key.disabled_at is None:
            key.disabled_at = timezone.now()
            key.save(update_fields=["disabled_at"])
            audit.record("key.disabled", actor=actor, account=key.account, target=key)
    return key


def enable(key: ApiKey, *, actor: audit.Actor) -> ApiKey:
    """Switch ``key`` on again. Already on is no error.

    Raises Refused when the key is revoked or the account has all the active keys that it may have, StepUpMissing.
    """
    actor.require_step_up(ENABLE)
    with transaction.atomic():
        account = lock_account(key.account_id)  # before the key, so that the limit holds beside parallel issues
        key = _lock(key)
        _require(actor, key.account, KeyPermission.UPDATE)
        _require_not_revoked(key)
        if key.disabled_at is not None:
            if key.expires_at is None or key.expires_at > timezone.now():
                _check_key_count(account)
            key.disabled_at = None
            key.save(update_fields=["disabled_at"])
            audit.record("key.enabled", actor=actor, account=key.account, target=key)
    return key


def revoke(key: ApiKey, *, actor: audit.Actor, reason: str, note: str = "") -> ApiKey:
    """End ``key`` for good: refused from the next request on, kept for the record.

    ``reason`` is one of REVOKE_REASONS. Already revoked is no error and keeps its first reason.
    A key may always revoke itself: whoever holds a secret that should not be theirs can end it.
    Raises Refused, StepUpMissing.
    """
    by_itself = actor.key_id == key.key_id
    if not by_itself:
        actor.require_step_up(REVOKE)
    if reason not in REVOKE_REASONS:
        raise Refused("Choose a reason.", "reason")
    with transaction.atomic():
        key = _lock(key)
        if not by_itself:
            _require(actor, key.account, KeyPermission.DELETE)
        if key.revoked_at is None:
            key.revoked_at = timezone.now()
            key.revoked_by_name = actor.name
            key.revoke_reason = reason
            key.revoke_note = note.strip()[:200]
            key.save(update_fields=["revoked_at", "revoked_by_name", "revoke_reason", "revoke_note"])
            audit.record(
                "key.revoked",
                actor=actor,
                account=key.account,
                target=key,
                reason=reason,
                note=key.revoke_note,
            )
    return key


def normalize_cidrs(cidrs: Sequence[str]) -> list[str]:
    """Return ``cidrs`` in canonical form, IPv4-mapped networks as IPv4. Raises Refused, naming the bad line."""
    if len(cidrs) > MAX_CIDRS:
        raise Refused(f"At most {MAX_CIDRS} networks; join neighbours into larger ones.", "allowed_cidrs")
    result: list[str] = []
    for number, text in enumerate(cidrs, start=1):
        try:
            network = ip_network(text.strip())
        except ValueError as error:
            reason = "its host bits are set" if "host bits" in str(error) else "it is no IPv4 or IPv6 network"
            raise Refused(
                f"Line {number}, “{text.strip()[:60]}”: {reason}. Write it like 198.51.100.0/24 or 2001:db8::/32.",
                "allowed_cidrs",
            ) from None
        if network.version == 6 and network.network_address.ipv4_mapped and network.prefixlen >= 96:
            network = ip_network(f"{network.network_address.ipv4_mapped}/{network.prefixlen - 96}")
        if str(network) not in result:
            result.append(str(network))
    return result


def lock_account(pk: UUID) -> Account:
    """Read the account, and hold it until the transaction ends: it orders what happens to its keys and roles."""
    # NO KEY UPDATE: rows that merely refer to the account, such as other keys' audit rows, needn't wait.
    return Account.objects.select_for_update(no_key=True).get(pk=pk)


def _lock(key: ApiKey) -> ApiKey:
    return ApiKey.objects.select_for_update(of=("self",)).select_related("account", "role").get(pk=key.pk)


def _require(actor: audit.Actor, account: Account, permission: KeyPermission) -> Membership | None:
    try:
        return access.require_right(actor, account, permission)
    except PermissionDenied as denied:
        raise Refused(str(denied)) from None


def _require_not_revoked(key: ApiKey) -> None:
    if key.revoked_at is not None:
        raise Refused("This key was revoked. A revoked key can't be changed; create a new one.")


def check_ceiling(permissions: frozenset[str], giver: Membership | None, field: str, noun: str = "key") -> None:
    """Raise Refused if ``giver`` has not all ``permissions`` that a key or a role gives. None: nothing caps them."""
    if giver is None:
        return
    if lacking := permissions - access.givable(giver):
        raise Refused(
            f"Your own access level is {giver.get_access_level_display()}: you can't give a {noun} more than you have. "
            f"You lack {', '.join(sorted(lacking))}.",
            field,
        )


def check_name(name: str, longest: int = 80, missing: str = "Give the key a name.") -> str:
    """Return ``name`` in one line. Raises Refused when there is none, it is longer, or it doesn't print."""
    name = " ".join(name.split())
    if not name:
        raise Refused(missing, "name")
    if len(name) > longest or not name.isprintable():
        raise Refused(f"At most {longest} printable characters.", "name")
    return name


def _check_level(account: Account, access_level: str, role: Role | None) -> frozenset[str]:
    """Return what the level gives. A role is read afresh: it may have been edited or deleted meanwhile."""
    if access_level == access_levels.CUSTOM:
        role = Role.objects.filter(account=account, pk=role.pk).first() if role else None
        if role is None:
            raise Refused("Choose a custom role of this account.", "access_level")
        return frozenset(role.permissions)
    if role is not None or access_level not in {level.value for level in access_levels.AccessLevel}:
        raise Refused("Choose an access level.", "access_level")
    return access_levels.permissions_of(access_level)


def _check_lifetime(account: Account, expires_at: datetime | None) -> None:
    now = timezone.now()
    if expires_at is not None and expires_at <= now:
        raise Refused("The expiry must lie in the future.", "expires_at")
    limit = account.max_lifetime_days
    if limit is not None and (expires_at is None or expires_at > now + timedelta(days=limit, minutes=1)):
        raise Refused(f"Keys of this account live at most {limit} days. Choose an earlier expiry.", "expires_at")


def _check_key_count(account: Account) -> None:
    limit = account.max_active_keys
    if limit is not None and ApiKey.objects.filter(account=account).active().count() >= limit:
        keys = "active key" if limit == 1 else "active keys"
        raise Refused(f"This account may have {limit} {keys}. Revoke one that is no longer needed first.")


def _add_secret(key: ApiKey) -> str:
    signing_key = signing.current_signing_key(key.account)
    if signing_key is None:
        raise signing.NotBootstrapped
    fresh = key_format.generate(key.environment, prefix=settings.PITHEAD_KEY_PREFIX)
    ApiKeySecret.objects.create(
        key=key,
        signing_key=signing_key,
        selector=fresh.selector,
        digest=signing.digest(bytes(signing_key.wrapped), fresh.text),
    )
    return fresh.text
