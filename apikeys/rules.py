"""What may be done to a key and what not: the checks that `lifecycle` and `roles` share. They write nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_network

from django.core.exceptions import PermissionDenied
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts import access, access_levels, audit
from accounts.changes import Refused
from accounts.environments import Environment
from accounts.models import Account, KeyPermission, Membership
from accounts.policies import POLICIES
from apikeys import managing
from apikeys import scopes as scope_rules
from apikeys.managing import ManagingKey, NotAllowed, Powers
from apikeys.models import ApiKey, Role
from apikeys.rate_limits import burst_in_force
from apikeys.scopes import Scope

MAX_CIDRS = 100
DESCRIPTION_LENGTH = 300
MAX_RATE_LIMIT = POLICIES["default_rate_limit"].most  # requests per minute
MAX_OVERLAP = timedelta(days=30)

#: Who caps what a key may be given: a member, or a key that manages keys.
Giver = Membership | ManagingKey


@dataclass(frozen=True, kw_only=True)
class NewKey:
    """A key that was judged, as it is to be written: tidy texts, canonical networks, scope rows without repetition."""

    name: str
    environment: str
    access_level: str
    scopes: list[Scope]
    allowed_cidrs: list[str]
    description: str = ""
    role: Role | None = None
    expires_at: datetime | None = None
    rate_limit: int | None = None
    rate_burst: int | None = None


def check_new(
    account: Account,
    *,
    actor: audit.Actor,
    name: str,
    environment: str,
    access_level: str,
    scopes: Iterable[Scope],
    description: str = "",
    role: Role | None = None,
    expires_at: datetime | None = None,
    allowed_cidrs: Sequence[str] = (),
    rate_limit: int | None = None,
    rate_burst: int | None = None,
) -> NewKey:
    """Judge a key before it is issued, writing nothing: forms ask before they spend a code.

    Raises Refused, scopes.InvalidScope.
    """
    giver = require(actor, account, KeyPermission.CREATE)
    name = check_name(name)
    if environment not in Environment.values:
        raise Refused(_("Choose an environment."), "environment")
    permissions = check_level(account, access_level, role)
    check_ceiling(permissions, giver, "access_level")
    check_lifetime(account, expires_at)
    check_rate(account, rate_limit, rate_burst)
    check_key_count(account)
    new = NewKey(
        name=name,
        description=check_description(description),
        environment=environment,
        access_level=access_level,
        allowed_cidrs=normalize_cidrs(allowed_cidrs),
        scopes=scope_rules.check(account, environment, scopes),
        role=role,
        expires_at=expires_at,
        rate_limit=rate_limit,
        rate_burst=rate_burst,
    )
    if isinstance(giver, ManagingKey):
        limit = account.rate_limit_of(rate_limit)
        giver.check(
            Powers(
                environment=environment,
                permissions=permissions,
                scopes=frozenset(new.scopes),
                allowed_cidrs=tuple(new.allowed_cidrs),
                rate_limit=limit,
                rate_burst=burst_in_force(limit, rate_burst),
                expires_at=expires_at,
            )
        )
    return new


def require_step_up(actor: audit.Actor, action: str) -> None:
    """`Actor.require_step_up`, but for keys: no person is there, and the account's policy, which `require` asks for,
    is the consent. Raises StepUpMissing.
    """
    if actor.key_id is None:
        actor.require_step_up(action)


def require(actor: audit.Actor, account: Account, *permissions: KeyPermission) -> Giver | None:
    """`access.require_right`, told as a refusal; a key needs keys:write, and an account that allows it."""
    if actor.key_id is not None:
        return managing.find(actor, account)
    try:
        return access.require_right(actor, account, *permissions)
    except PermissionDenied as denied:
        raise NotAllowed(str(denied)) from None


def require_for(actor: audit.Actor, key: ApiKey, permission: KeyPermission) -> Giver | None:
    """`require`, for a change of ``key``: a key changes none that is wider than itself. Raises NotAllowed."""
    giver = require(actor, key.account, permission)
    if isinstance(giver, ManagingKey):
        giver.require_within(key)
    return giver


def require_to_disable(actor: audit.Actor, key: ApiKey) -> None:
    """`require`, for the one change that gives nothing and that anybody can undo: any key of the environment."""
    giver = require(actor, key.account, KeyPermission.UPDATE)
    if isinstance(giver, ManagingKey):
        giver.require_reach(key)


def require_not_revoked(key: ApiKey) -> None:
    if key.revoked_at is not None:
        raise Refused(_("This key was revoked. A revoked key can't be changed; create a new one."))


def check_ceiling(permissions: frozenset[str], giver: Giver | None, field: str, *, of_role: bool = False) -> None:
    """Raise Refused if ``giver`` has not all ``permissions`` that a key or a role gives. None: nothing caps them."""
    if giver is None:
        return
    if isinstance(giver, ManagingKey):
        giver.check_permissions(permissions, field)
        return
    if lacking := permissions - access.givable(giver):
        sentence = (
            _("Your own access level is %(level)s: you can't give a role more than you have. You lack %(lacking)s.")
            if of_role
            else _("Your own access level is %(level)s: you can't give a key more than you have. You lack %(lacking)s.")
        )
        raise Refused(
            sentence % {"level": giver.get_access_level_display(), "lacking": ", ".join(sorted(lacking))}, field
        )


def check_name(name: str, longest: int = 80, missing: str = "") -> str:
    """Return ``name`` in one line. Raises Refused when there is none, it is longer, or it doesn't print."""
    name = " ".join(name.split())
    if not name:
        raise Refused(missing or _("Give the key a name."), "name")
    if len(name) > longest or not name.isprintable():
        raise Refused(_("At most %(longest)s printable characters.") % {"longest": longest}, "name")
    return name


