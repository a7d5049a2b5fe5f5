"""The pages of the staff admin that show a secret once, and what a repeated form gets instead."""

from __future__ import annotations

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_variables

from accounts.admin_pages import page_context
from apikeys.admin.links import url_of
from apikeys.models import ApiKey


@sensitive_variables("secret", "context")
def reveal(
    model_admin: ModelAdmin, request: HttpRequest, key: ApiKey, secret: str, *, title: str, lead: str = ""
) -> HttpResponse:
    """Answer a confirmed POST with ``secret``: rendered, never stored, never redirected to."""
    context = page_context(
        model_admin, request, title=title, subtitle=key.name, key=key, secret=secret, lead=lead, back=url_of(key)
    )
    return no_store(render(request, "admin/apikeys/issued.html", context))


def already(model_admin: ModelAdmin, request: HttpRequest, key: ApiKey | None, *, what: str = "issued") -> HttpResponse:
    """Answer a repeated POST. ``what`` it did the first time: "issued" a key, or "renewed" its secret."""
    context = page_context(
        model_admin, request, title="Sent before", key=key, what=what, back=url_of(key) if key else ""
    )
    return render(request, "admin/apikeys/already_issued.html", context)


def no_store(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = "no-store"
    return response
