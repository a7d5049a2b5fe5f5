"""The forms behind staff's actions on keys. Each spends a code for one action of the lifecycle."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import (
    AdminIntegerFieldWidget,
    AdminTextareaWidget,
    AdminTextInputWidget,
    AutocompleteSelectMultiple,
)
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from accounts.admin_pages import AdminStepUpForm, ForgivingAutocomplete, ForgivingSelect
from accounts.changes import Refused
from accounts.environments import Environment
from accounts.models import Account
from apikeys import lifecycle, rules
from apikeys import scopes as scope_rules
from apikeys.models import ApiKey, KeyScope
from apikeys.role_forms import DeleteRoleForm, RoleForm
from apikeys.scopes import Scope
from apikeys.web.level_cards import level_cards
from entities.models import Entity, Kind

MAX_DAYS = 3650


class BootstrapForm(AdminStepUpForm):
    step_up_action = "account.bootstrap"


class StaffRoleForm(RoleForm, AdminStepUpForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, giver=None, **kwargs)
        for field in ("name", "description"):
            self.fields[field].widget = AdminTextInputWidget({"autocomplete": "off"})
        self.fields["description"].widget.attrs["class"] = "vLargeTextField"
        if self.fixed:
            self.fields["permissions"].disabled = True

    def clean(self) -> dict[str, Any]:
        # A page from before the role was fixed sends what its boxes said: it is refused, not passed over.
        sent = set(self.data.getlist(self.add_prefix("permissions")))  # type: ignore[attr-defined]
        if self.fixed and sent and sent != set(self.initial["permissions"]):
            self.add_error("permissions", self.fixed)
        return super().clean()


class StaffDeleteRoleForm(DeleteRoleForm, AdminStepUpForm):
    pass


AccountSelect = ForgivingAutocomplete


class ChooseAccountForm(forms.Form):
    """The first step of issuing: what a key may name depends on its account and environment."""

    account = forms.ModelChoiceField(
        Account.objects.all(),
        widget=AccountSelect(ApiKey._meta.get_field("account"), admin.site),
        error_messages={"required": "Choose an account."},
    )
    environment = forms.ChoiceField(
        choices=Environment.choices,
        initial=Environment.PRODUCTION,
        help_text="Fixed for good: the key reaches entities of this environment alone.",
    )


class NameableSelect(ForgivingSelect, AutocompleteSelectMultiple):
    """Searches what keys of one account may name in one environment."""

    def __init__(self, account: Account, environment: str) -> None:
        super().__init__(KeyScope._meta.get_field("entity"), admin.site)
        self.query = urlencode({"account": str(account.pk), "environment": environment})

    def get_url(self) -> str:
        return f"{reverse('admin:apikeys_activekey_nameable')}?{self.query}"


class EntitiesField(forms.ModelMultipleChoiceField):
    def label_from_instance(self, obj: Any) -> str:
        return entity_label(obj)


class KeySettingsForm(AdminStepUpForm):
    """What staff decide about a key of ``account`` in ``environment``, new or not."""

    name = forms.CharField(
        max_length=80,
        widget=AdminTextInputWidget,
        help_text="What it is for, so that somebody else can tell later.",
        error_messages={"required": "Give the key a name."},
    )
    description = forms.CharField(
        required=False,
        max_length=rules.DESCRIPTION_LENGTH,
        widget=AdminTextInputWidget({"class": "vLargeTextField"}),
        help_text="Optional. Whom to ask, where it runs.",
    )
    access_level = forms.ChoiceField(
        widget=forms.RadioSelect,
        error_messages={"required": "Choose an access level."},
    )
    everything = forms.MultipleChoiceField(
        label="All of a kind",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="A rule, not a list: what the account adds later is reached at once.",
    )
    picked = EntitiesField(
        Entity.objects.none(),
        label="Or by hand",
        required=False,
        help_text="Type a part of the name, or a whole ID. A hand-picked list never grows.",
    )
    picked_ids = forms.CharField(
        label="Or by ID",
        required=False,
        widget=AdminTextareaWidget(attrs={"rows": 3, "spellcheck": "false"}),
        help_text="For long lists: IDs of miners, hubs or pools, one in each line.",
    )
    allowed_cidrs = forms.CharField(
        label="Allowed addresses",
        required=False,
        widget=AdminTextareaWidget(attrs={"rows": 3, "spellcheck": "false"}),
        help_text="Networks that the key may be used from, one in each line: 198.51.100.0/24. Empty: from anywhere.",
    )
    rate_limit = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=rules.MAX_RATE_LIMIT,
        widget=AdminIntegerFieldWidget,
        help_text="Requests a minute. Empty: the account’s default.",
    )
    rate_burst = forms.IntegerField(
        label="Burst",
        required=False,
        widget=AdminIntegerFieldWidget,
        help_text="How many of a minute’s requests may come at once. Empty: all of them.",
    )

    def __init__(self, *args: Any, account: Account, environment: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.account = account
        self.environment = environment
        self.cards = {card.value: card for card in level_cards(account)}
        self.fields["access_level"].choices = [  # type: ignore[attr-defined]
            (card.value, f"{card.label}: {card.does} {card.limit}".strip()) for card in self.cards.values()
        ]
        if account.max_rate_limit is not None:
            limit = self.fields["rate_limit"]
            limit.help_text = f"{limit.help_text} At most {account.max_rate_limit:,}, as the account’s plan allows."
        self.nameable = scope_rules.nameable(account, environment)
        own = Entity.objects.of_account(account.pk, environment)
        kinds = set(own.order_by().values_list("kind", flat=True).distinct())
        self.fields["everything"].choices = [  # type: ignore[attr-defined]
            (kind.value, f"All {scope_rules.NOUNS[kind.value][1]}, current and future")
            for kind in Kind
            if kind.value in kinds
        ]
        picked: Any = self.fields["picked"]
        picked.widget = NameableSelect(account, environment)
        picked.queryset = self.nameable.select_related("account")

    # What the lifecycle would refuse after the code was spent is refused here, before it.

    def clean_name(self) -> str:
        return _checked(rules.check_name, self.cleaned_data["name"])

    def clean_description(self) -> str:
        return _checked(rules.check_description, self.cleaned_data["description"])

    def clean_picked_ids(self) -> list[Entity]:
        ids: set[UUID] = set()
        for number, line in enumerate(_lines(self.cleaned_data["picked_ids"]), start=1):
            try:
                ids.add(UUID(line))
            except ValueError:
                raise forms.ValidationError(f"Line {number}, “{line[:60]}”, is no ID.") from None
        found = list(self.nameable.filter(pk__in=ids)) if ids else []
        missing = ids - {entity.pk for entity in found}
        if missing:
            raise forms.ValidationError(
                f"{len(missing)} of these IDs are not in this account and environment, for one {min(missing)}."
            )
        return found

    def clean_allowed_cidrs(self) -> list[str]:
        try:
            return rules.normalize_cidrs(_lines(self.cleaned_data["allowed_cidrs"]))
        except Refused as refused:
            raise forms.ValidationError(str(refused)) from None

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.asks_scope(data) and not {"everything", "picked", "picked_ids"} & set(self.errors):
            try:
                # Here already, so that a missing tick doesn't cost the code.
                data["scopes"] = scope_rules.check(self.account, self.environment, self._scopes(data))
            except scope_rules.InvalidScope as invalid:
                everything: Any = self.fields.get("everything")
                self.add_error("everything" if everything and everything.choices else "picked", str(invalid))
        return data

    def asks_scope(self, data: dict[str, Any]) -> bool:
        return True

    def _scopes(self, data: dict[str, Any]) -> Iterable[Scope]:
        for kind in data["everything"]:
            yield Scope(KeyScope.Action.ANY, kind)
        for entity in [*data["picked"], *data["picked_ids"]]:
            # "All" covers the account's own, but not other accounts' miners that are clients of its hubs.
            if entity.kind not in data["everything"] or entity.account_id != self.account.pk:
                yield Scope(KeyScope.Action.ANY, entity.kind, entity.pk)

    def chosen_level(self) -> dict[str, Any]:
        """The arguments of lifecycle.issue() that the choice of level or role means."""
        card = self.cards[self.cleaned_data["access_level"]]
        return {"access_level": card.level, "role": card.role}


class IssueForm(KeySettingsForm):
    step_up_action = lifecycle.ISSUE

    expires_in_days = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=MAX_DAYS,
        widget=AdminIntegerFieldWidget,
        help_text="Empty: the key does not expire.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.account.max_lifetime_days is not None:
            days: Any = self.fields["expires_in_days"]
            longest = min(self.account.max_lifetime_days, MAX_DAYS)
            self.fields["expires_in_days"] = forms.IntegerField(
                min_value=1,
                max_value=longest,
                initial=longest,
                widget=days.widget,
                help_text=f"Keys of this account live at most {longest} days.",
                error_messages={"required": f"Keys of this account live at most {longest} days."},
            )

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        if {"rate_limit", "rate_burst"} <= data.keys():
            try:
                rules.check_rate(self.account, data["rate_limit"], data["rate_burst"])
            except Refused as refused:
                self.refuse(refused)
        return data

    def expires_at(self) -> datetime | None:
        days = self.cleaned_data["expires_in_days"]
        return timezone.now() + timedelta(days=days) if days else None


def entity_label(entity: Entity) -> str:
    return f"{entity.name} · {Kind(entity.kind).label} · {entity.account.name}"


def _checked(check: Callable[[str], str], text: str) -> str:
    try:
        return check(text)
    except Refused as refused:
        raise forms.ValidationError(str(refused)) from None


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]
