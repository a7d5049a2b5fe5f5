"""Payout addresses: well-formed, and of Bitcoin's test network, so that nobody can send money to one."""

from __future__ import annotations

from embit import bech32

PREFIX = "tb"


def address(key_hash: bytes) -> str:
    """The pay-to-witness-public-key-hash address of 20 bytes, in bech32 (BIP 173)."""
    if len(key_hash) != 20:
        raise ValueError("A public key's hash has 20 bytes.")
    encoded: str = bech32.encode(PREFIX, 0, key_hash)
    return encoded
