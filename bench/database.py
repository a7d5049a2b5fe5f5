"""Databases and processes of a run: made for it, and gone after it."""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def fresh_database(url: str, *, keep: bool = False) -> Iterator[str]:
    """Yield the URL of an empty database: ``sqlite`` is a file in a temporary folder, else PostgreSQL at ``url``.

    The PostgreSQL database is dropped and made anew, so its name must say that it is for this: ``…bench``. With
    ``keep`` it is not dropped in the end.
    """
    if url == "sqlite":
        with tempfile.TemporaryDirectory(prefix="pithead-bench-") as folder:
            yield f"sqlite:///{folder}/bench.sqlite3"
        return
    import psycopg
    from psycopg.sql import SQL, Identifier

    name = urlsplit(url).path.lstrip("/")
    if not name.endswith("bench"):
        raise SystemExit(f"{name} would be dropped: give a database whose name ends in “bench”.")
    with psycopg.connect(urlsplit(url)._replace(path="/postgres").geturl(), autocommit=True) as server:
        drop = SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name))
        server.execute(drop)
        server.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        try:
            yield url
        finally:
            if not keep:
                server.execute(drop)


def environment(database_url: str) -> dict[str, str]:
    """The environment of a production server on ``database_url``, but for TLS, which no proxy ends here."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PITHEAD_", "REDIS_"))}
    return inherited | {
        "ALLOWED_HOSTS": "127.0.0.1",
        "DATABASE_URL": database_url,
        "DEBUG": "False",
        "DJANGO_SETTINGS_MODULE": "bench.settings",
        # One address sends what is measured; after the first 60 wrong keys it would measure the refusal unseen.
        "PITHEAD_FAILED_ATTEMPTS_PER_ADDRESS": "0",
        "PITHEAD_FAILED_ATTEMPTS_PER_SELECTOR": "0",
        "PITHEAD_MASTER_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "PYTHONPATH": str(ROOT),
        "SECRET_KEY": secrets.token_urlsafe(50),
        "SECURE_SSL_REDIRECT": "False",
    }


def fill(env: dict[str, str], *, keys: int, rotate: int, accounts: int) -> dict[str, list[str]]:
    """Migrate and fill the database of ``env``; return `store.fill`'s secrets."""
    numbers = {"--keys": keys, "--rotate": rotate, "--accounts": accounts}
    arguments = [part for name, number in numbers.items() for part in (name, str(number))]
    done = subprocess.run(
        [sys.executable, "-m", "bench.store", *arguments], cwd=ROOT, env=env, check=True, stdout=subprocess.PIPE
    )
    result: dict[str, list[str]] = json.loads(done.stdout)
    return result
