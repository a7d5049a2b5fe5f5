"""API keys in the staff admin: active ones and revoked ones, to read, and the lifecycle's actions on them.

Nothing of a key is edited here: each action is a page of its own that calls one function of `apikeys.lifecycle`.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.admin_site import AccountFilter, StaffModelAdmin
from accounts.audit import Actor
from accounts.environments import Environment
from accounts.models import Account, AuditEvent, User
from accounts.templatetags.pithead import utc, utcdate
from apikeys import lifecycle, scopes, signing
from apikeys.admin.filters import RoleFilter, StatusFilter
from apikeys.admin.forms import ChooseAccountForm, EnableForm, IssueForm, RevokeForm, entity_label
from apikeys.admin.pages import page_context, render_form
from apikeys.models import ActiveKey, ApiKey, RevokedKey

SHOWN_SCOPES = 200
SHOWN_EVENTS = 50
NAMEABLE_PER_PAGE = 50
#: What the lifecycle calls a field -> what the issue form calls it; a refusal of anything else stands above the form.
FORM_FIELDS: dict[str | None, str] = {
    "name": "name",
    "access_level": "access_level",
    "expires_at": "expires_in_days",
    "allowed_cidrs": "allowed_cidrs",
}


class KeyAdmin(StaffModelAdmin):
    """What both sections share."""

    search_fields = ["name", "=key_id", "account__name"]
    search_help_text = "Searches names, key IDs and accounts. Never paste a secret here."
    list_display_links = ["name"]
    actions = None
    ordering = ["-created_at"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        keys = super().get_queryset(request)
        return keys.select_related("account", "role").prefetch_related("secrets", "scopes")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def history_query(self, obj: ApiKey) -> dict[str, str]:
        return {"target": f"apikey:{obj.key_id}"}

    @admin.display(description="Value")
    def value(self, obj: ApiKey) -> SafeString:
        return format_html("<code>{}</code>", obj.masked)

    @admin.display(description="Key ID")
    def public_id(self, obj: ApiKey) -> SafeString:
        return format_html("<code>{}</code>", obj.key_id)

    @admin.display(description="Account", ordering="account__name")
    def place(self, obj: ApiKey) -> SafeString:
        return format_html('{} <span class="ph-under">{}</span>', obj.account, obj.get_environment_display())

    @admin.display(description="Value and ID", ordering="key_id")
    def key(self, obj: ApiKey) -> SafeString:
        return format_html('<code>{}</code> <span class="ph-under"><code>{}</code></span>', obj.masked, obj.key_id)

    @admin.display(description="Access", ordering="access_level")
    def access(self, obj: ApiKey) -> SafeString:
        return format_html('{} <span class="ph-under">{}</span>', obj.level_name, _scope(obj))

    @admin.display(description="Access level")
    def level(self, obj: ApiKey) -> SafeString | str:
        if obj.role is None:
            return obj.level_name
        return format_html('<a href="{}">{}</a>', reverse("admin:apikeys_role_change", args=[obj.role.pk]), obj.role)

    @admin.display(description="Status")
    def status_badge(self, obj: ApiKey) -> SafeString:
        return format_html('<span class="ph-status is-{}">{}</span>', obj.status, obj.status.capitalize())

    @admin.display(description="Created", ordering="created_at")
    def created(self, obj: ApiKey) -> SafeString | str:
        return utcdate(obj.created_at)

    @admin.display(description="Expires", ordering="expires_at")
    def expires(self, obj: ApiKey) -> SafeString | str:
        return utcdate(obj.expires_at) or "Never"

    @admin.display(description="Created")
    def created_by_whom(self, obj: ApiKey) -> SafeString:
        return format_html("{} by {}", utc(obj.created_at), obj.created_by_name)

    @admin.display(description="Expires")
    def expires_exactly(self, obj: ApiKey) -> SafeString | str:
        return utc(obj.expires_at) or "Never"

    @admin.display(description="Allowed addresses")
    def addresses(self, obj: ApiKey) -> str:
        return "\n".join(obj.allowed_cidrs) or "Any"

    @admin.display(description="Entities")
    def entities(self, obj: ApiKey) -> SafeString:
        rows = obj.scopes.select_related("entity__account").order_by("kind", "entity__name")
        context = {"summary": _scope(obj), "rows": rows[:SHOWN_SCOPES], "total": rows.count()}
        return render_to_string("admin/apikeys/_scopes.html", context)

    @admin.display(description="Secrets")
    def secret_list(self, obj: ApiKey) -> SafeString:
        rows = obj.secrets.select_related("signing_key").defer("digest", "signing_key__wrapped")
        return render_to_string("admin/apikeys/_secrets.html", {"rows": rows})

    @admin.display(description="Events")
    def history(self, obj: ApiKey) -> SafeString:
        events = AuditEvent.objects.filter(target_type="apikey", target_id=obj.key_id)
        return render_to_string("admin/apikeys/_history.html", {"events": events[:SHOWN_EVENTS]})


FACTS: Any = [
    (None, {"fields": ["name", "account", "value", "public_id", "status_badge", "environment", "level"]}),
    ("Scope", {"fields": ["entities"]}),
    ("Restrictions", {"fields": ["expires_exactly", "addresses"]}),
    ("Secrets", {"fields": ["created_by_whom", "secret_list"]}),
]
HISTORY: Any = ("History", {"fields": ["history"]})


@admin.register(ActiveKey)
class ActiveKeyAdmin(KeyAdmin):
    list_display = ["name", "status_badge", "place", "key", "access", "created", "expires"]
    list_filter = [StatusFilter, "access_level", RoleFilter, "environment", AccountFilter]
    fieldsets = [*FACTS, HISTORY]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        keys: Any = super().get_queryset(request)
        return keys.not_revoked()

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.admin_site.has_permission(request)

    def get_urls(self) -> list[URLPattern]:
        def page(name: str, view: Any) -> URLPattern:
            route = f"<uuid:object_id>/{name}/" if name != "nameable" else "nameable/"
            return path(route, self.admin_site.admin_view(view), name=f"apikeys_activekey_{name}")

        return [
            page("nameable", self.nameable_view),
            page("revoke", self.revoke_view),
            page("disable", self.disable_view),
            page("enable", self.enable_view),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """A link from before the revocation leads on to the revoked section."""
        if self.get_object(request, object_id) is None and _find(RevokedKey, object_id):
            return redirect("admin:apikeys_revokedkey_change", object_id)
        return super().change_view(request, object_id, form_url, extra_context)

    # Issue

    @method_decorator([sensitive_post_parameters("code"), require_http_methods(["GET", "HEAD", "POST"])])
    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Choose an account and environment, fill the form in, and see the secret once."""
        chosen = "account" in request.GET and "environment" in request.GET
        choice = ChooseAccountForm(request.GET if chosen else None, initial=request.GET.dict())
        if not chosen or not choice.is_valid():
            return render_form(
                self,
                request,
                choice,
                title="Issue an API key",
                fieldsets=[(None, {"fields": ["account", "environment"]})],
                submit="Continue",
                method="get",
            )
        account, environment = choice.cleaned_data["account"], choice.cleaned_data["environment"]
        if signing.current_signing_key(account) is None:
            messages.warning(request, f"{account} has to be set up for API keys first.")
            return redirect("admin:accounts_account_bootstrap", account.pk)
        return self._issue(request, account, environment)

    @sensitive_variables()
    def _issue(self, request: HttpRequest, account: Account, environment: str) -> HttpResponse:
        form = IssueForm(request.POST or None, user=_staff(request), account=account, environment=environment)
        if request.method == "POST" and form.is_valid():
            idempotency_key = f"form:{form.cleaned_data['nonce']}"
            if form.already_confirmed:
                earlier = ApiKey.objects.filter(account=account, idempotency_key=idempotency_key).first()
                return self._already_issued(request, earlier)
            try:
                key, secret = lifecycle.issue(
                    account,
                    actor=Actor.from_request(request, via="admin", proof=form.proof),
                    name=form.cleaned_data["name"],
                    environment=environment,
                    **form.chosen_level(),
                    scopes=form.cleaned_data["scopes"],
                    expires_at=form.expires_at(),
                    allowed_cidrs=form.cleaned_data["allowed_cidrs"],
                    idempotency_key=idempotency_key,
                )
            except lifecycle.AlreadyIssued as already:
                return self._already_issued(request, already.key)
            except (lifecycle.Refused, scopes.InvalidScope) as refused:
                form.renew()
                field = FORM_FIELDS.get(getattr(refused, "field", None))
                form.add_error(field, str(refused))
            else:
                context = page_context(self, request, title="API key issued", subtitle=key.name, key=key, secret=secret)
                response = render(request, "admin/apikeys/issued.html", context)
                response["Cache-Control"] = "no-store"
                return response
        return render_form(
            self,
            request,
            form,
            title="Issue an API key",
            subtitle=f"{account} · {Environment(environment).label}",
            intro="The key is shown once, on the next page. Have a safe way ready to hand it over.",
            fieldsets=[
                (None, {"fields": ["name", "access_level"]}),
                ("Scope", {"fields": ["everything", "picked", "picked_ids"]}),
                ("Restrictions", {"fields": ["expires_in_days", "allowed_cidrs"]}),
                ("Confirm", {"fields": ["code"]}),
            ],
            submit="Issue the key",
        )

    def _already_issued(self, request: HttpRequest, key: ApiKey | None) -> HttpResponse:
        context = page_context(self, request, title="Sent before", key=key)
        return render(request, "admin/apikeys/already_issued.html", context)

    @method_decorator(require_GET)
    def nameable_view(self, request: HttpRequest) -> HttpResponse:
        """The issue form's search: the entities that a key of ``account`` in ``environment`` may name."""
        choice = ChooseAccountForm(request.GET)
        if not choice.is_valid():
            return JsonResponse({"results": [], "pagination": {"more": False}})
        found = scopes.nameable(choice.cleaned_data["account"], choice.cleaned_data["environment"])
        if term := request.GET.get("term", "").strip():
            found = found.filter(Q(name__icontains=term) | Q(id__iexact=term))
        page = Paginator(found.select_related("account").order_by("name", "pk"), NAMEABLE_PER_PAGE).get_page(
            request.GET.get("page")
        )
        results = [{"id": str(entity.pk), "text": entity_label(entity)} for entity in page]
        return JsonResponse({"results": results, "pagination": {"more": page.has_next()}})

    # Stop and go

    @method_decorator([sensitive_post_parameters("code"), require_http_methods(["GET", "HEAD", "POST"])])
    def revoke_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        key = _key(object_id)
        if key.revoked_at is not None:
            messages.info(request, f"“{key}” is revoked already.")
            return _page(key)
        form = RevokeForm(request.POST or None, user=_staff(request))
        if request.method == "POST" and form.is_valid():
            if form.already_confirmed:
                return _page(_key(object_id))
            try:
                key = lifecycle.revoke(
                    key,
                    actor=Actor.from_request(request, via="admin", proof=form.proof),
                    reason=form.cleaned_data["reason"],
                    note=form.cleaned_data["note"],
                )
            except lifecycle.Refused as refused:
                form.renew()
                form.add_error(refused.field if refused.field in form.fields else None, str(refused))
            else:
                messages.success(request, f"“{key}” is revoked. It is refused from the next request on.")
                return _page(key)
        return render_form(
            self,
            request,
            form,
            title="Revoke this API key?",
            subtitle=f"{key.name} · {key.account}",
            parent=(key.name, _url(key)),
            intro="It stops at once and for good. Programs that use it will fail until they have another key.",
            fieldsets=[(None, {"fields": ["reason", "note", "code"]})],
            submit="Revoke for good",
            danger=True,
        )

    @method_decorator(require_POST)
    def disable_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        """One click: stopping must be quick."""
        key = _key(object_id)
        try:
            key = lifecycle.disable(key, actor=Actor.from_request(request, via="admin"))
        except lifecycle.Refused as refused:
            messages.error(request, str(refused))
        else:
            messages.success(request, f"“{key}” is disabled. It is refused from the next request on.")
        return _page(key)

    @method_decorator([sensitive_post_parameters("code"), require_http_methods(["GET", "HEAD", "POST"])])
    def enable_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        key = _key(object_id)
        if key.revoked_at is not None or key.disabled_at is None:
            return _page(key)
        form = EnableForm(request.POST or None, user=_staff(request))
        if request.method == "POST" and form.is_valid():
            if form.already_confirmed:
                return _page(_key(object_id))
            try:
                key = lifecycle.enable(key, actor=Actor.from_request(request, via="admin", proof=form.proof))
            except lifecycle.Refused as refused:
                form.renew()
                form.add_error(None, str(refused))
            else:
                messages.success(request, f"“{key}” is enabled. It answers again.")
                return _page(key)
        return render_form(
            self,
            request,
            form,
            title="Enable this API key?",
            subtitle=f"{key.name} · {key.account}",
            parent=(key.name, _url(key)),
            intro="It answers again from the next request on, with the secret that it had.",
            fieldsets=[(None, {"fields": ["code"]})],
            submit="Enable",
        )


