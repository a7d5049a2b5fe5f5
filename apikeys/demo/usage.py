"""What the demo's keys did: thirty days of use by the hour, and every request of the last day.

Chance falls the same way on every run, and what an earlier run wrote stays: the hours since are added.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import pi, sin
from random import Random

from accounts.models import Account
from apikeys import request_rows
from apikeys.demo.dice import dice
from apikeys.models import ApiKey, ApiKeySecret, RequestLog, UsageHour
from apikeys.request_rows import Entry, HourCount

HOURS = 30 * 24
#: Of the latest hours every request is in the log.
LOGGED_HOURS = 24
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Refusal:
    status: int
    code: str
    call: str | None = None  # where it is always the same one


@dataclass(frozen=True)
class Habit:
    """How a program uses its key: calls, requests an hour, hours of the day (UTC), which part is refused and why."""

    calls: tuple[str, ...]
    an_hour: float
    addresses: tuple[str, ...]
    hours: range = range(24)
    weekdays_only: bool = False
    refused: float = 0.0
    refusal: Refusal = Refusal(404, "not_found")
    grows: bool = False

    def expected(self, hour: datetime, back: int) -> float:
        """Requests to expect in ``hour``, which is ``back`` hours ago."""
        if hour.hour not in self.hours or (self.weekdays_only and hour.weekday() >= 5):
            return 0.0
        daily = 1 + 0.18 * sin((hour.hour - 8) / 24 * 2 * pi)
        growth = 1 - 0.75 * back / HOURS if self.grows else 1.0
        return self.an_hour * daily * growth


READS = ("GET miners", "GET miners/{miner_id}/hashrate", "GET miners/{miner_id}/workers", "GET miners/charts")
MONEY = ("GET miners/{miner_id}/accruals", "GET miners/{miner_id}/payments", "GET miners/{miner_id}/balance")
NO_MONEY = Refusal(403, "permission_denied", "GET miners/{miner_id}/accruals")

#: Key's name -> what it does.
HABITS = {
    "Demo viewer": Habit(READS, 9, ("198.51.100.41",), refused=0.02, refusal=NO_MONEY),
    "Demo accountant": Habit(MONEY, 3, ("198.51.100.23",), range(6, 17), weekdays_only=True, refused=0.03),
    "Demo treasurer": Habit(
        ("GET hubs/{hub_id}/finance", "GET hubs/{hub_id}/clients", *MONEY), 2.5, ("192.0.2.88",), refused=0.01
    ),
    "Demo administrator": Habit(
        ("PATCH workers/{worker_id}", "GET workers/stats", *READS), 12, ("2001:db8:40::1c",), refused=0.015, grows=True
    ),
    "Demo viewer, staging": Habit(READS, 6, ("198.51.100.77",), range(5, 20), weekdays_only=True, refused=0.05),
    "ERP export": Habit((*MONEY, "GET hubs/{hub_id}/accruals"), 14, ("192.0.2.90",), range(2, 3)),
    "Grafana fleet dashboards": Habit(
        ("GET hubs", "GET pools/{pool_id}/stats", *READS),
        48,
        ("203.0.113.7", "203.0.113.7", "203.0.113.8"),
        refused=0.008,
        refusal=Refusal(429, "rate_limited"),
    ),
    "Contractor export": Habit(
        ("GET hubs/{hub_id}/accruals", "GET hubs/{hub_id}/payments"), 1.5, ("192.0.2.201",), range(7, 16), True, 0.04
    ),
    "Smoke tests": Habit(READS, 4, ("198.51.100.140",), refused=0.02),
    "Grafana (old cluster)": Habit(READS, 30, ("203.0.113.9",), refused=0.01),
}
#: A program that nobody has told goes on asking, though more seldom.
STILL_ASKING = 0.25


def make_usage(account: Account, now: datetime) -> None:
    """Bring the use of the demo's keys of ``account`` up to ``now``."""
    keys = ApiKey.objects.filter(account=account, name__in=HABITS).prefetch_related("secrets")
    entries: list[Entry] = []
    hours: list[HourCount] = []
    for key in keys:
        entries += _requests(key, now)
        hours += _hours(key, now)
    request_rows.add_usage(hours)
    entries.sort(key=lambda entry: entry.at)
    request_rows.write(entries)
    for key in keys:
        _note_earlier_use(key)


