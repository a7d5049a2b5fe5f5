"""The API's description in OpenAPI 3.1, read off the views: what they take, answer and need.

A view says it all in its attributes: ``permission``, ``serializer_class``, ``request_serializers``, ``success``,
``filterset_class``, ``parameters``. Here they become operations, with every refusal that a route can give.
"""

from __future__ import annotations

from functools import cache
from threading import Lock
from typing import Any

import django_filters
from django.conf import settings
from django.utils import translation
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers
from rest_framework.generics import GenericAPIView

from accounts.access_levels import PERMISSIONS, AccessLevel
from apikeys import idempotency, openapi_examples, problems
from apikeys.api.keys_callers import ACCOUNT, OTP
from apikeys.permissions import ANY_KEY, required_permission
from apikeys.request_rows import USAGE_DAYS
from apikeys.routes import name_ids
from apikeys.usage import DAYS_SHOWN
from entities.api import filters
from entities.api.base import ListView, NoSuchRoute
from entities.api.charts import DEFAULT_PERIOD, MAX_MINERS, PERIODS
from entities.api.pagination import KeysetPagination

_making = Lock()
READS = ("GET", "HEAD")
#: Last words of routes that do something, rather than hold something.
_VERBS = ("revoke", "accept", "rotate", "regenerate", "end-overlap", "disable", "enable", "verify")


