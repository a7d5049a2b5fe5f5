"""What every change of an account has in common: how it is refused, and how it waits for its turn."""

from __future__ import annotations

from uuid import UUID

from accounts.models import Account

#: How long a reason is that somebody gives for a change.
NOTE_LENGTH = 200


class Refused(Exception):
    """A change that the rules forbid; ``str()`` is what to tell the person, ``field`` what to mend."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


def lock_account(pk: UUID) -> Account:
    """Read the account, and hold it until the transaction ends: it orders what happens to people, keys and roles."""
    # NO KEY UPDATE: rows that merely refer to the account, such as other keys' audit rows, needn't wait.
    return Account.objects.select_for_update(no_key=True).get(pk=pk)


def clean_note(note: str) -> str:
    """The reason that somebody typed, on one line and no longer than NOTE_LENGTH."""
    return " ".join(note.split())[:NOTE_LENGTH]


def note_for_audit(note: str) -> dict[str, str]:
    """The reason as data of an audit event; nothing where none was given."""
    note = clean_note(note)
    return {"note": note} if note else {}
