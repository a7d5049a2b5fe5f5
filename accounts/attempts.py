"""How often something was tried lately, counted in the shared cache: fixed windows, and a count per process without it.

For courtesy limits on pages. What decides about codes and passwords is counted in the database.
"""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import dataclass
from datetime import timedelta

from django.core.cache import cache
from django.core.cache.backends.locmem import LocMemCache

logger = logging.getLogger(__name__)

_fallback = LocMemCache("attempts", {})


@dataclass(frozen=True)
class Limit:
    """At most ``most`` attempts in ``window`` by one ``who``."""

    name: str
    most: int
    window: timedelta

    def allow(self, who: str) -> bool:
        """Count one attempt of ``who`` and return whether it is within the limit."""
        seconds = int(self.window.total_seconds())
        # Hashed: addresses and e-mails are nobody's business in a cache.
        name = hashlib.sha256(who.encode()).hexdigest()
        key = f"attempts:{self.name}:{name}:{int(time.time()) // seconds}"
        for store in (cache, _fallback):
            try:
                store.add(key, 0, timeout=seconds)
                return store.incr(key) <= self.most
            except ValueError:  # it ran out between the two calls
                return True
            except Exception as error:  # whatever the cache's client raises: the count goes on in this process
                logger.warning("The shared cache does not count attempts: %s", type(error).__name__)
        return True


RESETS_PER_EMAIL = Limit("reset-email", 3, timedelta(hours=1))
RESETS_PER_ADDRESS = Limit("reset-address", 20, timedelta(hours=1))
