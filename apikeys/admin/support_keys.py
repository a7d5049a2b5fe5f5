"""Support keys in the staff admin: the list that drives their retirement, and the two ways to make one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, F, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods

from accounts.admin_pages import render_form
from accounts.admin_site import AccountFilter
from accounts.audit import Actor
from accounts.changes import Refused
from accounts.environments import Environment
from accounts.models import Account, User
from accounts.templatetags.pithead import day, moment
from apikeys import lifecycle, registered, scopes, signing, support_keys
from apikeys.admin import operations
from apikeys.admin.filters import EnvironmentFilter, LevelFilter, SelectFilter, StatusFilter
from apikeys.admin.forms import ChooseAccountForm
from apikeys.admin.key_columns import FACTS, HISTORY
from apikeys.admin.keys import GuardedSearch
from apikeys.admin.reveal import already, reveal
from apikeys.admin.support_key_forms import IssueSupportKeyForm, RegisterSupportKeyForm
from apikeys.models import ApiKey, SupportKey

MAKE = "apikeys.register_supportkey"
#: What `support_keys` calls a field -> what the forms call it; a refusal of anything else stands above the form.
FORM_FIELDS: dict[str | None, str] = {
    "text": "old_key",
    "name": "name",
    "access_level": "access_level",
    "expires_at": "expires_in_days",
    "allowed_cidrs": "allowed_cidrs",
}


class SupportStatusFilter(StatusFilter):
    """What is left is shown; what was revoked only when it is asked for."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*super().lookups(request, model_admin), ("revoked", "Revoked")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "revoked":
            return queryset.revoked()
        return super().queryset(request, queryset.not_revoked())

    def choices(self, changelist: Any) -> Iterator[Any]:
        left, *others = super().choices(changelist)
        yield {**left, "display": "Not revoked"}
        yield from others


class UseFilter(SelectFilter):
    title = "use"
    parameter_name = "use"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("current", f"Still in use, within {support_keys.STILL_IN_USE.days} days"),
            ("unused", f"Unused for {support_keys.UNUSED.days} days"),
            ("never", "Never used"),
        ]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        now = timezone.now()
        match self.value():
            case "current":
                return queryset.filter(last_used_at__gte=now - support_keys.STILL_IN_USE)
            case "unused":
                long_ago = now - support_keys.UNUSED
                return queryset.filter(Q(last_used_at__lt=long_ago) | Q(last_used_at=None, created_at__lt=long_ago))
            case "never":
                return queryset.filter(last_used_at=None)
        return queryset


