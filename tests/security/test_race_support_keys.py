"""A support key that several processes remember as verified is refused by all of them at once (TRAPS 21)."""

from __future__ import annotations

import time

import pytest

from accounts.audit import Actor
from accounts.changes import Refused
from apikeys import lifecycle
from apikeys.models import ApiKeySecret
from tests.factories import MinerFactory
from tests.security.live_server import asking, serving
from tests.security.racing import race

pytestmark = [pytest.mark.race, pytest.mark.django_db(transaction=True)]

COMMAND = Actor.for_command("tests")
OLD = "nf-7Kd93jsLq02x-Export"


def test_no_request_that_starts_after_the_revocation_is_let_in(account, register_key, tmp_path):
    key = register_key(OLD, [MinerFactory(account=account)])
    with (
        serving(tmp_path / "log", workers=2, PITHEAD_REQUEST_LOG_SECONDS="3600") as (_, port),
        asking(port, OLD, 4) as met,
    ):
        met.wait_for(40)
        lifecycle.revoke(key, actor=COMMAND, reason="leaked")
        stopped = time.monotonic()
        met.wait_for(40, since=stopped)
    before = {status for start, status, _ in met.answers if start <= stopped}
    after = {(status, "key_revoked" in body) for start, status, body in met.answers if start > stopped}
    assert 200 in before <= {200, 401}
    assert after == {(401, True)}


def test_a_string_is_registered_once_by_whoever_comes_first(account, other_account, register_key):
    miners = {owner: MinerFactory(account=owner) for owner in (account, other_account)}
    runs = [
        lambda owner=owner: register_key(OLD, [miners[owner]], account=owner) for owner in (account, other_account) * 3
    ]
    answers = race(runs)
    assert sum(isinstance(answer, Refused) for answer in answers) == 5, answers
    assert ApiKeySecret.objects.filter(lookup__isnull=False).count() == 1
