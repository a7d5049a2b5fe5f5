"""The form of a new key."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.access_levels import AccessLevel
from accounts.changes import Refused
from accounts.environments import Environment
from apikeys import lifecycle, rules, scopes
from apikeys.web.key_form import KeyForm, networks


class CreateKeyForm(KeyForm):
    """The page follows the environment, too: each has miners, hubs and pools of its own."""

    step_up_action = lifecycle.ISSUE
    field_order = ["name", "description", "environment"]

    environment = forms.ChoiceField(
        label=_("Environment"), choices=Environment, initial=Environment.PRODUCTION, widget=forms.RadioSelect
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["access_level"].initial = AccessLevel.VIEWER.value

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        self.judge_parts(data)
        if self.errors.keys() - {"code"}:
            return data
        try:
            rules.check_new(self.account, actor=self.actor, **self.new_key(data))
        except (Refused, scopes.InvalidScope) as refused:
            self.refuse(refused)
        return data

    def new_key(self, data: dict[str, Any]) -> dict[str, Any]:
        """The arguments of lifecycle.issue() that this form decides. Raises Refused, InvalidScope."""
        return {
            "name": data["name"],
            "description": data["description"],
            "environment": data["environment"],
            **self.chosen_level(data["access_level"]),
            "scopes": self.chosen_scopes(),
            "expires_at": self.chosen_expiry(data),
            "allowed_cidrs": networks(data["allowed_cidrs"]),
            "rate_limit": data["rate_limit"],
            "rate_burst": data["rate_burst"],
        }

    @property
    def entity_environment(self) -> str:
        chosen = self.value("environment")
        return chosen if chosen in Environment.values else Environment.PRODUCTION.value
