"""What is protected: miners, hubs and pools, and the data that hangs on them."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from accounts.environments import Environment
from accounts.models import Account
from accounts.search import SearchIndex
from entities.querysets import HashrateSampleQuerySet, WorkerQuerySet
from entities.scoping import ScopedQuerySet


class Kind(models.TextChoices):
    MINER = "miner", _("Miner")
    HUB = "hub", _("Hub")
    POOL = "pool", _("Pool")


class Entity(models.Model):
    """A miner, a hub or a pool of an account, in one environment."""

    #: What a proxy is about; None here, where all kinds meet.
    KIND: ClassVar[Kind | None] = None

    # Foreign keys that lead a composite index have no index of their own, here and below.
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="entities", db_index=False)
    environment = models.CharField(max_length=12, choices=Environment, default=Environment.PRODUCTION)
    kind = models.CharField(max_length=5, choices=Kind)
    name = models.CharField(max_length=120)
    pool = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="mining_on",
        db_index=False,
        limit_choices_to={"kind": Kind.POOL},
        help_text="The pool that a miner or hub mines on.",
    )
    minimum_payout = models.DecimalField(
        max_digits=24,
        decimal_places=8,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text="In whole coins; a smaller balance waits. Empty: what the pool sets.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = models.Manager.from_queryset(ScopedQuerySet)()

    class Meta:
        verbose_name_plural = "entities"
        ordering = ["kind", "name"]
        permissions = [
            ("transfer_entity", "Can transfer entities to another account"),
            ("import_pool_data", "Can import pool data"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "environment", "kind", "name"],
                name="entity_name_once",
                violation_error_message="This account has one of that kind and name in this environment already.",
            ),
            models.CheckConstraint(condition=~Q(kind=Kind.POOL) | Q(pool=None), name="entity_pool_on_no_pool"),
        ]
        indexes = [
            models.Index(fields=["account", "environment", "kind", "id"], name="entity_reach"),
            models.Index(fields=["pool", "account", "environment", "kind", "id"], name="entity_on_pool"),
            models.Index(fields=["account", "environment", "kind", "created_at", "id"], name="entity_made"),
            # Without the account: hubs' clients are other accounts' miners.
            models.Index(fields=["environment", "kind", "name", "id"], name="entity_named"),
            SearchIndex(fields=["name"], name="entity_search"),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if self.pool is not None and self.pool.environment != self.environment:
            raise ValidationError({"pool": "Choose a pool of the same environment."})


class KindManager(models.Manager.from_queryset(ScopedQuerySet)):  # type: ignore[misc]
    """Sees one kind, its proxy's, and makes only that kind."""

    def get_queryset(self) -> ScopedQuerySet:
        return super().get_queryset().filter(kind=self.model.KIND)

    def create(self, **fields: Any) -> Entity:
        return super().create(**{**fields, "kind": self.model.KIND})


class Miner(Entity):
    """A mining account on a pool; its machines are workers."""

    KIND = Kind.MINER

    objects = KindManager()  # type: ignore[misc]

    class Meta:
        proxy = True
        default_permissions = ()


class Hub(Entity):
    """An operator: a group of client miners, often of other accounts."""

    KIND = Kind.HUB

    objects = KindManager()  # type: ignore[misc]

    class Meta:
        proxy = True
        default_permissions = ()


class Pool(Entity):
    KIND = Kind.POOL

    objects = KindManager()  # type: ignore[misc]

    class Meta:
        proxy = True
        default_permissions = ()


class HubClientQuerySet(models.QuerySet["HubClient"]):
    def served(self) -> HubClientQuerySet:
        """Only rows that hold: one across environments, as `clean` refuses, serves nobody."""
        return self.filter(miner__kind=Kind.MINER, miner__environment=F("hub__environment"))


class HubTerms(models.Model):
    """What a hub and a miner's owner agree on, or are to."""

    commission = models.DecimalField(
        max_digits=5,
        decimal_places=4,
        default=Decimal(0),
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="The hub's share of the miner's earnings, 0 to 1.",
    )
    comment = models.CharField(max_length=200, blank=True)

    class Meta:
        abstract = True


class HubClient(HubTerms):
    """A miner that a hub serves. What the hub's keys reach of it ends when this row goes."""

    hub = models.ForeignKey(
        Entity,
        on_delete=models.CASCADE,
        related_name="clients",
        limit_choices_to={"kind": Kind.HUB},
        db_index=False,
    )
    miner = models.ForeignKey(
        Entity, on_delete=models.CASCADE, related_name="served_by", limit_choices_to={"kind": Kind.MINER}
    )
    joined_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = HubClientQuerySet.as_manager()

    class Meta:
        ordering = ["joined_at"]
        constraints = [models.UniqueConstraint(fields=["hub", "miner"], name="hub_client_once")]
        indexes = [models.Index(fields=["hub", "joined_at", "miner"], name="hub_client_joined")]

    def __str__(self) -> str:
        return f"{self.miner} at {self.hub}"

    def clean(self) -> None:
        if self.hub_id is None or self.miner_id is None:
            return  # the field says so already
        if self.hub.kind != Kind.HUB:
            raise ValidationError({"hub": "Choose a hub."})
        if self.miner.kind != Kind.MINER:
            raise ValidationError({"miner": "Choose a miner."})
        if self.hub.environment != self.miner.environment:
            raise ValidationError({"miner": "Choose a miner of the hub's environment."})


