"""What a key can do, in plain sentences: the reader should need no permission table."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from accounts.access_levels import PERMISSIONS, Action
from accounts.wording import join_and, join_or

#: permission: what it shows, in the order of the sentences; after "sees" and after "cannot see".
_SEES = {
    "entities:read": (pgettext_lazy("a key sees", "names"), pgettext_lazy("a key cannot see", "names")),
    "stats:read": (pgettext_lazy("a key sees", "statistics"), pgettext_lazy("a key cannot see", "statistics")),
    "hashrate:read": (pgettext_lazy("a key sees", "hashrate"), pgettext_lazy("a key cannot see", "hashrate")),
    "workers:read": (pgettext_lazy("a key sees", "workers"), pgettext_lazy("a key cannot see", "workers")),
    "accruals:read": (pgettext_lazy("a key sees", "accruals"), pgettext_lazy("a key cannot see", "accruals")),
    "payouts:read": (pgettext_lazy("a key sees", "payouts"), pgettext_lazy("a key cannot see", "payouts")),
    "balance:read": (pgettext_lazy("a key sees", "balances"), pgettext_lazy("a key cannot see", "balances")),
    "hub-finance:read": (
        pgettext_lazy("a key sees", "hub finances"),
        pgettext_lazy("a key cannot see", "hub finances"),
    ),
    "clients:read": (pgettext_lazy("a key sees", "hub clients"), pgettext_lazy("a key cannot see", "hub clients")),
    "settings:read": (pgettext_lazy("a key sees", "settings"), pgettext_lazy("a key cannot see", "settings")),
}
_CHANGES = {
    "hub-finance:write": pgettext_lazy("a key changes", "client commissions and minimum payouts"),
    "workers:write": pgettext_lazy("a key changes", "workers"),
    "clients:write": pgettext_lazy("a key changes", "hub clients"),
    "settings:write": pgettext_lazy("a key changes", "settings"),
}
#: What no access level holds, said where a custom role does: as an ability, and as a sentence about a key.
_MORE = {
    "keys:read": (gettext_lazy("See API keys"), gettext_lazy("Sees API keys.")),
    "keys:write": (gettext_lazy("Make and change API keys"), gettext_lazy("Makes and changes API keys.")),
    "ingest:write": (
        gettext_lazy("Send in the data of the whole pool"),
        gettext_lazy("Sends in the data of the whole pool."),
    ),
    "verify:use": (gettext_lazy("Verify keys for a service"), gettext_lazy("Verifies keys for a service.")),
}


@dataclass(frozen=True)
class Sentence:
    """``mark`` is can, cannot, where or until: the icon beside the text."""

    mark: str
    text: str


def abilities(held: Collection[str]) -> list[Sentence]:
    """What permissions let a key do, and what they do not."""
    sees, changes = _seen(held), _changed(held)
    sentences = []
    if sees:
        sentences.append(Sentence("can", _("See %(things)s") % {"things": sees}))
    if changes:
        sentences.append(Sentence("can", _("Change %(things)s") % {"things": changes}))
    sentences += [Sentence("can", str(ability)) for name, (ability, _sentence) in _MORE.items() if name in held]
    if blind := [words for name, (_sees, words) in _SEES.items() if name not in held]:
        sentences.append(Sentence("cannot", _("Cannot see %(things)s") % {"things": join_or(blind)}))
    if not _changes_anything(held):
        sentences.append(Sentence("cannot", _("Cannot change anything")))
    return sentences


def in_words(held: Collection[str]) -> str:
    """What a key can do, in the words of the access levels: ``Sees names and accruals. Changes workers.``"""
    sees, changes = _seen(held), _changed(held)
    sentences = []
    if sees:
        sentences.append(_("Sees %(things)s.") % {"things": sees})
    if changes:
        sentences.append(_("Changes %(things)s.") % {"things": changes})
    sentences += [str(sentence) for name, (_ability, sentence) in _MORE.items() if name in held]
    if not _changes_anything(held):
        sentences.append(_("Changes nothing."))
    return " ".join(sentences)


def _seen(held: Collection[str]) -> str:
    return join_and(words for name, (words, _blind) in _SEES.items() if name in held)


def _changed(held: Collection[str]) -> str:
    return join_and(words for name, words in _CHANGES.items() if name in held)


def _changes_anything(held: Collection[str]) -> bool:
    reads = {row.name for row in PERMISSIONS.values() if row.action is Action.READ} | {"keys:read"}
    return bool(set(held) - reads)
