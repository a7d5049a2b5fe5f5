"""What can be done to workers and their groups: the only writers of them for keys.

Each function runs in one transaction with its audit row. A group's row is locked before its workers', so that none
joins a group that is going away. What went away meanwhile raises ObjectDoesNotExist.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction

from accounts import audit
from accounts.audit import Actor
from entities.miners import set_values
from entities.models import Entity, Worker, WorkerGroup
from entities.names import refusing_taken

CHANGEABLE = ("name", "group")


@transaction.atomic
def update_worker(worker: Worker, *, actor: Actor, **values: Any) -> Worker:
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
        audit.record(
            "worker.changed", actor=actor, account=locked.miner.account, target=locked, **_of(locked), changes=changes
        )
    return locked


@transaction.atomic
def create_group(miner: Entity, *, name: str, actor: Actor) -> WorkerGroup:
    """Make a group without workers. Raises NameTaken."""
    with refusing_taken(WorkerGroup.objects.filter(miner=miner, name=name)):
        group = WorkerGroup.objects.create(miner=miner, name=name)
    audit.record("worker_group.created", actor=actor, account=miner.account, target=group, **_of(group))
    return group


@transaction.atomic
def rename_group(group: WorkerGroup, *, name: str, actor: Actor) -> WorkerGroup:
    """Return the group under its new name. Raises NameTaken."""
    group = _lock_group(group.pk, miner_id=group.miner_id)
    changes = set_values(group, {"name": name})
    if changes:
        with refusing_taken(WorkerGroup.objects.filter(miner=group.miner_id, name=name).exclude(pk=group.pk)):
            group.save(update_fields=["name"])
        audit.record(
            "worker_group.changed",
            actor=actor,
            account=group.miner.account,
            target=group,
            **_of(group),
            changes=changes,
        )
    return group


@transaction.atomic
def delete_group(group: WorkerGroup, *, actor: Actor) -> None:
    """Remove the group; its workers stay, without a group."""
    group = _lock_group(group.pk, miner_id=group.miner_id)
    workers = group.workers.count()
    audit.record(
        "worker_group.removed",
        actor=actor,
        account=group.miner.account,
        target=group,
        **_of(group),
        workers=workers,
    )
    group.delete()


def _lock_group(group_id: UUID, *, miner_id: UUID) -> WorkerGroup:
    groups = WorkerGroup.objects.select_for_update(of=("self",)).select_related("miner__account")
    return groups.get(pk=group_id, miner=miner_id)


def _of(row: Worker | WorkerGroup) -> dict[str, str]:
    return {"miner": str(row.miner_id)}
