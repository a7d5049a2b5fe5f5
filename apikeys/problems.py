"""Errors as RFC 9457 problem details, from one table of codes."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from rest_framework import exceptions
from rest_framework.response import Response

CONTENT_TYPE = "application/problem+json"
REALM = "pithead"


@dataclass(frozen=True)
class Code:
    status: int
    title: str
    challenge: str | None = None  # RFC 6750 error code for WWW-Authenticate


CODES: dict[str, Code] = {
    "missing_credentials": Code(401, "An API key is needed"),
    "invalid_key": Code(401, "The API key is not valid", "invalid_token"),
    "wrong_environment": Code(401, "The API key is for another environment", "invalid_token"),
    "key_revoked": Code(401, "The API key was revoked", "invalid_token"),
    "key_expired": Code(401, "The API key has expired", "invalid_token"),
    "key_disabled": Code(401, "The API key is disabled", "invalid_token"),
    "account_suspended": Code(401, "The account is suspended", "invalid_token"),
    "address_not_allowed": Code(403, "The address is not allowed"),
    "permission_denied": Code(403, "The API key lacks a permission", "insufficient_scope"),
    "otp_required": Code(403, "A second factor is needed"),
    "otp_refused": Code(403, "The code is not right"),
    "not_found": Code(404, "Not found"),
    "conflict": Code(409, "In conflict with what is there"),
    "payload_too_large": Code(413, "The request is too large"),
    "method_not_allowed": Code(405, "The method is not allowed here"),
    "not_acceptable": Code(406, "No such representation"),
    "unsupported_media_type": Code(415, "The content type is not supported"),
    "invalid_request": Code(400, "The request is not valid"),
    "refused": Code(422, "The rules forbid that"),
    "idempotency_key_reused": Code(422, "The Idempotency-Key came with another request before"),
    "rate_limited": Code(429, "Too many requests"),
    "internal_error": Code(500, "Something went wrong on our side"),
    "unavailable": Code(503, "Temporarily unavailable"),
}
RETRY_AFTER_SECONDS = 3


class Problem(exceptions.APIException):
    """An error answer by its code; ``errors`` maps fields to sentences."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        errors: dict[str, list[str]] | None = None,
        headers: dict[str, str] | None = None,
        permission: str | None = None,
    ) -> None:
        super().__init__(detail, code)
        self.problem_code = code
        self.status_code = CODES[code].status
        self.errors = errors
        self.headers = headers or {}
        self.permission = permission


def new_request_id() -> str:
    return "req_" + secrets.token_hex(8)


def body(problem: Problem, request_id: str) -> dict[str, Any]:
    code = CODES[problem.problem_code]
    members: dict[str, Any] = {
        "type": "about:blank",
        "title": code.title,
        "status": code.status,
        "detail": str(problem.detail),
        "code": problem.problem_code,
        "request_id": request_id,
    }
    if problem.permission:
        members["permission"] = problem.permission
    if problem.errors:
        members["errors"] = problem.errors
    return members


def content(problem: Problem, request_id: str) -> bytes:
    return json.dumps(body(problem, request_id), ensure_ascii=False, separators=(",", ":")).encode()


