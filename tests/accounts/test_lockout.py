"""After too many wrong passwords an address is not listened to for a while; nothing tells whether anybody has it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from axes.models import AccessAttempt
from django.core.management import call_command

from tests.factories import PASSWORD
from tests.people import fresh_code, without_tokens

LIMIT = 10
WRONG = "not the password"


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(datetime(2026, 11, 21, 12, 0, tzinfo=UTC), tick=False) as clock:
        yield clock


def guess(client, email, password=WRONG, **more):
    return client.post("/sign-in/", {"email": email, "password": password}, **more)


def lock(client, email, **more):
    answers = [guess(client, email, **more) for _ in range(LIMIT)]
    assert [answer.status_code for answer in answers] == [200] * (LIMIT - 1) + [429]
    return answers[-1]


def test_the_tenth_wrong_password_locks_for_a_quarter_of_an_hour(client, owner, clock):
    locked = lock(client, owner.email)
    assert "for the next 15 minutes" in locked.content.decode()
    assert locked["Retry-After"] == "900"
    assert "no-store" in locked["Cache-Control"]
    assert guess(client, owner.email, PASSWORD).status_code == 429
    clock.shift(timedelta(minutes=14))
    again = guess(client, owner.email, PASSWORD)
    assert again.status_code == 429
    assert "for the next 1 minute." in again.content.decode()
    clock.shift(timedelta(minutes=1, seconds=1))
    assert guess(client, owner.email, PASSWORD)["Location"] == "/sign-in/code/"


def test_an_address_that_nobody_has_is_answered_alike(client, owner):
    known, unknown = lock(client, owner.email), lock(client, "nobody@example.com")
    assert without_tokens(known) == without_tokens(unknown)
    assert known.headers.keys() == unknown.headers.keys()


def test_capitals_are_no_way_around(client, owner):
    lock(client, owner.email)
    assert guess(client, owner.email.upper(), PASSWORD).status_code == 429


def test_other_addresses_of_one_ipv6_network_are_no_way_around(client, owner):
    answers = [guess(client, owner.email, REMOTE_ADDR=f"2001:db8:1:2::{number:x}") for number in range(LIMIT)]
    assert [answer.status_code for answer in answers] == [200] * (LIMIT - 1) + [429]
    assert answers[-1]["Retry-After"] == "900"
    assert guess(client, owner.email, PASSWORD, REMOTE_ADDR="2001:db8:1:2:ffff::1").status_code == 429
    assert guess(client, owner.email, PASSWORD, REMOTE_ADDR="2001:db8:1:3::1")["Location"] == "/sign-in/code/"


def test_another_browser_on_the_same_network_is_no_way_around(client, owner):
    lock(client, owner.email)
    assert guess(client, owner.email, PASSWORD, HTTP_USER_AGENT="Another/1.0").status_code == 429


def test_a_stranger_elsewhere_locks_nobody_out(client, owner):
    lock(client, owner.email, REMOTE_ADDR="203.0.113.9")
    assert guess(client, owner.email, PASSWORD)["Location"] == "/sign-in/code/"


def test_the_address_behind_our_proxies_counts(client, owner, settings):
    settings.PITHEAD_TRUSTED_PROXIES = 1
    lock(client, owner.email, HTTP_X_FORWARDED_FOR="198.51.100.1, 203.0.113.9")
    for forged in ("203.0.113.1, 203.0.113.9", "203.0.113.9"):
        assert guess(client, owner.email, PASSWORD, HTTP_X_FORWARDED_FOR=forged).status_code == 429
    assert guess(client, owner.email, PASSWORD, HTTP_X_FORWARDED_FOR="203.0.113.10").status_code == 302


def test_the_operator_can_end_a_lock(client, owner, capsys):
    lock(client, owner.email)
    call_command("axes_reset")
    assert guess(client, owner.email, PASSWORD)["Location"] == "/sign-in/code/"


def test_signing_in_with_both_factors_starts_the_count_anew(client, owner):
    for _ in range(LIMIT - 1):
        guess(client, owner.email)
    assert guess(client, owner.email, PASSWORD).status_code == 302
    assert AccessAttempt.objects.exists()
    client.post("/sign-in/code/", {"code": fresh_code(owner)})
    assert not AccessAttempt.objects.exists()


def test_what_is_stored_of_an_attempt_holds_no_secret(client, owner):
    guess(client, owner.email, "hunter2 hunter2")
    stored = str(AccessAttempt.objects.values().get())
    assert "hunter2" not in stored
    assert "csrf" not in stored or "csrfmiddlewaretoken=****" in stored
