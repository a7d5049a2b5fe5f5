"""Routes that crash with a key in every place from which it could reach a log."""

from __future__ import annotations

import logging
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from rest_framework.views import APIView

from apikeys.permissions import ANY_KEY

logger = logging.getLogger("apikeys.crash")


def crash(request: HttpRequest) -> HttpResponse:
    secret = request.META["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
    body = request.body
    local = {"secret": secret, "nested": [secret, body], "quoted": f"Bearer%20{secret}"}
    logger.warning("about to crash with %s and %r", secret, body)
    logger.warning("a key in %(secret)s", local)
    try:
        raise KeyError(secret)
    except KeyError as error:
        logger.exception("handled: %s", error)
        raise ValueError(f"no row for KEY_{secret}\n{body!r} {local}") from error


@login_not_required
def crashing_page(request: HttpRequest) -> HttpResponse:
    return crash(request)


class CrashingRoute(APIView):
    permission = ANY_KEY

    def post(self, request: Any, environment: str) -> HttpResponse:
        return crash(request._request)


urlpatterns = [
    path("crash/<path:rest>", lambda request, rest: crashing_page(request)),
    path("api/v1/crash", CrashingRoute.as_view(), {"environment": "production"}),
    path("", include("config.urls")),
]
urlpatterns[0].callback.login_required = False  # type: ignore[attr-defined]

handler500 = "accounts.views.errors.server_error"
