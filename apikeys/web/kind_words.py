"""What the form calls miners, hubs and pools: a sentence for each kind, as no two languages inflect them alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy


@dataclass(frozen=True)
class KindWords:
    """``everything`` is the rule "all"; ``counted`` and ``size`` take a number by say()."""

    heading: Any
    find: Any
    everything: Any
    everything_row: Any
    picked_row: Any
    own: Any
    counted: Any
    size: Any
    missing: Any
    pick_more: Any


WORDS = {
    "miner": KindWords(
        heading=_("Miners"),
        find=_("Find a miner"),
        everything=_("all miners, current and future"),
        everything_row=_("All miners, current and future"),
        picked_row=_("Miners picked by hand"),
        own=ngettext_lazy(
            "Your one miner, and every miner you add later. Untick to choose single miners.",
            "All your %(shown)s miners, and every miner you add later. Untick to choose single miners.",
            "count",
        ),
        counted=ngettext_lazy("%(shown)s miner", "%(shown)s miners", "count"),
        size=ngettext_lazy("%(shown)s worker", "%(shown)s workers", "count"),
        missing=_("One of the chosen miners has no valid ID. Choose again."),
        pick_more=_("All miners get the ticked actions. Pick those that get more."),
    ),
    "hub": KindWords(
        heading=_("Hubs"),
        find=_("Find a hub"),
        everything=_("all hubs, current and future"),
        everything_row=_("All hubs, current and future"),
        picked_row=_("Hubs picked by hand"),
        own=ngettext_lazy(
            "Your one hub, and every hub you add later. Untick to choose single hubs.",
            "All your %(shown)s hubs, and every hub you add later. Untick to choose single hubs.",
            "count",
        ),
        counted=ngettext_lazy("%(shown)s hub", "%(shown)s hubs", "count"),
        size=ngettext_lazy("%(shown)s client", "%(shown)s clients", "count"),
        missing=_("One of the chosen hubs has no valid ID. Choose again."),
        pick_more=_("All hubs get the ticked actions. Pick those that get more."),
    ),
    "pool": KindWords(
        heading=_("Pools"),
        find=_("Find a pool"),
        everything=_("all pools, current and future"),
        everything_row=_("All pools, current and future"),
        picked_row=_("Pools picked by hand"),
        own=ngettext_lazy(
            "Your one pool, and every pool you add later. Untick to choose single pools.",
            "All your %(shown)s pools, and every pool you add later. Untick to choose single pools.",
            "count",
        ),
        counted=ngettext_lazy("%(shown)s pool", "%(shown)s pools", "count"),
        size=ngettext_lazy("%(shown)s miner", "%(shown)s miners", "count"),
        missing=_("One of the chosen pools has no valid ID. Choose again."),
        pick_more=_("All pools get the ticked actions. Pick those that get more."),
    ),
}

ACTION_WORDS = {"read": _("Read"), "write": _("Write"), "admin": _("Administer")}


def say(words: Any, count: int) -> str:
    """Put a number into one of the plural sentences above."""
    return str(words % {"count": count, "shown": number_format(count)})
