"""System checks: the master keys that wrap every signing key, the key prefix, and times that must be some."""

from __future__ import annotations

import re
from typing import Any

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, register

HOW_TO = (
    "Make one: python3 -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())' "
    "and keep a copy outside the database's backups: without it no API key can be checked."
)


@register
def check_master_keys(**kwargs: Any) -> list[CheckMessage]:
    keys = settings.PITHEAD_MASTER_KEYS
    if not keys:
        return [Error("PITHEAD_MASTER_KEYS is empty.", hint=HOW_TO, id="apikeys.E001")]
    bad = []
    for position, key in enumerate(keys, start=1):
        try:
            Fernet(key)
        except ValueError:
            bad.append(str(position))
    if not bad:
        return []
    return [
        Error(
            f"PITHEAD_MASTER_KEYS: no valid Fernet key at position {', '.join(bad)}.",
            hint=HOW_TO,
            id="apikeys.E002",
        )
    ]


@register
def check_key_prefix(**kwargs: Any) -> list[CheckMessage]:
    if re.fullmatch(r"[a-z][a-z0-9]{0,15}", settings.PITHEAD_KEY_PREFIX):
        return []
    return [
        Error(
            "PITHEAD_KEY_PREFIX must be 1 to 16 lower-case letters and digits, a letter first.",
            hint="For example PITHEAD_KEY_PREFIX=ph",
            id="apikeys.E003",
        )
    ]


@register
def check_metrics_token(**kwargs: Any) -> list[CheckMessage]:
    if not settings.PITHEAD_METRICS_TOKEN or len(settings.PITHEAD_METRICS_TOKEN) >= 32:
        return []
    return [
        Error(
            "PITHEAD_METRICS_TOKEN is shorter than 32 characters.",
            hint="Make one: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'. Without any nobody reads "
            "/metrics.",
            id="apikeys.E005",
        )
    ]


@register
def check_waits(**kwargs: Any) -> list[CheckMessage]:
    names = (
        "PITHEAD_REQUEST_LOG_SECONDS",
        "PITHEAD_REQUEST_LOG_DAYS",
        "PITHEAD_REDIS_WAIT_SECONDS",
        "PITHEAD_SUPPORT_KEY_SECONDS",
    )
    return [
        Error(f"{name} must be more than 0.", hint=f"Leave {name} out for its default.", id="apikeys.E004")
        for name in names
        if not getattr(settings, name) > 0
    ]
