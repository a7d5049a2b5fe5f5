"""Searching names: which rows are found, and by what."""

from __future__ import annotations

import pytest
from django.db import connection

from accounts import search
from accounts.models import Account
from apikeys.models import ApiKey
from entities.models import Entity
from tests.factories import AccountFactory, MinerFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("  one  two ", ["one", "two"]),
        ('"deep north" x', ["deep north", "x"]),
        ('"half open', ['"half', "open"]),
        ('"', ['"']),
    ],
)
def test_words_are_told_apart_and_quotes_hold_some_together(text, words):
    assert list(search.words_of(text)) == words


def test_each_word_has_to_be_in_one_of_the_columns():
    for name, slug in [("Deep North", "one"), ("Deep South", "north-two"), ("Shallow", "three")]:
        AccountFactory(name=name, slug=slug)
    found = search.find(Account.objects.all(), "deep NORTH", "name", "slug")
    assert set(found.values_list("name", flat=True)) == {"Deep North", "Deep South"}
    found = search.find(Account.objects.all(), "north three", "name", also=lambda word: search.models.Q(slug=word))
    assert not found


def test_what_would_be_a_pattern_is_text():
    MinerFactory(name="100%_rig")
    MinerFactory(name="100 rigs")
    assert [miner.name for miner in search.find(Entity.objects.all(), "%_", "name")] == ["100%_rig"]


def test_many_are_asked_for_as_they_are_and_few_by_their_ids(monkeypatch):
    monkeypatch.setattr(search, "FEW", 2)
    for number in range(3):
        AccountFactory(name=f"Pit {number}")
    assert search.few(Account.objects.filter(name="Pit 1")) == list(
        Account.objects.filter(name="Pit 1").values_list("pk", flat=True)
    )
    assert list(search.few(Account.objects.all()).values_list("name", flat=True).order_by("name")) == [
        "Pit 0",
        "Pit 1",
        "Pit 2",
    ]


@pytest.mark.parametrize(
    ("table", "name"),
    [
        (ApiKey._meta.db_table, "api_key_search"),
        (Entity._meta.db_table, "entity_search"),
        ("accounts_auditevent", "audit_target_search"),
        ("accounts_auditevent", "audit_actor_search"),
    ],
)
def test_names_are_found_by_an_index(table, name):
    with connection.cursor() as cursor:
        index = connection.introspection.get_constraints(cursor, table)[name]
    assert index["index"]
    assert index["type"] == ("gin" if connection.vendor == "postgresql" else "idx")


def test_postgresql_uses_it():
    """Elsewhere all rows are read: a database of a million keys is on PostgreSQL."""
    rows = search.find(ApiKey.objects.order_by(), "nothing", "name")
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan TO off")
    plan = rows.explain()
    assert ("api_key_search" in plan) == (connection.vendor == "postgresql"), plan
