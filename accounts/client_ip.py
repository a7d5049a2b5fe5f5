"""The client's address behind a known number of proxies."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address

from django.conf import settings
from django.http import HttpRequest


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
    """Return the address of whoever spoke to our outermost proxy.

    ``PITHEAD_TRUSTED_PROXIES`` entries are counted from the right of X-Forwarded-For: what stands further left
    was written by the client. With 0, or with fewer entries than proxies, the socket's address is the answer.
    """
    socket_address = normalize(request.META.get("REMOTE_ADDR", ""))
    proxies = settings.PITHEAD_TRUSTED_PROXIES
    if proxies <= 0:
        return socket_address
    forwarded = [part for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if part.strip()]
    if len(forwarded) < proxies:
        return socket_address
    return normalize(forwarded[-proxies]) or socket_address
