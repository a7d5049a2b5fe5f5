"""Check the chains of audit events. See docs/audit.md."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from accounts import audit_check
from accounts.audit_chain import chain_of
from accounts.audit_check import Verdict
from accounts.management.base import ExplainedCommand
from accounts.models import Account

BROKEN, BAD_ARGUMENTS = 1, 2
PROGRESS_SECONDS = 5

_ABOUT = """\
Check that the audit trail is what was recorded: no event altered, added, moved or taken out.

Says of each chain (an account's, and the pool's own) that it is whole, or which link is the first that does not hold.
"""
_EPILOG = """\
A whole chain says nothing of events that were cut off at its end together with its head, or of a chain that is gone
as a whole: keep the heads on another machine with --heads, and give them back with --against.

Examples:

  manage.py verify_audit
  manage.py verify_audit --account northfold
  manage.py verify_audit --against heads-yesterday.ndjson --heads heads-today.ndjson

Exit codes:

  0    every chain is whole
  1    a chain is broken, or their key can't be read: --heads has written nothing
  2    no such account, or a file that can't be read or written
"""


class Command(ExplainedCommand):
    help = _ABOUT
    epilog = _EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--account", metavar="SLUG", help="check this account's chain alone")
        parser.add_argument(
            "--heads",
            metavar="FILE",
            type=Path,
            help="write the heads of the chains, once all are whole, one JSON a line",
        )
        parser.add_argument(
            "--against", metavar="FILE", type=Path, help="check that the chains still contain the heads in FILE"
        )
        parser.add_argument(
            "--quiet", action="store_true", help="name broken chains alone, and nothing while all is whole"
        )

    def handle(self, **options: Any) -> None:
        known = _read_heads(options["against"]) if options["against"] else {}
        if options["account"]:
            account = Account.objects.filter(slug=options["account"]).first()
            if account is None:
                raise CommandError(f"There is no account {options['account']}.", returncode=BAD_ARGUMENTS)
            names = {chain_of(account.pk)}
        else:
            names = {*audit_check.chains(), *known}
        try:
            key = audit_check.key() if names else b""
        except audit_check.NoKey as error:
            raise CommandError(str(error), returncode=BROKEN) from None

        self.read, self.told_at, self.quiet = 0, time.monotonic(), options["quiet"]
        verdicts = []
        for name in sorted(names):
            verdict = audit_check.check(name, key, known=known.get(name), on_batch=self.tell_progress)
            if verdict.broken or not options["quiet"]:
                self.stdout.write(f"{verdict.name}: {in_words(verdict)}")
            verdicts.append(verdict)
        broken = sum(verdict.broken is not None for verdict in verdicts)
        if broken:
            raise CommandError(f"Broken: {broken} of {len(verdicts)} chains.", returncode=BROKEN)
        if options["heads"]:
            _write_heads(options["heads"], verdicts)

    def tell_progress(self, events: int) -> None:
        self.read += events
        if not self.quiet and time.monotonic() - self.told_at > PROGRESS_SECONDS:
            self.told_at = time.monotonic()
            self.stderr.write(f"{self.read:,} events read", self.style.NOTICE)


def in_words(verdict: Verdict) -> str:
    """What the check of a chain found, in one line."""
    broken = verdict.broken
    if broken is None:
        return f"whole, {verdict.events} events, head {verdict.head.hex()}"
    event = f" ({broken.at.isoformat()}, {broken.action})" if broken.at else ""
    return f"broken at event {broken.number}{event}, {broken.what}: {broken.why}"


def _write_heads(path: Path, verdicts: list[Verdict]) -> None:
    now = timezone.now().isoformat(timespec="seconds")
    lines = [
        {"chain": each.chain, "account": each.name, "length": each.events, "digest": each.head.hex(), "at": now}
        for each in verdicts
    ]
    try:
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}", returncode=BAD_ARGUMENTS) from None


def _read_heads(path: Path) -> dict[str, dict[int, bytes]]:
    heads: dict[str, dict[int, bytes]] = {}
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            head = json.loads(line)
            if head["length"]:
                heads.setdefault(str(head["chain"]), {})[int(head["length"])] = bytes.fromhex(head["digest"])
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}", returncode=BAD_ARGUMENTS) from None
    except (ValueError, TypeError, LookupError):
        raise CommandError(f"{path} holds something that --heads did not write.", returncode=BAD_ARGUMENTS) from None
    return heads
