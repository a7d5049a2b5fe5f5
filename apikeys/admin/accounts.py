"""Accounts with what concerns their keys: how many are active, and the set-up that they need first."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.db.models import Count, Exists, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts import audit
from accounts.admin import AccountAdmin
from accounts.models import Account, User
from apikeys import signing
from apikeys.admin.forms import BootstrapForm
from apikeys.admin.pages import render_form
from apikeys.models import ApiKey, SigningKey

admin.site.unregister(Account)


@admin.register(Account)
class KeyedAccountAdmin(AccountAdmin):
    list_display = ["name", "slug", "member_count", "active_key_count", "bootstrapped", "suspended"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        active = ApiKey.objects.active().filter(account=OuterRef("pk")).order_by().values("account")
        counted = Subquery(active.annotate(count=Count("pk")).values("count"))
        signing_keys = SigningKey.objects.filter(account=OuterRef("pk"), retired_at=None)
        annotated = super().get_queryset(request)
        return annotated.annotate(active_key_count=Coalesce(counted, 0), bootstrapped=Exists(signing_keys))

    @admin.display(description="Active keys", ordering="active_key_count")
    def active_key_count(self, obj: Any) -> SafeString:
        url = f"{reverse('admin:apikeys_activekey_changelist')}?{urlencode({'account': obj.slug})}"
        return format_html('<a href="{}">{}</a>', url, obj.active_key_count)

    @admin.display(description="Bootstrapped", boolean=True, ordering="bootstrapped")
    def bootstrapped(self, obj: Any) -> bool:
        ready: bool = obj.bootstrapped
        return ready

    def get_urls(self) -> list[URLPattern]:
        bootstrap = self.admin_site.admin_view(self.bootstrap_view)
        return [
            path("<uuid:object_id>/bootstrap/", bootstrap, name="accounts_account_bootstrap"),
            *super().get_urls(),
        ]

    @method_decorator([sensitive_post_parameters("code"), require_http_methods(["GET", "HEAD", "POST"])])
    def bootstrap_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        """The account's first signing key: without it no key can be made."""
        account = get_object_or_404(Account, pk=object_id)
        user: User = request.user  # type: ignore[assignment]
        page = redirect("admin:accounts_account_change", account.pk)
        if signing.current_signing_key(account) is not None:
            messages.info(request, f"{account} is set up for API keys already.")
            return page
        form = BootstrapForm(request.POST or None, user=user)
        if request.method == "POST" and form.is_valid():
            if not form.already_confirmed:
                signing.bootstrap(account, actor=audit.Actor.from_request(request, via="admin", proof=form.proof))
                messages.success(request, f"{account} is set up for API keys.")
            return page
        return render_form(
            self,
            request,
            form,
            title="Set up for API keys",
            subtitle=account.name,
            parent=(account.name, reverse("admin:accounts_account_change", args=[account.pk])),
            intro="This makes the account’s signing key, which all of its API keys will hang on. It is done once.",
            fieldsets=[(None, {"fields": ["code"]})],
            submit="Set up",
        )
