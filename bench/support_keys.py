"""What a support key costs: its first use, its later uses and a string that is none, by an ordinary key's request.

    python -m bench.support_keys                     # SQLite, in a temporary file
    python -m bench.support_keys --database postgres://postgres@127.0.0.1:5432/pithead_bench --redis redis://…

Through the real application (`asked.py`'s way: WSGI in one process), so without server and network.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from statistics import median

from bench import database

OLD = "old-key-of-support-7Kd93jsLq02x"
ROUTE = "/api/v1/key"


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m bench.support_keys", description=__doc__.splitlines()[0])
    options.add_argument("--database", default="sqlite", help="sqlite, or a PostgreSQL URL whose name ends in “bench”")
    options.add_argument("--redis", default="", help="remember in Redis; without it in the process")
    options.add_argument("--requests", type=int, default=300)
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    with database.fresh_database(chosen.database) as url:
        os.environ |= database.environment(url) | {"REDIS_URL": chosen.redis}
        rows = measure(chosen.requests)
    if chosen.json:
        print(json.dumps(rows, indent=2))
        return
    print("| request | ms | by an ordinary key's |\n|---|---|---|")
    for name, row in rows.items():
        print(f"| {name} | {row['ms']:.2f} | {row['ratio']:.2f} |")


def measure(requests: int) -> dict[str, dict[str, float]]:
    """Return the median time of each kind of request in ms, and its ratio to an ordinary key's."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client

    from accounts.audit import Actor
    from accounts.models import Account
    from apikeys import lifecycle, registered, signing, support_keys
    from apikeys.models import ApiKeySecret
    from apikeys.scopes import Scope
    from entities.models import Miner

    call_command("migrate", verbosity=0)
    actor = Actor.for_command("bench")
    account = Account.objects.create(name="Bench", slug="bench")
    signing.bootstrap(account, actor=actor)
    miner = Miner.objects.create(account=account, environment="production", name="bench-1")
    wanted = {"actor": actor, "environment": "production", "access_level": "viewer"}
    scope = Scope.parse(f"*:miners/{miner.pk}")
    _, secret = lifecycle.issue(account, **wanted, name="Ordinary", scopes=[scope])
    key = support_keys.register(account, **wanted, name="Old", text=OLD, entities=[miner])
    [secret_pk] = ApiKeySecret.objects.filter(key=key).values_list("pk", flat=True)

    client = Client(SERVER_NAME="127.0.0.1")

    def ask(text: str, status: int) -> Callable[[], None]:
        def run() -> None:
            answer = client.get(ROUTE, headers={"authorization": f"Bearer {text}"})
            assert answer.status_code == status, answer.content

        return run

    kinds: dict[str, tuple[Callable[[], None], Callable[[], None], int]] = {
        "ordinary key": (ask(secret, 200), lambda: None, requests),
        "support key, first use": (ask(OLD, 200), lambda: registered._forget([secret_pk]), max(1, requests // 10)),
        "support key, later uses": (ask(OLD, 200), lambda: None, requests),
        "a string that is none": (ask("no-such-key-of-support", 401), lambda: None, requests),
    }
    took: dict[str, list[float]] = {name: [] for name in kinds}
    for name, (run, before, count) in kinds.items():
        run()
        for _ in range(count):
            before()
            began = time.perf_counter()
            run()
            took[name].append(1000 * (time.perf_counter() - began))
    connection.close()
    ordinary = median(took["ordinary key"])
    return {name: {"ms": median(times), "ratio": median(times) / ordinary} for name, times in took.items()}


if __name__ == "__main__":
    main()
