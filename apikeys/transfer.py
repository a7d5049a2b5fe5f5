"""Moving a miner, hub or pool to another account: what its keys lose and gain by that, and the move itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from hashlib import sha256
from operator import or_
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy

from accounts import access, audit, audit_chain
from accounts.changes import Refused, note_for_audit
from accounts.models import Account
from accounts.notices import notify_members
from apikeys.models import ApiKey, KeyScope
from entities.models import Entity, HubClient, Kind

TRANSFER = "entity.transfer"
CHANGED_MEANWHILE = "Keys changed since this page was shown. Look at it again, and confirm once more."
ACTIONS = frozenset({"read", "write", "admin"})


@dataclass(frozen=True)
class KeyReach:
    """A key that reaches an entity: with which actions, and by which ways in words."""

    key_pk: UUID
    support: bool
    actions: frozenset[str]
    ways: frozenset[str]


@dataclass(frozen=True)
class Impact:
    """What a transfer does to keys: those of the old account that lose something, and those of the new that gain."""

    loses: list[KeyReach]
    gains: list[KeyReach]

    @property
    def fingerprint(self) -> str:
        """Changes when anything of it does: so that nobody confirms what they were not shown."""
        rows = [sorted((str(row.key_pk), *sorted(row.actions)) for row in side) for side in (self.loses, self.gains)]
        return sha256(repr(rows).encode()).hexdigest()


def check(entity: Entity, to: Account) -> None:
    """Raise Refused where ``entity`` can't become ``to``'s; pages ask before they take a code."""
    if entity.account_id == to.pk:
        raise Refused(f"{entity} is {to}’s already. Choose another account.", "to")
    taken = Entity.objects.of_account(to.pk, entity.environment).filter(kind=entity.kind, name=entity.name)
    if taken.exists():
        raise Refused(_name_taken(entity, to), "to")


def impact_of(entity: Entity, to: Account) -> Impact:
    """Which keys the transfer of ``entity`` to ``to`` takes it from, and which get it. It writes nothing."""
    source = entity.account_id
    loses = _difference(_reach(entity, source, owner=source), _reach(entity, source, owner=to.pk))
    gains = _difference(_reach(entity, to.pk, owner=to.pk), _reach(entity, to.pk, owner=source))
    named = KeyScope.objects.filter(entity__in=_stranded_clients(entity))
    clients = _keys_of(_standing(named, source, entity), entity)
    return Impact(loses=list((clients | loses).values()), gains=list(gains.values()))


def stays_reachable(entity: Entity) -> bool:
    """Whether keys of the account that gives ``entity`` away may go on naming it: as a client of the account's hubs."""
    return bool(_own_hubs(entity, entity.account_id))


def transfer(entity: Entity, to: Account, *, actor: audit.Actor, note: str = "", seen: str | None = None) -> Entity:
    """Make ``entity`` ``to``'s, with all that hangs on it; keys lose and gain it at their next request.

    ``seen`` is the fingerprint of the impact that whoever confirms it was shown: no other one comes to pass.

    Scope rows by which the old account's keys name it go, unless it is still a client of one of that account's hubs:
    should it ever come back, no key gets it back unasked. So do those that name the clients of a hub that goes.
    Revoked keys keep theirs, for the record.

    The accounts are locked first, in the order of their keys, as everything that writes scopes locks its account; then
    the entity, as `entities.clients` does, which locks no account. The chains of audit events come last.

    Raises Refused, PermissionDenied, StepUpMissing.
    """
    actor.require_step_up(TRANSFER)
    with transaction.atomic():
        both = Account.objects.filter(pk__in=[entity.account_id, to.pk]).order_by("pk").select_for_update(no_key=True)
        accounts = {account.pk: account for account in both}
        access.require_staff(actor)
        entity = _lock(entity)
        source, to = accounts[entity.account_id], accounts[to.pk]
        check(entity, to)
        impact = impact_of(entity, to)
        if seen is not None and seen != impact.fingerprint:
            raise Refused(CHANGED_MEANWHILE)
        audit_chain.hold(source, to)
        _drop_rows(entity, source, actor)
        entity.account = to
        try:
            with transaction.atomic():
                entity.save(update_fields=["account"])
        except IntegrityError:
            raise Refused(_name_taken(entity, to), "to") from None
        for account, other, direction in ((source, to, "to"), (to, source, "from")):
            audit.record(
                f"{entity.kind}.transferred",
                actor=actor,
                account=account,
                target=entity,
                **{direction: str(other.pk)},
                keys_losing=len(impact.loses),
                keys_gaining=len(impact.gains),
                **note_for_audit(note),
            )
        _tell(entity, source, actor, impact.loses, into=False)
        _tell(entity, to, actor, impact.gains, into=True)
    return entity


def _lock(entity: Entity) -> Entity:
    locked = Entity.objects.select_for_update(no_key=True).filter(pk=entity.pk, account=entity.account_id).first()
    if locked is None:
        raise Refused("It was moved to another account meanwhile. Load the page again.")
    return locked


