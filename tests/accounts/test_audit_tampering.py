"""Whoever writes to the audit trail in SQL is found, and the first link that they touched is named."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from django.db import connection

from accounts import audit_check
from accounts.audit_chain import POOL, chain_of
from accounts.models import AuditEvent
from tests.accounts.trails import OLGA, column, fill, run
from tests.factories import AccountFactory, UserFactory

ALTERED_COLUMNS = {
    "id": UUID(int=7),
    "at": datetime(2020, 1, 1, tzinfo=UTC),
    "account_name": "Somebody else",
    "actor_id": 424242,
    "actor_name": "Somebody else",
    "via": "api",
    "address": "198.51.100.7",
    "action": "key.enabled",
    "target_type": "role",
    "target_id": "key_x",
    "target_name": "Another key",
    "data": {"step": 30},
    "digest": bytes(32),
}


@pytest.fixture
def trail(db):
    """Five events of an account of its own."""
    return fill(AccountFactory(), 5)


def verdict_on(events, **known):
    return audit_check.check(events[0].chain, audit_check.key(), **known)


def found(events):
    broken = verdict_on(events).broken
    return broken and (broken.number, broken.what)


def test_what_nobody_touched_is_whole(trail, db):
    pool = fill(None, 3)
    assert (found(trail), found(pool)) == (None, None)
    assert set(audit_check.chains()) == {trail[0].chain, POOL}
    assert verdict_on(trail).head == trail[-1].digest


def test_every_column_is_covered():
    elsewhere = {"account", "chain", "number"}  # each has its own test below
    columns = {field.attname if field.name == "actor" else field.name for field in AuditEvent._meta.fields}
    assert columns - elsewhere == ALTERED_COLUMNS.keys()


@pytest.mark.parametrize("name", ALTERED_COLUMNS)
@pytest.mark.parametrize("place", [2, 4], ids=["in the middle", "at the end"])
def test_an_altered_column_is_found(trail, name, place):
    field = "actor" if name == "actor_id" else name
    event = trail[place]
    assert (
        run(
            f"UPDATE accounts_auditevent SET {name} = %s WHERE chain = %s AND number = %s",  # noqa: S608
            column(field, ALTERED_COLUMNS[name]),
            event.chain,
            event.number,
        )
        == 1
    )
    assert found(trail) == (place + 1, audit_check.ALTERED)


@pytest.mark.parametrize("name", ["actor_id", "address"])
def test_a_column_that_was_emptied_is_found(trail, name):
    event = fill(trail[0].account, 1, OLGA.__class__(name="Olga", via="web", user=UserFactory(), address="::1"))[0]
    run(f"UPDATE accounts_auditevent SET {name} = NULL WHERE chain = %s AND number = 6", event.chain)  # noqa: S608
    assert found(trail) == (6, audit_check.ALTERED)


@pytest.mark.parametrize("place", [1, 3])
def test_an_event_that_was_taken_out_is_found(trail, place):
    run("DELETE FROM accounts_auditevent WHERE chain = %s AND number = %s", trail[0].chain, place)
    assert found(trail) == (place, audit_check.REMOVED)


def test_an_event_that_was_taken_out_with_the_others_closing_ranks_is_found(trail):
    run("DELETE FROM accounts_auditevent WHERE chain = %s AND number = 3", trail[0].chain)
    for number in (4, 5):
        run(
            "UPDATE accounts_auditevent SET number = %s WHERE chain = %s AND number = %s",
            number - 1,
            trail[0].chain,
            number,
        )
    assert found(trail) == (3, audit_check.ALTERED)


def test_an_end_that_was_cut_off_is_found(trail):
    run("DELETE FROM accounts_auditevent WHERE chain = %s AND number > 3", trail[0].chain)
    assert found(trail) == (4, audit_check.CUT_OFF)
    run("UPDATE accounts_auditchain SET length = 3 WHERE name = %s", trail[0].chain)
    assert found(trail) == (3, audit_check.HEAD)


def test_an_end_that_was_cut_off_with_its_head_is_found_by_a_head_kept_elsewhere(trail):
    known = {5: bytes(trail[4].digest)}
    assert verdict_on(trail, known=known).broken is None
    run("DELETE FROM accounts_auditevent WHERE chain = %s AND number > 3", trail[0].chain)
    run(
        "UPDATE accounts_auditchain SET length = 3, digest = %s WHERE name = %s", bytes(trail[2].digest), trail[0].chain
    )
    assert found(trail) is None
    broken = verdict_on(trail, known=known).broken
    assert (broken.number, broken.what) == (4, audit_check.CUT_OFF)


def test_a_chain_that_is_gone_as_a_whole_is_found_by_a_head_kept_elsewhere(trail):
    for table, name in [("accounts_auditevent", "chain"), ("accounts_auditchain", "name")]:
        run(f"DELETE FROM {table} WHERE {name} = %s", trail[0].chain)  # noqa: S608
    assert list(audit_check.chains()) == []
    broken = verdict_on(trail, known={5: bytes(trail[4].digest)}).broken
    assert (broken.number, broken.what) == (1, audit_check.CUT_OFF)


def test_a_chain_written_anew_by_a_holder_of_the_master_keys_is_found_by_a_head_kept_elsewhere(trail):
    known = {3: bytes(32)}
    broken = verdict_on(trail, known=known).broken
    assert (broken.number, broken.what) == (3, audit_check.REWRITTEN)


def insert_copy(of, number):
    """A row that says the same as another, in another place."""
    names = [field.column for field in AuditEvent._meta.fields if field.name not in ("id", "number")]
    copied = ", ".join(names)
    new_id = column("id", UUID(int=number))
    run(
        f"INSERT INTO accounts_auditevent (id, number, {copied}) SELECT %s, %s, {copied} FROM accounts_auditevent "  # noqa: S608
        "WHERE chain = %s AND number = %s",
        new_id,
        number,
        of.chain,
        of.number,
    )


def test_an_added_event_is_found(trail):
    insert_copy(trail[4], 6)
    assert found(trail) == (6, audit_check.INSERTED)
    run("UPDATE accounts_auditchain SET length = 6 WHERE name = %s", trail[0].chain)
    assert found(trail) == (6, audit_check.ALTERED)


def test_an_event_put_between_two_is_found(trail):
    for number in (5, 4, 3):
        run(
            "UPDATE accounts_auditevent SET number = %s WHERE chain = %s AND number = %s",
            number + 1,
            trail[0].chain,
            number,
        )
    insert_copy(trail[0], 3)
    assert found(trail) == (3, audit_check.INSERTED)


def test_an_event_before_the_first_is_found(trail):
    insert_copy(trail[0], 0)
    assert found(trail) == (1, audit_check.INSERTED)


@pytest.mark.parametrize(("one", "other"), [(2, 3), (2, 5)])
def test_two_events_that_changed_places_are_found(trail, one, other):
    for before, after in [(one, 99), (other, one), (99, other)]:
        run(
            "UPDATE accounts_auditevent SET number = %s WHERE chain = %s AND number = %s", after, trail[0].chain, before
        )
    assert found(trail) == (one, audit_check.REORDERED)


def test_two_events_whose_contents_changed_places_are_found(trail):
    for event, other in [(trail[1], trail[3]), (trail[3], trail[1])]:
        run(
            "UPDATE accounts_auditevent SET data = %s WHERE chain = %s AND number = %s",
            column("data", other.data),
            event.chain,
            event.number,
        )
    assert found(trail) == (2, audit_check.ALTERED)


@pytest.mark.parametrize("where", ["another account", "nowhere"])
def test_an_event_moved_to_another_accounts_list_is_found(trail, where):
    other = AccountFactory()
    moved = column("account", other.pk) if where == "another account" else None
    run("UPDATE accounts_auditevent SET account_id = %s WHERE chain = %s AND number = 2", moved, trail[0].chain)
    assert found(trail) == (2, audit_check.MOVED)


def test_an_event_moved_to_another_accounts_chain_is_found_in_both(trail):
    other = fill(AccountFactory(), 1)
    run(
        "UPDATE accounts_auditevent SET account_id = %s, chain = %s WHERE chain = %s AND number = 2",
        column("account", other[0].account_id),
        other[0].chain,
        trail[0].chain,
    )
    assert (found(trail), found(other)) == ((2, audit_check.REMOVED), (2, audit_check.INSERTED))


def test_a_chain_renamed_to_another_account_is_found(trail):
    account = AccountFactory()
    run(
        "UPDATE accounts_auditevent SET account_id = %s, chain = %s",
        column("account", account.pk),
        chain_of(account.pk),
    )
    run("UPDATE accounts_auditchain SET name = %s", chain_of(account.pk))
    assert audit_check.check(chain_of(account.pk), audit_check.key()).broken.number == 1


def test_a_head_that_was_altered_set_back_or_removed_is_found(trail):
    head = "UPDATE accounts_auditchain SET length = %s, digest = %s WHERE name = %s"
    run(head, 5, bytes(32), trail[0].chain)
    assert found(trail) == (5, audit_check.HEAD)
    run(head, 3, bytes(trail[2].digest), trail[0].chain)
    assert found(trail) == (4, audit_check.HEAD)
    run(head, 9, bytes(trail[4].digest), trail[0].chain)
    assert found(trail) == (6, audit_check.CUT_OFF)
    run("DELETE FROM accounts_auditchain WHERE name = %s", trail[0].chain)
    assert found(trail) == (1, audit_check.HEAD)
    assert list(audit_check.chains()) == [trail[0].chain]


def test_what_sqlite_alone_lets_a_row_hold_is_found(trail):
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL refuses it")
    for name, garbage in [("at", "never"), ("address", "nowhere"), ("id", "no id")]:
        run("SAVEPOINT garbage")
        run(f"UPDATE accounts_auditevent SET {name} = %s WHERE number = 3 AND chain = %s", garbage, trail[0].chain)  # noqa: S608
        assert found(trail) == (3, audit_check.ALTERED), name
        run("ROLLBACK TO garbage")


def test_the_first_of_several_broken_links_is_named(trail):
    run("UPDATE accounts_auditevent SET via = 'api' WHERE number IN (3, 4, 5)")
    verdict = verdict_on(trail)
    assert (verdict.events, verdict.broken.number) == (2, 3)
    assert (verdict.broken.at, verdict.broken.action) == (trail[2].at, "key.issued")


def test_without_its_key_or_under_another_nothing_is_called_whole(trail):
    run("UPDATE accounts_wrappedkey SET wrapped = %s", b"gAAAAnonsense")
    with pytest.raises(audit_check.NoKey, match="PITHEAD_MASTER_KEYS"):
        audit_check.key()
    run("DELETE FROM accounts_wrappedkey")
    with pytest.raises(audit_check.NoKey, match="gone"):
        audit_check.key()
    fill(None, 1)  # changes go on under a new key
    assert found(trail) == (1, audit_check.ALTERED)


def test_what_is_recorded_during_a_check_is_no_break(trail, monkeypatch):
    monkeypatch.setattr(audit_check, "BATCH_EVENTS", 2)
    account = trail[0].account
    more = iter([1, 3])
    verdict = verdict_on(trail, on_batch=lambda events: fill(account, next(more, 0)))
    assert (verdict.broken, verdict.events) == (None, 9)
