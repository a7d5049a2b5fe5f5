"""The audit trail's only writer, and the actor that every change names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import models, transaction
from django.http import HttpRequest

from accounts.client_ip import client_ip
from accounts.models import Account, AuditEvent, User

if TYPE_CHECKING:
    from accounts.step_up import StepUp


class StepUpMissing(Exception):
    """An action that needs a second factor was tried without a fresh proof for exactly that action."""


@dataclass(frozen=True)
class Actor:
    """Who makes a change, from where, and with which second-factor proof."""

    name: str
    via: str  # web, admin, api or command
    user: User | None = None
    address: str | None = None
    proof: StepUp | None = None
    key_id: str | None = None

    @classmethod
    def from_request(cls, request: HttpRequest, *, via: str = "web", proof: StepUp | None = None) -> Actor:
        user = request.user
        if not isinstance(user, User):
            raise TypeError("Only signed-in people change things.")
        return cls(name=user.name or user.email, via=via, user=user, address=client_ip(request), proof=proof)

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


def record(
    action: str,
    *,
    actor: Actor,
    account: Account | None = None,
    target: models.Model | None = None,
    **data: Any,
) -> AuditEvent:
    """Append one event. Must run inside the transaction of the change that it records.

    ``data`` must be JSON-serialisable and hold no secret.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("audit.record() belongs inside the change's own transaction.")
    target_id = ""
    if target is not None:
        target_id = str(getattr(target, "key_id", None) or target.pk)
    return AuditEvent.objects.create(
        account=account,
        account_name=account.name if account else "",
        actor=actor.user,
        actor_name=actor.name,
        via=actor.via,
        address=actor.address,
        action=action,
        target_type=target._meta.model_name or "" if target is not None else "",
        target_id=target_id,
        target_name=str(target)[:200] if target is not None else "",
        data=data,
    )
