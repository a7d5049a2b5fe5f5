"""The account's signing keys: their versions, a new one, and the panic button."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from accounts.access import membership_for, owner_membership_for
from accounts.audit import Actor
from accounts.forms import StepUpForm
from accounts.models import Account, AuditEvent, KeyPermission, Membership, User
from accounts.views.notices import settings_context
from apikeys import signing
from apikeys.models import ApiKey, SigningKey

KEYS_SHOWN = 20


class RotateSigningKeyForm(StepUpForm):
    step_up_action = signing.ROTATE


class RetireSigningKeyForm(StepUpForm):
    """The account's name in web addresses, typed: no reflex, and the same word in every language."""

    step_up_action = signing.RETIRE

    typed = forms.CharField(
        max_length=100,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, account: Account, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.expected = account.slug
        self.fields["typed"].label = _("Type “%(word)s” to confirm") % {"word": self.expected}
        self.fields["typed"].error_messages["required"] = self.wrong_word

    @property
    def wrong_word(self) -> str:
        return _("Type “%(word)s”, in small letters, if you mean it.") % {"word": self.expected}

    def clean_typed(self) -> str:
        typed: str = self.cleaned_data["typed"]
        if typed.strip() != self.expected:
            raise forms.ValidationError(self.wrong_word)
        return typed


@require_safe
def version_list(request: HttpRequest, slug: str) -> HttpResponse:
    membership = membership_for(_user(request), slug, KeyPermission.VIEW)
    versions = list(signing.versions(membership.account))
    current = next((version for version in versions if version.retired_at is None), None)
    if current is None:
        return redirect("web:key-list", slug)
    context = _context(membership) | {"versions": versions, "current": current}
    return render(request, "apikeys/signing_keys.html", context)


@never_cache
@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def rotate(request: HttpRequest, slug: str) -> HttpResponse:
    membership = owner_membership_for(_user(request), slug)
    current = signing.current_signing_key(membership.account)
    if current is None:
        return redirect("web:key-list", slug)
    form = RotateSigningKeyForm(request.POST or None, user=membership.user)
    if request.method == "POST" and form.is_valid():
        if form.proof is not None:
            made = signing.rotate(membership.account, actor=Actor.from_request(request, proof=form.proof))
            messages.success(
                request,
                _("Version %(version)s is made. New secrets are made under it; those that exist go on working.")
                % {"version": made.version},
            )
        return redirect("web:signing-keys", slug)
    context = _context(membership) | {"form": form, "current": current, "next_version": _newest(membership.account) + 1}
    return render(request, "apikeys/signing_key_rotate.html", context)


@never_cache
@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def retire(request: HttpRequest, slug: str, version: int) -> HttpResponse:
    """The panic button: it says what stops, asks for a word and a code, and does it."""
    membership, signing_key = _find(owner_membership_for(_user(request), slug), version)
    if signing_key.retired_at is not None:
        return redirect("web:signing-key-retired", slug, version)
    form = RetireSigningKeyForm(request.POST or None, user=membership.user, account=membership.account)
    if request.method == "POST" and form.is_valid():
        if form.proof is not None:
            signing.retire(signing_key, actor=Actor.from_request(request, proof=form.proof))
        return redirect("web:signing-key-retired", slug, version)
    stopping = signing.stops_at_once(signing_key)
    count = stopping.count()
    context = _context(membership) | {
        "form": form,
        "signing_key": signing_key,
        "stopping": stopping.select_related("role").order_by("name")[:KEYS_SHOWN],
        "stopping_count": count,
        "stopping_hidden": max(0, count - KEYS_SHOWN),
        "keeping_count": signing.keeps_working(signing_key).count(),
        "is_current": signing_key == signing.current_signing_key(membership.account),
    }
    return render(request, "apikeys/signing_key_retire.html", context)


@require_safe
def retired(request: HttpRequest, slug: str, version: int) -> HttpResponse:
    """What retiring did, as the audit trail has it, and what to do next."""
    membership, signing_key = _find(membership_for(_user(request), slug, KeyPermission.VIEW), version)
    if signing_key.retired_at is None:
        return redirect("web:signing-keys", slug)
    event = AuditEvent.objects.filter(
        account=membership.account, action="signing_key.retired", data__version=version
    ).first()
    context = _context(membership) | {
        "signing_key": signing_key,
        "event": event,
        "current": signing.current_signing_key(membership.account),
        "without_secret": ApiKey.objects.filter(account=membership.account).without_secret().count(),
    }
    return render(request, "apikeys/signing_key_retired.html", context)


def _find(membership: Membership, version: int) -> tuple[Membership, SigningKey]:
    signing_key = SigningKey.objects.filter(account=membership.account, version=version).first()
    if signing_key is None:
        raise Http404
    signing_key.account = membership.account
    return membership, signing_key


def _newest(account: Account) -> int:
    return SigningKey.objects.filter(account=account).values_list("version", flat=True).order_by("-version")[0]


def _context(membership: Membership) -> dict[str, object]:
    return settings_context(membership, "signing_keys")


def _user(request: HttpRequest) -> User:
    user: User = request.user  # type: ignore[assignment]
    return user
