"""The key's format: generate, parse, checksum, mask. Pure functions; the database is never asked.

``ph_live_`` + 12 characters of selector + 43 of secret (256 bits) + 6 of checksum, base62 (0-9A-Za-z). The checksum is
the CRC-32 of everything before it, so a mistyped key is refused before any work, and scanners that find keys in the
wild have no false positives. (GitHub's token format does the same:
https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/)
"""

from __future__ import annotations

import re
import secrets
from binascii import crc32
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SELECTOR_LENGTH = 12
SECRET_LENGTH = 43
CHECKSUM_LENGTH = 6
BODY_LENGTH = SELECTOR_LENGTH + SECRET_LENGTH + CHECKSUM_LENGTH
SHOWN_OF_SELECTOR = 6

#: Environment -> how a key names it.
ENVIRONMENT_TAGS = {"production": "live", "staging": "stg", "development": "dev"}
ENVIRONMENT_NAMES = {tag: environment for environment, tag in ENVIRONMENT_TAGS.items()}

#: How long a string may be that support once handed out.
MIN_FOREIGN, MAX_FOREIGN = 16, 512

#: What stands between and around words in prose, markup and code.
_GAPS, _BRACKETS, _STOPS = re.compile(r"[\s\"'`,;]+"), re.compile(r"[\s\"'`,;()\[\]{}<>|]+"), ".:!?*"

_PREFIX = re.compile(r"[a-z][a-z0-9]{0,15}")
_BODY = re.compile(rf"[0-9A-Za-z]{{{BODY_LENGTH}}}")


class MalformedKey(ValueError):
    """The text is no key of this installation: wrong shape, alphabet or checksum."""


@dataclass(frozen=True)
class ParsedKey:
    """A well-formed key. ``text`` is the whole secret string and stays out of repr() and tracebacks."""

    environment: str
    selector: str
    text: str = field(repr=False)


@dataclass(frozen=True)
class ForeignText:
    """A string that is no key of ours, and that support may once have handed out. ``text`` stays out of repr()."""

    text: str = field(repr=False)


def generate(environment: str, *, prefix: str) -> ParsedKey:
    """Return a new key for ``environment`` from the operating system's generator."""
    if not _PREFIX.fullmatch(prefix):
        raise ValueError("A key prefix is 1 to 16 lower-case letters and digits, a letter first.")
    selector = _random(SELECTOR_LENGTH)
    body = f"{prefix}_{ENVIRONMENT_TAGS[environment]}_{selector}{_random(SECRET_LENGTH)}"
    return ParsedKey(environment=environment, selector=selector, text=body + checksum(body))


def parse(text: str, *, prefix: str) -> ParsedKey:
    """Return the parts of ``text``. Raises MalformedKey; the message never quotes the text."""
    match = _pattern(prefix).fullmatch(text)
    if match is None:
        raise MalformedKey("Not a key of this service.")
    if checksum(text[:-CHECKSUM_LENGTH]) != text[-CHECKSUM_LENGTH:]:
        raise MalformedKey("The checksum does not match.")
    return ParsedKey(environment=ENVIRONMENT_NAMES[match["tag"]], selector=match["selector"], text=text)


def read(text: str, *, prefix: str) -> ParsedKey | ForeignText:
    """Return ``text`` as a key of ours, or as one that support may have handed out. Raises MalformedKey."""
    if text.startswith(f"{prefix}_"):
        return parse(text, prefix=prefix)
    return parse_foreign(text, prefix=prefix)


