"""The forms behind support keys: an issue form without what grows, and with the old string where there is one."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

from django import forms

from accounts import step_up
from accounts.access_levels import CUSTOM
from accounts.changes import Refused
from apikeys import registered, support_keys
from apikeys.admin.forms import IssueForm
from apikeys.key_format import MAX_FOREIGN, MIN_FOREIGN, ForeignText
from apikeys.models import KeyScope
from apikeys.scopes import InvalidScope, Scope
from entities.models import Entity


class IssueSupportKeyForm(IssueForm):
    """One of the four access levels on entities that are picked by hand; the account's limits are for its own keys."""

    step_up_action = support_keys.ISSUE

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        del self.fields["everything"]
        level: Any = self.fields["access_level"]
        level.choices = [choice for choice in level.choices if self.cards[choice[0]].level != CUSTOM]
        self.fields["expires_in_days"] = deepcopy(self.base_fields["expires_in_days"])
        picked = self.fields["picked"]
        picked.label = "Entities"
        picked.help_text = (
            "Type a part of the name, or a whole ID. The key reaches these and nothing else: with a hub not its "
            "clients, with a pool not what mines on it, unless you pick those, too."
        )

    def entities(self) -> list[Entity]:
        return _entities(self.cleaned_data)

    def _scopes(self, data: dict[str, Any]) -> Iterable[Scope]:
        entities = _entities(data)
        if not entities:
            raise InvalidScope("Pick at least one miner, hub or pool.")
        return [Scope(KeyScope.Action.ANY, entity.kind, entity.pk) for entity in entities]


class RegisterSupportKeyForm(IssueSupportKeyForm):
    step_up_action = support_keys.REGISTER

    old_key = forms.CharField(
        label="The old key",
        strip=False,
        widget=forms.PasswordInput({"class": "vTextField", "autocomplete": "off", "spellcheck": "false"}),
        help_text=(
            f"Exactly as its programs send it, {MIN_FOREIGN} to {MAX_FOREIGN} characters. It is not shown again, and "
            "only its first four characters are kept in clear."
        ),
        error_messages={"required": "Paste the old key."},
    )

    def clean_old_key(self) -> ForeignText:
        try:
            return support_keys.check_text(self.cleaned_data["old_key"])
        except Refused as refused:
            raise forms.ValidationError(str(refused)) from None

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        # A form that comes again registered it the first time.
        if "old_key" in data and not step_up.was_confirmed(self.user, data.get("nonce", "")):
            try:
                support_keys.check_not_registered(data["old_key"])
            except Refused as refused:
                self.add_error("old_key", str(refused))
            except registered.Busy:
                self.add_error("old_key", "Many old keys are being checked right now. Try again in a few seconds.")
        return data


def _entities(data: dict[str, Any]) -> list[Entity]:
    return [*data["picked"], *data["picked_ids"]]
