"""The notices of an account: which mails its owners get of it, each for themselves."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts import notices
from accounts.access import membership_for, owner_membership_for
from accounts.audit import Actor
from accounts.models import KeyPermission, Membership, User


class NoticesForm(forms.Form):
    kinds = forms.MultipleChoiceField(
        choices=[(kind, notices.NOTICES[kind].label) for kind in notices.MUTABLE], required=False
    )


@require_http_methods(["GET", "HEAD", "POST"])
def choose(request: HttpRequest, slug: str) -> HttpResponse:
    """Every member sees them; owners choose. It takes no code: what is switched off is told by mail."""
    user: User = request.user  # type: ignore[assignment]
    membership = owner_membership_for(user, slug) if request.method == "POST" else membership_for(user, slug)
    if request.method == "POST":
        form = NoticesForm(request.POST)
        if form.is_valid():
            notices.choose(membership, form.cleaned_data["kinds"], actor=Actor.from_request(request))
            messages.success(request, _("Your notices are saved."))
        else:
            messages.error(request, _("Nothing was saved: this page is out of date. Look at it again."))
        return redirect("accounts:notices", slug)
    groups = [
        {
            "id": name,
            "title": title,
            "lead": lead,
            "rows": [
                {
                    "notice": notice,
                    "checked": notice.locked or (membership.is_owner and notice.kind not in membership.muted_notices),
                    "disabled": notice.locked or not membership.is_owner,
                }
                for notice in rows
            ],
        }
        for name, title, lead, rows in notices.GROUPS
    ]
    return render(request, "accounts/notices.html", settings_context(membership, "notices") | {"groups": groups})


def settings_context(membership: Membership, tab: str) -> dict[str, object]:
    """What every page of the settings shows: the tabs, and whether this member may change anything."""
    return {
        "nav": "settings",
        "tab": tab,
        "account": membership.account,
        "is_owner": membership.is_owner,
        "may_view_keys": KeyPermission.VIEW in membership.key_permissions,
    }
