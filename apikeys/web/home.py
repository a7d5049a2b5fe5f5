"""The way in: to the keys of the first account where the person may see them."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from accounts.models import KeyPermission, Membership, User


def home(request: HttpRequest) -> HttpResponse:
    user: User = request.user  # type: ignore[assignment]
    memberships = list(Membership.objects.filter(user=user).select_related("account"))
    for membership in memberships:
        if KeyPermission.VIEW in membership.key_permissions:
            return redirect("web:key-list", membership.account.slug)
    if user.is_staff:
        return redirect("admin:index")
    return render(request, "accounts/no_account.html", {"belongs_to": [member.account for member in memberships]})
