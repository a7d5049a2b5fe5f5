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
_ENVIRONMENTS = {tag: environment for environment, tag in ENVIRONMENT_TAGS.items()}

_PREFIX = re.compile(r"[a-z][a-z0-9]{0,15}")


class MalformedKey(ValueError):
    """The text is no key of this installation: wrong shape, alphabet or checksum."""


@dataclass(frozen=True)
class ParsedKey:
    """A well-formed key. ``text`` is the whole secret string and stays out of repr() and tracebacks."""

    environment: str
    selector: str
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
    return ParsedKey(environment=_ENVIRONMENTS[match["tag"]], selector=match["selector"], text=text)


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


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


@cache
def _pattern(prefix: str) -> re.Pattern[str]:
    # [0-9A-Za-z] and not \w: that would let other scripts' letters in.
    return re.compile(
        rf"{re.escape(prefix)}_(?P<tag>live|stg|dev)_(?P<selector>[0-9A-Za-z]{{{SELECTOR_LENGTH}}})"
        rf"[0-9A-Za-z]{{{SECRET_LENGTH + CHECKSUM_LENGTH}}}"
    )
