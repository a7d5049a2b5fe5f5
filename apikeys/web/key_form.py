"""What the form of a new key and the form of an edit share: the fields, the pickers, and how refusals are shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, cast

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts import audit
from accounts.changes import Refused
from accounts.forms import StepUpForm
from accounts.models import Account, Membership
from apikeys import impact, roles, rules, scopes
from apikeys.scopes import Scope
from apikeys.web.expiry import ON_A_DATE, ExpiryChoices
from apikeys.web.level_cards import LevelCard, level_cards
from apikeys.web.picker import EntityPicker
from apikeys.web.previewed import PreviewedForm

#: Where a refusal of the rules is shown, if not beside the field of its own name.
SHOWN_AT = {"scopes": "scope", "expires_at": "expires_in"}


class KeyForm(PreviewedForm, StepUpForm):
    """Everything that a person decides about a key, and the code that approves it.

    The page follows a search, an added address or a changed box as a preview.
    """

    name = forms.CharField(
        label=_("Name"),
        max_length=80,
        help_text=_("Shown in lists and logs. Say which application uses it."),
        error_messages={"required": _("Give the key a name.")},
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    description = forms.CharField(
        label=_("Description"),
        max_length=rules.DESCRIPTION_LENGTH,
        required=False,
        help_text=_("For whoever meets this key in a year: what it is for, and whom to ask."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    access_level = forms.ChoiceField(
        label=_("Access level"),
        widget=forms.RadioSelect,
        error_messages={"required": _("Choose an access level.")},
    )
    # The pickers are its boxes. It is never drawn: errors about the scope need a name, and a place to lead to.
    scope = forms.Field(label=_("Scope"), required=False)
    expires_in = forms.ChoiceField(label=_("Expires after"), widget=forms.RadioSelect)
    expires_on = forms.DateField(
        label=_("Last day"),
        required=False,
        input_formats=["%Y-%m-%d"],
        error_messages={"invalid": _("Write the day like 2027-02-18.")},
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date", "class": "ph-date", "autocomplete": "off"}),
    )
    allowed_cidrs = forms.CharField(
        label=_("Allowed addresses"),
        required=False,
        max_length=5000,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "class": "mono", "autocomplete": "off"}),
    )
    rate_limit = forms.IntegerField(
        label=_("Rate limit"),
        required=False,
        error_messages={"invalid": _("Type a whole number of requests, such as 600, or nothing.")},
        # Not type=number, which forgets what isn't one.
        widget=forms.TextInput(
            attrs={"inputmode": "numeric", "autocomplete": "off", "maxlength": 12, "class": "ph-short"}
        ),
    )
    rate_burst = forms.IntegerField(
        label=_("Burst"),
        required=False,
        error_messages={"invalid": _("Type a whole number of requests, such as 20, or nothing.")},
        widget=forms.TextInput(
            attrs={"inputmode": "numeric", "autocomplete": "off", "maxlength": 12, "class": "ph-short"}
        ),
    )

    def __init__(
        self, *args: Any, membership: Membership, actor: audit.Actor, born: datetime | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, user=membership.user, **kwargs)
        self.membership = membership
        self.account: Account = membership.account
        self.actor = actor
        self.born = born
        self.cards: dict[str, LevelCard] = {card.value: card for card in level_cards(self.account)}
        self._choices("access_level").choices = [(card.value, card.label) for card in self.cards.values()]
        self.expiry = ExpiryChoices(self.account, born)
        self._choices("expires_in").choices = self.expiry.choices
        self.fields["expires_in"].initial = self.expiry.default
        self.fields["expires_on"].widget.attrs |= {
            "min": self.expiry.first_day.isoformat(),
            "max": self.expiry.last_day.isoformat(),
        }
        #: What the pickers' fields hold before anything is typed.
        self.start: dict[str, list[str]] = {}
        self.pickers = [EntityPicker(self, kind) for kind in scopes.KINDS]
        #: The group of the picker that an error speaks of.
        self.kind_at_fault: str | None = None

    @property
    def entity_environment(self) -> str:
        """Where the entities to pick from are."""
        raise NotImplementedError

    def judge_parts(self, data: dict[str, Any]) -> None:
        """Judge what stands for itself, each apart: a person should learn of all that is wrong at once."""
        for judge in self.parts_to_judge(data):
            try:
                judge()
            except (Refused, scopes.InvalidScope) as refused:
                self.refuse(refused)

    def parts_to_judge(self, data: dict[str, Any]) -> list[Callable[[], object]]:
        """The rules that need no other field; each raises Refused or InvalidScope."""
        parts: list[Callable[[], object]] = [
            lambda: scopes.check(self.account, self.entity_environment, self.chosen_scopes())
        ]
        if "expires_in" in data and "expires_on" in data:
            parts.append(lambda: rules.check_lifetime(self.account, self.chosen_expiry(data), born=self.born))
        if "allowed_cidrs" in data:
            parts.append(lambda: rules.normalize_cidrs(networks(data["allowed_cidrs"])))
        if "rate_limit" in data:
            parts.append(lambda: rules.check_rate(self.account, data["rate_limit"], data.get("rate_burst")))
        return parts

    def refuse(self, refused: Refused | scopes.InvalidScope) -> None:
        """Show what the rules say beside the field that can mend it."""
        if isinstance(refused, scopes.InvalidScope):
            field: str | None = "scope"
            self.kind_at_fault = refused.kind
        else:
            field = SHOWN_AT.get(refused.field or "", refused.field)
        if field == "expires_in" and self.value("expires_in") == ON_A_DATE:
            field = "expires_on"
        self.add_error(field if field in self.fields else None, str(refused))

    def chosen_level(self, value: str) -> dict[str, Any]:
        """The arguments of lifecycle.issue() that one choice of level or role means."""
        card = self.cards[value]
        return {"access_level": card.level, "role": card.role}

    def chosen_expiry(self, data: dict[str, Any]) -> datetime | None:
        """Raises Refused."""
        return self.expiry.moment(data["expires_in"], data.get("expires_on"))

    def chosen_scopes(self) -> list[Scope]:
        """The scope rows that the pickers say. Raises InvalidScope."""
        return [scope for picker in self.pickers for scope in picker.scopes()]

    # What the page says of the form as it stands, judged or not

    @property
    def permissions(self) -> frozenset[str]:
        """What the level or role chosen now gives; nothing where none is."""
        card = self.cards.get(self.value("access_level"))
        return roles.in_force(card.permissions, self.account) if card else frozenset()

    @property
    def scope_rows(self) -> list[Scope]:
        """The scope rows as far as they can be said now."""
        rows: list[Scope] = []
        for picker in self.pickers:
            try:
                rows += picker.scopes()
            except scopes.InvalidScope:
                continue
        return rows

    @property
    def kept_scope(self) -> str:
        """The scope in words where the pickers don't decide it; "" where they do."""
        return ""

    @property
    def usable(self) -> frozenset[str]:
        """What of the permissions the chosen actions leave."""
        rows = self.scope_rows
        return impact.usable(self.permissions, rows) if rows else self.permissions

    @property
    def networks(self) -> list[IPv4Network | IPv6Network] | None:
        """The allowed networks as typed; None while a line is no network."""
        try:
            return [ip_network(text) for text in rules.normalize_cidrs(networks(self.value("allowed_cidrs")))]
        except Refused:
            return None

    @property
    def until(self) -> datetime | str | None:
        """When the key ends as chosen now, None for never; "" where no day is chosen yet."""
        chosen, on = self.value("expires_in"), self.value("expires_on")
        if chosen not in dict(self._choices("expires_in").choices):  # type: ignore[arg-type]
            return ""
        try:
            day = date.fromisoformat(on) if on else None
            return self.expiry.moment(chosen, day)
        except (ValueError, Refused):
            return ""

    @property
    def limit(self) -> int | None:
        """Requests per minute as typed, the account's default where nothing is; None: no limit.

        Raises ValueError where what is typed is none.
        """
        return self.account.rate_limit_of(self._count("rate_limit"))

    @property
    def burst(self) -> int | None:
        """How many requests may come at once as typed; None: a whole minute's. Raises ValueError as ``limit`` does."""
        burst = self._count("rate_burst")
        if burst is not None:
            limit = self.limit
            if limit is None or burst > limit:
                raise ValueError(burst)
        return burst

    def _count(self, name: str) -> int | None:
        typed = self.value(name).strip()
        if not typed:
            return None
        if not (typed.isascii() and typed.isdigit() and len(typed) < 10 and int(typed)):
            raise ValueError(typed)
        return int(typed)

    def value(self, name: str) -> str:
        """What the field holds now, typed or initial."""
        held = self[name].value()
        return "" if held is None else str(held)

    def values(self, name: str) -> list[str]:
        return cast(QueryDict, self.data).getlist(name) if self.is_bound else self.start.get(name, [])

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

    @property
    def offered(self) -> list[EntityPicker]:
        """The pickers of the kinds that the account has."""
        return [picker for picker in self.pickers if picker.total]

    @property
    def rate_hint(self) -> str:
        most, default = self.account.max_rate_limit, self.account.rate_limit_of(None)
        if default is None:
            return gettext("Empty means no limit, as this account has no default. Above a limit, requests get 429.")
        if most is None:
            return gettext("Empty means the account’s default, %(default)s. Above the limit, requests get 429.") % {
                "default": f"{default:,}"
            }
        return gettext(
            "At most %(most)s, as the account’s plan allows. Empty means %(default)s. Above a limit, requests get 429."
        ) % {"most": f"{most:,}", "default": f"{default:,}"}

    @property
    def opens_burst(self) -> bool:
        """Whether there is something to see where the burst is typed."""
        return bool(self.value("rate_burst") or self.errors.get("rate_burst"))

    def _choices(self, name: str) -> forms.ChoiceField:
        return cast(forms.ChoiceField, self.fields[name])


def networks(text: str) -> list[str]:
    """What is typed as addresses: one a line, or with commas between."""
    return [line.strip() for line in text.replace(",", "\n").splitlines() if line.strip()]


def address_notes(allowed: Sequence[IPv4Network | IPv6Network] | None) -> list[tuple[str, str]]:
    """What to know of a list of networks, as (level, sentence): who is let in by it all, and who is shut out."""
    if not allowed:
        return []
    notes = []
    versions = {network.version for network in allowed}
    open_ = {network.version for network in allowed if network.prefixlen == 0}
    if 4 in open_:
        notes.append(("warn", gettext("0.0.0.0/0 lets every IPv4 address in: that is no limit. List only your own.")))
    if 6 in open_:
        notes.append(("warn", gettext("::/0 lets every IPv6 address in: that is no limit. List only your own.")))
    if versions == {4}:
        notes.append(("tip", gettext("IPv6 clients will be refused: the list has IPv4 networks only.")))
    if versions == {6}:
        notes.append(("tip", gettext("IPv4 clients will be refused: the list has IPv6 networks only.")))
    return notes
