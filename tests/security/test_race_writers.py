"""Four processes write all that there is to write, side by side: no error, "database is locked" least of all.

``PITHEAD_WRITERS_SECONDS=60`` makes it last longer.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from django.conf import settings

from accounts import audit_check
from accounts.models import AuditEvent
from apikeys.models import ApiKey, RequestLog, UsageHour
from tests.factories import MinerFactory
from tests.security.live_server import environment

pytestmark = [pytest.mark.race, pytest.mark.django_db(transaction=True)]

PROCESSES = 4
SECONDS = float(os.environ.get("PITHEAD_WRITERS_SECONDS", "5"))


def test_processes_that_write_side_by_side_meet_no_error(account, other_account, tmp_path):
    for number in range(20):
        MinerFactory(account=account, name=f"m{number}")
    writers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.security.writers", str(SECONDS), str(number)],
            cwd=settings.BASE_DIR,
            env=environment(tmp_path, DEBUG="True", EMAIL_URL="dummymail://", LOG_LEVEL="ERROR"),
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(1, PROCESSES + 1)
    ]
    told = [json.loads(writer.communicate(timeout=SECONDS + 120)[0].splitlines()[-1]) for writer in writers]
    print(told)  # shown with -s, and where this fails
    assert [error for each in told for error in each["errors"]] == []
    done = {way: sum(each["done"].get(way, 0) for each in told) for each in told for way in each["done"]}
    assert done["issue"] == ApiKey.objects.count() == AuditEvent.objects.filter(action="key.issued").count()
    assert RequestLog.objects.count() == sum(UsageHour.objects.values_list("requests", flat=True)) > 0
    key = audit_check.key()
    assert {audit_check.check(name, key).broken for name in audit_check.chains()} == {None}
