"""decide(): allow, or the first rule that denies. Pure and total, and the only authorization logic there is.

The DRF classes, and every other face, ask this one function; none has rules of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Protocol

from accounts.access_levels import PERMISSIONS


class Grant(Protocol):
    """The facts about a key that the rules read; `grants.Grant` has them."""

    @property
    def environment(self) -> str: ...
    @property
    def permissions(self) -> frozenset[str]: ...
    @property
    def allowed_networks(self) -> tuple[IPv4Network | IPv6Network, ...]: ...
    @property
    def rate_limit(self) -> int | None: ...
    @property
    def rate_burst(self) -> int | None: ...
    @property
    def expires_at(self) -> datetime | None: ...
    @property
    def secret_retires_at(self) -> datetime | None: ...
    @property
    def signing_key_retired_at(self) -> datetime | None: ...
    @property
    def disabled_at(self) -> datetime | None: ...
    @property
    def revoked_at(self) -> datetime | None: ...
    @property
    def account_suspended_at(self) -> datetime | None: ...
    @property
    def picked_only(self) -> bool: ...


@dataclass(frozen=True)
class RequestFacts:
    """The facts about a request. ``in_reach`` is None where no entity is asked for.

    ``retry_after`` is the seconds until the key's rate limit allows the next request, None while it does.
    ``endpoints`` says where each environment's endpoint is, for the holder of a key that came to the wrong one.
    """

    environment: str
    address: str | None
    now: datetime
    permission: str | None = None
    in_reach: bool | None = None
    retry_after: int | None = None
    endpoints: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Denial:
    """Why not: a stable code of `problems.CODES` and a sentence for the key's holder."""

    code: str
    detail: str


@dataclass(frozen=True)
class Decision:
    """Allow (``denial`` None), or the first rule that denied and why."""

    denial: Denial | None = None
    rule: str | None = None

    @property
    def allowed(self) -> bool:
        return self.denial is None


Rule = Callable[[Grant, RequestFacts], Denial | None]


def account_active(grant: Grant, facts: RequestFacts) -> Denial | None:
    if grant.account_suspended_at is not None:
        return Denial("account_suspended", "The account of this key is suspended. Ask the pool's support.")
    return None


def key_not_revoked(grant: Grant, facts: RequestFacts) -> Denial | None:
    if grant.revoked_at is not None:
        # Owners don't see support keys.
        whoever = "the pool's support" if grant.picked_only else "the account's owner"
        return Denial("key_revoked", f"This key was revoked. Ask {whoever} for a new one.")
    return None


def secret_not_retired(grant: Grant, facts: RequestFacts) -> Denial | None:
    if grant.signing_key_retired_at is not None:
        return Denial("key_revoked", "This secret was revoked with its signing key. Use a new one.")
    if grant.secret_retires_at is not None and facts.now >= grant.secret_retires_at:
        return Denial("key_revoked", "This secret was replaced by a newer one of the same key. Use that.")
    return None


def key_not_expired(grant: Grant, facts: RequestFacts) -> Denial | None:
    if grant.expires_at is not None and facts.now >= grant.expires_at:
        return Denial("key_expired", f"This key expired on {grant.expires_at:%Y-%m-%d %H:%M} UTC.")
    return None


def key_enabled(grant: Grant, facts: RequestFacts) -> Denial | None:
    if grant.disabled_at is not None:
        whoever = "The pool's support" if grant.picked_only else "The account's owner"
        return Denial("key_disabled", f"This key is switched off. {whoever} can switch it on again.")
    return None


def environment_fits(grant: Grant, facts: RequestFacts) -> Denial | None:
    if grant.environment != facts.environment:
        right = facts.endpoints.get(grant.environment, f"the {grant.environment} endpoint")
        return Denial(
            "wrong_environment",
            f"This is a {grant.environment} key, and this is the {facts.environment} endpoint. Use {right}",
        )
    return None


def address_allowed(grant: Grant, facts: RequestFacts) -> Denial | None:
    if admits(grant.allowed_networks, facts.address):
        return None
    return Denial("address_not_allowed", f"This key may not be used from {facts.address or 'an unknown address'}.")


def admits(networks: Sequence[IPv4Network | IPv6Network], address: str | None) -> bool:
    """Whether a key that is held to ``networks`` may be used from ``address``; no networks: from anywhere.

    IPv4 and IPv6 are matched apart: a list with networks of one version alone denies the other.
    """
    if not networks:
        return True
    parsed = _parse_address(address)
    return parsed is not None and any(parsed.version == network.version and parsed in network for network in networks)


def rate_within_limit(grant: Grant, facts: RequestFacts) -> Denial | None:
    if facts.retry_after is None:
        return None
    requests = "1 request" if grant.rate_limit == 1 else f"{grant.rate_limit} requests"
    seconds = "1 second" if facts.retry_after == 1 else f"{facts.retry_after} seconds"
    often = f"{requests} a minute"
    if grant.rate_burst != grant.rate_limit:
        often += f", {grant.rate_burst} of them at once"
    return Denial("rate_limited", f"This key may make {often}. Wait {seconds} before the next one.")


def permission_granted(grant: Grant, facts: RequestFacts) -> Denial | None:
    """Deny by default: a route that names no permission, or one that does not exist, is for nobody."""
    if facts.permission in grant.permissions and facts.permission in PERMISSIONS:
        return None
    if facts.permission is None:
        return Denial("permission_denied", "This route names no permission, so no key may use it.")
    return Denial("permission_denied", f"This key does not have the permission {facts.permission}.")


def entity_in_reach(grant: Grant, facts: RequestFacts) -> Denial | None:
    if facts.in_reach is False:
        return Denial("not_found", "There is nothing here that this key can see.")
    return None


#: Rules on the key itself, judged at authentication, in the order of DESIGN's "One request".
STANDING_RULES: tuple[Rule, ...] = (
    account_active,
    key_not_revoked,
    secret_not_retired,
    key_not_expired,
    key_enabled,
    environment_fits,
    address_allowed,
)
#: The rule on how often, judged once the key itself is in good standing: a refused key uses up nothing.
RATE_RULES: tuple[Rule, ...] = (rate_within_limit,)
#: Rules on what is asked for.
ACCESS_RULES: tuple[Rule, ...] = (permission_granted, entity_in_reach)
RULES: tuple[Rule, ...] = STANDING_RULES + RATE_RULES + ACCESS_RULES


def decide(grant: Grant, facts: RequestFacts, rules: Sequence[Rule] = RULES) -> Decision:
    """Judge ``facts`` against ``grant`` by ``rules``, in order, and return the first denial or allow."""
    for rule in rules:
        denial = rule(grant, facts)
        if denial is not None:
            return Decision(denial=denial, rule=rule.__name__)
    return Decision()


def _parse_address(text: str | None) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text or "")
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address
