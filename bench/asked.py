"""The application in a process of its own, asked by lines of JSON: how long an answer takes, and by which plans.

Run by `bench.scale`, one for each database. In process, so that neither server nor network dilutes what grows.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from time import perf_counter
from typing import Any

ROOT = "/api/v1/"
BIG_TABLE = 10_000  # rows


class Asked:
    def __init__(self) -> None:
        with redirect_stdout(sys.stderr):  # the checks say that all is well
            from config.wsgi import application

        self.application = application

    def get(self, path: str, secret: str) -> tuple[int, bytes, float]:
        """Status, body and seconds of an answer."""
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": ROOT + path.partition("?")[0],
            "QUERY_STRING": path.partition("?")[2],
            "SCRIPT_NAME": "",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "8000",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": "127.0.0.1",
            "HTTP_ACCEPT": "*/*",
            "HTTP_AUTHORIZATION": f"Bearer {secret}",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(),
        }
        status: list[int] = []
        start = perf_counter()
        response = self.application(environ, lambda line, headers: status.append(int(line.split()[0])))
        body = b"".join(response)
        if hasattr(response, "close"):  # PEP 3333: only where there is one
            response.close()
        return status[0], body, perf_counter() - start

    def answer(self, *, path: str, secret: str) -> dict[str, Any]:
        """What one request answers."""
        status, body, _ = self.get(path, secret)
        return {"status": status, "body": json.loads(body)}

    def measure(self, *, path: str, secret: str, requests: int) -> dict[str, Any]:
        """Seconds of each of ``requests`` requests."""
        took = []
        for _ in range(requests):
            status, body, seconds = self.get(path, secret)
            assert status == 200, (path, body)
            took.append(seconds)
        return {"seconds": took}

    def explain(self, *, path: str, secret: str) -> dict[str, Any]:
        """The plans of a request's queries after the one for the key, as `read_plan` reads them."""
        from django.db import connection

        queries: list[tuple[str, Any]] = []

        def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            queries.append((sql, params))
            return execute(sql, params, many, context)

        with connection.execute_wrapper(note):
            self.get(path, secret)
        plans = []
        with connection.cursor() as cursor:
            cursor.execute("SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples > %s", [BIG_TABLE])
            big = {name for (name,) in cursor.fetchall()}
            for sql, params in queries:
                if sql.startswith("SELECT") and "apikeys_apikeysecret" not in sql:
                    cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", params)
                    plans.append(read_plan(cursor.fetchone()[0][0]["Plan"], big))
                    if "--sql" in sys.argv:
                        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {sql}", params)
                        text = "\n".join(line for (line,) in cursor.fetchall())
                        print(cursor.mogrify(sql, params), text, sep="\n\n", end="\n\n\n", file=sys.stderr)
        return {"plans": plans}


def read_plan(plan: dict[str, Any], big: set[str]) -> dict[str, Any]:
    """``nodes``: types and what they read; ``read``: the most rows that one node looked at, by all its loops;
    ``seq_scans`` of big tables; ``sorted``: the most rows that one Sort took in; ``blocks`` touched.
    """
    nodes = list(_nodes(plan))
    return {
        "nodes": list(dict.fromkeys(_label(node) for node in nodes)),
        "read": max(_rows_read(node) for node in nodes),
        "seq_scans": sorted({n["Relation Name"] for n in nodes if n["Node Type"] == "Seq Scan"} & big),
        "sorted": max((_rows_in(node) for node in nodes if "Sort" in node["Node Type"]), default=0),
        "blocks": plan["Shared Hit Blocks"] + plan["Shared Read Blocks"],
    }


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", []):
        yield from _nodes(inner)


def _label(node: dict[str, Any]) -> str:
    of = node.get("Index Name") or node.get("Relation Name")
    return f"{node['Node Type']} {of}" if of else str(node["Node Type"])


def _rows_read(node: dict[str, Any]) -> int:
    removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Join Filter", 0)
    return int((node["Actual Rows"] + removed) * node["Actual Loops"])


def _rows_in(node: dict[str, Any]) -> int:
    return max(int(inner["Actual Rows"] * inner["Actual Loops"]) for inner in node["Plans"])


def main() -> None:
    asked = Asked()
    for line in sys.stdin:
        question = json.loads(line)
        answer = getattr(asked, question.pop("do"))(**question)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
