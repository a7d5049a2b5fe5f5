"""The gateway's question: may this request pass? For services in any language behind nginx, Traefik or Envoy.

The gateway sends each request's headers here first, with what it takes in headers of its own, which its configuration
sets. The answer is 200, 401 or 403, as nginx's ``auth_request`` takes no other, with the facts in headers. A WSGI layer
gives it, in front of Django: nothing of what people's pages need runs before it. Without that layer, as on Django's own
server, the outermost middleware does.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from time import perf_counter
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest, HttpResponse
from django.http.request import HttpHeaders

from accounts.client_ip import client_ip
from accounts.environments import Environment
from apikeys import metrics, misplaced, problems, verification

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

logger = logging.getLogger(__name__)

PATH = "/gateway/verify"
PERMISSION, ENTITY, ENVIRONMENT = "X-Pithead-Permission", "X-Pithead-Entity", "X-Pithead-Environment"
#: What the gateway calls the original method: Traefik names it, and nginx's configuration may.
METHOD = "X-Forwarded-Method"
_IN_META = {name: str(HttpHeaders.to_wsgi_name(name)) for name in (PERMISSION, ENTITY, ENVIRONMENT, METHOD)}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    content: bytes = b""


class Gateway:
    """Wraps the WSGI application, and answers gateways itself.

    Django is not told that a request began or ended. What it does then for the database, `grants.load_grant` does by
    itself: a connection that broke is made anew.
    """

    def __init__(self, application: WSGIApplication) -> None:
        self.application = application

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if not is_asked(environ.get("PATH_INFO", "")):
            return self.application(environ, start_response)
        request = HttpRequest()
        request.META = environ
        try:
            answer = verify(request)
        except Exception:  # nothing behind this reports it, and a gateway needs an answer
            logger.exception("A gateway's question met a fault, and was refused.")
            answer = _answer(verification.Verdict(problems.unavailable()), problems.new_request_id())
        status = HTTPStatus(answer.status)
        start_response(f"{status.value} {status.phrase}", list(answer.headers.items()))
        return [answer.content] if environ["REQUEST_METHOD"] != "HEAD" else []


def is_asked(path: str) -> bool:
    """Whether a request for ``path`` is a gateway's question. Envoy puts the original path behind ours."""
    return path == PATH or path.startswith(f"{PATH}/")


def respond(request: HttpRequest) -> HttpResponse:
    """Do as verify(), as Django's answer."""
    answer = verify(request)
    response = HttpResponse(answer.content, status=answer.status)
    del response["Content-Type"]  # a yes has none
    for name, value in answer.headers.items():
        response[name] = value
    return response


def verify(request: HttpRequest) -> Answer:
    """Answer 200, 401 or 403; the code of a refusal is in ``X-Pithead-Code``, and its problem in the body.

    Of ``request`` nothing is read but ``META``.
    """
    began = perf_counter()
    request_id = problems.new_request_id()
    try:
        misplaced.check_original_address(request)
        verdict = verification.verify(request.META.get("HTTP_AUTHORIZATION"), _question(request, request_id))
    except problems.Problem as problem:
        verdict = verification.Verdict(problem)
    metrics.GATEWAY_DECISIONS.observe(perf_counter() - began)
    return _answer(verdict, request_id)


def _answer(verdict: verification.Verdict, request_id: str) -> Answer:
    status, content, code = 200, b"", ""
    headers = {"Cache-Control": "no-store", "X-Request-Id": request_id}
    if verdict.problem is not None:
        code = verdict.problem.problem_code
        # The others, such as rate_limited, not_found and unavailable, travel as 403.
        status = verdict.problem.status_code if verdict.problem.status_code in (401, 403) else 403
        content = problems.content(verdict.problem, request_id)
        headers = problems.headers(verdict.problem, request_id)
        headers |= {"Content-Type": problems.CONTENT_TYPE, "X-Pithead-Code": code}
    headers["Content-Length"] = str(len(content))
    if verdict.grant is not None:
        headers["X-Pithead-Key-Id"] = verdict.grant.key_id
        headers["X-Pithead-Account"] = verdict.grant.account_slug
        headers["X-Pithead-Level"] = verdict.grant.access_level
    if verdict.taken is not None:
        headers |= verdict.taken.headers()
    metrics.answered(metrics.GATEWAY, status, code)
    return Answer(status, headers, content)


def _question(request: HttpRequest, request_id: str) -> verification.Question:
    meta = request.META
    return verification.Question(
        asked_by="gateway",
        environment=meta.get(_IN_META[ENVIRONMENT], Environment.PRODUCTION),
        address=client_ip(request),
        permission=meta.get(_IN_META[PERMISSION]),
        entity=meta.get(_IN_META[ENTITY]),
        method=meta.get(_IN_META[METHOD]) or meta.get("REQUEST_METHOD", ""),
        request_id=request_id,
    )
