"""The one page that ever holds a secret."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.text import slugify
from django.views.decorators.debug import sensitive_variables

from apikeys import scopes
from apikeys.models import ApiKey


@sensitive_variables("secret")
def reveal(request: HttpRequest, key: ApiKey, secret: str) -> HttpResponse:
    """Answer a confirmed POST with ``secret``: rendered, never stored, never redirected to."""
    context = {
        "nav": "api_keys",
        "account": key.account,
        "key": key,
        "secret": secret,
        "scope_summary": scopes.describe(list(key.scopes.all())),
        "endpoint": f"{settings.PITHEAD_PUBLIC_URL}/{settings.PITHEAD_API_MOUNTS[key.environment]}",
        "file_name": f"{slugify(key.name) or 'pithead'}.env",
    }
    response = render(request, "apikeys/key_reveal.html", context)
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "no-referrer"
    return response
