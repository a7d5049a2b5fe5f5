"""Which entities a grant reaches, as querysets: what is out of reach does not exist.

Reach is a rule that the database evaluates on each request, never a stored list: a miner that was added, a client that
left its hub or an entity that changed account counts from the next request on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import reduce
from operator import or_
from typing import Any, Protocol
from uuid import UUID

from django.db import models
from django.db.models import Q, QuerySet

from accounts.access_levels import PERMISSIONS, Action

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

    def reaches_all(self, kind: str, action: str) -> bool:
        """Whether a scope row gives ``action`` on all, current and future, of ``kind``."""

    def picked(self, kind: str, action: str) -> QuerySet[Any] | None:
        """The ids that scope rows pick by hand for ``action``, as a subquery; None where there are none."""


class ScopedQuerySet(models.QuerySet[Any]):
    def of_account(self, account_id: UUID, environment: str) -> ScopedQuerySet:
        return self.filter(account_id=account_id, environment=environment)

    def within(
        self,
        grant: Grant,
        permission: str,
        *,
        only: Collection[UUID] | None = None,
        cut: Callable[[ScopedQuerySet], QuerySet[Any]] | None = None,
    ) -> ScopedQuerySet:
        """Narrow to the entities that ``grant`` reaches with ``permission`` (one of `access_levels.PERMISSIONS`).

        ``only`` and ``cut`` say nothing that could not be said of the answer; said here, they are pushed down, so
        that the database never gathers all that the grant reaches to show a little of it. ``only``: of these ids.
        ``cut``: filters, order and limit of a page, which the caller applies to the answer once more.
        """
        reach = Reach(grant, PERMISSIONS[permission].action)
        kinds = [self.model.KIND] if self.model.KIND else KINDS
        own = _any_of(condition for kind in kinds for condition in reach.own(kind))
        clients = reach.clients() if "miner" in kinds else None
        if only is not None:
            own = None if own is None else own & Q(pk__in=only)
            clients = None if clients is None else clients.filter(miner__in=only)
        if clients is None:
            return self.none() if own is None else self.filter(own)
        if own is None:
            return self.filter(pk__in=clients)
        own_half = _entities().filter(own).order_by()
        if cut is not None:
            own_half = _entities().filter(pk__in=cut(own_half).values("pk")).order_by()
            clients = _entities().filter(pk__in=cut(_entities().filter(pk__in=clients)).values("pk")).values("pk")
        # A union and not an OR: each half walks an index of its own, whatever else the table holds.
        return self.filter(pk__in=own_half.values("pk").union(clients.order_by()))


class Reach:
    """A grant's reach for one action class. The classes are apart: ``write`` implies no ``read``.

    - A row on *all* of a kind means the account's own of that kind, in the key's environment.
    - A picked entity counts while it is the account's own, or a client of one of the account's hubs.
    - A hub that is reached reaches the miners that it serves, whoever owns them.
    - A pool that is reached reaches what mines on it: the account's own hubs and miners, and clients of its hubs.
    """

    def __init__(self, grant: Grant, action: Action) -> None:
        self.grant = grant
        self.action = str(action)

    def own(self, kind: str) -> list[Q]:
        """The condition under which an entity of ``kind`` is the account's own and reached; [] if none can be."""
        own = Q(account_id=self.grant.account_id, environment=self.grant.environment, kind=kind)
        if self.grant.reaches_all(kind, self.action):
            return [own]
        named = _any_of(self._named(kind))
        return [] if named is None else [own & named]

    def clients(self) -> QuerySet[Any] | None:
        """Ids of the miners that are reached as clients of the account's hubs; None if none can be."""
        from entities.models import HubClient

        served = HubClient.objects.served().filter(
            hub__account_id=self.grant.account_id, hub__environment=self.grant.environment, hub__kind="hub"
        )
        if self.grant.reaches_all("hub", self.action):
            return served.values("miner")
        named = _any_of([*self._named("hub", of="hub__"), *self._named("miner", of="miner__")])
        return None if named is None else served.filter(named).values("miner")

    def _named(self, kind: str, *, of: str = "") -> list[Q]:
        """How one of ``kind`` is reached other than by "all": picked by hand, or mining on a pool that is reached."""
        ways = []
        picked = self.grant.picked(kind, self.action)
        if picked is not None:
            ways.append(Q(**{f"{of}pk__in": picked}))
        if kind != "pool":
            ways.extend(Q(**{f"{of}pool__in": _entities().filter(pools).values("pk")}) for pools in self.own("pool"))
        return ways


def _entities() -> ScopedQuerySet:
    from entities.models import Entity

    return Entity.objects.all()


def _any_of(conditions: Iterable[Q]) -> Q | None:
    """The conditions joined by OR; None where there are none."""
    listed = list(conditions)
    return reduce(or_, listed) if listed else None
