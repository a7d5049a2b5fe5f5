"""Is the server up, and can it work: for load balancers, orchestrators and whoever waits for a start."""

from __future__ import annotations

import logging

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.module_loading import import_string
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts import stops

logger = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 5


@login_not_required
@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers. Asks nothing of the database: an outage there is no reason to restart this process."""
    return HttpResponse("ok", content_type="text/plain")


@login_not_required
@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """The process can work: 200, or 503 while the database does not answer, or a restore of it is not confirmed."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        undone = stops.undone(stops.NEWEST)
    except stops.NotKnown as error:
        logger.error("Not ready: %s", error)
        return _unavailable("not checked for a restore")
    except Exception as error:  # whatever the reason, this server should get no traffic now
        logger.warning("Not ready, the database does not answer: %s", type(error).__name__)
        return _unavailable("unavailable")
    if undone:
        logger.critical("Not ready: %s", stops.Restored(undone))
        return _unavailable("restored, not confirmed")
    # Told and no reason to send traffic elsewhere: the process can work.
    reports = {name: import_string(function)() for name, function in settings.PITHEAD_READY_REPORTS.items()}
    return JsonResponse({"status": "ok", "database": "ok", **reports})


def _unavailable(database: str) -> JsonResponse:
    return JsonResponse(
        {"status": "unavailable", "database": database}, status=503, headers={"Retry-After": str(RETRY_AFTER_SECONDS)}
    )
