"""The demo's keys in use: what the key list and the key page have to show, the same however often it is seeded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db.models import Count, Q, Sum
from django.utils import timezone

from accounts.models import AuditEvent
from apikeys import lifecycle, usage
from apikeys.demo.usage import HABITS
from apikeys.models import ApiKey, RequestLog, UsageHour
from tests.apikeys.test_seed_demo import seed
from tests.conftest import COMMAND

NOW = datetime(2026, 11, 19, 12, 30, tzinfo=UTC)  # a Thursday


@pytest.fixture
def frozen():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def seeded(db, frozen):
    return seed()


def named(name: str) -> ApiKey:
    return ApiKey.objects.filter(name=name).latest("created_at")


def everything() -> tuple[list, list]:
    hours = UsageHour.objects.order_by("key", "hour").values_list("key", "hour", "requests", "refused")
    return list(hours), list(RequestLog.objects.order_by("request_id").values_list("request_id", "at", "status"))


def test_every_key_has_thirty_days_of_use(seeded):
    assert set(ApiKey.objects.values_list("name", flat=True)) == set(HABITS)
    for key_pk, days in usage.daily(ApiKey.objects.all()).items():
        key = ApiKey.objects.get(pk=key_pk)
        used = [day for day in days if day.requests]
        assert len(used) >= 15, key.name
        assert all(day.refused <= day.requests for day in days)
        assert min(day.day for day in used) >= key.created_at.date()


def test_the_last_days_requests_are_all_in_the_log(seeded):
    since = NOW.replace(minute=0) - timedelta(hours=23)
    for key in ApiKey.objects.all():
        hours = UsageHour.objects.filter(key=key, hour__gte=since)
        logged = key.requests.filter(at__gte=since)
        counted = logged.aggregate(requests=Count("pk"), refused=Count("pk", filter=Q(status__gte=400)))
        summed = hours.aggregate(requests=Sum("requests", default=0), refused=Sum("refused", default=0))
        assert counted == summed, key.name
        assert all((row.status >= 400) == bool(row.code) for row in logged)
        assert all(row.at <= NOW and row.secret.key_id == key.pk for row in logged.select_related("secret"))


def test_seeding_again_writes_nothing_twice_and_adds_what_was_since(seeded):
    before = everything()
    seed()
    assert everything() == before
    with time_machine.travel(NOW + timedelta(hours=5), tick=False):
        seed()
        hours, requests = everything()
    assert set(before[1]) < set(requests)
    assert {row[:2] for row in before[0]} < {row[:2] for row in hours}


def test_two_installations_have_the_same_numbers(seeded):
    def numbers() -> list:
        rows = UsageHour.objects.order_by("key__name", "hour")
        return list(rows.values_list("key__name", "hour", "requests", "refused"))

    before = numbers()
    ApiKey.objects.all().delete()
    seed()
    assert numbers() == before


def test_the_keys_are_in_every_state(seeded):
    states = {key.name: key.status for key in ApiKey.objects.all()}
    assert {name: state for name, state in states.items() if state != "active"} == {
        "Smoke tests": "disabled",
        "Grafana (old cluster)": "revoked",
    }
    assert named("Contractor export").expires_at == NOW + timedelta(days=5)
    rotating = named("Grafana fleet dashboards")
    new, old = rotating.live_secrets
    assert new.created_at == NOW - timedelta(hours=20)
    assert (old.created_at, old.retires_at) == (rotating.created_at, NOW + timedelta(days=7, hours=-20))
    assert {new.last_used_address, old.last_used_address} == {"203.0.113.7", "203.0.113.8"}
    assert all(NOW - secret.last_used_at < timedelta(hours=1) for secret in (new, old))


def test_a_stopped_key_is_refused_from_then_on(seeded):
    for name, code in (("Smoke tests", "key_disabled"), ("Grafana (old cluster)", "key_revoked")):
        assert set(named(name).requests.values_list("status", "code")) == {(401, code)}
        stopped = named(name).revoked_at or named(name).disabled_at
        after = UsageHour.objects.filter(key=named(name), hour__gte=stopped)
        assert all(hour.requests == hour.refused for hour in after)


def test_the_history_tells_the_same_past_as_the_keys(seeded):
    for key in ApiKey.objects.all():
        events = AuditEvent.objects.filter(target_id=key.key_id)
        assert events.get(action="key.issued").at == key.created_at
        for action, at in (("key.disabled", key.disabled_at), ("key.revoked", key.revoked_at)):
            assert [event.at for event in events.filter(action=action)] == ([at] if at else [])


def test_states_come_back_when_their_time_is_over_and_what_people_did_stays(seeded):
    lifecycle.enable(named("Smoke tests"), actor=COMMAND)
    export = named("Contractor export")
    with time_machine.travel(NOW + timedelta(days=8), tick=False):
        seed()
        assert named("Contractor export").pk != export.pk
        assert named("Contractor export").expires_at == timezone.now() + timedelta(days=5)
        assert len(named("Grafana fleet dashboards").live_secrets) == 2
        assert ApiKey.objects.filter(name="Grafana (old cluster)").count() == 1
        assert ApiKey.objects.count() == len(HABITS) + 1
