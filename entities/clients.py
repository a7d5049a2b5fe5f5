"""What hubs agree with their clients, or staff decide for them: the only writers of clients and invitations.

Each function runs in one transaction with its audit rows. The hub's row is locked first and the miner's second, so
parallel changes of one hub's clients follow each other and nothing can change account in between. What went away or
changed account meanwhile raises ObjectDoesNotExist.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import models, transaction

from accounts import access, audit, audit_chain
from accounts.audit import Actor
from entities.changes import set_values
from entities.models import Entity, HubClient, HubInvitation, Kind

#: Invitations of one hub that wait for an answer; those of ids that nobody has wait for ever.
MAX_INVITATIONS = 1000
#: What a second factor confirms where staff decide: it changes which keys reach what, without the accounts' agreement.
STAFF_ADD, STAFF_REMOVE = "hub_client.add", "hub_client.remove"


class Refused(Exception):
    """A change that what is there forbids; ``str()`` is what to tell the caller."""


@transaction.atomic
def add(hub: Entity, miner: Entity, *, commission: Decimal, comment: str, actor: Actor) -> HubClient:
    """Make ``miner``, of the hub's own account, a client at once. Raises Refused if it is one already."""
    hub, miner = _lock(hub), _lock(miner)
    _require_no_client(hub, miner.pk)
    hub.invitations.filter(miner_id=miner.pk).delete()
    client = HubClient.objects.create(hub=hub, miner=miner, commission=commission, comment=comment)
    _record("hub_client.added", client, hub, miner, actor=actor, by=hub, commission=str(commission))
    return client


@transaction.atomic
def invite(hub: Entity, miner_id: UUID, *, commission: Decimal, comment: str, actor: Actor) -> HubInvitation:
    """Offer to serve the miner of ``miner_id``, if there is one: neither answer nor work depends on that.

    Raises Refused if it is a client already or too many invitations wait.
    """
    hub = _lock(hub)
    _require_no_client(hub, miner_id)
    return _offer(hub, miner_id, commission=commission, comment=comment, actor=actor)


@transaction.atomic
def withdraw(hub: Entity, invitation_id: UUID, *, actor: Actor) -> None:
    """Take an invitation back."""
    hub = _lock(hub)
    invitation = hub.invitations.get(pk=invitation_id)
    _record_offer("hub_client.withdrawn", invitation, actor=actor)
    invitation.delete()


@transaction.atomic
def accept(miner: Entity, invitation_id: UUID, *, actor: Actor) -> HubClient:
    """Agree, for the account that owns ``miner``: it becomes a client, or a client on the offered terms."""
    hub = _lock(invitations_of(miner).select_related("hub").get(pk=invitation_id).hub)
    miner = _lock(miner)
    # Once more behind the locks: it may have been withdrawn, or replaced by one on other terms.
    invitation = invitations_of(miner).get(pk=invitation_id)
    client = HubClient.objects.served().filter(hub=hub, miner=miner).first()
    if client is None:
        client = HubClient.objects.create(
            hub=hub, miner=miner, commission=invitation.commission, comment=invitation.comment
        )
        _record("hub_client.joined", client, hub, miner, actor=actor, by=miner, commission=str(client.commission))
    else:
        client.hub, client.miner = hub, miner
        terms: dict[str, Any] = {"commission": invitation.commission}
        if invitation.comment:
            terms["comment"] = invitation.comment
        _change(client, terms, actor=actor, by=miner)
    invitation.delete()
    return client


@transaction.atomic
def decline(miner: Entity, invitation_id: UUID, *, actor: Actor) -> None:
    """Refuse an invitation, for the account that owns ``miner``."""
    hub = _lock(invitations_of(miner).select_related("hub").get(pk=invitation_id).hub)
    miner = _lock(miner)
    invitation = invitations_of(miner).get(pk=invitation_id)
    _record("hub_client.declined", invitation, hub, miner, actor=actor, by=miner)
    invitation.delete()


