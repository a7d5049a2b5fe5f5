"""The forms of operations on a key or on many: what each asks, why it is done, and the code that approves it."""

from __future__ import annotations

from typing import Any

from django import forms

from accounts.admin_pages import AdminStepUpForm, NoteField
from accounts.changes import Refused
from accounts.models import User
from apikeys import lifecycle
from apikeys.models import ApiKey
from apikeys.web import operation_forms as web

REASONS = [("", "Choose a reason"), *lifecycle.REVOKE_REASONS.items()]


class KeyNoteField(NoteField):
    def __init__(self, **kwargs: Any) -> None:
        defaults = {
            "label": "Reason",
            "help_text": "In a few words, or a ticket. It is kept in the key’s history.",
            "error_messages": {"required": "Say why: it is kept in the key’s history."},
        }
        super().__init__(**{**defaults, **kwargs})


class StaffKeyForm(web.KeyForm, AdminStepUpForm):
    """An operation on one key. What the rules say of it is asked before a code is spent."""

    note = KeyNoteField()


class EnableForm(web.EnableForm, AdminStepUpForm):
    note = KeyNoteField(required=False)


class RevokeForm(StaffKeyForm):
    step_up_action = lifecycle.REVOKE

    reason = forms.ChoiceField(choices=REASONS, error_messages={"required": "Choose a reason."})
    note = KeyNoteField(
        label="Note", required=False, help_text="The account’s owners see it. Needed where the reason is “Other”."
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        require_note_of_other(self, data)
        return data


def require_note_of_other(form: forms.Form, data: dict[str, Any]) -> None:
    """A revocation is for good: “Other” alone tells nobody why."""
    if data.get("reason") == "other" and "note" not in form.errors and not data.get("note"):
        form.add_error("note", "Say what the reason is.")


class RotateForm(web.RotateForm, StaffKeyForm):
    pass


class RegenerateForm(StaffKeyForm):
    step_up_action = lifecycle.REGENERATE


class EndOverlapForm(StaffKeyForm):
    step_up_action = lifecycle.END_OVERLAP

    note = KeyNoteField(required=False)


class DisableForm(forms.Form):
    """Stopping must be quick: a reason, and no code. Sent twice it does no more than once."""

    proof = None
    already_confirmed = False

    note = KeyNoteField()

    def __init__(self, *args: Any, user: User, key: ApiKey, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)

    def renew(self) -> None:
        """There is no code to ask for anew."""

    def refuse(self, refused: Refused) -> None:
        self.add_error(None, str(refused))
