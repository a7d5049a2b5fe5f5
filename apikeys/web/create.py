"""Create a key, and show its secret once."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods

from accounts.access import membership_for
from accounts.access_levels import PERMISSIONS, AccessLevel
from accounts.audit import Actor
from accounts.changes import Refused
from accounts.client_ip import client_ip
from accounts.models import Account, KeyPermission, Membership, User
from apikeys import lifecycle, rules, scopes, signing
from apikeys.models import ApiKey
from apikeys.web.create_form import CreateKeyForm
from apikeys.web.key_form import KeyForm, address_notes
from apikeys.web.key_summary import summarize
from apikeys.web.posted import is_preview, posted
from apikeys.web.reveal import reveal


@never_cache
@sensitive_post_parameters("code")
@sensitive_variables("secret")
@require_http_methods(["GET", "HEAD", "POST"])
def create(request: HttpRequest, slug: str) -> HttpResponse:
    user: User = request.user  # type: ignore[assignment]
    membership = membership_for(user, slug, KeyPermission.CREATE)
    account = membership.account
    if signing.current_signing_key(account) is None:
        return redirect("web:key-list", slug)
    form = CreateKeyForm(
        posted(request), membership=membership, actor=Actor.from_request(request), preview=is_preview(request)
    )
    if request.method == "POST" and not form.preview and form.is_valid():
        idempotency_key = f"form:{form.cleaned_data['nonce']}"
        if form.already_confirmed:
            return _already_created(request, membership, idempotency_key)
        try:
            key, secret = lifecycle.issue(
                account,
                actor=Actor.from_request(request, proof=form.proof),
                idempotency_key=idempotency_key,
                **form.new_key(form.cleaned_data),
            )
        except lifecycle.AlreadyIssued:
            return _already_created(request, membership, idempotency_key)
        except (Refused, scopes.InvalidScope) as refused:
            # Something changed between the form's check and the writing, such as the last free key.
            form.refuse(refused)
            form.renew()
        else:
            return reveal(request, key, secret)
    context = {**form_context(request, membership, form), "full": "" if form.is_bound else _why_full(account)}
    return render(request, "apikeys/key_create.html", context)


def _why_full(account: Account) -> str:
    """Why no key can be created now, told before anybody fills the form in."""
    try:
        rules.check_key_count(account)
    except Refused as refused:
        return str(refused)
    return ""


def form_context(request: HttpRequest, membership: Membership, form: KeyForm) -> dict[str, object]:
    """What the pages of both forms show."""
    return {
        "nav": "api_keys",
        "account": membership.account,
        "form": form,
        "address": client_ip(request),
        "matrix": [(row, [level in row.levels for level in AccessLevel]) for row in PERMISSIONS.values() if row.levels],
        "levels": [level.label for level in AccessLevel],
        "summary": summarize(form),
        "address_notes": address_notes(form.networks),
    }


def _already_created(request: HttpRequest, membership: Membership, idempotency_key: str) -> HttpResponse:
    account = membership.account
    key = ApiKey.objects.for_display().filter(account=account, idempotency_key=idempotency_key).first()
    may_replace = key is not None and KeyPermission.UPDATE in membership.key_permissions
    context = {"nav": "api_keys", "account": account, "key": key, "may_replace": may_replace}
    return render(request, "apikeys/key_already_created.html", context, status=409)