class HubInvitation(HubTerms):
    """A hub's offer to serve a miner of another account, which joins when its own side accepts.

    ``miner_id`` is no foreign key on purpose: an invitation of an id that nobody has looks like any other, so that
    inviting tells nothing of what exists.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    hub = models.ForeignKey(
        Entity,
        on_delete=models.CASCADE,
        related_name="invitations",
        limit_choices_to={"kind": Kind.HUB},
        db_index=False,
    )
    miner_id = models.UUIDField("miner's ID")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["created_at"]
        constraints = [models.UniqueConstraint(fields=["hub", "miner_id"], name="hub_invitation_once")]
        indexes = [models.Index(fields=["miner_id", "id"], name="hub_invitation_of_miner")]

    def __str__(self) -> str:
        return f"{self.miner_id} to {self.hub}"


class WorkerGroup(models.Model):
    """Workers of a miner under one name: a rack, a container, a customer."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    miner = models.ForeignKey(Entity, on_delete=models.CASCADE, related_name="worker_groups", db_index=False)
    name = models.CharField(max_length=120)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["miner", "name"], name="worker_group_name_once")]
        indexes = [models.Index(fields=["miner", "id"], name="worker_group_of_miner")]

    def __str__(self) -> str:
        return self.name


class Worker(models.Model):
    """One machine of a miner."""

    ONLINE_WITHIN = timedelta(minutes=10)
    INACTIVE_AFTER = timedelta(days=3)

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    miner = models.ForeignKey(Entity, on_delete=models.CASCADE, related_name="workers", db_index=False)
    name = models.CharField(max_length=120)
    group = models.ForeignKey(WorkerGroup, null=True, blank=True, on_delete=models.SET_NULL, related_name="workers")
    hashrate = models.BigIntegerField(default=0, help_text="Hashes per second, mean of the last ten minutes.")
    hashrate_1d = models.BigIntegerField(default=0, help_text="Hashes per second, mean of the last day.")
    hashrate_1w = models.BigIntegerField(default=0, help_text="Hashes per second, mean of the last week.")
    last_share_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = WorkerQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["miner", "name"], name="worker_name_once")]
        indexes = [models.Index(fields=["miner", "id"], name="worker_of_miner")]

    def __str__(self) -> str:
        return self.name

    def status(self, now: datetime | None = None) -> str:
        """``online``: a share in the last ten minutes; ``inactive``: none for three days, or ever; else ``offline``."""
        silence = (now or timezone.now()) - self.last_share_at if self.last_share_at else None
        if silence is None or silence > self.INACTIVE_AFTER:
            return "inactive"
        return "online" if silence <= self.ONLINE_WITHIN else "offline"

    def current_hashrate(self, now: datetime | None = None) -> int:
        """Hashes per second now: what was last measured, 0 once the worker has fallen silent."""
        return self.hashrate if self.status(now) == "online" else 0


class Wallet(models.Model):
    """Where payouts of a miner or hub go."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    entity = models.ForeignKey(Entity, on_delete=models.CASCADE, related_name="wallets", db_index=False)
    coin = models.CharField(max_length=8)
    address = models.CharField(max_length=120, blank=True, help_text="Empty until the owner sets one: nothing is paid.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["entity", "coin"], name="wallet_per_coin")]

    def __str__(self) -> str:
        return f"{self.coin} {self.address}".strip()


class HashrateSample(models.Model):
    """Mean hashrate of a miner over the hour that starts at ``at``."""

    miner = models.ForeignKey(Entity, on_delete=models.CASCADE, related_name="hashrate_samples", db_index=False)
    at = models.DateTimeField()
    hashrate = models.BigIntegerField(help_text="Hashes per second, accepted.")
    rejected = models.BigIntegerField(default=0, help_text="Hashes per second whose shares were rejected.")

    objects = HashrateSampleQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["miner", "at"], name="hashrate_sample_once")]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.hashrate} H/s"


class Accrual(models.Model):
    """What one day earned. A hub earns its commission, one row for each client."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    entity = models.ForeignKey(Entity, on_delete=models.CASCADE, related_name="accruals", db_index=False)
    client = models.ForeignKey(Entity, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    day = models.DateField()
    coin = models.CharField(max_length=8)
    amount = models.DecimalField(max_digits=24, decimal_places=8)
    hashrate = models.BigIntegerField(
        null=True, blank=True, help_text="Hashes per second that it was earned with, the day's mean."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["entity", "client", "day", "coin"], name="accrual_once"),
            # NULLs are distinct in the constraint above, and SQLite can't say otherwise.
            models.UniqueConstraint(
                fields=["entity", "day", "coin"], condition=Q(client=None), name="accrual_once_own"
            ),
        ]
        indexes = [models.Index(fields=["entity", "day", "id"], name="accrual_of_entity")]

    def __str__(self) -> str:
        return f"{self.day} {self.amount} {self.coin}"


class Payout(models.Model):
    """Money sent to a wallet, at the address that the wallet had then."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    entity = models.ForeignKey(Entity, on_delete=models.CASCADE, related_name="payouts", db_index=False)
    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="payouts")
    paid_at = models.DateTimeField()
    coin = models.CharField(max_length=8)
    amount = models.DecimalField(max_digits=24, decimal_places=8)
    address = models.CharField(max_length=120)
    transaction = models.CharField(max_length=100, help_text="The transaction's id on the coin's chain.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["entity", "transaction"], name="payout_once")]
        indexes = [models.Index(fields=["entity", "paid_at", "id"], name="payout_of_entity")]

    def __str__(self) -> str:
        return f"{self.paid_at:%Y-%m-%d} {self.amount} {self.coin}"
