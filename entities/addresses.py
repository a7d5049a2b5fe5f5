"""Payout addresses: is this one well-formed, and whose money does it take?

Checksums are those of base58check, of bech32 and bech32m (BIP 173, BIP 350) and of CashAddr. Version bytes and prefixes
are the ones in each coin's own ``chainparams.cpp``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from embit import base58, bech32

COINS = {"BTC": "Bitcoin", "LTC": "Litecoin", "DOGE": "Dogecoin", "BCH": "Bitcoin Cash"}

MISTYPED = "The checksum does not fit: a character is mistyped or missing."


class InvalidAddress(ValueError):
    """An address that no payout may go to; ``str()`` is what to tell its owner."""


@dataclass(frozen=True)
class Network:
    """How a coin writes addresses on its main network or a test network."""

    coin: str
    is_test: bool
    versions: frozenset[int]  # base58check: public key hashes and script hashes
    segwit: str | None = None  # what bech32 addresses begin with
    cashaddr: str | None = None


def _network(
    coin: str, versions: Iterable[int], *, is_test: bool = False, segwit: str | None = None, cashaddr: str | None = None
) -> Network:
    return Network(coin, is_test, frozenset(versions), segwit, cashaddr)


NETWORKS = (
    _network("BTC", [0x00, 0x05], segwit="bc"),
    _network("BTC", [0x6F, 0xC4], segwit="tb", is_test=True),
    _network("BTC", [0x6F, 0xC4], segwit="bcrt", is_test=True),
    # Script hashes in their own form (M…) alone: the old one (3…) can't be told from Bitcoin's.
    _network("LTC", [0x30, 0x32], segwit="ltc"),
    _network("LTC", [0x6F, 0x3A], segwit="tltc", is_test=True),
    _network("LTC", [0x6F, 0x3A], segwit="rltc", is_test=True),
    _network("DOGE", [0x1E, 0x16]),
    _network("DOGE", [0x71, 0xC4], is_test=True),
    # Its old form is Bitcoin's; the same key owns both.
    _network("BCH", [0x00, 0x05], cashaddr="bitcoincash"),
    _network("BCH", [0x6F, 0xC4], cashaddr="bchtest", is_test=True),
    _network("BCH", [0x6F, 0xC4], cashaddr="bchreg", is_test=True),
)


def check_address(text: str, coin: str, *, test_networks: bool = False) -> str:
    """Return the address ``text`` as it is to be stored, once its checksum, coin and network fit.

    ``coin`` is a ticker. ``test_networks``: also those of the coin's test networks, where coins are worth nothing.
    Raises InvalidAddress.
    """
    if coin not in COINS:
        raise InvalidAddress(f"Addresses of {coin} can’t be checked here, so none is taken. Ask the pool’s support.")
    address, networks = _read(text)
    own = [network for network in networks if network.coin == coin]
    if not own:
        others = {COINS[network.coin]: None for network in networks}
        raise InvalidAddress(f"This is an address of {' or '.join(others)}; this wallet is for {COINS[coin]}.")
    if not test_networks and all(network.is_test for network in own):
        raise InvalidAddress(f"This is an address of {COINS[coin]}’s test network, where coins are worth nothing.")
    return address


def _read(text: str) -> tuple[str, list[Network]]:
    """Return the address in its canonical form and the networks that it can be of: one at least."""
    start = text.lower()
    for prefix in {network.segwit for network in NETWORKS if network.segwit}:
        if start.startswith(f"{prefix}1"):
            return _read_segwit(text, prefix)
    if ":" in text or len(text) == _CASHADDR_LENGTH:
        return _read_cashaddr(text)
    return _read_base58(text)


def _read_segwit(text: str, prefix: str) -> tuple[str, list[Network]]:
    if bech32.bech32_decode(text)[0] is None:
        raise InvalidAddress(MISTYPED if text in (text.lower(), text.upper()) else "Write it in small letters alone.")
    version, program = bech32.decode(prefix, text)
    # Whatever else the checksum covers, nobody owns it yet: anyone could spend what is sent to a version to come.
    if version is None or (version, len(program)) not in ((0, 20), (0, 32), (1, 32)):
        raise InvalidAddress("The checksum fits, but nobody can own an address of this kind.")
    return text.lower(), [network for network in NETWORKS if network.segwit == prefix]


def _read_base58(text: str) -> tuple[str, list[Network]]:
    try:
        payload = base58.decode_check(text)
    except ValueError:
        raise InvalidAddress(MISTYPED) from None
    networks = [network for network in NETWORKS if payload and payload[0] in network.versions]
    if len(payload) != 21 or not networks or base58.encode_check(payload) != text:
        raise InvalidAddress(f"The checksum fits, but this is no address of {_listed(COINS.values())}.")
    return text, networks


# CashAddr: Bitcoin Cash's own checksum, which bech32's decoder does not know.
# https://github.com/bitcoincashorg/bitcoincash.org/blob/master/spec/cashaddr.md
_GENERATOR = (0x98F2BC8E61, 0x79B76D99E2, 0xF33E5FB3C4, 0xAE2EABE2A8, 0x1E4F43E470)
_CHECKSUM_LENGTH = 8
#: Without the prefix, which may be left out. No other address is as long, but for segwit ones.
_CASHADDR_LENGTH = 42
#: The version byte before 20 bytes of hash: of a public key, of a script.
_HASHES_OF_20_BYTES = (0x00, 0x08)


def _read_cashaddr(text: str) -> tuple[str, list[Network]]:
    if text not in (text.lower(), text.upper()):
        raise InvalidAddress(MISTYPED)
    prefix, colon, body = text.lower().rpartition(":")
    values = [bech32.CHARSET.find(letter) for letter in body]
    if -1 in values or len(values) <= _CHECKSUM_LENGTH:
        raise InvalidAddress(MISTYPED)
    for network in NETWORKS:
        if network.cashaddr and network.cashaddr == (prefix if colon else network.cashaddr):
            expanded = [ord(letter) & 31 for letter in network.cashaddr]
            if _cashaddr_checksum([*expanded, 0, *values]) == 0:
                _require_hash(values[:-_CHECKSUM_LENGTH])
                return f"{network.cashaddr}:{body}", [network]
    raise InvalidAddress(MISTYPED)


def _require_hash(values: Sequence[int]) -> None:
    payload = bech32.convertbits(values, 5, 8, False)
    if payload is None or len(payload) != 21 or payload[0] not in _HASHES_OF_20_BYTES:
        raise InvalidAddress("The checksum fits, but no payout goes to an address of this kind.")


def _cashaddr_checksum(values: Iterable[int]) -> int:
    """0 where it fits."""
    check = 1
    for value in values:
        top = check >> 35
        check = (check & 0x07FFFFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATOR):
            if top >> bit & 1:
                check ^= generator
    return check ^ 1


def _listed(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}"
