"""Accounts with what concerns their keys: how many there are, the set-up that they need first, and suspension."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.db.models import Count, Exists, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from accounts import suspension
from accounts.admin_accounts import CONFIRM, account_page
from accounts.admin_pages import AdminStepUpForm, ReasonForm, confirmed, staff_actor, staff_user
from accounts.models import Account
from apikeys import signing
from apikeys.admin.forms import BootstrapForm
from apikeys.admin.signing_keys import SigningKeyPages
from apikeys.admin.watch_filters import SigningKeyFilter
from apikeys.models import ApiKey, SigningKey, SupportKey, UsageHour

admin.site.unregister(Account)


class SuspendForm(ReasonForm):
    step_up_action = suspension.SUSPEND

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].help_text = "The account’s owners read it in the mail that they get."


class ResumeForm(SuspendForm):
    step_up_action = suspension.RESUME


@admin.register(Account)
class KeyedAccountAdmin(SigningKeyPages):
    list_display = ["name", "slug", "member_count", "active_key_count", "bootstrapped", "suspended"]
    list_filter = [*SigningKeyPages.list_filter, SigningKeyFilter]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        active = ApiKey.objects.active().filter(account=OuterRef("pk")).order_by().values("account")
        counted = Subquery(active.annotate(count=Count("pk")).values("count"))
        signing_keys = SigningKey.objects.filter(account=OuterRef("pk"), retired_at=None)
        annotated = super().get_queryset(request)
        return annotated.annotate(active_key_count=Coalesce(counted, 0), bootstrapped=Exists(signing_keys))

    def facts(self, account: Account) -> dict[str, Any]:
        return {
            **super().facts(account),
            "keys": ApiKey.objects.filter(account=account).count_by_status(),
            "support_keys": SupportKey.objects.filter(account=account).count_by_status(),
            "signing_keys": list(signing.versions(account, with_support=True)),
        }

    @admin.display(description="Active keys")  # no order: all keys would be counted for a page
    def active_key_count(self, obj: Any) -> SafeString:
        url = f"{reverse('admin:apikeys_activekey_changelist')}?{urlencode({'account': obj.slug})}"
        return format_html('<a href="{}">{}</a>', url, obj.active_key_count)

    @admin.display(description="Bootstrapped", boolean=True, ordering="bootstrapped")
    def bootstrapped(self, obj: Any) -> bool:
        ready: bool = obj.bootstrapped
        return ready

    def get_urls(self) -> list[URLPattern]:
        def page(name: str, view: Any, permission: str) -> URLPattern:
            return path(f"<uuid:object_id>/{name}/", self.page(view, permission), name=f"accounts_account_{name}")

        return [
            page("bootstrap", self.bootstrap_view, "apikeys.bootstrap_account"),
            page("suspend", self.suspend_view, "accounts.suspend_account"),
            page("resume", self.resume_view, "accounts.suspend_account"),
            *super().get_urls(),
        ]

    @confirmed
    def bootstrap_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        """The account's first signing key: without it no key can be made."""
        account = get_object_or_404(Account, pk=object_id)
        if signing.current_signing_key(account) is not None:
            messages.info(request, f"{account} is set up for API keys already.")
            return account_page(account)
        form = BootstrapForm(request.POST or None, user=staff_user(request))
        if request.method == "POST" and form.is_valid():
            if not form.already_confirmed:
                signing.bootstrap(account, actor=staff_actor(request, form))
                messages.success(request, f"{account} is set up for API keys.")
            return account_page(account)
        return self.render_page(
            request,
            account,
            form,
            title="Set up for API keys",
            intro="This makes the account’s signing key, which all of its API keys will hang on. It is done once.",
            fieldsets=[(None, {"fields": ["code"]})],
            submit="Set up",
        )

    @confirmed
    def suspend_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        account = get_object_or_404(Account, pk=object_id)
        if account.suspended_at is not None:
            messages.info(request, f"{account} is suspended already.")
            return account_page(account)
        form = SuspendForm(request.POST or None, user=staff_user(request))
        if request.method == "POST" and form.is_valid():

            def suspend(actor: Any) -> str:
                suspension.suspend(account, actor=actor, reason=form.cleaned_data["reason"])
                return f"{account} is suspended. Its keys are refused from the next request on."

            if self.act_once(request, form, suspend):
                return account_page(account)
        return self._render_suspension(
            request,
            account,
            form,
            title="Suspend this account?",
            intro="Every key of the account is refused from the next request on, until somebody resumes it. Nothing "
            "of the keys changes, and its people can still sign in. The owners are told by mail.",
            submit="Suspend",
            danger=True,
            resuming=False,
        )

    @confirmed
    def resume_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        account = get_object_or_404(Account, pk=object_id)
        if account.suspended_at is None:
            messages.info(request, f"{account} is not suspended.")
            return account_page(account)
        form = ResumeForm(request.POST or None, user=staff_user(request))
        if request.method == "POST" and form.is_valid():

            def resume(actor: Any) -> str:
                suspension.resume(account, actor=actor, reason=form.cleaned_data["reason"])
                return f"{account} is resumed. Its keys answer again."

            if self.act_once(request, form, resume):
                return account_page(account)
        return self._render_suspension(
            request,
            account,
            form,
            title="Resume this account?",
            intro="Its keys answer again from the next request on, with the secrets that they have. Keys that were "
            "disabled, revoked or expired stay so. The owners are told by mail.",
            submit="Resume",
            resuming=True,
        )

    def _render_suspension(
        self, request: HttpRequest, account: Account, form: AdminStepUpForm, **page: Any
    ) -> HttpResponse:
        since = timezone.now() - timedelta(days=1)
        used = UsageHour.objects.filter(key__account=account, hour__gt=since)
        return self.render_page(
            request,
            account,
            form,
            **page,
            fieldsets=[(None, {"fields": ["reason"]}), CONFIRM],
            template="admin/accounts/account/suspension.html",
            active=ApiKey.objects.active().filter(account=account).count(),
            support=SupportKey.objects.active().filter(account=account).count(),
            requests=used.aggregate(total=Sum("requests"))["total"] or 0,
            since=suspension.latest_change(account) if account.suspended_at else None,
        )
