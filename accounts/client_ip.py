"""The client's address behind a known number of proxies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Any

from django.conf import settings
from django.http import HttpRequest

_WITH_PORT = re.compile(r"(?:\[(?P<ipv6>[^\]]+)\]|(?P<ipv4>[0-9.]+))(?::[0-9]+)?")


@lru_cache(maxsize=4096)
def normalize(text: str) -> str | None:
    """Return the address in canonical form, IPv4-mapped IPv6 as IPv4; None if it is no address."""
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        if address.scope_id:
            return str(IPv6Address(address.packed))
    return str(address)


def client_ip(request: HttpRequest) -> str | None:
    """Return the address of whoever spoke to our outermost proxy, as address_in() does."""
    return address_in(request.META)


def address_in(meta: Mapping[str, Any]) -> str | None:
    """Return the address of whoever spoke to our outermost proxy; ``meta`` is the WSGI environment.

    ``PITHEAD_TRUSTED_PROXIES`` entries are counted from the right of X-Forwarded-For: what stands further left
    was written by the client. With 0, or with fewer entries than proxies, the socket's address is the answer.
    """
    socket_address = normalize(meta.get("REMOTE_ADDR", ""))
    proxies = settings.PITHEAD_TRUSTED_PROXIES
    if proxies <= 0:
        return socket_address
    forwarded = [part for part in meta.get("HTTP_X_FORWARDED_FOR", "").split(",") if part.strip()]
    if len(forwarded) < proxies:
        return socket_address
    entry = forwarded[-proxies]
    return normalize(entry) or normalize(_without_port(entry)) or socket_address


def _without_port(entry: str) -> str:
    """Some proxies write ``203.0.113.5:51820`` and ``[2001:db8::5]:51820``."""
    with_port = _WITH_PORT.fullmatch(entry.strip())
    return with_port["ipv6"] or with_port["ipv4"] if with_port else ""


def client_network(request: HttpRequest) -> str | None:
    """Return what the attempts of whoever sent ``request`` are counted by, as network_of() does."""
    return network_of(client_ip(request))


@lru_cache(maxsize=4096)
def network_of(address: str | None) -> str | None:
    """Return the address that attempts are counted by: IPv4's own, and of IPv6 the first one of its /64.

    A household or a rented server has all 2**64 addresses of a /64, and would have as many tries. ``address`` is one
    that normalize() returned.
    """
    if address is None or ":" not in address:
        return address
    return str(IPv6Network((address, 64), strict=False).network_address)
