"""What a key was used for in the last day: what an operation on it may break."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from apikeys import usage
from apikeys.models import ApiKey
from apikeys.usage import RouteUse

SHOWN = 8


@dataclass(frozen=True)
class LastDay:
    routes: Sequence[RouteUse]
    addresses: Sequence[str]

    @classmethod
    def of(cls, key: ApiKey) -> LastDay:
        since = timezone.now() - timedelta(days=1)
        return cls(usage.routes_since(key, since), usage.addresses_since(key, since))

    @property
    def requests(self) -> int:
        return sum(route.requests for route in self.routes)

    @property
    def routes_shown(self) -> Sequence[RouteUse]:
        return self.routes[:SHOWN]

    @property
    def more_routes(self) -> int:
        return max(0, len(self.routes) - SHOWN)

    @property
    def addresses_shown(self) -> Sequence[str]:
        return self.addresses[:SHOWN]

    @property
    def more_addresses(self) -> int:
        return max(0, len(self.addresses) - SHOWN)
