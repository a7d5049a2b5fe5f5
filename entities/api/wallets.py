"""``/wallets``: where miners and hubs are paid."""

from __future__ import annotations

from django.core.exceptions import ObjectDoesNotExist
from rest_framework import status
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from entities.addresses import InvalidAddress
from entities.api.parts import PartView, require_own
from entities.api.serializers import AddressSerializer, WalletSerializer
from entities.models import Entity, Wallet
from entities.wallets import set_address


class WalletView(PartView):
    entity = Entity
    model = Wallet
    holder = "entity"
    id_parameter = "wallet_id"
    serializer_class = WalletSerializer


class WalletDetail(WalletView):
    """One wallet of a miner or hub"""

    permission = "settings:read"

    def get(self, request: Request, environment: str, wallet_id: str) -> Response:
        return Response(self.get_serializer(self.get_object()).data)


class WalletAddresses(WalletView):
    """The addresses of a wallet"""

    permission = {"POST": "settings:write"}
    request_serializers = {"POST": AddressSerializer}
    success = {"POST": status.HTTP_201_CREATED}

    def get_object(self) -> Wallet:
        wallet: Wallet = super().get_object()
        require_own(wallet.entity, self.grant)
        return wallet

    def post(self, request: Request, environment: str, wallet_id: str) -> Response:
        """Send payouts to another address from now on.

        Only keys of the account that owns the wallet can. Past payouts keep theirs.
        """
        wallet = self.get_object()
        try:
            wallet = set_address(wallet, self.read_body()["address"], actor=self.actor)
        except InvalidAddress as error:
            raise ValidationError({"address": [str(error)]}) from None
        except ObjectDoesNotExist:
            raise NotFound from None
        return Response(self.get_serializer(wallet).data, status=status.HTTP_201_CREATED)
