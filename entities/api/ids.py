"""``?id=…&id=…``: several things asked for by name."""

from __future__ import annotations

from uuid import UUID

from rest_framework.exceptions import NotFound, ValidationError

from entities.api.base import parse_id

MAX_IDS = 100


def read_ids(texts: list[str]) -> set[UUID]:
    """Return the ids of a repeated ``?id=``.

    Raises ValidationError for more than MAX_IDS, and NotFound if one is malformed, as if it were unknown.
    """
    if len(texts) > MAX_IDS:
        raise ValidationError({"id": [f"Give at most {MAX_IDS} ids."]})
    try:
        return {parse_id(text) for text in texts}
    except ValueError:
        raise NotFound from None
