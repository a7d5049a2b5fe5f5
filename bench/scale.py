"""Whether answers stay quick as a pool grows: each request on a small and on a large PostgreSQL database, by turns.

    python -m bench.scale
    python -m bench.scale --keep --json

Exit status 1 when a gated request takes more than twice as long on the large one, or when its plan reads a big table
from end to end, or sorts more than a few pages.
"""

from __future__ import annotations

import argparse
import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from statistics import median, quantiles
from typing import Any
from urllib.parse import urlsplit

from bench import database

SERVER = "postgres://postgres@127.0.0.1:5432"
LIMIT = 2.0  # times as long
SORTED = 2_000  # rows: pages of a few ways and groups, and nothing that grows
KEYS = ("all", "picked", "hubs", "pools")
# What may grow: no index serves these (see the README).
UNGATED = {"by name", "search, rare", "hub stats", "pool stats", "key"}


@dataclass(frozen=True)
class Size:
    miners: int
    others: int
    workers: int
    picked: int
    clients: int


class World:
    """A filled database, and the application on it."""

    def __init__(self, asked: subprocess.Popen[str], secrets: dict[str, str]) -> None:
        self.asked = asked
        self.secrets = secrets

    def ask(self, do: str, key: str, path: str, **more: Any) -> dict[str, Any]:
        assert self.asked.stdin is not None
        assert self.asked.stdout is not None
        question = {"do": do, "path": path, "secret": self.secrets[key], **more}
        self.asked.stdin.write(json.dumps(question) + "\n")
        self.asked.stdin.flush()
        line = self.asked.stdout.readline()
        if not line:
            raise SystemExit(f"No answer to {question}; see what --verbose shows.")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def paths(self, key: str) -> dict[str, str]:
        """What to ask with ``key``, by name: only what it reaches."""
        half, middle = self.middle(key)
        miner = next((row for row in middle if row["name"].endswith(("01", "51"))), middle[0])
        paths = {
            "first page": "miners",
            "deep page": f"miners?cursor={half}" if half else "miners",
            "by name": "miners?ordering=name",
            "of a name": f"miners?name={miner['name']}",
            "search, frequent": "miners?search=7",
            "search, rare": f"miners?search={miner['name'][1:]}",
            "miner": f"miners/{miner['id']}",
            "miner workers": f"miners/{miner['id']}/workers",
            "hashrate": f"miners/{miner['id']}/hashrate",
            "accruals": f"miners/{miner['id']}/accruals",
            "payments": f"miners/{miner['id']}/payments",
            "hubs": "hubs",
            "pools": "pools",
        }
        for kind, hanging in {"hub": ("clients", "workers", "accruals", "stats"), "pool": ("miners", "stats")}.items():
            found = self.ask("answer", key, f"{kind}s")["body"]["data"]
            if found:
                paths[kind] = f"{kind}s/{found[0]['id']}"
                paths |= {f"{kind} {what}": f"{paths[kind]}/{what}" for what in hanging}
        if "pool" in paths:
            paths["on a pool"] = f"miners?pool={paths['pool'].removeprefix('pools/')}"
        paths["key"] = "key"
        return {name: path for name, path in paths.items() if self.ask("answer", key, path)["status"] == 200}

    def middle(self, key: str) -> tuple[str | None, list[dict[str, Any]]]:
        """A cursor about half way through the miners that ``key`` reaches, and rows there."""
        pages: list[tuple[str | None, list[dict[str, Any]]]] = []
        cursor = None
        while not pages or cursor:
            body = self.ask("answer", key, "miners?limit=500" + (f"&cursor={cursor}" if cursor else ""))["body"]
            cursor = body["page"]["next"]
            pages.append((cursor, body["data"]))
        return pages[(len(pages) - 1) // 2]


def main() -> None:
    options = arguments().parse_args()
    small = Size(options.small, options.small, 10 * options.small, options.small // 2, options.small // 10)
    large = Size(options.miners, options.miners // 4, options.workers, options.picked, options.clients)
    with ExitStack() as stack:
        worlds = [stack.enter_context(world(size, options)) for size in (small, large)]
        rows = [row for key in options.key or KEYS for row in compare(worlds, key, options)]
    if options.json:
        print(json.dumps({"small": asdict(small), "large": asdict(large), "rows": rows}, indent=2))
    else:
        print_table(small, large, rows)
    sys.exit(any(row["fails"] for row in rows))


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__.splitlines()[0])
    parser.add_argument("--miners", type=int, default=200_000, help="the large account's miners (200,000)")
    parser.add_argument("--workers", type=int, default=2_000_000, help="their workers (2,000,000)")
    parser.add_argument("--picked", type=int, default=10_000, help="miners that a key picks by hand (10,000)")
    parser.add_argument("--clients", type=int, default=4_000, help="clients of each of five hubs (4,000)")
    parser.add_argument("--small", type=int, default=1_000, help="the small account's miners (1,000)")
    parser.add_argument("--requests", type=int, default=40, help="requests of each kind to each (40)")
    parser.add_argument("--key", action="append", choices=KEYS, help="with this key alone; may be repeated")
    parser.add_argument(
        "--server", default=SERVER, metavar="URL", help=f"the PostgreSQL server, a superuser ({SERVER})"
    )
    parser.add_argument("--keep", action="store_true", help="keep the databases, and take what an earlier run kept")
    parser.add_argument("--sql", action="store_true", help="print every query and its plan, too")
    parser.add_argument("--verbose", action="store_true", help="show the application's log")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser


@contextmanager
def world(size: Size, options: argparse.Namespace) -> Iterator[World]:
    """Fill a database, or take the one that was kept, and start the application on it."""
    url = database_url(options.server, size)
    with ExitStack() as stack:
        secrets = kept(url) if options.keep else None
        if secrets is None:
            stack.enter_context(database.fresh_database(url, keep=options.keep))
            print(f"Filling a database with {size.miners:,} miners …", file=sys.stderr)
            secrets = fill(url, size)
            if options.keep:
                keep(url, secrets)
        command = [sys.executable, "-m", "bench.asked", *(["--sql"] if options.sql else [])]
        log = None if options.sql or options.verbose else subprocess.DEVNULL
        asked = subprocess.Popen(
            command,
            cwd=database.ROOT,
            env=environment(url),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        stack.callback(asked.wait)
        stack.callback(asked.terminate)
        yield World(asked, secrets)


def database_url(server: str, size: Size) -> str:
    """One database for each size; `database.fresh_database` drops none whose name does not end like this."""
    return f"{server}/pithead_scale_{'_'.join(str(number) for number in asdict(size).values())}_bench"


def environment(url: str) -> dict[str, str]:
    """As `database.environment`, with the same secrets each time, so that the keys of a kept database work."""
    return database.environment(url) | {
        "PITHEAD_MASTER_KEYS": base64.urlsafe_b64encode(b"only for databases of bench.....").decode(),
        "SECRET_KEY": "only for databases of bench, and of no worth at all: " + "0123456789",
    }


def fill(url: str, size: Size) -> dict[str, str]:
    arguments = [part for name, number in asdict(size).items() for part in (f"--{name}", str(number))]
    command = [sys.executable, "-m", "bench.world", *arguments]
    done = subprocess.run(command, cwd=database.ROOT, env=environment(url), check=True, stdout=subprocess.PIPE)
    secrets: dict[str, str] = json.loads(done.stdout)
    return secrets


def kept(url: str) -> dict[str, str] | None:
    """The secrets that `keep` wrote; None where there is no such database, or it was not filled to the end."""
    import psycopg

    query = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
    with psycopg.connect(urlsplit(url)._replace(path="/postgres").geturl()) as server:
        row = server.execute(query, [urlsplit(url).path.lstrip("/")]).fetchone()
    return json.loads(row[0]) if row and row[0] else None


def keep(url: str, secrets: dict[str, str]) -> None:
    import psycopg
    from psycopg.sql import SQL, Identifier, Literal

    with psycopg.connect(urlsplit(url)._replace(path="/postgres").geturl(), autocommit=True) as server:
        name = Identifier(urlsplit(url).path.lstrip("/"))
        server.execute(SQL("COMMENT ON DATABASE {} IS {}").format(name, Literal(json.dumps(secrets))))


def compare(worlds: list[World], key: str, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Ask both worlds the same by turns, so that a noisy machine meets both alike."""
    small, large = (world.paths(key) for world in worlds)
    for name in large:
        if name not in small:
            continue
        requests = min(options.requests, 2) if name in UNGATED else options.requests  # some take seconds
        took: tuple[list[float], list[float]] = ([], [])
        for turn in range(-1, max(1, requests // 5)):
            for world, path, seconds in zip(worlds, (small[name], large[name]), took, strict=True):
                measured = world.ask("measure", key, path, requests=min(5, requests))["seconds"]
                if turn >= 0:  # the first is for warming up
                    seconds += measured
        plans = worlds[1].ask("explain", key, large[name])["plans"]
        row = judge(key, name, took, plans)
        print(f"{key}, {name}: {row['small_ms']} ms, {row['large_ms']} ms, {row['ratio']}", file=sys.stderr)
        yield row


def judge(key: str, name: str, took: tuple[list[float], list[float]], plans: list[dict[str, Any]]) -> dict[str, Any]:
    """A row of the table: times in ms, their ratio, what the large one's plans do, and why it fails."""
    small, large = (1e3 * median(seconds) for seconds in took)
    p95 = [1e3 * (quantiles(seconds, n=20)[-1] if len(seconds) > 1 else seconds[0]) for seconds in took]
    scans = sorted({table for plan in plans for table in plan["seq_scans"]})
    rows_sorted = max((plan["sorted"] for plan in plans), default=0)
    fails = []
    if name not in UNGATED:
        fails += [f"{large / small:.1f} times as long"] if large > LIMIT * small else []
        fails += [f"Seq Scan of {table}" for table in scans]
        fails += [f"sorts {rows_sorted:,} rows"] if rows_sorted > SORTED else []
    return {
        "key": key,
        "request": name,
        "small_ms": round(small, 2),
        "small_p95_ms": round(p95[0], 2),
        "large_ms": round(large, 2),
        "large_p95_ms": round(p95[1], 2),
        "ratio": round(large / small, 2),
        "gated": name not in UNGATED,
        "sorted": rows_sorted,
        "read": max((plan["read"] for plan in plans), default=0),
        "seq_scans": scans,
        "nodes": list(dict.fromkeys(node for plan in plans for node in plan["nodes"])),
        "fails": fails,
    }


def print_table(small: Size, large: Size, rows: list[dict[str, Any]]) -> None:
    """Print the rows as tables that bench/README.md can take over as they are."""
    print(f"Small: {asdict(small)}\nLarge: {asdict(large)}\n")
    print("| key | request | small ms (p95) | large ms (p95) | ratio | most rows read | sorted | |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        times = [f"{row[f'{size}_ms']:.1f} ({row[f'{size}_p95_ms']:.1f})" for size in ("small", "large")]
        verdict = ", ".join(row["fails"]) or ("" if row["gated"] else "not gated")
        cells = [
            row["key"],
            row["request"],
            *times,
            f"**{row['ratio']:.2f}**",
            f"{row['read']:,}",
            f"{row['sorted']:,}",
        ]
        print(f"| {' | '.join([*cells, verdict])} |")
    print("\nPlans on the large one:\n")
    for row in rows:
        print(f"- {row['key']}, {row['request']}: {', '.join(row['nodes'])}")


if __name__ == "__main__":
    main()
