"""Key management: the keys of one account in the endpoint's environment, for keys that manage keys and for people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import django_filters
from django.db.models import QuerySet
from django.utils import timezone
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from accounts.access_levels import CUSTOM, AccessLevel
from accounts.changes import Refused
from accounts.models import Account, KeyPermission
from apikeys import edits, lifecycle, rules, usage
from apikeys.api.keys_base import KeysView, MakesSecrets
from apikeys.api.keys_callers import OTP
from apikeys.api.keys_serializers import (
    STATUSES,
    KeyChangeSerializer,
    KeyRowSerializer,
    ManagedKeySerializer,
    NewKeySerializer,
    RevealedKeySerializer,
    UsageSerializer,
    as_detail,
    as_row,
)
from apikeys.edits import Changes
from apikeys.models import ApiKey, Role
from apikeys.request_rows import USAGE_DAYS
from apikeys.scopes import Scope
from entities.api.base import ListView
from entities.api.filters import Choice, ListFilters, Moment, Ordering
from entities.api.pagination import read_limit


class KeyFilters(ListFilters):
    """Without a status, the keys that are not revoked."""

    status = Choice(*STATUSES, method="of_status", label="In this state; without it, all that are not revoked.")
    name = django_filters.CharFilter(max_length=80, label="Exactly this name.")
    search = django_filters.CharFilter(
        field_name="name", lookup_expr="icontains", max_length=80, label="Names that contain this, case aside."
    )
    access_level = Choice(*(level.value for level in AccessLevel), CUSTOM, label="Of this access level.")
    created_after = Moment(field_name="created_at", lookup_expr="gt", label="Made after this moment.")
    created_before = Moment(field_name="created_at", lookup_expr="lt", label="Made before this moment.")
    ordering = Ordering("created_at", "name")

    def of_status(self, queryset: QuerySet[ApiKey], name: str, value: str) -> QuerySet[ApiKey]:
        narrow: Callable[[], QuerySet[ApiKey]] = getattr(queryset, value)
        # A key that has expired says so, switched off or not.
        return narrow() if value != "disabled" else narrow().exclude(expires_at__lte=timezone.now())

    def filter_queryset(self, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        queryset = super().filter_queryset(queryset)
        return queryset if self.form.cleaned_data.get("status") else queryset.filter(revoked_at=None)


class KeyList(MakesSecrets, ListView):
    """The account's keys of this environment, newest first."""

    model = ApiKey
    permission = {"GET": "keys:read", "POST": "keys:write"}
    rights = {"GET": KeyPermission.VIEW, "POST": KeyPermission.CREATE}
    serializer_class = KeyRowSerializer
    request_serializers = {"POST": NewKeySerializer}
    conflicts = ("POST",)
    filterset_class = KeyFilters
    ordering = ("-created_at", "-id")

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        return RevealedKeySerializer if self.request.method == "POST" else KeyRowSerializer

    def get(self, request: Request, environment: str, **kwargs: str) -> Response:
        """List the account’s keys of this environment, newest first."""
        self.open()
        rows = self.paginator.fetch(self.filters.filter_queryset(self.keys()))
        return self.get_paginated_response(KeyRowSerializer([as_row(key) for key in rows], many=True).data)

    def post(self, request: Request, environment: str) -> Response:
        """Make a key in this environment; its secret is in this answer and nowhere else.

        A key makes none that is wider than itself, and none that manages keys.
        """
        body = self.read_body()
        wanted = {
            "name": body["name"],
            "description": body.get("description", ""),
            "environment": environment,
            **_level(self.account, body),
            "scopes": [Scope.parse(text) for text in body["scopes"]],
            "expires_at": body.get("expires_at"),
            "allowed_cidrs": body.get("allowed_cidrs", []),
            "rate_limit": body.get("rate_limit"),
            "rate_burst": body.get("rate_burst"),
        }
        return self.make_once(
            body,
            lifecycle.ISSUE,
            judge=lambda actor: rules.check_new(self.account, actor=actor, **wanted),
            make=lambda actor: lifecycle.issue(self.account, actor=actor, **wanted),
        )

    def locate(self) -> None:
        """Nothing is named."""


class KeyDetail(KeysView):
    """One key"""

    permission = {"GET": "keys:read", "PATCH": "keys:write"}
    rights = {"GET": KeyPermission.VIEW, "PATCH": KeyPermission.UPDATE}
    serializer_class = ManagedKeySerializer
    request_serializers = {"PATCH": KeyChangeSerializer}
    takes = {"PATCH": (OTP,)}
    further_codes = {"PATCH": ("refused", "otp_required", "otp_refused")}

    def get(self, request: Request, environment: str, key_id: str) -> Response:
        """Describe a key of this environment, its scopes with it."""
        return Response(ManagedKeySerializer(as_detail(self.get_key())).data)

    def patch(self, request: Request, environment: str, key_id: str) -> Response:
        """Change a key.

        Level and scopes stay, unless the account’s policy says *editable*. People send a code for all but name and
        description.
        """
        key = self.get_key()
        changes = self._changes(self.read_body())
        checked = edits.check(key, changes, actor=self.actor)
        actor = self.actor
        if checked.differs and not checked.only_labels:
            actor = self.confirm(lifecycle.EDIT, judge=lambda actor: None)  # judged a moment ago
        return self.answer(lifecycle.edit(key, changes, actor=actor))

    def _changes(self, body: dict[str, Any]) -> Changes:
        asked = {name: value for name, value in body.items() if name not in ("access_level", "role", "scopes")}
        if "access_level" in body:
            asked |= _level(self.account, body)
        if "scopes" in body:
            asked["scopes"] = [Scope.parse(text) for text in body["scopes"]]
        return Changes(**asked)

    def judge_reach(self, key: ApiKey) -> None:
        if self.request.method == "PATCH":
            rules.require_for(self.actor, key, KeyPermission.UPDATE)


class KeyUsage(KeysView):
    """How a key is used"""

    permission = "keys:read"
    rights = {"GET": KeyPermission.VIEW}
    parameters = ("days",)
    serializer_class = UsageSerializer

    def get(self, request: Request, environment: str, key_id: str) -> Response:
        """Count a key’s requests by day, UTC, up to today."""
        key = self.get_key()
        try:
            days = read_limit(request.query_params.get("days"), usage.DAYS_SHOWN, USAGE_DAYS)
        except ValidationError:
            raise ValidationError({"days": [f"Give a whole number from 1 to {USAGE_DAYS}."]}) from None
        return Response(UsageSerializer({"id": key.key_id, "data": usage.daily([key], days)[key.pk]}).data)


def _level(account: Account, body: dict[str, Any]) -> dict[str, Any]:
    """The arguments of lifecycle.issue() that level and role mean. Raises Refused."""
    role = None
    if body["access_level"] == CUSTOM:
        role = Role.objects.filter(account=account, name=body["role"]).first()
        if role is None:
            raise Refused("This account has no custom role of that name.", "role")
    return {"access_level": body["access_level"], "role": role}
