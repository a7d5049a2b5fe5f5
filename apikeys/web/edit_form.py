"""The form of an edit. What the person or the account's policy may not change is drawn, but taken from the key."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any, cast

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.changes import Refused
from accounts.wording import join_and
from apikeys import edits, lifecycle, roles, scopes
from apikeys.edits import Changes
from apikeys.models import ApiKey
from apikeys.scopes import Scope
from apikeys.web.expiry import UNCHANGED
from apikeys.web.key_form import KeyForm, networks
from apikeys.web.picker import EntityPicker

RESTRICTIONS = ("expires_in", "expires_on", "allowed_cidrs", "rate_limit", "rate_burst")
#: What differs, in the words of "… takes a code".
_CHANGED = {
    "access_level": _("access level"),
    "scopes": _("scope"),
    "expires_at": _("expiry"),
    "allowed_cidrs": _("allowed addresses"),
    "rate_limit": _("rate limit"),
    "rate_burst": _("burst"),
}


class EditKeyForm(KeyForm):
    """An edit of ``key``. A name or a description alone takes no code.

    ``seen`` says which settings the page was made from: what somebody else changed meanwhile isn't undone unseen.
    """

    step_up_action = lifecycle.EDIT

    seen = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput)
    keep_scope = forms.BooleanField(label=_("Keep the scope as it is"), required=False)

    def __init__(self, *args: Any, key: ApiKey, **kwargs: Any) -> None:
        super().__init__(*args, born=key.created_at, **kwargs)
        self.key = key
        self.rows = [Scope(row.action, row.kind, row.entity_id) for row in key.scopes.all()]
        self.checked: edits.CheckedEdit | None = None
        for name, value in {
            "name": key.name,
            "description": key.description,
            "access_level": roles.name_level(key.role) if key.role else key.access_level,
            "expires_in": UNCHANGED,
            "allowed_cidrs": "\n".join(key.allowed_cidrs),
            "rate_limit": key.rate_limit,
            "rate_burst": key.rate_burst,
            "seen": fingerprint(key, self.rows),
        }.items():
            self.fields[name].initial = value
        choices = self._choices("expires_in")
        choices.choices = [(UNCHANGED, gettext("As it is")), *self.expiry.choices]
        choices.label = gettext("New expiry")
        # A disabled field keeps its initial value, whatever is sent.
        if self.why_labels_only:
            for name in RESTRICTIONS:
                self.fields[name].disabled = True
        if self.why_powers_fixed:
            self.fields["access_level"].disabled = True
            self.pickers = []
        self._start_pickers()

    @property
    def entity_environment(self) -> str:
        return self.key.environment

    @property
    def why_labels_only(self) -> str:
        """Why this person may change the name and the description alone; "" when they may change more."""
        return roles.why_beyond(self.key.permissions, self.membership)

    @property
    def why_powers_fixed(self) -> str:
        """Why access level and scope are fixed; "" when they can be changed."""
        if self.why_labels_only:
            return self.why_labels_only
        if self.account.keys_editable:
            return ""
        return gettext("Fixed when the key was created, by this account’s policy. For more or less, create a new key.")

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        self.judge_parts(data)
        if self.errors.keys() - {"code"}:
            return data
        try:
            self.checked = edits.check(self.key, self.changes(data), actor=self.actor)
        except (Refused, scopes.InvalidScope) as refused:
            self.refuse(refused)
            return data
        if self.checked.differs and data["seen"] != self.fields["seen"].initial:
            self.add_error(
                None,
                gettext(
                    "Somebody changed this key after you opened this page. Below is what you typed; compare it with "
                    "the key’s page, and save again to replace what they did."
                ),
            )
            self._set("seen", str(self.fields["seen"].initial))
            return data
        self._ask_for_code(self.checked)
        return data

    @property
    def only_code_is_wrong(self) -> bool:
        """Whether everything else is in order, so that the code is all to ask for."""
        return set(self.errors) == {"code"}

    def parts_to_judge(self, data: dict[str, Any]) -> list[Callable[[], object]]:
        """Of what this edit changes: an expiry that stays may lie in the past, and a limit beyond the plan's."""
        if self.why_labels_only:
            return []
        stays = {"expires_in": UNCHANGED, "rate_limit": self.key.rate_limit}
        asked = {name: value for name, value in data.items() if name not in stays or value != stays[name]}
        scope, *others = super().parts_to_judge(asked)
        return others if self.why_powers_fixed or self.keeps_scope else [scope, *others]

    def changes(self, data: dict[str, Any]) -> Changes:
        """What lifecycle.edit() is asked for. Raises Refused, InvalidScope."""
        asked: dict[str, Any] = {"name": data["name"], "description": data["description"]}
        if not self.why_labels_only:
            asked["allowed_cidrs"] = networks(data["allowed_cidrs"])
            asked["rate_limit"] = data["rate_limit"]
            asked["rate_burst"] = data["rate_burst"]
            if data["expires_in"] != UNCHANGED:
                asked["expires_at"] = self.chosen_expiry(data)
        if not self.why_powers_fixed:
            asked |= self.chosen_level(data["access_level"])
            if not self.keeps_scope:
                asked["scopes"] = self.chosen_scopes()
        return Changes(**asked)

    def _ask_for_code(self, checked: edits.CheckedEdit) -> None:
        """No code for labels; where one is missing, say what it is for."""
        self.needs_step_up = not checked.only_labels
        if not self.needs_step_up:
            self.errors.pop("code", None)
        elif "code" in self.errors and not self.value("code").strip():
            del self.errors["code"]
            what = join_and(words for name, words in _CHANGED.items() if name in checked.after)
            self.add_error(
                "code", gettext("Changing this takes a code: %(what)s. Nothing is saved yet.") % {"what": what}
            )

    # The scope

    @property
    def offers_to_keep(self) -> bool:
        """Whether the boxes can't say what the key's scope is: then it is kept, unless the person says otherwise."""
        return bool(self.pickers) and not self._boxes_say_it

    @property
    def keeps_scope(self) -> bool:
        return self.offers_to_keep and (not self.is_bound or self.values("keep_scope") == ["on"])

    @property
    def scope_rows(self) -> list[Scope]:
        return self.rows if not self.pickers or self.keeps_scope else super().scope_rows

    @property
    def kept_scope(self) -> str:
        if self.pickers and not self.keeps_scope:
            return ""
        words = scopes.describe(list(self.key.scopes.all()))
        return words[:1].lower() + words[1:]

    @property
    def until(self) -> Any:
        return self.key.expires_at if self.value("expires_in") == UNCHANGED else super().until

    def _start_pickers(self) -> None:
        by_kind: dict[str, list[Scope]] = {}
        for row in self.rows:
            by_kind.setdefault(row.kind, []).append(row)
        for picker in self.pickers:
            self.start |= picker.as_fields(by_kind.get(picker.kind, []))
        self._boxes_say_it = self._can_say(by_kind)

    def _can_say(self, by_kind: dict[str, list[Scope]]) -> bool:
        """Whether the boxes, as they start, mean the key's rows and no others, and can all be drawn."""
        start = _Start(self)
        said: list[Scope] = []
        for picker in self.pickers:
            try:
                said += EntityPicker(start, picker.kind).scopes()
            except scopes.InvalidScope:
                return False
        picked = [row.entity_id for row in self.rows if row.entity_id is not None]
        drawn = scopes.nameable(self.account, self.key.environment).filter(pk__in=picked).count() if picked else 0
        return set(said) == set(self.rows) and drawn == len(set(picked)) and not set(by_kind) - set(scopes.KINDS)

    def _set(self, name: str, value: str) -> None:
        data = cast(QueryDict, self.data).copy()
        data[name] = value
        self.data = data


class _Start:
    """The pickers' fields as they start, for a picker that asks what they mean."""

    def __init__(self, form: EditKeyForm) -> None:
        self.account = form.account
        self.entity_environment = form.key.environment
        self._fields = form.start

    def values(self, name: str) -> list[str]:
        return self._fields.get(name, [])


def fingerprint(key: ApiKey, rows: list[Scope]) -> str:
    """A short name for what an edit can change, as it stands now."""
    state = [
        key.name,
        key.description,
        key.access_level,
        str(key.role_id),
        key.allowed_cidrs,
        key.rate_limit,
        key.rate_burst,
        key.expires_at.isoformat() if key.expires_at else None,
        sorted(str(row) for row in rows),
    ]
    return sha256(json.dumps(state).encode()).hexdigest()[:24]