def _drop_rows(entity: Entity, source: Account, actor: audit.Actor) -> None:
    gone = Q(entity__in=_stranded_clients(entity))
    if not stays_reachable(entity):
        gone |= Q(entity=entity)
    rows = _standing(KeyScope.objects.filter(gone), source.pk, entity)
    dropped: dict[UUID, list[str]] = {}
    for row in rows:
        dropped.setdefault(row.key_id, []).append(str(row))
    for key in ApiKey.every.filter(pk__in=list(dropped)).order_by("pk"):
        audit.record("key.scope_dropped", actor=actor, account=source, target=key, scopes=sorted(dropped[key.pk]))
    rows.delete()


def _stranded_clients(hub: Entity) -> QuerySet[Entity]:
    """The clients that keys of ``hub``'s account may name only because of ``hub``."""
    of_other_hubs = HubClient.objects.served().filter(hub__account=hub.account_id).exclude(hub=hub)
    clients = Entity.objects.filter(pk__in=HubClient.objects.served().filter(hub=hub).values("miner"))
    return clients.exclude(account=hub.account_id).exclude(pk__in=of_other_hubs.values("miner"))


def _reach(entity: Entity, account_id: UUID, *, owner: UUID) -> dict[UUID, KeyReach]:
    """The keys of an account that reach ``entity`` if it is ``owner``'s, by their primary keys.

    `entities.scoping.Reach`, asked the other way round: of one entity and all keys, in one query.
    tests/apikeys/test_transfer.py holds one against the other.
    """
    rows = KeyScope.objects.filter(reduce(or_, _conditions(entity, account_id, owner), Q(pk=None)))
    return _keys_of(_standing(rows, account_id, entity), entity)


def _standing(rows: QuerySet[KeyScope], account_id: UUID, entity: Entity) -> QuerySet[KeyScope]:
    return rows.filter(key__account=account_id, key__environment=entity.environment, key__revoked_at=None)


def _keys_of(rows: QuerySet[KeyScope], entity: Entity) -> dict[UUID, KeyReach]:
    found: dict[UUID, KeyReach] = {}
    columns = rows.values_list("key_id", "key__support", "action", "kind", "entity").distinct()
    for key_pk, support, action, kind, picked in columns:
        so_far = found.get(key_pk) or KeyReach(key_pk, support, frozenset(), frozenset())
        actions = ACTIONS if action == KeyScope.Action.ANY else {action}
        way = _way_in_words(entity, kind, picked)
        found[key_pk] = KeyReach(key_pk, support, so_far.actions | actions, so_far.ways | {way})
    return found


def _conditions(entity: Entity, account_id: UUID, owner: UUID) -> Iterable[Q]:
    """Which scope rows of an account's keys reach ``entity``."""
    is_own = owner == account_id
    hubs = _own_hubs(entity, account_id)
    if is_own:
        yield _all_of(entity.kind)
    if is_own or hubs:
        yield Q(kind=entity.kind, entity=entity)
    if hubs:
        yield _all_of(Kind.HUB) | Q(kind=Kind.HUB, entity__in=[hub.pk for hub in hubs])
    pools = {hub.pool_id for hub in hubs} | ({entity.pool_id} if is_own or hubs else set())
    own_pools = Entity.objects.of_account(account_id, entity.environment).filter(kind=Kind.POOL, pk__in=pools - {None})
    if own_pools:
        yield _all_of(Kind.POOL) | Q(kind=Kind.POOL, entity__in=[pool.pk for pool in own_pools])


def _all_of(kind: str) -> Q:
    return Q(entity=None, kind__in=[kind, KeyScope.ANY_KIND])


def _own_hubs(entity: Entity, account_id: UUID) -> list[Entity]:
    """The hubs of an account that serve ``entity``, a miner."""
    clients = HubClient.objects.served().filter(miner=entity).select_related("hub")
    return [
        client.hub
        for client in clients
        if (client.hub.account_id, client.hub.environment, client.hub.kind)
        == (account_id, entity.environment, Kind.HUB)
    ]


def _way_in_words(entity: Entity, kind: str, picked: UUID | None) -> str:
    if picked == entity.pk:
        return "by hand"
    if picked is not None:
        return "its clients by hand" if entity.kind == Kind.HUB and kind == Kind.MINER else f"through a {kind}"
    if kind == KeyScope.ANY_KIND:
        return "everything"
    return f"all {kind}s" if kind == entity.kind else f"through all {kind}s"


def _difference(more: dict[UUID, KeyReach], less: dict[UUID, KeyReach]) -> dict[UUID, KeyReach]:
    """Those of ``more`` that have actions which they have not in ``less``."""
    return {pk: row for pk, row in more.items() if pk not in less or row.actions - less[pk].actions}


def _name_taken(entity: Entity, to: Account) -> str:
    kind = Kind(entity.kind).label.lower()
    where = entity.get_environment_display().lower()
    return f"{to} has a {kind} named {entity} in {where} already. Rename one of them first."


def _tell(entity: Entity, account: Account, actor: audit.Actor, keys: list[KeyReach], *, into: bool) -> None:
    """Mail the owners of one side. They don't learn who the other is, and don't count support keys."""
    subject = gettext_lazy("{entity} was moved to {account}") if into else gettext_lazy("{entity} left {account}")
    notify_members(
        account,
        "entity.transferred",
        format_lazy(subject, entity=entity.name, account=account.name),
        "entity_transferred",
        actor=actor,
        entity=entity,
        what=Kind(entity.kind).label,
        keys=sum(not row.support for row in keys),
        into=into,
    )
