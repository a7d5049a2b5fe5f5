"""Whether the staff admin stays quick at 1,000,000 keys: each list by each filter, order and search, the dashboard.

    python -m bench.admin
    python -m bench.admin --keep --slowest 20

Exit status 1 when a page takes over a second (the median of its requests), or a list over 20 queries.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median
from time import perf_counter
from typing import Any

from bench import database, scale

MOST_SECONDS, MOST_QUERIES = 1.0, 20
#: The dashboard is the lengths of many lists: a query or two for each.
MOST_DASHBOARD_QUERIES = 50
NOTHING = "nothing like it"
DASHBOARD = "/admin/"


def main() -> None:
    options = arguments().parse_args()
    if options.inside:
        json.dump(measure(options.requests, options.path), sys.stdout)
        return
    url = f"{options.server}/pithead_admin_{options.keys}_{options.accounts}_bench"
    with ExitStack() as stack:
        if not (options.keep and scale.kept(url) is not None):
            stack.enter_context(database.fresh_database(url, keep=options.keep))
            print(f"Filling a database with {options.keys:,} keys …", file=sys.stderr)
            sizes = ["--keys", str(options.keys), "--accounts", str(options.accounts)]
            run("bench.staff_world", url, *sizes)
            scale.keep(url, {})
        pages = json.loads(
            run("bench.admin", url, "--inside", "--path", options.path, "--requests", str(options.requests))
        )
    rows = [{**page, "fails": judge(page)} for page in pages]
    if options.json:
        print(json.dumps(rows, indent=2))
    else:
        print_table(rows, options.slowest)
    sys.exit(any(row["fails"] for row in rows))


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.admin", description=__doc__.splitlines()[0])
    parser.add_argument("--keys", type=int, default=1_000_000, help="keys stored (1,000,000)")
    parser.add_argument("--accounts", type=int, default=20_000, help="their accounts (20,000)")
    parser.add_argument("--requests", type=int, default=3, help="requests of each page (3)")
    parser.add_argument(
        "--server", default=scale.SERVER, metavar="URL", help=f"the PostgreSQL server, a superuser ({scale.SERVER})"
    )
    parser.add_argument("--keep", action="store_true", help="keep the database, and take what an earlier run kept")
    parser.add_argument("--path", default="", help="ask the pages whose path holds this alone: activekey")
    parser.add_argument("--slowest", type=int, metavar="N", help="print the N slowest pages alone")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    return parser


def run(module: str, url: str, *arguments: str) -> str:
    """The output of a module in a process of its own, as Django's settings are one per process."""
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(
        command, cwd=database.ROOT, env=scale.environment(url), check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def judge(page: dict[str, Any]) -> list[str]:
    """Why a page fails, if it does."""
    most = MOST_DASHBOARD_QUERIES if page["path"] == DASHBOARD else MOST_QUERIES
    fails = [f"{page['seconds']:.1f} s"] if page["seconds"] > MOST_SECONDS else []
    return fails + ([f"{page['queries']} queries"] if page["queries"] > most else [])


def print_table(rows: list[dict[str, Any]], slowest: int | None) -> None:
    """As bench/README.md has it: each list's slowest page, or the slowest of all."""
    shown = sorted(rows, key=lambda row: -row["seconds"])
    if slowest is None:
        shown = list({row["list"]: row for row in reversed(shown)}.values())
    print("| list | pages | slowest page | ms | queries | |")
    print("|---|---|---|---|---|---|")
    for row in shown:
        pages = sum(other["list"] == row["list"] for other in rows)
        fails = ", ".join(row["fails"])
        print(
            f"| {row['list']} | {pages} | `{row['path']}` | {1e3 * row['seconds']:.0f} | {row['queries']} | {fails} |"
        )


# In the process of the application


def measure(requests: int, part: str = "") -> list[dict[str, Any]]:
    """Ask each page whose path holds ``part`` for ``requests`` times, and once before for warming up."""
    import django

    django.setup()
    from django.test.utils import setup_test_environment

    setup_test_environment()  # so that an answer tells its context
    staff = signed_in()
    result = []
    for name, path in pages(staff, part):
        took, queries = [], 0
        for _ in range(requests + 1):
            seconds, queries = ask(staff, path)
            took.append(seconds)
        result.append({"list": name, "path": path, "seconds": median(took[1:]), "queries": queries})
        print(f"{path}: {1e3 * median(took[1:]):.0f} ms, {queries} queries", file=sys.stderr)
    return result


def signed_in() -> Any:
    """A client of a superuser who proved a second factor."""
    from django.test import Client
    from django_otp.plugins.otp_totp.models import TOTPDevice

    from accounts.models import User

    user = User.objects.filter(is_superuser=True).first() or User.objects.create_superuser("s@example.com", name="Saga")
    device, _ = TOTPDevice.objects.get_or_create(user=user, name="app", confirmed=True)
    client = Client()
    client.force_login(user)
    session = client.session
    session["otp_device_id"] = device.persistent_id
    session.save()
    return client


def ask(client: Any, path: str) -> tuple[float, int]:
    """Seconds and queries of one answer."""
    from django.db import connection

    queries = 0

    def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal queries
        queries += 1
        return execute(sql, params, many, context)

    start = perf_counter()
    with connection.execute_wrapper(count):
        answer = client.get(path)
    assert answer.status_code == 200, (path, answer.status_code, answer.headers.get("Location"))
    return perf_counter() - start, queries


def pages(client: Any, part: str) -> Iterator[tuple[str, str]]:
    """The name of a list and a path, for each page worth asking, drawn from what the sections themselves offer."""
    from django.contrib import admin
    from django.urls import reverse

    if part in DASHBOARD:
        yield "dashboard", DASHBOARD
    for model, section in admin.site._registry.items():
        path = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        if part not in path:
            continue
        answer = client.get(path)
        if answer.status_code != 200:
            continue
        for query in dict.fromkeys(queries_of(answer.context["cl"], section)):
            yield str(model._meta.verbose_name_plural), path + query


def queries_of(shown: Any, section: Any) -> Iterator[str]:
    """The first pages, the last one, each order both ways, each choice of each filter, and three searches."""
    from django.utils.http import urlencode

    yield from ("", "?p=2")
    pages = shown.paginator.num_pages
    yield f"?p={pages}"
    for number, name in enumerate(shown.list_display, start=1):
        if shown.get_ordering_field(name):
            yield from (f"?o={number}", f"?o=-{number}")
    for spec in shown.filter_specs:
        if getattr(spec, "parameter_name", "") == "account":
            yield from ("?account=copper-3", "?account=copper")
        for choice in spec.choices(shown):
            query = choice.get("query_string") or f"?{urlencode({spec.parameter_name: choice.get('value') or ''})}"
            yield query if len(query) > 1 else ""
    if section.search_fields and shown.result_list:
        name = str(shown.result_list[0])
        for words in (name.split(" ")[0], name, NOTHING):
            yield f"?{urlencode({'q': words})}"


if __name__ == "__main__":
    main()