@transaction.atomic
def change(hub: Entity, miner_id: UUID, terms: dict[str, Any], *, actor: Actor) -> HubClient | HubInvitation:
    """Set a client's ``commission`` or ``comment``, whichever ``terms`` holds, and return the client.

    A commission that another account's miner would pay more by is an offer to that account: the change waits as a
    whole, and what is returned is the invitation. Raises Refused if too many invitations wait.
    """
    hub = _lock(hub)
    client = _get_client(hub, miner_id)
    commission = terms.get("commission")
    if commission is not None and commission > client.commission and client.miner.account_id != hub.account_id:
        return _offer(hub, miner_id, commission=commission, comment=terms.get("comment", ""), actor=actor)
    if commission is not None:
        hub.invitations.filter(miner_id=miner_id).delete()  # the last word counts, not an earlier offer
    _change(client, terms, actor=actor, by=hub)
    return client


@transaction.atomic
def remove(hub: Entity, miner_id: UUID, *, actor: Actor) -> None:
    """Serve a client no longer: the hub's keys lose it from the next request on."""
    hub = _lock(hub)
    _end(_get_client(hub, miner_id), "hub_client.removed", actor=actor, by=hub)


@transaction.atomic
def leave(miner: Entity, hub_id: UUID, *, actor: Actor) -> None:
    """Be served by a hub no longer, for the account that owns ``miner``."""
    hub = _lock(HubClient.objects.served().select_related("hub").get(miner=miner, hub=hub_id).hub)
    miner = _lock(miner)
    client = _get_client(hub, miner.pk)
    client.miner = miner
    _end(client, "hub_client.left", actor=actor, by=miner)


@transaction.atomic
def add_by_staff(hub: Entity, miner: Entity, *, commission: Decimal, comment: str, actor: Actor) -> HubClient:
    """Make any miner of the hub's environment a client at once, whoever owns it.

    Raises Refused if it is one already, ValidationError if it can't be one, PermissionDenied, StepUpMissing.
    """
    actor.require_step_up(STAFF_ADD)
    access.require_staff(actor)
    hub, miner = _lock(hub), _lock(miner)
    _require_no_client(hub, miner.pk)
    client = HubClient(hub=hub, miner=miner, commission=commission, comment=comment)
    client.clean()
    hub.invitations.filter(miner_id=miner.pk).delete()
    client.save()
    _record_staff("hub_client.added", client, actor=actor, commission=str(commission))
    return client


def remove_by_staff(clients: Sequence[HubClient], *, actor: Actor) -> int:
    """Let hubs serve ``clients`` no longer, each in a transaction of its own, and return how many there still were.

    Raises PermissionDenied, StepUpMissing.
    """
    actor.require_step_up(STAFF_REMOVE)
    access.require_staff(actor)
    return sum(_remove_by_staff(client.pk, client.hub, actor=actor) for client in clients)


@transaction.atomic
def _remove_by_staff(pk: int, hub: Entity, *, actor: Actor) -> bool:
    hub = Entity.objects.select_for_update(of=("self",), no_key=True).select_related("account").get(pk=hub.pk)
    rows = HubClient.objects.select_for_update(of=("self", "miner"), no_key=True).select_related("miner__account")
    client = rows.filter(pk=pk, hub=hub).first()
    if client is None:
        return False
    client.hub = hub
    hub.invitations.filter(miner_id=client.miner_id).delete()
    _record_staff("hub_client.removed", client, actor=actor)
    client.delete()
    return True


@transaction.atomic
def set_minimum_payout(hub: Entity, amount: Decimal | None, *, actor: Actor) -> None:
    """Set below what balance ``hub`` is not paid, in whole coins; None: what the pool sets."""
    locked = _lock(hub)
    if changes := set_values(locked, {"minimum_payout": amount}):
        locked.save(update_fields=["minimum_payout"])
        audit.record("hub.changed", actor=actor, account=locked.account, target=hub, changes=changes)
    hub.minimum_payout = amount


