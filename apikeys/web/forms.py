"""Forms of the owner's key pages."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, cast

from django import forms
from django.http import QueryDict
from django.utils import timezone

from accounts import audit
from accounts.access_levels import AccessLevel
from accounts.environments import Environment
from accounts.forms import StepUpForm
from accounts.models import Membership
from apikeys import lifecycle, roles, scopes, signing
from apikeys.scopes import Scope
from apikeys.web.level_cards import level_cards
from apikeys.web.picker import EntityPicker
from apikeys.web.previewed import PreviewedForm

EXPIRY_PRESETS = (30, 90, 180)
NO_EXPIRY = "none"


class SetUpForm(StepUpForm):
    step_up_action = signing.BOOTSTRAP


class EnableForm(StepUpForm):
    step_up_action = lifecycle.ENABLE


class RevokeForm(StepUpForm):
    step_up_action = lifecycle.REVOKE

    reason = forms.ChoiceField(
        choices=[("", "Choose a reason"), *lifecycle.REVOKE_REASONS.items()],
        help_text="Kept in the key’s history and shown under Revoked keys.",
        error_messages={"required": "Choose a reason."},
    )
    note = forms.CharField(max_length=200, required=False)


class CreateKeyForm(PreviewedForm, StepUpForm):
    """Everything of a new key, and the code that approves it.

    The page follows the environment, a search or an added address as a preview.
    """

    step_up_action = lifecycle.ISSUE

    name = forms.CharField(
        max_length=80,
        help_text="Shown in lists and logs. Say which application uses it.",
        error_messages={"required": "Give the key a name."},
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    environment = forms.ChoiceField(choices=Environment, initial=Environment.PRODUCTION, widget=forms.RadioSelect)
    access_level = forms.ChoiceField(
        initial=AccessLevel.VIEWER.value,
        widget=forms.RadioSelect,
        error_messages={"required": "Choose an access level."},
    )
    expires_in = forms.ChoiceField(label="Expires after", widget=forms.RadioSelect)
    allowed_cidrs = forms.CharField(
        label="Allowed addresses",
        required=False,
        max_length=5000,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "class": "mono", "autocomplete": "off"}),
    )

    def __init__(self, *args: Any, membership: Membership, actor: audit.Actor, **kwargs: Any):
        super().__init__(*args, user=membership.user, **kwargs)
        self.membership = membership
        self.account = membership.account
        self.actor = actor
        self.cards = {card.value: card for card in level_cards(self.account)}
        access_level = cast(forms.ChoiceField, self.fields["access_level"])
        access_level.choices = [(card.value, card.label) for card in self.cards.values()]
        expires_in = cast(forms.ChoiceField, self.fields["expires_in"])
        expires_in.choices = self._expiry_choices()
        values = [value for value, _ in self._expiry_choices()]
        expires_in.initial = "90" if "90" in values else values[-1]
        self.pickers = [EntityPicker(self, kind) for kind in scopes.KINDS]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.errors.keys() - {"code"}:
            return data
        try:
            data["scopes"] = self.chosen_scopes()
            lifecycle.check_new(self.account, actor=self.actor, **self.new_key(data))
        except (lifecycle.Refused, scopes.InvalidScope) as refused:
            self.refuse(refused)
        return data

    def refuse(self, refused: lifecycle.Refused | scopes.InvalidScope) -> None:
        """Show what the rules say beside the field that can mend it."""
        field = getattr(refused, "field", None)
        field = "expires_in" if field == "expires_at" else field
        self.add_error(field if field in self.fields else None, str(refused))

    def new_key(self, data: dict[str, Any]) -> dict[str, Any]:
        """The arguments of lifecycle.issue() that this form decides."""
        return {
            "name": data["name"],
            "environment": data["environment"],
            **self.chosen_level(data["access_level"]),
            "scopes": data["scopes"],
            "expires_at": expiry(data["expires_in"]),
            "allowed_cidrs": networks(data["allowed_cidrs"]),
        }

    def chosen_level(self, value: str) -> dict[str, Any]:
        """The arguments of lifecycle.issue() that one choice of level or role means."""
        card = self.cards[value]
        return {"access_level": card.level, "role": card.role}

    @property
    def permissions(self) -> frozenset[str]:
        """What the level or role chosen now gives; nothing where none is."""
        card = self.cards.get(self.value("access_level"))
        return roles.in_force(card.permissions, self.account) if card else frozenset()

    def chosen_scopes(self) -> list[Scope]:
        """The scope rows that the pickers say. Raises InvalidScope."""
        return [scope for picker in self.pickers for scope in picker.scopes()]

    def value(self, name: str) -> str:
        """What the field holds now, typed or initial."""
        return str(self[name].value() or "")

    def values(self, name: str) -> list[str]:
        return cast(QueryDict, self.data).getlist(name) if self.is_bound else []

    @property
    def levels(self) -> list[dict[str, Any]]:
        """The cards as they stand: those above the person's own level are switched off with the reason."""
        return [
            {
                "card": card,
                "checked": self.value("access_level") == card.value,
                "above_own": roles.why_beyond(card.permissions, self.membership),
            }
            for card in self.cards.values()
        ]

    def _expiry_choices(self) -> list[tuple[str, str]]:
        limit = self.account.max_lifetime_days
        choices = [(str(days), f"{days} days") for days in EXPIRY_PRESETS if limit is None or days <= limit]
        if limit is None:
            choices.append((NO_EXPIRY, "No expiry"))
        elif limit not in EXPIRY_PRESETS:
            choices.append((str(limit), f"{limit} days"))
        return choices


def expiry(preset: str) -> datetime | None:
    """The moment that a preset of days means; None for no expiry."""
    return None if preset == NO_EXPIRY else timezone.now() + timedelta(days=int(preset))


def networks(text: str) -> list[str]:
    return [line.strip() for line in text.replace(",", "\n").splitlines() if line.strip()]
