"""`make demo`, as a person meets it: a real server, the printed commands, the printed password and code."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.cookiejar import CookieJar
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 120


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def start_demo(port: int, database: Path, output: Path) -> subprocess.Popen[bytes]:
    outside = {name: value for name, value in os.environ.items() if name not in ("DEBUG", "REDIS_URL")}
    with output.open("wb") as out:
        return subprocess.Popen(
            [sys.executable, "manage.py", "demo", "--port", str(port)],
            cwd=ROOT,
            env={
                **outside,
                "DATABASE_URL": f"sqlite:///{database}",
                "PITHEAD_STOPS_FILE": str(database.with_name("stops.ndjson")),
            },
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


@pytest.fixture
def demo(port: int, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    output = tmp_path / "output"
    process = start_demo(port, tmp_path / "demo.sqlite3", output)
    try:
        yield process, output
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def read_banner(process: subprocess.Popen[bytes], output: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        text = output.read_text()
        if text.count("curl ") == 3 and text.endswith("\n"):
            return text
        time.sleep(0.1)
    pytest.fail(f"The demo did not come up: {output.read_text()}")


def run_printed(command: str) -> tuple[int, dict]:
    """Run a printed curl as it stands; return the status and the JSON."""
    answer = subprocess.run(shlex.split(command), capture_output=True, text=True, check=True, timeout=30).stdout
    head, _, body = answer.replace("\r\n", "\n").partition("\n\n")
    return int(head.split()[1]), json.loads(body)


class Browser:
    """Just enough of one: cookies, redirects and forms."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        self.at = ""
        self.page = ""

    def open(self, path: str, **form: str) -> None:
        data = urllib.parse.urlencode(form).encode() if form else None
        with self.opener.open(urllib.parse.urljoin(self.url, path), data, timeout=30) as answer:
            self.at = answer.url
            self.page = answer.read().decode()

    def submit(self, **fields: str) -> None:
        match = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.page)
        assert match, self.page
        self.open(self.at, csrfmiddlewaretoken=match[1], **fields)


def test_the_printed_commands_and_the_printed_sign_in_work_until_it_is_stopped(demo, port):
    process, output = demo
    banner = read_banner(process, output)
    url = f"http://127.0.0.1:{port}"
    assert f"Pithead is running at {url}" in banner

    owner = re.search(r"^northfold +Administrator, owner +(\S+) +(\S+) +(\d{6}) +(\d+) s$", banner, re.MULTILINE)
    assert owner, banner
    email, password, code, _ = owner.groups()
    browser = Browser(url)
    browser.open("/")
    browser.submit(email=email, password=password)
    browser.submit(code=code)
    assert "/a/northfold/" in browser.at, browser.page
    assert "Demo viewer" in browser.page

    miners, accruals, of_support = [line for line in banner.splitlines() if line.startswith("curl ")]
    status, body = run_printed(miners)
    assert status == 200, body
    assert run_printed(of_support)[0] == 200
    status, body = run_printed(accruals)
    assert (status, body["code"]) == (403, "permission_denied")

    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    assert output.read_text().endswith("Stopped.\n")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


@pytest.mark.parametrize("number", [0, 65536])
def test_a_number_that_is_no_port_is_refused(number):
    with pytest.raises(CommandError, match="1 to 65535"):
        call_command("demo", port=number)


def test_a_taken_port_is_told_before_anything_is_done(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start_demo(port, tmp_path / "demo.sqlite3", tmp_path / "output")
        assert process.wait(timeout=START_SECONDS) == 1
    output = (tmp_path / "output").read_text()
    assert f"port {port}: Address already in use" in output
    assert "Traceback" not in output
    assert not (tmp_path / "demo.sqlite3").exists()