@admin.register(RevokedKey)
class RevokedKeyAdmin(KeyAdmin):
    list_display = ["name", "place", "key", "access", "created", "revoked", "reason"]
    list_filter = ["access_level", RoleFilter, "environment", "revoke_reason", AccountFilter]
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
    def revoked(self, obj: ApiKey) -> SafeString | str:
        return utcdate(obj.revoked_at)

    @admin.display(description="Revoked")
    def revoked_by_whom(self, obj: ApiKey) -> SafeString:
        return format_html("{} by {}", utc(obj.revoked_at), obj.revoked_by_name)

    @admin.display(description="Reason", ordering="revoke_reason")
    def reason(self, obj: ApiKey) -> str:
        return lifecycle.REVOKE_REASONS.get(obj.revoke_reason, obj.revoke_reason)


def _scope(key: ApiKey) -> str:
    return scopes.describe(list(key.scopes.all()))


def _staff(request: HttpRequest) -> User:
    user: User = request.user  # type: ignore[assignment]
    return user


def _key(object_id: UUID) -> ApiKey:
    return get_object_or_404(ApiKey.objects.select_related("account"), pk=object_id)


def _find(model: type[ApiKey], object_id: str) -> ApiKey | None:
    try:
        return model.objects.revoked().filter(pk=UUID(object_id)).first()
    except ValueError:
        return None


def _url(key: ApiKey) -> str:
    section = "revokedkey" if key.revoked_at else "activekey"
    return reverse(f"admin:apikeys_{section}_change", args=[key.pk])


def _page(key: ApiKey) -> HttpResponse:
    return redirect(_url(key))
