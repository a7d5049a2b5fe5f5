"""Which entities a grant reaches, as querysets: what is out of reach does not exist.

Reach is a rule that the database evaluates on each request, never a stored list: a miner that was added, a client that
left its hub or an entity that changed account counts from the next request on.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any, Protocol
from uuid import UUID

from django.db import connections, models
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery, Value

from accounts.access_levels import PERMISSIONS, Action
from entities.cuts import Cut

KINDS = ("miner", "hub", "pool")


class Grant(Protocol):
    """What entities need to know of a grant. `apikeys.grants.Grant` fits; entities never imports it."""

    @property
    def key_id(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def account_id(self) -> UUID: ...

    @property
    def environment(self) -> str: ...

    @property
    def permissions(self) -> frozenset[str]: ...

    @property
    def picked_only(self) -> bool:
        """Whether what is picked by hand is all that is reached, and nothing of it reaches further."""

    def reaches_all(self, kind: str, action: str) -> bool:
        """Whether a scope row gives ``action`` on all, current and future, of ``kind``."""

    def picked(self, kind: str, action: str) -> Way | None:
        """What scope rows pick by hand for ``action``; None where there are none."""


class ScopedQuerySet(models.QuerySet[Any]):
    def of_account(self, account_id: UUID, environment: str) -> ScopedQuerySet:
        return self.filter(account_id=account_id, environment=environment)

    def within(
        self,
        grant: Grant,
        permission: str,
        *,
        only: Collection[UUID] | None = None,
        cut: Cut | None = None,
    ) -> ScopedQuerySet:
        """Narrow to the entities that ``grant`` reaches with ``permission`` (one of `access_levels.PERMISSIONS`).

        ``only`` and ``cut`` say nothing that could not be said of the answer; said here, they are pushed down, so
        that the database never gathers all that the grant reaches to show a little of it. ``only``: of these ids.
        ``cut``: the page, which the caller cuts from the answer once more.
        """
        reach = Reach(grant, PERMISSIONS[permission].action)
        ways = [way for kind in ([self.model.KIND] if self.model.KIND else KINDS) for way in reach.ways(kind)]
        if not ways:
            return self.none()
        if len(ways) == 1 and ways[0].is_plain:
            return self.filter(ways[0].condition if only is None else ways[0].condition & Q(pk__in=only))
        # A union and not an OR: each way walks an index of its own, whatever else the table holds.
        first, *others = (way.ids(only, cut) for way in ways)
        return self.filter(pk__in=first.union(*others) if others else first)


@dataclass(frozen=True)
class Way:
    """One way to reach entities: a condition, and where an index lists what fulfils it by id.

    ``id_at`` is the path of the id's column in that index, "id" where it is one of the entities' own. On any other
    path an entity may come up several times.
    """

    condition: Q
    id_at: str = "id"

    @property
    def is_plain(self) -> bool:
        """Whether any queryset of entities can be filtered by the condition as it is."""
        return self.id_at == "id"

    def entities(self, also: Q | None = None) -> ScopedQuerySet:
        """What is reached in this way. ``also``: a condition that may name ``id_at``."""
        rows = _entities().order_by().filter(self._whole_condition() & (also or Q()))
        return rows if self.id_at == "id" else rows.distinct()

    def ids(self, only: Collection[UUID] | None, cut: Cut | None) -> QuerySet[Any]:
        """Ids of what is reached: all of them, those in ``only``, or with ``cut`` at least the ones of that page."""
        if only is not None:
            return self.entities(Q(**{f"{self.id_at}__in": only})).values(self.id_at)
        if cut is None:
            return self.entities().values(self.id_at)
        # Nested, since SQLite cuts no part of a union.
        return _entities().order_by().filter(pk__in=self._page_of_ids(cut)).values("pk")

    def _whole_condition(self) -> Q:
        return self.condition

    def _page_of_ids(self, cut: Cut) -> QuerySet[Any]:
        return cut.first(self.entities(cut.beyond(self.id_at) & cut.beyond()), self.id_at).values(self.id_at)


@dataclass(frozen=True, kw_only=True)
class MembersWay(Way):
    """Members of groups: clients of hubs, or what mines on pools. An index lists each group's by id."""

    groups: QuerySet[Any]
    group: str  # the path from a member to its group

    @property
    def is_plain(self) -> bool:
        return False

    def _whole_condition(self) -> Q:
        return self.condition & Q(**{f"{self.group}__in": self.groups.values("pk")})

    def _page_of_ids(self, cut: Cut) -> QuerySet[Any]:
        if connections[self.groups.db].vendor != "postgresql":
            return super()._page_of_ids(cut)
        # Cut from every group before their rows meet, so that none is read to its end.
        in_group = self.condition & Q(**{self.group: OuterRef("pk")}) & cut.beyond(self.id_at)
        page = cut.first(_entities().filter(in_group), self.id_at).values(self.id_at)
        return self.groups.order_by().values(member=_RowsOf(page))


