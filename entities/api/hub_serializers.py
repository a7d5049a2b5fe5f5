"""How hubs, what they agree with their clients, and pools look in answers and in bodies."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from entities.api.fields import IdField, ReadCoinsField, is_shown, reference
from entities.api.serializers import AccrualSerializer
from entities.models import Accrual, Entity, Hub, HubClient, HubInvitation, Pool

_COMMISSION = "The hub’s share of the miner’s earnings, 0 to 1."


class NamedSerializer(serializers.ModelSerializer[Entity]):
    """An entity that the reader may know by name."""

    class Meta:
        model = Entity
        fields = ["id", "name"]
        read_only_fields = fields


class HubSerializer(serializers.ModelSerializer[Entity]):
    #: Field -> the permission that shows it; other keys see null.
    shown_to = {"clients": "clients:read", "minimum_payout": "hub-finance:read"}

    pool = reference(help_text="The pool that the hub mines on.")
    clients = serializers.IntegerField(
        source="client_count",
        read_only=True,
        allow_null=True,
        help_text="How many miners it serves; null for keys without clients:read.",
    )

    class Meta:
        model = Hub
        fields = ["id", "name", "environment", "pool", "created_at", "clients"]
        read_only_fields = fields

    def to_representation(self, hub: Entity) -> dict[str, Any]:
        row = super().to_representation(hub)
        hidden = {name for name, permission in self.shown_to.items() if not is_shown(self, permission)}
        return {name: None if name in hidden else value for name, value in row.items()}


class HubDetailSerializer(HubSerializer):
    minimum_payout = ReadCoinsField(
        help_text="In whole coins; a smaller balance waits. Null: what the pool sets, or no hub-finance:read."
    )

    class Meta(HubSerializer.Meta):
        fields = [*HubSerializer.Meta.fields, "minimum_payout"]
        read_only_fields = fields


class HubChangeSerializer(serializers.ModelSerializer[Entity]):
    class Meta:
        model = Hub
        fields = ["minimum_payout"]


class HubClientSerializer(serializers.ModelSerializer[HubClient]):
    miner = NamedSerializer(read_only=True)

    class Meta:
        model = HubClient
        fields = ["miner", "commission", "comment", "joined_at"]
        read_only_fields = fields


class HubClientChangeSerializer(serializers.ModelSerializer[HubClient]):
    class Meta:
        model = HubClient
        fields = ["commission", "comment"]
        extra_kwargs = {
            "commission": {
                "required": True,
                "help_text": f"{_COMMISSION} Raised for a miner of another account, it waits until its owner accepts.",
            },
            "comment": {"help_text": "A note of the hub’s; with an offer, the miner’s owner reads it."},
        }


class InviteSerializer(serializers.ModelSerializer[HubInvitation]):
    # No related field: it would say which ids exist.
    miner = IdField(source="miner_id", help_text="A miner’s ID, of this account or of another.")

    class Meta:
        model = HubInvitation
        fields = ["miner", "commission", "comment"]
        extra_kwargs = {
            "commission": {"required": True, "help_text": _COMMISSION},
            "comment": {"help_text": "A note that the miner’s owner reads, too."},
        }


class HubInvitationSerializer(serializers.ModelSerializer[HubInvitation]):
    """As the hub sees it: whether there is such a miner, only its owner's acceptance tells."""

    miner = serializers.UUIDField(source="miner_id", read_only=True)

    class Meta:
        model = HubInvitation
        fields = ["id", "miner", "commission", "comment", "created_at"]
        read_only_fields = fields


class MinerInvitationSerializer(serializers.ModelSerializer[HubInvitation]):
    """As the miner's owner sees it."""

    hub = NamedSerializer(read_only=True)

    class Meta:
        model = HubInvitation
        fields = ["id", "hub", "commission", "comment", "created_at"]
        read_only_fields = fields


class MinerHubSerializer(serializers.ModelSerializer[HubClient]):
    """A hub that serves a miner, for the miner's owner; comments are the hub's notes."""

    hub = NamedSerializer(read_only=True)

    class Meta:
        model = HubClient
        fields = ["hub", "commission", "joined_at"]
        read_only_fields = fields


class HubAccrualSerializer(AccrualSerializer):
    """With the client that it was earned from: also one that has left since, for the books must add up."""

    client = reference(allow_null=True)

    class Meta(AccrualSerializer.Meta):
        fields = [*AccrualSerializer.Meta.fields, "client"]
        read_only_fields = fields


class HubFinanceSerializer(serializers.ModelSerializer[Accrual]):
    client = reference(help_text="The miner; also one that has left since, for the books must add up.")
    currency = serializers.CharField(source="coin", read_only=True)
    commission = serializers.DecimalField(
        source="amount", max_digits=24, decimal_places=8, read_only=True, help_text="What the hub earned, in coins."
    )
    earned = ReadCoinsField(
        help_text="What the client earned that day, in coins; null if nothing, or once it has left the hub."
    )

    class Meta:
        model = Accrual
        fields = ["day", "client", "currency", "commission", "earned"]
        read_only_fields = fields


class PoolSerializer(serializers.ModelSerializer[Entity]):
    class Meta:
        model = Pool
        fields = ["id", "name", "environment", "created_at"]
        read_only_fields = fields
