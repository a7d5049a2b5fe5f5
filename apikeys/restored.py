"""A restore that undid stops: what its keys may do again, and how all of it is stopped anew."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.db import transaction

from accounts import audit, stops, suspension
from accounts.changes import Refused
from accounts.models import Account
from accounts.stops import Stop
from apikeys import lifecycle, signing
from apikeys.models import ApiKey, SigningKey

NOTE = "Stopped before, and undone by a restore of the database"
#: The key's old secrets were to end: which of them works again, the restored row can't tell.
ENDED_SECRETS = frozenset({"key.regenerated", "key.rotated", "key.overlap_ended"})


@dataclass
class Undone:
    """What the events that are missing had stopped; ``others`` is for a person to look at."""

    revoked: dict[str, str] = field(default_factory=dict)  # key ID -> reason
    disabled: set[str] = field(default_factory=set)
    suspended: set[str] = field(default_factory=set)
    retired: set[tuple[str, int]] = field(default_factory=set)  # account, version
    others: list[Stop] = field(default_factory=list)

    @classmethod
    def of(cls, missing: Iterable[Stop]) -> Undone:
        """Fold ``missing``, oldest first: what was enabled or resumed since is not to be stopped."""
        result = cls()
        ended: set[str] = set()
        for stop in missing:
            match stop.action:
                case "key.revoked" | "key.deleted":
                    result.revoked.setdefault(stop.target, stop.data.get("reason", "other"))
                case "key.disabled":
                    result.disabled.add(stop.target)
                case "key.enabled":
                    result.disabled.discard(stop.target)
                case action if action in ENDED_SECRETS:
                    ended.add(stop.target)
                case "account.suspended":
                    result.suspended.add(stop.target)
                case "account.resumed":
                    result.suspended.discard(stop.target)
                case "signing_key.retired":
                    result.retired.add((stop.target, int(stop.data.get("version", 0))))
                case _:
                    result.others.append(stop)
        result.disabled = (result.disabled | ended) - result.revoked.keys()
        return result


def stop_again(missing: Sequence[Stop], *, actor: audit.Actor) -> list[str]:
    """Stop what ``missing`` had stopped, each in its own transaction, and say of each what came of it.

    A key whose old secrets were to end is disabled, since nobody knows who has them: its owner gives it a new one. What
    is stopped already stays so, and doing it twice is no error. What is nobody's key (`Undone.others`) is left alone.
    """
    undone = Undone.of(missing)
    lines = []
    for account_id, version in sorted(undone.retired):
        signing_key = SigningKey.objects.filter(account_id=UUID(account_id), version=version).first()
        if signing_key is None:
            lines.append(f"signing key {version} of account {account_id}: not in this database")
            continue
        count = signing.retire(signing_key, actor=actor, note=NOTE)
        lines.append(f"signing key {version} of {signing_key.account.slug}: retired, {count} secrets stopped")
    for account_id in sorted(undone.suspended):
        account = Account.objects.filter(pk=account_id).first()
        if account is None:
            lines.append(f"account {account_id}: not in this database")
            continue
        suspension.suspend(account, actor=actor, reason=NOTE)
        lines.append(f"account {account.slug}: suspended")
    for key_id, reason in sorted(undone.revoked.items()):
        lines.append(f"{key_id}: {_revoke(key_id, reason, actor)}")
    for key_id in sorted(undone.disabled):
        lines.append(f"{key_id}: {_disable(key_id, actor)}")
    return lines


def confirm(missing: Sequence[Stop], *, actor: audit.Actor, stopped_again: bool) -> None:
    """Take the database as it is from now on: none of ``missing`` need be in it. For all servers that use it."""
    with transaction.atomic():
        audit.record(stops.CONFIRMED, actor=actor, stopped_again=stopped_again, undone=[stop.event for stop in missing])


def find(key_id: str) -> ApiKey | None:
    """The key with this ID, of owners or of support."""
    return ApiKey.every.select_related("account").filter(key_id=key_id).first()


def _revoke(key_id: str, reason: str, actor: audit.Actor) -> str:
    key = find(key_id)
    if key is None:
        return "not in this database"
    if reason not in lifecycle.REVOKE_REASONS:
        reason = "other"
    lifecycle.revoke(key, actor=actor, reason=reason, note=NOTE)
    return f"revoked ({key.account.slug})"


def _disable(key_id: str, actor: audit.Actor) -> str:
    key = find(key_id)
    if key is None:
        return "not in this database"
    try:
        lifecycle.disable(key, actor=actor, note=NOTE)
    except Refused:  # revoked, which is more
        return f"revoked already ({key.account.slug})"
    return f"disabled ({key.account.slug})"
