"""The bench commands run and say what they should. Never how fast: that is for a quiet machine."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from bench import database
from bench.driver import Slice
from bench.hot_path import ROWS, TARGETS, Row

TINY = [
    "--database",
    "sqlite",
    "--keys",
    "30",
    "--rotate",
    "10",
    "--accounts",
    "3",
    "--seconds",
    "0.1",
    "--rounds",
    "1",
]


def run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", *arguments],
        cwd=database.ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_command_prints_each_row_with_its_ratio_to_the_floor():
    answer = json.loads(run("bench.hot_path", *TINY, "--json"))
    (result,) = answer["results"]
    rows = {row["row"]: row for row in result["rows"]}
    assert list(rows) == ["floor", *ROWS]
    assert rows["floor"]["ratio"] == 1.0
    assert all(row["ratio"] > 0 and row["requests_per_second"] > 0 for row in rows.values())
    assert rows["authenticated"]["target"] == TARGETS["SQLite"]["authenticated"]


def test_where_the_time_goes_is_told_step_by_step():
    table = run("bench.where", "--keys", "30", "--requests", "5")
    for step in ("SELECT", "parse and checksum", "HMAC and compare", "facts of the request", "DRF dispatch", "**sum**"):
        assert f"| {step}" in table


def test_an_import_says_its_rate_and_its_peak_memory():
    new, again = json.loads(run("bench.ingest", "--rows", "2000", "--json"))
    assert (new["run"], again["run"], new["rows"], again["rows"]) == ("all new", "none new", 2000, 2000)
    assert all(result["rows_per_second"] > 0 and result["peak_mib"] > 0 for result in (new, again))


def test_a_row_is_compared_with_the_floors_around_it():
    def measured(requests: int, cpu: float) -> Slice:
        return Slice(requests=requests, elapsed=1.0, p50=0.001, p99=0.002, driver_cpu=0.1, server_cpu=cpu)

    row = Row("authenticated")
    row.add(measured(900, 0.9), measured(700, 1.0), measured(1100, 1.1))
    assert row.ratios == [0.7]
    assert row.cpu_ratios == [pytest.approx(0.7)]


def test_a_database_that_is_not_for_this_is_never_dropped():
    with (
        pytest.raises(SystemExit, match="would be dropped"),
        database.fresh_database("postgres://postgres@127.0.0.1:5432/pithead"),
    ):
        pass
