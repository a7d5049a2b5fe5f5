"""Production refuses to start misconfigured, and says what to set and how to make it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from cryptography.fernet import Fernet
from django.conf import settings

COMPLETE = {
    "SECRET_KEY": "x1Y" * 20,
    "PITHEAD_MASTER_KEYS": Fernet.generate_key().decode(),
    "ALLOWED_HOSTS": "pool.example.com",
}
MAKE_SECRET_KEY = "python3 -c 'import secrets; print(secrets.token_urlsafe(50))'"
MAKE_MASTER_KEY = "python3 -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"


def start(variables):
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-c", "import config.wsgi; print('serving')"],
        cwd=settings.BASE_DIR,
        env={**environment, "DEBUG": "False", "DATABASE_URL": "sqlite:////nowhere/pithead.sqlite3", **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_with_everything_set_it_starts_and_waits_for_its_database():
    done = start(COMPLETE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("serving\n")


def test_without_anything_it_names_everything_that_is_missing():
    done = start({})
    assert done.returncode != 0
    assert "serving" not in done.stdout
    for words in ("SECRET_KEY", "PITHEAD_MASTER_KEYS", "ALLOWED_HOSTS", MAKE_SECRET_KEY, MAKE_MASTER_KEY):
        assert words in done.stderr


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"SECRET_KEY": ""}, ["SECRET_KEY", MAKE_SECRET_KEY]),
        ({"SECRET_KEY": "short"}, ["SECRET_KEY", "50 characters", MAKE_SECRET_KEY]),
        ({"PITHEAD_MASTER_KEYS": ""}, ["PITHEAD_MASTER_KEYS is empty", MAKE_MASTER_KEY]),
        (
            {"PITHEAD_MASTER_KEYS": f"{COMPLETE['PITHEAD_MASTER_KEYS']},nonsense"},
            ["PITHEAD_MASTER_KEYS", "position 2", MAKE_MASTER_KEY],
        ),
        ({"ALLOWED_HOSTS": ""}, ["ALLOWED_HOSTS is empty", "ALLOWED_HOSTS=pool.example.com"]),
        ({"PITHEAD_TRUSTED_PROXIES": "-1"}, ["PITHEAD_TRUSTED_PROXIES is negative"]),
        ({"PITHEAD_KEY_PREFIX": "Ph_"}, ["PITHEAD_KEY_PREFIX", "PITHEAD_KEY_PREFIX=ph"]),
        ({"PITHEAD_REQUEST_LOG_SECONDS": "0"}, ["PITHEAD_REQUEST_LOG_SECONDS", "more than 0"]),
    ],
)
def test_it_refuses_to_start_and_says_how_to_mend_it(change, words):
    done = start({**COMPLETE, **change})
    assert done.returncode != 0
    assert "serving" not in done.stdout
    for expected in words:
        assert expected in done.stderr
    for name, value in COMPLETE.items():
        assert name == "ALLOWED_HOSTS" or value not in done.stderr, f"{name} is shown"
