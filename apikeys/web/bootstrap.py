"""The account's one-time set-up: its first signing key."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from accounts.access import membership_for
from accounts.audit import Actor
from accounts.models import KeyPermission, Membership, User
from apikeys import signing
from apikeys.web.forms import SetUpForm


def render_set_up(request: HttpRequest, membership: Membership, form: SetUpForm | None = None) -> HttpResponse:
    """The keys page before the set-up: that and nothing else."""
    context = {
        "nav": "api_keys",
        "account": membership.account,
        "form": form or SetUpForm(user=membership.user),
        "may_set_up": KeyPermission.CREATE in membership.key_permissions,
    }
    return render(request, "apikeys/set_up.html", context)


@never_cache
@sensitive_post_parameters("code")
@require_POST
def set_up(request: HttpRequest, slug: str) -> HttpResponse:
    user: User = request.user  # type: ignore[assignment]
    membership = membership_for(user, slug, KeyPermission.CREATE)
    if signing.current_signing_key(membership.account) is not None:
        return redirect("web:key-list", slug)
    form = SetUpForm(request.POST, user=user)
    if not form.is_valid():
        return render_set_up(request, membership, form)
    if form.proof is not None:
        signing.bootstrap(membership.account, actor=Actor.from_request(request, proof=form.proof))
        messages.success(request, _("API keys are set up. Create the first one."))
    return redirect("web:key-list", slug)
