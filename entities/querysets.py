"""What is measured, as querysets: how workers are doing, and what miners make."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.db.models import Avg, Count, F, FloatField, Q, Sum
from django.db.models.functions import Cast, TruncDay

WORKER_STATUSES = ("online", "offline", "inactive")

# As floats: in whole hashes per second the sum of a large hub runs over SQLite's 64 bits.
_TOTAL_HASHRATE = Cast("hashrate", FloatField())
_TOTAL_REJECTED = Cast("rejected", FloatField())


class WorkerQuerySet(models.QuerySet[Any]):
    def of_clients(self, hub: Any) -> WorkerQuerySet:
        """Workers of the miners that ``hub`` serves, as `HubClientQuerySet.served` has it.

        A join and not an IN: so a page walks the hub's clients by id and each one's workers, and reads no more.
        """
        return self.filter(miner__served_by__hub=hub, miner__kind="miner", miner__environment=hub.environment)

    def in_status(self, status: str, now: datetime) -> WorkerQuerySet:
        """Only workers whose `Worker.status` at ``now`` is ``status``, one of WORKER_STATUSES."""
        return self.filter(self._status_condition(status, now))

    def count_by_status(self, now: datetime) -> dict[str, int]:
        """``{"online", "offline", "inactive", "total"}``, with one query."""
        return self.aggregate(**self._counts(now))

    def count_and_sum(self, now: datetime) -> tuple[dict[str, int], int]:
        """`count_by_status` and the hashrate of those online, in H/s, with one query."""
        online = self._status_condition("online", now)
        row = self.aggregate(**self._counts(now), hashrate_now=Sum(_TOTAL_HASHRATE, filter=online))
        return row, round(row.pop("hashrate_now") or 0)

    def _counts(self, now: datetime) -> dict[str, Count]:
        by_status = {status: Count("pk", filter=self._status_condition(status, now)) for status in WORKER_STATUSES}
        return {**by_status, "total": Count("pk")}

    def _status_condition(self, status: str, now: datetime) -> Q:
        """`Worker.status`, as the database says it."""
        online_since = now - self.model.ONLINE_WITHIN
        offline_since = now - self.model.INACTIVE_AFTER
        return {
            "online": Q(last_share_at__gte=online_since),
            "offline": Q(last_share_at__lt=online_since, last_share_at__gte=offline_since),
            "inactive": Q(last_share_at__isnull=True) | Q(last_share_at__lt=offline_since),
        }[status]


class HashrateSampleQuerySet(models.QuerySet[Any]):
    def averages(self, now: datetime, **windows: timedelta) -> dict[str, int | None]:
        """Mean hashrate in H/s over each of ``windows`` that ends at ``now``; None where nothing was measured.

        Over several miners it is the mean of their sums: an hour counts once, however many miners were measured.
        """
        samples = self.filter(at__gt=now - max(windows.values()), at__lte=now)
        columns: dict[str, Any] = {}
        for name, length in windows.items():
            within = Q(at__gt=now - length)
            columns[f"{name}_total"] = Sum(_TOTAL_HASHRATE, filter=within)
            columns[f"{name}_hours"] = Count("at", filter=within, distinct=True)
        row = samples.aggregate(**columns)
        return {
            name: round(row[f"{name}_total"] / row[f"{name}_hours"]) if row[f"{name}_hours"] else None
            for name in windows
        }

    def by_hour(self) -> models.QuerySet[Any, tuple[Any, datetime, int, int]]:
        """Rows of miner id, hour, hashrate and rejected hashrate, newest first."""
        return self.order_by("miner_id", "-at").values_list("miner_id", "at", "hashrate", "rejected")

    def by_day(self) -> models.QuerySet[Any, tuple[Any, datetime, float, float]]:
        """Rows of miner id, day (UTC) and its mean hashrate and rejected hashrate, newest first."""
        return (
            self.annotate(day=TruncDay("at"))
            .values("miner_id", "day")
            .annotate(mean=Avg("hashrate"), mean_rejected=Avg("rejected"))
            .order_by("miner_id", F("day").desc())
            .values_list("miner_id", "day", "mean", "mean_rejected")
        )

    def sum_by_hour(self) -> models.QuerySet[Any, tuple[datetime, float, float]]:
        """Rows of hour, hashrate and rejected hashrate of all miners together, in H/s, newest first."""
        hours = self.values("at").annotate(accepted=Sum(_TOTAL_HASHRATE), refused=Sum(_TOTAL_REJECTED))
        return hours.order_by("-at").values_list("at", "accepted", "refused")

    def sum_by_day(self) -> models.QuerySet[Any, tuple[datetime, float, float]]:
        """The same by day (UTC): the mean of its hours' sums, as in `averages`."""
        hours = Count("at", distinct=True)
        days = (
            self.annotate(day=TruncDay("at"))
            .values("day")
            .annotate(accepted=Sum(_TOTAL_HASHRATE) / hours, refused=Sum(_TOTAL_REJECTED) / hours)
        )
        return days.order_by(F("day").desc()).values_list("day", "accepted", "refused")
