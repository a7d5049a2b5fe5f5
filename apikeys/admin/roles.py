"""Custom roles in the staff admin: to read, and each change a page of its own that calls one function of `roles`.

Here alone a role gets the permissions that only staff give.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts.access_levels import PERMISSIONS
from accounts.admin_pages import first_step, render_form
from accounts.admin_site import AccountFilter, StaffModelAdmin
from accounts.audit import Actor
from accounts.changes import Refused
from accounts.models import Account, AuditEvent, User
from accounts.templatetags.pithead import day, moment
from apikeys import roles
from apikeys.admin.forms import AccountSelect, StaffDeleteRoleForm, StaffRoleForm
from apikeys.models import ApiKey, Role
from apikeys.web.summary import in_words

SHOWN_EVENTS = 50
FIELDSETS: Any = [
    (None, {"fields": ["name", "description"]}),
    ("Permissions", {"fields": ["permissions"]}),
    ("Confirm", {"fields": ["code"]}),
]
confirmed = [sensitive_post_parameters("code"), require_http_methods(["GET", "HEAD", "POST"])]


class ChooseAccountForm(forms.Form):
    account = forms.ModelChoiceField(
        Account.objects.all(),
        widget=AccountSelect(ApiKey._meta.get_field("account"), admin.site),
        error_messages={"required": "Choose an account."},
    )


@admin.register(Role)
class RoleAdmin(StaffModelAdmin):
    list_display = ["name", "account", "gives", "key_count", "created"]
    list_filter = [AccountFilter]
    list_select_related = ["account"]
    search_fields = ["name", "account__name"]
    ordering = ["account__name", "name"]
    actions = None
    fieldsets = [
        (None, {"fields": ["name", "account", "description", "created_exactly"]}),
        ("Permissions", {"fields": ["permission_list"]}),
        ("Keys", {"fields": ["key_count"]}),
        ("History", {"fields": ["history"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        in_use = Count("keys", filter=Q(keys__revoked_at=None))
        return super().get_queryset(request).annotate(in_use=in_use, used=Count("keys"))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="Gives")
    def gives(self, obj: Role) -> str:
        return in_words(obj.permissions)

    @admin.display(description="Keys", ordering="in_use")
    def key_count(self, obj: Any) -> SafeString:
        links = [
            format_html('<a href="{}?role={}">{}</a>', reverse(f"admin:apikeys_{section}_changelist"), obj.pk, text)
            for section, count, text in [
                ("activekey", obj.in_use, f"{obj.in_use} in use"),
                ("revokedkey", obj.used - obj.in_use, f"{obj.used - obj.in_use} revoked"),
            ]
            if count
        ]
        return format_html_join(", ", "{}", ((link,) for link in links)) or SafeString("None")

    @admin.display(description="Created", ordering="created_at")
    def created(self, obj: Role) -> SafeString | str:
        return day(obj.created_at)

    @admin.display(description="Created")
    def created_exactly(self, obj: Role) -> SafeString | str:
        return moment(obj.created_at)

    @admin.display(description="Permissions")
    def permission_list(self, obj: Role) -> SafeString:
        rows = [row for row in PERMISSIONS.values() if row.name in obj.permissions]
        return render_to_string("admin/apikeys/_permissions.html", {"rows": rows})

    @admin.display(description="Events")
    def history(self, obj: Role) -> SafeString:
        events = AuditEvent.objects.filter(target_type="role", target_id=str(obj.pk))
        return render_to_string("admin/apikeys/_history.html", {"events": events[:SHOWN_EVENTS]})

    def get_urls(self) -> list[URLPattern]:
        def page(name: str, view: Any, permission: str) -> URLPattern:
            return path(f"<uuid:object_id>/{name}/", self.page(view, permission), name=f"apikeys_role_{name}")

        return [
            page("edit", self.edit_view, "apikeys.change_role"),
            page("clone", self.clone_view, "apikeys.add_role"),
            page("remove", self.remove_view, "apikeys.delete_role"),
            *super().get_urls(),
        ]

    @method_decorator(confirmed)
    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Choose an account, then fill the form in."""
        choice = ChooseAccountForm(first_step(request, "account"))
        if not choice.is_valid():
            return render_form(
                self,
                request,
                choice,
                title="Add a custom role",
                fieldsets=[(None, {"fields": ["account"]})],
                submit="Continue",
                method="get",
            )
        return self._create(request, choice.cleaned_data["account"], None)

    @method_decorator(confirmed)
    def clone_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        source = _role(object_id)
        return self._create(request, source.account, source)

    def _create(self, request: HttpRequest, account: Account, source: Role | None) -> HttpResponse:
        form = self._form(request, account=account, source=source)
        if request.method == "POST" and form.is_valid():
            if form.already_confirmed:
                messages.info(request, "This form was sent before.")
                return redirect("admin:apikeys_role_changelist")
            try:
                role = roles.create(
                    account,
                    actor=Actor.from_request(request, via="admin", proof=form.proof),
                    cloned_from=source,
                    **form.fields_of_role(form.cleaned_data),
                )
            except Refused as refused:
                form.renew()
                form.refuse(refused)
            else:
                messages.success(request, f"“{role}” is created.")
                return _page(role)
        return render_form(
            self,
            request,
            form,
            title=f"Clone {source}" if source else "Add a custom role",
            subtitle=account.name,
            parent=(source.name, _url(source)) if source else None,
            intro="Its owners see the role beside the four access levels. What only staff give, they can’t pass on.",
            fieldsets=FIELDSETS,
            submit="Create the role",
        )

    @method_decorator(confirmed)
    def edit_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        role = _role(object_id)
        form = self._form(request, account=role.account, role=role)
        if request.method == "POST" and form.is_valid():
            if form.already_confirmed:
                return _page(role)
            try:
                role = roles.edit(
                    role,
                    actor=Actor.from_request(request, via="admin", proof=form.proof),
                    **form.fields_of_role(form.cleaned_data),
                )
            except Refused as refused:
                form.renew()
                form.refuse(refused)
            else:
                messages.success(request, f"“{role}” is saved.")
                return _page(role)
        return render_form(
            self,
            request,
            form,
            title="Edit this custom role",
            subtitle=f"{role.name} · {role.account}",
            parent=(role.name, _url(role)),
            intro=form.fixed or "Keys that have the role change with it at once.",
            fieldsets=FIELDSETS,
            submit="Save",
        )

    @method_decorator(confirmed)
    def remove_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        role = _role(object_id)
        if reason := roles.why_kept(role.keys.count()):
            messages.error(request, reason)
            return _page(role)
        form = StaffDeleteRoleForm(request.POST or None, user=_staff(request))
        if request.method == "POST" and form.is_valid():
            try:
                if form.proof is not None:
                    roles.delete(role, actor=Actor.from_request(request, via="admin", proof=form.proof))
                    messages.success(request, f"“{role}” is deleted.")
            except Refused as refused:
                messages.error(request, str(refused))
            return redirect("admin:apikeys_role_changelist")
        return render_form(
            self,
            request,
            form,
            title="Delete this custom role?",
            subtitle=f"{role.name} · {role.account}",
            parent=(role.name, _url(role)),
            intro="No key has it, so nothing stops. The role itself is gone for good.",
            fieldsets=[(None, {"fields": ["code"]})],
            submit="Delete",
            danger=True,
        )

    def _form(
        self, request: HttpRequest, *, account: Account, role: Role | None = None, source: Role | None = None
    ) -> StaffRoleForm:
        return StaffRoleForm(
            request.POST or None,
            user=_staff(request),
            account=account,
            actor=Actor.from_request(request, via="admin"),
            role=role,
            source=source,
        )


def _staff(request: HttpRequest) -> User:
    user: User = request.user  # type: ignore[assignment]
    return user


def _role(object_id: UUID) -> Role:
    return get_object_or_404(Role.objects.select_related("account"), pk=object_id)


def _url(role: Role) -> str:
    return reverse("admin:apikeys_role_change", args=[role.pk])


def _page(role: Role) -> HttpResponse:
    return redirect(_url(role))
