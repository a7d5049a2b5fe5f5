"""System checks: what must be set before this serves anybody, and how to make it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured


@register
def check_secret_key(**kwargs: Any) -> list[CheckMessage]:
    try:
        usable = len(settings.SECRET_KEY) >= 50
    except ImproperlyConfigured:
        usable = False
    if usable:
        return []
    return [
        Error(
            "SECRET_KEY is missing or shorter than 50 characters.",
            hint="Make one: python3 -c 'import secrets; print(secrets.token_urlsafe(50))'",
            id="accounts.E001",
        )
    ]


@register
def check_allowed_hosts(**kwargs: Any) -> list[CheckMessage]:
    if settings.DEBUG or settings.ALLOWED_HOSTS:
        return []
    return [
        Error(
            "ALLOWED_HOSTS is empty, so every request would be refused.",
            hint="Set it to the names that this server answers to: ALLOWED_HOSTS=pool.example.com",
            id="accounts.E002",
        )
    ]


@register
def check_trusted_proxies(**kwargs: Any) -> list[CheckMessage]:
    if settings.PITHEAD_TRUSTED_PROXIES >= 0:
        return []
    return [
        Error(
            "PITHEAD_TRUSTED_PROXIES is negative.",
            hint="Set it to the number of proxies of yours in front of this server; 0 if clients connect directly.",
            id="accounts.E003",
        )
    ]
