"""Payout addresses: well-formed, and of Bitcoin's test network, so that nobody can send money to one."""

from __future__ import annotations

from collections.abc import Iterable

CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
PREFIX = "tb"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def address(key_hash: bytes) -> str:
    """The pay-to-witness-public-key-hash address of 20 bytes, in bech32 (BIP 173)."""
    if len(key_hash) != 20:
        raise ValueError("A public key's hash has 20 bytes.")
    number = int.from_bytes(key_hash, "big")
    data = [0, *((number >> shift) & 31 for shift in range(155, -1, -5))]
    expanded = [*(ord(letter) >> 5 for letter in PREFIX), 0, *(ord(letter) & 31 for letter in PREFIX)]
    check = _polymod([*expanded, *data, 0, 0, 0, 0, 0, 0]) ^ 1
    data += [(check >> shift) & 31 for shift in range(25, -1, -5)]
    return f"{PREFIX}1" + "".join(CHARSET[value] for value in data)


def _polymod(values: Iterable[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATOR):
            if top >> bit & 1:
                check ^= generator
    return check
