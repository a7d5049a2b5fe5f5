"""What the dashboard's numbers narrow lists by: keys by their use of the last day, accounts by what they need."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef
from django.http import HttpRequest
from django.utils import timezone

from apikeys.admin.filters import SelectFilter
from apikeys.models import SigningKey, UsageHour

DAY = timedelta(days=1)
#: A signing key that is older should give way to a new one; nothing stops by itself.
SIGNING_KEY_AGE = timedelta(days=365)


class LastDayFilter(SelectFilter):
    title = "the last 24 hours"
    parameter_name = "last_day"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("used", "Used"), ("refused", "Refused")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        hours = UsageHour.objects.filter(key=OuterRef("pk"), hour__gt=timezone.now() - DAY)
        match self.value():
            case "used":
                return queryset.filter(Exists(hours))
            case "refused":
                return queryset.filter(Exists(hours.filter(refused__gt=0)))
        return queryset


class SigningKeyFilter(admin.SimpleListFilter):
    title = "signing key"
    parameter_name = "signing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("old", "Older than a year"), ("none", "None yet")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        kept = SigningKey.objects.filter(account=OuterRef("pk"), retired_at=None)
        match self.value():
            case "old":
                young = kept.filter(created_at__gt=timezone.now() - SIGNING_KEY_AGE)
                return queryset.filter(Exists(kept), ~Exists(young))
            case "none":
                return queryset.filter(~Exists(kept))
        return queryset
