"""Where a key has its page in the staff admin."""

from __future__ import annotations

from django.urls import NoReverseMatch, reverse

from apikeys.models import ApiKey


def url_of(key: ApiKey, page: str = "change") -> str:
    """The page of ``key`` in the section that it is in, or that of an operation on it; "" where there is none."""
    section = "supportkey" if key.support else "revokedkey" if key.revoked_at else "activekey"
    try:
        return reverse(f"admin:apikeys_{section}_{page}", args=[key.pk])
    except NoReverseMatch:
        return ""
