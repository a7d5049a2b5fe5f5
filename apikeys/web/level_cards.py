"""What a new key can be given, as cards: the four access levels, then the account's custom roles."""

from __future__ import annotations

from dataclasses import dataclass

from accounts.access_levels import CUSTOM, LEVEL_DESCRIPTIONS, LEVEL_PERMISSIONS, AccessLevel
from accounts.models import Account
from apikeys import roles
from apikeys.models import Role
from apikeys.web.summary import in_words


@dataclass(frozen=True)
class LevelCard:
    """``value`` is what the form sends; ``level`` and ``role`` are what it means to lifecycle.issue()."""

    value: str
    label: str
    level: str
    role: Role | None
    permissions: frozenset[str]
    does: str
    limit: str


def level_cards(account: Account) -> list[LevelCard]:
    levels = [
        LevelCard(
            value=level.value,
            label=level.label,
            level=level.value,
            role=None,
            permissions=LEVEL_PERMISSIONS[level],
            does=str(LEVEL_DESCRIPTIONS[level].does),
            limit=str(LEVEL_DESCRIPTIONS[level].limit),
        )
        for level in AccessLevel
    ]
    custom = [
        LevelCard(
            value=roles.name_level(role),
            label=role.name,
            level=CUSTOM,
            role=role,
            permissions=frozenset(role.permissions),
            does=in_words(role.permissions),
            limit=role.description,
        )
        for role in Role.objects.filter(account=account)
    ]
    return levels + custom
