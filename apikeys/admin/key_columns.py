"""What both sections of API keys in the staff admin show of a key: their columns and the facts of its page."""

from __future__ import annotations

import re
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import F, OrderBy, Q, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from accounts import search
from accounts.admin_site import StaffModelAdmin
from accounts.models import Account, AuditEvent
from accounts.templatetags.pithead import day, moment
from apikeys import scopes
from apikeys.admin.filters import STATUS_WORDS
from apikeys.models import ApiKey
from apikeys.templatetags.keys import ago, utc
from apikeys.web.last_day import LastDay

SHOWN_SCOPES = 200
SHOWN_EVENTS = 50

#: Never is before any time, on every database.
BY_LAST_USE = OrderBy(F("last_used_at"), nulls_first=True)


class KeyChangeList(ChangeList):
    """Puts the scopes of a whole page of keys into words at once."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        keys: list[Any] = list(self.result_list)
        words = scopes.describe_keys(keys)
        for key in keys:
            key.scope_words = words[key.pk]
        self.result_list = keys


class KeyAdmin(StaffModelAdmin):
    """What both sections share."""

    change_list_template = "admin/apikeys/key_list.html"
    search_fields = ["name", "=key_id", "account__name"]
    search_help_text = "Searches names, key IDs and accounts."
    list_display_links = ["key"]
    actions: Any = None
    ordering = ["-created_at"]
    show_facets = admin.ShowFacets.NEVER  # each would count all keys once

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        keys = super().get_queryset(request)
        return keys.select_related("account", "role").prefetch_related("secrets")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """A whole key ID is looked up by its index, and accounts before keys: joined, all would be read with theirs."""
        term = search_term.strip()
        if re.fullmatch(r"key_[0-9A-Za-z]{12}", term):
            return queryset.filter(key_id=term), False

        def of_account(word: str) -> Q:
            return Q(account__in=search.few(Account.objects.filter(name__icontains=word)))

        return search.find(queryset, term, "name", also=of_account), False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return KeyChangeList

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def history_query(self, obj: ApiKey) -> dict[str, str]:
        return {"target": f"apikey:{obj.key_id}"}

    # Columns: two facts in each, so that all of them fit beside the menu and the filters

    @admin.display(description="Key", ordering="name")
    def key(self, obj: ApiKey) -> SafeString:
        under = format_html_join(" ", '<code class="ph-under">{}</code>', [(obj.masked,), (obj.key_id,)])
        return format_html("{} {}", obj.name, under)

    @admin.display(description="Account", ordering="account__name")
    def place(self, obj: ApiKey) -> SafeString:
        return format_html('{} <span class="ph-under">{}</span>', obj.account, obj.get_environment_display())

    @admin.display(description="Access", ordering="access_level")
    def access(self, obj: ApiKey) -> SafeString:
        return format_html('{} <span class="ph-under">{}</span>', obj.level_name, obj.scope_words)  # type: ignore[attr-defined]

    @admin.display(description="Status")
    def status_badge(self, obj: ApiKey) -> SafeString:
        return format_html('<span class="ph-status is-{}">{}</span>', obj.status, STATUS_WORDS[obj.status])

    @admin.display(description="Last used", ordering=BY_LAST_USE)
    def used(self, obj: ApiKey) -> SafeString:
        at = obj.last_used.last_used_at if obj.last_used else None
        made = format_html('<span class="ph-under">Created {}</span>', day(obj.created_at))
        return format_html('<span title="{}">{}</span> {}', utc(at), ago(at), made)

    @admin.display(description="Expires", ordering="expires_at")
    def expires(self, obj: ApiKey) -> SafeString:
        return format_html('{} <span class="ph-under">{}</span>', day(obj.expires_at) or "Never", secret_age(obj))

    # Facts of the page

    @admin.display(description="Value")
    def value(self, obj: ApiKey) -> SafeString:
        return format_html("<code>{}</code>", obj.masked)

    @admin.display(description="Key ID")
    def public_id(self, obj: ApiKey) -> SafeString:
        return format_html("<code>{}</code>", obj.key_id)

    @admin.display(description="Account")
    def account_link(self, obj: ApiKey) -> SafeString:
        url = reverse("admin:accounts_account_change", args=[obj.account_id])
        return format_html('<a href="{}">{}</a>', url, obj.account)

    @admin.display(description="Access level")
    def level(self, obj: ApiKey) -> SafeString | str:
        if obj.role is None:
            return obj.level_name
        return format_html('<a href="{}">{}</a>', reverse("admin:apikeys_role_change", args=[obj.role.pk]), obj.role)

    @admin.display(description="Created")
    def created_by_whom(self, obj: ApiKey) -> SafeString:
        return format_html("{} by {}", moment(obj.created_at), obj.created_by_name)

    @admin.display(description="Expires")
    def expires_exactly(self, obj: ApiKey) -> SafeString | str:
        return moment(obj.expires_at) or "Never"

    @admin.display(description="Rate limit")
    def limit(self, obj: ApiKey) -> str:
        limit = obj.rate_limit_in_force
        if limit is None:
            return "None"
        burst = obj.rate_burst_in_force or limit
        at_once = f", {burst:,} at once" if burst < limit else ""
        whose = {"account": ", the account’s default", "plan": ", the most in the account’s plan"}
        return f"{limit:,} requests a minute{at_once}{whose.get(obj.rate_limit_from, '')}"

    @admin.display(description="Allowed addresses")
    def addresses(self, obj: ApiKey) -> str:
        return "\n".join(obj.allowed_cidrs) or "Any"

    @admin.display(description="Entities")
    def entities(self, obj: ApiKey) -> SafeString:
        rows = obj.scopes.select_related("entity__account").order_by("kind", "entity__name")
        context = {"summary": scopes.describe_keys([obj])[obj.pk], "rows": rows[:SHOWN_SCOPES], "total": rows.count()}
        return render_to_string("admin/apikeys/_scopes.html", context)

    @admin.display(description="Last used")
    def used_exactly(self, obj: ApiKey) -> SafeString | str:
        last = obj.last_used
        if last is None:
            return "Never"
        address = format_html(", from {}", last.last_used_address) if last.last_used_address else ""
        return format_html("{}{}", moment(last.last_used_at), address)

    @admin.display(description="Last 24 hours")
    def last_day(self, obj: ApiKey) -> SafeString:
        return render_to_string("admin/apikeys/_last_day.html", {"last_day": LastDay.of(obj)})

    @admin.display(description="Rotation")
    def rotation(self, obj: ApiKey) -> SafeString:
        return secret_age(obj, exactly=True)

    @admin.display(description="Secrets")
    def secret_list(self, obj: ApiKey) -> SafeString:
        rows = obj.secrets.select_related("signing_key").defer("digest", "argon2", "lookup", "signing_key__wrapped")
        return render_to_string("admin/apikeys/_secrets.html", {"key": obj, "rows": rows, "now": timezone.now()})

    @admin.display(description="Events")
    def history(self, obj: ApiKey) -> SafeString:
        events = AuditEvent.objects.filter(target_type="apikey", target_id=obj.key_id)
        return render_to_string("admin/apikeys/_history.html", {"events": events[:SHOWN_EVENTS]})


def secret_age(key: ApiKey, *, exactly: bool = False) -> SafeString:
    """How old the newest secret is, marked once the account's policy wants another."""
    live = key.live_secrets
    if not live:
        return SafeString("")
    now = timezone.now()
    # Neither a revoked key nor a support key can be rotated.
    due = None if key.support or key.revoked_at else key.rotation_due_at
    days = (now - live[0].created_at).days
    age = "Secret made today" if days == 0 else f"Secret {days} day{'' if days == 1 else 's'} old"
    if due is not None and due <= now:
        return format_html('<span class="ph-due">{}, rotation due</span>', age)
    return format_html("{}, rotation due {}", age, day(due)) if exactly and due else format_html("{}", age)


FACTS: Any = [
    (
        None,
        {
            "fields": [
                "name",
                "description",
                "account_link",
                "value",
                "public_id",
                "status_badge",
                "environment",
                "level",
            ]
        },
    ),
    ("Scope", {"fields": ["entities"]}),
    ("Restrictions", {"fields": ["expires_exactly", "addresses", "limit"]}),
    ("Use", {"fields": ["used_exactly", "last_day"]}),
    ("Secrets", {"fields": ["created_by_whom", "rotation", "secret_list"]}),
]
HISTORY: Any = ("History", {"fields": ["history"]})
