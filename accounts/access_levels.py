"""Who may do what: the permissions, their action classes, and the four access levels as one table."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum


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
        return self.value.capitalize()


@dataclass(frozen=True)
class Permission:
    name: str
    action: Action
    description: str
    levels: frozenset[AccessLevel]


def _row(name: str, action: Action, description: str, levels: str) -> Permission:
    by_letter = {
        "V": AccessLevel.VIEWER,
        "A": AccessLevel.ACCOUNTANT,
        "T": AccessLevel.TREASURER,
        "*": AccessLevel.ADMINISTRATOR,
    }
    return Permission(name, action, description, frozenset(by_letter[letter] for letter in levels if letter != "."))


# V Viewer, A Accountant, T Treasurer, * Administrator
PERMISSIONS: dict[str, Permission] = {
    row.name: row
    for row in [
        _row("entities:read", Action.READ, "See names and IDs", "VAT*"),
        _row("stats:read", Action.READ, "See statistics", "V.T*"),
        _row("hashrate:read", Action.READ, "See hashrate", "V.T*"),
        _row("workers:read", Action.READ, "See workers", "V.T*"),
        _row("accruals:read", Action.READ, "See accruals (earnings)", ".AT*"),
        _row("payouts:read", Action.READ, "See payouts", ".AT*"),
        _row("balance:read", Action.READ, "See balances", ".AT*"),
        _row("hub-finance:read", Action.READ, "See a hub’s finances", "..T*"),
        _row("clients:read", Action.READ, "See a hub’s clients", "..T*"),
        _row("hub-finance:write", Action.WRITE, "Change client commissions and minimum payouts", "..T*"),
        _row("workers:write", Action.WRITE, "Change workers", "...*"),
        _row("clients:write", Action.ADMIN, "Add and remove hub clients", "...*"),
        _row("settings:read", Action.READ, "See settings", "...*"),
        _row("settings:write", Action.ADMIN, "Change settings", "...*"),
        # Custom roles only, and only where the account allows key automation.
        _row("keys:read", Action.ADMIN, "See API keys", "...."),
        _row("keys:write", Action.ADMIN, "Create and change API keys", "...."),
        # Custom roles only, and only staff give it: it writes the data of every account.
        _row("ingest:write", Action.ADMIN, "Send the pool’s data in", "...."),
    ]
}

#: Held only while the account's policy allows key automation.
AUTOMATION_PERMISSIONS = frozenset({"keys:read", "keys:write"})
#: Given by the pool's staff alone.
STAFF_PERMISSIONS = frozenset({"ingest:write"})

#: What a key's access level is called when its permissions are those of a custom role.
CUSTOM = "custom"

LEVEL_PERMISSIONS: dict[AccessLevel, frozenset[str]] = {
    level: frozenset(row.name for row in PERMISSIONS.values() if level in row.levels) for level in AccessLevel
}


@dataclass(frozen=True)
class LevelDescription:
    does: str
    limit: str


LEVEL_DESCRIPTIONS: dict[AccessLevel, LevelDescription] = {
    AccessLevel.VIEWER: LevelDescription(
        "Sees names, statistics, hashrate and workers.", "No money data. Changes nothing."
    ),
    AccessLevel.ACCOUNTANT: LevelDescription(
        "Sees names, accruals, payouts and balances.", "No hashrate or workers. Changes nothing."
    ),
    AccessLevel.TREASURER: LevelDescription(
        "Sees all of that and hub finances; sets client commissions and minimum payouts.",
        "Changes who is paid what.",
    ),
    AccessLevel.ADMINISTRATOR: LevelDescription(
        "Also changes workers, hub clients and settings.",
        "Full control of everything in scope. Applications rarely need it.",
    ),
}


def permissions_of(access_level: str, of_role: Collection[str] = ()) -> frozenset[str]:
    """Return what an access level holds; ``of_role`` is what the custom role holds, where it is one."""
    return frozenset(of_role) if access_level == CUSTOM else LEVEL_PERMISSIONS[AccessLevel(access_level)]
