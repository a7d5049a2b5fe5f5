"""How rows look in answers: money as decimal strings, hashrate in whole H/s, times in UTC."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from entities.models import Accrual, Entity, HashrateSample, Miner, Payout, Worker


def _reference() -> Any:
    """An entity by its id: names are for keys that reach it."""
    return serializers.PrimaryKeyRelatedField(read_only=True)


class MinerSerializer(serializers.ModelSerializer[Entity]):
    pool = _reference()

    class Meta:
        model = Miner
        fields = ["id", "name", "environment", "pool", "created_at"]
        read_only_fields = fields


class MinerDetailSerializer(MinerSerializer):
    wallets = serializers.SerializerMethodField()
    workers = serializers.SerializerMethodField()

    class Meta(MinerSerializer.Meta):
        fields = [*MinerSerializer.Meta.fields, "wallets", "workers"]
        read_only_fields = fields

    def get_wallets(self, miner: Entity) -> list[str]:
        return [str(pk) for pk in miner.wallets.order_by("id").values_list("pk", flat=True)]

    def get_workers(self, miner: Entity) -> dict[str, int] | None:
        """Counts by status; null for keys that may not see workers."""
        if "workers:read" not in self.context["view"].grant.permissions:
            return None
        return miner.workers.all().count_by_status(self.context["now"])


class WorkerSerializer(serializers.ModelSerializer[Worker]):
    miner = _reference()
    status = serializers.SerializerMethodField()
    hashrate = serializers.SerializerMethodField()

    class Meta:
        model = Worker
        fields = ["id", "name", "miner", "status", "hashrate", "last_share_at"]
        read_only_fields = fields

    def get_status(self, worker: Worker) -> str:
        return worker.status(self.context["now"])

    def get_hashrate(self, worker: Worker) -> int:
        return worker.current_hashrate(self.context["now"])


class HashrateSampleSerializer(serializers.ModelSerializer[HashrateSample]):
    class Meta:
        model = HashrateSample
        fields = ["at", "hashrate"]
        read_only_fields = fields


class AccrualSerializer(serializers.ModelSerializer[Accrual]):
    class Meta:
        model = Accrual
        fields = ["day", "coin", "amount"]
        read_only_fields = fields


class PayoutSerializer(serializers.ModelSerializer[Payout]):
    wallet = _reference()
    address = serializers.CharField(source="wallet.address", read_only=True)

    class Meta:
        model = Payout
        fields = ["id", "paid_at", "coin", "amount", "wallet", "address", "transaction"]
        read_only_fields = fields


class BalanceSerializer(serializers.Serializer[Any]):
    """Amounts of one coin: what is owed, what was ever earned and what was ever paid."""

    coin = serializers.CharField()
    balance = serializers.DecimalField(max_digits=24, decimal_places=8)
    accrued = serializers.DecimalField(max_digits=24, decimal_places=8)
    paid = serializers.DecimalField(max_digits=24, decimal_places=8)
