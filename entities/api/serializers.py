"""How rows look in answers: money as decimal strings, hashrate in whole H/s, times in UTC."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from entities.api.fields import AmountField, NameField, ReadCoinsField, is_shown, reference
from entities.models import Accrual, Entity, HashrateSample, Miner, Wallet, Worker, WorkerGroup
from entities.payments import TYPES, Payment
from entities.querysets import WORKER_STATUSES


class MinerSerializer(serializers.ModelSerializer[Entity]):
    pool = reference(allow_null=True)

    class Meta:
        model = Miner
        fields = ["id", "name", "environment", "pool", "created_at"]
        read_only_fields = fields


class WorkerCountsSerializer(serializers.Serializer[Any]):
    online = serializers.IntegerField()
    offline = serializers.IntegerField()
    inactive = serializers.IntegerField()
    total = serializers.IntegerField()


class MinerDetailSerializer(MinerSerializer):
    wallets = serializers.SerializerMethodField(help_text="IDs of its wallets.")
    workers = serializers.SerializerMethodField(help_text="Counts by status; null for keys without workers:read.")
    minimum_payout = ReadCoinsField(
        help_text="In whole coins: a smaller balance waits. Null: what the pool sets, or a key without settings:read."
    )

    class Meta(MinerSerializer.Meta):
        fields = [*MinerSerializer.Meta.fields, "wallets", "workers", "minimum_payout"]
        read_only_fields = fields

    def get_wallets(self, miner: Entity) -> list[UUID]:
        return list(miner.wallets.order_by("id").values_list("pk", flat=True))

    @extend_schema_field(WorkerCountsSerializer(allow_null=True))
    def get_workers(self, miner: Entity) -> dict[str, int] | None:
        if not is_shown(self, "workers:read"):
            return None
        return miner.workers.all().count_by_status(self.context["now"])

    def to_representation(self, miner: Entity) -> dict[str, Any]:
        answer = super().to_representation(miner)
        return answer if is_shown(self, "settings:read") else {**answer, "minimum_payout": None}


class MinerCreationSerializer(serializers.Serializer[Any]):
    account_name = NameField(help_text="The miner's name, which no other miner of the account has.")
    pool = serializers.UUIDField(required=False, allow_null=True, help_text="The pool that it mines on.")


class MinerCreatedSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    wallets = serializers.ListField(child=serializers.UUIDField(), help_text="IDs of its wallets: one, for BTC.")


class MinerChangeSerializer(serializers.Serializer[Any]):
    name = NameField(help_text="No other miner of the account has it.")
    minimum_payout = AmountField(
        allow_null=True, help_text="In whole coins: a smaller balance waits. Null: what the pool sets."
    )


class RandomNameSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(help_text="No miner of the account has it now.")


class WorkerSerializer(serializers.ModelSerializer[Worker]):
    miner = reference()
    group = reference(allow_null=True, help_text="The group that it is in.")
    status = serializers.SerializerMethodField(
        help_text="online: a share in the last ten minutes; inactive: none for three days, or ever; else offline."
    )
    behavior = serializers.SerializerMethodField(help_text="Always “real”: there are no virtual workers here.")
    type = serializers.SerializerMethodField(help_text="Always “real”: there are no virtual workers here.")
    hashrate = serializers.SerializerMethodField(
        help_text="Hashes per second, mean of the last ten minutes; 0 unless it is online."
    )

    class Meta:
        model = Worker
        fields = ["id", "name", "miner", "group", "status", "behavior", "type", "hashrate", "last_share_at"]
        read_only_fields = fields

    @extend_schema_field(serializers.ChoiceField(WORKER_STATUSES))
    def get_status(self, worker: Worker) -> str:
        return worker.status(self.context["now"])

    def get_behavior(self, worker: Worker) -> Literal["real"]:
        return "real"

    def get_type(self, worker: Worker) -> Literal["real"]:
        return "real"

    def get_hashrate(self, worker: Worker) -> int:
        return worker.current_hashrate(self.context["now"])


class WorkerChangeSerializer(serializers.Serializer[Any]):
    name = NameField(help_text="No other worker of the miner has it.")
    group = serializers.UUIDField(allow_null=True, help_text="A group of the same miner; null: none.")


class MeanHashrateSerializer(serializers.Serializer[Any]):
    hashrate = serializers.IntegerField(help_text="Hashes per second.")


class WorkerStatsSerializer(serializers.Serializer[Any]):
    status = serializers.ChoiceField(WORKER_STATUSES)
    last_share_at = serializers.DateTimeField(allow_null=True)

    def get_fields(self) -> dict[str, Any]:
        means = {
            "10m": MeanHashrateSerializer(help_text="Of the last ten minutes; 0 unless it is online."),
            "1d": MeanHashrateSerializer(help_text="Of the last day."),
            "1w": MeanHashrateSerializer(help_text="Of the last week."),
        }
        return {**means, **super().get_fields()}

    def to_representation(self, worker: Worker) -> dict[str, Any]:
        now = self.context["now"]
        return {
            "10m": {"hashrate": worker.current_hashrate(now)},
            "1d": {"hashrate": worker.hashrate_1d},
            "1w": {"hashrate": worker.hashrate_1w},
            "status": worker.status(now),
            "last_share_at": self.fields["last_share_at"].to_representation(worker.last_share_at)
            if worker.last_share_at
            else None,
        }


class WorkersStatsSerializer(serializers.Serializer[Any]):
    """Of several workers, by their IDs."""

    def to_representation(self, workers: list[Worker]) -> dict[str, Any]:
        one = WorkerStatsSerializer(context=self.context)
        return {str(worker.pk): one.to_representation(worker) for worker in workers}


class _WorkersStatsSchema(OpenApiSerializerExtension):
    target_class = WorkersStatsSerializer

    def map_serializer(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        one = auto_schema.resolve_serializer(WorkerStatsSerializer, direction)
        return {"type": "object", "additionalProperties": one.ref}


class WorkerGroupSerializer(serializers.ModelSerializer[WorkerGroup]):
    miner = reference()

    class Meta:
        model = WorkerGroup
        fields = ["id", "name", "miner", "created_at"]
        read_only_fields = fields


class WorkerGroupNameSerializer(serializers.Serializer[Any]):
    name = NameField(help_text="No other group of the miner has it.")


class WalletSerializer(serializers.ModelSerializer[Wallet]):
    entity = reference(help_text="The miner or hub whose payouts go there.")

    class Meta:
        model = Wallet
        fields = ["id", "entity", "coin", "address"]
        read_only_fields = fields


class AddressSerializer(serializers.Serializer[Any]):
    address = serializers.CharField(max_length=120, help_text="Of the wallet's coin; its checksum must fit.")


class HashrateSampleSerializer(serializers.ModelSerializer[HashrateSample]):
    class Meta:
        model = HashrateSample
        fields = ["at", "hashrate"]
        read_only_fields = fields


class AccrualSerializer(serializers.ModelSerializer[Accrual]):
    currency = serializers.CharField(source="coin", read_only=True)

    class Meta:
        model = Accrual
        fields = ["day", "currency", "amount"]
        read_only_fields = fields


class PaymentMetadataSerializer(serializers.Serializer[Any]):
    hashrate = serializers.IntegerField(
        allow_null=True,
        help_text="Of a reward: hashes per second that it was earned with. Null where it is not known, of a payout, "
        "and for keys without hashrate:read.",
    )


class PaymentSerializer(serializers.Serializer[Any]):
    """A reward is what one day earned, a payout is money that was sent."""

    id = serializers.UUIDField()
    type = serializers.ChoiceField(TYPES)
    amount = serializers.DecimalField(max_digits=24, decimal_places=8, help_text="In whole coins.")
    currency = serializers.CharField(source="coin")
    created_at = serializers.DateTimeField(help_text="When it was sent; of a reward, when its day began.")
    metadata = serializers.SerializerMethodField()
    address = serializers.CharField(allow_null=True, help_text="Where it went; null for a reward.")
    transaction = serializers.CharField(
        allow_null=True, help_text="The transaction's ID on the coin's chain; null for a reward."
    )
    wallet = serializers.UUIDField(source="wallet_id", allow_null=True, help_text="Null for a reward.")

    @extend_schema_field(PaymentMetadataSerializer)
    def get_metadata(self, payment: Payment) -> dict[str, int | None]:
        return {"hashrate": payment.hashrate if is_shown(self, "hashrate:read") else None}


class EarnedSerializer(serializers.Serializer[Any]):
    """All that was ever earned in one coin."""

    currency = serializers.CharField(source="coin")
    amount = serializers.DecimalField(source="accrued", max_digits=24, decimal_places=8, help_text="In whole coins.")


class EarnedListSerializer(serializers.Serializer[Any]):
    data = EarnedSerializer(many=True)  # type: ignore[assignment]


class BalanceSerializer(serializers.Serializer[Any]):
    """Amounts of one coin: what is owed, what was ever earned and what was ever paid."""

    currency = serializers.CharField(source="coin")
    amount = serializers.DecimalField(source="balance", max_digits=24, decimal_places=8, help_text="What is owed.")
    accrued = serializers.DecimalField(max_digits=24, decimal_places=8)
    paid = serializers.DecimalField(max_digits=24, decimal_places=8)


class BalanceListSerializer(serializers.Serializer[Any]):
    data = BalanceSerializer(many=True)  # type: ignore[assignment]
