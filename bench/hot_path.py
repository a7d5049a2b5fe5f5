"""What a key costs: a small endpoint with many keys against the real server, as a ratio to the same without any.

    python -m bench.hot_path                     # SQLite, then PostgreSQL
    python -m bench.hot_path --database sqlite   # no PostgreSQL needed

bench/README.md explains what is measured, and holds results.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from statistics import median
from types import MappingProxyType
from typing import Any, NamedTuple

from bench import database, driver, server

REDIS = "redis://127.0.0.1:6379/0"
POSTGRESQL = "postgres://postgres@127.0.0.1:5432/pithead_bench"


class Kind(NamedTuple):
    """A kind of request: the status of its answers, and what it asks for."""

    status: int
    path: str = server.WITH_KEY
    headers: Mapping[str, str] = MappingProxyType({})


ROWS = {
    "authenticated": Kind(200),
    "whole pipeline": Kind(200),
    "gateway": Kind(200, server.GATEWAY, {"X-Pithead-Permission": "stats:read"}),
    "mistyped": Kind(401),
    "unknown selector": Kind(401),
    "wrong secret": Kind(401),
}
#: Row -> the least ratio to the floor that we want.
TARGETS = {
    "PostgreSQL": {
        "authenticated": 0.70,
        "whole pipeline": 0.55,
        "gateway": 1.50,
        "mistyped": 2.50,
        "unknown selector": 0.60,
        "wrong secret": 0.60,
    },
    "SQLite": {"authenticated": 0.80, "mistyped": 2.50, "unknown selector": 0.60, "wrong secret": 0.60},
}


@dataclass
class Row:
    """The slices of one kind of request, and for each its ratios to the floors just before and just after it."""

    name: str
    slices: list[driver.Slice] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    cpu_ratios: list[float] = field(default_factory=list)

    def add(self, before: driver.Slice, own: driver.Slice, after: driver.Slice) -> None:
        """Add a slice and the floors around it."""
        self.slices.append(own)
        self.ratios.append(2 * own.rate / (before.rate + after.rate))
        if own.server_cpu and before.server_cpu and after.server_cpu:
            floor_cpu = (before.server_cpu + after.server_cpu) / (before.requests + after.requests)
            self.cpu_ratios.append(floor_cpu * own.requests / own.server_cpu)

    def summary(self, target: float | None) -> dict[str, Any]:
        """Medians over the slices; times of a request in ms, server CPU in µs."""
        cpu = [1e6 * part.server_cpu / part.requests for part in self.slices if part.server_cpu is not None]
        return {
            "row": self.name,
            "requests_per_second": round(median(part.rate for part in self.slices), 1),
            "p50_ms": round(1e3 * median(part.p50 for part in self.slices), 2),
            "p99_ms": round(1e3 * median(part.p99 for part in self.slices), 2),
            "server_cpu_us": round(median(cpu)) if cpu else None,
            "ratio": round(median(self.ratios), 3) if self.ratios else 1.0,
            "ratio_spread": [round(bound(self.ratios), 3) for bound in (min, max)] if self.ratios else [1.0, 1.0],
            "cpu_ratio": round(median(self.cpu_ratios), 3) if self.cpu_ratios else None,
            "target": target,
            "driver_busy": round(median(part.driver_cpu / part.elapsed for part in self.slices), 2),
        }


def main() -> None:
    options = arguments().parse_args()
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    server_core = None
    if len(cores) > 1:
        server_core = cores[-1]
    results = []
    for url in options.database or ["sqlite", POSTGRESQL]:
        with database.fresh_database(url) as database_url:
            env = database.environment(database_url)
            if url != "sqlite":
                env["REDIS_URL"] = options.redis  # production's form: limits over all processes
            print(f"Storing {options.keys:,} keys …", file=sys.stderr)
            secrets = database.fill(env, keys=options.keys, rotate=options.rotate, accounts=options.accounts)
            with server.running(env, server_core) as under_test:
                if server_core is not None:
                    os.sched_setaffinity(0, set(cores) - {server_core})
                rows = measure(under_test, secrets, options)
                if server_core is not None:
                    os.sched_setaffinity(0, set(cores))
        name = "SQLite" if url == "sqlite" else "PostgreSQL"
        results.append({"database": name, "rows": [row.summary(TARGETS[name].get(row.name)) for row in rows]})
        if not options.json:
            print_table(name, results[-1]["rows"])
    if options.json:
        chosen = {name: getattr(options, name) for name in ("keys", "rotate", "accounts", "seconds", "rounds")}
        about = {"cores": os.cpu_count(), "python": platform.python_version(), "pinned": server_core is not None}
        print(json.dumps(about | chosen | {"results": results}, indent=2))


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.hot_path", description=__doc__.splitlines()[0])
    parser.add_argument("--keys", type=int, default=100_000, help="keys stored (100,000)")
    parser.add_argument("--rotate", type=int, default=1_000, help="different keys presented in turn (1,000)")
    parser.add_argument("--accounts", type=int, default=1_000, help="accounts that own the keys (1,000)")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of each slice of load (2)")
    parser.add_argument("--rounds", type=int, default=7, help="slices of each row, floors between them (7)")
    parser.add_argument(
        "--database",
        action="append",
        metavar="URL",
        help=f"“sqlite”, or a PostgreSQL URL whose database is dropped and made anew; "
        f"may be repeated (sqlite and {POSTGRESQL})",
    )
    parser.add_argument("--redis", default=REDIS, metavar="URL", help=f"counts rates beside PostgreSQL ({REDIS})")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    return parser


def measure(under_test: server.Server, secrets: dict[str, list[str]], options: argparse.Namespace) -> list[Row]:
    """Drive every row in every round, each between two floors, so that a noisy machine meets both alike."""
    load = driver.Driver(under_test.address)
    requests = {"floor": driver.rotate(load, server.FLOOR, None)}
    for name, kind in ROWS.items():
        presented = secrets.get(name, secrets["authenticated"])
        requests[name] = driver.rotate(load, kind.path, presented, kind.headers)

    def run(name: str, seconds: float) -> driver.Slice:
        before = under_test.cpu_seconds()
        result = load.drive(requests[name], seconds, ROWS[name].status if name in ROWS else 200)
        after = under_test.cpu_seconds()
        return result if before is None or after is None else replace(result, server_cpu=after - before)

    for name in requests:  # every thread has its connection, and every path is warm
        run(name, options.seconds / 2)
    rows = [Row(name) for name in ROWS]
    floor = Row("floor")
    for _ in range(options.rounds):
        before = run("floor", options.seconds)
        floor.slices.append(before)
        for row in rows:
            own, after = run(row.name, options.seconds), run("floor", options.seconds)
            row.add(before, own, after)
            floor.slices.append(after)
            before = after
    load.close()
    return [floor, *rows]


def print_table(name: str, rows: list[dict[str, Any]]) -> None:
    """Print the rows as a table that bench/README.md can take over as it is."""
    print(f"\n### {name}\n")
    print("| | requests/s | p50 ms | p99 ms | server CPU µs | ratio to the floor | spread | by CPU | target |")
    print("|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        low, high = row["ratio_spread"]
        cells = [
            row["row"],
            f"{row['requests_per_second']:,.0f}",
            f"{row['p50_ms']:.2f}",
            f"{row['p99_ms']:.2f}",
            "–" if row["server_cpu_us"] is None else str(row["server_cpu_us"]),
            f"**{row['ratio']:.2f}**",
            f"{low:.2f} to {high:.2f}" if low < high else "",
            "" if row["cpu_ratio"] is None else f"{row['cpu_ratio']:.2f}",
            "" if row["target"] is None else f"≥ {row['target']:.2f}",
        ]
        print(f"| {' | '.join(cells)} |")
    print(f"\nThe driver was busy {max(row['driver_busy'] for row in rows):.0%} of the time at most.", flush=True)


if __name__ == "__main__":
    main()