def parse_foreign(text: str, *, prefix: str) -> ForeignText:
    """Return ``text`` as one that support may have handed out. Raises MalformedKey with the reason, never the text.

    What holds a key of ours, or was one before somebody slipped, is none: it is refused without a query.
    """
    if not MIN_FOREIGN <= len(text) <= MAX_FOREIGN:
        raise MalformedKey(f"It has {len(text)} characters; it takes {MIN_FOREIGN} to {MAX_FOREIGN}.")
    if not (text.isascii() and text.isprintable()):
        raise MalformedKey("It holds characters other than printable ASCII, and it travels in an HTTP header.")
    if text != text.strip(" "):
        raise MalformedKey("It begins or ends with a blank, which an HTTP header would lose.")
    if text.startswith(f"{prefix}_") or find_pattern(prefix).search(text) or _was_ours(text, prefix):
        raise MalformedKey("It looks like a key of this service, which has a format and a checksum of its own.")
    return ForeignText(text)


def _was_ours(text: str, prefix: str) -> bool:
    """Whether ``text`` ends as a key of ours and only begins otherwise: the checksum tells, which covers the prefix."""
    body = text[-BODY_LENGTH:]
    if not _BODY.fullmatch(body):
        return False
    heads = (f"{prefix}_{tag}_" for tag in ENVIRONMENT_NAMES)
    return any(checksum(head + body[:-CHECKSUM_LENGTH]) == body[-CHECKSUM_LENGTH:] for head in heads)


def checksum(body: str) -> str:
    """CRC-32 (ISO 3309) of ``body`` in base62, six characters, left-padded with 0."""
    number = crc32(body.encode("ascii"))
    digits = ""
    while number:
        number, digit = divmod(number, 62)
        digits = ALPHABET[digit] + digits
    return digits.rjust(CHECKSUM_LENGTH, ALPHABET[0])


def mask(environment: str, selector: str, *, prefix: str) -> str:
    """What may be shown of a key ever after: ``ph_live_7GkQ2m••••``. No character of the secret is known to us."""
    return f"{prefix}_{ENVIRONMENT_TAGS[environment]}_{selector[:SHOWN_OF_SELECTOR]}••••"


def find_pattern(prefix: str) -> re.Pattern[str]:
    """A pattern that finds keys inside other text, for redaction and scanners; parse() decides what is one.

    Whatever stands before it: in ``%20ph_live_…``, or after the ``\\n`` of a repr, no word begins.
    """
    return re.compile(rf"{re.escape(prefix)}_(?:live|stg|dev)_[0-9A-Za-z]{{8,}}")


def find_all(text: str, *, prefix: str) -> Iterator[ParsedKey]:
    """Find every well-formed key inside ``text``, whatever stands around it, in the order of its appearance."""
    start = 0
    while (match := _pattern(prefix).search(text, start)) is not None:
        try:
            yield parse(match[0], prefix=prefix)
        except MalformedKey:
            start = match.start() + 1
        else:
            start = match.end()


def find_foreign(text: str, *, prefix: str) -> Iterator[ForeignText]:
    """Find what in ``text`` support may once have handed out, each once: itself, its lines, and their words.

    Such strings have no format, so nothing tells where one ends: words are taken as they stand, without the marks
    around them, and what follows their first "=" or ":".
    """
    seen: set[str] = set()
    for candidate in _candidates(text):
        if candidate not in seen:
            seen.add(candidate)
            try:
                yield parse_foreign(candidate, prefix=prefix)
            except MalformedKey:
                continue


def _candidates(text: str) -> Iterator[str]:
    lines = [line.strip() for line in text.splitlines()]
    yield text.strip()
    for line in lines:
        yield from _GAPS.split(line)
    for line in lines:
        for word in _BRACKETS.split(line):
            yield word.strip(_STOPS)
            yield re.split("[=:]", word.strip(_STOPS), maxsplit=1)[-1]
    yield from lines


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


@cache
def _pattern(prefix: str) -> re.Pattern[str]:
    # [0-9A-Za-z] and not \w: that would let other scripts' letters in.
    return re.compile(
        rf"{re.escape(prefix)}_(?P<tag>live|stg|dev)_(?P<selector>[0-9A-Za-z]{{{SELECTOR_LENGTH}}})"
        rf"[0-9A-Za-z]{{{SECRET_LENGTH + CHECKSUM_LENGTH}}}"
    )
