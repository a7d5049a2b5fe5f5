"""Forms of members and invitations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts import invitations, members
from accounts.access_levels import LEVEL_DESCRIPTIONS, AccessLevel
from accounts.forms import NameField, NewPasswordFields, StepUpForm
from accounts.members import Refused
from accounts.models import ACCESS_LEVEL_CHOICES, Account, Invitation, KeyPermission, Membership, User
from accounts.places import Place

#: What each right over keys lets somebody do, in plain words.
RIGHTS = {
    KeyPermission.VIEW: (_("See API keys"), _("The list, each key’s page, and roles. Never a secret.")),
    KeyPermission.CREATE: (_("Create API keys"), _("Up to their own access level, and never more.")),
    KeyPermission.UPDATE: (
        _("Change, disable and enable API keys"),
        _("Rename, restrict, rotate, and switch off and on."),
    ),
    KeyPermission.DELETE: (_("Revoke API keys"), _("For good: a revoked key never works again.")),
}


@dataclass(frozen=True)
class LevelCard:
    level: AccessLevel
    does: str
    limit: str
    checked: bool


@dataclass(frozen=True)
class RightBox:
    permission: KeyPermission
    label: str
    hint: str
    checked: bool


class PlaceForm(StepUpForm):
    """A place in an account. An owner's needs no more saying: they are Administrator with every right."""

    is_owner = forms.BooleanField(label=_("Owner"), required=False)
    access_level = forms.ChoiceField(
        label=_("Access level"),
        choices=ACCESS_LEVEL_CHOICES,
        widget=forms.RadioSelect,
        error_messages={"required": _("Choose an access level.")},
    )
    key_permissions = forms.MultipleChoiceField(
        label=_("API keys"),
        choices=[(permission.value, label) for permission, (label, _hint) in RIGHTS.items()],
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )

    def __init__(self, *args: Any, account: Account, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.account = account

    @property
    def place(self) -> Place:
        if self.cleaned_data["is_owner"]:
            return Place(AccessLevel.ADMINISTRATOR, True, frozenset(KeyPermission))
        permissions = frozenset(map(KeyPermission, self.cleaned_data["key_permissions"]))
        return Place(self.cleaned_data["access_level"], False, permissions)

    @property
    def levels(self) -> list[LevelCard]:
        chosen = str(self["access_level"].value() or "")
        return [
            LevelCard(level, str(row.does), str(row.limit), level.value == chosen)
            for level, row in LEVEL_DESCRIPTIONS.items()
        ]

    @property
    def rights(self) -> list[RightBox]:
        ticked = self["key_permissions"].value() or []
        return [
            RightBox(permission, str(label), str(hint), permission.value in ticked)
            for permission, (label, hint) in RIGHTS.items()
        ]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("is_owner"):
            # What the owner's switch covers is not asked for.
            self.errors.pop("access_level", None)
            data.setdefault("access_level", AccessLevel.ADMINISTRATOR.value)
        if not self.errors:
            try:
                self.judge()
            except Refused as refused:
                self.refuse(refused)
        return data

    def judge(self) -> None:
        """Ask the rules before a code is spent. Raises Refused."""
        raise NotImplementedError


class InviteForm(PlaceForm):
    step_up_action = invitations.INVITE

    email = forms.EmailField(
        label=_("Email"),
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "off", "autocapitalize": "none"}),
        help_text=_("They get a link that works once, for seven days, and only for this address."),
        error_messages={
            "required": _("Type the e-mail address of the person whom you invite."),
            "invalid": _("Type an e-mail address such as name@example.com."),
        },
    )

    field_order = ["email", "is_owner", "access_level", "key_permissions", "nonce", "code"]

    def judge(self) -> None:
        invitations.check(self.account, self.cleaned_data["email"], self.place)


class ChangeForm(PlaceForm):
    step_up_action = members.CHANGE

    def __init__(self, *args: Any, membership: Membership, **kwargs: Any) -> None:
        self.membership = membership
        super().__init__(
            *args,
            account=membership.account,
            initial={
                "is_owner": membership.is_owner,
                "access_level": membership.access_level,
                "key_permissions": [permission.value for permission in membership.key_permissions],
            },
            **kwargs,
        )

    def judge(self) -> None:
        members.check_change(self.membership, self.place)


class RemoveForm(StepUpForm):
    step_up_action = members.REMOVE


class JoinForm(NewPasswordFields):
    """Who was invited and has no user yet: a name and a password."""

    field_order = ["name", "new_password", "new_password_again"]

    name = NameField(
        label=_("Your name"),
        max_length=150,
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
        help_text=_("Shown to the other members, and beside what you do."),
        error_messages={
            "required": _("Type your name."),
            "unprintable": _("A name has printable characters only."),
        },
    )

    def __init__(self, *args: Any, invitation: Invitation, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = User(email=invitation.email)

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        self.user.name = name  # a password that is like it is refused
        return name
