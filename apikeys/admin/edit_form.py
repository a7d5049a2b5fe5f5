"""The form of staff's edit of a key: exactly what `lifecycle.edit` edits."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminSplitDateTime

from accounts import audit
from accounts.changes import Refused
from apikeys import edits, lifecycle, roles, scopes
from apikeys.admin.forms import KeySettingsForm
from apikeys.admin.operation_forms import KeyNoteField
from apikeys.edits import Changes
from apikeys.models import ApiKey, KeyScope
from apikeys.scopes import Scope
from apikeys.web.edit_form import fingerprint

#: What is fixed at creation, unless the account's policy says that keys are editable.
POWERS = ("access_level", "change_scope", "everything", "picked", "picked_ids")
#: What the rules call a field -> the form's field beside which their refusal stands
SHOWN_AT: dict[str | None, str] = {"scopes": "change_scope"}
PICKED_SHOWN = 200


class DateAndTime(AdminSplitDateTime):
    """The admin's two fields, each with a name of its own."""

    def __init__(self) -> None:
        super().__init__()
        for widget, name in zip(self.widgets, ("Date", "Time"), strict=True):
            widget.attrs["aria-label"] = name


class EditForm(KeySettingsForm):
    """An edit of ``key``. Only what was changed on the page is asked for; a name or a description takes no code.

    ``seen`` says which settings the page was made from: what somebody else changed meanwhile isn't undone unseen.
    """

    step_up_action = lifecycle.EDIT

    seen = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput)
    expires_at = forms.SplitDateTimeField(
        label="Expires", required=False, widget=DateAndTime, help_text="Empty: the key does not expire."
    )
    change_scope = forms.BooleanField(
        label="Replace the scope",
        required=False,
        help_text="Tick this to replace the whole scope by what is chosen below.",
    )
    note = KeyNoteField(required=False)

    def __init__(self, *args: Any, key: ApiKey, actor: audit.Actor, **kwargs: Any) -> None:
        super().__init__(*args, account=key.account, environment=key.environment, **kwargs)
        self.key = key
        self.actor = actor
        self.checked: edits.CheckedEdit | None = None
        rows = [Scope(row.action, row.kind, row.entity_id) for row in key.scopes.all()]
        start: dict[str, Any] = {
            "name": key.name,
            "description": key.description,
            "access_level": roles.name_level(key.role) if key.role else key.access_level,
            "expires_at": key.expires_at,
            "allowed_cidrs": "\n".join(key.allowed_cidrs),
            "rate_limit": key.rate_limit,
            "rate_burst": key.rate_burst,
            "seen": fingerprint(key, rows),
            **_as_fields(rows),
        }
        for name, value in start.items():
            self.fields[name].initial = value
        if not self.account.keys_editable:
            for name in POWERS:
                del self.fields[name]

    @property
    def fieldsets(self) -> list[tuple[str | None, dict[str, Any]]]:
        sets: list[tuple[str | None, dict[str, Any]]] = [(None, {"fields": ["name", "description"]})]
        if self.account.keys_editable:
            sets.append(("Access", {"fields": list(POWERS)}))
        return [
            *sets,
            ("Restrictions", {"fields": ["expires_at", "allowed_cidrs", "rate_limit", "rate_burst"]}),
            ("Confirm", {"fields": ["note", "code"], "description": "A name or a description takes no code."}),
        ]

    def asks_scope(self, data: dict[str, Any]) -> bool:
        return bool(data.get("change_scope"))

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        if self.errors.keys() - {"code"}:
            return data
        try:
            self.checked = edits.check(self.key, self.changes(data), actor=self.actor)
        except (Refused, scopes.InvalidScope) as refused:
            self.refuse(refused)
            return data
        if self.checked.differs and data["seen"] != self.fields["seen"].initial:
            raise forms.ValidationError(
                "Somebody changed this key after you opened this page. Open it again: it starts from what they did."
            )
        self.needs_step_up = not self.checked.only_labels
        if not self.needs_step_up:
            self.errors.pop("code", None)
        return data

    def changes(self, data: dict[str, Any]) -> Changes:
        """What of the page was changed."""
        asked: dict[str, Any] = {
            name: data[name]
            for name in ("name", "description", "expires_at", "allowed_cidrs", "rate_limit", "rate_burst")
            if name in self.changed_data
        }
        if "access_level" in self.changed_data:
            card = self.cards[data["access_level"]]
            asked |= {"access_level": card.level, "role": card.role}
        if self.asks_scope(data):
            asked["scopes"] = data["scopes"]
        return Changes(**asked)

    def refuse(self, refused: Refused | scopes.InvalidScope) -> None:
        """Show what the rules say beside the field that can mend it."""
        field = getattr(refused, "field", None) or ("scopes" if isinstance(refused, scopes.InvalidScope) else None)
        field = SHOWN_AT.get(field, field)
        self.add_error(field if field in self.fields else None, str(refused))


def _as_fields(rows: list[Scope]) -> dict[str, Any]:
    """The scope as the boxes say it, as far as they can; they count only when it is to be replaced."""
    ours = [row for row in rows if row.action == KeyScope.Action.ANY and row.kind != KeyScope.ANY_KIND]
    picked = [row.entity_id for row in ours if row.entity_id is not None]
    few = len(picked) <= PICKED_SHOWN
    return {
        "everything": [row.kind for row in ours if row.entity_id is None],
        "picked": picked if few else [],
        "picked_ids": "" if few else "\n".join(str(pk) for pk in picked),
    }