def invitations_of(miner: Entity) -> models.QuerySet[HubInvitation]:
    """What hubs of the miner's environment offer it."""
    return HubInvitation.objects.filter(miner_id=miner.pk, hub__kind=Kind.HUB, hub__environment=miner.environment)


def _lock(entity: Entity) -> Entity:
    """``entity`` as it is now, locked, if it still is where the caller found it."""
    # NO KEY UPDATE: rows that merely refer to the entity, such as samples, needn't wait.
    locked: Entity = (
        Entity.objects.select_for_update(of=("self",), no_key=True)
        .select_related("account")
        .get(pk=entity.pk, account=entity.account_id, environment=entity.environment)
    )
    return locked


def _get_client(hub: Entity, miner_id: UUID) -> HubClient:
    clients = HubClient.objects.served().select_for_update(of=("self", "miner"), no_key=True)
    client = clients.select_related("miner__account").get(hub=hub, miner=miner_id)
    client.hub = hub
    return client


def _require_no_client(hub: Entity, miner_id: UUID) -> None:
    if HubClient.objects.served().filter(hub=hub, miner=miner_id).exists():
        raise Refused("This miner is a client of the hub already. PATCH the client to change its terms.")


def _offer(hub: Entity, miner_id: UUID, *, commission: Decimal, comment: str, actor: Actor) -> HubInvitation:
    pending = hub.invitations.filter(miner_id=miner_id).first()
    if pending is not None:
        if (pending.commission, pending.comment) == (commission, comment):
            return pending
        # Other terms come under another id: whoever accepts what they read must not agree to something else.
        pending.delete()
    elif hub.invitations.count() >= MAX_INVITATIONS:
        raise Refused(f"{MAX_INVITATIONS} invitations of this hub wait for an answer. Withdraw some first.")
    invitation = HubInvitation.objects.create(hub=hub, miner_id=miner_id, commission=commission, comment=comment)
    _record_offer("hub_client.invited", invitation, actor=actor)
    return invitation


def _change(client: HubClient, terms: dict[str, Any], *, actor: Actor, by: Entity) -> None:
    if changes := set_values(client, terms):
        client.save(update_fields=list(changes))
        _record("hub_client.changed", client, client.hub, client.miner, actor=actor, by=by, changes=changes)


def _end(client: HubClient, action: str, *, actor: Actor, by: Entity) -> None:
    client.hub.invitations.filter(miner_id=client.miner_id).delete()  # an offer of other terms ends with the old ones
    _record(action, client, client.hub, client.miner, actor=actor, by=by)
    client.delete()


def _record(
    action: str,
    target: HubClient | HubInvitation,
    hub: Entity,
    miner: Entity,
    *,
    actor: Actor,
    by: Entity,
    **data: Any,
) -> None:
    """A row for the account of ``by``, which acts; and one for the other's, which learns what, but not by which key."""
    data = {"hub": str(hub.pk), "miner": str(miner.pk), **data}
    audit_chain.hold(hub.account, miner.account)
    audit.record(action, actor=actor, account=by.account, target=target, **data)
    other = miner if by is hub else hub
    if other.account_id != by.account_id:
        acting = Actor(name=f"The account of the {'hub' if by is hub else 'miner'}", via=actor.via)
        audit.record(action, actor=acting, account=other.account, target=target, **data)


def _record_staff(action: str, client: HubClient, *, actor: Actor, **data: Any) -> None:
    """A row for each of both accounts, by whoever of the staff decided."""
    owners = {client.hub.account, client.miner.account}
    audit_chain.hold(*owners)
    for owner in owners:
        audit.record(
            action,
            actor=actor,
            account=owner,
            target=client,
            hub=str(client.hub_id),
            miner=str(client.miner_id),
            **data,
        )


def _record_offer(action: str, invitation: HubInvitation, *, actor: Actor) -> None:
    """For the hub's account alone: a row for the miner's would tell, by its time, that there is one."""
    audit.record(
        action,
        actor=actor,
        account=invitation.hub.account,
        target=invitation,
        hub=str(invitation.hub_id),
        miner=str(invitation.miner_id),
        commission=str(invitation.commission),
    )