@admin.register(SupportKey)
class SupportKeyAdmin(GuardedSearch):
    change_list_template = "admin/apikeys/supportkey/change_list.html"
    list_display = ["key", "status_badge", "place", "access", "last_use"]
    list_filter = [UseFilter, SupportStatusFilter, LevelFilter, EnvironmentFilter, AccountFilter]
    fieldsets = [*FACTS, HISTORY]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        keys: QuerySet[Any] = SupportKey.objects.for_display()
        return keys

    def get_ordering(self, request: HttpRequest) -> list[Any]:
        return [F("last_used_at").desc(nulls_last=True), "-created_at"]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        revoked = obj is not None and obj.revoked_at is not None
        return [FACTS[0], *([("Revocation", {"fields": ["revoked_by_whom"]})] if revoked else []), *FACTS[1:], HISTORY]

    def get_urls(self) -> list[URLPattern]:
        return [
            path("register/", self.page(self.register_view, MAKE), name="apikeys_supportkey_register"),
            path("issue/", self.page(self.issue_view, MAKE), name="apikeys_supportkey_issue"),
            *operations.routes(self, operations.OF_SUPPORT_KEYS),
            *super().get_urls(),
        ]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, MAKE)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Where Django's own "Add" leads: to the list, which has a button for either way."""
        messages.info(request, "Register a key that support once handed out, or issue a new one: press one of the two.")
        return redirect("admin:apikeys_supportkey_changelist")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        key = self.get_object(request, object_id)
        buttons: list[dict[str, Any]] = []
        if key is not None and key.revoked_at is None:
            buttons = operations.buttons(self, request, key, operations.OF_SUPPORT_KEYS)
        return super().change_view(request, object_id, form_url, {"operations": buttons, **(extra_context or {})})

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        used_lately = Q(last_used_at__gte=timezone.now() - support_keys.STILL_IN_USE)
        left = SupportKey.objects.not_revoked().order_by()
        counts = left.aggregate(left=Count("pk"), in_use=Count("pk", filter=used_lately))
        context = {**counts, "days": support_keys.STILL_IN_USE.days, "may_make": self.may(request, MAKE)}
        return super().changelist_view(request, {**context, **(extra_context or {})})

    # Columns

    @admin.display(description="Last used", ordering="last_used_at")
    def last_use(self, obj: Any) -> SafeString | str:
        if obj.last_used_at is None:
            return format_html('Never <span class="ph-under">Since {}</span>', day(obj.created_at))
        if obj.revoked_at is None and obj.last_used_at >= timezone.now() - support_keys.STILL_IN_USE:
            return format_html('{} <span class="ph-under">Still in use</span>', day(obj.last_used_at))
        return day(obj.last_used_at)

    @admin.display(description="Revoked")
    def revoked_by_whom(self, obj: ApiKey) -> SafeString:
        reason = lifecycle.REVOKE_REASONS.get(obj.revoke_reason, obj.revoke_reason)
        words = ": ".join(filter(None, [str(reason), obj.revoke_note]))
        return format_html("{} by {}. {}", moment(obj.revoked_at), obj.revoked_by_name, words)

    # Make one

    @method_decorator([sensitive_post_parameters("old_key", "code"), require_http_methods(["GET", "HEAD", "POST"])])
    def register_view(self, request: HttpRequest) -> HttpResponse:
        """Let a string that support once handed out be a key. It is never shown again, not even masked whole."""
        title = "Register an old key"
        chosen = self._choose(request, title)
        if isinstance(chosen, HttpResponse):
            return chosen
        account, environment = chosen
        form = RegisterSupportKeyForm(
            request.POST or None, user=_staff(request), account=account, environment=environment
        )
        if request.method == "POST" and form.is_valid():
            if form.already_confirmed:
                return already(self, request, _made_by(form, account))
            try:
                key = support_keys.register(
                    account, text=form.cleaned_data["old_key"].text, **self._wanted(request, form, environment)
                )
            except lifecycle.AlreadyIssued as sent_before:
                return already(self, request, sent_before.key)
            except registered.Busy:
                form.renew()
                form.add_error("old_key", "Many old keys are being checked right now. Try again in a few seconds.")
            except (Refused, scopes.InvalidScope) as refused:
                _tell(form, refused)
            else:
                messages.success(request, f"“{key}” is registered. It answers from the next request on.")
                return redirect("admin:apikeys_supportkey_change", key.pk)
        return self._render(
            request,
            form,
            title=title,
            subtitle=f"{account} · {Environment(environment).label}",
            intro=(
                "For a key that support once handed out and that programs still send. Only an Argon2id hash of it is "
                "kept. The account’s owners don’t see support keys."
            ),
            fields=["name", "old_key", "access_level"],
            submit="Register the key",
        )

    @method_decorator([sensitive_post_parameters("code"), require_http_methods(["GET", "HEAD", "POST"])])
    @sensitive_variables("secret", "context")
    def issue_view(self, request: HttpRequest) -> HttpResponse:
        """Make a support key in our own format, and show it once."""
        title = "Issue a support key"
        chosen = self._choose(request, title)
        if isinstance(chosen, HttpResponse):
            return chosen
        account, environment = chosen
        form = IssueSupportKeyForm(request.POST or None, user=_staff(request), account=account, environment=environment)
        if request.method == "POST" and form.is_valid():
            if form.already_confirmed:
                return already(self, request, _made_by(form, account))
            try:
                key, secret = support_keys.issue(account, **self._wanted(request, form, environment))
            except lifecycle.AlreadyIssued as sent_before:
                return already(self, request, sent_before.key)
            except (Refused, scopes.InvalidScope) as refused:
                _tell(form, refused)
            else:
                return reveal(self, request, key, secret, title="Support key issued")
        return self._render(
            request,
            form,
            title=title,
            subtitle=f"{account} · {Environment(environment).label}",
            intro="It is shown once, on the next page. The account’s owners don’t see support keys.",
            fields=["name", "access_level"],
            submit="Issue the key",
        )

    def _choose(self, request: HttpRequest, title: str) -> tuple[Account, str] | HttpResponse:
        """The account and environment that the address names, or the page that asks for what is missing."""
        chosen = "environment" in request.GET  # an account that nobody chose is not sent
        choice = ChooseAccountForm(request.GET if chosen else None, initial=request.GET.dict())
        if not chosen or not choice.is_valid():
            return render_form(
                self,
                request,
                choice,
                title=title,
                fieldsets=[(None, {"fields": ["account", "environment"]})],
                submit="Continue",
                method="get",
            )
        account: Account = choice.cleaned_data["account"]
        if signing.current_signing_key(account) is None:
            messages.warning(request, f"{account} has to be set up for API keys first.")
            return redirect("admin:accounts_account_bootstrap", account.pk)
        return account, choice.cleaned_data["environment"]

    def _wanted(self, request: HttpRequest, form: IssueSupportKeyForm, environment: str) -> dict[str, Any]:
        data = form.cleaned_data
        return {
            "actor": Actor.from_request(request, via="admin", proof=form.proof),
            "name": data["name"],
            "environment": environment,
            "access_level": form.chosen_level()["access_level"],
            "entities": form.entities(),
            "expires_at": form.expires_at(),
            "allowed_cidrs": data["allowed_cidrs"],
            "idempotency_key": _idempotency_key(form),
        }

    def _render(
        self, request: HttpRequest, form: IssueSupportKeyForm, *, fields: list[str], **words: Any
    ) -> HttpResponse:
        return render_form(
            self,
            request,
            form,
            fieldsets=[
                (None, {"fields": fields}),
                ("Scope", {"fields": ["picked", "picked_ids"]}),
                ("Restrictions", {"fields": ["expires_in_days", "allowed_cidrs"]}),
                ("Confirm", {"fields": ["code"]}),
            ],
            **words,
        )


def _idempotency_key(form: IssueSupportKeyForm) -> str:
    return f"form:{form.cleaned_data['nonce']}"


def _made_by(form: IssueSupportKeyForm, account: Account) -> ApiKey | None:
    """What the form made when it was sent before, if it made anything."""
    return SupportKey.objects.filter(account=account, idempotency_key=_idempotency_key(form)).first()


def _tell(form: IssueSupportKeyForm, refused: Exception) -> None:
    """Say at its field why the rules refused, and let the next try be a new one."""
    form.renew()
    field = "picked" if isinstance(refused, scopes.InvalidScope) else FORM_FIELDS.get(getattr(refused, "field", None))
    form.add_error(field if field in form.fields else None, str(refused))


def _staff(request: HttpRequest) -> User:
    user: User = request.user  # type: ignore[assignment]
    return user
