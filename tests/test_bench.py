"""The bench commands run and say what they should. Never how fast: that is for a quiet machine."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from django.db import connection

from bench import admin, database, scale
from bench.asked import read_plan
from bench.driver import Slice
from bench.hot_path import ROWS, TARGETS, Row
from bench.scale import judge

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


# The staff admin


@pytest.mark.skipif(connection.vendor != "postgresql", reason="fills a PostgreSQL database")
def test_every_list_of_the_staff_admin_is_asked(db):
    settings = connection.settings_dict
    server = f"postgres://{settings['USER']}:{settings['PASSWORD']}@{settings['HOST']}:{settings['PORT']}"
    rows = json.loads(
        run("bench.admin", "--server", server, "--keys", "200", "--accounts", "5", "--requests", "1", "--json")
    )
    assert {"dashboard", "API keys", "revoked API keys", "accounts", "audit events"} <= {row["list"] for row in rows}
    assert all(row["seconds"] > 0 and row["queries"] > 0 for row in rows)


@pytest.mark.parametrize(
    ("path", "seconds", "queries", "fails"),
    [
        ("/admin/accounts/user/", 0.99, 20, []),
        ("/admin/accounts/user/", 1.2, 21, ["1.2 s", "21 queries"]),
        ("/admin/", 0.5, 50, []),
    ],
)
def test_a_page_of_the_staff_admin_fails_by_its_time_and_its_queries(path, seconds, queries, fails):
    assert admin.judge({"path": path, "seconds": seconds, "queries": queries}) == fails


# Scale


def plan(node: str, *inner: dict[str, object], rows: int = 1, **more: object) -> dict[str, object]:
    blocks = {"Shared Hit Blocks": 1, "Shared Read Blocks": 0}
    return {"Node Type": node, "Actual Rows": rows, "Actual Loops": 1, "Plans": list(inner), **blocks, **more}


def test_a_plan_tells_what_it_read_sorted_and_walked_from_end_to_end():
    removed = {"Rows Removed by Filter": 200}
    big, little = (plan("Seq Scan", rows=50, **{"Relation Name": name}, **removed) for name in ("big", "little"))
    read = read_plan(plan("Limit", plan("Incremental Sort", plan("Append", big, little, rows=100))), {"big"})
    assert read["nodes"] == ["Limit", "Incremental Sort", "Append", "Seq Scan big", "Seq Scan little"]
    assert (read["read"], read["sorted"], read["seq_scans"]) == (250, 100, ["big"])


@pytest.mark.parametrize(
    ("request_name", "large", "plans", "fails"),
    [
        ("first page", 0.019, [], []),
        ("first page", 0.021, [], ["2.1 times as long"]),
        ("first page", 0.01, [{"sorted": 2001, "seq_scans": []}], ["sorts 2,001 rows"]),
        ("first page", 0.01, [{"sorted": 0, "seq_scans": ["big"]}], ["Seq Scan of big"]),
        ("pool stats", 0.021, [{"sorted": 2001, "seq_scans": ["big"]}], []),
    ],
)
def test_a_request_fails_by_its_ratio_and_by_its_plans(request_name, large, plans, fails):
    plans = [{"read": 0, "nodes": [], **plan} for plan in plans]
    assert judge("all", request_name, ([0.01] * 3, [large] * 3), plans)["fails"] == fails


def test_the_scale_commands_databases_are_named_by_size_and_purpose():
    url = scale.database_url("postgres://server:5432", scale.Size(1, 2, 3, 4, 5))
    assert url == "postgres://server:5432/pithead_scale_1_2_3_4_5_bench"


# Support keys


def test_a_support_key_s_first_use_is_told_from_later_ones():
    rows = json.loads(run("bench.support_keys", "--requests", "5", "--json"))
    assert list(rows) == [
        "ordinary key",
        "support key, first use",
        "support key, later uses",
        "a string that is none",
    ]
    assert rows["support key, first use"]["ms"] > 2 * rows["support key, later uses"]["ms"]
