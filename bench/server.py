"""The server under test: gunicorn with one worker of four threads, on a core of its own where there are two."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from bench.database import ROOT

START_SECONDS = 30
FLOOR = "/api/v1/bench/floor"
WITH_KEY = "/api/v1/bench/key"
GATEWAY = "/gateway/verify"


class Server:
    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.address = ("127.0.0.1", port)

    def cpu_seconds(self) -> float | None:
        """CPU time of the worker so far, all threads; None where there is no /proc."""
        try:
            workers = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            ticks = 0
            for worker in workers:
                fields = Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])  # utime and stime, proc(5)
        except OSError:
            return None
        return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def running(env: dict[str, str], core: int | None) -> Iterator[Server]:
    """Start the server, wait until it answers, and stop it in the end. Its log is shown if it fails to start."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        *(sys.executable, "-m", "gunicorn", "config.wsgi:application", "--bind", f"127.0.0.1:{port}"),
        *("--workers", "1", "--worker-class", "gthread", "--threads", "4", "--keep-alive", "75"),
        *("--no-control-socket", "--log-level", "warning", "--graceful-timeout", "1"),
    ]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
        try:
            if core is not None:
                os.sched_setaffinity(process.pid, {core})
            wait_until_it_answers(process, f"http://127.0.0.1:{port}{FLOOR}", log.fileno())
            yield Server(process, port)
        finally:
            process.terminate()
            process.wait()


def wait_until_it_answers(process: subprocess.Popen[bytes], url: str, log: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urlopen(url, timeout=START_SECONDS).close()  # noqa: S310
        except OSError:
            time.sleep(0.1)
        else:
            return
    os.lseek(log, 0, os.SEEK_SET)
    raise SystemExit(f"The server did not start:\n{os.read(log, 100_000).decode(errors='replace')}")
