"""Payout addresses: what is taken, and what each refusal says."""

from __future__ import annotations

import string

import pytest
from embit import base58, bech32
from hypothesis import given
from hypothesis import strategies as st

from entities.addresses import COINS, InvalidAddress, check_address

# From each coin's documentation: BIP 173, BIP 350, the CashAddr specification, and old well-known addresses.
MAIN = {
    "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2": "BTC",
    "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy": "BTC",
    "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4": "BTC",
    "bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3": "BTC",
    "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0": "BTC",
    base58.encode_check(b"\x30" + bytes(range(20))): "LTC",
    base58.encode_check(b"\x32" + bytes(range(20))): "LTC",
    bech32.encode("ltc", 0, bytes(range(20))): "LTC",
    base58.encode_check(b"\x1e" + bytes(range(20))): "DOGE",
    base58.encode_check(b"\x16" + bytes(range(20))): "DOGE",
    "bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a": "BCH",
    "bitcoincash:ppm2qsznhks23z7629mms6s4cwef74vcwvn0h829pq": "BCH",
    "1BpEi6DfDAUFd7GtittLSdBeYJvcoaVggu": "BCH",
}
TEST = {
    "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx": "BTC",
    "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn": "BTC",
    bech32.encode("bcrt", 1, bytes(range(32))): "BTC",
    bech32.encode("tltc", 0, bytes(range(20))): "LTC",
    base58.encode_check(b"\x71" + bytes(range(20))): "DOGE",
}
ALL = {**MAIN, **TEST}
hashes = st.binary(min_size=20, max_size=20)


def refusal(text: str, coin: str, *, test_networks: bool = False) -> str:
    with pytest.raises(InvalidAddress) as caught:
        check_address(text, coin, test_networks=test_networks)
    return str(caught.value)


@pytest.mark.parametrize(("text", "coin"), MAIN.items())
def test_addresses_of_every_form_are_taken(text, coin):
    assert check_address(text, coin) == text


@pytest.mark.parametrize(("text", "coin"), TEST.items())
def test_test_networks_are_taken_only_where_they_may_be(text, coin):
    assert check_address(text, coin, test_networks=True) == text
    assert "test network" in refusal(text, coin)


@pytest.mark.parametrize(("text", "coin"), ALL.items())
def test_an_address_of_another_coin_is_named(text, coin):
    for other in COINS:
        if {coin, other} <= {"BTC", "BCH"} and text[0] in "13m2":
            assert check_address(text, other, test_networks=True) == text  # the old form is the same
        elif other != coin and not (text[0] in "mn2" and other != "DOGE"):
            sentence = refusal(text, other, test_networks=True)
            assert sentence.startswith("This is an address of ")
            assert COINS[coin] in sentence.split(";")[0]
            assert sentence.endswith(f"this wallet is for {COINS[other]}.")


def test_capitals_of_a_bech32_address_are_written_small():
    text = "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4"
    assert check_address(text, "BTC") == text.lower()


def test_a_cash_address_may_leave_its_prefix_out():
    body = "qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a"
    assert check_address(body, "BCH") == check_address(body.upper(), "BCH") == f"bitcoincash:{body}"
    assert "Bitcoin Cash" in refusal(body, "BTC")


@pytest.mark.parametrize(
    "text",
    [
        # BIP 350's invalid ones: version 0 under bech32m, version 1 under bech32, a program that is too long or short.
        "bc1q0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v8n0nx0muaewav253zgeav",
        "bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4",
        "BC1S0XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ54WELL",
        "bc1qr508d6qejxtdg4y5r3zarvaryvqyzf3du",
        "BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R",
        "bc1pw5dgrnzv",
        "bc1gmk9yu",
        "bc1",
        "bc1pfeessrawgf",  # pay-to-anchor: anybody may spend it
        bech32.encode("bc", 2, bytes(32)),  # a version that means nothing yet
    ],
)
def test_segwit_addresses_that_nobody_owns_are_refused(text):
    assert "checksum" in refusal(text, "BTC")


@pytest.mark.parametrize("text", ["", " ", ":", "bitcoincash:", "bc1 q", "é" * 40, "1" * 34, "0" * 34, "x" * 120, "\0"])
def test_what_is_no_address_is_refused(text):
    for coin in COINS:
        assert "checksum" in refusal(text, coin)


def test_a_key_is_no_address():
    wif = base58.encode_check(b"\x80" + bytes(range(32)))
    sentence = refusal(wif, "BTC")
    assert "no address" in sentence
    assert wif not in sentence


def test_litecoins_old_script_hashes_are_taken_for_bitcoin_alone():
    old_form = base58.encode_check(b"\x05" + bytes(range(20)))
    assert check_address(old_form, "BTC") == old_form
    assert "Bitcoin" in refusal(old_form, "LTC")


def test_a_coin_that_cannot_be_checked_takes_no_address():
    assert "XMR" in refusal("1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "XMR")


@given(st.sampled_from(sorted(ALL)), st.data())
def test_one_changed_character_is_never_taken(text, data):
    place = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from([each for each in string.printable if each != text[place]]))
    changed = text[:place] + letter + text[place + 1 :]
    for coin in COINS:
        with pytest.raises(InvalidAddress):
            check_address(changed, coin, test_networks=True)


@given(st.sampled_from(sorted(ALL)), st.data())
def test_two_swapped_or_one_missing_character_are_never_taken(text, data):
    place = data.draw(st.integers(0, len(text) - 2))
    swapped = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    for changed in {swapped, text[:place] + text[place + 1 :]} - {text}:
        if changed == text.partition(":")[2]:
            continue
        for coin in COINS:
            with pytest.raises(InvalidAddress):
                check_address(changed, coin, test_networks=True)


@given(hashes)
def test_every_hash_has_an_address_in_every_form(key_hash):
    for version, coin in [(0x00, "BTC"), (0x05, "BTC"), (0x30, "LTC"), (0x32, "LTC"), (0x1E, "DOGE"), (0x16, "DOGE")]:
        text = base58.encode_check(bytes([version]) + key_hash)
        assert check_address(text, coin) == text
    for prefix, coin in [("bc", "BTC"), ("ltc", "LTC")]:
        text = bech32.encode(prefix, 0, key_hash)
        assert check_address(text, coin) == check_address(text.upper(), coin) == text


@given(st.text(max_size=120), st.sampled_from(sorted(COINS)))
def test_chance_text_is_refused_and_crashes_nothing(text, coin):
    refusal(text, coin, test_networks=True)


@given(st.sampled_from(["bc1", "ltc1", "bitcoincash:", "bchtest:", ""]), st.text(bech32.CHARSET, max_size=90))
def test_chance_letters_behind_a_right_prefix_are_refused_and_crash_nothing(prefix, letters):
    for coin in COINS:
        refusal(prefix + letters, coin, test_networks=True)
