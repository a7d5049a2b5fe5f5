"""Lists in a sentence, in the reader's language."""

from __future__ import annotations

from collections.abc import Iterable

from django.utils.translation import gettext as _
from django.utils.translation import pgettext


def join_and(words: Iterable[object]) -> str:
    """Write "miners", "miners and hubs" or "miners, hubs and pools"; "" where there is none."""
    *first, last = [str(word) for word in words] or [""]
    return _("%(first)s and %(last)s") % {"first": ", ".join(first), "last": last} if first else last


def join_or(words: Iterable[object]) -> str:
    """As `join_and`, behind a negation: "miners, hubs or pools"."""
    *first, last = [str(word) for word in words] or [""]
    return (
        pgettext("behind a negation", "%(first)s or %(last)s") % {"first": ", ".join(first), "last": last}
        if first
        else last
    )
