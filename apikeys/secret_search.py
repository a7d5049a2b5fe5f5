"""Finds keys by what leaked of them: a whole secret, or a piece that shows enough of its selector.

What is searched for may well be a secret that works: it is compared and forgotten, and nothing here prints it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from django.conf import settings
from django.db.models import Q
from django.views.decorators.debug import sensitive_variables

from apikeys import key_format, signing, support_keys
from apikeys.models import ApiKey, ApiKeySecret

#: How many pieces of one text are looked up.
MOST = 20
#: Words of a text that may be a registered key: each costs a query.
WORDS = 40
MATCHES_SHOWN = 100
#: A run of letters and digits as long as this is no word that anybody searches a list for.
LONGEST_WORD = 30


@dataclass(frozen=True)
class Match:
    """A secret that a piece of text fits. ``is_real``: its digest fits too; None where only a piece is known."""

    secret: ApiKeySecret
    is_real: bool | None

    @property
    def key(self) -> ApiKey:
        return self.secret.key

    @property
    def is_live(self) -> bool:
        """Whether the secret itself still opens anything, its key permitting."""
        return self.key.revoked_at is None and self.secret in self.key.live_secrets


@dataclass
class Piece:
    """A part of the text that looks like a key. ``whole`` ones have a checksum that fits."""

    text: str = field(repr=False)
    tag: str
    body: str = field(repr=False)
    whole: bool
    matches: list[Match] = field(default_factory=list)

    @property
    def selector(self) -> str:
        """As much of the public selector as the piece shows."""
        return self.body[: key_format.SELECTOR_LENGTH]

    @property
    def mask(self) -> str:
        environment = key_format.ENVIRONMENT_NAMES[self.tag]
        return key_format.mask(environment, self.body, prefix=settings.PITHEAD_KEY_PREFIX)

    @property
    def is_full_length(self) -> bool:
        return len(self.body) == key_format.BODY_LENGTH


@dataclass(frozen=True)
class Found:
    """What a text holds, in its order. ``more``: it holds more than were looked up."""

    pieces: Sequence[Piece]
    registered: Sequence[ApiKey]
    more: bool

    @property
    def nothing(self) -> bool:
        return not self.pieces and not self.registered


@sensitive_variables()
def find(text: str) -> Found:
    """Look up every key that ``text`` holds or shows the beginning of, `MOST` of them, with one query.

    Whatever stands around them: a log line, a gist, a mail. A piece shows at least six characters of a selector, as
    masks do. Raises registered.Busy.
    """
    pieces = _pieces(text)
    found = Found(pieces[:MOST], _registered(text), more=len(pieces) > MOST)
    secrets = _secrets(found.pieces)
    for piece in found.pieces:
        for secret in secrets:
            # Again: SQLite compares beginnings without regard to case.
            if secret.selector.startswith(piece.selector):
                piece.matches.append(Match(secret, _is_real(secret, piece)))
    return found


@sensitive_variables()
def looks_secret(text: str) -> bool:
    """Whether somebody who types ``text`` into an ordinary field has most likely pasted a secret."""
    return bool(
        key_format.find_pattern(settings.PITHEAD_KEY_PREFIX).search(text)
        or re.search(rf"[0-9A-Za-z]{{{LONGEST_WORD},}}", text)
    )


@sensitive_variables()
def _pieces(text: str) -> list[Piece]:
    prefix = settings.PITHEAD_KEY_PREFIX
    shortest, longest = key_format.SHOWN_OF_SELECTOR, key_format.BODY_LENGTH
    tags = "|".join(key_format.ENVIRONMENT_TAGS.values())
    pattern = re.compile(rf"{re.escape(prefix)}_({tags})_([0-9A-Za-z]{{{shortest},{longest}}})")
    unique = {match[0]: match for match in pattern.finditer(text)}
    return [Piece(whole, match[1], match[2], whole=_is_whole(whole)) for whole, match in unique.items()]


@sensitive_variables()
def _is_whole(text: str) -> bool:
    try:
        key_format.parse(text, prefix=settings.PITHEAD_KEY_PREFIX)
    except key_format.MalformedKey:
        return False
    return True


def _secrets(pieces: Sequence[Piece]) -> list[ApiKeySecret]:
    if not pieces:
        return []
    fits = Q()
    for piece in pieces:
        exact = len(piece.selector) == key_format.SELECTOR_LENGTH
        fits |= Q(selector=piece.selector) if exact else Q(selector__startswith=piece.selector)
    # From the secrets on, support keys are found as well. Registered ones have a selector that nobody ever saw.
    secrets = ApiKeySecret.objects.filter(fits, lookup=None).select_related("signing_key", "key__account", "key__role")
    return list(secrets.prefetch_related("key__secrets")[:MATCHES_SHOWN])


@sensitive_variables()
def _is_real(secret: ApiKeySecret, piece: Piece) -> bool | None:
    if not piece.whole:
        return None
    return signing.matches(bytes(secret.signing_key.wrapped), piece.text, bytes(secret.digest))


def _registered(text: str) -> list[ApiKey]:
    """The registered support keys, in the form that support once handed out, that ``text`` holds whole."""
    words = islice(key_format.find_foreign(text, prefix=settings.PITHEAD_KEY_PREFIX), WORDS)
    found = {key.pk: key for word in words if (key := support_keys.find_registered(word.text)) is not None}
    return list(found.values())
