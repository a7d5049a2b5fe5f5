"""The way in: to the account where the person was last, or else the first one where they may see keys."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from accounts import switcher
from accounts.models import KeyPermission, Membership, User


def home(request: HttpRequest) -> HttpResponse:
    user: User = request.user  # type: ignore[assignment]
    memberships = list(Membership.objects.filter(user=user).select_related("account"))
    last = request.COOKIES.get(switcher.LAST_ACCOUNT)
    memberships.sort(key=lambda membership: membership.account.slug != last)  # the others stay in order
    for membership in memberships:
        if KeyPermission.VIEW in membership.key_permissions:
            return redirect("web:key-list", membership.account.slug)
    if user.is_staff:
        return redirect("admin:index")
    return render(request, "accounts/no_account.html", {"belongs_to": [member.account for member in memberships]})
