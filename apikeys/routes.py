"""Routes as people read them: ``/api/v1/miners/{miner_id}``. A pattern, never what somebody wrote into a path."""

from __future__ import annotations

import re
from functools import lru_cache

from django.http import HttpRequest

#: Everything under a mount that is no route of its own
NO_SUCH_ROUTE = "api-no-such-route"


def route_of(request: HttpRequest) -> str:
    """The pattern of the route that answers ``request``; "" where it came to none."""
    match = request.resolver_match
    if match is None:
        return ""
    return _readable(match.route, match.url_name == NO_SUCH_ROUTE)


@lru_cache(maxsize=1024)
def _readable(route: str, is_none: bool) -> str:
    """``api/v1/miners/<str:entity_id>`` → ``/api/v1/miners/{miner_id}``; ``/api/v1/*`` for no route at all."""
    if is_none:
        return f"/{route}*"
    return name_ids("/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route))


def name_ids(path: str) -> str:
    """``/miners/{entity_id}`` → ``/miners/{miner_id}``."""
    return re.sub(r"/([a-z]+)s/\{entity_id\}", r"/\1s/{\1_id}", path)