def _note_earlier_use(key: ApiKey) -> None:
    """Let a key that was used before the hours of the log, on a Friday perhaps, say when last."""
    last = UsageHour.objects.filter(key=key).order_by("-hour").first()
    never = ApiKey.objects.filter(pk=key.pk, last_used_at=None)
    if last is not None and never.update(last_used_at=last.hour + HOUR / 2):
        key.secrets.update(last_used_at=last.hour + HOUR / 2, last_used_address=HABITS[key.name].addresses[0])


def _hours(key: ApiKey, now: datetime) -> list[HourCount]:
    """The hours before those of the log, as far as they are not counted yet."""
    counted = set(UsageHour.objects.filter(key=key).values_list("hour", flat=True))
    counts = []
    for hour, back in _past(key, now):
        if back >= LOGGED_HOURS and hour not in counted:
            refusals = _refusals(key, hour, back)
            if refusals:
                counts.append(HourCount(key.pk, hour, len(refusals), sum(map(bool, refusals))))
    return counts


def _requests(key: ApiKey, now: datetime) -> list[Entry]:
    """The requests of the latest hours up to ``now``, as far as they are not in the log yet."""
    first = _hour_of(now) - LOGGED_HOURS * HOUR
    logged = set(RequestLog.objects.filter(key=key, at__gte=first).values_list("request_id", flat=True))
    secrets = sorted(key.secrets.all(), key=lambda secret: secret.created_at)
    return [
        entry
        for hour, back in _past(key, now)
        if back < LOGGED_HOURS
        for entry in _requests_in(key, secrets, hour, back)
        if entry.at <= now and entry.request_id not in logged
    ]


def _past(key: ApiKey, now: datetime) -> Iterator[tuple[datetime, int]]:
    """The hours in which ``key`` was there, newest first, and how far back each is."""
    for back in range(HOURS):
        hour = _hour_of(now) - back * HOUR
        if hour >= key.created_at:
            yield hour, back


def _refusals(key: ApiKey, hour: datetime, back: int) -> list[Refusal | None]:
    """One for each request that the key made in ``hour``: why it was refused, or None."""
    habit = HABITS[key.name]
    chance = dice("usage", key.name, hour)
    expected = habit.expected(hour, back)
    stopped = _stopped(key, hour)
    if stopped:
        expected *= STILL_ASKING
    # 2.4 becomes 2, or 3 in four hours of ten
    count = int(expected * chance.uniform(0.85, 1.15) + chance.random())
    return [stopped or (habit.refusal if chance.random() < habit.refused else None) for _ in range(count)]


def _stopped(key: ApiKey, hour: datetime) -> Refusal | None:
    if key.revoked_at is not None and hour >= key.revoked_at:
        return Refusal(401, "key_revoked")
    if key.disabled_at is not None and hour >= key.disabled_at:
        return Refusal(401, "key_disabled")
    return None


def _requests_in(key: ApiKey, secrets: Sequence[ApiKeySecret], hour: datetime, back: int) -> Iterator[Entry]:
    habit = HABITS[key.name]
    mount = "/api/v1/" if key.environment == "production" else f"/{key.environment}/api/v1/"
    for number, refusal in enumerate(_refusals(key, hour, back)):
        chance = dice("request", key.name, hour, number)
        at = hour + timedelta(seconds=chance.uniform(0, 3600))
        address = chance.choice(habit.addresses)
        method, route = ((refusal and refusal.call) or chance.choice(habit.calls)).split()
        yield Entry(
            at=at,
            account_id=key.account_id,
            key_pk=key.pk,
            secret_pk=_secret(secrets, at, moved=address == habit.addresses[0]).pk,
            address=address,
            method=method,
            route=mount + route,
            status=refusal.status if refusal else 200,
            code=refusal.code if refusal else "",
            duration_ms=_duration(chance, refused=refusal is not None),
            request_id=f"req_{chance.getrandbits(64):016x}",
        )


def _secret(secrets: Sequence[ApiKeySecret], at: datetime, *, moved: bool) -> ApiKeySecret:
    """Which secret was presented: while two live, some programs have the new one already and some have not."""
    live = [
        secret
        for secret in secrets
        if secret.created_at <= at and (secret.retires_at is None or at < secret.retires_at)
    ] or secrets
    return live[-1] if moved else live[0]


def _duration(chance: Random, *, refused: bool) -> int:
    return max(2, int(chance.lognormvariate(1.3 if refused else 3.6, 0.5)))


def _hour_of(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
