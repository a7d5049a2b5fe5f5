"""A WSGI layer in front of all that needs the database: none that was put back to before a revocation is served from.

Where the database answers, the server asks while it starts, and refuses to start. Where it does not, this layer asks on
each request until it is known.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import DatabaseError, connection

from accounts import stops
from apikeys import gateway, problems

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

logger = logging.getLogger(__name__)

#: They say how the process stands, and open nothing.
PROBES = frozenset({"/healthz", "/readyz", "/metrics"})


class RestoreGuard:
    """Wraps the WSGI application."""

    def __init__(self, application: WSGIApplication) -> None:
        self.application = application
        self.mounts = tuple(f"/{mount}" for mount in settings.PITHEAD_API_MOUNTS.values())
        self._said = ""

    def require_whole(self) -> None:
        """Ask once, at the start. Raises stops.Restored and stops.NotKnown; no database yet is no error."""
        try:
            stops.require_whole()
        except DatabaseError as error:
            logger.warning("Whether the database was restored is not known yet: %s", type(error).__name__)
        finally:
            connection.close()  # workers that are forked from here on may share none

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if stops.is_whole() or path in PROBES:
            return self.application(environ, start_response)
        try:
            stops.require_whole()
        except (stops.Restored, stops.NotKnown) as error:
            self._say(logging.CRITICAL, f"Nothing is served: {error}")
        except DatabaseError as error:
            connection.close()
            self._say(logging.WARNING, f"Nothing is served, the database does not answer: {type(error).__name__}")
        else:
            return self.application(environ, start_response)
        return self._refuse(path, start_response)

    def _say(self, level: int, text: str) -> None:
        """Once, not for each request."""
        if text != self._said:
            self._said = text
            logger.log(level, text)

    def _refuse(self, path: str, start_response: StartResponse) -> Iterable[bytes]:
        problem, request_id = problems.unavailable(), problems.new_request_id()
        status, headers = "503 Service Unavailable", problems.headers(problem, request_id)
        if path.startswith(gateway.PATH):
            status, headers = "403 Forbidden", {**headers, "X-Pithead-Code": problem.problem_code}
        if path.startswith((*self.mounts, gateway.PATH)):
            content, content_type = problems.content(problem, request_id), problems.CONTENT_TYPE
        else:
            content, content_type = b"Temporarily unavailable. Please try again later.\n", "text/plain"
        headers |= {"Content-Type": content_type, "Content-Length": str(len(content))}
        start_response(status, list(headers.items()))
        return [content]
