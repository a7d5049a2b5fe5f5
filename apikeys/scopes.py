"""Scope rows as values: parse, write, put into words, and check against what an account may name."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, ngettext_lazy, pgettext_lazy

from accounts.models import Account
from accounts.wording import join_and
from apikeys.models import ApiKey, KeyScope
from entities.models import Entity, HubClient, Kind

KINDS = [kind.value for kind in Kind]
NOUNS = {"miner": ("miner", "miners"), "hub": ("hub", "hubs"), "pool": ("pool", "pools")}
#: In a list of what a scope reaches, in "none of the …", and counted.
_ALL = {
    "miner": pgettext_lazy("in: all …, current and future", "miners"),
    "hub": pgettext_lazy("in: all …, current and future", "hubs"),
    "pool": pgettext_lazy("in: all …, current and future", "pools"),
}
_NONE_OF = {
    "miner": pgettext_lazy("in: this account has no …", "miners"),
    "hub": pgettext_lazy("in: this account has no …", "hubs"),
    "pool": pgettext_lazy("in: this account has no …", "pools"),
}
_COUNTED = {
    "miner": ngettext_lazy("%(count)d miner", "%(count)d miners", "count"),
    "hub": ngettext_lazy("%(count)d hub", "%(count)d hubs", "count"),
    "pool": ngettext_lazy("%(count)d pool", "%(count)d pools", "count"),
}


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
        action, _colon, target = text.partition(":")
        kinds, _slash, entity = target.partition("/")
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
        raise InvalidScope(
            _("“%(text)s” is no scope. Write it like read:miners/* or *:hubs/<id>.") % {"text": text[:80]}
        )


def nameable(account: Account, environment: str) -> QuerySet[Entity]:
    """The entities that a key of ``account`` may name: its own, and the clients of its hubs."""
    own = Q(account=account, environment=environment)
    clients = clients_of_hubs(account, environment).order_by().values("pk")
    return Entity.objects.filter(own | Q(pk__in=clients))


def clients_of_hubs(account: Account, environment: str) -> QuerySet[Entity]:
    """The miners, most of them other accounts', that are clients of the account's hubs."""
    served = HubClient.objects.filter(hub__account=account, hub__environment=environment)
    return Entity.objects.filter(kind=Kind.MINER, environment=environment, pk__in=served.values("miner"))


def check(account: Account, environment: str, scopes: Iterable[Scope]) -> list[Scope]:
    """Return ``scopes`` without repetition, each of them one that ``account`` may give. Raises InvalidScope."""
    unique = sorted(set(scopes), key=str)
    if not unique:
        raise InvalidScope(_("Choose at least one miner, hub or pool, or all of a kind."))
    picked: dict[str, set[UUID]] = defaultdict(set)
    for scope in unique:
        if scope.entity_id is not None:
            picked[scope.kind].add(scope.entity_id)
    for kind, ids in picked.items():
        known = nameable(account, environment).filter(kind=kind, pk__in=ids).count()
        if known != len(ids):
            raise InvalidScope(
                ngettext(
                    "%(count)d of the chosen %(kind)s is not in this account and environment. Choose again.",
                    "%(count)d of the chosen %(kind)s are not in this account and environment. Choose again.",
                    len(ids) - known,
                )
                % {"count": len(ids) - known, "kind": _NONE_OF[kind]},
                kind,
            )
    owned = set(Entity.objects.of_account(account.pk, environment).order_by().values_list("kind", flat=True).distinct())
    for scope in unique:
        if scope.entity_id is None and scope.kind != KeyScope.ANY_KIND and scope.kind not in owned:
            raise InvalidScope(
                _("This account has no %(kind)s in this environment.") % {"kind": _NONE_OF[scope.kind]}, scope.kind
            )
    return unique


def describe(rows: Iterable[KeyScope | Scope]) -> str:
    """Scope rows in a line of words: ``All miners, current and future · 3 hubs``.

    Actions other than ``*`` are named: ``read all miners, current and future``.
    """
    return _in_words(Counter((row.action, row.kind, row.entity_id is None) for row in rows))


def describe_keys(keys: Iterable[ApiKey]) -> dict[UUID, str]:
    """Put what each of ``keys`` reaches into words as describe() does, by the key's primary key.

    One query, which counts in the database: a key may pick ten thousand entities.
    """
    counted: dict[UUID, dict[tuple[str, str, bool], int]] = {key.pk: {} for key in keys}
    rows = (
        KeyScope.objects.filter(key__in=list(counted))
        .values_list("key_id", "action", "kind")
        .annotate(rows=Count("pk"), picked=Count("entity"))
    )
    for pk, action, kind, total, picked in rows:
        counted[pk] |= {(action, kind, True): total - picked, (action, kind, False): picked}
    return {pk: _in_words(counts) for pk, counts in counted.items()}


def _in_words(rows: Mapping[tuple[str, str, bool], int]) -> str:
    """``rows`` are counted by action, kind, and whether they mean all of the kind."""
    everything: dict[str, list[str]] = defaultdict(list)
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for (action, kind, is_all), number in rows.items():
        if number and is_all:
            everything[action].append(kind)
        elif number:
            counts[action, kind] += number
    parts = []
    for action, kinds in sorted(everything.items()):
        named = KINDS if KeyScope.ANY_KIND in kinds else [kind for kind in KINDS if kind in kinds]
        words = _("all %(kinds)s, current and future") % {"kinds": join_and(_ALL[kind] for kind in named)}
        parts.append(_for_action(action, words))
    for kind in KINDS:
        for (action, row_kind), count in sorted(counts.items()):
            if row_kind == kind:
                parts.append(_for_action(action, _COUNTED[kind] % {"count": count}))
    if not parts:
        return _("Nothing")
    return " · ".join([parts[0][0].upper() + parts[0][1:], *parts[1:]])


def _for_action(action: str, words: str) -> str:
    if action == KeyScope.Action.READ:
        return _("read %(what)s") % {"what": words}
    if action == KeyScope.Action.WRITE:
        return _("write %(what)s") % {"what": words}
    if action == KeyScope.Action.ADMIN:
        return _("admin %(what)s") % {"what": words}
    return words
