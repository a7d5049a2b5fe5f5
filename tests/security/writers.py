"""A process that writes whatever Pithead writes, at random, until its time is over: for test_race_writers.py.

    python -m tests.security.writers SECONDS NUMBER

Prints JSON: how often it did what, and every error that it met.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402
from django.db import reset_queries  # noqa: E402
from django.test import Client  # noqa: E402

from accounts import policies  # noqa: E402, F401 what a server has loaded
from accounts.audit import Actor  # noqa: E402
from accounts.changes import Refused  # noqa: E402
from accounts.models import Account  # noqa: E402
from apikeys import lifecycle, request_log, signing  # noqa: E402
from apikeys.edits import Changes  # noqa: E402
from apikeys.models import ApiKey  # noqa: E402
from apikeys.scopes import Scope  # noqa: E402
from entities.ingest.importing import Counts, import_rows  # noqa: E402
from entities.ingest.kinds import ROW_KINDS  # noqa: E402
from entities.ingest.reading import read_list  # noqa: E402
from entities.models import Miner  # noqa: E402

# Written when this process says so: what it could not write is an error here.
settings.PITHEAD_REQUEST_LOG_THREAD = False
COMMAND = Actor.for_command("tests")


class Writer:
    def __init__(self, number: int) -> None:
        self.random = random.Random(number)
        self.number = number
        self.client = Client(HTTP_HOST="127.0.0.1", REMOTE_ADDR=f"192.0.2.{number}")
        self.secrets: list[str] = []
        self.hours = 0
        self.ways = [self.issue, self.change, self.change, self.use, self.use, self.import_rows, self.session]
        self.ways += [self.fail_to_sign_in, self.rotate_signing_key]

    def issue(self) -> None:
        scopes = [Scope("*", "*")]
        name = f"{self.number}-{self.random.random()}"
        fields = {"environment": "production", "access_level": "viewer", "scopes": scopes, "rate_limit": 100_000}
        account = self.random.choice(Account.objects.all())
        _, secret = lifecycle.issue(account, actor=COMMAND, name=name, **fields)
        self.secrets.append(secret)

    def change(self) -> None:
        """Anybody's key: two writers often have the same one."""
        key = self.random.choice(ApiKey.objects.order_by("-created_at")[:10] or [None])
        if key is None:
            return
        change = self.random.choice(
            [
                lambda: lifecycle.disable(key, actor=COMMAND),
                lambda: lifecycle.enable(key, actor=COMMAND),
                lambda: lifecycle.regenerate(key, actor=COMMAND),
                lambda: lifecycle.rotate(key, actor=COMMAND),
                lambda: lifecycle.edit(key, Changes(rate_limit=self.random.randint(1, 10**6)), actor=COMMAND),
                lambda: lifecycle.revoke(key, actor=COMMAND, reason="unneeded"),
            ]
        )
        with suppress(Refused):
            change()

    def use(self) -> None:
        for secret in self.secrets[-3:]:
            for path in ("/api/v1/key", "/api/v1/miners"):
                answer = self.client.get(path, headers={"Authorization": f"Bearer {secret}"})
                assert answer.status_code in (200, 401), answer.content
        assert request_log.flush(), "the request log was not written"

    def import_rows(self) -> None:
        self.hours += 1
        at = datetime(2026, 6, 1, tzinfo=UTC) + timedelta(hours=self.hours)
        rows = [
            {"miner": f"{miner.account.slug}/{miner.name}", "at": at.isoformat(), "hashrate": self.random.randint(1, 9)}
            for miner in Miner.objects.select_related("account")[:20]
        ]
        import_rows(
            ROW_KINDS["hashrate"],
            read_list(rows),
            environment="production",
            actor=COMMAND,
            source="tests",
            counts=Counts(),
            on_error=lambda error: (_ for _ in ()).throw(AssertionError(str(error))),
        )

    def session(self) -> None:
        session = SessionStore()
        session["number"] = self.number
        session.save()

    def fail_to_sign_in(self) -> None:
        email = f"nobody{self.random.randint(1, 9)}@example.com"
        answer = self.client.post("/sign-in/", {"email": email, "password": "a wrong password"})
        assert answer.status_code in (200, 429), answer.status_code

    def rotate_signing_key(self) -> None:
        signing.rotate(self.random.choice(Account.objects.all()), actor=COMMAND)


def main() -> None:
    seconds, number = float(sys.argv[1]), int(sys.argv[2])
    writer, done, errors, longest = Writer(number), Counter(), [], 0.0
    writer.client.get("/sign-in/")  # what is loaded once is loaded
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        way = writer.random.choice(writer.ways)
        began = time.monotonic()
        try:
            way()
            done[way.__name__] += 1
        except Exception as error:
            errors.append(f"{way.__name__}: {type(error).__name__}: {error}")
        longest = max(longest, time.monotonic() - began)
        reset_queries()
    print(json.dumps({"done": done, "errors": errors, "longest": longest}))


main()
