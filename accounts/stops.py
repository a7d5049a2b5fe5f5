"""What was stopped, remembered outside the database: a backup that is put back must not bring a revoked key to life.

Every change that closes a door is an audit event, written in its own transaction. Once that is committed, the event is
noted in a file (``PITHEAD_STOPS_FILE``) that no backup of the database holds. Whatever the file knows and the database
does not was undone by a restore: nothing is served then, until `manage.py confirm_restore` has decided. The file tells
databases apart by a name that each is given, so a new or emptied one is no restored one.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC
from hashlib import sha256
from operator import attrgetter
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from accounts.models import AuditEvent, WrappedKey
from accounts.wrapped_keys import key_named

logger = logging.getLogger(__name__)

#: What closes a door; and what opens it again, so that nothing is stopped anew that went on since.
REMEMBERED = frozenset(
    {
        "account.resumed",
        "account.suspended",
        "key.deleted",
        "key.disabled",
        "key.edited",
        "key.enabled",
        "key.overlap_ended",
        "key.regenerated",
        "key.revoked",
        "key.rotated",
        "member.changed",
        "member.removed",
        "passkey.removed",
        "password.changed",
        "password.reset",
        "second_factor.removed",
        "second_factor.replaced",
        "second_factor.reset",
        "sessions.ended",
        "signing_key.retired",
        "user.access_changed",
    }
)
#: What `manage.py confirm_restore` decided: ``undone`` lists the events that need no longer be there.
CONFIRMED = "database.restore_confirmed"
#: So many lines are kept. A restore undoes the newest first, so these are enough to find it.
KEPT = 1_000
#: So many of the newest are looked up where it is asked often: whatever was undone, the newest was.
NEWEST = 20
#: So many are taken over from the database when a server starts: those of other machines, or of before the file.
LEARNT = 100
DATA = frozenset({"reason", "version"})
LABELS = frozenset({"name", "description"})
_NAME = "database"

_whole = False


class NotKnown(Exception):
    """Whether the database was restored can't be found out. ``str()`` says why, and what to do."""

    @classmethod
    def by_file(cls, what: str) -> NotKnown:
        return cls(
            f"PITHEAD_STOPS_FILE {settings.PITHEAD_STOPS_FILE} {what}. It remembers what was stopped, so that a "
            "restored database is found. Let this user read and write it and its folder, or name another file."
        )


class Restored(Exception):
    """The database is older than what this machine knows to have been stopped. ``str()`` says what to do."""

    def __init__(self, undone: Sequence[Stop]) -> None:
        super().__init__(
            f"The database was put back to an earlier state: {len(undone)} changes that stopped something are missing "
            f"from it, the latest of {undone[-1].at} ({undone[-1]}). What they stopped, revoked API keys among it, "
            "would work again, so nothing is served. See what it is: python manage.py confirm_restore. Then stop it "
            "anew with --revoke, or take the database as it is with --accept. "
            f"(Known from {settings.PITHEAD_STOPS_FILE}.)"
        )
        self.undone = undone


@dataclass(frozen=True)
class Stop:
    """One line of the file: an audit event, without names and addresses. ``target`` is a key ID or a row's."""

    database: str
    event: str
    at: str
    action: str
    account: str | None
    target_type: str
    target: str
    data: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.action} of {self.target_type} {self.target}"

    @classmethod
    def of(cls, event: AuditEvent, database: str) -> Stop:
        return cls(
            database=database,
            event=str(event.pk),
            at=event.at.astimezone(UTC).isoformat(timespec="milliseconds"),
            action=event.action,
            account=str(event.account_id) if event.account_id else None,
            target_type=event.target_type,
            target=event.target_id,
            data={name: value for name, value in event.data.items() if name in DATA},
        )


def remember(event: AuditEvent) -> None:
    """Note ``event`` once its transaction is committed, if it is one to remember. A file that fails undoes nothing."""
    if settings.PITHEAD_STOPS_FILE and _is_remembered(event):
        transaction.on_commit(lambda: _note(event))


