"""The list of an account's keys, with the revoked ones below."""

from __future__ import annotations

from datetime import timedelta

from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from accounts.access import membership_for
from accounts.access_levels import AccessLevel
from accounts.environments import Environment
from accounts.models import Account, KeyPermission, Membership, User
from apikeys import roles, signing
from apikeys.models import ApiKey, ApiKeyQuerySet, Role
from apikeys.web.bootstrap import render_set_up

PAGE_SIZE = 50
REVOKED_SHOWN, MOST_REVOKED = 20, 500
EXPIRES_SOON = timedelta(days=14)
STATUSES = {"active": "Active", "disabled": "Disabled", "expired": "Expired", "all": "All"}


@require_safe
def key_list(request: HttpRequest, slug: str) -> HttpResponse:
    user: User = request.user  # type: ignore[assignment]
    membership = membership_for(user, slug, KeyPermission.VIEW)
    account = membership.account
    if signing.current_signing_key(account) is None:
        return render_set_up(request, membership)

    keys = ApiKey.objects.filter(account=account)
    status = request.GET.get("status", "active")
    status = status if status in STATUSES else "active"
    filters = {
        "environment": request.GET.get("environment", ""),
        "level": request.GET.get("level", ""),
        "q": request.GET.get("q", "").replace("\x00", "").strip(),
    }
    found = _filter(account, keys, filters)
    by_status = _by_status(found)
    page = Paginator(by_status[status].for_display(), PAGE_SIZE).get_page(request.GET.get("page"))
    revoked = found.revoked().order_by("-revoked_at")
    return render(
        request,
        "apikeys/key_list.html",
        {
            "nav": "api_keys",
            "account": account,
            "rights": rights(membership),
            "any_keys": keys.exists(),
            "page": page,
            "status": status,
            "segments": [
                {
                    "label": label,
                    "count": by_status[name].count(),
                    "current": name == status,
                    "query": urlencode({"status": name, **{k: v for k, v in filters.items() if v}}),
                }
                for name, label in STATUSES.items()
            ],
            "filters": filters,
            "filtered": any(filters.values()),
            "page_query": urlencode({"status": status, **{k: v for k, v in filters.items() if v}}),
            "environments": Environment.choices,
            "levels": [
                *((level.value, level.label) for level in AccessLevel),
                *((roles.name_level(role), role.name) for role in Role.objects.filter(account=account)),
            ],
            "revoked": revoked.for_display()[: MOST_REVOKED if request.GET.get("revoked") == "all" else REVOKED_SHOWN],
            "revoked_count": revoked.count(),
            "soon": timezone.now() + EXPIRES_SOON,
        },
    )


def rights(membership: Membership) -> dict[str, bool]:
    """What the person may do with keys, for controls that are shown disabled with the reason."""
    held = membership.key_permissions
    return {
        "create": KeyPermission.CREATE in held,
        "update": KeyPermission.UPDATE in held,
        "delete": KeyPermission.DELETE in held,
    }


def _filter(account: Account, keys: ApiKeyQuerySet, filters: dict[str, str]) -> ApiKeyQuerySet:
    if filters["environment"] in Environment.values:
        keys = keys.filter(environment=filters["environment"])
    if filters["level"] in {level.value for level in AccessLevel}:
        keys = keys.filter(access_level=filters["level"])
    elif role := roles.named_role(account, filters["level"]):
        keys = keys.filter(role=role)
    if filters["q"]:
        keys = keys.filter(Q(name__icontains=filters["q"]) | Q(key_id=filters["q"]))
    return keys


def _by_status(keys: ApiKeyQuerySet) -> dict[str, ApiKeyQuerySet]:
    return {
        "active": keys.active(),
        "disabled": keys.disabled(),
        "expired": keys.expired(),
        "all": keys.not_revoked(),
    }
