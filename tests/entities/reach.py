"""Asking every route of an entity whether a key reaches it; the routes are those of the access matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from entities.models import Entity
from tests.entities.conftest import MOUNT
from tests.security.test_matrix import ROUTES, WRITES, address, make_part

NOUNS = {"miner": "miners", "hub": "hubs", "pool": "pools"}

Call = Callable[..., Any]


def reads_of(entity: Entity) -> list[str]:
    """The path of everything that can be read of ``entity``."""
    start = f"{NOUNS[entity.kind]}/<str:entity_id>"
    routes = [route for route in ROUTES if "GET" in ROUTES[route] and route.startswith(start) and route.count("<") == 1]
    paths = [route.replace("<str:entity_id>", str(entity.pk)) for route in routes]
    return [*paths, f"miners/charts?id={entity.pk}"] if entity.kind == "miner" else paths


def writes_of(entity: Entity) -> list[tuple[str, str]]:
    """Method and path of every write to ``entity``."""
    routes = [route for route in ROUTES if route.startswith(f"{NOUNS[entity.kind]}/<str:entity_id>")]
    return [
        (method, address(route, entity.pk, part_id=make_part(route, entity)).removeprefix(MOUNT))
        for route in routes
        for method in ROUTES[route]
        if method in WRITES
    ]


def statuses(call: Call, entity: Entity) -> dict[str, int]:
    return {path: call("GET", path).status_code for path in reads_of(entity)}


def reaches(call: Call, entity: Entity) -> bool:
    """Whether the key reaches ``entity``: on every route, or on none. Anything between fails."""
    found = {path: status != 404 for path, status in statuses(call, entity).items()}
    listed = entity.pk in ids(call, NOUNS[entity.kind])
    assert set(found.values()) == {listed}, found
    return listed


def ids(call: Call, path: str) -> set[UUID]:
    """The ids in a whole list, of its rows or of the miners that they are about."""
    answer = call("GET", f"{path}{'&' if '?' in path else '?'}limit=500")
    assert answer.status_code == 200, answer.content
    return {_id(row) for row in answer.json()["data"]}


def _id(row: dict[str, Any]) -> UUID:
    return UUID(row["id"] if "id" in row else row["miner"]["id"])
