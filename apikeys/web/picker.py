"""The entity picker: one group for each kind that the account has, "all, current and future" or picked by hand.

A group shows what is picked and the first matches of its search, never 20,000 boxes. Its advanced part says which
actions all of the kind get, and which the picked ones: "read all miners, write only these two".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol
from uuid import UUID

from django.db.models import Count, Q, QuerySet
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from accounts.access_levels import Action
from accounts.models import Account
from apikeys import scopes
from apikeys.models import KeyScope
from apikeys.scopes import InvalidScope, Scope
from apikeys.web.kind_words import ACTION_WORDS, WORDS, say
from entities.models import Entity

SHOWN = 60
#: Picked by hand, of one kind. More would not be read by anybody; "all" is a rule, and the API has no such limit.
MOST_PICKED = 300
SIZES = {
    "miner": Count("workers"),
    "hub": Count("clients"),
    "pool": Count("mining_on", filter=Q(mining_on__kind="miner")),
}
ACTIONS = tuple(action.value for action in Action)
#: Sent along with the boxes of an action list, so that none ticked differs from a form that has no such list.
NONE_TICKED = "none"


class PickerForm(Protocol):
    """What the picker needs of the form that it stands in."""

    account: Account

    @property
    def entity_environment(self) -> str: ...

    def values(self, name: str) -> list[str]: ...


class EntityPicker:
    """The boxes of one kind.

    For miners the fields are ``miners_all``, ``miners``, ``find_miners``, ``miners_all_actions``, ``miners_actions``.
    """

    def __init__(self, form: PickerForm, kind: str) -> None:
        self.form = form
        self.kind = kind
        self.words = WORDS[kind]
        self.plural = scopes.NOUNS[kind][1]
        self.all_name = f"{self.plural}_all"
        self.find_name = f"find_{self.plural}"
        self.all_actions_name = f"{self.plural}_all_actions"
        self.actions_name = f"{self.plural}_actions"

    @cached_property
    def is_all(self) -> bool:
        return self.form.values(self.all_name) == ["on"]

    @property
    def is_plainly_all(self) -> bool:
        """Whether "all" leaves nothing to pick: it gives every action."""
        return self.is_all and gives_everything(self.all_actions)

    @cached_property
    def picked(self) -> list[UUID]:
        """The ids picked by hand; what is no id is left out here and refused by scopes()."""
        result = []
        for text in self.form.values(self.plural):
            try:
                result.append(UUID(text))
            except ValueError:
                continue
        return list(dict.fromkeys(result))

    @property
    def picks(self) -> list[UUID]:
        """The picked ids that count: none beside a rule that gives every action on all."""
        return [] if self.is_plainly_all else self.picked

    @cached_property
    def all_actions(self) -> list[str]:
        """The actions on all of the kind: every one, unless the advanced part says less."""
        return self._actions(self.all_actions_name)

    @cached_property
    def actions(self) -> list[str]:
        """The actions on what is picked by hand."""
        return self._actions(self.actions_name)

    @property
    def action_rows(self) -> list[dict[str, object]]:
        """The advanced part: which actions "all" gives, and which the picks get."""
        rows = [("picks", self.words.picked_row, self.actions_name, self.actions)]
        if self.owned:
            rows.insert(0, ("all", self.words.everything_row, self.all_actions_name, self.all_actions))
        return [
            {
                "half": half,
                "label": label,
                "name": name,
                "boxes": [(action, ACTION_WORDS[action], action in ticked) for action in ACTIONS],
            }
            for half, label, name, ticked in rows
        ]

    @property
    def is_narrowed(self) -> bool:
        """Whether the advanced part says less than everything, so that it stands open."""
        return not (gives_everything(self.all_actions) and gives_everything(self.actions))

    @cached_property
    def search(self) -> str:
        return " ".join(self.form.values(self.find_name)).replace("\x00", "").strip()[:100]

    @cached_property
    def total(self) -> int:
        """How many can be picked: a kind that there is none of is not offered."""
        return self.owned + self._clients().count()

    @cached_property
    def owned(self) -> int:
        """How many the account owns: what "all" means today. Clients of its hubs are not among them."""
        return self._own().count()

    @property
    def own_words(self) -> str:
        return say(self.words.own, self.owned)

    @cached_property
    def options(self) -> list[Entity]:
        """What is picked first, then the first matches of the search, the account's own before clients."""
        picked: list[Entity] = []
        if self.picked:
            nameable = scopes.nameable(self.form.account, self.form.entity_environment)
            picked = list(nameable.filter(kind=self.kind, pk__in=self.picked[:MOST_PICKED]).order_by("name", "pk"))
        shown = {entity.pk for entity in picked}
        # Own and clients apart, so that each walks an index: together they are sorted as a whole, 20,000 for 60.
        others = list(self._match(self._own(), shown)[:SHOWN])
        if len(others) < SHOWN:
            others += self._match(self._clients(), shown)[: SHOWN - len(others)]
        options = [*picked, *others]
        ids = [entity.pk for entity in options]
        sizes = dict(
            Entity.objects.order_by().filter(pk__in=ids).annotate(size=SIZES[self.kind]).values_list("pk", "size")
        )
        for entity in options:
            entity.size_words = say(self.words.size, sizes.get(entity.pk, 0))  # type: ignore[attr-defined]
        return options

    @cached_property
    def matching(self) -> int:
        if not self.search:
            return self.total
        return sum(self._match(some, set()).count() for some in (self._own(), self._clients()))

    @property
    def hidden(self) -> int:
        """How many more there are than the page shows."""
        return max(0, self.matching - SHOWN)

    def scopes(self) -> list[Scope]:
        """The scope rows of this group; beside an unlimited "all", picks say nothing. Raises InvalidScope."""
        rows = self._rows(self.all_actions, [None]) if self.is_all else []
        if self.is_plainly_all:
            return rows
        if any(not _is_id(text) for text in self.form.values(self.plural)):
            raise InvalidScope(str(self.words.missing), self.kind)
        if len(self.picked) > MOST_PICKED:
            raise InvalidScope(
                _("%(heading)s: pick at most %(most)s by hand, or select all.")
                % {"heading": self.words.heading, "most": MOST_PICKED},
                self.kind,
            )
        return rows + (self._rows(self.actions, self.picked) if self.picked else [])

    def as_fields(self, rows: Iterable[Scope]) -> dict[str, list[str]]:
        """What the group's fields hold for these rows of its kind; scopes() may say less than the rows did."""
        general = {row.action for row in rows if row.entity_id is None}
        of_picks = {row.action for row in rows if row.entity_id is not None}
        fields = {self.plural: list(dict.fromkeys(str(row.entity_id) for row in rows if row.entity_id is not None))}
        if general:
            fields[self.all_name] = ["on"]
        for name, actions in ((self.all_actions_name, general), (self.actions_name, of_picks)):
            if actions and KeyScope.Action.ANY not in actions:
                fields[name] = [NONE_TICKED, *sorted(actions)]
        return fields

    def _actions(self, name: str) -> list[str]:
        sent = self.form.values(name)
        return [action for action in sent if action != NONE_TICKED] if sent else list(ACTIONS)

    def _rows(self, actions: list[str], ids: Iterable[UUID | None]) -> list[Scope]:
        if not actions or set(actions) - set(ACTIONS):
            raise InvalidScope(
                _("%(heading)s: choose at least one action: read, write or administer.")
                % {"heading": self.words.heading},
                self.kind,
            )
        named = [KeyScope.Action.ANY.value] if gives_everything(actions) else sorted(set(actions))
        return [Scope(action, self.kind, pk) for pk in ids for action in named]

    def _own(self) -> QuerySet[Entity]:
        return Entity.objects.of_account(self.form.account.pk, self.form.entity_environment).filter(kind=self.kind)

    def _clients(self) -> QuerySet[Entity]:
        if self.kind != "miner":
            return Entity.objects.none()
        return scopes.clients_of_hubs(self.form.account, self.form.entity_environment).exclude(
            account=self.form.account
        )

    def _match(self, some: QuerySet[Entity], without: set[UUID]) -> QuerySet[Entity]:
        found = some.filter(name__icontains=self.search) if self.search else some
        return (found.exclude(pk__in=without) if without else found).order_by("name", "pk")


def gives_everything(actions: Iterable[str]) -> bool:
    return set(actions) >= set(ACTIONS)


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
