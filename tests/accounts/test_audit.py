"""The audit trail: written with its change, never changed, and still readable when its actor is gone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from accounts.audit import Actor, dated, record
from accounts.models import AuditEvent
from tests.factories import AccountFactory, UserFactory


@pytest.fixture
def actor(db):
    return Actor(name="Olga", via="web", user=UserFactory(name="Olga"), address="192.0.2.1")


@pytest.fixture
def event(actor):
    account = AccountFactory(name="Northfold")
    return record("key.issued", actor=actor, account=account, target=account, level="viewer")


def test_an_event_says_who_did_what_to_what_from_where(event, actor):
    event.refresh_from_db()
    assert (event.actor, event.actor_name, event.via, event.address) == (actor.user, "Olga", "web", "192.0.2.1")
    assert (event.action, event.account_name, event.data) == ("key.issued", "Northfold", {"level": "viewer"})
    assert (event.target_type, event.target_id, event.target_name) == (
        "account",
        str(event.account_id),
        "Northfold",
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda event: event.save(),
        lambda event: event.save(update_fields=["action"]),
        lambda event: event.delete(),
        lambda event: AuditEvent.objects.update(action="x"),
        lambda event: AuditEvent.objects.filter(pk=event.pk).update(action="x"),
        lambda event: AuditEvent.objects.all().delete(),
        lambda event: AuditEvent.objects.bulk_update([event], ["action"]),
        lambda event: AuditEvent.objects.update_or_create(pk=event.pk, defaults={"action": "x"}),
        lambda event: event.account.audit_events.update(action="x"),
        lambda event: event.account.audit_events.all().delete(),
        lambda event: event.account.audit_events.clear(),
    ],
)
def test_an_event_is_never_changed(event, change):
    event.action = "key.forged"
    with pytest.raises((ValidationError, TypeError), match="append-only"), transaction.atomic():
        change(event)
    assert AuditEvent.objects.get().action == "key.issued"


def test_an_event_outlives_its_actor_and_its_account(event, actor):
    account_id, user_id = event.account_id, actor.user.pk
    event.account.delete()
    actor.user.delete()
    kept = AuditEvent.objects.get()
    assert (kept.actor_id, kept.account_id) == (user_id, account_id)
    assert (kept.actor_name, kept.account_name, kept.target_name) == ("Olga", "Northfold", "Northfold")


@pytest.mark.django_db(transaction=True)
def test_an_event_is_written_in_a_transaction_or_not_at_all():
    actor = Actor.for_command("tests")
    with pytest.raises(RuntimeError, match="transaction"):
        record("key.issued", actor=actor)
    with transaction.atomic():
        record("key.issued", actor=actor)
        transaction.set_rollback(True)
    assert not AuditEvent.objects.exists()
    with transaction.atomic():
        record("key.issued", actor=actor)
    assert AuditEvent.objects.count() == 1


def test_a_long_name_is_cut_to_fit(actor):
    account = AccountFactory.build(name="n" * 500)
    assert len(record("x", actor=actor, target=account).target_name) == 200


def test_a_command_may_tell_of_the_past_and_nobody_else(account, owner):
    past = timezone.now() - timedelta(days=30)
    with dated(past), transaction.atomic():
        told = record("tested", actor=Actor.for_command("tests"), account=account)
        said = record("tested", actor=Actor(name="Olga", via="web", user=owner), account=account)
        after = timezone.now()
    assert told.at == past
    assert after - said.at < timedelta(minutes=1)
    with transaction.atomic():
        assert record("tested", actor=Actor.for_command("tests")).at > past
