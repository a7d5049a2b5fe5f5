"""The gateway's question: may this request pass? For services in any language behind nginx, Traefik or Envoy.

The gateway sends each request's headers here first, with what it takes in headers of its own, which its configuration
sets. The answer is 200, 401 or 403, as nginx's ``auth_request`` takes no other, with the facts in headers. Asked in the
outermost middleware: nothing of what people's pages need runs before it.
"""

from __future__ import annotations

from time import perf_counter

from django.http import HttpRequest, HttpResponse

from accounts.client_ip import client_ip
from accounts.environments import Environment
from apikeys import metrics, misplaced, problems, verification

PATH = "/gateway/verify"
PERMISSION, ENTITY, ENVIRONMENT = "X-Pithead-Permission", "X-Pithead-Entity", "X-Pithead-Environment"
#: What the gateway calls the original method: Traefik names it, and nginx's configuration may.
METHOD = "X-Forwarded-Method"


def is_asked(request: HttpRequest) -> bool:
    """Whether ``request`` is a gateway's question. Envoy puts the original path behind ours."""
    return request.path_info == PATH or request.path_info.startswith(f"{PATH}/")


def verify(request: HttpRequest) -> HttpResponse:
    """Answer 200, 401 or 403; the code of a refusal is in ``X-Pithead-Code``, and its problem in the body."""
    began = perf_counter()
    request.request_id = problems.new_request_id()  # type: ignore[attr-defined]
    try:
        misplaced.check_original_address(request)
        verdict = verification.verify(request.META.get("HTTP_AUTHORIZATION"), _question(request))
    except problems.Problem as problem:
        verdict = verification.Verdict(problem)
    if verdict.problem is None:
        response = HttpResponse(status=200, headers={"Cache-Control": "no-store", "Content-Length": "0"})
        del response["Content-Type"]  # there is no content
    else:
        response = _refused(verdict.problem, request)
    metrics.GATEWAY_DECISIONS.observe(perf_counter() - began)
    metrics.answered(metrics.GATEWAY, response.status_code, problems.code_of(response))
    if verdict.grant is not None:
        response["X-Pithead-Key-Id"] = verdict.grant.key_id
        response["X-Pithead-Account"] = verdict.grant.account_slug
        response["X-Pithead-Level"] = verdict.grant.access_level
    if verdict.taken is not None:
        for name, value in verdict.taken.headers().items():
            response[name] = value
    response["X-Request-Id"] = request.request_id  # type: ignore[attr-defined]
    return response


def _question(request: HttpRequest) -> verification.Question:
    return verification.Question(
        asked_by="gateway",
        environment=request.headers.get(ENVIRONMENT, Environment.PRODUCTION),
        address=client_ip(request),
        permission=request.headers.get(PERMISSION),
        entity=request.headers.get(ENTITY),
        method=request.headers.get(METHOD, request.method or ""),
        request_id=problems.request_id_of(request),
    )


def _refused(problem: problems.Problem, request: HttpRequest) -> HttpResponse:
    response = problems.response(problem, request)
    response["X-Pithead-Code"] = problem.problem_code
    if response.status_code not in (401, 403):  # rate_limited, not_found, unavailable
        response.status_code = 403
    return response