def headers(problem: Problem, request_id: str) -> dict[str, str]:
    code = CODES[problem.problem_code]
    result = {
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "X-Request-Id": request_id,
        **problem.headers,
    }
    if code.status == 401 or code.challenge:
        challenge = f'Bearer realm="{REALM}"'
        if code.challenge:
            challenge += f', error="{code.challenge}"'
        if problem.permission:
            challenge += f', scope="{problem.permission}"'
        result["WWW-Authenticate"] = challenge
    if problem.problem_code == "unavailable":
        result["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return result


def response(problem: Problem, request: HttpRequest) -> HttpResponse:
    """The problem as a plain Django answer, for errors outside DRF."""
    request_id = request_id_of(request)
    text = content(problem, request_id)
    # CommonMiddleware counts the bytes of other answers; this one may be given before it is reached.
    length = {"Content-Length": str(len(text))}
    answer = HttpResponse(
        text, status=problem.status_code, content_type=CONTENT_TYPE, headers=headers(problem, request_id) | length
    )
    answer.problem_code = problem.problem_code  # type: ignore[attr-defined]
    return answer


def code_of(answer: HttpResponse) -> str:
    """The code of an answer that is a problem; "" of every other."""
    if answer.status_code < 400:
        return ""
    data = getattr(answer, "data", None)
    code = data.get("code", "") if isinstance(data, dict) else getattr(answer, "problem_code", "")
    return str(code)


def request_id_of(request: HttpRequest) -> str:
    """The id that `middleware.ApiMiddleware` gave this request."""
    request_id: str = getattr(request, "request_id", "") or new_request_id()
    return request_id


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's hook: every error that a view can raise, as a problem. None leaves a bug to the 500 handler."""
    problem = as_problem(exc)
    if problem is None:
        return None
    request = context["request"]._request
    request_id = request_id_of(request)
    return Response(
        body(problem, request_id),
        status=problem.status_code,
        headers=headers(problem, request_id),
        content_type=CONTENT_TYPE,
    )


def as_problem(exc: Exception) -> Problem | None:
    match exc:
        case Problem():
            return exc
        case exceptions.NotFound() | Http404():
            return Problem("not_found", "There is nothing here that this key can see.")
        case exceptions.PermissionDenied():
            return Problem("permission_denied", str(exc.detail))
        case PermissionDenied():
            return Problem("permission_denied", "This key may not do that.")
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            return missing_credentials()
        case exceptions.ValidationError():
            return Problem("invalid_request", "See “errors”.", errors=field_errors(exc.detail))
        case SuspiciousOperation():  # too many parameters or fields, say
            return Problem("invalid_request", "The request can't be read as it is.")
        case exceptions.ParseError():
            return Problem("invalid_request", str(exc.detail))
        case exceptions.MethodNotAllowed():
            return Problem("method_not_allowed", str(exc.detail))
        case exceptions.NotAcceptable():
            return Problem("not_acceptable", "Answers come as application/json.")
        case exceptions.UnsupportedMediaType():
            return Problem("unsupported_media_type", str(exc.detail))
        case exceptions.APIException(default_code=code) if code in CODES:  # entities' own, by their code
            return Problem(code, str(exc.detail))
        case OperationalError() | InterfaceError():
            return unavailable()
    return None


def missing_credentials() -> Problem:
    return Problem("missing_credentials", "Send your API key: “Authorization: Bearer <key>”.")


def invalid_key() -> Problem:
    """One and the same answer for a malformed, mistyped, unknown or wrong key."""
    return Problem("invalid_key", "This is not a valid API key. Check that it was copied whole.")


def too_many_attempts(limit: int, seconds: int) -> Problem:
    """One and the same answer, whether or not there is such a key: nobody has looked."""
    return Problem(
        "rate_limited",
        "Too many API keys that are not valid came from this address, or with this key’s public part. "
        f"Wait {seconds} second{'' if seconds == 1 else 's'}, and check that the key was copied whole.",
        headers={
            "Retry-After": str(seconds),
            "RateLimit-Policy": f'"attempts";q={limit};w=60',
            "RateLimit": f'"attempts";r=0;t={seconds}',
        },
    )


def for_status(status: int) -> Problem:
    """The problem of an error that was answered outside DRF, where only the status is known."""
    match status:
        case 404:
            return as_problem(Http404()) or internal_error()
        case 403:
            return Problem("permission_denied", "This request is not allowed.")
        case 503:
            return unavailable()
        case _ if status < 500:
            return Problem("invalid_request", "The request can't be read as it is.")
    return internal_error()


def internal_error() -> Problem:
    return Problem("internal_error", "This is a fault of ours. Tell the pool’s support the request_id.")


def unavailable() -> Problem:
    return Problem("unavailable", f"The service can't answer right now. Try again in {RETRY_AFTER_SECONDS} seconds.")


def field_errors(detail: Any, prefix: str = "") -> dict[str, list[str]]:
    """Flatten DRF's nested error detail to {"field.index.field": [sentence, …]}."""
    if isinstance(detail, dict):
        result: dict[str, list[str]] = {}
        for key, value in detail.items():
            result.update(field_errors(value, f"{prefix}.{key}" if prefix else str(key)))
        return result
    if isinstance(detail, list) and any(isinstance(item, dict | list) for item in detail):
        result = {}
        for index, value in enumerate(detail):
            if value:
                result.update(field_errors(value, f"{prefix}.{index}" if prefix else str(index)))
        return result
    sentences = detail if isinstance(detail, list) else [detail]
    return {prefix or "non_field_errors": [str(sentence) for sentence in sentences]}
