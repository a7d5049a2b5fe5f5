"""API keys in the staff admin: active ones and revoked ones, to read, and where the operations on them hang.

Nothing of a key is edited in the list or on its page: each operation is a page of its own that calls one function of
`apikeys.lifecycle`, for one key (`operations`) or many (`bulk`).
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.views.main import SEARCH_VAR
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.admin_site import AccountFilter
from accounts.templatetags.pithead import day, moment
from apikeys import lifecycle, secret_search
from apikeys.admin import bulk, explain, filters, find, operations
from apikeys.admin.issue import IssuesKeys
from apikeys.admin.key_columns import FACTS, HISTORY, KeyAdmin
from apikeys.admin.watch_filters import LastDayFilter
from apikeys.models import ActiveKey, ApiKey, RevokedKey


class GuardedSearch(KeyAdmin):
    """A list whose search, which is part of an address, takes no secret."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if secret_search.looks_secret(request.GET.get(SEARCH_VAR, "")):
            messages.warning(
                request,
                "What you searched for looks like a secret, so nothing was searched. It was part of a web address: "
                "this browser’s history has it, and whatever stands between may have logged it. Take it as leaked: "
                "find its key here, by pasting it once more, and revoke the key or replace its secret.",
            )
            return redirect("admin:apikeys_activekey_find")
        return super().changelist_view(request, extra_context)


@admin.register(ActiveKey)
class ActiveKeyAdmin(IssuesKeys, GuardedSearch):
    list_display = ["key", "status_badge", "place", "access", "used", "expires"]
    list_filter = [
        filters.StatusFilter,
        filters.LevelFilter,
        filters.RoleFilter,
        filters.EnvironmentFilter,
        filters.UseFilter,
        filters.ExpiryFilter,
        filters.RotationFilter,
        filters.AddressFilter,
        LastDayFilter,
        AccountFilter,
    ]
    actions = ["rotate_selected", "disable_selected", "revoke_selected"]
    fieldsets = [*FACTS, HISTORY]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        keys: Any = super().get_queryset(request)
        return keys.not_revoked()

    def get_urls(self) -> list[URLPattern]:
        name = "apikeys_activekey_{}".format
        many = [
            path(
                f"bulk/{operation.name}/",
                self.page(operation.as_view(model_admin=self), operation.permission),
                name=name(f"bulk_{operation.name}"),
            )
            for operation in bulk.OPERATIONS
        ]
        return [
            path("explain/", self.page(explain.staff_view(self), "apikeys.view_apikey"), name="apikeys_explain"),
            path("nameable/", self.page(self.nameable_view, "apikeys.add_apikey"), name=name("nameable")),
            path("find/", self.page(find.find, "apikeys.view_apikey"), {"model_admin": self}, name=name("find")),
            *operations.routes(self, operations.OPERATIONS),
            *many,
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page of a key, with a button for each operation that makes sense and that the person may do.

        A link from before the revocation leads on to the revoked section.
        """
        key = self.get_object(request, object_id)
        if key is None and _find_revoked(object_id):
            return redirect("admin:apikeys_revokedkey_change", object_id)
        buttons = operations.buttons(self, request, key, operations.OPERATIONS) if key is not None else []
        return super().change_view(request, object_id, form_url, {"operations": buttons, **(extra_context or {})})

    # Bulk: each action asks on a page of its own

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        try:
            return super().changelist_view(request, extra_context)
        except ValidationError:  # an ID among the selected that is none
            messages.warning(request, "The selection is broken. Select keys in the list again.")
            return redirect("admin:apikeys_activekey_changelist")

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return self.may(request, bulk.Revoke.permission)

    def has_disable_permission(self, request: HttpRequest) -> bool:
        return self.may(request, bulk.Disable.permission)

    def has_rotate_permission(self, request: HttpRequest) -> bool:
        return self.may(request, bulk.Rotate.permission)

    @admin.action(description="Rotate", permissions=["rotate"])
    def rotate_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return bulk.Rotate.ask(self, request, queryset)

    @admin.action(description="Disable", permissions=["disable"])
    def disable_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return bulk.Disable.ask(self, request, queryset)

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return bulk.Revoke.ask(self, request, queryset)


@admin.register(RevokedKey)
class RevokedKeyAdmin(GuardedSearch):
    list_display = ["key", "place", "access", "used", "revoked", "reason"]
    list_filter = [
        filters.ReasonFilter,
        filters.LevelFilter,
        filters.RoleFilter,
        filters.EnvironmentFilter,
        LastDayFilter,
        AccountFilter,
    ]
    ordering = ["-revoked_at"]
    fieldsets = [
        FACTS[0],
        ("Revocation", {"fields": ["revoked_by_whom", "reason", "revoke_note"]}),
        *FACTS[1:],
        HISTORY,
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        keys: Any = super().get_queryset(request)
        return keys.revoked()

    @admin.display(description="Revoked", ordering="revoked_at")
    def revoked(self, obj: ApiKey) -> SafeString:
        return format_html('{} <span class="ph-under">by {}</span>', day(obj.revoked_at), obj.revoked_by_name)

    @admin.display(description="Revoked")
    def revoked_by_whom(self, obj: ApiKey) -> SafeString:
        return format_html("{} by {}", moment(obj.revoked_at), obj.revoked_by_name)

    @admin.display(description="Reason", ordering="revoke_reason")
    def reason(self, obj: ApiKey) -> str:
        return str(lifecycle.REVOKE_REASONS.get(obj.revoke_reason, obj.revoke_reason))


def _find_revoked(object_id: str) -> ApiKey | None:
    try:
        return RevokedKey.objects.revoked().filter(pk=UUID(object_id)).first()
    except ValueError:
        return None
