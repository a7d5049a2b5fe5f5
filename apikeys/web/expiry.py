"""When a key ends, as a form asks it: after some days, at the end of a chosen day, never, or as it is."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.changes import Refused
from accounts.models import Account

PRESETS = (30, 90, 180)
DEFAULT_DAYS = 90
NO_EXPIRY, ON_A_DATE, UNCHANGED = "none", "date", "keep"
#: A later date is a slip of the finger; who means it says "no expiry".
FURTHEST = timedelta(days=3653)


class ExpiryChoices:
    """What an account's policy leaves to choose, for a new key or for one that was ``born`` some time ago."""

    def __init__(self, account: Account, born: datetime | None = None) -> None:
        self.now = timezone.now()
        limit = account.max_lifetime_days
        self.limit_days = limit
        #: The last moment that the policy allows; None: it sets none.
        self.latest = (born or self.now) + timedelta(days=limit) if limit is not None else None

    @property
    def days(self) -> list[int]:
        """The presets that fit, and the policy's own limit where a new key could use it."""
        if self.latest is None:
            return list(PRESETS)
        left = (self.latest - self.now).total_seconds() / 86400
        fitting = [days for days in PRESETS if days <= left + 0.001]
        whole = int(left + 0.001)
        return sorted({*fitting, whole}) if whole >= 1 and whole == self.limit_days else fitting

    @property
    def choices(self) -> list[tuple[str, str]]:
        choices = [(str(days), ngettext("%(days)s day", "%(days)s days", days) % {"days": days}) for days in self.days]
        choices.append((ON_A_DATE, _("Until a date")))
        if self.latest is None:
            choices.append((NO_EXPIRY, _("No expiry")))
        return choices

    @property
    def default(self) -> str:
        if DEFAULT_DAYS in self.days:
            return str(DEFAULT_DAYS)
        return str(self.days[-1]) if self.days else ON_A_DATE

    @property
    def first_day(self) -> date:
        return timezone.localdate(self.now)

    @property
    def last_day(self) -> date:
        return timezone.localdate(self.now + FURTHEST if self.latest is None else self.latest)

    def moment(self, chosen: str, on: date | None) -> datetime | None:
        """The moment that a choice means, None for no expiry. Raises Refused where there is no such day to choose."""
        if chosen == NO_EXPIRY:
            return None
        if chosen != ON_A_DATE:
            return self.now + timedelta(days=int(chosen))
        if on is None:
            raise Refused(_("Choose the last day that the key works."), "expires_on")
        if not self.first_day <= on <= max(self.first_day, self.last_day):
            raise Refused(
                _("Choose a day from %(first)s to %(last)s.")
                % {"first": self.first_day.isoformat(), "last": self.last_day.isoformat()},
                "expires_on",
            )
        end = end_of(on)
        return end if self.latest is None else min(end, self.latest)


def end_of(day: date) -> datetime:
    """The last second of ``day`` in the reader's time zone: midnight would be shown as the day after."""
    return datetime.combine(day, time(23, 59, 59), tzinfo=timezone.get_current_timezone())
