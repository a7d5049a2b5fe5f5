"""Test a request of one key, or ask why one was refused: the questions it meets, and the answer. Nothing changes."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods

from accounts.models import KeyPermission
from apikeys import scopes
from apikeys.authentication import endpoints
from apikeys.explain import Explanation
from apikeys.explain_form import OwnersExplainForm
from apikeys.explained import describe
from apikeys.models import ApiKey
from apikeys.web.key import find, key_context
from apikeys.web.key_rows import Allowed

#: What a link may fill in. Never a secret.
PREFILLED = ("method", "path", "address")


@dataclass(frozen=True)
class NextStep:
    """What helps against a refusal; ``url`` is "" where no page does."""

    words: str
    url: str = ""
    link: str = ""


@never_cache
@sensitive_post_parameters("secret", "path")
@sensitive_variables("form")
@require_http_methods(["GET", "HEAD", "POST"])
def explain(request: HttpRequest, slug: str, key_id: str) -> HttpResponse:
    membership, key = find(request, slug, key_id, KeyPermission.VIEW)
    context = key_context(membership, key)
    filled = {name: request.GET[name] for name in PREFILLED if name in request.GET}
    form = OwnersExplainForm(request.POST or None, key=key, initial=filled)
    context |= {"form": form, "why": bool(filled)}
    if request.method == "POST" and form.is_valid():
        explanation = form.explain()
        context |= {
            "explanation": explanation,
            "lines": describe(explanation),
            "next_step": next_step(explanation, key, context["allowed"]),
            "mounts": list(endpoints().values()),
        }
    return render(request, "apikeys/explain.html", context)


def next_step(explanation: Explanation, key: ApiKey, allowed: Allowed) -> NextStep | None:
    """What the reader can do about a refusal; None where nothing was refused."""

    def page(name: str, link: str, may: bool = True) -> tuple[str, str]:
        return (reverse(f"web:key-{name}", args=[key.account.slug, key.key_id]), link) if may else ("", "")

    can_edit = allowed.update and key.revoked_at is None
    match explanation.denied_by:
        case "account_active":
            return NextStep(_("The pool’s support can lift the suspension."))
        case "key_not_revoked":
            url = reverse("web:key-create", args=[key.account.slug]) if allowed.create else ""
            return NextStep(_("A revoked key never works again. Give the program another one."), url, _("Create a key"))
        case "secret_not_retired" if key.live_secrets:
            return NextStep(_("Give the program the newest secret of this key, or make a new one if that is lost."))
        case "secret_not_retired":
            may = not allowed.why_no_secret(key)
            return NextStep(_("The key needs a new secret."), *page("regenerate", _("Make a new secret…"), may))
        case "key_not_expired":
            return NextStep(_("Give the key a later expiry."), *page("edit", _("Edit the key"), can_edit))
        case "key_enabled":
            return NextStep(_("Switch the key on again."), *page("enable", _("Switch on…"), can_edit))
        case "environment_fits":
            return NextStep(_("This key works at %(url)s.") % {"url": endpoints()[key.environment]})
        case "address_allowed":
            words = _("Let the program call from an allowed address, or allow this one.")
            return NextStep(words, *page("edit", _("Edit the key"), can_edit))
        case "rate_within_limit":
            words = _("Let the program ask less often, or raise the limit.")
            return NextStep(words, *page("edit", _("Edit the key"), can_edit))
        case "route_exists" | "method_allowed":
            return NextStep(_("The API’s reference lists every route."), reverse("docs"), _("API reference"))
        case "permission_granted":
            return NextStep(_("It takes a key whose access level gives this permission."))
        case "entity_in_reach":
            scope = scopes.describe_keys([key])[key.pk]
            return NextStep(_("Check the ID, and the scope of the key: %(scope)s.") % {"scope": scope})
    return None
