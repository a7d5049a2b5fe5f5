"""Forms of the operations on one key: what each of them asks, and the code that approves it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.forms.boundfield import BoundWidget
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import step_up
from accounts.audit import Actor
from accounts.changes import Refused
from accounts.forms import StepUpForm
from accounts.models import User
from apikeys import lifecycle, rules
from apikeys.models import ApiKey


class KeyForm(StepUpForm):
    """An operation on ``key``. What the rules say of it is asked before a code is spent.

    A repeated POST is known before it is judged: the first one may well have made it impossible.
    """

    def __init__(self, *args: Any, user: User, key: ApiKey, **kwargs: Any) -> None:
        super().__init__(*args, user=user, **kwargs)
        self.key = key

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not self.errors and not step_up.was_confirmed(self.user, data["nonce"]):
            try:
                self.check(data)
            except Refused as refused:
                self.refuse(refused)
        return data

    def check(self, data: dict[str, Any]) -> None:
        """Judge the operation, writing nothing. Raises Refused."""
        rules.require_not_revoked(self.key)


class EnableForm(KeyForm):
    step_up_action = lifecycle.ENABLE

    def check(self, data: dict[str, Any]) -> None:
        super().check(data)
        if self.key.status == "disabled" and not self.key.support:
            rules.check_key_count(self.key.account)


class RevokeForm(StepUpForm):
    step_up_action = lifecycle.REVOKE

    reason = forms.ChoiceField(
        choices=[("", gettext_lazy("Choose a reason")), *lifecycle.REVOKE_REASONS.items()],
        label=gettext_lazy("Reason"),
        help_text=gettext_lazy("Kept in the key’s history and shown under Revoked keys."),
        error_messages={"required": gettext_lazy("Choose a reason.")},
    )
    note = forms.CharField(label=gettext_lazy("Note"), max_length=200, required=False)


@dataclass(frozen=True)
class Overlap:
    """A choice of how long the old secret lives on: until when, and whether the key's expiry cuts it."""

    option: BoundWidget
    until: datetime
    cut: bool


class RotateForm(KeyForm):
    step_up_action = lifecycle.ROTATE

    overlap = forms.TypedChoiceField(
        choices=[
            (1, gettext_lazy("1 hour")),
            (24, gettext_lazy("24 hours")),
            (7 * 24, gettext_lazy("7 days")),
            (30 * 24, gettext_lazy("30 days")),
        ],
        coerce=lambda hours: timedelta(hours=int(hours)),
        initial=lifecycle.DEFAULT_OVERLAP // timedelta(hours=1),
        label=gettext_lazy("How long the old secret goes on working"),
        widget=forms.RadioSelect,
        error_messages={"required": gettext_lazy("Choose how long both secrets work.")},
    )

    def check(self, data: dict[str, Any]) -> None:
        super().check(data)
        lifecycle.check_rotation(self.key, data["overlap"])

    def renew_secret(self, actor: Actor) -> str:
        """Carry the operation out, and return the new secret. Raises Refused."""
        return lifecycle.rotate(self.key, actor=actor, overlap=self.cleaned_data["overlap"])

    @property
    def overlaps(self) -> Iterator[Overlap]:
        now, expires_at = timezone.now(), self.key.expires_at
        for option in self["overlap"]:
            until = now + timedelta(hours=int(option.data["value"]))
            cut = expires_at is not None and expires_at < until
            yield Overlap(option, expires_at if cut and expires_at is not None else until, cut)


class RegenerateForm(KeyForm):
    step_up_action = lifecycle.REGENERATE

    def renew_secret(self, actor: Actor) -> str:
        """Carry the operation out, and return the new secret. Raises Refused."""
        return lifecycle.regenerate(self.key, actor=actor)


class EndOverlapForm(KeyForm):
    step_up_action = lifecycle.END_OVERLAP


class DeleteForm(KeyForm):
    """Deleting can't be undone, and nothing but the audit trail stays: the key's name is typed to be sure of it."""

    step_up_action = lifecycle.DELETE

    typed_name = forms.CharField(
        label=gettext_lazy("Type the name of the key"),
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        error_messages={"required": gettext_lazy("Type the name of the key to delete it.")},
    )

    def clean_typed_name(self) -> str:
        typed: str = self.cleaned_data["typed_name"]
        if typed.split() != self.key.name.split():
            raise forms.ValidationError(_("That is not its name. Type “%(name)s”.") % {"name": self.key.name})
        return typed

    def check(self, data: dict[str, Any]) -> None:
        lifecycle.check_deletable(self.key.account, self.key)
