"""The clients of hubs in the staff admin. Who is one changes what keys reach: adding and removing take a code."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from accounts import audit_chain, search
from accounts.admin_pages import AdminStepUpForm, confirmed, render_form, staff_actor, staff_user
from accounts.admin_site import LabelledFormSet, StaffModelAdmin, StaffPermissions
from accounts.models import Account
from accounts.templatetags.pithead import moment
from entities import clients
from entities.models import Entity, Hub, HubClient

#: How many are removed at once.
MOST_REMOVED = 200
TERMS = ["hub", "miner", "commission", "comment"]


class TellsBothAccounts(StaffModelAdmin):
    """A section in which hubs' clients change: the trail of the miner's account has it as well as the hub's."""

    def record(self, request: HttpRequest, action: str, target: Any, account: Any, **data: Any) -> None:
        owners = {account}
        if isinstance(target, HubClient) and target.miner.account_id != target.hub.account_id:
            owners.add(target.miner.account)
            audit_chain.hold(*owners)
        for owner in owners:
            super().record(request, action, target, owner, **data)


class HubClientInline(StaffPermissions, admin.TabularInline):
    """Their terms. Who comes and goes is a page of its own, which asks for a code."""

    model = HubClient
    formset = LabelledFormSet
    fk_name = "hub"
    extra = 0
    can_delete = False
    fields = ["miner", "commission", "comment", "removal"]
    readonly_fields = ["miner", "removal"]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields if self.may(request, self.permission("delete")) else self.fields[:-1]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("hub", "miner")

    @admin.display(description="Removal")
    def removal(self, obj: HubClient) -> SafeString:
        return format_html('<a href="{}">Remove</a>', _removal_url([obj.pk]))


class AddClientForm(AdminStepUpForm, forms.ModelForm):
    step_up_action = clients.STAFF_ADD


class RemoveClientsForm(AdminStepUpForm):
    step_up_action = clients.STAFF_REMOVE


class HubFilter(admin.SimpleListFilter):
    """What belongs to one hub: ``?hub=0192…``. Shows itself only while it narrows the list."""

    title = "hub"
    parameter_name = "hub"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        value = self.value()
        hub = Hub.objects.filter(id__iexact=value).first() if value else None
        return [(value, hub.name)] if value and hub else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(hub__id__iexact=self.value()) if self.value() else queryset


@admin.register(HubClient)
class HubClientAdmin(TellsBothAccounts):
    """The clients of all hubs. Who they are is fixed: another client is another row."""

    audit_noun = "hub_client"
    list_display = ["miner", "hub", "hub_account", "commission", "comment", "joined"]
    list_filter = [HubFilter]
    list_select_related = ["hub__account", "miner"]
    search_fields = ["miner__name", "hub__name"]
    autocomplete_fields = ["hub", "miner"]
    fields = [*TERMS]
    actions = ["remove_selected"]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        def of_either(word: str) -> Q:
            named = search.few(Entity.objects.filter(name__icontains=word))
            return Q(miner__in=named) | Q(hub__in=named)

        return search.find(queryset, search_term, also=of_either), False

    def account_of(self, obj: HubClient) -> Account:
        return obj.hub.account

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, self.permission("delete"))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["hub", "miner"] if obj else []

    @admin.display(description="Account", ordering="hub__account__name")
    def hub_account(self, obj: HubClient) -> str:
        return obj.hub.account.name

    @admin.display(description="Joined", ordering="joined_at")
    def joined(self, obj: HubClient) -> SafeString | str:
        return moment(obj.joined_at)

    # Who comes and goes

    def get_urls(self) -> list[URLPattern]:
        view = self.page(self.remove_view, "entities.delete_hubclient")
        return [path("remove/", view, name="entities_hubclient_remove"), *super().get_urls()]

    @admin.action(description="Remove selected clients", permissions=["delete"])
    def remove_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        ids = list(queryset.values_list("pk", flat=True)[: MOST_REMOVED + 1])
        if len(ids) > MOST_REMOVED:
            messages.error(request, f"More than {MOST_REMOVED} clients are selected. Remove them in parts.")
            return None
        return redirect(_removal_url(ids))

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Where Django's buttons lead: to the page that asks for a code."""
        return redirect(_removal_url([object_id]))

    @confirmed
    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        form_class: Any = self.get_form(request, form=AddClientForm)
        form = form_class(request.POST or None, user=staff_user(request), initial={"hub": request.GET.get("hub")})
        if request.method == "POST" and form.is_valid():
            chosen: dict[str, Any] = {name: form.cleaned_data[name] for name in TERMS}
            if form.already_confirmed:
                return _page(chosen["hub"])
            try:
                client = clients.add_by_staff(**chosen, actor=staff_actor(request, form))
            except (clients.Refused, ValidationError, ObjectDoesNotExist):
                form.renew()
                form.add_error(None, "Hub or miner changed meanwhile. Look at both, and try again.")
            else:
                messages.success(request, f"{client.miner} is a client of {client.hub}.")
                return _page(client.hub)
        return render_form(
            self,
            request,
            form,
            title="Add a client to a hub",
            intro="It is one at once, without an invitation: the hub’s keys reach it from their next request on. "
            "The trails of both accounts have it.",
            fieldsets=[(None, {"fields": [*TERMS, "code"]})],
            submit="Add the client",
        )

    @confirmed
    def remove_view(self, request: HttpRequest) -> HttpResponse:
        """Remove the clients that the address names, ``?id=1&id=2``."""
        ids = [int(text) for text in request.GET.getlist("id")[:MOST_REMOVED] if text.isdecimal() and len(text) < 19]
        rows = list(HubClient.objects.filter(pk__in=ids).select_related("hub__account", "miner__account"))
        if not rows:
            messages.info(request, "These are no clients any more.")
            return redirect("admin:entities_hubclient_changelist")
        form = RemoveClientsForm(request.POST or None, user=staff_user(request))
        if request.method == "POST" and form.is_valid():
            if not form.already_confirmed:
                count = clients.remove_by_staff(rows, actor=staff_actor(request, form))
                messages.success(request, f"{count} client{'' if count == 1 else 's'} removed.")
            return _page(rows[0].hub)
        return render_form(
            self,
            request,
            form,
            title="Remove from the hub?" if len(rows) == 1 else f"Remove {len(rows)} clients?",
            subtitle=str(rows[0]) if len(rows) == 1 else "",
            intro="The hub’s keys lose it at their next request. What was earned through the hub stays in its books.",
            fieldsets=[(None, {"fields": ["code"]})],
            submit="Remove",
            danger=True,
            template="admin/entities/clients_remove.html",
            rows=rows,
        )


def _removal_url(ids: list[Any]) -> str:
    return f"{reverse('admin:entities_hubclient_remove')}?{urlencode({'id': ids}, doseq=True)}"


def _page(hub: Entity) -> HttpResponse:
    return redirect("admin:entities_hub_change", hub.pk)
