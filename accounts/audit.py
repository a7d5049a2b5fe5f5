"""The audit trail's only writer, and the actor that every change names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import models, transaction
from django.http import HttpRequest

from accounts import audit_chain, stops
from accounts.client_ip import client_ip, normalize
from accounts.models import Account, AuditEvent, User

if TYPE_CHECKING:
    from accounts.step_up import StepUp

_dated: ContextVar[datetime | None] = ContextVar("audit_dated", default=None)

#: What staff look for first after an incident: actions that open a door, weaken a lock, or say that one was tried.
SECURITY_ACTIONS = frozenset(
    {
        "account.policies_changed",
        "account.policies_pinned",
        "account.policies_unpinned",
        "account.resumed",
        "account.suspended",
        "audit.exported",
        "database.restore_confirmed",
        "hub.transferred",
        "key.exposed",
        "key.leaked",
        "member.added",
        "member.changed",
        "member.removed",
        "miner.transferred",
        "passkey.added",
        "passkey.refused",
        "passkey.removed",
        "password.changed",
        "password.reset",
        "pool.transferred",
        "recovery_code.used",
        "recovery_codes.made",
        "second_factor.enrolled",
        "second_factor.removed",
        "second_factor.replaced",
        "second_factor.reset",
        "sessions.ended",
        "signing_key.retired",
        "signing_key.rotated",
        "support_key.issued",
        "support_key.registered",
        "user.access_changed",
        "user.changed",
        "user.created",
        "user.email_changed",
        "wallet.changed",
    }
)
#: The same as a condition, with keys that were revoked because they leaked.
SECURITY = models.Q(action__in=SECURITY_ACTIONS) | models.Q(action="key.revoked", data__reason="leaked")


class StepUpMissing(Exception):
    """An action that needs a second factor was tried without a fresh proof for exactly that action."""


@dataclass(frozen=True)
class Actor:
    """Who makes a change, from where, and with which second-factor proof."""

    name: str
    via: str  # one of AuditEvent.VIA
    user: User | None = None
    address: str | None = None
    proof: StepUp | None = None
    key_id: str | None = None

    @classmethod
    def from_request(cls, request: HttpRequest, *, via: str = "web", proof: StepUp | None = None) -> Actor:
        user = request.user
        if not isinstance(user, User):
            raise TypeError("Only signed-in people change things.")
        return cls(name=str(user), via=via, user=user, address=client_ip(request), proof=proof)

    @classmethod
    def for_key(cls, key_id: str, name: str, address: str | None) -> Actor:
        """A program that presents an API key: no person, and no second factor to ask for."""
        return cls(name=f"{name} ({key_id})", via="api", address=address, key_id=key_id)

    @classmethod
    def for_command(cls, name: str) -> Actor:
        """Whoever runs ``manage.py`` has the database and the master keys already: no second factor is asked."""
        return cls(name=f"manage.py {name}", via="command")

    def require_step_up(self, action: str) -> None:
        """Raise StepUpMissing unless this actor proved a second factor for ``action`` just now, or is a command."""
        if self.via == "command":
            return
        if self.user is None or self.proof is None or not self.proof.covers(self.user.pk, action):
            raise StepUpMissing(action)


@contextmanager
def dated(at: datetime) -> Iterator[None]:
    """Let the events that a command records within be of ``at``: for data that tells of the past, as the demo's."""
    token = _dated.set(at)
    try:
        yield
    finally:
        _dated.reset(token)


def record(
    action: str,
    *,
    actor: Actor,
    account: Account | None = None,
    target: models.Model | None = None,
    **data: Any,
) -> AuditEvent:
    """Append one event. Must run inside the transaction of the change that it records.

    The last thing of the transaction, where that can be: until its end, other events of the account wait. A change
    that records for several accounts calls `audit_chain.hold` first.
    ``data`` must hold no secret. What JSON and the databases can't hold becomes text: an odd name stops no change.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("audit.record() belongs inside the change's own transaction.")
    target_id = ""
    if target is not None:
        target_id = str(getattr(target, "key_id", None) or target.pk)
    past = _dated.get() if actor.via == "command" else None
    texts = {
        "account_name": account.name if account else "",
        "actor_name": actor.name,
        "via": actor.via,
        "action": action,
        "target_type": target._meta.model_name or "" if target is not None else "",
        "target_id": target_id,
        "target_name": str(target) if target is not None else "",
    }
    event = AuditEvent(
        **({"at": past} if past else {}),
        **{name: _text(text)[: _LENGTHS[name]] for name, text in texts.items()},
        account=account,
        actor=actor.user,
        address=normalize(actor.address or ""),
        data=_plain(data),
    )
    audit_chain.link(event)
    event.save(force_insert=True)
    stops.remember(event)
    return event


_LENGTHS = {field.name: field.max_length for field in AuditEvent._meta.fields}


def _plain(value: Any) -> Any:
    """``value`` as JSON that every database gives back unchanged: the digest is made over it."""
    match value:
        case None | bool() | int():
            return value
        case dict():
            return {_text(str(key)): _plain(each) for key, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case str():
            return _text(value)
    return _text(str(value))  # floats too: PostgreSQL keeps their decimals, SQLite their bits


def _text(text: str) -> str:
    """``text`` without what PostgreSQL or UTF-8 can't hold, each such character spelt out."""
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()
