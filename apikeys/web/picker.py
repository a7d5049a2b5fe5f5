"""The entity picker: one group for each kind that the account has, "all, current and future" or picked by hand.

A group shows what is picked and the first matches of its search, never 20,000 boxes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from django.db.models import BooleanField, Count, ExpressionWrapper, Q, QuerySet
from django.utils.functional import cached_property

from accounts.environments import Environment
from apikeys import scopes
from apikeys.models import KeyScope
from apikeys.scopes import InvalidScope, Scope
from entities.models import Entity

if TYPE_CHECKING:
    from apikeys.web.forms import CreateKeyForm

SHOWN = 60
SIZES = {
    "miner": Count("workers", distinct=True),
    "hub": Count("clients", distinct=True),
    "pool": Count("mining_on", filter=Q(mining_on__kind="miner"), distinct=True),
}
ORDER = ("-is_own", "name", "pk")


class EntityPicker:
    """The boxes of one kind in `CreateKeyForm`: fields ``miners_all``, ``miners`` and ``find_miners``."""

    def __init__(self, form: CreateKeyForm, kind: str) -> None:
        self.form = form
        self.kind = kind
        self.noun, self.plural = scopes.NOUNS[kind]
        self.all_name = f"{self.plural}_all"
        self.find_name = f"find_{self.plural}"

    @cached_property
    def is_all(self) -> bool:
        return self.form.values(self.all_name) == ["on"]

    @cached_property
    def picked(self) -> list[UUID]:
        """The ids picked by hand; what is no id is left out here and refused by scopes()."""
        result = []
        for text in self.form.values(self.plural):
            try:
                result.append(UUID(text))
            except ValueError:
                continue
        return result

    @cached_property
    def search(self) -> str:
        return " ".join(self.form.values(self.find_name)).replace("\x00", "").strip()[:100]

    @cached_property
    def total(self) -> int:
        """How many can be picked: a kind that there is none of is not offered."""
        return self._candidates().count()

    @cached_property
    def owned(self) -> int:
        """How many the account owns: what "all" means today. Clients of its hubs are not among them."""
        return Entity.objects.of_account(self.form.account.pk, self.environment).filter(kind=self.kind).count()

    @property
    def environment(self) -> str:
        chosen = self.form.value("environment")
        return chosen if chosen in Environment.values else Environment.PRODUCTION.value

    @cached_property
    def options(self) -> list[Entity]:
        """What is picked first, then the first matches of the search."""
        candidates = self._candidates()
        picked = list(candidates.filter(pk__in=self.picked).order_by(*ORDER)) if self.picked else []
        matches = candidates.filter(name__icontains=self.search) if self.search else candidates
        others = matches.exclude(pk__in=self.picked).order_by(*ORDER)[:SHOWN]
        return [*picked, *others]

    @cached_property
    def matching(self) -> int:
        candidates = self._candidates()
        return candidates.filter(name__icontains=self.search).count() if self.search else self.total

    @property
    def hidden(self) -> int:
        """How many more there are than the page shows."""
        return max(0, self.matching - SHOWN)

    def scopes(self) -> list[Scope]:
        """The scope rows of this group. The rule "all" wins over picks. Raises InvalidScope."""
        if self.is_all:
            return [Scope(KeyScope.Action.ANY.value, self.kind)]
        if len(self.picked) != len(self.form.values(self.plural)):
            raise InvalidScope(f"One of the chosen {self.plural} has no valid id. Choose again.", self.kind)
        return [Scope(KeyScope.Action.ANY.value, self.kind, pk) for pk in self.picked]

    def _candidates(self) -> QuerySet[Entity]:
        """What may be picked, with ``size``: a miner's workers, a hub's clients, a pool's miners."""
        is_own = ExpressionWrapper(Q(account=self.form.account), output_field=BooleanField())
        return (
            scopes.nameable(self.form.account, self.environment)
            .filter(kind=self.kind)
            .annotate(size=SIZES[self.kind], is_own=is_own)
        )
