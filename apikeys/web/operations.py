"""What can be done to one key: a page for each operation that asks for a code, and the switch that asks for none."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import membership_for
from accounts.audit import Actor
from accounts.changes import Refused
from accounts.models import Account, AuditEvent, KeyPermission, Membership, User
from apikeys import lifecycle
from apikeys.models import ApiKey
from apikeys.web.key import find, key_context
from apikeys.web.key_rows import Allowed
from apikeys.web.last_day import LastDay
from apikeys.web.operation_forms import (
    DeleteForm,
    EnableForm,
    EndOverlapForm,
    RegenerateForm,
    RevokeForm,
    RotateForm,
)
from apikeys.web.reveal import reveal


@never_cache
@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def rotate(request: HttpRequest, slug: str, key_id: str) -> HttpResponse:
    membership, key = _find_for_secret(request, slug, key_id)
    form = RotateForm(request.POST or None, user=membership.user, key=key)
    if renewed := _renew(request, membership, form, "rotated"):
        return renewed
    if request.method != "POST" and (refusal := _refusal(form, overlap=lifecycle.DEFAULT_OVERLAP)):
        return _not_now(request, key, refusal)
    return _page(request, "apikeys/key_rotate.html", membership, key, form=form)


@never_cache
@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def regenerate(request: HttpRequest, slug: str, key_id: str) -> HttpResponse:
    membership, key = _find_for_secret(request, slug, key_id)
    form = RegenerateForm(request.POST or None, user=membership.user, key=key)
    if renewed := _renew(request, membership, form, "regenerated"):
        return renewed
    if request.method != "POST" and (refusal := _refusal(form)):
        return _not_now(request, key, refusal)
    return _page(request, "apikeys/key_regenerate.html", membership, key, form=form, last_day=LastDay.of(key))


@never_cache
@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def end_overlap(request: HttpRequest, slug: str, key_id: str) -> HttpResponse:
    membership, key = find(request, slug, key_id, KeyPermission.UPDATE)
    if key.revoked_at is not None or len(key.live_secrets) < 2:
        return _not_now(request, key, _("“%(name)s” has no overlap to end.") % {"name": key.name})
    form = EndOverlapForm(request.POST or None, user=membership.user, key=key)
    if request.method == "POST" and form.is_valid():
        try:
            if form.proof is not None:
                lifecycle.end_overlap(key, actor=Actor.from_request(request, proof=form.proof))
                messages.success(
                    request, _("The old secret of “%(name)s” stopped. The new one works on.") % {"name": key.name}
                )
        except Refused as refused:
            messages.error(request, str(refused))
        return _to_key(key)
    return _page(request, "apikeys/key_end_overlap.html", membership, key, form=form)


@require_POST
def disable(request: HttpRequest, slug: str, key_id: str) -> HttpResponse:
    """Stopping must be quick: no code. ``back`` is the list's own query, "key" the page of the key."""
    _membership, key = find(request, slug, key_id, KeyPermission.UPDATE)
    try:
        lifecycle.disable(key, actor=Actor.from_request(request))
        messages.success(
            request,
            _("“%(name)s” is switched off. Requests with it are refused from now on.") % {"name": key.name},
        )
    except Refused as refused:
        messages.error(request, str(refused))
    back = request.POST.get("back", "")
    if back == "key":
        return _to_key(key)
    # Read and written again, it can say nothing but a query, whatever was sent.
    query = QueryDict(back.replace("\x00", "")).urlencode()
    return redirect(f"{reverse('web:key-list', args=[slug])}{f'?{query}' if query else ''}")


@never_cache
@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def enable(request: HttpRequest, slug: str, key_id: str) -> HttpResponse:
    membership, key = find(request, slug, key_id, KeyPermission.UPDATE)
    if key.revoked_at is not None or key.disabled_at is None:
        return _not_now(request, key, _("“%(name)s” is not switched off.") % {"name": key.name})
    form = EnableForm(request.POST or None, user=membership.user, key=key)
    if request.method == "POST" and form.is_valid():
        try:
            if form.proof is not None:
                lifecycle.enable(key, actor=Actor.from_request(request, proof=form.proof))
                messages.success(request, _("“%(name)s” is switched on.") % {"name": key.name})
        except Refused as refused:  # somebody else revoked it meanwhile
            messages.error(request, str(refused))
        return _to_key(key)
    return _page(request, "apikeys/key_enable.html", membership, key, form=form)


