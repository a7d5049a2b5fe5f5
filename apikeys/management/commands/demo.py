"""The demo in one command: tables, data, the real server, and what to try first."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection
from django.utils import timezone

from apikeys.demo import tables
from apikeys.demo.keys import SeededKey
from apikeys.demo.people import SeededPerson, seeded_people
from apikeys.demo.pool import demo_entities, report_shares
from apikeys.demo.support_keys import IN_USE, old_string
from apikeys.management.commands import seed_demo

START_SECONDS = 60
STOP_SECONDS = 30
REPORT_EVERY_SECONDS = 120


class Stopped(Exception):
    """Somebody asked the demo to end."""


class Command(BaseCommand):
    help = "Migrate, seed and serve the demo until Ctrl-C. `make demo` runs this."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument(
            "--host", default="127.0.0.1", help="the address to listen on; name others than localhost in ALLOWED_HOSTS"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        host, port = options["host"], options["port"]
        refuse_taken_port(host, port)
        if not settings.DEBUG:
            raise CommandError("DEBUG is off, so this may be a real installation. The demo runs with DEBUG=True only.")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _stop)
        server: subprocess.Popen[bytes] | None = None
        try:
            self.say("Preparing the database …")
            call_command("migrate", interactive=False, verbosity=0)
            _, keys = seed_demo.seed()
            self.say("Starting the server …")
            server = start_server(host, port)
            wait_until_up(server, port, host)
            # Read anew: the codes on the screen are those of this moment.
            self.say(banner(port, seeded_people(), keys))
            keep_fresh(server)
        except Stopped:
            pass
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            if server is not None:
                stop_server(server)
        self.say("Stopped.")

    def say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def refuse_taken_port(host: str, port: int) -> None:
    """Raise CommandError, before anything is touched, where the server could not listen."""
    if not 1 <= port <= 65535:
        raise CommandError(f"{port} is no port: choose one from 1 to 65535.")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        socket.create_server(address[:2], family=family).close()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error
        raise CommandError(
            f"Can't listen on {host}, port {port}: {reason}. "
            f"Stop what is using it, or choose another port: make demo PORT={port + 1}"
        ) from error


def start_server(host: str, port: int) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "DEBUG": "True",
        "PITHEAD_PUBLIC_URL": public_url(port),
        "GUNICORN_LOG_LEVEL": "warning",
        # One process: the limits of the embedded way live in it.
        "WEB_CONCURRENCY": "1",
    }
    command = [
        *(sys.executable, "-m", "gunicorn"),
        *("--config", str(settings.BASE_DIR / "deploy" / "gunicorn.conf.py")),
        *("--worker-class", "gthread", "--workers", "1", "--threads", "8"),
        "--no-control-socket",
        *("--bind", f"[{host}]:{port}" if ":" in host else f"{host}:{port}"),
        "config.wsgi",
    ]
    return subprocess.Popen(command, env=environment, cwd=settings.BASE_DIR, stdin=subprocess.DEVNULL)  # noqa: S603


def wait_until_up(server: subprocess.Popen[bytes], port: int, host: str) -> None:
    """Return once the server answers. Raises CommandError when it ended or is not up in time."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise CommandError(f"The server ended with exit code {server.returncode}; see its messages above.")
        try:
            with urllib.request.urlopen(f"{local_url(host, port)}/healthz", timeout=2) as answer:  # noqa: S310 http
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise CommandError(f"The server did not answer within {START_SECONDS} seconds.")


def keep_fresh(server: subprocess.Popen[bytes]) -> None:
    """Stay until the server ends, and let the demo's machines report meanwhile, or all would seem offline."""
    entities = demo_entities()
    while True:
        try:
            server.wait(timeout=REPORT_EVERY_SECONDS)
        except subprocess.TimeoutExpired:
            try:
                report_shares(entities, timezone.now())
            except DatabaseError:
                pass  # somebody else was writing, or changed what there is; the next report is soon
            finally:
                connection.close()
        else:
            raise CommandError(f"The server ended with exit code {server.returncode}; see its messages above.")


def stop_server(server: subprocess.Popen[bytes]) -> None:
    """Let requests in flight finish, then insist."""
    if server.poll() is None:
        server.terminate()
        try:
            server.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def public_url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def local_url(host: str, port: int) -> str:
    """Where this machine reaches a server that listens on ``host``."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{reachable}:{port}"


def banner(port: int, people: list[SeededPerson], keys: list[SeededKey]) -> str:
    url = public_url(port)
    viewer = next(seeded for seeded in keys if seeded.key.access_level == "viewer")
    miner = next(entity for entity in demo_entities() if entity.kind == "miner")
    rule = "─" * 100
    return f"""
{rule}
  Pithead is running at {url}
  Ctrl-C stops it.
{rule}

Sign in as

{tables.people(people)}

{tables.CODES_NOTE}
Borealis Hosting has not set up its API keys yet: sign in as its owner to see how that goes.
Pool staff work in {url}/admin/

Use the key “{viewer.key.name}”

{curl(viewer.secret, f"{url}/api/v1/miners?limit=3")}

The same key may see no money, so this is refused with 403

{curl(viewer.secret, f"{url}/api/v1/miners/{miner.pk}/accruals")}

An old key that support once handed out still works, and only staff see it

{curl(old_string(IN_USE), f"{url}/api/v1/miners")}
"""


def curl(secret: str, url: str) -> str:
    return f"curl -sSi -H 'Authorization: Bearer {secret}' '{url}'"


def _stop(number: int, frame: object) -> None:
    raise Stopped
