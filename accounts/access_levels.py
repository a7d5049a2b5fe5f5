"""Who may do what: the permissions, their action classes, and the four access levels as one table."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise


class Action(StrEnum):
    """The class of an action: what a scope row's first half speaks of."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


class AccessLevel(StrEnum):
    VIEWER = "viewer"
    ACCOUNTANT = "accountant"
    TREASURER = "treasurer"
    ADMINISTRATOR = "administrator"

    @property
    def label(self) -> str:
        """Its name in the reader's language."""
        return str(LEVEL_NAMES[self])


LEVEL_NAMES: dict[AccessLevel, _StrOrPromise] = {
    AccessLevel.VIEWER: _("Viewer"),
    AccessLevel.ACCOUNTANT: _("Accountant"),
    AccessLevel.TREASURER: _("Treasurer"),
    AccessLevel.ADMINISTRATOR: _("Administrator"),
}


@dataclass(frozen=True)
class Permission:
    name: str
    action: Action
    words: _StrOrPromise
    levels: frozenset[AccessLevel]

    @property
    def description(self) -> str:
        """What it allows, in the reader's language."""
        return str(self.words)


def _row(name: str, action: Action, words: _StrOrPromise, levels: str) -> Permission:
    by_letter = {
        "V": AccessLevel.VIEWER,
        "A": AccessLevel.ACCOUNTANT,
        "T": AccessLevel.TREASURER,
        "*": AccessLevel.ADMINISTRATOR,
    }
    return Permission(name, action, words, frozenset(by_letter[letter] for letter in levels if letter != "."))


# V Viewer, A Accountant, T Treasurer, * Administrator
PERMISSIONS: dict[str, Permission] = {
    row.name: row
    for row in [
        _row("entities:read", Action.READ, _("See names and IDs"), "VAT*"),
        _row("stats:read", Action.READ, _("See statistics"), "V.T*"),
        _row("hashrate:read", Action.READ, _("See hashrate"), "V.T*"),
        _row("workers:read", Action.READ, _("See workers"), "V.T*"),
        _row("accruals:read", Action.READ, _("See accruals (earnings)"), ".AT*"),
        _row("payouts:read", Action.READ, _("See payouts"), ".AT*"),
        _row("balance:read", Action.READ, _("See balances"), ".AT*"),
        _row("hub-finance:read", Action.READ, _("See a hub’s finances"), "..T*"),
        _row("clients:read", Action.READ, _("See a hub’s clients"), "..T*"),
        _row("hub-finance:write", Action.WRITE, _("Change client commissions and minimum payouts"), "..T*"),
        _row("workers:write", Action.WRITE, _("Change workers"), "...*"),
        _row("clients:write", Action.ADMIN, _("Add and remove hub clients"), "...*"),
        _row("settings:read", Action.READ, _("See settings"), "...*"),
        _row("settings:write", Action.ADMIN, _("Change settings"), "...*"),
        # Custom roles only, and only where the account allows key automation.
        _row("keys:read", Action.ADMIN, _("See API keys"), "...."),
        _row("keys:write", Action.ADMIN, _("Create and change API keys"), "...."),
        # Custom roles only, and only staff give it: it writes the data of every account.
        _row("ingest:write", Action.ADMIN, _("Send the pool’s data in"), "...."),
        # The same: it says of any key of any account whether it is good, and takes from its rate limit.
        _row("verify:use", Action.ADMIN, _("Verify other keys, for a service"), "...."),
    ]
}

#: Held only while the account's policy allows key automation.
AUTOMATION_PERMISSIONS = frozenset({"keys:read", "keys:write"})
#: Given by the pool's staff alone.
STAFF_PERMISSIONS = frozenset({"ingest:write", "verify:use"})

#: What a key's access level is called when its permissions are those of a custom role.
CUSTOM = "custom"

LEVEL_PERMISSIONS: dict[AccessLevel, frozenset[str]] = {
    level: frozenset(row.name for row in PERMISSIONS.values() if level in row.levels) for level in AccessLevel
}


@dataclass(frozen=True)
class LevelDescription:
    does: _StrOrPromise
    limit: _StrOrPromise


LEVEL_DESCRIPTIONS: dict[AccessLevel, LevelDescription] = {
    AccessLevel.VIEWER: LevelDescription(
        _("Sees names, statistics, hashrate and workers."), _("No money data. Changes nothing.")
    ),
    AccessLevel.ACCOUNTANT: LevelDescription(
        _("Sees names, accruals, payouts and balances."), _("No hashrate or workers. Changes nothing.")
    ),
    AccessLevel.TREASURER: LevelDescription(
        _("Sees all of that and hub finances; sets client commissions and minimum payouts."),
        _("Changes who is paid what."),
    ),
    AccessLevel.ADMINISTRATOR: LevelDescription(
        _("Also changes workers, hub clients and settings."),
        _("Full control of everything in scope. Applications rarely need it."),
    ),
}


def permissions_of(access_level: str, of_role: Collection[str] = ()) -> frozenset[str]:
    """Return what an access level holds; ``of_role`` is what the custom role holds, where it is one."""
    return frozenset(of_role) if access_level == CUSTOM else LEVEL_PERMISSIONS[AccessLevel(access_level)]
