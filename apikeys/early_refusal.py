"""A WSGI layer in front of Django: what can be no key is refused for the price of parsing one header."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from django.conf import settings

from accounts.client_ip import address_in
from apikeys import metrics, misplaced, problems
from apikeys.authentication import PRESENTED_KEY, read_attempt

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication


class EarlyRefusal:
    """Wraps the WSGI application. Malformed and mistyped keys go no further: no request object, no middleware.

    The answer is the one that a wrong secret gets, to the byte, and both count as failed attempts. Parsed keys travel
    on in the environment.
    """

    def __init__(self, application: WSGIApplication) -> None:
        self.application = application
        self.mounts = tuple(f"/{mount}" for mount in settings.PITHEAD_API_MOUNTS.values())

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        header = environ.get("HTTP_AUTHORIZATION")
        path = environ.get("PATH_INFO", "")
        if header is None or not path.startswith(self.mounts):
            return self.application(environ, start_response)
        if misplaced.may_hold_key(path) or misplaced.may_hold_key(environ.get("QUERY_STRING", "")):
            return self.application(environ, start_response)
        try:
            environ[PRESENTED_KEY] = read_attempt(header, address_in(environ))
        except problems.Problem as problem:
            request_id = problems.new_request_id()
            content = problems.content(problem, request_id)
            status = HTTPStatus(problem.status_code)
            metrics.answered(metrics.API, status, problem.problem_code)
            headers = problems.headers(problem, request_id) | {
                "Content-Type": problems.CONTENT_TYPE,
                "Content-Length": str(len(content)),
            }
            start_response(f"{status.value} {status.phrase}", list(headers.items()))
            return [content] if environ["REQUEST_METHOD"] != "HEAD" else []
        return self.application(environ, start_response)
