"""`manage.py import_pool_data`: what it reads, says and exits with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command, load_command_class
from django.db import OperationalError, connection

from accounts.models import AuditEvent
from apikeys.management.commands.seed_demo import seed
from entities.ingest import describe
from entities.ingest.kinds import ROW_KINDS
from entities.management.commands import import_pool_data
from entities.models import Accrual, Entity, HashrateSample, HubClient, Miner, Payout, Wallet, Worker, WorkerGroup
from tests.factories import MinerFactory

SAMPLE = settings.BASE_DIR / "docs" / "sample-pool-data"
DOCUMENTATION = settings.BASE_DIR / "docs" / "import.md"


class Run:
    """One run: exit code, standard output and standard error."""

    def __init__(self, directory: Path | str, *arguments: str) -> None:
        out, err = StringIO(), StringIO()
        try:
            call_command("import_pool_data", str(directory), *arguments, stdout=out, stderr=err, no_color=True)
            self.code, self.last_words = 0, ""
        except CommandError as error:
            self.code, self.last_words = error.returncode, str(error)
        self.out, self.err = out.getvalue(), err.getvalue()


@pytest.fixture
def folder(tmp_path, account):
    MinerFactory(account=account, name="m1")
    return tmp_path


GOOD = "northfold/m1,2026-06-01T00:00:00Z,5\n"
HEADER = "miner,at,hashrate\n"


def test_all_well_exits_with_0_and_a_table(folder):
    (folder / "hashrate.csv").write_text(HEADER + GOOD)
    run = Run(folder)
    assert (run.code, run.err.startswith("hashrate.csv: 1 rows, ")) == (0, True)
    assert run.out.split() == [
        "file", "received", "created", "updated", "unchanged", "refused", "hashrate.csv", "1", "1", "0", "0", "0"
    ]  # fmt: skip
    again = Run(folder)
    assert (again.code, again.out.split()[-4:]) == (0, ["0", "0", "1", "0"])


def test_one_bad_row_is_reported_with_file_line_and_column_and_exits_with_1(folder):
    (folder / "hashrate.csv").write_text(HEADER + "northfold/m1,2026-06-01T00:00:00Z,-5\n" + GOOD)
    run = Run(folder, "--quiet")
    assert run.code == 1
    assert run.err == "hashrate.csv:2: column hashrate is '-5'; give a whole number, 0 or more, in digits alone.\n"
    assert run.last_words == "Refused: 1 rows. All others were taken."
    assert HashrateSample.objects.count() == 1


def test_kinds_are_imported_in_the_order_in_which_they_refer_to_each_other(folder):
    (folder / "workers.ndjson").write_text('{"miner": "northfold/m2", "name": "01"}\n')
    (folder / "miners.csv").write_text("account,name,pool\nnorthfold,m2,northfold/p1\n")
    (folder / "pools.ndjson").write_text('{"account": "northfold", "name": "p1"}\n')
    assert Run(folder).code == 0
    assert Worker.objects.get().miner.pool.name == "p1"


@pytest.mark.parametrize("name", ["nowhere", "a-file"])
def test_what_is_no_directory_exits_with_2(folder, name):
    (folder / "a-file").write_text("")
    run = Run(folder / name)
    assert (run.code, "can't be read" in run.last_words) == (2, True)


def test_a_directory_without_known_files_exits_with_2_and_says_what_was_passed_over(folder):
    (folder / "miner.csv").write_text("")
    (folder / "notes.txt").write_text("")
    run = Run(folder)
    assert (run.code, run.err) == (2, "miner.csv: not read, for there is no kind of that name.\n")
    assert "miners.csv" in run.last_words


@pytest.mark.parametrize("content", [b"", b"miner;at;hashrate\n", "miner,at\n".encode("utf-16")])
def test_a_header_that_can_not_be_read_exits_with_2_and_with_1_beside_good_files(folder, content):
    (folder / "hashrate.csv").write_bytes(content)
    run = Run(folder)
    assert (run.code, run.err.startswith("hashrate.csv:1: "), run.last_words) == (2, True, "Nothing could be read.")
    (folder / "hashrate.ndjson").write_text('{"miner": "northfold/m1", "at": "2026-06-01T00:00:00Z", "hashrate": 5}')
    run = Run(folder)
    assert (run.code, run.last_words) == (1, "Refused: 0 rows and 1 whole file. All others were taken.")
    assert HashrateSample.objects.count() == 1


def test_only_some_kinds(folder):
    (folder / "hashrate.csv").write_text(HEADER + GOOD)
    (folder / "workers.csv").write_text("miner,name\nnorthfold/m1,01\n")
    assert Run(folder, "--only", "workers").code == 0
    assert (Worker.objects.count(), HashrateSample.objects.count()) == (1, 0)
    assert Run(folder, "--only", "pools").code == 2


def test_a_dry_run_sees_what_it_would_have_made_and_leaves_nothing(folder):
    (folder / "miners.csv").write_text("account,name\nnorthfold,m2\n")
    (folder / "workers.csv").write_text("miner,name\nnorthfold/m2,01\n")
    run = Run(folder, "--dry-run")
    assert (run.code, "This was a dry run" in run.out) == (0, True)
    assert not Worker.objects.exists()
    assert not Miner.objects.filter(name="m2").exists()
    assert not AuditEvent.objects.filter(action="pool_data.imported").exists()


def test_errors_beyond_the_limit_are_counted(folder):
    (folder / "hashrate.csv").write_text(HEADER + "x,y,z\n" * 10)
    run = Run(folder, "--max-errors", "2", "--quiet")
    assert run.err.splitlines()[2:] == ["hashrate.csv: 28 more errors."]
    assert run.last_words.startswith("Refused: 10 rows")


def test_the_environment_is_the_one_that_was_named(folder, account):
    (folder / "miners.csv").write_text("account,name\nnorthfold,m1\n")
    assert Run(folder, "--environment", "staging").code == 0
    assert list(Miner.objects.order_by("environment").values_list("environment", flat=True)) == [
        "production",
        "staging",
    ]


def test_each_file_is_an_audit_row(folder):
    (folder / "hashrate.csv").write_text(HEADER + GOOD)
    (folder / "workers.csv").write_text("miner,name\nnorthfold/m1,01\n")
    Run(folder)
    events = AuditEvent.objects.filter(action="pool_data.imported").order_by("id")
    assert [event.data["source"] for event in events] == ["workers.csv", "hashrate.csv"]
    assert {event.actor_name for event in events} == {"manage.py import_pool_data"}


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_how_far_it_is(folder):
    (folder / "hashrate.csv").write_text(HEADER + GOOD)
    err = Terminal()
    call_command("import_pool_data", str(folder), stdout=StringIO(), stderr=err, no_color=True)
    assert "\rhashrate.csv  100%  1 rows, " in err.getvalue()


def test_an_interruption_says_what_was_imported_so_far(folder, monkeypatch):
    (folder / "workers.csv").write_text("miner,name\nnorthfold/m1,01\n")
    (folder / "hashrate.csv").write_text(HEADER + GOOD)
    real = import_pool_data.import_rows

    def stop_at_hashrate(kind, *args, **kwargs):
        if kind.name == "hashrate":
            raise KeyboardInterrupt
        real(kind, *args, **kwargs)

    monkeypatch.setattr(import_pool_data, "import_rows", stop_at_hashrate)
    run = Run(folder)
    assert (run.code, "workers.csv: 1 rows read, 1 created, 0 updated" in run.last_words) == (130, True)
    assert Worker.objects.count() == 1


def test_a_database_that_goes_away_is_an_interruption_with_its_reason(folder, monkeypatch):
    (folder / "hashrate.csv").write_text(HEADER + GOOD)

    def fail(*args, **kwargs):
        raise OperationalError("server closed the connection unexpectedly\n\tThis probably means …")

    monkeypatch.setattr(import_pool_data, "import_rows", fail)
    run = Run(folder)
    assert (run.code, run.last_words) == (
        130,
        "Interrupted: server closed the connection unexpectedly.\nImported so far: nothing.",
    )


@pytest.fixture
def takes_test_coins(settings):
    """As with DEBUG, which the demo runs with."""
    settings.PITHEAD_TEST_COINS_IN_PRODUCTION = True


def test_the_sample_data_imports_cleanly_into_the_demo(db, takes_test_coins):
    seed()
    before = Entity.objects.count()
    run = Run(SAMPLE)
    assert (run.code, run.last_words) == (0, "")
    assert Entity.objects.count() - before == 2 + 3 + 12
    new = Miner.objects.filter(pool__name__in=["aurora-btc-fpps", "fjord-btc-pplns"])
    assert {slug for (slug,) in new.values_list("account__slug")} == {"northfold", "borealis"}
    assert HashrateSample.objects.filter(miner__in=new).count() == 12 * 48
    for rows in (HubClient, Worker):
        assert rows.objects.filter(miner__in=new).exists()
    assert WorkerGroup.objects.filter(miner__in=new).exists()
    for rows in (Accrual, Payout, Wallet):
        assert rows.objects.filter(entity__in=new).exists()
    again = Run(SAMPLE)
    totals = [line.split()[1:] for line in again.out.splitlines()[1:]]
    assert [[created, updated, refused] for _, created, updated, _, refused in totals] == [["0", "0", "0"]] * 7


@pytest.mark.parametrize("kind", ROW_KINDS.values(), ids=list(ROW_KINDS))
def test_the_documentation_has_each_kinds_columns(kind):
    text = DOCUMENTATION.read_text()
    assert f"### {kind.name}\n" in text
    assert describe.as_markdown(kind) in text
    assert f"The same row: {kind.same}." in text


def test_help_documents_every_column_and_exit_code():
    text = (
        load_command_class("entities", "import_pool_data").create_parser("manage.py", "import_pool_data").format_help()
    )
    for kind in ROW_KINDS.values():
        assert f"{kind.name}.csv, {kind.name}.ndjson" in text
        assert all(f"  {column.name} " in text for column in kind.columns)
    for code in ("0  ", "1  ", "2  ", "130  "):
        assert f"\n  {code}" in text


# The real process


@pytest.fixture
def run_process(tmp_path, account, transactional_db):
    """Start the command as its own process on the test database."""
    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        url = f"sqlite:///{name}"
    else:
        own = connection.settings_dict
        url = f"postgres://{own['USER']}:{own['PASSWORD']}@{own['HOST']}:{own['PORT'] or 5432}/{name}"
    MinerFactory(account=account, name="m1")

    def start(**options) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", "manage.py", "import_pool_data", str(tmp_path)],
            cwd=settings.BASE_DIR,
            env={**os.environ, "DATABASE_URL": url, "DEBUG": "True"},
            **{"stderr": subprocess.PIPE, **options},
        )

    return start


def test_the_process_exits_with_the_code(run_process, tmp_path):
    (tmp_path / "hashrate.csv").write_text(HEADER + GOOD + "x,y,z\n")
    process = run_process(stdout=subprocess.PIPE)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, b"hashrate.csv:3: column miner is 'x'" in err) == (1, True)


def press_ctrl_c(process):
    """Interrupt, as a person does: once more where nothing comes of it. Return what was written to stderr.

    A signal in the instant before a read begins to wait is handled when that read returns, in any Python program.
    """
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        try:
            return process.communicate(timeout=20)[1]
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError("It does not end.")


def test_ctrl_c_ends_the_process_with_130_and_keeps_what_was_committed(run_process, tmp_path):
    first = datetime(2026, 1, 1, tzinfo=UTC)
    os.mkfifo(tmp_path / "hashrate.csv")
    process = run_process(stdout=subprocess.PIPE)
    with (tmp_path / "hashrate.csv").open("w") as pipe:
        pipe.write(
            HEADER + "".join(f"northfold/m1,{first + timedelta(hours=n):%Y-%m-%dT%H}:00:00Z,5\n" for n in range(5_001))
        )
        pipe.flush()
        wait_until(lambda: HashrateSample.objects.count() == 5_000, process)
        err = press_ctrl_c(process)
    assert process.returncode == 130, err
    assert b"Imported so far: hashrate.csv: 5,000 rows read, 5,000 created" in err
    data = AuditEvent.objects.get(action="pool_data.imported").data
    assert (data["finished"], data["created"]) == (False, 5_000)


def test_a_reader_that_goes_away_ends_the_process_with_130(run_process, tmp_path):
    (tmp_path / "hashrate.csv").write_text(HEADER + GOOD)
    reading, writing = os.pipe()
    os.close(reading)
    process = run_process(stdout=writing)
    os.close(writing)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert b"hashrate.csv: 1 rows read, 1 created" in err
    assert b"Traceback" not in err


def test_readers_of_both_outputs_that_go_away_end_it_with_130_too(run_process, tmp_path):
    (tmp_path / "hashrate.csv").write_text(HEADER + GOOD)
    reading, writing = os.pipe()
    os.close(reading)
    process = run_process(stdout=writing, stderr=writing)
    os.close(writing)
    assert process.wait(timeout=60) == 130


def wait_until(holds: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
