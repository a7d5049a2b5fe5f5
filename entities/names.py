"""Names that tell things apart: pleasant ones by chance, and what happens to one that is taken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from random import SystemRandom
from typing import Any
from uuid import UUID

from django.db import IntegrityError, models, transaction

from entities.models import Miner

ADJECTIVES = (
    "amber", "ancient", "autumn", "bold", "brave", "bright", "calm", "clear", "copper", "crisp", "deep", "dusky",
    "early", "eager", "frosty", "gentle", "golden", "grand", "hardy", "hidden", "humble", "icy", "jolly", "keen",
    "kind", "late", "lively", "lofty", "lucky", "merry", "mighty", "misty", "nimble", "noble", "northern", "patient",
    "plucky", "polar", "proud", "quick", "quiet", "rapid", "rustic", "shiny", "silent", "silver", "snowy", "solid",
    "spry", "steady", "stout", "sturdy", "sunny", "swift", "tidy", "tranquil", "vivid", "warm", "wild", "wise",
)  # fmt: skip
NOUNS = (
    "badger", "basalt", "beacon", "birch", "bison", "boulder", "brook", "canyon", "cedar", "cliff", "comet", "condor",
    "crane", "creek", "delta", "drift", "dune", "eagle", "ember", "falcon", "fern", "fjord", "forge", "fox", "gale",
    "glacier", "granite", "grove", "harbor", "hawk", "heron", "hill", "ibex", "island", "juniper", "lagoon", "lantern",
    "ledge", "lynx", "maple", "marten", "meadow", "mesa", "moose", "oak", "orbit", "otter", "owl", "peak", "pine",
    "quarry", "quartz", "raven", "ridge", "river", "spruce", "summit", "tundra", "valley", "willow",
)  # fmt: skip
_CANDIDATES = 8

_chance = SystemRandom()


class NameTaken(Exception):
    """Another one beside it has this name already, and names tell them apart."""


@contextmanager
def refusing_taken(namesakes: models.QuerySet[Any]) -> Iterator[None]:
    """Write within a savepoint; where a constraint refuses that and one of ``namesakes`` is there, raise NameTaken."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        if namesakes.exists():
            raise NameTaken from error
        raise


def random_miner_name(account_id: UUID, environment: str) -> str:
    """Return a name like ``quiet-marten-4821`` that no miner of the account has now; one query as a rule."""
    while True:
        candidates = [_random_name() for _ in range(_CANDIDATES)]
        of_account = Miner.objects.of_account(account_id, environment)
        taken = set(of_account.filter(name__in=candidates).values_list("name", flat=True))
        for name in candidates:
            if name not in taken:
                return name


def _random_name() -> str:
    return f"{_chance.choice(ADJECTIVES)}-{_chance.choice(NOUNS)}-{_chance.randint(1000, 9999)}"
