"""The API's outermost layer: request ids, early refusal of malformed keys, and errors that are always problems."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.middleware.gzip import GZipMiddleware
from django.shortcuts import render

from apikeys import gateway, metrics, misplaced, parsers, problems, request_log
from apikeys.authentication import presented_key
from apikeys.request_rows import Entry
from apikeys.routes import route_of

#: Less gains nothing on the wire. Only here, not on people's pages: they hold secrets beside what a stranger may type
#: (BREACH); an answer to a key holds none.
GZIP_FROM_BYTES = 1000


class ApiMiddleware:
    """Stands first. Answers gateways at once, and leaves every other path alone."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.mounts = tuple(f"/{mount}" for mount in settings.PITHEAD_API_MOUNTS.values())
        self.gzip = GZipMiddleware(get_response)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(self.mounts):
            return gateway.respond(request) if gateway.is_asked(request.path_info) else self.get_response(request)
        began = perf_counter()
        request.request_id = problems.new_request_id()  # type: ignore[attr-defined]
        try:
            # No I/O: what is no key of ours is refused before sessions, routing and the database.
            misplaced.check_address(request)
            presented_key(request)
            _check_length(request)
        except problems.Problem as problem:
            response = problems.response(problem, request)
        else:
            response = self.get_response(request)
            refusal = _refused_key(response, request)
            if refusal is not None:
                # Refused here or after the look-up: one and the same answer, to the last byte and header.
                response = problems.response(refusal, request)
            elif response.status_code >= 400 and response.get("Content-Type") != problems.CONTENT_TYPE:
                # Django's own pages for people: a crashed view, a host that is not ours.
                response = problems.response(problems.for_status(response.status_code), request)
        response["X-Request-Id"] = request.request_id  # type: ignore[attr-defined]
        expires_at = getattr(request, "key_expires_at", None)
        if expires_at is not None:
            response["Pithead-Key-Expires"] = expires_at.strftime("%Y-%m-%dT%H:%M:%SZ")
        for name, value in getattr(request, "rate_limit_headers", {}).items():
            response[name] = value
        if "HTTP_AUTHORIZATION" in request.META:
            response["Cache-Control"] = "no-store"
        if response.status_code == 200 and len(response.content) >= GZIP_FROM_BYTES:
            self.gzip.process_response(request, response)  # in place
        metrics.answered(metrics.API, response.status_code, problems.code_of(response))
        _note(request, response, perf_counter() - began)
        return response


class MisplacedSecretMiddleware:
    """Stands behind who asks and in which language: refuses pages whose address or form holds a secret.

    Before what leads strangers to the sign-in page, with the address that they asked for.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.mounts = tuple(f"/{mount}" for mount in settings.PITHEAD_API_MOUNTS.values())

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(self.mounts):
            place = misplaced.seen_in_address(request)
            if place is not None and not misplaced.is_search_that_says_so(request):
                return _page_refused(request)
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view_func: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        if request.path_info.startswith(self.mounts) or not misplaced.seen_in_fields(request):
            return None
        return _page_refused(request)


def _page_refused(request: HttpRequest) -> HttpResponse:
    response = render(request, "apikeys/misplaced_secret.html", status=400)
    response["Cache-Control"] = "no-store"
    return response


def _note(request: HttpRequest, response: HttpResponse, seconds: float) -> None:
    """Put what the key did into the request log. Unknown keys and wrong secrets are nobody's use of a key."""
    grant = getattr(request, "grant", None)
    if grant is None:
        return
    facts = request.request_facts  # type: ignore[attr-defined]
    request_log.note(
        Entry(
            at=facts.now,
            account_id=grant.account_id,
            key_pk=grant.key_pk,
            secret_pk=grant.secret_pk,
            address=facts.address,
            method=request.method or "",
            route=route_of(request),
            status=response.status_code,
            code=problems.code_of(response),
            duration_ms=round(1000 * seconds),
            request_id=request.request_id,  # type: ignore[attr-defined]
        )
    )


def _check_length(request: HttpRequest) -> None:
    """Raise Problem ``payload_too_large`` for a body that no route takes, whether or not one would read it."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if length.isdecimal() and int(length) > parsers.MAX_BULK_BYTES:
        raise parsers.too_large(parsers.MAX_BULK_BYTES)


def _refused_key(response: HttpResponse, request: HttpRequest) -> problems.Problem | None:
    """What the key was refused with by whoever looked it up, or by `attempts` before; None where it was not."""
    if response.status_code == 401 and problems.code_of(response) == "invalid_key":
        return problems.invalid_key()
    return getattr(request, "too_many_attempts", None)
