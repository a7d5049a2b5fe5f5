"""Parallel changes of hubs' clients: one invitation, one answer, and only terms that were read are accepted."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.core.exceptions import ObjectDoesNotExist
from uuid_utils.compat import uuid7

from accounts.audit import Actor
from accounts.models import AuditEvent
from entities import clients
from entities.clients import Refused
from entities.models import Entity, HubClient, HubInvitation
from tests.factories import HubClientFactory, HubFactory, HubInvitationFactory, MinerFactory
from tests.security.racing import race

pytestmark = [pytest.mark.race, pytest.mark.django_db(transaction=True)]

KEY = Actor.for_key("key_1", "Dashboard", "192.0.2.1")
TERMS = {"commission": Decimal("0.01"), "comment": "", "actor": KEY}


def split(results, *refusals):
    """What succeeded, and how many were refused; anything else fails."""
    refused = [result for result in results if isinstance(result, refusals)]
    made = [result for result in results if not isinstance(result, Exception)]
    assert len(refused) + len(made) == len(results), results
    return made, len(refused)


@pytest.fixture
def hub(account):
    return HubFactory(account=account)


@pytest.fixture
def miner(other_account):
    return MinerFactory(account=other_account)


def test_parallel_invitations_of_one_miner_are_one(hub, miner):
    made, _ = split(race([lambda: clients.invite(hub, miner.pk, **TERMS)] * 10))
    assert {invitation.pk for invitation in made} == {HubInvitation.objects.get().pk}
    assert AuditEvent.objects.filter(action="hub_client.invited").count() == 1


def test_parallel_joinings_of_an_own_miner_make_one_client(hub, account):
    own = MinerFactory(account=account)
    made, refused = split(race([lambda: clients.add(hub, own, **TERMS)] * 10), Refused)
    assert (len(made), refused, HubClient.objects.count()) == (1, 9, 1)
    assert AuditEvent.objects.filter(action="hub_client.added").count() == 1


def test_parallel_invitations_stop_at_the_limit(hub, monkeypatch):
    monkeypatch.setattr(clients, "MAX_INVITATIONS", 3)
    made, refused = split(race([lambda: clients.invite(hub, uuid7(), **TERMS)] * 10), Refused)
    assert (len(made), refused, HubInvitation.objects.count()) == (3, 7, 3)


@pytest.mark.parametrize("round_", range(5))
def test_terms_that_change_during_the_acceptance_are_not_accepted(hub, miner, round_):
    invitation = HubInvitationFactory(hub=hub, miner_id=miner.pk, commission=Decimal("0.01"))
    raised = TERMS | {"commission": Decimal("0.9")}
    answers = race(
        [lambda: clients.accept(miner, invitation.pk, actor=KEY), lambda: clients.invite(hub, miner.pk, **raised)]
    )
    made, refused = split(answers, ObjectDoesNotExist, Refused)
    assert (len(made), refused) == (1, 1)
    accepted = list(HubClient.objects.values_list("commission", flat=True))
    waiting = list(HubInvitation.objects.values_list("commission", flat=True))
    assert (accepted, waiting) in [([Decimal("0.01")], []), ([], [Decimal("0.9")])]


@pytest.mark.parametrize("other", ["withdraw", "decline", "accept"])
def test_an_invitation_is_answered_once(hub, miner, other):
    invitation = HubInvitationFactory(hub=hub, miner_id=miner.pk)
    side = hub if other == "withdraw" else miner
    runs = [
        lambda: clients.accept(miner, invitation.pk, actor=KEY),
        lambda: getattr(clients, other)(side, invitation.pk, actor=KEY),
    ]
    made, refused = split(race(runs * 4), ObjectDoesNotExist)
    assert (len(made), refused, HubInvitation.objects.count()) == (1, 7, 0)
    assert HubClient.objects.count() == AuditEvent.objects.filter(action="hub_client.joined").count() / 2


def test_an_end_from_both_sides_is_one_end(hub, miner):
    HubClientFactory(hub=hub, miner=miner)
    runs = [lambda: clients.remove(hub, miner.pk, actor=KEY), lambda: clients.leave(miner, hub.pk, actor=KEY)]
    made, refused = split(race(runs * 4), ObjectDoesNotExist)
    assert (len(made), refused, HubClient.objects.count()) == (1, 7, 0)
    ends = AuditEvent.objects.filter(action__in=["hub_client.removed", "hub_client.left"])
    assert ends.count() == 2  # one for each account


def test_a_miner_that_changed_account_meanwhile_is_answered_for_by_nobody_before(hub, miner, account):
    """The view found the miner; before the change it went to another account."""
    invitation = HubInvitationFactory(hub=hub, miner_id=miner.pk)
    served = HubClientFactory(miner=miner).hub
    Entity.objects.filter(pk=miner.pk).update(account=account)
    for change in (
        lambda: clients.accept(miner, invitation.pk, actor=KEY),
        lambda: clients.decline(miner, invitation.pk, actor=KEY),
        lambda: clients.leave(miner, served.pk, actor=KEY),
        lambda: clients.add(hub, miner, **TERMS),
    ):
        with pytest.raises(ObjectDoesNotExist):
            change()


def test_a_hub_that_changed_account_meanwhile_changes_nothing_for_its_old_keys(hub, miner, other_account):
    invitation = HubInvitationFactory(hub=hub)
    HubClientFactory(hub=hub, miner=miner)
    Entity.objects.filter(pk=hub.pk).update(account=other_account)
    for change in (
        lambda: clients.invite(hub, uuid7(), **TERMS),
        lambda: clients.withdraw(hub, invitation.pk, actor=KEY),
        lambda: clients.change(hub, miner.pk, {"commission": Decimal(0)}, actor=KEY),
        lambda: clients.remove(hub, miner.pk, actor=KEY),
        lambda: clients.set_minimum_payout(hub, Decimal(1), actor=KEY),
    ):
        with pytest.raises(ObjectDoesNotExist):
            change()