def undone(newest: int | None = None) -> list[Stop]:
    """What the file knows to have happened in this database, and is not there any more; oldest first.

    ``newest`` looks up so many of the latest alone, which is enough to tell whether there are any.
    Raises DatabaseError and NotKnown.
    """
    global _whole
    if not settings.PITHEAD_STOPS_FILE:
        return []
    name = _database(make=False)
    known = [stop for stop in _read() if stop.database == name][-(newest or KEPT) :]
    if not known:
        return []
    found = AuditEvent.objects.filter(pk__in=[stop.event for stop in known]).values_list("pk", flat=True)
    there = {str(pk) for pk in found}
    missing = [stop for stop in known if stop.event not in there]
    if missing:
        decided = _confirmed()
        missing = [stop for stop in missing if stop.event not in decided]
    if missing:
        _whole = False
    return missing


def require_whole() -> None:
    """Raise Restored where a restore waits to be confirmed; take over what other machines stopped meanwhile.

    A server asks before it serves. Raises as undone() does.
    """
    global _whole
    if settings.PITHEAD_STOPS_FILE:
        missing = undone()
        if missing:
            raise Restored(missing)
        name = _database(make=True)
        latest = AuditEvent.objects.filter(action__in=REMEMBERED).order_by("-at", "-id")[:LEARNT]
        _add([Stop.of(event, name) for event in latest if _is_remembered(event)])
    _whole = True


def is_whole() -> bool:
    """Whether this process asked, and has found nothing since that a restore undid. Costs nothing."""
    return _whole


def _is_remembered(event: AuditEvent) -> bool:
    if event.action == "key.edited":
        return not event.data["changes"].keys() <= LABELS  # name and description close no door
    return event.action in REMEMBERED


def _note(event: AuditEvent) -> None:
    try:
        _add([Stop.of(event, _database(make=True))])
    except Exception as error:
        # The change holds. What is lost is that a restore would be found by it.
        logger.error(
            "%s can't be written, so a restore that undoes %s of %s would not be found: %s",
            settings.PITHEAD_STOPS_FILE,
            event.action,
            event.target_id,
            error if isinstance(error, NotKnown) else type(error).__name__,
        )


def _database(*, make: bool) -> str:
    """This database's name in the file: the same in each of its backups. "" where it has none yet."""
    # The key itself is not used. When its row was made tells databases apart, whatever the master keys are by now.
    made = WrappedKey.objects.filter(name=_NAME).values_list("created_at", flat=True)
    at = made.first()
    if at is None and make:
        key_named(_NAME)
        at = made.get()
    return sha256(at.astimezone(UTC).isoformat().encode()).hexdigest()[:32] if at is not None else ""


def _confirmed() -> set[str]:
    decisions = AuditEvent.objects.filter(action=CONFIRMED).values_list("data", flat=True)
    return {event for data in decisions for event in data.get("undone", [])}


def _path() -> Path:
    """The file: a JSON a line, oldest first, always whole."""
    return Path(settings.PITHEAD_STOPS_FILE)


def _read() -> list[Stop]:
    try:
        lines = _path().read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise NotKnown.by_file(f"can't be read ({type(error).__name__})") from error
    try:
        return [Stop(**json.loads(line)) for line in lines]
    except (ValueError, TypeError) as error:
        raise NotKnown.by_file("holds something that Pithead did not write") from error


def _add(stops: Sequence[Stop]) -> None:
    try:
        with _turn():
            known = _read()
            there = {(stop.database, stop.event) for stop in known}
            new = [stop for stop in stops if (stop.database, stop.event) not in there]
            if new or not _path().exists():
                _write(sorted([*known, *new], key=attrgetter("at"))[-KEPT:])
    except OSError as error:
        raise NotKnown.by_file(f"can't be written ({error.strerror})") from error


def _write(stops: Sequence[Stop]) -> None:
    draft = _path().with_name(f"{_path().name}.new")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.writelines(json.dumps(vars(stop), separators=(",", ":")) + "\n" for stop in stops)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(_path())
    folder = os.open(_path().parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _turn() -> Iterator[None]:
    """One writer at a time, over all threads and processes of this machine."""
    _path().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(os.open(_path().with_name(f"{_path().name}.lock"), os.O_WRONLY | os.O_CREAT, 0o600), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