def check_description(description: str, longest: int = DESCRIPTION_LENGTH) -> str:
    """Return ``description`` in one line. Raises Refused when it is longer or doesn't print."""
    description = " ".join(description.split())
    if len(description) > longest or not description.isprintable():
        raise Refused(_("At most %(longest)s printable characters.") % {"longest": longest}, "description")
    return description


def check_level(account: Account, access_level: str, role: Role | None) -> frozenset[str]:
    """Return what the level gives. A role is read afresh: it may have been edited or deleted meanwhile."""
    if access_level == access_levels.CUSTOM:
        role = Role.objects.filter(account=account, pk=role.pk).first() if role else None
        if role is None:
            raise Refused(_("Choose a custom role of this account."), "access_level")
        return frozenset(role.permissions)
    if role is not None or access_level not in {level.value for level in access_levels.AccessLevel}:
        raise Refused(_("Choose an access level."), "access_level")
    return access_levels.permissions_of(access_level)


def check_support_key(access_level: str | None, scopes: Iterable[Scope] | None) -> None:
    """Judge what makes a support key one that never grows; None: it stays as it is. Raises Refused, InvalidScope."""
    if access_level is not None and access_level not in {level.value for level in access_levels.AccessLevel}:
        raise Refused(_("Choose an access level."), "access_level")
    if scopes is not None and any(row.entity_id is None for row in scopes):
        raise scope_rules.InvalidScope(
            "A support key names each miner, hub and pool that it reaches, so that it never grows. Pick them by hand."
        )


def check_expiry(expires_at: datetime | None) -> None:
    if expires_at is not None and expires_at <= timezone.now():
        raise Refused(_("The expiry must lie in the future."), "expires_at")


