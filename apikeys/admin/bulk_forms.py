"""The forms of staff's operations on many keys at once."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms

from accounts.admin_pages import AdminStepUpForm
from apikeys import lifecycle
from apikeys.admin.operation_forms import REASONS, KeyNoteField, require_note_of_other
from apikeys.web import operation_forms as web

MOST = 1000
#: One switch takes no code; many at once stop many customers, so that a slip should take more than a click.
DISABLE_MANY = "keys.disable"


class KeysField(forms.CharField):
    """The selected keys in one hidden field: Django takes a thousand fields of a form at most."""

    def __init__(self) -> None:
        nothing = {"required": "Nothing is selected. Select keys in the list first."}
        super().__init__(widget=forms.HiddenInput, error_messages=nothing)

    def prepare_value(self, value: Any) -> Any:
        return ",".join(str(pk) for pk in value) if isinstance(value, list) else value

    def clean(self, value: Any) -> list[UUID]:
        try:
            ids = list(dict.fromkeys(UUID(part) for part in super().clean(value).split(",")))
        except ValueError:
            raise forms.ValidationError("The selection is broken. Select keys in the list again.") from None
        if len(ids) > MOST:
            raise forms.ValidationError(f"At most {MOST:,} keys at once. Select fewer in the list.")
        return ids


class BulkForm(AdminStepUpForm):
    keys = KeysField()
    note = KeyNoteField(help_text="In a few words, or a ticket. It is kept in each key’s history.")


class BulkDisableForm(BulkForm):
    step_up_action = DISABLE_MANY


class BulkRevokeForm(BulkForm):
    step_up_action = lifecycle.REVOKE

    reason = forms.ChoiceField(choices=REASONS, error_messages={"required": "Choose a reason."})
    note = KeyNoteField(
        label="Note", required=False, help_text="The accounts’ owners see it. Needed where the reason is “Other”."
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        require_note_of_other(self, data)
        return data


class BulkRotateForm(BulkForm):
    step_up_action = lifecycle.ROTATE

    overlap = web.RotateForm.base_fields["overlap"]
