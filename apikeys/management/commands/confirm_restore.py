"""Decide what a restore of the database undid. See docs/restore.md."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from accounts import audit, stops
from accounts.management.base import ExplainedCommand
from accounts.models import Account
from accounts.stops import Stop
from apikeys import restored

UNDECIDED, NOT_KNOWN = 1, 2

_ABOUT = """\
Say what a restore of the database undid, and decide it, so that servers start again.

Without an option nothing is changed: each change is listed that stopped something, is known to this machine
(PITHEAD_STOPS_FILE), and is missing from the database.
"""
_EPILOG = """\
--revoke stops all of it anew: it revokes the keys that were revoked or deleted, disables those that were disabled or
whose secret was replaced, retires signing keys and suspends accounts. What else there is (a member removed, a password
changed, a key narrowed) is listed, and is yours to repeat.

Either decision is written to the audit trail, and holds for every server of this database; a machine that knows of more
asks again.

Exit codes:

  0    nothing is undecided
  1    a restore waits for --revoke or --accept
  2    it can't be found out: the message says why
"""


class Command(ExplainedCommand):
    help = _ABOUT
    epilog = _EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        decision = parser.add_mutually_exclusive_group()
        decision.add_argument("--revoke", action="store_true", help="stop anew what the restore set free, then serve")
        decision.add_argument("--accept", action="store_true", help="take the database as it is, then serve")

    def handle(self, **options: Any) -> None:
        if not settings.PITHEAD_STOPS_FILE:
            raise CommandError("PITHEAD_STOPS_FILE is empty: what was stopped is not remembered.", returncode=NOT_KNOWN)
        try:
            missing = stops.undone()
        except stops.NotKnown as error:
            raise CommandError(str(error), returncode=NOT_KNOWN) from None
        if not missing:
            self.stdout.write("Nothing that was stopped is missing from this database.")
            return
        self.stdout.write(f"Missing from this database, of what {settings.PITHEAD_STOPS_FILE} knows:\n")
        for stop in missing:
            self.stdout.write(f"  {in_words(stop)}")
        if not (options["revoke"] or options["accept"]):
            raise CommandError(
                f"{len(missing)} changes wait. --revoke stops all of it anew, --accept takes the database as it is.",
                returncode=UNDECIDED,
            )
        actor = audit.Actor.for_command("confirm_restore")
        if options["revoke"]:
            self.stdout.write("\nStopped anew:\n")
            for line in restored.stop_again(missing, actor=actor):
                self.stdout.write(f"  {line}")
            for stop in restored.Undone.of(missing).others:
                self.stdout.write(self.style.WARNING(f"  left to you: {in_words(stop)}"))
        restored.confirm(missing, actor=actor, stopped_again=options["revoke"])
        self.stdout.write("\nDecided. Servers of this database start again.")


def in_words(stop: Stop) -> str:
    """One line: when, what, of which account, and how the key stands in the database now."""
    account = Account.objects.filter(pk=stop.account).values_list("slug", flat=True).first() if stop.account else "pool"
    key = restored.find(stop.target) if stop.target_type == "apikey" else None
    now = f", now {key.status}: {key.name}" if key else ""
    return f"{stop.at}  {stop}, {account or 'an account that is not there'}{now}"
