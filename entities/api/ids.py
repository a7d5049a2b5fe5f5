"""Ids in paths and in ``?id=…&id=…``: a malformed one is nobody's, as an unknown one is."""

from __future__ import annotations

from uuid import UUID

from rest_framework.exceptions import NotFound, ValidationError

MAX_IDS = 100


def parse_id(text: str) -> UUID:
    """Return the UUID that ``text`` writes in its usual form, case aside (RFC 9562, section 4). Raises ValueError."""
    value = UUID(text)
    if str(value) != text.lower():
        raise ValueError("not in the usual form")
    return value


def read_id(text: str) -> UUID:
    """Return the id in a path. Raises NotFound where it is malformed."""
    try:
        return parse_id(text)
    except ValueError:
        raise NotFound from None


def read_ids(texts: list[str]) -> set[UUID]:
    """Return the ids of a repeated ``?id=``. Raises ValidationError for more than MAX_IDS, and as read_id() does."""
    if len(texts) > MAX_IDS:
        raise ValidationError({"id": [f"Give at most {MAX_IDS} ids."]})
    return {read_id(text) for text in texts}
