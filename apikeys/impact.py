"""What an edit of a key would break: which of the calls that it made lately its new settings would refuse.

Judged by the rules of `decisions`, on what the request log holds: routes and addresses, never which entity was asked
for, so a narrower choice of miners, hubs or pools is not seen here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from accounts.access_levels import AUTOMATION_PERMISSIONS, PERMISSIONS, STAFF_PERMISSIONS
from apikeys import decisions, usage
from apikeys.models import ApiKey, KeyScope
from apikeys.permissions import ANY_KEY, required_permission
from apikeys.scopes import Scope
from apikeys.usage import RouteUse

PERIOD = timedelta(days=1)


@dataclass(frozen=True)
class RouteImpact:
    """A route that the key called; ``lacks`` is the permission for which it would be refused, or ""."""

    use: RouteUse
    lacks: str


@dataclass(frozen=True)
class AddressImpact:
    address: str
    refused: bool


@dataclass(frozen=True)
class Impact:
    """What a key did in the last day, and what of it would be refused."""

    routes: list[RouteImpact]
    addresses: list[AddressImpact]

    @property
    def refused_routes(self) -> int:
        return sum(bool(row.lacks) for row in self.routes)

    @property
    def refused_addresses(self) -> int:
        return sum(row.refused for row in self.addresses)


def of_settings(
    key: ApiKey, permissions: Collection[str], networks: Sequence[IPv4Network | IPv6Network] | None
) -> Impact:
    """Judge the key's last day by ``permissions``, in force, and ``networks``; None: they can't be judged."""
    since = timezone.now() - PERIOD
    return Impact(
        routes=[
            RouteImpact(use, _lacking(key.environment, use, permissions)) for use in usage.routes_since(key, since)
        ],
        addresses=[
            AddressImpact(address, networks is not None and not decisions.admits(networks, address))
            for address in usage.addresses_since(key, since)
        ],
    )


def usable(permissions: Collection[str], rows: Iterable[Scope]) -> frozenset[str]:
    """What of ``permissions`` is of use with scope ``rows``: one whose action no row gives reaches no entity."""
    actions = {row.action for row in rows}
    unbound = AUTOMATION_PERMISSIONS | STAFF_PERMISSIONS
    if KeyScope.Action.ANY in actions:
        return frozenset(permissions)
    return frozenset(name for name in permissions if name in unbound or PERMISSIONS[name].action in actions)


def _lacking(environment: str, use: RouteUse, permissions: Collection[str]) -> str:
    view = _views(environment).get(use.route.lstrip("/"))
    # A route of another service behind the gateway, or one that is gone: nothing is known of it.
    needed = required_permission(view, use.method) if view is not None else None
    return "" if needed is None or needed == ANY_KEY or needed in permissions else needed


@cache
def _views(environment: str) -> dict[str, Any]:
    """The view of each route of one environment's endpoint, under its whole pattern and without the mount."""
    mount = settings.PITHEAD_API_MOUNTS[environment]
    views: dict[str, Any] = {}
    for route, view in _walk(get_resolver(), ""):
        if route.startswith(mount):
            views[route] = views[route.removeprefix(mount)] = view
    return views


def _walk(resolver: URLResolver, prefix: str) -> Iterator[tuple[str, Any]]:
    for entry in resolver.url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _walk(entry, route)
        elif isinstance(entry, URLPattern) and (view := getattr(entry.callback, "cls", None)) is not None:
            yield route, view
