"""The list of an account's keys, with the revoked ones below."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from accounts.access import membership_for
from accounts.access_levels import AccessLevel
from accounts.environments import Environment
from accounts.models import Account, KeyPermission, User
from apikeys import roles, signing, usage
from apikeys.key_queries import ApiKeyQuerySet
from apikeys.models import ApiKey, Role
from apikeys.web.bootstrap import render_set_up
from apikeys.web.key_filters import SORT_CHOICES, STATUSES, KeyFilters
from apikeys.web.key_rows import Allowed, make_rows

PAGE_SIZE, REVOKED_PAGE_SIZE = 50, 10
#: The columns that rows can be ordered by, each beside the order that one asks for first.
SORTED_BY: dict[str, tuple[str | Promise, str]] = {
    "name": (_("Key"), "name"),
    "created": (_("Created"), "-created"),
    "used": (_("Last used"), "-used"),
    "expires": (_("Expires"), "expires"),
}


@require_safe
def key_list(request: HttpRequest, slug: str) -> HttpResponse:
    user: User = request.user  # type: ignore[assignment]
    membership = membership_for(user, slug, KeyPermission.VIEW)
    account = membership.account
    own_roles = list(Role.objects.filter(account=account))
    filters = KeyFilters.read(request.GET, own_roles)
    keys = ApiKey.objects.filter(account=account)
    found = filters.narrow(keys)
    counts = found.count_by_status()
    any_keys = any(counts.values()) or (filters.narrowed and keys.exists())
    # A key is made under a signing key: where there is one, the account is set up.
    if not any_keys and signing.current_signing_key(account) is None:
        return render_set_up(request, membership)

    page = _page(filters.select(found), counts[filters.status], PAGE_SIZE, request.GET.get("page"))
    revoked = _page(
        found.revoked().order_by("-revoked_at"), counts["revoked"], REVOKED_PAGE_SIZE, request.GET.get("revoked")
    )
    allowed = Allowed.to(membership)
    figures = _figures(account, keys) if any_keys else {}
    rows = make_rows([*page.object_list, *revoked.object_list], allowed)
    context = {
        "nav": "api_keys",
        "account": account,
        "allowed": allowed,
        "any_keys": any_keys,
        "filters": filters,
        "creators_left": figures.get("creators_left", 0),
        "status_label": STATUSES[filters.status],
        "figures": figures,
        "segments": _segments(filters, counts),
        "columns": {name: _column(filters, name) for name in SORTED_BY},
        "sorts": SORT_CHOICES if filters.sort in SORT_CHOICES else {filters.sort: "–", **SORT_CHOICES},
        "environments": Environment.choices,
        "levels": [
            *((level.value, level.label) for level in AccessLevel),
            *((roles.name_level(role), role.name) for role in own_roles),
        ],
        "page": page,
        "rows": rows[: len(page.object_list)],
        "previous_query": filters.query(page=page.number - 1),
        "next_query": filters.query(page=page.number + 1),
        "revoked": revoked,
        "revoked_rows": rows[len(page.object_list) :],
        "revoked_previous_query": filters.query(revoked=revoked.number - 1),
        "revoked_next_query": filters.query(revoked=revoked.number + 1),
    }
    return render(request, "apikeys/key_list.html", context)


def _figures(account: Account, keys: ApiKeyQuerySet) -> dict[str, Any]:
    """What stands above the list: the last day and the keys of the whole account, whatever is filtered."""
    counts = keys.count_to_watch(**usage.of_account(account))
    share = 100 * counts["refused"] / max(counts["requests"], 1)
    return {
        **counts,
        "allowed": account.max_active_keys,
        "share": round(share, 1) if share < 10 else round(share),
    }


def _segments(filters: KeyFilters, counts: dict[str, int]) -> list[dict[str, Any]]:
    """The statuses to choose from; that of keys without a secret only where there is one."""
    return [
        {
            "label": label,
            "count": counts[status],
            "current": status == filters.status,
            "query": filters.query(status=status),
        }
        for status, label in STATUSES.items()
        if status != "without_secret" or counts[status] or status == filters.status
    ]


def _page(keys: ApiKeyQuerySet, count: int, size: int, number: str | None) -> Page[ApiKey]:
    """Cut a page, the nearest there is to ``number``; ``count`` is known already."""
    paginator = Paginator(keys.select_related("account", "role").with_creator_left(), size)
    paginator.count = count
    page = paginator.get_page(number)
    page.object_list = list(page.object_list)
    return page


def _column(filters: KeyFilters, name: str) -> dict[str, Any]:
    """What the header of a column says: its order now, and the address that turns it round."""
    label, first = SORTED_BY[name]
    turned = name if filters.sort == f"-{name}" else f"-{name}"
    return {
        "label": label,
        "direction": filters.direction(name),
        "query": filters.query(sort=turned if filters.direction(name) else first),
    }
