"""In which language and time zone a page speaks: the person's own, or what the browser of a stranger asks for."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers

from accounts.models import User
from accounts.time_zones import zone_named

#: Faces that answer programs, and the staff admin, whose own words are English: the same for everybody.
NOT_LOCALISED = (
    *(f"/{mount}" for mount in settings.PITHEAD_API_MOUNTS.values()),
    "/docs/openapi.json",
    "/admin/",
    "/gateway/",
    "/integrations/",
    "/healthz",
    "/readyz",
    "/metrics",
)


class PersonsLocaleMiddleware:
    """Stands behind authentication. Both choices end with the request, as threads go on to answer programs."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith(NOT_LOCALISED):
            return self.get_response(request)
        user = request.user if isinstance(request.user, User) else None
        own = user.language if user is not None else ""
        chosen = is_spoken(own)
        language = own if chosen else translation.get_language_from_request(request)
        with translation.override(language), timezone.override(zone_named(user.time_zone if user is not None else "")):
            response = self.get_response(request)
        response.headers.setdefault("Content-Language", language)
        if not chosen:
            patch_vary_headers(response, ["Accept-Language", "Cookie"])
        return response


def is_spoken(language: str) -> bool:
    """Tell whether ``language`` is one of ours."""
    return language in dict(settings.LANGUAGES)


def language_of(user: User) -> str:
    """Return the language for what reaches a person outside of a request, such as mail."""
    return user.language if is_spoken(user.language) else settings.LANGUAGE_CODE
