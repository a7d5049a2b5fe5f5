"""The audit trail in the staff admin: to read, to check and to take along. Nobody changes it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts import audit, audit_check, search
from accounts.admin_audit_filters import (
    ActionFilter,
    ActorFilter,
    SecurityFilter,
    TargetFilter,
    ViaFilter,
    WhenFilter,
)
from accounts.admin_site import AccountFilter, StaffModelAdmin
from accounts.audit_chain import POOL, chain_of
from accounts.audit_check import Verdict
from accounts.audit_export import FORMATS
from accounts.client_ip import normalize
from accounts.models import Account, AuditEvent
from accounts.templatetags.pithead import moment

#: A page checks as many events as a request has time for; more are for ``manage.py verify_audit``.
CHECKED_EVENTS = 50_000
SHOWN_VERDICTS = 200
#: A key's public ID, or the UUID of an entity, an account or a role.
TARGET_ID = re.compile(r"key_\w+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class ChainForm(forms.Form):
    """Which chains to check: all, the pool's own, or one account's."""

    chain = forms.ChoiceField(label="Chain")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        accounts = [(chain_of(pk), name) for pk, name in Account.objects.values_list("pk", "name")]
        self.fields["chain"].choices = [  # type: ignore[attr-defined]
            ("", "All chains"),
            (POOL, "The pool’s own: events of no account"),
            ("Accounts", accounts),
        ]
        self.fields["chain"].required = False


@admin.register(AuditEvent)
class AuditEventAdmin(StaffModelAdmin):
    list_display = ["when", "who", "action", "what", "whose", "where"]
    list_display_links = ["when"]
    list_filter = [TargetFilter, ActorFilter, SecurityFilter, WhenFilter, AccountFilter, ActionFilter, ViaFilter]
    search_fields = ["target_name", "=target_id", "actor_name"]
    search_help_text = "Searches names of targets and people, and finds whole target IDs and addresses."
    change_list_template = "admin/accounts/auditevent/change_list.html"
    actions = None
    fieldsets = [
        (None, {"fields": ["when", "action", "target_link", "account_link"]}),
        ("By", {"fields": ["actor_link", "way", "address"]}),
        ("Details", {"fields": ["details"]}),
        ("Chain", {"fields": ["place", "digest_start", "link_state"]}),
    ]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def history_query(self, obj: AuditEvent) -> dict[str, str]:
        """What else happened to the event's target: nothing ever happens to an event."""
        return {"target": f"{obj.target_type}:{obj.target_id}"} if obj.target_type else {}

    def get_urls(self) -> list[URLPattern]:
        return [
            path(
                "export/",
                self.page(self.export_view, "accounts.export_auditevent"),
                name="accounts_auditevent_export",
            ),
            path(
                "verify/",
                self.page(self.verify_view, "accounts.view_auditevent"),
                name="accounts_auditevent_verify",
            ),
            *super().get_urls(),
        ]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if address := normalize(search_term):
            return queryset.filter(address=address), False
        if TARGET_ID.fullmatch(search_term.strip()):
            return queryset.filter(target_id=search_term.strip()), False
        return search.find(queryset, search_term, "target_name", "actor_name"), False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        may_export = self.may(request, "accounts.export_auditevent")
        return super().changelist_view(request, {"may_export": may_export, **(extra_context or {})})

    @method_decorator([never_cache, require_POST])
    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        """The events that the list's filters and search leave, oldest first, as a file. Recorded itself."""
        page = redirect(f"{reverse('admin:accounts_auditevent_changelist')}?{request.GET.urlencode()}")
        chosen = request.POST.get("format", "")
        if chosen not in FORMATS:
            messages.error(request, f"Choose a format: {' or '.join(FORMATS)}.")
            return page
        try:
            listed = self.get_changelist_instance(request)
        except IncorrectLookupParameters:
            return page
        # What matches no event might be anything, even a secret that was pasted: it is not kept for good.
        if not listed.queryset.exists():
            messages.warning(request, "No event matches, so there is nothing to export.")
            return page
        narrowed = {name: values[-1] for name, values in listed.get_filters_params().items()}
        if listed.query:
            narrowed["search"] = listed.query
        account = Account.objects.filter(slug=narrowed.get("account", "")).first()
        with transaction.atomic():
            actor = audit.Actor.from_request(request, via="admin")
            audit.record("audit.exported", actor=actor, account=account, format=chosen, filters=narrowed)
        content_type, lines = FORMATS[chosen]
        events = listed.queryset.order_by("at", "pk").iterator()
        name = "-".join(filter(None, ["audit", account.slug if account else "", f"{timezone.now():%Y-%m-%d}"]))
        return StreamingHttpResponse(
            lines(events),
            content_type=content_type,
            headers={"Content-Disposition": f'attachment; filename="{name}.{chosen}"'},
        )

    @method_decorator([never_cache, require_http_methods(["GET", "HEAD", "POST"])])
    def verify_view(self, request: HttpRequest) -> HttpResponse:
        """Check chains here and now, as ``manage.py verify_audit`` does, and say what was found."""
        form = ChainForm(request.POST if request.method == "POST" else None, initial=request.GET.dict())
        verdicts: list[Verdict] | None = None
        if form.is_valid():
            chain = form.cleaned_data["chain"]
            events = AuditEvent.objects.filter(chain=chain) if chain else AuditEvent.objects.all()
            if events.count() > CHECKED_EVENTS:
                form.add_error(
                    "chain",
                    f"These are more than {CHECKED_EVENTS:,} events, which take longer than a page may. "
                    "Run manage.py verify_audit on the server, or check one account.",
                )
            else:
                names = [name for name in audit_check.chains() if chain in ("", name)]
                try:
                    key = audit_check.key() if names else b""
                    verdicts = [audit_check.check(name, key) for name in names]
                except audit_check.NoKey as error:
                    form.add_error(None, str(error))
        # The broken ones first: they are what one came for.
        ordered = sorted(verdicts or [], key=lambda verdict: (verdict.broken is None, verdict.name))
        request.current_app = self.admin_site.name
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Verify the audit trail",
            "form": form,
            "checked": verdicts is not None,
            "verdicts": ordered[:SHOWN_VERDICTS],
            "left_out": len(ordered[SHOWN_VERDICTS:]),
            "broken": sum(verdict.broken is not None for verdict in ordered),
            "events": sum(verdict.events for verdict in ordered),
        }
        return render(request, "admin/accounts/auditevent/verify.html", context)

    @admin.display(description="When", ordering="at")
    def when(self, obj: AuditEvent) -> SafeString | str:
        return moment(obj.at)

    # Two facts in a column where they are one thought, so that all of them fit beside the menu and the filters

    @admin.display(description="Who", ordering="actor_name")
    def who(self, obj: AuditEvent) -> str:
        return obj.actor_name

    @admin.display(description="Target")
    def what(self, obj: AuditEvent) -> SafeString:
        return format_html('{} <span class="ph-under">{}</span>', obj.target_name or "–", obj.target_type)

    @admin.display(description="Account", ordering="account_name")
    def whose(self, obj: AuditEvent) -> str:
        return obj.account_name or "–"

    @admin.display(description="From", ordering="via")
    def where(self, obj: AuditEvent) -> SafeString:
        return format_html('{} <span class="ph-under">{}</span>', self.way(obj), obj.address or "")

    @admin.display(description="Target")
    def target(self, obj: AuditEvent) -> str:
        return f"{obj.target_name} ({obj.target_type})" if obj.target_type else obj.target_name

    @admin.display(description="Via", ordering="via")
    def way(self, obj: AuditEvent) -> str:
        return obj.get_via_display()

    @admin.display(description="Target")
    def target_link(self, obj: AuditEvent) -> SafeString | str:
        if not obj.target_id:
            return "–"
        return _listed(self.target(obj), target=f"{obj.target_type}:{obj.target_id}")

    @admin.display(description="Account")
    def account_link(self, obj: AuditEvent) -> SafeString | str:
        account = Account.objects.filter(pk=obj.account_id).first() if obj.account_id else None
        return _listed(obj.account_name, account=account.slug) if account else obj.account_name or "None"

    @admin.display(description="Name")
    def actor_link(self, obj: AuditEvent) -> SafeString | str:
        return _listed(obj.actor_name, actor=obj.actor_id) if obj.actor_id else obj.actor_name

    @admin.display(description="Details")
    def details(self, obj: AuditEvent) -> SafeString:
        return render_to_string("admin/accounts/auditevent/_details.html", {"facts": list(facts_of(obj.data))})

    @admin.display(description="Place")
    def place(self, obj: AuditEvent) -> str:
        whose = "the pool’s own chain" if obj.chain == POOL else f"the chain of {obj.account_name}"
        return f"Event {obj.number:,} of {whose}"

    @admin.display(description="Digest")
    def digest_start(self, obj: AuditEvent) -> SafeString:
        return format_html("<code>{}…</code>", bytes(obj.digest).hex()[:16])

    @admin.display(description="Checked")
    def link_state(self, obj: AuditEvent) -> SafeString | str:
        try:
            holds = audit_check.holds(obj, audit_check.key())
        except audit_check.NoKey as error:
            return str(error)
        verify = f"{reverse('admin:accounts_auditevent_verify')}?{urlencode({'chain': obj.chain})}"
        return format_html(
            '<span class="ph-status is-{}">{}</span> {} <a href="{}">Verify the whole chain</a>',
            "active" if holds else "revoked",
            "Holds" if holds else "Broken",
            "This is what was recorded, after the event before it."
            if holds
            else "This is not what was recorded, or not the event before it.",
            verify,
        )


def facts_of(data: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """What an event's data says, as (label, kind, text): a text, JSON, or a change with an arrow in it."""
    for name, value in data.items():
        label = name.replace("_", " ").capitalize()
        changes = value.items() if isinstance(value, dict) and name == "changes" else []
        for field, change in changes:
            match change:
                case {"from": before, "to": after} | [before, after]:
                    yield field.replace("_", " ").capitalize(), "text", f"{_words(before)} → {_words(after)}"
                case _:
                    yield field, "json", _words(change)
        if not changes:
            yield label, "json" if isinstance(value, dict | list) and value else "text", _words(value)


def _words(value: Any) -> str:
    if value in (None, "", [], {}):
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str | int):
        return str(value)
    return json.dumps(value, indent=2, ensure_ascii=False)


def _listed(text: str, **narrowed: Any) -> SafeString:
    """A link to the events that have this in common."""
    url = f"{reverse('admin:accounts_auditevent_changelist')}?{urlencode(narrowed)}"
    return format_html('<a href="{}">{}</a>', url, text)