def check_lifetime(account: Account, expires_at: datetime | None, born: datetime | None = None) -> None:
    """Judge an expiry. A key that exists was ``born`` some time ago, and its life is counted from there."""
    check_expiry(expires_at)
    limit, born = account.max_lifetime_days, born or timezone.now()
    if limit is not None and (expires_at is None or expires_at > born + timedelta(days=limit, minutes=1)):
        raise Refused(
            ngettext(
                "Keys of this account live at most %(limit)s day from their creation. Choose an earlier expiry.",
                "Keys of this account live at most %(limit)s days from their creation. Choose an earlier expiry.",
                limit,
            )
            % {"limit": limit},
            "expires_at",
        )


def check_rate(account: Account, rate_limit: int | None, rate_burst: int | None) -> None:
    """Judge a key's own limit and its burst, as both are chosen."""
    check_rate_limit(account, rate_limit)
    check_rate_burst(account, rate_limit, rate_burst)


def check_rate_limit(account: Account, rate_limit: int | None) -> None:
    """Judge a key's own limit, in requests per minute; None is the account's default."""
    most = account.max_rate_limit
    if rate_limit is not None and not 1 <= rate_limit <= (most or MAX_RATE_LIMIT):
        sentence = (
            _("Between 1 and %(most)s requests per minute, or nothing for the account's default.")
            if most is None
            else _("Between 1 and %(most)s requests per minute, the most in this account's plan, or nothing.")
        )
        raise Refused(sentence % {"most": f"{most or MAX_RATE_LIMIT:,}"}, "rate_limit")


def check_rate_burst(account: Account, rate_limit: int | None, rate_burst: int | None) -> None:
    """Judge how many requests may come at once to a key whose own limit is ``rate_limit``; None is a whole minute's."""
    if rate_burst is None:
        return
    limit = account.rate_limit_of(rate_limit)
    if limit is None:
        raise Refused(
            _("A burst is a part of a minute's requests, and there is no rate limit. Set one, or leave this empty."),
            "rate_burst",
        )
    if not 1 <= rate_burst <= limit:
        raise Refused(
            ngettext(
                "Between 1 and %(most)s request at once, as many as a minute has; or nothing for all of them.",
                "Between 1 and %(most)s requests at once, as many as a minute has; or nothing for all of them.",
                limit,
            )
            % {"most": f"{limit:,}"},
            "rate_burst",
        )


def check_key_count(account: Account) -> None:
    limit = account.max_active_keys
    if limit is not None and ApiKey.objects.filter(account=account).active().count() >= limit:
        raise Refused(
            ngettext(
                "This account may have %(limit)s active key. Revoke one that is no longer needed first.",
                "This account may have %(limit)s active keys. Revoke one that is no longer needed first.",
                limit,
            )
            % {"limit": limit}
        )


def normalize_cidrs(cidrs: Sequence[str]) -> list[str]:
    """Return ``cidrs`` in canonical form, IPv4-mapped networks as IPv4. Raises Refused, naming the bad line."""
    if len(cidrs) > MAX_CIDRS:
        raise Refused(
            _("At most %(most)s networks; join neighbours into larger ones.") % {"most": MAX_CIDRS}, "allowed_cidrs"
        )
    result: list[str] = []
    for number, text in enumerate(cidrs, start=1):
        try:
            if "%" in text:  # a zone means something on one machine alone
                raise ValueError("zone")
            network = ip_network(text.strip())
        except ValueError as error:
            sentence = (
                _("Line %(number)s, “%(text)s”: its host bits are set. Write it like %(example)s.")
                if "host bits" in str(error)
                else _("Line %(number)s, “%(text)s”: it is no IPv4 or IPv6 network. Write it like %(example)s.")
            )
            raise Refused(
                sentence % {"number": number, "text": text.strip()[:60], "example": "198.51.100.0/24, 2001:db8::/32"},
                "allowed_cidrs",
            ) from None
        if network.version == 6 and network.network_address.ipv4_mapped and network.prefixlen >= 96:
            network = ip_network(f"{network.network_address.ipv4_mapped}/{network.prefixlen - 96}")
        if str(network) not in result:
            result.append(str(network))
    return result