class ProblemSerializer(serializers.Serializer[Any]):
    """An error, as RFC 9457 has it."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="What to do about it, for people.")
    code = serializers.ChoiceField(choices=sorted(problems.CODES), help_text="What happened, for programs.")
    request_id = serializers.CharField(help_text="Name it when you ask support.")
    permission = serializers.CharField(required=False, help_text="The missing permission.")

    def get_fields(self) -> dict[str, Any]:
        # As an attribute it would shadow Serializer.errors.
        sentences = serializers.ListField(child=serializers.CharField())
        errors = serializers.DictField(
            child=sentences, required=False, help_text="Field or parameter → what was wrong with it."
        )
        return {**super().get_fields(), "errors": errors}


class BearerScheme(OpenApiAuthenticationExtension):
    target_class = "apikeys.authentication.BearerAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": f"{settings.PITHEAD_KEY_PREFIX}_live_…",
            "description": "An API key. It works at its own environment’s endpoint alone.",
        }


class SessionScheme(OpenApiAuthenticationExtension):
    target_class = "apikeys.api.keys_callers.PersonAuthentication"
    name = ["session", "account"]  # both

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, Any]]:
        return [
            {
                "type": "apiKey",
                "in": "cookie",
                "name": settings.SESSION_COOKIE_NAME,
                "description": "A person who signed in with both factors. Writes take the CSRF token as X-CSRFToken.",
            },
            {
                "type": "apiKey",
                "in": "header",
                "name": ACCOUNT,
                "description": "Which of the person’s accounts is meant: its name in web addresses.",
            },
        ]


class ApiSchema(AutoSchema):
    def get_operation_id(self) -> str:
        """``listMiners``, ``getMinerBalance``: verb and route, for generated clients."""
        words = [word for word in self._route.split("/") if not word.startswith("{")]
        if self.method == "POST" and words[-1] in _VERBS:
            verb, words = _camel(words[-1]), words[:-1]
        else:
            verb = {"GET": "list" if self.is_list else "get", "POST": "create", "PATCH": "change"}.get(
                self.method, self.method.lower()
            )
        last = None if self.method == "POST" else words[-1]  # what is posted to a list makes one of it
        return verb + "".join(self._singular(word, last) for word in words)

    def _singular(self, word: str, last: str | None) -> str:
        one = f"/{word}/{{" in self.path or (last is None and self._route.endswith(word))
        if one:
            word = word.removesuffix("es") if word.endswith("sses") else word.removesuffix("s")
        # “key” alone is the one that asks.
        whose = "Account" if self._route.startswith("keys") and word in ("key", "keys") else ""
        return whose + "".join(part.capitalize() for part in word.split("-"))

    def get_summary(self) -> str:
        return self._doc().split("\n", 1)[0].rstrip(".")

    def get_description(self) -> str:  # type: ignore[override]
        further = self._doc().partition("\n")[2].strip()
        permission = required_permission(self.view, self.method)
        if permission == ANY_KEY:
            needs = "Any key in good standing may do this."
        else:
            assert permission is not None  # noqa: S101 the suite has no such route
            row = PERMISSIONS[permission]
            levels = [level.label for level in AccessLevel if level in row.levels]
            by_level = f"{', '.join(levels)}, and custom roles with it" if levels else "Custom roles with it alone"
            needs = f"Needs the permission `{permission}` ({row.action}). Access levels: {by_level}."
            if right := getattr(self.view, "rights", {}).get(self.method):
                needs += f" Or a person’s session, with the right “{right.label}” in the account."
        return f"{further}\n\n{needs}".strip()

    def get_tags(self) -> list[str]:
        return [self._route.split("/", 1)[0].capitalize()]

    @property
    def _route(self) -> str:
        return self.path.removeprefix(f"/{settings.PITHEAD_API_MOUNTS['production']}").strip("/")

    def get_extensions(self) -> dict[str, Any]:
        return {"x-permission": required_permission(self.view, self.method)}

    def get_request_serializer(self) -> Any:
        return getattr(self.view, "request_serializers", {}).get(self.method)

    def get_response_serializers(self) -> Any:
        success = getattr(self.view, "success", {}).get(self.method, 200)
        answer = None if success == 204 else self._answer()
        answers: dict[Any, Any] = {(success, "application/json"): OpenApiResponse(answer, description=_DONE[success])}
        deferred = getattr(self.view, "deferred", {}).get(self.method)
        if idempotency.HEADER in getattr(self.view, "takes", {}).get(self.method, ()):
            answers[200, "application/json"] = OpenApiResponse(answer, description=_REPEATED)
        if deferred is not None:
            answers[202, "application/json"] = OpenApiResponse(deferred, description=_DONE[202])
        if self.method == "GET" and getattr(self.view, "changes_slowly", False):
            answers[304, "application/json"] = OpenApiResponse(None, description="You have it already")
        for status, codes in self.refusals().items():
            titles = "; ".join(f"`{code}`: {problems.CODES[code].title}" for code in codes)
            answers[status, problems.CONTENT_TYPE] = OpenApiResponse(ProblemSerializer, description=titles)
        return answers

    def _answer(self) -> Any:
        """The serializer of what this operation answers."""
        if isinstance(self.view, GenericAPIView) and self.view.serializer_class:
            return self.view.get_serializer_class()
        return getattr(self.view, "serializer_class", None)

    def refusals(self) -> dict[int, list[str]]:
        """Status → the codes of `problems.CODES` that this operation can answer."""
        codes = ["invalid_request", "missing_credentials", "invalid_key", "wrong_environment", "key_revoked"]
        codes += ["key_expired", "key_disabled", "account_suspended", "address_not_allowed", "rate_limited"]
        codes.append("unavailable")
        if required_permission(self.view, self.method) != ANY_KEY:
            codes.append("permission_denied")
        if "{" in self.path or "id" in getattr(self.view, "parameters", ()):
            codes.append("not_found")
        if self.method in ("POST", "PUT", "PATCH"):
            codes += ["payload_too_large", "unsupported_media_type"]
        if self.method in getattr(self.view, "conflicts", ()):
            codes.append("conflict")
        codes += getattr(self.view, "further_codes", {}).get(self.method, ())
        by_status: dict[int, list[str]] = {}
        for code in codes:
            by_status.setdefault(problems.CODES[code].status, []).append(code)
        return dict(sorted(by_status.items()))

    @property
    def is_list(self) -> bool:
        return self.method == "GET" and isinstance(self.view, ListView)

    def _is_list_view(self, serializer: Any = None) -> bool:
        return self.is_list

    def _get_paginator(self) -> Any:
        return self.view.paginator if isinstance(self.view, ListView) and self.is_list else None

    def _get_pagination_parameters(self) -> list[Any]:
        return []  # among the others

    def _resolve_path_parameters(self, variables: list[str]) -> list[Any]:
        return [
            {
                "in": "path",
                "name": name,
                "required": True,
                "schema": _PATH_SCHEMAS.get(name, {"type": "string", "format": "uuid"}),
                "description": f"The ID of the {name.removesuffix('_id').replace('_', ' ')}.",
            }
            for name in variables
        ]

    def get_override_parameters(self) -> list[Any]:
        parameters = []
        if self.method in READS:
            if isinstance(self.view, ListView):
                parameters += [_parameter("limit"), _parameter("cursor")]
                parameters += [_of_filter(*item) for item in self.view.filterset_class.base_filters.items()]
            parameters += [_parameter(name) for name in getattr(self.view, "parameters", ())]
            if getattr(self.view, "changes_slowly", False):
                parameters.append(_IF_NONE_MATCH)
        parameters += [_HEADERS[name] for name in getattr(self.view, "takes", {}).get(self.method, ())]
        return parameters

    def _doc(self) -> str:
        """What the handler says of itself, or else its class."""
        return str(super().get_description())


_DONE = {200: "The answer", 201: "Made", 202: "Waits for somebody else", 204: "Done"}
_REPEATED = "The request came before: the same key, and no secret"
_IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match", str, OpenApiParameter.HEADER, description="The ETag of the answer that you have."
)
_HEADERS = {
    idempotency.HEADER: OpenApiParameter(
        idempotency.HEADER,
        {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!#-\\[\\]-~]+$"},
        OpenApiParameter.HEADER,
        description=(
            f"Names this request: sent again within {idempotency.MEMORY.days} days it makes nothing, and is answered "
            "200 with the same key and no secret. With another request: 422."
        ),
    ),
    OTP: OpenApiParameter(
        OTP,
        {"type": "string", "maxLength": 40},
        OpenApiParameter.HEADER,
        description="For people’s sessions: a code of the authenticator app, or a recovery code. Keys need none.",
    ),
}
_PATH_SCHEMAS = {"key_id": {"type": "string", "pattern": "^key_[0-9A-Za-z]{12}$"}}
_PARAMETERS: dict[str, dict[str, Any]] = {
    "days": {
        "type": {"type": "integer", "minimum": 1, "maximum": USAGE_DAYS, "default": DAYS_SHOWN},
        "description": "How many days, with today.",
    },
    "limit": {
        "type": {
            "type": "integer",
            "minimum": 1,
            "maximum": KeysetPagination.MAX_LIMIT,
            "default": KeysetPagination.DEFAULT_LIMIT,
        },
        "description": "Rows a page.",
    },
    "cursor": {"type": str, "description": "`page.next` of the page before; the other parameters stay the same."},
    "period": {
        "type": {"type": "string", "enum": list(PERIODS), "default": DEFAULT_PERIOD},
        "description": "ISO 8601 duration: a day, a week by the hour, or 30 days by the day.",
    },
    "id": {
        "type": {"type": "array", "items": {"type": "string", "format": "uuid"}, "maxItems": MAX_MINERS},
        "description": "May come several times.",
        "explode": True,
    },
}


def _camel(words: str) -> str:
    first, *others = words.split("-")
    return first + "".join(word.capitalize() for word in others)


def _parameter(name: str) -> OpenApiParameter:
    return OpenApiParameter(name, location=OpenApiParameter.QUERY, **_PARAMETERS[name])


def _of_filter(name: str, filter_: django_filters.Filter) -> OpenApiParameter:
    """A django-filter filter as a parameter."""
    extra = filter_.extra
    schema: Any
    match filter_:
        case django_filters.ChoiceFilter():
            schema = {"type": "string", "enum": [value for value, _ in extra["choices"]]}
        case django_filters.UUIDFilter():
            schema = OpenApiTypes.UUID
        case filters.Moment():
            schema = OpenApiTypes.DATETIME
        case filters.Day():
            schema = OpenApiTypes.DATE
        case _:
            schema = {"type": "string", "minLength": 1, "maxLength": extra.get("max_length", 200)}
    return OpenApiParameter(name, schema, OpenApiParameter.QUERY, description=filter_.label)


def only_one_mount(endpoints: list[Any], **kwargs: Any) -> list[Any]:
    """Preprocessing hook: the environments' endpoints are servers of one description."""
    mount = f"/{settings.PITHEAD_API_MOUNTS['production']}"
    return [
        (name_ids(path), regex, method, callback)
        for path, regex, method, callback in endpoints
        if path.startswith(mount) and callback.cls is not NoSuchRoute
    ]


def add_examples(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Postprocessing hook: an example for every body, made from its schema."""
    return openapi_examples.add(result)


def document() -> dict[str, Any]:
    """The whole description. The same for everybody, and made once in the life of a process."""
    # drf-spectacular loads its extensions on first use, and not in two threads at once.
    with _making:
        return _make()


@cache
def _make() -> dict[str, Any]:
    with translation.override("en"):
        schema: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    schema["servers"] = [
        {"url": f"{settings.PITHEAD_PUBLIC_URL}/{mount}".rstrip("/"), "description": name.capitalize()}
        for name, mount in settings.PITHEAD_API_MOUNTS.items()
    ]
    return schema
