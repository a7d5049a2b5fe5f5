"""The form of a custom role, for owners and staff alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts import audit
from accounts.access_levels import AUTOMATION_PERMISSIONS, PERMISSIONS, Action, Permission
from accounts.changes import Refused
from accounts.forms import StepUpForm
from accounts.models import Account, Membership
from apikeys import roles
from apikeys.models import Role

#: Action class -> its heading, and what its permissions have in common.
CLASSES = {
    Action.READ: (_("See"), _("They change nothing.")),
    Action.WRITE: (_("Change"), _("They change what is there.")),
    Action.ADMIN: (_("Administer"), _("They decide who belongs and how it works. Programs rarely need them.")),
}


@dataclass(frozen=True)
class Box:
    """A permission's check box; ``reason`` says why it can't be given."""

    permission: Permission
    checked: bool
    disabled: bool
    reason: str


@dataclass(frozen=True)
class Group:
    title: str
    lead: str
    boxes: list[Box]


class RoleForm(StepUpForm):
    """A new role, one that begins as a copy of ``source``, or a change of ``role``.

    ``giver`` is the membership that caps what may be given; None for staff.
    """

    name = forms.CharField(
        label=_("Name"),
        max_length=roles.NAME_LENGTH,
        help_text=_("Shown where an access level is: on keys, in lists and logs."),
        error_messages={"required": _("Give the role a name.")},
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    description = forms.CharField(
        label=_("Description"),
        max_length=roles.DESCRIPTION_LENGTH,
        required=False,
        help_text=_("What it is for, so that somebody else can tell later."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    permissions = forms.MultipleChoiceField(
        label=_("Permissions"),
        choices=[
            (
                title,
                [
                    (row.name, format_lazy("{} ({})", row.words, row.name))
                    for row in PERMISSIONS.values()
                    if row.action is act
                ],
            )
            for act, (title, _lead) in CLASSES.items()
        ],
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": _("Choose at least one permission.")},
    )

    def __init__(
        self,
        *args: Any,
        account: Account,
        actor: audit.Actor,
        giver: Membership | None,
        role: Role | None = None,
        source: Role | None = None,
        **kwargs: Any,
    ) -> None:
        self.account = account
        self.actor = actor
        self.giver = giver
        self.role = role
        self.step_up_action = roles.EDIT if role else roles.CREATE
        self.fixed = roles.why_fixed(account, roles.keys_in_use(role)) if role else ""
        if role is not None:
            kwargs["initial"] = {field: getattr(role, field) for field in ("name", "description", "permissions")}
        elif source is not None:
            taken = [name for name in source.permissions if not self.why_not(name)]
            kwargs["initial"] = {"description": source.description, "permissions": taken}
        super().__init__(*args, **kwargs)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.errors.keys() - {"code"}:
            return data
        try:
            roles.check(self.account, actor=self.actor, role=self.role, **self.fields_of_role(data))
        except Refused as refused:
            self.refuse(refused)
        return data

    def fields_of_role(self, data: dict[str, Any]) -> dict[str, Any]:
        """The arguments of roles.create() and edit() that this form decides."""
        return {field: data[field] for field in ("name", "description", "permissions")}

    def why_not(self, permission: str) -> str:
        """Why ``permission`` can't be given here; "" when it can."""
        if permission in AUTOMATION_PERMISSIONS and not self.account.key_automation:
            return gettext(
                "Only where the account allows keys to manage keys. An owner can switch that on in the settings."
            )
        return roles.why_beyond([permission], self.giver)

    @property
    def ticked(self) -> list[str]:
        """The permissions that are chosen now, typed or initial; what is none is left out, and refused by clean()."""
        return [name for name in self["permissions"].value() or [] if name in PERMISSIONS]

    @property
    def groups(self) -> list[Group]:
        """The boxes by action class. One that is ticked but can't be given any more can still be taken away."""
        ticked = set(self.ticked)
        return [
            Group(
                str(title),
                str(lead),
                [
                    Box(
                        row,
                        checked=row.name in ticked,
                        disabled=bool(self.fixed) or (bool(reason) and row.name not in ticked),
                        reason="" if self.fixed else reason,
                    )
                    for row in PERMISSIONS.values()
                    if row.action is action
                    for reason in [self.why_not(row.name)]
                ],
            )
            for action, (title, lead) in CLASSES.items()
        ]


class DeleteRoleForm(StepUpForm):
    step_up_action = roles.DELETE
