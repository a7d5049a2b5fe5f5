"""People, accounts and the audit trail in the staff admin."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.contrib.auth import admin as auth_admin  # registers Group, which is taken back below
from django.contrib.auth.forms import BaseUserCreationForm
from django.contrib.auth.models import Group
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.debug import sensitive_post_parameters
from django_otp.plugins.otp_totp import admin as totp_admin
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts.admin_site import AccountFilter, StaffModelAdmin, StaffPermissions
from accounts.models import Account, AuditEvent, Membership, User
from accounts.templatetags.pithead import utc

# Both modules register what they have when imported. A seed must never be shown, and groups mean nothing here.
for module, model in [(totp_admin, TOTPDevice), (auth_admin, Group)]:
    if module.admin.site.is_registered(model):
        admin.site.unregister(model)


class MembershipInline(StaffPermissions, admin.TabularInline):
    model = Membership
    extra = 0
    autocomplete_fields = ["user"]
    fields = [
        "user",
        "access_level",
        "is_owner",
        "can_view_keys",
        "can_create_keys",
        "can_update_keys",
        "can_delete_keys",
    ]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_change_permission(request, obj)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("account", "user")


@admin.register(Account)
class AccountAdmin(StaffModelAdmin):
    """`apikeys.admin.accounts` adds what concerns keys."""

    audit_noun = "account"
    inline_audit_nouns = {Membership: "membership"}
    list_display = ["name", "slug", "member_count", "suspended"]
    search_fields = ["name", "slug", "=id"]
    fieldsets = [
        (None, {"fields": ["name", "slug"]}),
        ("Limits of its API keys", {"fields": ["max_active_keys", "max_lifetime_days"]}),
        ("Policy of its API keys", {"fields": ["keys_editable", "key_automation"]}),
    ]
    inlines = [MembershipInline]

    def account_of(self, obj: Account) -> Account:
        return obj

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        members = Membership.objects.filter(account=OuterRef("pk")).order_by().values("account")
        counted = Subquery(members.annotate(count=Count("pk")).values("count"))
        return super().get_queryset(request).annotate(member_count=Coalesce(counted, 0))

    def get_readonly_fields(self, request: HttpRequest, obj: Account | None = None) -> list[str]:
        # Links and bookmarks of the account's people hold the slug.
        return ["slug"] if obj else []

    def get_prepopulated_fields(self, request: HttpRequest, obj: Account | None = None) -> dict[str, Any]:
        return {} if obj else {"slug": ["name"]}

    def history_query(self, obj: Account) -> dict[str, str]:
        return {"account": obj.slug}

    @admin.display(description="Members", ordering="member_count")
    def member_count(self, obj: Any) -> int:
        count: int = obj.member_count
        return count

    @admin.display(description="Suspended", ordering="suspended_at")
    def suspended(self, obj: Account) -> SafeString | str:
        return utc(obj.suspended_at) or "–"


class PersonAddForm(BaseUserCreationForm):
    """A new person with an initial password, which whoever adds them hands over."""

    class Meta:
        model = User
        fields = ["email", "name"]
        field_classes: dict[str, Any] = {}


@admin.register(User)
class UserAdmin(StaffModelAdmin):
    """People. The password's hash and the second factor are shown to nobody.

    Only superusers make staff, switch people on and off, and change other staff: an admin must not promote itself.
    """

    audit_noun = "user"
    list_display = ["email", "name", "is_active", "is_staff", "joined"]
    list_filter = ["is_staff", "is_active"]
    search_fields = ["name", "email"]
    ordering = ["email"]
    SUPERUSER_FIELDS = ["is_active", "is_staff"]

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        if obj is not None and obj.is_staff and not request.user.is_superuser and obj != request.user:
            return False
        return super().has_change_permission(request, obj)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is None:
            kwargs["form"] = PersonAddForm
        return super().get_form(request, obj, change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        if obj is None:
            return [(None, {"fields": ["email", "name", "password1", "password2"]})]
        return [
            (None, {"fields": ["email", "name"]}),
            ("Access", {"fields": [*self.SUPERUSER_FIELDS, "is_superuser", "second_factor"]}),
            ("Dates", {"fields": ["joined", "seen"]}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        if obj is None:
            return []
        readonly = ["is_superuser", "second_factor", "joined", "seen"]
        # Not even superusers switch themselves off: nobody might be left to undo it.
        if not request.user.is_superuser or obj == request.user:
            readonly += self.SUPERUSER_FIELDS
        return readonly

    @method_decorator(sensitive_post_parameters("password1", "password2"))
    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().add_view(request, form_url, extra_context)

    def autocomplete_label(self, obj: User) -> str:
        return f"{obj.name} <{obj.email}>" if obj.name else obj.email

    @admin.display(description="Second factor", boolean=True)
    def second_factor(self, obj: User) -> bool:
        from accounts.second_factor import has_second_factor

        return has_second_factor(obj)

    @admin.display(description="Joined", ordering="date_joined")
    def joined(self, obj: User) -> SafeString | str:
        return utc(obj.date_joined)

    @admin.display(description="Last sign-in")
    def seen(self, obj: User) -> SafeString | str:
        return utc(obj.last_login) or "Never"


class TargetFilter(admin.SimpleListFilter):
    """The history of one row: ``?target=apikey:key_…``. Shows itself only while it narrows the list."""

    title = "target"
    parameter_name = "target"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        value = self.value()
        if not value:
            return []
        latest = self.queryset(request, AuditEvent.objects.all()).first()
        return [(value, latest.target_name if latest else value)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if not value:
            return queryset
        kind, _, target_id = value.rpartition(":")
        queryset = queryset.filter(target_id=target_id)
        return queryset.filter(target_type=kind) if kind else queryset


@admin.register(AuditEvent)
class AuditEventAdmin(StaffModelAdmin):
    """The trail, to read."""

    list_display = ["when", "actor_name", "action", "target", "account_name", "via", "address"]
    list_display_links = ["when"]
    list_filter = [TargetFilter, AccountFilter, "action"]
    search_fields = ["target_name", "=target_id", "actor_name"]
    date_hierarchy = "at"
    actions = None
    fieldsets = [
        (None, {"fields": ["when", "action", "target", "account_name"]}),
        ("By", {"fields": ["actor_name", "via", "address"]}),
        ("Details", {"fields": ["details"]}),
    ]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="When", ordering="at")
    def when(self, obj: AuditEvent) -> SafeString | str:
        return utc(obj.at)

    @admin.display(description="Target", ordering="target_name")
    def target(self, obj: AuditEvent) -> str:
        return f"{obj.target_name} ({obj.target_type})" if obj.target_type else obj.target_name

    @admin.display(description="Details")
    def details(self, obj: AuditEvent) -> SafeString:
        return format_html("<pre>{}</pre>", json.dumps(obj.data, indent=2, ensure_ascii=False))
