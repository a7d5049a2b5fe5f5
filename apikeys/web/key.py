"""The page of one key: what it is, how it is used, what was done to it. Its operations are in `operations`."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.access import membership_for
from accounts.access_levels import PERMISSIONS
from accounts.changes import Refused
from accounts.models import KeyPermission, Membership, User
from apikeys import explain, lifecycle, roles, usage
from apikeys.models import ApiKey, KeyScope
from apikeys.web.charts import BarChart
from apikeys.web.history import history
from apikeys.web.key_rows import Allowed, make_rows

PICKED_SHOWN, REQUESTS_SHOWN = 50, 25


@require_safe
def detail(request: HttpRequest, slug: str, key_id: str) -> HttpResponse:
    membership, key = find(request, slug, key_id, KeyPermission.VIEW)
    held = roles.in_force(key.permissions, key.account)
    context = key_context(membership, key)
    context |= {
        **_picked(key),
        "chart": BarChart(context["row"].days),
        "permissions": [row for row in PERMISSIONS.values() if row.name in held],
        "requests": list(usage.recent(key)[:REQUESTS_SHOWN]),
        "log_days": settings.PITHEAD_REQUEST_LOG_DAYS,
        "explained_codes": explain.CODES,
        "history": history(key),
        "why_not_delete": _why_not_delete(membership, key),
    }
    return render(request, "apikeys/key.html", context)


def find(request: HttpRequest, slug: str, key_id: str, permission: KeyPermission) -> tuple[Membership, ApiKey]:
    """Fetch with access. Raises Http404, PermissionDenied."""
    user: User = request.user  # type: ignore[assignment]
    membership = membership_for(user, slug, permission)
    keys = ApiKey.objects.select_related("account", "role").with_creator_left()
    key = keys.filter(account=membership.account, key_id=key_id).first()
    if key is None:
        raise Http404
    return membership, key


def key_context(membership: Membership, key: ApiKey) -> dict[str, Any]:
    """What every page about one key shows."""
    allowed = Allowed.to(membership)
    (row,) = make_rows([key], allowed)
    return {
        "nav": "api_keys",
        "account": membership.account,
        "allowed": allowed,
        "key": key,
        "row": row,
        "why_no_secret": allowed.why_no_secret(key),
    }


def _picked(key: ApiKey) -> dict[str, Any]:
    """The entities that the key names one by one, the first of them, and how many more there are."""
    rows = KeyScope.objects.filter(key=key, entity__isnull=False).select_related("entity")
    shown = list(rows.order_by("kind", "entity__name", "pk")[: PICKED_SHOWN + 1])
    more = len(shown) > PICKED_SHOWN
    return {"picked": shown[:PICKED_SHOWN], "picked_hidden": rows.count() - PICKED_SHOWN if more else 0}


def _why_not_delete(membership: Membership, key: ApiKey) -> str:
    if why := Allowed.to(membership).why_not_delete:
        return why
    try:
        lifecycle.check_deletable(membership.account, key)
    except Refused as refused:
        return str(refused)
    return ""
