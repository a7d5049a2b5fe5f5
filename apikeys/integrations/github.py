"""GitHub's secret scanning tells us of keys that it found in repositories.

https://docs.github.com/en/code-security/secret-scanning/secret-scanning-partner-program
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import logging
import time
from dataclasses import dataclass, field
from http.client import HTTPException
from threading import Lock
from typing import Any
from urllib.request import Request, urlopen

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key
from django.conf import settings

from accounts.audit import Actor
from apikeys import leaks, registered

logger = logging.getLogger(__name__)

SOURCE = "GitHub secret scanning"
MAX_BODY = 1_000_000
MAX_ITEMS = 1_000
#: Keys are asked for anew after a day, and sooner for an identifier that is not among them.
FRESH_SECONDS = 86_400.0
RETRY_SECONDS = 60.0
FETCH_TIMEOUT = 5.0
MAX_KEYS_BYTES = 200_000


class KeysUnavailable(Exception):
    """GitHub's public keys can't be had just now, and the one that is asked for is not known from before."""


class BadReport(ValueError):
    """The body is no list of findings; ``str()`` says what would be right."""


@dataclass
class PublicKeys:
    """GitHub's public keys by identifier, fetched on demand. What was fetched once stays good while GitHub is gone."""

    _keys: dict[str, ec.EllipticCurvePublicKey] = field(default_factory=dict)
    _fetched_at: float = float("-inf")
    _tried_at: float = float("-inf")
    _lock: Lock = field(default_factory=Lock)

    def get(self, identifier: str) -> ec.EllipticCurvePublicKey | None:
        """Return the key of that identifier, None where GitHub has none. Raises KeysUnavailable."""
        with self._lock:
            now = time.monotonic()
            stale = now - self._fetched_at > FRESH_SECONDS
            if (stale or identifier not in self._keys) and now - self._tried_at > RETRY_SECONDS:
                self._tried_at = now
                try:
                    self._keys = _fetch(settings.PITHEAD_GITHUB_KEYS_URL)
                    self._fetched_at = now
                except (OSError, HTTPException, ValueError, LookupError, TypeError, AttributeError) as error:
                    logger.warning("GitHub's public keys could not be fetched: %s", type(error).__name__)
            failed = self._tried_at > self._fetched_at  # so an identifier that is not among them may be a new one
            if not self._keys or (failed and identifier not in self._keys):
                raise KeysUnavailable
            return self._keys.get(identifier)

    def start_anew(self) -> None:
        with self._lock:
            self._keys, self._fetched_at, self._tried_at = {}, float("-inf"), float("-inf")


public_keys = PublicKeys()


def _fetch(url: str) -> dict[str, ec.EllipticCurvePublicKey]:
    # The address is a setting: https in production, http on the machine itself for tests.
    request = Request(url, headers={"Accept": "application/json", "User-Agent": "Pithead"})  # noqa: S310
    with urlopen(request, timeout=FETCH_TIMEOUT) as answer:  # noqa: S310
        data = json.loads(answer.read(MAX_KEYS_BYTES))
    found = {}
    for row in data["public_keys"]:
        if (key := read_public_key(row["key"])) is not None:
            found[str(row["key_identifier"])] = key
    if not found:
        raise LookupError("There is no P-256 key among them.")  # those from before stay good
    return found


def read_public_key(text: str) -> ec.EllipticCurvePublicKey | None:
    """Read a P-256 key in PEM, or in base64 of its DER (SPKI); None for anything else."""
    try:
        if text.lstrip().startswith("-----BEGIN"):
            key = load_pem_public_key(text.encode())
        else:
            key = load_der_public_key(base64.b64decode(text, validate=True))
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1) else None


def is_signed(body: bytes, identifier: str, signature: str) -> bool:
    """Whether GitHub signed ``body``: ECDSA P-256 over SHA-256 of the raw bytes, in base64 of DER.

    Raises KeysUnavailable.
    """
    key = public_keys.get(identifier)
    return key is not None and verify(key, body, signature)


def verify(key: ec.EllipticCurvePublicKey, body: bytes, signature: str) -> bool:
    try:
        key.verify(base64.b64decode(signature, validate=True), body, ec.ECDSA(SHA256()))
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def take(body: bytes, *, address: str | None) -> list[dict[str, str]]:
    """Hand in what a signed ``body`` reports, and answer each finding as GitHub asks.

    One bad item doesn't lose the rest; an item that is none of ours is a false positive. The same report twice gets
    the same answer, and stops nothing twice. Raises BadReport, and registered.Busy once the rest is handed in.
    """
    try:
        items = json.loads(body)
    except (ValueError, RecursionError):
        raise BadReport("The body is no JSON.") from None
    if not isinstance(items, list) or len(items) > MAX_ITEMS:
        raise BadReport(f'Send a list of at most {MAX_ITEMS} items: [{{"token": …, "type": …, "url": …}}].')
    answers, busy = [], False
    for item in items:
        token = item.get("token") if isinstance(item, dict) else None
        if isinstance(token, str):
            try:
                answers.append(_answer(token, item, address))
            except registered.Busy:
                busy = True
    if busy:
        raise registered.Busy
    return answers


def _answer(token: str, item: dict[str, Any], address: str | None) -> dict[str, str]:
    actor = Actor(name=SOURCE, via="leak", address=address)
    url = item.get("url")
    hits = leaks.hand_in(token, actor=actor, source=SOURCE, url=url if isinstance(url, str) else "", whole=True)
    return {
        "token_hash": hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest(),
        "token_type": str(item.get("type", "")),
        "label": "true_positive" if any(hit.text == token for hit in hits) else "false_positive",
    }
