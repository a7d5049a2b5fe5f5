"""Miners, hubs and pools in the staff admin."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from accounts import search
from accounts.admin_site import AccountFilter, StaffModelAdmin
from accounts.templatetags.pithead import moment
from entities.admin_clients import HubClientInline, HubFilter, TellsBothAccounts
from entities.admin_import import ImportPage
from entities.models import Entity, Hub, HubClient, HubInvitation, Kind, Miner, Pool

#: A hub with more clients than this gets them on a page of their own: each is a row of fields.
MAX_INLINE_CLIENTS = 100


class EntityForm(forms.ModelForm):
    """Checks the constraints over fields that are no fields here: the kind, and what is fixed after creation."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance._state.adding:
            self.instance.kind = self._meta.model.KIND

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if not self.errors:
            try:
                self.instance.validate_constraints()
            except ValidationError as error:
                self.add_error(None, error)


def _find_entities(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    """By a whole ID, which no name looks like, or by words of the name."""
    try:
        return rows.filter(pk=UUID(text.strip()))
    except ValueError:
        return search.find(rows, text, "name")


class KindAdmin(StaffModelAdmin):
    """One kind of entity. No deletion: statistics, payouts and keys hang on them."""

    form = EntityForm
    list_display = ["name", "account", "environment", "pool", "created"]
    list_filter = [AccountFilter, "environment"]
    list_select_related = ["account", "pool"]
    search_fields = ["name", "=id"]
    autocomplete_fields = ["account", "pool"]
    fields = ["account", "environment", "name", "pool"]
    ordering = ["name"]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return _find_entities(queryset, search_term), False

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        names = [name for name in self.fields if name != "pool" or self.model is not Pool]
        return [*names, "public_uuid", "created"] if obj else names

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        # Keys name entities within one account and environment: a row that moved would slip out of their reach.
        return ["account", "environment", "public_uuid", "created"] if obj else []

    def history_query(self, obj: Entity) -> dict[str, str]:
        return {"target": str(obj.pk)}

    @admin.display(description="ID")
    def public_uuid(self, obj: Entity) -> str:
        return str(obj.pk)

    @admin.display(description="Created", ordering="created_at")
    def created(self, obj: Entity) -> SafeString | str:
        return moment(obj.created_at)


@admin.register(Miner)
class MinerAdmin(KindAdmin):
    audit_noun = "miner"


@admin.register(Pool)
class PoolAdmin(KindAdmin):
    audit_noun = "pool"
    list_display = ["name", "account", "environment", "created"]
    list_select_related = ["account"]


@admin.register(Hub)
class HubAdmin(TellsBothAccounts, KindAdmin):
    audit_noun = "hub"
    inline_audit_nouns = {HubClient: "hub_client"}
    list_display = ["name", "account", "environment", "pool", "client_count", "created"]
    inlines = [HubClientInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).annotate(client_count=Count("clients"))

    def get_inline_instances(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        if obj is None or obj.client_count > MAX_INLINE_CLIENTS:
            return []
        return super().get_inline_instances(request, obj)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        names = super().get_fields(request, obj)
        return [*names, "client_link", "invitation_link"] if obj else names

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [*super().get_readonly_fields(request, obj), "client_link", "invitation_link"] if obj else []

    @admin.display(description="Clients", ordering="client_count")
    def client_count(self, obj: Any) -> int:
        count: int = obj.client_count
        return count

    @admin.display(description="Clients")
    def client_link(self, obj: Any) -> SafeString:
        of_hub = urlencode({"hub": obj.pk})
        return format_html(
            '<a href="{}?{}">{} clients</a> · <a href="{}?{}">Add a client</a>',
            reverse("admin:entities_hubclient_changelist"),
            of_hub,
            obj.client_count,
            reverse("admin:entities_hubclient_add"),
            of_hub,
        )

    @admin.display(description="Invitations")
    def invitation_link(self, obj: Any) -> SafeString:
        url = f"{reverse('admin:entities_hubinvitation_changelist')}?{urlencode({'hub': obj.pk})}"
        return format_html('<a href="{}">{} waiting</a>', url, obj.invitations.count())


@admin.register(HubInvitation)
class HubInvitationAdmin(StaffModelAdmin):
    """Offers that wait for an answer, to look at alone: the hub's and the miner's account agree between them."""

    list_display = ["miner_id", "hub", "hub_account", "commission", "comment", "created"]
    list_filter = [HubFilter]
    list_select_related = ["hub__account"]
    search_fields = ["=miner_id", "hub__name"]
    fields = ["hub", "miner_id", "commission", "comment", "created"]
    readonly_fields = ["created"]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="Account", ordering="hub__account__name")
    def hub_account(self, obj: HubInvitation) -> str:
        return obj.hub.account.name

    @admin.display(description="Invited", ordering="created_at")
    def created(self, obj: HubInvitation) -> SafeString | str:
        return moment(obj.created_at)


@admin.register(Entity)
class EntityAdmin(ImportPage):
    """All kinds together, for autocomplete alone, and the import of pool data."""

    search_fields = ["name", "=id"]
    ordering = ["name"]
    list_display = ["name", "kind", "account", "environment"]
    list_select_related = ["account"]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return _find_entities(queryset, search_term), False

    def has_module_permission(self, request: HttpRequest) -> bool:
        return False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("account")

    def get_urls(self) -> list[URLPattern]:
        view = self.page(self.import_view, "entities.import_pool_data")
        return [path("import/", view, name="entities_entity_import"), *super().get_urls()]

    def autocomplete_label(self, obj: Entity) -> str:
        return f"{obj.name} · {Kind(obj.kind).label} · {obj.account.name} · {obj.get_environment_display()}"
