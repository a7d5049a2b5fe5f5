"""Scope rows as values: parse, write, put into words, and check against what an account may name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q, QuerySet

from accounts.models import Account
from apikeys.models import KeyScope
from entities.models import Entity, Kind

KINDS = [kind.value for kind in Kind]
NOUNS = {"miner": ("miner", "miners"), "hub": ("hub", "hubs"), "pool": ("pool", "pools")}


class InvalidScope(ValueError):
    """A scope that can't be given; ``str()`` is what to tell the person, ``kind`` says which group."""

    def __init__(self, message: str, kind: str | None = None) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, order=True)
class Scope:
    """``action × kind × one entity``, or all of the kind, current and future (``entity_id`` None)."""

    action: str
    kind: str
    entity_id: UUID | None = None

    def __str__(self) -> str:
        if self.kind == KeyScope.ANY_KIND:
            return f"{self.action}:*"
        return f"{self.action}:{self.kind}s/{self.entity_id or '*'}"

    @classmethod
    def parse(cls, text: str) -> Scope:
        """Read ``read:miners/*``, ``*:hubs/0192…`` or ``*:*``. Raises InvalidScope."""
        action, _, target = text.partition(":")
        kinds, _, entity = target.partition("/")
        kind = kinds.removesuffix("s")
        if action in KeyScope.Action.values:
            if target == "*":
                return cls(action, KeyScope.ANY_KIND)
            if kind in KINDS and kinds == f"{kind}s" and entity:
                if entity == "*":
                    return cls(action, kind)
                try:
                    return cls(action, kind, UUID(entity))
                except ValueError:
                    pass
        raise InvalidScope(f"“{text[:80]}” is no scope. Write it like read:miners/* or *:hubs/<id>.")


def nameable(account: Account, environment: str) -> QuerySet[Entity]:
    """The entities that a key of ``account`` may name: its own, and the clients of its hubs."""
    own = Q(account=account, environment=environment)
    client = Q(
        kind=Kind.MINER, environment=environment, served_by__hub__account=account,
        served_by__hub__environment=environment,
    )  # fmt: skip
    return Entity.objects.filter(own | client).distinct()


def check(account: Account, environment: str, scopes: Iterable[Scope]) -> list[Scope]:
    """Return ``scopes`` without repetition, each of them one that ``account`` may give. Raises InvalidScope."""
    unique = sorted(set(scopes), key=str)
    if not unique:
        raise InvalidScope("Choose at least one miner, hub or pool, or all of a kind.")
    picked: dict[str, set[UUID]] = defaultdict(set)
    for scope in unique:
        if scope.entity_id is not None:
            picked[scope.kind].add(scope.entity_id)
    for kind, ids in picked.items():
        known = nameable(account, environment).filter(kind=kind, pk__in=ids).count()
        if known != len(ids):
            raise InvalidScope(
                f"{len(ids) - known} of the chosen {NOUNS[kind][1]} are not in this account and environment. "
                "Choose again.",
                kind,
            )
    owned = set(Entity.objects.of_account(account.pk, environment).order_by().values_list("kind", flat=True).distinct())
    for scope in unique:
        if scope.entity_id is None and scope.kind != KeyScope.ANY_KIND and scope.kind not in owned:
            raise InvalidScope(f"This account has no {NOUNS[scope.kind][1]} in this environment.", scope.kind)
    return unique


def describe(rows: Sequence[KeyScope]) -> str:
    """Scope rows in a line of words: ``All miners, current and future · 3 hubs``.

    Actions other than ``*`` are named: ``read all miners, current and future``.
    """
    everything: dict[str, list[str]] = defaultdict(list)
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for row in rows:
        if row.entity_id is None:
            everything[row.action].append(row.kind)
        else:
            counts[row.action, row.kind] += 1
    parts = []
    for action, kinds in sorted(everything.items()):
        named = KINDS if KeyScope.ANY_KIND in kinds else [kind for kind in KINDS if kind in kinds]
        parts.append(f"{_verb(action)}all {_join([NOUNS[kind][1] for kind in named])}, current and future")
    for kind in KINDS:
        for (action, row_kind), count in sorted(counts.items()):
            if row_kind == kind:
                parts.append(f"{_verb(action)}{count} {NOUNS[kind][count != 1]}")
    if not parts:
        return "Nothing"
    return " · ".join([parts[0][0].upper() + parts[0][1:], *parts[1:]])


def _verb(action: str) -> str:
    return "" if action == KeyScope.Action.ANY else f"{action} "


def _join(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
