"""What a key can do, in plain sentences: the reader should need no permission table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from accounts.access_levels import LEVEL_PERMISSIONS, AccessLevel

#: (permission, what it shows), in the order of the sentences.
_SEES = [
    ("entities:read", "names"),
    ("stats:read", "statistics"),
    ("hashrate:read", "hashrate"),
    ("workers:read", "workers"),
    ("accruals:read", "accruals"),
    ("payouts:read", "payouts"),
    ("balance:read", "balances"),
    ("hub-finance:read", "hub finances"),
    ("clients:read", "hub clients"),
    ("settings:read", "settings"),
]
_CHANGES = [
    ("hub-finance:write", "client commissions and minimum payouts"),
    ("workers:write", "workers"),
    ("clients:write", "hub clients"),
    ("settings:write", "settings"),
]


@dataclass(frozen=True)
class Sentence:
    """``mark`` is can, cannot, where or until: the icon beside the text."""

    mark: str
    text: str


def abilities(level: str) -> list[Sentence]:
    """What the access level lets a key do, and what it does not."""
    if level not in {known.value for known in AccessLevel}:
        return []
    held = LEVEL_PERMISSIONS[AccessLevel(level)]
    sees = [words for name, words in _SEES if name in held]
    blind = [words for name, words in _SEES if name not in held]
    changes = [words for name, words in _CHANGES if name in held]
    sentences = [Sentence("can", f"See {join(sees)}")]
    if changes:
        sentences.append(Sentence("can", f"Change {join(changes)}"))
    if blind:
        sentences.append(Sentence("cannot", f"Cannot see {join(blind, 'or')}"))
    if not changes:
        sentences.append(Sentence("cannot", "Cannot change anything"))
    return sentences


def join(words: Sequence[str], last: str = "and") -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"
