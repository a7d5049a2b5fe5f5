"""Rows on their way into the database: found again by their keys, changed where they differ, refused one by one."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import IntegrityError
from uuid_utils.compat import uuid7

from accounts.audit import Actor
from accounts.models import Account, AuditEvent
from entities.ingest import importing
from entities.ingest.importing import Counts, import_rows
from entities.ingest.kinds import ROW_KINDS
from entities.ingest.reading import read_list
from entities.models import Accrual, Entity, HashrateSample, HubClient, Miner, Payout, Worker
from tests.entities.ingest_rows import AT, MINER, ROWS, send
from tests.factories import HubFactory, MinerFactory, PoolFactory, WorkerFactory


@pytest.fixture
def miner(account):
    return MinerFactory(account=account, name="m1")


@pytest.fixture
def hub(account):
    return HubFactory(account=account, name="h1")


@pytest.mark.parametrize("kind", ROWS)
def test_a_second_run_changes_nothing_and_says_so(account, miner, hub, kind):
    PoolFactory(account=account, name="p1")
    assert send(kind, ROWS[kind]).numbers == (1, 0, 0, 0)
    assert send(kind, ROWS[kind]).numbers == (0, 0, 1, 0)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("hubs", {"pool": "northfold/p2"}),
        ("miners", {"name": "renamed"}),
        ("miners", {"pool": "northfold/p2"}),
        ("miners", {"created_at": "2026-05-01T00:00:00Z"}),
        ("miners", {"commission": "0.0151"}),
        ("miners", {"hub": "northfold/h2"}),
        ("miners", {"wallet_address": "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2"}),
        ("miners", {"wallet_coin": "LTC", "wallet_address": "LQTpS3VaYTjCr4s9Y1t5zbeY26zevf7Fb3"}),
        ("workers", {"hashrate": 0}),
        ("workers", {"group": "rack 2"}),
        ("workers", {"last_share_at": "2026-06-01T12:00:01Z"}),
        ("hashrate", {"hashrate": 6}),
        ("hashrate", {"rejected": 0}),
        ("accruals", {"amount": "0.00000002"}),
        ("accruals", {"hashrate": 6}),
        ("payouts", {"amount": "2"}),
        ("payouts", {"coin": "LTC"}),
        ("payouts", {"address": "tb1qnew"}),
        ("payouts", {"paid_at": "2026-06-01T13:00:00Z"}),
    ],
)
def test_what_differs_is_updated_once(account, miner, hub, kind, change):
    PoolFactory(account=account, name="p1"), PoolFactory(account=account, name="p2")
    HubFactory(account=account, name="h2")
    send(kind, ROWS[kind])
    assert send(kind, {**ROWS[kind], **change}).numbers == (0, 1, 0, 0)
    assert send(kind, {**ROWS[kind], **change}).numbers == (0, 0, 1, 0)


def test_every_column_arrives(account, miner, hub):
    pool = PoolFactory(account=account, name="p1")
    for kind, row in ROWS.items():
        assert send(kind, row).numbers == (1, 0, 0, 0), kind
    new = Miner.objects.get(pk=ROWS["miners"]["id"])
    assert (new.account, new.name, new.pool_id, new.created_at.isoformat()) == (
        account, "new", pool.pk, "2026-06-01T12:00:00+00:00"
    )  # fmt: skip
    assert HubClient.objects.get(miner=new).commission == Decimal("0.015")
    assert (new.wallets.get().coin, new.wallets.get().address) == ("BTC", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4")
    worker = Worker.objects.get()
    assert (worker.miner_id, worker.name, worker.group.name) == (miner.pk, "01", "rack 1")
    assert (worker.hashrate, worker.hashrate_1d, worker.hashrate_1w) == (2**63 - 1, 4, 3)
    assert worker.last_share_at.isoformat() == "2026-06-01T12:00:00.123456+00:00"
    sample = HashrateSample.objects.get()
    assert (sample.miner_id, sample.at.isoformat(), sample.hashrate, sample.rejected) == (
        miner.pk, "2026-06-01T12:00:00+00:00", 5, 1
    )  # fmt: skip
    accrual = Accrual.objects.get()
    assert (accrual.entity_id, accrual.client_id, str(accrual.day)) == (hub.pk, miner.pk, "2026-06-01")
    assert (accrual.coin, accrual.amount, accrual.hashrate) == ("BTC", Decimal("0.00000001"), 5)
    payout = Payout.objects.get()
    assert (payout.entity_id, payout.coin, payout.amount, payout.address) == (
        miner.pk,
        "BTC",
        Decimal("1.5"),
        "tb1qold",
    )
    assert (payout.transaction, payout.wallet.entity_id) == ("ab12", miner.pk)


def test_what_a_row_does_not_say_stays_as_it_is(account, miner):
    WorkerFactory(miner=miner, name="01", hashrate=7, hashrate_1d=8)
    assert send("workers", {"miner": "northfold/m1", "name": "01", "hashrate": "", "hashrate_1w": 9}).numbers == (
        0, 1, 0, 0
    )  # fmt: skip
    worker = Worker.objects.get()
    assert (worker.hashrate, worker.hashrate_1d, worker.hashrate_1w) == (7, 8, 9)
    assert worker.last_share_at is not None


def test_one_bad_row_among_good_stops_nothing_else(account, miner):
    good = {"miner": "northfold/m1", "at": AT, "hashrate": 5}
    outcome = send(
        "hashrate",
        good,
        {**good, "at": "2026-06-01T13:00:00Z", "hashrate": -1},
        {**good, "miner": "northfold/unknown"},
        {**good, "miner": "nobody/m1"},
        {**good, "miner": str(uuid7())},
        good,
        {**good, "extra": 1},
        {**good, "at": "2026-06-01T14:00:00Z", "miner": str(miner.pk)},
    )
    assert outcome.numbers == (2, 0, 0, 6)
    assert outcome.said == [(2, "hashrate"), (3, "miner"), (4, "miner"), (5, "miner"), (6, ""), (7, "extra")]
    by_row = {error.row: error.message for error in outcome.errors}
    assert "names no miner of northfold in production: 'unknown'" in by_row[3]
    assert "'nobody', which is not there" in by_row[4]
    assert "same as row 1" in by_row[6]


def test_accounts_are_never_made(account):
    outcome = send("miners", {"account": "nobody", "name": "x"})
    assert (outcome.numbers, outcome.said) == ((0, 0, 0, 1), [(1, "account")])
    assert Account.objects.count() == 1
    assert not Entity.objects.exists()


def test_no_entity_moves_to_another_account_kind_or_environment(account, other_account, miner, hub):
    staged = MinerFactory(account=account, environment="staging", name="m1")
    rows = [
        {"account": "borealis", "name": "m1", "id": str(miner.pk)},
        {"account": "northfold", "name": "x", "id": str(hub.pk)},
        {"account": "northfold", "name": "y", "id": str(staged.pk)},
        {"account": "northfold", "name": "m1", "id": str(uuid7())},
    ]
    outcome = send("miners", *rows)
    assert (outcome.numbers, outcome.said) == ((0, 0, 0, 4), [(n, "id") for n in (1, 2, 3, 4)])
    for says, error in zip(
        ["of another account", "a hub; give a miner", "of staging", "there with the ID"], outcome.errors, strict=True
    ):
        assert says in error.message
    miner.refresh_from_db()
    assert miner.account == account


def test_a_name_that_another_has_is_not_taken_by_renaming(account, miner):
    other = MinerFactory(account=account, name="m2")
    outcome = send("miners", {**MINER, "id": str(other.pk)})
    assert (outcome.numbers, outcome.said) == ((0, 0, 0, 1), [(1, "id")])


def test_two_rows_about_one_miner_by_name_and_by_id_are_not_both_taken(account, miner):
    outcome = send("miners", {"account": "northfold", "name": "new name", "id": str(miner.pk)}, MINER)
    assert (outcome.numbers, outcome.said) == ((0, 1, 0, 1), [(2, "")])
    miner.refresh_from_db()
    assert miner.name == "new name"


def test_names_of_several_kinds_and_accounts_are_told_apart(account, other_account, miner):
    HubFactory(account=account, name="m1"), MinerFactory(account=other_account, name="m1")
    MinerFactory(account=account, name="m1", environment="staging")
    send("hashrate", ROWS["hashrate"])
    assert HashrateSample.objects.get().miner_id == miner.pk


@pytest.mark.parametrize("kind", ["workers", "hashrate", "accruals", "payouts"])
def test_environments_never_meet(account, miner, hub, kind):
    for reference in ("northfold/m1", str(miner.pk)):
        row = {**ROWS[kind], "miner": reference}
        if kind == "accruals":
            row.update(hub=None, client=None)
        outcome = send(kind, row, environment="staging")
        assert (outcome.numbers, outcome.said) == ((0, 0, 0, 1), [(1, "miner")])
    assert "of production; this import is into staging" in outcome.errors[0].message


def test_an_id_of_another_kind_is_refused(account, miner, hub):
    outcome = send("hashrate", {**ROWS["hashrate"], "miner": str(hub.pk)})
    assert "a hub; give a miner" in outcome.errors[0].message


def test_own_accruals_and_those_of_clients_are_apart(account, miner, hub):
    own = {"hub": "northfold/h1", "day": "2026-06-01", "coin": "BTC", "amount": "1"}
    rows = [own, {**own, "client": "northfold/m1", "amount": "2"}, {**own, "hub": None, "miner": "northfold/m1"}]
    assert send("accruals", *rows).numbers == (3, 0, 0, 0)
    assert send("accruals", *rows).numbers == (0, 0, 3, 0)
    assert send("accruals", own, {**own, "amount": "5"}).numbers == (0, 0, 1, 1)


def test_a_miner_has_no_clients(account, miner):
    row = {"miner": "northfold/m1", "client": "northfold/m1", "day": "2026-06-01", "coin": "BTC", "amount": "1"}
    assert send("accruals", row).said == [(1, "client")]


@pytest.mark.parametrize(("column", "value"), [("commission", "0.1"), ("wallet_address", "tb1q")])
def test_what_belongs_to_something_else_needs_it(account, column, value):
    assert send("miners", {**MINER, column: value}).said == [(1, column)]


def test_a_run_is_one_audit_row_with_its_counts(account, miner):
    send("hashrate", ROWS["hashrate"], {"miner": "northfold/m1"})
    event = AuditEvent.objects.get(action="pool_data.imported")
    assert (event.actor_name, event.via, event.account) == ("manage.py tests", "command", None)
    assert event.data == {
        "kind": "hashrate",
        "environment": "production",
        "source": "tests",
        "finished": True,
        "received": 2,
        "created": 1,
        "updated": 0,
        "unchanged": 0,
        "refused": 1,
    }


def test_what_was_committed_before_an_interruption_is_recorded(account, miner, monkeypatch):
    monkeypatch.setattr(importing, "BATCH_ROWS", 2)
    row = ROWS["hashrate"]

    def rows():
        yield from [row, {**row, "at": "2026-06-01T13:00:00Z"}]
        raise KeyboardInterrupt

    counts = Counts()
    with pytest.raises(KeyboardInterrupt):
        import_rows(
            ROW_KINDS["hashrate"],
            (raw for each in rows() for raw in read_list([each])),
            environment="production",
            actor=Actor.for_command("tests"),
            source="tests",
            counts=counts,
            on_error=lambda error: None,
        )
    assert HashrateSample.objects.count() == 2
    data = AuditEvent.objects.get(action="pool_data.imported").data
    assert (data["finished"], data["created"]) == (False, 2)


def test_rows_that_somebody_else_wrote_in_between_are_looked_up_again(account, miner, monkeypatch):
    """The first attempt finds nothing stored, as if the other had written right after the look-up."""
    send("hashrate", ROWS["hashrate"])
    real, looked = importing.WRITERS["hashrate"], []

    def first_too_late(batch):
        looked.append(len(batch.rows))
        if len(looked) == 1:
            raise IntegrityError("duplicate key")
        real(batch)

    monkeypatch.setitem(importing.WRITERS, "hashrate", first_too_late)
    outcome = send("hashrate", ROWS["hashrate"], {**ROWS["hashrate"], "at": "2026-06-01T13:00:00Z"})
    assert outcome.numbers == (1, 0, 1, 0)
    assert looked == [2, 1, 1]


def test_a_row_that_the_database_refuses_is_an_error_of_that_row(account, miner, monkeypatch):
    real = importing.WRITERS["hashrate"]

    def refuse_fives(batch):
        if any(row.values["hashrate"] == 5 for row in batch.rows):
            raise IntegrityError("no fives")
        real(batch)

    monkeypatch.setitem(importing.WRITERS, "hashrate", refuse_fives)
    others = [{**ROWS["hashrate"], "at": f"2026-06-01T{hour:02}:00:00Z", "hashrate": hour} for hour in range(10)]
    outcome = send("hashrate", *others)
    assert (outcome.numbers, outcome.said) == ((9, 0, 0, 1), [(6, "")])
    assert "no fives" in outcome.errors[0].message


def test_swapping_two_names_is_refused_and_stops_no_other(account, miner):
    other = MinerFactory(account=account, name="m2")
    outcome = send(
        "miners",
        {"account": "northfold", "name": "m2", "id": str(miner.pk)},
        {"account": "northfold", "name": "m1", "id": str(other.pk)},
        {"account": "northfold", "name": "m3"},
    )
    assert (outcome.numbers, outcome.said) == ((1, 0, 0, 2), [(1, "id"), (2, "id")])


@pytest.mark.parametrize("kind", ROWS)
def test_a_batch_runs_a_constant_number_of_queries(account, miner, hub, kind, django_assert_max_num_queries):
    PoolFactory(account=account, name="p1")
    rows = []
    for number in range(60):
        row = {**ROWS[kind], "id": None} if "id" in ROWS[kind] else dict(ROWS[kind])
        row["transaction" if kind == "payouts" else "name"] = f"n{number}"
        if kind == "hashrate":
            del row["name"]
            row["at"] = f"2026-06-{number % 28 + 1:02}T{number // 28:02}:00:00Z"
        if kind == "accruals":
            del row["name"]
            row["day"] = f"2026-{number // 28 + 1:02}-{number % 28 + 1:02}"
        rows.append(row)
    with django_assert_max_num_queries(18):
        assert send(kind, *rows).numbers == (60, 0, 0, 0)
    with django_assert_max_num_queries(18):
        assert send(kind, *rows).numbers == (0, 0, 60, 0)