@dataclass(frozen=True, kw_only=True)
class ClientsWay(MembersWay):
    """Clients of hubs. `HubClient`'s index lists each hub's by the miner's id."""

    id_at: str = "served_by__miner_id"
    group: str = "served_by__hub"

    def _page_of_ids(self, cut: Cut) -> QuerySet[Any]:
        is_walk = cut.ordering in (("id",), ("-id",)) and not cut.of_a_name
        if connections[self.groups.db].vendor != "postgresql" or not is_walk:
            return super()._page_of_ids(cut)
        from entities.models import HubClient

        # The index is walked and each miner looked up, until the page is full. As a join PostgreSQL may sooner read all
        # miners there are: it can't know how soon a page of those that fit is found.
        fits = cut.narrow(_entities().filter(self.condition, pk=OuterRef("miner_id"))).order_by()
        clients = HubClient.objects.filter(cut.beyond("miner_id"), hub=OuterRef("pk"))
        clients = clients.alias(fits=Subquery(fits.values(fits=Value(True))[:1])).filter(fits=True)
        page = clients.order_by(cut.ordering[0].replace("id", "miner_id")).values("miner_id")[: cut.size]
        return self.groups.order_by().values(member=_RowsOf(page))


class _RowsOf(Subquery):
    """All rows of a subquery, as a column: PostgreSQL's LATERAL, as far as the ORM can say it."""

    template = "UNNEST(ARRAY(%(subquery)s))"
    set_returning = True


class Reach:
    """A grant's reach for one action class. The classes are apart: ``write`` implies no ``read``.

    - A row on *all* of a kind means the account's own of that kind, in the key's environment.
    - A picked entity counts while it is the account's own, or a client of one of the account's hubs.
    - A hub that is reached reaches the miners that it serves, whoever owns them.
    - A pool that is reached reaches what mines on it: the account's own hubs and miners, and clients of its hubs.
    - Of a grant that is ``picked_only`` the picked entities are all there is: none of them reaches down.
    """

    def __init__(self, grant: Grant, action: Action) -> None:
        self.grant = grant
        self.action = str(action)

    def ways(self, kind: str) -> list[Way]:
        """The ways in which entities of ``kind`` are reached; together they are the reach."""
        ways: list[Way] = []
        every, pools = self._reaches_all(kind), None if kind == "pool" else self._groups("pool")
        if every:
            ways.append(Way(self._own(kind)))
        elif pools is not None:
            ways.append(MembersWay(self._own(kind), groups=pools, group="pool"))
        if kind == "miner":
            ways += self._clients(pools)
            every = every and self._reaches_all("hub")
        picked = self.grant.picked(kind, self.action)
        if picked is not None and not every:
            ways.append(Way(picked.condition & self._can_be_picked(kind), picked.id_at))
        return ways

    def _reaches_all(self, kind: str) -> bool:
        return self.grant.reaches_all(kind, self.action)

    def _own(self, kind: str) -> Q:
        return Q(account_id=self.grant.account_id, environment=self.grant.environment, kind=kind)

    def _clients(self, pools: QuerySet[Any] | None) -> list[Way]:
        """The clients of hubs that are reached, and of any own hub those on ``pools``, the pools that are reached."""
        hubs = self._groups("hub")
        if hubs is None:
            return []
        # What counts as served: `HubClientQuerySet.served`.
        condition = Q(kind="miner", environment=self.grant.environment)
        if pools is not None and not self._reaches_all("hub"):
            condition &= Q(served_by__hub__in=hubs.values("pk")) | Q(pool__in=pools.values("pk"))
            hubs = _entities().filter(self._own("hub"))
        return [ClientsWay(condition, groups=hubs)]

    def _can_be_picked(self, kind: str) -> Q:
        own = self._own(kind)
        if kind != "miner":
            return own
        from entities.models import HubClient

        served = HubClient.objects.served().filter(
            miner=OuterRef("pk"), hub__in=_entities().filter(self._own("hub")).values("pk")
        )
        return own | Q(Exists(served))

    def _groups(self, kind: str) -> QuerySet[Any] | None:
        """The hubs or pools that are reached, which reach down; None if none can be."""
        if self.grant.picked_only:
            return None
        own = _entities().filter(self._own(kind))
        if self._reaches_all(kind):
            return own
        ways = []
        picked = self.grant.picked(kind, self.action)
        if picked is not None:
            ways.append(Q(pk__in=picked.entities().values(picked.id_at)))
        pools = self._groups("pool") if kind == "hub" else None
        if pools is not None:
            ways.append(Q(pool__in=pools.values("pk")))
        return own.filter(reduce(or_, ways)) if ways else None


def _entities() -> ScopedQuerySet:
    from entities.models import Entity

    return Entity.objects.all()
