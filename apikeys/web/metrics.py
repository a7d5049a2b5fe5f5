"""/metrics: how the server does, for Prometheus, and for nobody without the token."""

from __future__ import annotations

import hmac
import os
import platform
import tomllib
from collections.abc import Iterator
from functools import cache

import django
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import connection
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from accounts import stops
from apikeys import metrics, rate_limits

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@login_not_required
@never_cache
@sensitive_variables("token", "presented")
@require_safe
def metrics_page(request: HttpRequest) -> HttpResponse:
    """200 for whoever presents ``PITHEAD_METRICS_TOKEN``, 401 otherwise; while none is set there is no such page."""
    token = settings.PITHEAD_METRICS_TOKEN
    if not token:
        raise Http404
    scheme, _, presented = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    right = hmac.compare_digest(presented.encode("utf-8", "replace"), token.encode())
    if scheme.lower() != "bearer" or not right:
        return HttpResponse(status=401, headers={"WWW-Authenticate": 'Bearer realm="metrics"'})
    rate_limits.report()  # which finds out, before any request does
    registry = CollectorRegistry()
    registry.register(_Now())
    registry.register(MultiProcessCollector(None) if "PROMETHEUS_MULTIPROC_DIR" in os.environ else _Own())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE)


class _Own(Collector):
    """What this process counted, where it is the only one."""

    def collect(self) -> Iterator[Metric]:
        yield from metrics.REGISTRY.collect()


class _Now(Collector):
    """What is asked at the moment, and the same whichever process answers."""

    def collect(self) -> Iterator[Metric]:
        build = GaugeMetricFamily(
            "pithead_build_info", "What runs here.", labels=["version", "python", "django", "database"]
        )
        build.add_metric([_version(), platform.python_version(), django.get_version(), connection.vendor], 1)
        yield build
        up, waits = True, 0
        try:
            waits = len(stops.undone(stops.NEWEST))
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except stops.NotKnown:
            waits = 1
        except Exception:  # whatever the reason
            up = False
        yield GaugeMetricFamily("pithead_database_up", "1 while the database answers.", value=up)
        yield GaugeMetricFamily(
            "pithead_restore_unconfirmed",
            "1 while a restore of the database waits for confirm_restore, or can't be told.",
            value=waits > 0,
        )


@cache
def _version() -> str:
    project = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])
