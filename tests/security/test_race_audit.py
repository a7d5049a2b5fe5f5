"""Events recorded in parallel: chains stay whole, nothing is lost, and nobody waits for ever."""

from __future__ import annotations

import pytest
from django.db import transaction

from accounts import audit_chain, audit_check
from accounts.audit import Actor, record
from accounts.models import AuditEvent
from tests.factories import AccountFactory, UserFactory
from tests.security.racing import race

pytestmark = [pytest.mark.race, pytest.mark.django_db(transaction=True)]

THREADS, EACH = 8, 5


def broken_chains():
    key = audit_check.key()
    return [name for name in audit_check.chains() if audit_check.check(name, key).broken]


def test_parallel_events_of_accounts_new_and_old_form_whole_chains():
    """Nobody has recorded anything: the key and the chains are made by whoever comes first."""
    accounts = AccountFactory.create_batch(2)
    actor = Actor(name="Olga", via="web", user=UserFactory())

    def write(account):
        def run():
            for step in range(EACH):
                with transaction.atomic():
                    record("tested", actor=actor, account=account, step=step)

        return run

    results = race([write(account) for account in [*accounts, None, None] * (THREADS // 4)])
    assert set(results) == {None}, results
    assert AuditEvent.objects.count() == THREADS * EACH
    assert broken_chains() == []


def test_changes_that_record_for_two_accounts_crosswise_do_not_lock_each_other():
    one, other = AccountFactory.create_batch(2)
    actor = Actor(name="Olga", via="web")

    def write(first, second):
        def run():
            for _ in range(EACH):
                with transaction.atomic():
                    audit_chain.hold(first, second)
                    record("tested", actor=actor, account=first)
                    record("tested", actor=actor, account=second)

        return run

    results = race([write(one, other), write(other, one)] * (THREADS // 2))
    assert set(results) == {None}, results
    assert AuditEvent.objects.count() == THREADS * EACH * 2
    assert broken_chains() == []
