"""What lists of keys in the staff admin are narrowed by."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone

from apikeys.models import Role


class StatusFilter(admin.SimpleListFilter):
    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("active", "Active"), ("disabled", "Disabled"), ("expired", "Expired")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        now = timezone.now()
        match self.value():
            case "active":
                return queryset.active(now)
            case "disabled":
                # As the badge says: an expired key is expired, whether it is disabled or not.
                return queryset.disabled().exclude(expires_at__lte=now)
            case "expired":
                return queryset.expired(now)
        return queryset


class RoleFilter(admin.SimpleListFilter):
    """The keys of one custom role, which its page links to. Shows itself only while it narrows the list."""

    title = "custom role"
    parameter_name = "role"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        value, role = self.value(), self._role()
        if not value:
            return []
        return [(value, f"{role} of {role.account}" if role else "Unknown")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if not self.value():
            return queryset
        role = self._role()
        return queryset.filter(role=role) if role else queryset.none()

    def _role(self) -> Role | None:
        try:
            return Role.objects.select_related("account").filter(pk=UUID(self.value() or "")).first()
        except ValueError:
            return None
