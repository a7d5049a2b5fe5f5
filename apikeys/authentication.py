"""DRF authentication with a bearer key: parse, load, compare, judge."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import cast

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts.client_ip import client_ip
from apikeys import attempts, decisions, key_format, metrics, problems, rate_limits, registered, signing
from apikeys.grants import Grant, load_grant

SCHEME = "bearer"
MAX_HEADER_LENGTH = 1024
#: Where the parsed key travels in the WSGI environment; no header can have this name.
PRESENTED_KEY = "pithead.presented_key"
Presented = key_format.ParsedKey | key_format.ForeignText


class BearerAuthentication(BaseAuthentication):
    """``Authorization: Bearer …``; `request.user` and `request.auth` become the grant."""

    @metrics.API_DECISIONS.time()
    def authenticate(self, request: Request) -> tuple[Grant, Grant] | None:
        parsed = presented_key(request._request)
        if parsed is None:
            return None
        try:
            grant = self.authenticate_key(parsed, address=client_ip(request._request))
        except problems.Problem as problem:
            if problem.problem_code == "rate_limited":
                request._request.too_many_attempts = problem  # type: ignore[attr-defined]
            raise
        facts = request_facts(request)
        # The permission class judges the same request: same address, same moment.
        request._request.request_facts = facts  # type: ignore[attr-defined]
        # From here on it is this key's request, whether allowed or refused: the request log's.
        request._request.grant = grant  # type: ignore[attr-defined]
        decision = decisions.decide(grant, facts, decisions.STANDING_RULES)
        if decision.denial is not None:
            raise problems.Problem(decision.denial.code, decision.denial.detail)
        request._request.key_expires_at = grant.expires_at  # type: ignore[attr-defined]
        if grant.rate_limit is not None:
            take_from_limit(request._request, grant, grant.rate_limit, facts)
        return grant, grant

    def authenticate_key(self, parsed: Presented, *, address: str | None) -> Grant:
        """Return the grant of whoever holds the right secret. Raises Problem ``invalid_key`` otherwise.

        ``address`` is the client's: where too many attempts of its own failed, or with this selector, Problem
        ``rate_limited`` is raised, and nothing is looked up. Also raises ``unavailable``: many wait for a turn.
        """
        try:
            attempts.admit(parsed, address)
            grant = self._grant_of(parsed)
            if grant is None:
                attempts.fail(parsed, address)
        except attempts.TooMany as many:
            raise problems.too_many_attempts(many.limit, many.seconds) from None
        if grant is None:
            raise problems.invalid_key()
        attempts.succeed(parsed)
        return grant

    def _grant_of(self, parsed: Presented) -> Grant | None:
        if isinstance(parsed, key_format.ForeignText):
            return self._registered_grant_of(parsed)
        stored = load_grant(parsed.selector)
        wrapped, expected = (stored.wrapped_signing_key, stored.digest) if stored else (None, None)
        if not signing.matches(wrapped, parsed.text, expected) or stored is None:
            return None
        return stored.grant

    def _registered_grant_of(self, foreign: key_format.ForeignText) -> Grant | None:
        """The same for what support once handed out."""
        try:
            stored = registered.find(foreign)
        except registered.Busy:
            raise problems.unavailable() from None
        return stored.grant if stored is not None else None

    def authenticate_header(self, request: Request) -> str:
        return f'Bearer realm="{problems.REALM}"'


def take_from_limit(request: HttpRequest, grant: Grant, limit: int, facts: decisions.RequestFacts) -> None:
    """Count this request against ``limit`` a minute; the answer tells what is left. Raises Problem ``rate_limited``."""
    taken = rate_limits.take(grant.key_pk, limit, grant.rate_burst)
    request.rate_limit_headers = taken.headers()  # type: ignore[attr-defined]
    check_taken(taken, grant, facts)


def check_taken(taken: rate_limits.Taken, grant: Grant, facts: decisions.RequestFacts) -> None:
    """Raise Problem ``rate_limited`` where there was nothing left to take."""
    if not taken.allowed:
        limited = replace(facts, retry_after=taken.seconds)
        denial = decisions.decide(grant, limited, decisions.RATE_RULES).denial
        assert denial is not None  # noqa: S101 that rule has no other answer
        raise problems.Problem(denial.code, denial.detail, headers={"Retry-After": str(taken.seconds)})


def presented_key(request: HttpRequest) -> Presented | None:
    """Return the key that ``request`` presents, parsed once. Raises as read_attempt() does."""
    if PRESENTED_KEY not in request.META:
        request.META[PRESENTED_KEY] = read_attempt(request.META.get("HTTP_AUTHORIZATION"), client_ip(request))
    return cast("Presented | None", request.META[PRESENTED_KEY])


def read_attempt(header: str | None, address: str | None) -> Presented | None:
    """Do as parse_authorization(); what is no key counts as a failed attempt from ``address``.

    Raises Problem ``rate_limited``, too: in place of ``invalid_key``, where too many failed.
    """
    try:
        return parse_authorization(header)
    except problems.Problem as problem:
        if problem.problem_code == "invalid_key":
            try:
                attempts.admit(None, address)
                attempts.fail(None, address)
            except attempts.TooMany as many:
                raise problems.too_many_attempts(many.limit, many.seconds) from None
        raise


def parse_authorization(header: str | None) -> Presented | None:
    """Read the header's key, without any I/O. None where there is no header.

    The scheme is case-insensitive (RFC 9110, section 11.1), nothing else is. Raises Problem ``missing_credentials``
    for another scheme and ``invalid_key`` for what is no key of ours, and can't be one that support once handed out.
    """
    if header is None:
        return None
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() != SCHEME:
        raise problems.missing_credentials()
    if len(credentials) > MAX_HEADER_LENGTH:
        raise problems.invalid_key()
    try:
        return key_format.read(credentials, prefix=settings.PITHEAD_KEY_PREFIX)
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
