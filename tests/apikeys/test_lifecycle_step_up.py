"""Each dangerous change asks for a second-factor proof of exactly its own, by its own person, just now."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from accounts.audit import Actor, StepUpMissing
from accounts.changes import Refused
from accounts.models import AuditEvent
from accounts.step_up import LIFETIME
from apikeys import lifecycle, signing
from apikeys.edits import Changes
from apikeys.models import ApiKey, SigningKey
from apikeys.scopes import Scope
from tests.factories import AccountFactory, MembershipFactory
from tests.people import actor_for

COMMAND = Actor.for_command("tests")


def issue(key, actor):
    lifecycle.issue(
        key.account,
        actor=actor,
        name="new",
        environment="production",
        access_level="viewer",
        scopes=[Scope("*", "*")],
    )


ACTIONS = {
    "key.issue": issue,
    "key.regenerate": lambda key, actor: lifecycle.regenerate(key, actor=actor),
    "key.enable": lambda key, actor: lifecycle.enable(key, actor=actor),
    "key.revoke": lambda key, actor: lifecycle.revoke(key, actor=actor, reason="leaked"),
    "key.edit": lambda key, actor: lifecycle.edit(key, Changes(rate_limit=60), actor=actor),
    "key.rotate": lambda key, actor: lifecycle.rotate(key, actor=actor),
    "key.end_overlap": lambda key, actor: lifecycle.end_overlap(key, actor=actor),
}


@pytest.fixture
def key(issue_key):
    return lifecycle.disable(issue_key()[0], actor=COMMAND)


def assert_asks_for_proof(key, action, actor):
    before = (AuditEvent.objects.count(), ApiKey.objects.count(), key.secrets.count())
    # An edit asks for a code only where something of weight differs, so it is judged first: who may not is told that.
    with pytest.raises((StepUpMissing, Refused) if action == "key.edit" else StepUpMissing):
        ACTIONS[action](key, actor)
    assert (AuditEvent.objects.count(), ApiKey.objects.count(), key.secrets.count()) == before


@pytest.mark.parametrize("via", ["web", "admin", "api"])
@pytest.mark.parametrize("action", ACTIONS)
def test_no_proof_no_change(key, owner, staff, action, via):
    for user in (owner, staff):
        assert_asks_for_proof(key, action, replace(actor_for(user, action, via=via), proof=None))


@pytest.mark.parametrize("other", [*ACTIONS, "key.disable", "sign_in", "", "key"])
@pytest.mark.parametrize("action", ACTIONS)
def test_a_proof_is_for_one_action(key, owner, action, other):
    if other != action:
        assert_asks_for_proof(key, action, actor_for(owner, other))
    else:
        ACTIONS[action](key, actor_for(owner, other))


@pytest.mark.parametrize("action", ACTIONS)
def test_a_proof_is_for_one_person(key, owner, treasurer, action):
    theirs = actor_for(treasurer, action).proof
    assert_asks_for_proof(key, action, replace(actor_for(owner, action), proof=theirs))


@pytest.mark.parametrize("action", ACTIONS)
def test_a_proof_lives_a_minute(key, owner, action):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        actor = actor_for(owner, action)
        clock.shift(LIFETIME + timedelta(microseconds=1))
        assert_asks_for_proof(key, action, actor)
        clock.shift(timedelta(microseconds=-1))
        ACTIONS[action](key, actor)


def test_stopping_is_quick_and_asks_for_no_proof(issue_key, owner):
    key, _ = issue_key()
    assert lifecycle.disable(key, actor=Actor(name="Olga", via="web", user=owner)).status == "disabled"


def test_an_actor_without_a_person_proves_nothing(key, owner):
    proof = actor_for(owner, "key.revoke").proof
    assert_asks_for_proof(key, "key.revoke", Actor(name="Olga", via="web", proof=proof))


def test_bootstrapping_an_account_asks_for_its_own_proof(owner):
    bare = AccountFactory()
    MembershipFactory(account=bare, user=owner, is_owner=True, access_level="administrator")
    with pytest.raises(StepUpMissing):
        signing.bootstrap(bare, actor=actor_for(owner, "key.issue"))
    assert not SigningKey.objects.filter(account=bare).exists()
    first = signing.bootstrap(bare, actor=actor_for(owner, "account.bootstrap"))
    again = signing.bootstrap(bare, actor=actor_for(owner, "account.bootstrap"))
    assert first == again
    assert AuditEvent.objects.filter(action="account.bootstrapped", account=bare).count() == 1
