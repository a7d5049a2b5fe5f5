"""The trail of what was done, and the heads of its chains."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from uuid_utils.compat import uuid7

from accounts.models.accounts import Account
from accounts.models.people import User
from accounts.search import SearchIndex


class AuditEventQuerySet(models.QuerySet["AuditEvent"]):
    def update(self, **kwargs: Any) -> int:
        raise TypeError("Audit events are append-only.")

    def delete(self) -> tuple[int, dict[str, int]]:
        raise TypeError("Audit events are append-only.")


class AuditEvent(models.Model):
    """One thing that was done, written in the transaction that did it. Append-only; `audit.record` is the writer.

    References outlive what they name, with names copied beside them: nothing ever updates a row. The database doesn't
    check them either, since that would lock the person's row after the chain, where others lock it before. ``digest``
    covers the row and the digest before it in its ``chain``: see `accounts.audit_chain`.
    """

    #: Where a change is made from.
    VIA = {"web": "Web UI", "admin": "Staff admin", "api": "API key", "leak": "Leak report", "command": "manage.py"}

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    at = models.DateTimeField(default=timezone.now, editable=False)
    account = models.ForeignKey(
        Account,
        null=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="audit_events",
    )
    account_name = models.CharField(max_length=120, blank=True)
    actor = models.ForeignKey(
        User, null=True, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    actor_name = models.CharField(max_length=254)
    via = models.CharField(max_length=10, choices=VIA)
    address = models.GenericIPAddressField(null=True)
    action = models.CharField(max_length=60)
    target_type = models.CharField(max_length=40, blank=True)
    target_id = models.CharField(max_length=64, blank=True)
    target_name = models.CharField(max_length=200, blank=True)
    data = models.JSONField(default=dict)
    chain = models.CharField(max_length=36, editable=False)
    number = models.PositiveBigIntegerField(editable=False)
    digest = models.BinaryField(max_length=32, editable=False)

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        ordering = ["-at", "-id"]
        permissions = [("export_auditevent", "Can export the audit trail")]
        constraints = [models.UniqueConstraint(fields=["chain", "number"], name="audit_chain_number")]
        indexes = [
            models.Index(fields=["-at", "-id"], name="audit_at"),
            models.Index(fields=["account", "-at", "-id"], name="audit_account_at"),
            models.Index(fields=["actor", "-at", "-id"], name="audit_actor_at"),
            models.Index(fields=["action", "-at", "-id"], name="audit_action_at"),
            models.Index(fields=["target_id", "target_type", "-at", "-id"], name="audit_target_at"),
            SearchIndex(fields=["target_name"], name="audit_target_search"),
            SearchIndex(fields=["actor_name"], name="audit_actor_search"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.target_name}".strip()

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise ValidationError("Audit events are append-only.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise ValidationError("Audit events are append-only.")


class AuditChain(models.Model):
    """The head of one account's chain of audit events, or of the pool's own: how long it is, and the last digest."""

    name = models.CharField(primary_key=True, max_length=36, editable=False)
    length = models.PositiveBigIntegerField(default=0, editable=False)
    digest = models.BinaryField(max_length=32, default=bytes(32), editable=False)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name
