"""The API's outermost layer: request ids, early refusal of malformed keys, and errors that are always problems."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.middleware.gzip import GZipMiddleware

from apikeys import parsers, problems
from apikeys.authentication import presented_key

#: Less gains nothing on the wire. Only here, not on people's pages: they hold secrets beside what a stranger may type
#: (BREACH); an answer to a key holds none.
GZIP_FROM_BYTES = 1000


class ApiMiddleware:
    """Stands first. Leaves every other path alone."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.mounts = tuple(f"/{mount}" for mount in settings.PITHEAD_API_MOUNTS.values())
        self.gzip = GZipMiddleware(get_response)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(self.mounts):
            return self.get_response(request)
        request.request_id = problems.new_request_id()  # type: ignore[attr-defined]
        try:
            # No I/O: what is no key of ours is refused before sessions, routing and the database.
            presented_key(request)
            _check_length(request)
        except problems.Problem as problem:
            response = problems.response(problem, request)
        else:
            response = self.get_response(request)
            if _is_invalid_key(response):
                # Refused here or after the look-up: one and the same answer, to the last byte and header.
                response = problems.response(problems.invalid_key(), request)
            elif response.status_code >= 400 and response.get("Content-Type") != problems.CONTENT_TYPE:
                # Django's own pages for people: a crashed view, a host that is not ours.
                response = problems.response(problems.for_status(response.status_code), request)
        response["X-Request-Id"] = request.request_id  # type: ignore[attr-defined]
        expires_at = getattr(request, "key_expires_at", None)
        if expires_at is not None:
            response["Pithead-Key-Expires"] = expires_at.strftime("%Y-%m-%dT%H:%M:%SZ")
        if "HTTP_AUTHORIZATION" in request.META:
            response["Cache-Control"] = "no-store"
        if response.status_code == 200 and len(response.content) >= GZIP_FROM_BYTES:
            self.gzip.process_response(request, response)  # in place
        return response


def _check_length(request: HttpRequest) -> None:
    """Raise Problem ``payload_too_large`` for a body that no route takes, whether or not one would read it."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if length.isdecimal() and int(length) > parsers.MAX_BULK_BYTES:
        raise parsers.too_large(parsers.MAX_BULK_BYTES)


def _is_invalid_key(response: HttpResponse) -> bool:
    data = getattr(response, "data", None)
    return response.status_code == 401 and isinstance(data, dict) and data.get("code") == "invalid_key"
