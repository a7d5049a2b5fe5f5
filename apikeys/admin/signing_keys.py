"""An account's signing keys in the staff admin: their versions, a new one, and the panic button.

By the functions that owners' pages call; staff see support keys as well, which hang on the same signing keys.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path, reverse

from accounts.admin_accounts import CONFIRM, AccountAdmin
from accounts.admin_pages import ReasonForm, confirmed, page_context, staff_actor, staff_user
from accounts.models import Account
from apikeys import signing
from apikeys.models import SigningKey
from apikeys.web.signing_keys import KEYS_SHOWN, RetireSigningKeyForm


class RotateForm(ReasonForm):
    step_up_action = signing.ROTATE


class RetireForm(RetireSigningKeyForm, ReasonForm):
    """The account's name in web addresses, typed, as owners do."""


class SigningKeyPages(AccountAdmin):
    """Pages of the accounts section: see `apikeys.admin.accounts`."""

    def get_urls(self) -> list[URLPattern]:
        def page(route: str, name: str, view: Any, permission: str) -> URLPattern:
            url = f"<uuid:object_id>/signing-keys/{route}"
            return path(url, self.page(view, permission), name=f"accounts_account_{name}")

        return [
            page("", "signing_keys", self.signing_keys_view, "apikeys.view_signingkey"),
            page("rotate/", "rotate_signing_key", self.rotate_signing_key_view, "apikeys.rotate_signingkey"),
            page("<int:version>/retire/", "retire_signing_key", self.retire_view, "apikeys.retire_signingkey"),
            *super().get_urls(),
        ]

    def signing_keys_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        account = get_object_or_404(Account, pk=object_id)
        versions = list(signing.versions(account, with_support=True).defer("wrapped"))
        context = page_context(
            self,
            request,
            title="Signing keys",
            subtitle=account.name,
            account=account,
            versions=versions,
            current=next((version for version in versions if version.retired_at is None), None),
        )
        return render(request, "admin/accounts/account/signing_keys.html", context)

    @confirmed
    def rotate_signing_key_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        account = get_object_or_404(Account, pk=object_id)
        current = signing.current_signing_key(account)
        if current is None:
            messages.info(request, f"{account} has no signing key yet. Set it up for API keys first.")
            return _list(account)
        form = RotateForm(request.POST or None, user=staff_user(request))
        if request.method == "POST" and form.is_valid():
            if not form.already_confirmed:
                made = signing.rotate(account, actor=staff_actor(request, form), note=form.cleaned_data["reason"])
                messages.success(request, f"Version {made.version} is made. Secrets that exist go on working.")
            return _list(account)
        return self.render_page(
            request,
            account,
            form,
            title="Rotate the signing key?",
            intro=f"New secrets are made under a new version. Those under version {current.version} and before go on "
            "working until it is retired. The owners are told by mail.",
            fieldsets=[(None, {"fields": ["reason"]}), CONFIRM],
            submit="Rotate",
        )

    @confirmed
    def retire_view(self, request: HttpRequest, object_id: UUID, version: int) -> HttpResponse:
        """The panic button: it says what stops, asks for a word, a reason and a code, and does it."""
        rows = SigningKey.objects.select_related("account")
        signing_key = get_object_or_404(rows, account=object_id, version=version)
        account = signing_key.account
        if signing_key.retired_at is not None:
            messages.info(request, f"Version {version} is retired already.")
            return _list(account)
        form = RetireForm(request.POST or None, user=staff_user(request), account=account)
        if request.method == "POST" and form.is_valid():
            if not form.already_confirmed:
                stopped = signing.retire(
                    signing_key, actor=staff_actor(request, form), note=form.cleaned_data["reason"]
                )
                messages.success(request, f"Version {version} is retired, and {_secrets(stopped)} with it.")
            return _list(account)
        stopping = signing.stops_at_once(signing_key, with_support=True)
        count = stopping.count()
        return self.render_page(
            request,
            account,
            form,
            title=f"Retire version {version}: stop its keys?",
            intro="Every secret that was made under it stops at once, and for good. The keys stay, and each can be "
            "given a new secret. The owners are told by mail.",
            fieldsets=[(None, {"fields": ["typed", "reason"]}), CONFIRM],
            submit=f"Retire and stop {count} keys" if count != 1 else "Retire and stop 1 key",
            danger=True,
            template="admin/accounts/account/retire_signing_key.html",
            stopping=stopping.select_related("role").order_by("name")[:KEYS_SHOWN],
            stopping_count=count,
            stopping_hidden=max(0, count - KEYS_SHOWN),
            support_count=stopping.filter(support=True).count(),
            keeping_count=signing.keeps_working(signing_key, with_support=True).count(),
        )


def _list(account: Account) -> HttpResponse:
    return redirect(reverse("admin:accounts_account_signing_keys", args=[account.pk]))


def _secrets(count: int) -> str:
    return "1 secret stopped" if count == 1 else f"{count:,} secrets stopped"
