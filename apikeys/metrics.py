"""What is counted for operators, and read at /metrics. docs/metrics.md lists it.

Labels come from closed tables: no key, account, address or route is one. With several processes prometheus-client keeps
the numbers in files (``PROMETHEUS_MULTIPROC_DIR``, which deploy/gunicorn.conf.py makes), and any process tells of all.
"""

from __future__ import annotations

from django.conf import settings
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from apikeys.problems import CODES

REGISTRY = CollectorRegistry()
#: The code of an answer that is no problem, and of one whose problem is not in the table.
OK, OTHER = "ok", "other"
API, GATEWAY = "api", "gateway"

_requests = Counter(
    "pithead_requests",
    "Answers to programs: by the pool data API or the gateway's question, by problem code.",
    ["face", "code"],
    registry=REGISTRY,
)
_decisions = Histogram(
    "pithead_decision_seconds",
    "Time to find a key, judge it and take from its limit; of the gateway's question the whole answer.",
    ["face"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
    registry=REGISTRY,
)
RATE_LIMITS_SHARED = Gauge(
    "pithead_rate_limits_shared",
    "1 while rates are limited over all processes, 0 while at least one process limits for itself.",
    multiprocess_mode="livemin",
    registry=REGISTRY,
)
REDIS_BREAKER_OPENINGS = Counter(
    "pithead_redis_breaker_openings",
    "How often a process stopped asking a Redis that did not answer.",
    registry=REGISTRY,
)
REQUEST_LOG_WAITING = Gauge(
    "pithead_request_log_waiting",
    "Requests that wait to be written to the request log, as of each process's last turn.",
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
REQUEST_LOG_DROPPED = Counter(
    "pithead_request_log_dropped",
    "Requests that were dropped from the request log, since too many waited for the database.",
    registry=REGISTRY,
)

# A process that has limited nothing yet is no reason for an alarm.
RATE_LIMITS_SHARED.set(1 if settings.REDIS_URL else 0)
# Each answer costs one look into this table; labels() costs more than counting does.
_answers = {(face, code): _requests.labels(face, code) for face in (API, GATEWAY) for code in (OK, OTHER, *CODES)}
API_DECISIONS, GATEWAY_DECISIONS = _decisions.labels(API), _decisions.labels(GATEWAY)


def answered(face: str, status: int, code: str) -> None:
    """Count an answer; ``code`` is its problem's, or "" """
    if status < 400:
        code = OK
    (_answers.get((face, code)) or _answers[face, OTHER]).inc()
