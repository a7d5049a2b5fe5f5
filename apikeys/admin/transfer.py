"""The page that moves a miner, hub or pool to another account: which keys lose and gain it stands there beforehand."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse

from accounts.admin_accounts import CONFIRM
from accounts.admin_pages import (
    ForgivingAutocomplete,
    ReasonForm,
    confirmed,
    first_step,
    render_form,
    staff_actor,
    staff_user,
)
from accounts.changes import Refused
from accounts.models import Account
from apikeys import transfer
from apikeys.admin.filters import STATUS_WORDS
from apikeys.models import ApiKey
from entities.admin import HubAdmin, KindAdmin, MinerAdmin, PoolAdmin
from entities.models import Entity, Hub, HubClient, Kind, Miner, Pool

SHOWN_KEYS = 100
SHOWN_HUBS = 20


class ChooseTargetForm(forms.Form):
    to = forms.ModelChoiceField(
        Account.objects.all(),
        label="To the account",
        widget=ForgivingAutocomplete(Entity._meta.get_field("account"), admin.site),
        error_messages={"required": "Choose an account."},
    )


class TransferForm(ReasonForm):
    """What was shown travels along: nobody confirms a transfer that does more than they read."""

    step_up_action = transfer.TRANSFER

    seen = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, impact: transfer.Impact, **kwargs: Any) -> None:
        super().__init__(*args, initial={"seen": impact.fingerprint}, **kwargs)
        self.impact = impact

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("seen") != self.impact.fingerprint:
            self.show_again(seen=self.impact.fingerprint)
            self.add_error(None, transfer.CHANGED_MEANWHILE)
        return data


class TransferPage(KindAdmin):
    """A page of the sections of miners, hubs and pools."""

    def get_urls(self) -> list[URLPattern]:
        view = self.page(self.transfer_view, "entities.transfer_entity")
        name = f"entities_{self.model._meta.model_name}_transfer"
        return [path("<uuid:object_id>/transfer/", view, name=name), *super().get_urls()]

    @confirmed
    def transfer_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        """Choose an account, see what changes, and confirm it."""
        entity = get_object_or_404(self.model.objects.select_related("account", "pool__account"), pk=object_id)
        choice = ChooseTargetForm(first_step(request, "to"))
        if choice.is_valid():
            try:
                transfer.check(entity, choice.cleaned_data["to"])
            except Refused as refused:
                choice.add_error("to", str(refused))
            else:
                return self._confirm_transfer(request, entity, choice.cleaned_data["to"])
        return render_form(
            self,
            request,
            choice,
            title="Transfer to another account",
            subtitle=f"{entity} · {entity.account}",
            parent=(entity.name, self._url(entity)),
            intro="Nothing changes yet: the next page says which keys lose it and which get it.",
            fieldsets=[(None, {"fields": ["to"]})],
            submit="Continue",
            method="get",
        )

    def _confirm_transfer(self, request: HttpRequest, entity: Entity, to: Account) -> HttpResponse:
        impact = transfer.impact_of(entity, to)
        form = TransferForm(request.POST or None, user=staff_user(request), impact=impact)
        if request.method == "POST" and form.is_valid():
            if form.already_confirmed:
                return redirect(self._url(entity))
            try:
                transfer.transfer(
                    entity,
                    to,
                    actor=staff_actor(request, form),
                    note=form.cleaned_data["reason"],
                    seen=form.cleaned_data["seen"],
                )
            except Refused as refused:
                form.renew()
                form.refuse(refused)
                impact = transfer.impact_of(entity, to)
                form.show_again(seen=impact.fingerprint)
            else:
                messages.success(request, f"“{entity}” is {to}’s now. Keys lose and gain it at their next request.")
                return redirect(self._url(entity))
        return render_form(
            self,
            request,
            form,
            title=f"Transfer to {to}?",
            subtitle=f"{entity} · {entity.account}",
            parent=(entity.name, self._url(entity)),
            intro=f"{entity.account} gives it away and {to} gets it, at once. The owners of both are told by mail.",
            fieldsets=[(None, {"fields": ["reason"]}), CONFIRM],
            submit="Transfer",
            danger=True,
            template="admin/entities/transfer.html",
            entity=entity,
            to=to,
            sides=[
                (f"Keys of {entity.account} that lose it", _listed(impact.loses), len(impact.loses)),
                (f"Keys of {to} that gain it", _listed(impact.gains), len(impact.gains)),
            ],
            stays_reachable=transfer.stays_reachable(entity),
            **_goes_along(entity),
        )

    def _url(self, entity: Entity) -> str:
        return reverse(f"admin:entities_{entity.kind}_change", args=[entity.pk])


def _listed(rows: list[transfer.KeyReach]) -> list[tuple[ApiKey, str, str]]:
    """The first of the keys by name, each with its status in words and how it reaches the entity."""
    ways = {row.key_pk: ", ".join(sorted(row.ways)) for row in rows}
    keys = ApiKey.every.filter(pk__in=list(ways)).order_by("name", "pk")[:SHOWN_KEYS]
    return [(key, STATUS_WORDS[key.status], ways[key.pk]) for key in keys]


def _goes_along(entity: Entity) -> dict[str, Any]:
    """What hangs on ``entity``, and what it hangs on."""
    along = [
        ("Workers", entity.workers.count()),
        ("Wallets, which keep their addresses", entity.wallets.count()),
        ("Hours of hashrate", entity.hashrate_samples.count()),
        ("Days of accruals", entity.accruals.count()),
        ("Payouts", entity.payouts.count()),
    ]
    clients = HubClient.objects.served().filter(hub=entity)
    return {
        "along": [(words, count) for words, count in along if count],
        "clients": clients.count(),
        "clients_of_others": clients.exclude(miner__account=entity.account_id).count(),
        "mining_on_it": entity.mining_on.count() if entity.kind == Kind.POOL else 0,
        "served_by": HubClient.objects.served().filter(miner=entity).select_related("hub__account")[:SHOWN_HUBS],
    }


admin.site.unregister([Miner, Hub, Pool])


@admin.register(Miner)
class TransferableMinerAdmin(TransferPage, MinerAdmin):
    pass


@admin.register(Hub)
class TransferableHubAdmin(TransferPage, HubAdmin):
    pass


@admin.register(Pool)
class TransferablePoolAdmin(TransferPage, PoolAdmin):
    pass
