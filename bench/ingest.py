"""How fast hashrate samples come in, and in how much memory.

    python -m bench.ingest                                     # 1,000,000 rows, SQLite
    python -m bench.ingest --rows 1000000 --database postgres://postgres@127.0.0.1:5432/pithead_bench

Imports a CSV file twice with `manage.py import_pool_data`, in a fresh database: all rows are new, then none.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench import database

MINERS = 1_000
FIRST_HOUR = datetime(2026, 1, 1, tzinfo=UTC)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--database", default="sqlite", help="“sqlite”, or a PostgreSQL URL; it is dropped")
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    with database.fresh_database(chosen.database) as url, tempfile.TemporaryDirectory() as folder:
        results = measure(chosen.rows, url, Path(folder))
    if chosen.json:
        print(json.dumps(results))
        return
    for result in results:
        print(
            f"{result['run']}: {result['rows']:,} rows in {result['seconds']:,} s, "
            f"{result['rows_per_second']:,} rows/s, peak memory {result['peak_mib']} MiB"
        )


def measure(rows: int, url: str, folder: Path) -> list[dict[str, str | float]]:
    """Run both imports. Raises CalledProcessError where one of them refuses a row."""
    env = database.environment(url)
    command = [sys.executable, "manage.py"]
    account = "from accounts.models import Account; Account.objects.create(name='Bench', slug='bench')"
    write_files(rows, folder)
    for arguments in (["migrate", "--verbosity", "0"], ["shell", "--verbosity", "0", "-c", account]):
        subprocess.run([*command, *arguments], cwd=database.ROOT, env=env, check=True)
    imports = [*command, "import_pool_data", str(folder), "--quiet", "--only"]
    subprocess.run([*imports, "miners"], cwd=database.ROOT, env=env, check=True)
    results: list[dict[str, str | float]] = []
    for run in ("all new", "none new"):
        start = time.monotonic()
        peak = peak_memory([*imports, "hashrate"], env)
        seconds = time.monotonic() - start
        results.append(
            {
                "run": run,
                "rows": rows,
                "seconds": round(seconds, 1),
                "rows_per_second": round(rows / seconds),
                "peak_mib": round(peak / 1024),
            }
        )
    return results


def peak_memory(command: list[str], env: dict[str, str]) -> int:
    """Run ``command`` and return its largest resident set, in KiB (Linux). Raises CalledProcessError."""
    process = subprocess.Popen(command, cwd=database.ROOT, env=env)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return usage.ru_maxrss


def write_files(rows: int, folder: Path) -> None:
    """``rows`` samples of `MINERS` miners, hour after hour, as a pool's own export comes."""
    with (folder / "miners.csv").open("w") as file:
        file.write("account,name\n")
        file.writelines(f"bench,miner-{number:04}\n" for number in range(MINERS))
    with (folder / "hashrate.csv").open("w") as file:
        file.write("miner,at,hashrate,rejected\n")
        for number in range(rows):
            at = FIRST_HOUR + timedelta(hours=number // MINERS)
            file.write(f"bench/miner-{number % MINERS:04},{at:%Y-%m-%dT%H:%M:%SZ},{2 * 10**14 + number},{number}\n")


if __name__ == "__main__":
    main()
