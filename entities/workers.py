"""What can be done to workers and their groups: the only writers of them for keys.

Each function runs in one transaction with its audit row. A group's row is locked before its workers', so that none
joins a group that is going away. What went away meanwhile raises ObjectDoesNotExist. ``by`` is the id of the account
that acts: the miner's own, or that of a hub which serves it.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction

from accounts import audit, audit_chain
from accounts.audit import Actor
from accounts.models import Account
from entities.changes import set_values
from entities.models import Entity, Worker, WorkerGroup
from entities.names import refusing_taken

CHANGEABLE = ("name", "group")


@transaction.atomic
def update_worker(worker: Worker, *, actor: Actor, by: UUID, **values: Any) -> Worker:
    """Set the fields of CHANGEABLE that ``values`` names; return the worker as it is then.

    ``group`` is the id of a group of the same miner, or None. Raises NameTaken; WorkerGroup.DoesNotExist for any
    other group.
    """
    if not values.keys() <= set(CHANGEABLE):
        raise TypeError(f"Only {', '.join(CHANGEABLE)} can be changed.")
    if values.get("group") is not None:
        values["group"] = _lock_group(values["group"], miner_id=worker.miner_id)
    locked = (
        Worker.objects.select_for_update(of=("self",), no_key=True)
        .select_related("miner__account", "group")
        .get(pk=worker.pk, miner=worker.miner_id)
    )
    changes = set_values(locked, values)
    if changes:
        namesakes = Worker.objects.filter(miner=locked.miner_id, name=locked.name).exclude(pk=locked.pk)
        with refusing_taken(namesakes):
            locked.save(update_fields=list(changes))
        _record("worker.changed", locked, actor=actor, by=by, changes=changes)
    return locked


@transaction.atomic
def create_group(miner: Entity, *, name: str, actor: Actor, by: UUID) -> WorkerGroup:
    """Make a group without workers. Raises NameTaken."""
    with refusing_taken(WorkerGroup.objects.filter(miner=miner, name=name)):
        group = WorkerGroup.objects.create(miner=miner, name=name)
    _record("worker_group.created", group, actor=actor, by=by)
    return group


@transaction.atomic
def rename_group(group: WorkerGroup, *, name: str, actor: Actor, by: UUID) -> WorkerGroup:
    """Return the group under its new name. Raises NameTaken."""
    group = _lock_group(group.pk, miner_id=group.miner_id)
    changes = set_values(group, {"name": name})
    if changes:
        with refusing_taken(WorkerGroup.objects.filter(miner=group.miner_id, name=name).exclude(pk=group.pk)):
            group.save(update_fields=["name"])
        _record("worker_group.changed", group, actor=actor, by=by, changes=changes)
    return group


@transaction.atomic
def delete_group(group: WorkerGroup, *, actor: Actor, by: UUID) -> None:
    """Remove the group; its workers stay, without a group."""
    group = _lock_group(group.pk, miner_id=group.miner_id)
    _record("worker_group.removed", group, actor=actor, by=by, workers=group.workers.count())
    group.delete()


def _lock_group(group_id: UUID, *, miner_id: UUID) -> WorkerGroup:
    groups = WorkerGroup.objects.select_for_update(of=("self",)).select_related("miner__account")
    return groups.get(pk=group_id, miner=miner_id)


def _record(action: str, row: Worker | WorkerGroup, *, actor: Actor, by: UUID, **data: Any) -> None:
    """A row for the account that acts. The miner's own, where that is another, learns what, but not by which key."""
    owner = row.miner.account
    data = {"miner": str(row.miner_id), **data}
    if by != owner.pk:
        acting = Account.objects.get(pk=by)
        audit_chain.hold(acting, owner)
        audit.record(action, actor=actor, account=acting, target=row, **data)
        actor = Actor(name="The account of a hub", via=actor.via)
    audit.record(action, actor=actor, account=owner, target=row, **data)
