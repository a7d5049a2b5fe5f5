"""Idempotency-Key: a request that is sent again makes nothing, and shows no secret.

By draft-ietf-httpapi-idempotency-key-header-07. What is kept is which key the first one made, never an answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from django.utils import timezone

from apikeys.models import ApiKey, IdempotentRequest

HEADER = "Idempotency-Key"
#: For how long a repetition is known.
MEMORY = timedelta(days=7)

#: A structured field's string (RFC 9651), as the draft has it, or the same without its quotes, as most clients send it.
_VALUE = re.compile(r'"([!#-\[\]-~]{1,255})"|([!#-\[\]-~]{1,255})')


class Malformed(ValueError):
    """The header is no key."""


class Reused(Exception):
    """The same caller used the same Idempotency-Key for another request before."""


@dataclass(frozen=True)
class Asked:
    """One request, as it is told from others. ``digest`` is the caller's and the header's."""

    account_id: UUID
    digest: str
    request: str

    @classmethod
    def of(cls, account_id: UUID, caller: str, header: str, *, path: str, body: Mapping[str, Any]) -> Asked:
        """``caller`` names who asks within the account. Raises Malformed."""
        match = _VALUE.fullmatch(header)
        if match is None:
            raise Malformed("1 to 255 printable ASCII characters without spaces, such as a UUID.")
        return cls(
            account_id=account_id,
            digest=_digest([caller, match[1] or match[2]]),
            request=_digest([path, body]),
        )

    def find_earlier(self) -> ApiKey | None:
        """The key of which this very request got a secret before. Raises Reused."""
        row = IdempotentRequest.objects.filter(
            account=self.account_id, digest=self.digest, at__gt=timezone.now() - MEMORY
        ).first()
        if row is None:
            return None
        if row.request != self.request:
            raise Reused
        return ApiKey.objects.get(pk=row.key_id)

    def remember(self, key: ApiKey) -> None:
        """Note that this request got a secret of ``key``. In the transaction that makes it, which holds the account."""
        IdempotentRequest.objects.filter(account=self.account_id, at__lte=timezone.now() - MEMORY).delete()
        IdempotentRequest.objects.create(account_id=self.account_id, digest=self.digest, request=self.request, key=key)


def _digest(value: Any) -> str:
    return sha256(json.dumps(value, sort_keys=True, default=str).encode("utf-8", "backslashreplace")).hexdigest()
