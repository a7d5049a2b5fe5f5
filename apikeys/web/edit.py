"""Edit a key: what the account's policy and the person's rights leave to change, and what that may break."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts.access import membership_for
from accounts.audit import Actor, StepUpMissing
from accounts.changes import Refused
from accounts.models import KeyPermission, Membership, User
from apikeys import impact, lifecycle, scopes
from apikeys.models import ApiKey
from apikeys.web.create import form_context
from apikeys.web.edit_form import EditKeyForm
from apikeys.web.posted import is_preview, posted

ROUTES_SHOWN = ADDRESSES_SHOWN = 8


@never_cache
@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, slug: str, key_id: str) -> HttpResponse:
    membership, key = _find(request, slug, key_id)
    if key.revoked_at is not None:
        messages.info(request, _("“%(name)s” is revoked and can’t be changed.") % {"name": key.name})
        return redirect("web:key", slug, key_id)
    form = EditKeyForm(
        posted(request),
        key=key,
        membership=membership,
        actor=Actor.from_request(request),
        preview=is_preview(request),
    )
    if request.method == "POST" and not form.preview and form.is_valid() and _save(request, form):
        return redirect("web:key", slug, key_id)
    context = form_context(request, membership, form) | _impact(form) | {"key": key}
    return render(request, "apikeys/key_edit.html", context)


def _save(request: HttpRequest, form: EditKeyForm) -> bool:
    """Whether the edit is done, or there was nothing to do; otherwise the form says what is in the way."""
    name = {"name": form.key.name}
    if form.already_confirmed:  # sent twice: the first time did it
        return True
    if form.checked is None or not form.checked.differs:
        messages.info(request, _("“%(name)s” is as you want it already: nothing was changed.") % name)
        return True
    try:
        actor = Actor.from_request(request, proof=form.proof)
        key = lifecycle.edit(form.key, form.changes(form.cleaned_data), actor=actor)
    except (Refused, scopes.InvalidScope) as refused:
        # Something changed between the form's check and the writing.
        form.refuse(refused)
    except StepUpMissing:
        form.add_error("code", _("Somebody changed this key just now, so this takes a code. Nothing is saved yet."))
    else:
        messages.success(request, _("“%(name)s” is saved.") % {"name": key.name})
        return True
    form.renew()
    return False


def _impact(form: EditKeyForm) -> dict[str, object]:
    found = impact.of_settings(form.key, form.usable, form.networks)
    # What would be refused comes first: it must not hide behind what goes on working.
    routes = sorted(found.routes, key=lambda row: not row.lacks)
    addresses = sorted(found.addresses, key=lambda row: not row.refused)
    return {
        "impact": found,
        "routes": routes[:ROUTES_SHOWN],
        "routes_hidden": max(0, len(routes) - ROUTES_SHOWN),
        "addresses": addresses[:ADDRESSES_SHOWN],
        "addresses_hidden": max(0, len(addresses) - ADDRESSES_SHOWN),
    }


def _find(request: HttpRequest, slug: str, key_id: str) -> tuple[Membership, ApiKey]:
    """Fetch with access. Raises Http404, PermissionDenied."""
    user: User = request.user  # type: ignore[assignment]
    membership = membership_for(user, slug, KeyPermission.UPDATE)
    key = ApiKey.objects.for_display().filter(account=membership.account, key_id=key_id).first()
    if key is None:
        raise Http404
    return membership, key
