"""Scope rows: how they are written, read back, put into words, and which of them an account may give."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apikeys import scopes
from apikeys.models import KeyScope
from apikeys.scopes import InvalidScope, Scope
from tests.factories import HubClientFactory, HubFactory, MinerFactory, PoolFactory

ACTIONS = st.sampled_from(["read", "write", "admin", "*"])
KINDS = st.sampled_from(["miner", "hub", "pool"])
SCOPES = st.one_of(
    st.builds(Scope, ACTIONS, st.just("*")),
    st.builds(Scope, ACTIONS, KINDS, st.one_of(st.none(), st.uuids())),
)
ID = "0192e4a0-0000-7000-8000-000000000001"


@given(scope=SCOPES)
def test_a_scope_written_and_read_is_the_same(scope):
    assert Scope.parse(str(scope)) == scope


@given(scope=SCOPES)
def test_a_row_is_written_like_its_scope(scope):
    assert str(KeyScope(action=scope.action, kind=scope.kind, entity_id=scope.entity_id)) == str(scope)


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("read:miners/*", Scope("read", "miner")),
        (f"*:hubs/{ID}", Scope("*", "hub", UUID(ID))),
        ("admin:pools/*", Scope("admin", "pool")),
        ("*:*", Scope("*", "*")),
        ("read:*", Scope("read", "*")),
    ],
)
def test_the_written_forms(text, scope):
    assert Scope.parse(text) == scope
    assert str(scope) == text


@pytest.mark.parametrize(
    "text",
    [
        *[
            "",
            ":",
            "*",
            "read",
            "read:",
            "read:miners",
            "read:miners/",
            "read:miner/*",
            "read:minerss/*",
            "delete:miners/*",
        ],
        *["READ:miners/*", "read:workers/*", "read:*/*", "read:miners/1", "read:miners/**", f"read:*/{ID}", " read:*"],
        *["read:*\n", f"read:miners/{ID}x", f"read:miners/{ID}/x", "read:s/*", "::", "\0", "read:miners/\ud800"],
    ],
)
def test_anything_else_is_no_scope(text):
    with pytest.raises(InvalidScope, match="is no scope"):
        Scope.parse(text)


@given(text=st.text())
def test_odd_text_is_an_invalid_scope_or_one_that_reads_the_same_again(text):
    try:
        scope = Scope.parse(text)
    except InvalidScope:
        return
    assert Scope.parse(str(scope)) == scope


def test_a_long_text_is_not_echoed_whole():
    with pytest.raises(InvalidScope) as refused:
        Scope.parse("x" * 100_000)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "Nothing"),
        (["*:*"], "All miners, hubs and pools, current and future"),
        (["*:miners/*"], "All miners, current and future"),
        (["*:miners/*", "*:pools/*"], "All miners and pools, current and future"),
        (["*:miners/*", "*:hubs/*", "*:pools/*"], "All miners, hubs and pools, current and future"),
        (["read:miners/*"], "Read all miners, current and future"),
        ([f"*:hubs/{ID}"], "1 hub"),
        ([f"*:hubs/{ID}", f"*:hubs/{ID[:-1]}2"], "2 hubs"),
        (["*:miners/*", f"*:hubs/{ID}"], "All miners, current and future · 1 hub"),
        ([f"read:miners/{ID}", f"write:miners/{ID}"], "Read 1 miner · write 1 miner"),
        (["*:hubs/*", "read:*"], "All hubs, current and future · read all miners, hubs and pools, current and future"),
    ],
)
def test_rows_in_words(rows, words):
    parsed = [Scope.parse(text) for text in rows]
    models = [KeyScope(action=row.action, kind=row.kind, entity_id=row.entity_id) for row in parsed]
    assert scopes.describe(models) == words


def check(account, *texts, environment="production"):
    return scopes.check(account, environment, [Scope.parse(text) for text in texts])


def test_own_entities_and_clients_of_own_hubs_may_be_named(account, other_account):
    own, client = MinerFactory(account=account), MinerFactory(account=other_account)
    hub = HubFactory(account=account)
    HubClientFactory(hub=hub, miner=client)
    rows = check(account, f"read:miners/{own.pk}", f"*:miners/{client.pk}", f"*:hubs/{hub.pk}")
    assert len(rows) == 3


def test_repeated_scopes_become_one(account):
    MinerFactory(account=account)
    assert check(account, "*:miners/*", "*:miners/*") == [Scope("*", "miner")]


def test_no_scope_at_all_is_refused(account):
    with pytest.raises(InvalidScope, match="at least one"):
        check(account)


@pytest.mark.parametrize("kind", ["miner", "hub", "pool"])
def test_a_kind_that_the_account_has_none_of_can_t_be_given_whole(account, other_account, kind):
    factory = {"miner": MinerFactory, "hub": HubFactory, "pool": PoolFactory}[kind]
    factory(account=other_account)
    factory(account=account, environment="staging")
    with pytest.raises(InvalidScope, match=f"has no {kind}s") as refused:
        check(account, f"*:{kind}s/*")
    assert refused.value.kind == kind
    factory(account=account)
    assert check(account, f"*:{kind}s/*")


def test_foreign_entities_can_t_be_named(account, other_account):
    own = MinerFactory(account=account)
    foreign = MinerFactory(account=other_account)
    with pytest.raises(InvalidScope, match="1 of the chosen miners") as refused:
        check(account, f"*:miners/{own.pk}", f"*:miners/{foreign.pk}")
    assert refused.value.kind == "miner"


def test_entities_of_another_environment_can_t_be_named(account):
    staging = MinerFactory(account=account, environment="staging")
    with pytest.raises(InvalidScope):
        check(account, f"*:miners/{staging.pk}")
    assert check(account, f"*:miners/{staging.pk}", environment="staging")


def test_a_kind_can_t_be_claimed_falsely(account):
    hub = HubFactory(account=account)
    with pytest.raises(InvalidScope):
        check(account, f"*:miners/{hub.pk}")


def test_clients_that_left_and_clients_of_foreign_hubs_can_t_be_named(account, other_account):
    link = HubClientFactory(hub=HubFactory(account=account), miner=MinerFactory(account=other_account))
    foreign = HubClientFactory(hub=HubFactory(account=other_account), miner=MinerFactory(account=other_account))
    assert check(account, f"*:miners/{link.miner.pk}")
    link.delete()
    for miner in (link.miner, foreign.miner):
        with pytest.raises(InvalidScope):
            check(account, f"*:miners/{miner.pk}")


def test_unknown_ids_and_foreign_ids_are_refused_in_the_same_words(account, other_account):
    foreign = MinerFactory(account=other_account)
    answers = []
    for entity_id in (foreign.pk, ID):
        with pytest.raises(InvalidScope) as refused:
            check(account, f"*:miners/{entity_id}")
        answers.append(str(refused.value))
    assert answers[0] == answers[1]
