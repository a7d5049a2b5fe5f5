"""Reach and pages over worlds of chance, against DESIGN's rules in plain Python."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apikeys import key_format
from apikeys.grants import Grant, load_grant
from apikeys.models import KeyScope
from entities.api.filters import EntityFilters
from entities.cuts import Cut
from entities.models import Entity, Hub, HubClient, Miner, Pool
from tests.factories import HubFactory, MinerFactory, PoolFactory

PERMISSIONS = {"read": "entities:read", "write": "workers:write", "admin": "settings:write"}
MODELS = {"miner": Miner, "hub": Hub, "pool": Pool}
ORDERINGS = [("id",), ("-id",), ("name", "id"), ("-name", "-id"), ("created_at", "id"), ("-created_at", "-id")]


def chance(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    """An entity, mostly of the key's own account and environment."""
    fields = {
        "kind": st.just(kind),
        "own": st.sampled_from([True, True, False]),
        "live": st.sampled_from([True] * 4 + [False]),
    }
    if kind != "pool":
        fields["pool"] = st.one_of(st.none(), st.integers(0, 2))
    return st.fixed_dictionaries(fields)


WORLDS = st.fixed_dictionaries(
    {
        "pools": st.lists(chance("pool"), min_size=3, max_size=3),
        "hubs": st.lists(chance("hub"), min_size=3, max_size=3),
        "miners": st.lists(chance("miner"), min_size=1, max_size=12),
        "clients": st.sets(st.tuples(st.integers(0, 2), st.integers(0, 11)), max_size=14),
        # Rows of a key: which action, of which kind, and which of them; None is all.
        "rows": st.sets(
            st.tuples(
                st.sampled_from(["*", "read", "write"]),
                st.sampled_from(["miner", "miner", "hub", "pool", "*"]),
                st.one_of(st.none(), st.integers(0, 11)),
            ),
            max_size=12,
        ),
    }
)


@dataclass
class World:
    account: Any
    entities: list[Entity]
    served: set[tuple[Any, Any]]
    rows: set[tuple[str, str, Any]]
    grant: Grant

    def reached(self, kind: str, action: str) -> set[Any]:
        """DESIGN, section 3: a rule on all, a pick, a hub's clients, what mines on a pool."""
        own = {e.pk: e for e in self.entities if e.account_id == self.account.pk and e.environment == "production"}
        own_of = {k: {pk for pk, e in own.items() if e.kind == k} for k in MODELS}
        clients = {
            miner.pk: {hub for hub, client in self.served if client == miner.pk and hub in own_of["hub"]}
            for miner in self.entities
            if miner.kind == "miner" and miner.environment == "production"
        }
        clients = {miner: hubs for miner, hubs in clients.items() if hubs}
        rows = [(k, pk) for a, k, pk in self.rows if a in (action, "*")]

        def named(k: str) -> set[Any]:
            every = (k, None) in rows or ("*", None) in rows
            # A picked client of a hub is not among all of the account's own: the two rows add up.
            return {pk for row_kind, pk in rows if row_kind == k and pk is not None} | (own_of[k] if every else set())

        pool_of = {e.pk: e.pool_id for e in self.entities}
        pools = named("pool") & own_of["pool"]
        hubs = {pk for pk in own_of["hub"] if pk in named("hub") or pool_of[pk] in pools}
        if kind == "pool":
            return pools
        if kind == "hub":
            return hubs
        return {pk for pk in own_of["miner"] if pk in named("miner") or pool_of[pk] in pools} | {
            pk for pk, of in clients.items() if of & hubs or pk in named("miner") or pool_of[pk] in pools
        }


