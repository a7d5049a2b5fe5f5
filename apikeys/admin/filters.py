"""What lists of keys in the staff admin are narrowed by: one select each, as links would fill the screen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Exists, OuterRef, Q
from django.http import HttpRequest
from django.utils import timezone

from accounts.environments import Environment
from accounts.models import Account
from apikeys.lifecycle import REVOKE_REASONS
from apikeys.models import ApiKey, ApiKeySecret, Role

STATUS_WORDS = {
    "active": "Active",
    "disabled": "Disabled",
    "expired": "Expired",
    "without_secret": "No secret",
    "revoked": "Revoked",
}
UNUSED_DAYS, EXPIRING_DAYS = 90, 30


class SelectFilter(admin.SimpleListFilter):
    """A filter drawn as a select; what the list is narrowed by otherwise travels along as hidden fields."""

    template = "admin/apikeys/select_filter.html"

    def choices(self, changelist: Any) -> Iterator[Any]:
        self.kept = [(name, value) for name, value in changelist.params.items() if name != self.parameter_name]
        yield {"value": "", "display": "All", "selected": not self.value()}
        for value, words in self.lookup_choices:
            yield {"value": value, "display": words, "selected": value == self.value()}


class ColumnFilter(SelectFilter):
    """The values of one column. Its parameter is the one of Django's own filter."""

    values: list[tuple[str, Any]] = []

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return self.values

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if not self.value():
            return queryset
        known = self.value() in dict(self.values)
        return queryset.filter(**{str(self.parameter_name): self.value()}) if known else queryset.none()


class LevelFilter(ColumnFilter):
    title = "access level"
    parameter_name = "access_level__exact"
    values = list(ApiKey._meta.get_field("access_level").choices or [])


class EnvironmentFilter(ColumnFilter):
    title = "environment"
    parameter_name = "environment__exact"
    values = list(Environment.choices)


class ReasonFilter(ColumnFilter):
    title = "reason"
    parameter_name = "revoke_reason__exact"
    values = list(REVOKE_REASONS.items())


class StatusFilter(SelectFilter):
    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(status, words) for status, words in STATUS_WORDS.items() if status != "revoked"]

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
            case "without_secret":
                return queryset.without_secret(now)
        return queryset


class UseFilter(SelectFilter):
    """Keys that nobody seems to need."""

    title = "last use"
    parameter_name = "use"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("never", "Never used"), ("unused", f"Unused for {UNUSED_DAYS} days")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        match self.value():
            case "never":
                return queryset.filter(last_used_at=None)
            case "unused":
                # A key that was made yesterday is not forgotten yet.
                before = timezone.now() - timedelta(days=UNUSED_DAYS)
                long_ago = Q(last_used_at=None) | Q(last_used_at__lte=before)
                return queryset.filter(long_ago, created_at__lte=before)
        return queryset


class ExpiryFilter(SelectFilter):
    title = "expiry"
    parameter_name = "expiry"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("soon", f"Expiring in {EXPIRING_DAYS} days"), ("none", "No expiry")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        now = timezone.now()
        match self.value():
            case "soon":
                return queryset.filter(expires_at__gt=now, expires_at__lte=now + timedelta(days=EXPIRING_DAYS))
            case "none":
                return queryset.filter(expires_at=None)
        return queryset


class AddressFilter(SelectFilter):
    title = "address limit"
    parameter_name = "addresses"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("any", "No address limit"), ("limited", "Limited")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        match self.value():
            case "any":
                return queryset.filter(allowed_cidrs=[])
            case "limited":
                return queryset.exclude(allowed_cidrs=[])
        return queryset


class RotationFilter(SelectFilter):
    title = "rotation"
    parameter_name = "rotation"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("overdue", "Overdue")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(rotation_overdue(timezone.now())) if self.value() == "overdue" else queryset


def rotation_overdue(now: datetime) -> Q:
    """Keys with a secret, whose newest is older than their account's policy wants: `ApiKey.rotation_due_at` in SQL.

    Policies have few different values, so each becomes a moment: no arithmetic of dates is left to the database.
    """
    live = ApiKeySecret.objects.live(now).filter(key=OuterRef("pk"))
    overdue, latest = Q(), None
    production = Q(environment=Environment.PRODUCTION)
    for policy, where in [("rotation_days", production), ("rotation_days_elsewhere", ~production)]:
        chosen = Account.objects.order_by().exclude(**{policy: None}).values_list(policy, flat=True).distinct()
        for days in chosen:
            due = now - timedelta(days=days)
            latest = max(due, latest or due)
            fresh = live.filter(created_at__gt=due)
            overdue |= where & Q(**{f"account__{policy}": days}) & ~Q(Exists(fresh))
    # A key that is younger than any policy has no secret that is older: their secrets are not looked at.
    return overdue & Q(Exists(live), created_at__lte=latest) if latest else Q(pk__in=[])


class RoleFilter(SelectFilter):
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
