"""The one page that ever holds a secret."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from apikeys import scopes
from apikeys.models import ApiKey


@dataclass(frozen=True)
class Occasion:
    """Why there is a new secret, in the words of the page."""

    title: Any
    lead: Any
    heading: Any


OCCASIONS = {
    "created": Occasion(
        title=_("Key created"),
        heading=_("Key created: %(name)s"),
        lead=_("Copy the secret now and store it in your secret manager."),
    ),
    "rotated": Occasion(
        title=_("Key rotated"),
        heading=_("New secret for %(name)s"),
        lead=_("Copy it now and give it to your application while the old secret still works."),
    ),
    "regenerated": Occasion(
        title=_("Secret replaced"),
        heading=_("New secret for %(name)s"),
        lead=_("Copy it now and give it to your application: the old secret has stopped."),
    ),
}


@sensitive_variables("secret")
def reveal(request: HttpRequest, key: ApiKey, secret: str, what: str = "created") -> HttpResponse:
    """Answer a confirmed POST with ``secret``: rendered, never stored, never redirected to.

    ``what`` is why there is a new one: "created", "rotated" (the old one works for a while) or "regenerated".
    """
    occasion = OCCASIONS[what]
    key = ApiKey.objects.for_display().get(pk=key.pk)
    old = [live for live in key.live_secrets if live.retires_at is not None]
    context = {
        "nav": "api_keys",
        "account": key.account,
        "key": key,
        "what": what,
        "secret": secret,
        "title": occasion.title,
        "heading": occasion.heading % {"name": key.name},
        "lead": occasion.lead,
        "old_works_until": old[0].retires_at if old else None,
        "scope_summary": scopes.describe_keys([key])[key.pk],
        "endpoint": f"{settings.PITHEAD_PUBLIC_URL}/{settings.PITHEAD_API_MOUNTS[key.environment]}",
        "file_name": f"{slugify(key.name) or 'pithead'}.env",
        "next": _next_page(key, what),
    }
    response = render(request, "apikeys/key_reveal.html", context)
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "no-referrer"
    return response


def _next_page(key: ApiKey, what: str) -> str:
    if what == "created":
        return reverse("web:key-list", args=[key.account.slug])
    return reverse("web:key", args=[key.account.slug, key.key_id])