@never_cache
@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def revoke(request: HttpRequest, slug: str, key_id: str) -> HttpResponse:
    membership, key = find(request, slug, key_id, KeyPermission.DELETE)
    if key.revoked_at is not None:
        messages.info(request, _("“%(name)s” is revoked.") % {"name": key.name})
        return redirect("web:key-list", slug)
    form = RevokeForm(request.POST or None, user=membership.user)
    if request.method == "POST" and form.is_valid():
        try:
            if form.proof is not None:
                reason, note = form.cleaned_data["reason"], form.cleaned_data["note"]
                lifecycle.revoke(key, actor=Actor.from_request(request, proof=form.proof), reason=reason, note=note)
                messages.success(
                    request,
                    _("“%(name)s” is revoked. Requests with it are refused from now on.") % {"name": key.name},
                )
        except Refused as refused:  # the right to it was taken away meanwhile
            messages.error(request, str(refused))
        return redirect("web:key-list", slug)
    return _page(request, "apikeys/key_revoke.html", membership, key, form=form, last_day=LastDay.of(key))


@never_cache
@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, slug: str, key_id: str) -> HttpResponse:
    try:
        membership, key = find(request, slug, key_id, KeyPermission.DELETE)
    except Http404:
        if request.method == "POST" and (name := _name_of_deleted(request, slug, key_id)):
            messages.info(request, _("“%(name)s” is deleted.") % {"name": name})
            return redirect("web:key-list", slug)
        raise
    form = DeleteForm(request.POST or None, user=membership.user, key=key)
    if request.method == "POST" and form.is_valid():
        try:
            if form.proof is not None:
                lifecycle.delete(key, actor=Actor.from_request(request, proof=form.proof))
                messages.success(
                    request,
                    _("“%(name)s” is deleted. What was done to it stays in the audit trail.") % {"name": key.name},
                )
        except Refused as refused:  # the policy was changed meanwhile
            messages.error(request, str(refused))
            return _to_key(key)
        return redirect("web:key-list", slug)
    if request.method != "POST" and (refusal := _refusal(form)):
        return _not_now(request, key, refusal)
    return _page(request, "apikeys/key_delete.html", membership, key, form=form)


def _find_for_secret(request: HttpRequest, slug: str, key_id: str) -> tuple[Membership, ApiKey]:
    """As find(), for somebody who is to get a secret of the key. Raises Http404, PermissionDenied."""
    membership, key = find(request, slug, key_id, KeyPermission.UPDATE)
    if why := Allowed.to(membership).why_no_secret(key):
        raise PermissionDenied(why)
    return membership, key


@sensitive_variables("secret")
def _renew(
    request: HttpRequest, membership: Membership, form: RotateForm | RegenerateForm, what: str
) -> HttpResponse | None:
    """Carry a confirmed form out and show the new secret, once; None where the form has to be shown."""
    if request.method != "POST" or not form.is_valid():
        return None
    if form.already_confirmed:
        return render(request, "apikeys/key_already_renewed.html", key_context(membership, form.key), status=409)
    try:
        secret = form.renew_secret(Actor.from_request(request, proof=form.proof))
    except Refused as refused:  # somebody else was quicker
        form.refuse(refused)
        form.renew()
        return None
    return reveal(request, form.key, secret, what)


def _name_of_deleted(request: HttpRequest, slug: str, key_id: str) -> str:
    """What a key was called that is deleted already, as by the first of two equal POSTs; "" if there was none."""
    user: User = request.user  # type: ignore[assignment]
    account: Account = membership_for(user, slug, KeyPermission.DELETE).account
    deletions = AuditEvent.objects.filter(account=account, action="key.deleted", target_type="apikey", target_id=key_id)
    return deletions.values_list("target_name", flat=True).first() or ""


def _refusal(form: RotateForm | RegenerateForm | DeleteForm, **data: Any) -> str:
    """Why the operation can't be done now, so that nobody fills in a form for nothing; "" when it can."""
    try:
        form.check(data)
    except Refused as refused:
        return str(refused)
    return ""


def _not_now(request: HttpRequest, key: ApiKey, why: str) -> HttpResponse:
    messages.info(request, why)
    return _to_key(key)


def _to_key(key: ApiKey) -> HttpResponse:
    return redirect("web:key", key.account.slug, key.key_id)


def _page(request: HttpRequest, template: str, membership: Membership, key: ApiKey, **context: object) -> HttpResponse:
    return render(request, template, key_context(membership, key) | context)
