"""What a key can do, in plain sentences: the reader should need no permission table."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from accounts.access_levels import PERMISSIONS, Action

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
#: What no access level holds: said where a custom role does.
_MORE = [
    ("keys:read", ("See", "API keys")),
    ("keys:write", ("Make", "and change API keys")),
    ("ingest:write", ("Send", "in the data of the whole pool")),
]


@dataclass(frozen=True)
class Sentence:
    """``mark`` is can, cannot, where or until: the icon beside the text."""

    mark: str
    text: str


def abilities(held: Collection[str]) -> list[Sentence]:
    """What permissions let a key do, and what they do not."""
    blind = [words for name, words in _SEES if name not in held]
    sentences = [Sentence("can", f"{verb} {what}") for verb, what in _doings(held)]
    if blind:
        sentences.append(Sentence("cannot", f"Cannot see {join(blind, 'or')}"))
    if not _changes(held):
        sentences.append(Sentence("cannot", "Cannot change anything"))
    return sentences


def in_words(held: Collection[str]) -> str:
    """What a key can do, in the words of the access levels: ``Sees names and accruals. Changes workers.``"""
    doings = [f"{verb}s {what}" for verb, what in _doings(held)]
    if not _changes(held):
        doings.append("Changes nothing")
    return " ".join(f"{text}." for text in doings)


def _doings(held: Collection[str]) -> list[tuple[str, str]]:
    sees = [words for name, words in _SEES if name in held]
    changes = [words for name, words in _CHANGES if name in held]
    more = [words for name, words in _MORE if name in held]
    return [*([("See", join(sees))] if sees else []), *([("Change", join(changes))] if changes else []), *more]


def _changes(held: Collection[str]) -> bool:
    reads = {row.name for row in PERMISSIONS.values() if row.action is Action.READ} | {"keys:read"}
    return bool(set(held) - reads)


def join(words: Sequence[str], last: str = "and") -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"
