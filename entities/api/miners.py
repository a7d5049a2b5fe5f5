"""``/miners``: the miners in reach, and what they make and earn."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import QuerySet
from rest_framework import status
from rest_framework.exceptions import NotFound, PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from accounts.access_levels import Action
from accounts.models import Account
from entities.api.base import SEE, DetailView, EntityView, ListView
from entities.api.filters import EntityFilters
from entities.api.parts import require_own
from entities.api.rows import AccrualsView, PaymentsView, WorkersView
from entities.api.serializers import (
    BalanceListSerializer,
    EarnedListSerializer,
    HashrateSampleSerializer,
    MinerChangeSerializer,
    MinerCreatedSerializer,
    MinerCreationSerializer,
    MinerDetailSerializer,
    MinerSerializer,
    WalletSerializer,
)
from entities.api.stats import StatsView, summarize_work
from entities.balances import balances
from entities.miners import create_miner, update_miner
from entities.models import Entity, HashrateSample, Kind, Miner, Pool, Wallet, Worker
from entities.names import NameTaken

NAME_TAKEN = "Another miner of this account has this name."


class MinerList(ListView):
    """The miners in reach"""

    entity = Miner
    changes_slowly = True
    permission = {"GET": SEE, "POST": "settings:write"}
    serializer_class = MinerSerializer
    request_serializers = {"POST": MinerCreationSerializer}
    success = {"POST": status.HTTP_201_CREATED}
    filterset_class = EntityFilters

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        return MinerCreatedSerializer if self.request.method == "POST" else MinerSerializer

    def post(self, request: Request, environment: str) -> Response:
        """Make a miner with one wallet for BTC, which has no address yet."""
        self.require_all_miners()
        body = self.read_body()
        pool = self.find_pool(body)
        account = Account.objects.get(pk=self.grant.account_id)
        try:
            miner, wallet = create_miner(
                account, self.grant.environment, name=body["account_name"], pool=pool, actor=self.actor
            )
        except NameTaken:
            raise ValidationError({"account_name": [NAME_TAKEN]}) from None
        answer = self.get_serializer({"id": miner.pk, "name": miner.name, "wallets": [wallet.pk]})
        return Response(answer.data, status=status.HTTP_201_CREATED)

    def locate(self) -> None:
        if self.request.method == "POST":
            self.require_all_miners()

    def require_all_miners(self) -> None:
        """Raise PermissionDenied for a key that would not reach the miner that it makes."""
        if not self.grant.reaches_all(Kind.MINER, Action.ADMIN):
            raise PermissionDenied(
                "This key does not reach all miners for settings:write, so the new miner would be out of its own "
                "reach. Ask the account’s owner for a key on all miners."
            )

    def find_pool(self, body: dict[str, Any]) -> Entity | None:
        pool_id = body.get("pool")
        if pool_id is None:
            return None
        pool: Entity | None = self.reached(Pool, [pool_id], permission=SEE).first()
        if pool is None:
            raise ValidationError({"pool": ["There is no such pool that this key can see."]})
        return pool


class MinerDetail(DetailView):
    """One miner"""

    entity = Miner
    permission = {"GET": SEE, "PATCH": "settings:write"}
    serializer_class = MinerDetailSerializer
    request_serializers = {"PATCH": MinerChangeSerializer}

    def get_object(self) -> Any:
        miner = super().get_object()
        if self.request.method == "PATCH":
            require_own(miner, self.grant)
        return miner

    def patch(self, request: Request, environment: str, entity_id: str) -> Response:
        """Change a miner's name or minimum payout. Only keys of the account that owns it can."""
        miner = self.get_object()
        try:
            miner = update_miner(miner, actor=self.actor, **self.read_body())
        except NameTaken:
            raise ValidationError({"name": [NAME_TAKEN]}) from None
        except ObjectDoesNotExist:
            raise NotFound from None
        return Response(self.get_serializer(miner).data)


class MinerWorkers(WorkersView):
    """The workers of a miner"""

    entity = Miner

    def workers_of(self, entity: Any) -> QuerySet[Any]:
        return Worker.objects.filter(miner=entity)


class MinerWallets(ListView):
    """The wallets that a miner is paid to"""

    entity = Miner
    permission = "settings:read"
    serializer_class = WalletSerializer
    model = Wallet

    def get_rows(self) -> QuerySet[Any]:
        return Wallet.objects.filter(entity=self.get_object())


class MinerHashrate(ListView):
    """Hourly means, newest first."""

    entity = Miner
    permission = "hashrate:read"
    serializer_class = HashrateSampleSerializer
    model = HashrateSample
    ordering = ("-at",)

    def get_rows(self) -> QuerySet[Any]:
        return HashrateSample.objects.filter(miner=self.get_object())


class MinerStats(StatsView):
    """A miner's hashrate, and its workers by status"""

    entity = Miner

    def summarize(self, entity: Any) -> dict[str, Any]:
        return summarize_work([entity.pk], self.now)


class MinerBalance(EntityView):
    """What a miner is owed, coin by coin in alphabetical order"""

    entity = Miner
    permission = "balance:read"
    serializer_class = BalanceListSerializer

    def get(self, request: Request, environment: str, entity_id: str) -> Response:
        return Response(self.get_serializer({"data": balances(self.get_object())}).data)


class MinerEarned(EntityView):
    """What a miner ever earned, coin by coin in alphabetical order"""

    entity = Miner
    permission = "accruals:read"
    serializer_class = EarnedListSerializer

    def get(self, request: Request, environment: str, entity_id: str) -> Response:
        return Response(self.get_serializer({"data": balances(self.get_object())}).data)


class MinerAccruals(AccrualsView):
    """What a miner earned by day, newest first"""

    entity = Miner


class MinerPayments(PaymentsView):
    """A miner's daily rewards and its payouts, newest first"""

    entity = Miner
