"""One key: its page, and the operations on it."""

from __future__ import annotations

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.access import membership_for
from accounts.access_levels import PERMISSIONS
from accounts.audit import Actor
from accounts.models import AuditEvent, KeyPermission, Membership, User
from apikeys import lifecycle, roles, scopes
from apikeys.models import ApiKey
from apikeys.web.forms import EnableForm, RevokeForm
from apikeys.web.key_list import rights

PICKED_SHOWN = 50


@require_safe
def detail(request: HttpRequest, slug: str, key_id: str) -> HttpResponse:
    membership, key = _find(request, slug, key_id, KeyPermission.VIEW)
    held = roles.in_force(key.permissions, key.account)
    rows = list(key.scopes.all())
    picked = [row.entity for row in rows if row.entity is not None]
    context = _context(membership, key) | {
        "rights": rights(membership),
        "picked": picked[:PICKED_SHOWN],
        "picked_hidden": max(0, len(picked) - PICKED_SHOWN),
        "permissions": [row for row in PERMISSIONS.values() if row.name in held],
        "history": _history(key),
    }
    return render(request, "apikeys/key.html", context)


@never_cache
@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def revoke(request: HttpRequest, slug: str, key_id: str) -> HttpResponse:
    membership, key = _find(request, slug, key_id, KeyPermission.DELETE)
    if key.revoked_at is not None:
        messages.info(request, f"“{key.name}” is revoked.")
        return redirect("web:key-list", slug)
    form = RevokeForm(request.POST or None, user=membership.user)
    if request.method == "POST" and form.is_valid():
        if form.proof is not None:
            reason, note = form.cleaned_data["reason"], form.cleaned_data["note"]
            lifecycle.revoke(key, actor=Actor.from_request(request, proof=form.proof), reason=reason, note=note)
            messages.success(request, f"“{key.name}” is revoked. Requests with it are refused from now on.")
        return redirect("web:key-list", slug)
    context = _context(membership, key) | {"form": form, "rights": rights(membership)}
    return render(request, "apikeys/key_revoke.html", context)


@require_POST
def disable(request: HttpRequest, slug: str, key_id: str) -> HttpResponse:
    """Stopping must be quick: no code."""
    _, key = _find(request, slug, key_id, KeyPermission.UPDATE)
    try:
        lifecycle.disable(key, actor=Actor.from_request(request))
        messages.success(request, f"“{key.name}” is switched off. Requests with it are refused from now on.")
    except lifecycle.Refused as refused:
        messages.error(request, str(refused))
    return redirect("web:key-list", slug)


@never_cache
@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def enable(request: HttpRequest, slug: str, key_id: str) -> HttpResponse:
    membership, key = _find(request, slug, key_id, KeyPermission.UPDATE)
    if key.revoked_at is not None or key.disabled_at is None:
        messages.info(request, f"“{key.name}” is {key.status}.")
        return redirect("web:key-list", slug)
    form = EnableForm(request.POST or None, user=membership.user)
    if request.method == "POST" and form.is_valid():
        try:
            if form.proof is not None:
                lifecycle.enable(key, actor=Actor.from_request(request, proof=form.proof))
                messages.success(request, f"“{key.name}” is switched on.")
        except lifecycle.Refused as refused:  # somebody else revoked it meanwhile
            messages.error(request, str(refused))
        return redirect("web:key-list", slug)
    return render(request, "apikeys/key_enable.html", _context(membership, key) | {"form": form})


def _history(key: ApiKey) -> QuerySet[AuditEvent]:
    """What was done to the key, and to what its custom role gives."""
    own = Q(target_type="apikey", target_id=key.key_id)
    of_role = Q(target_type="role", target_id=str(key.role_id), action="role.changed", at__gte=key.created_at)
    return AuditEvent.objects.filter(own | of_role if key.role_id else own)[:50]


def _find(request: HttpRequest, slug: str, key_id: str, permission: KeyPermission) -> tuple[Membership, ApiKey]:
    """Fetch with access. Raises Http404, PermissionDenied."""
    user: User = request.user  # type: ignore[assignment]
    membership = membership_for(user, slug, permission)
    key = ApiKey.objects.for_display().filter(account=membership.account, key_id=key_id).first()
    if key is None:
        raise Http404
    return membership, key


def _context(membership: Membership, key: ApiKey) -> dict[str, object]:
    return {
        "nav": "api_keys",
        "account": membership.account,
        "key": key,
        "scope_summary": scopes.describe(list(key.scopes.all())),
    }
