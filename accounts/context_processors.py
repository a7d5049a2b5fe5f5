from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from accounts.models import Membership


def shell(request: HttpRequest) -> dict[str, Any]:
    """What the page's shell shows on every page: the person's accounts, and the pool's own address."""

    def memberships() -> list[Membership]:
        user = getattr(request, "user", None)
        if user is None or not user.is_authenticated:
            return []
        return list(Membership.objects.filter(user=user).select_related("account"))

    return {
        "memberships": SimpleLazyObject(memberships),
        "pool_host": urlsplit(settings.PITHEAD_PUBLIC_URL).netloc,
        "public_url": settings.PITHEAD_PUBLIC_URL,
        "passkey_domain": settings.OTP_WEBAUTHN_RP_ID,
        "passkey_address": settings.OTP_WEBAUTHN_ALLOWED_ORIGINS[0],
    }
