"""What an entity is owed: earned less paid, coin by coin."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Sum

from entities.models import Entity


@dataclass(frozen=True)
class Balance:
    """Amounts in whole coins."""

    coin: str
    accrued: Decimal
    paid: Decimal

    @property
    def balance(self) -> Decimal:
        return self.accrued - self.paid


def balances(entity: Entity) -> list[Balance]:
    """Return the balance of every coin that ``entity`` earned, was paid or has a wallet for, by coin; three queries."""
    accrued = dict(entity.accruals.order_by().values_list("coin").annotate(Sum("amount")))
    paid = dict(entity.payouts.order_by().values_list("coin").annotate(Sum("amount")))
    wallets = entity.wallets.values_list("coin", flat=True)
    return [
        Balance(coin, accrued.get(coin, Decimal(0)), paid.get(coin, Decimal(0)))
        for coin in sorted({*accrued, *paid, *wallets})
    ]
