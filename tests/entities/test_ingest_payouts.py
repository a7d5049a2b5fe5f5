"""Payouts and wallets on their way in: where money went, and where it may go."""

from __future__ import annotations

import pytest

from entities.models import Payout, Wallet
from tests.entities.ingest_rows import MINER, ROWS, send
from tests.factories import MinerFactory


@pytest.fixture
def miner(account):
    return MinerFactory(account=account, name="m1")


def test_a_payout_without_an_address_went_to_the_wallets(account, miner):
    Wallet.objects.create(entity=miner, coin="BTC", address="tb1qnow")
    row = {name: value for name, value in ROWS["payouts"].items() if name != "address"}
    assert send("payouts", row).numbers == (1, 0, 0, 0)
    assert Payout.objects.get().address == "tb1qnow"
    Wallet.objects.update(address="tb1qlater")
    assert send("payouts", row).numbers == (0, 0, 1, 0)
    assert Payout.objects.get().address == "tb1qnow"


def test_a_payout_whose_address_nobody_knows_is_refused_and_makes_no_wallet(account, miner):
    row = {name: value for name, value in ROWS["payouts"].items() if name != "address"}
    assert send("payouts", row).said == [(1, "address")]
    assert not Wallet.objects.exists()


def test_a_past_payout_does_not_say_where_money_goes_next(account, miner):
    send("payouts", ROWS["payouts"])
    assert Wallet.objects.get(entity=miner, coin="BTC").address == ""


@pytest.mark.parametrize(
    ("coin", "address", "said"),
    [
        ("BTC", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5", "mistyped"),
        ("LTC", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "Bitcoin"),
        ("BTC", "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", "test network"),
    ],
)
def test_a_wallet_gets_no_address_that_can_t_be_paid(account, coin, address, said):
    sent = send("miners", {**MINER, "wallet_coin": coin, "wallet_address": address})
    assert sent.said == [(1, "wallet_address")]
    assert said in str(sent.errors[0])
    assert not Wallet.objects.exists()