@pytest.fixture
def build(account, other_account, issue_key):
    key, secret = issue_key("administrator", ["*:*"])
    selector = key_format.parse(secret, prefix="ph").selector

    def build(plan: dict[str, Any]) -> World:
        factories = {"pool": PoolFactory, "hub": HubFactory, "miner": MinerFactory}
        made: dict[str, list[Entity]] = {"pool": [], "hub": [], "miner": []}
        for number, fields in enumerate([*plan["pools"], *plan["hubs"], *plan["miners"]]):
            kind, pool = fields["kind"], fields.get("pool")
            made[kind].append(
                factories[kind](
                    account=account if fields["own"] else other_account,
                    environment="production" if fields["live"] else "staging",
                    # Two accounts may have a name each; made at one moment, so that ties are told apart.
                    name=f"{'ab'[number % 2]}{number // 2}"
                    if fields["own"]
                    else f"{'ab'[number % 2]}{number // 3}-{number}",
                    created_at="2026-01-01T00:00:00Z" if number % 3 else "2026-02-01T00:00:00Z",
                    pool=None if pool is None else made["pool"][pool],
                )
            )
        served = {
            (made["hub"][hub], made["miner"][miner]) for hub, miner in plan["clients"] if miner < len(made["miner"])
        }
        HubClient.objects.bulk_create(HubClient(hub=hub, miner=miner) for hub, miner in served)
        rows = set()
        for action, kind, number in plan["rows"]:
            if number is None or kind == "*":
                rows.add((action, kind, None))
            elif number < len(made[kind]):
                rows.add((action, kind, made[kind][number].pk))
        key.scopes.all().delete()
        KeyScope.objects.bulk_create(KeyScope(key=key, action=a, kind=k, entity_id=pk) for a, k, pk in rows)
        return World(
            account,
            [entity for entities in made.values() for entity in entities],
            {(hub.pk, miner.pk) for hub, miner in served},
            rows,
            load_grant(selector).grant,
        )

    return build


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    plan=WORLDS,
    kind=st.sampled_from(["miner", "miner", "hub", "pool"]),
    action=st.sampled_from(list(PERMISSIONS)),
    size=st.integers(2, 4),
)
def test_every_page_of_every_order_shows_what_the_rules_say(build, plan, kind, action, size):
    with transaction.atomic():
        world = build(plan)
        model, permission = MODELS[kind], PERMISSIONS[action]
        reached = world.reached(kind, action)
        assert {entity.pk for entity in model.objects.within(world.grant, permission)} == reached
        only = [entity.pk for entity in world.entities[::2]]
        narrowed = model.objects.within(world.grant, permission, only=only)
        assert sorted(entity.pk for entity in narrowed) == sorted(reached & set(only))
        pool = world.entities[0].pk
        for query in ({}, {"search": "A"}, {"name": world.entities[-1].name}, {"pool": str(pool)}):
            for ordering in ORDERINGS:
                expected = [entity for entity in world.entities if entity.pk in reached and fits(entity, query)]
                for column in reversed(ordering):
                    name = column.removeprefix("-")
                    expected.sort(key=lambda e, name=name: getattr(e, name), reverse=column.startswith("-"))
                walked = list(walk(model, world.grant, permission, ordering, query, size))
                assert [e.pk for e in walked] == [e.pk for e in expected], (query, ordering)
        transaction.set_rollback(True)  # each example has a world of its own


def fits(entity: Entity, query: dict[str, str]) -> bool:
    return (
        query.get("search", "").lower() in entity.name.lower()
        and query.get("name", entity.name) == entity.name
        and query.get("pool", str(entity.pool_id)) == str(entity.pool_id)
    )


def walk(model, grant, permission, ordering, query, size):
    """The rows of all pages, each cut as a list view cuts it."""
    after = None
    while True:
        filters = EntityFilters(query, model.objects.none())
        assert filters.is_valid(), filters.errors
        cut = Cut(ordering, after, size, filters.filter_queryset)
        rows = list(cut(filters.filter_queryset(model.objects.within(grant, permission, cut=cut))))
        yield from rows
        if len(rows) < size:
            return
        after = [getattr(rows[-1], column.removeprefix("-")) for column in ordering]


def test_an_entity_that_two_rows_pick_comes_once_and_fills_no_page_twice(build):
    miner = {"kind": "miner", "own": True, "live": True, "pool": None}
    of_kind = {kind: [{**miner, "kind": kind}] * 3 for kind in ("pool", "hub")}
    rows = {(action, "miner", number) for action in ("*", "read") for number in range(6)}
    world = build(
        {"pools": of_kind["pool"], "hubs": of_kind["hub"], "miners": [miner] * 6, "clients": set(), "rows": rows}
    )
    first = Cut(("id",), None, 4)
    page = first(Miner.objects.within(world.grant, "entities:read", cut=first))
    assert [entity.pk for entity in page] == [entity.pk for entity in world.entities if entity.kind == "miner"][:4]
