"""DRF authentication with a bearer key: parse, load, compare, judge."""

from __future__ import annotations

from functools import cache
from typing import cast

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts.client_ip import client_ip
from apikeys import decisions, key_format, problems, signing
from apikeys.grants import Grant, load_grant

SCHEME = "bearer"
MAX_HEADER_LENGTH = 1024
#: Where the parsed key travels in the WSGI environment; no header can have this name.
PRESENTED_KEY = "pithead.presented_key"


class BearerAuthentication(BaseAuthentication):
    """``Authorization: Bearer …``; `request.user` and `request.auth` become the grant."""

    def authenticate(self, request: Request) -> tuple[Grant, Grant] | None:
        parsed = presented_key(request._request)
        if parsed is None:
            return None
        grant = self.authenticate_key(parsed)
        facts = request_facts(request)
        # The permission class judges the same request: same address, same moment.
        request._request.request_facts = facts  # type: ignore[attr-defined]
        decision = decisions.decide(grant, facts, decisions.STANDING_RULES)
        if decision.denial is not None:
            raise problems.Problem(decision.denial.code, decision.denial.detail)
        request._request.key_expires_at = grant.expires_at  # type: ignore[attr-defined]
        return grant, grant

    def authenticate_key(self, parsed: key_format.ParsedKey) -> Grant:
        """Return the grant of whoever holds the right secret. Raises Problem ``invalid_key`` otherwise."""
        stored = load_grant(parsed.selector)
        wrapped, expected = (stored.wrapped_signing_key, stored.digest) if stored else (None, None)
        if not signing.matches(wrapped, parsed.text, expected) or stored is None:
            raise problems.invalid_key()
        return stored.grant

    def authenticate_header(self, request: Request) -> str:
        return f'Bearer realm="{problems.REALM}"'


def presented_key(request: HttpRequest) -> key_format.ParsedKey | None:
    """Return the key that ``request`` presents, parsed once. Raises as parse_authorization() does."""
    if PRESENTED_KEY not in request.META:
        request.META[PRESENTED_KEY] = parse_authorization(request.META.get("HTTP_AUTHORIZATION"))
    return cast("key_format.ParsedKey | None", request.META[PRESENTED_KEY])


def parse_authorization(header: str | None) -> key_format.ParsedKey | None:
    """Read the header's key, without any I/O. None where there is no header.

    The scheme is case-insensitive (RFC 9110, section 11.1), nothing else is. Raises Problem ``missing_credentials``
    for another scheme and ``invalid_key`` for what is no key of ours.
    """
    if header is None:
        return None
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() != SCHEME:
        raise problems.missing_credentials()
    if len(credentials) > MAX_HEADER_LENGTH:
        raise problems.invalid_key()
    try:
        return key_format.parse(credentials, prefix=settings.PITHEAD_KEY_PREFIX)
    except key_format.MalformedKey:
        raise problems.invalid_key() from None


def request_facts(request: Request) -> decisions.RequestFacts:
    """What the rules need to know of ``request``; its endpoint's environment comes from the URLconf."""
    return decisions.RequestFacts(
        environment=request.parser_context["kwargs"].get("environment", ""),
        address=client_ip(request._request),
        now=timezone.now(),
        endpoints=endpoints(),
    )


def endpoints() -> dict[str, str]:
    """Where each environment's API is: ``https://pool.example/staging/api/v1/``."""
    return _endpoints_at(settings.PITHEAD_PUBLIC_URL)


@cache
def _endpoints_at(url: str) -> dict[str, str]:
    # Every request is given them, and only a refused one tells.
    return {name: f"{url}/{mount}" for name, mount in settings.PITHEAD_API_MOUNTS.items()}
