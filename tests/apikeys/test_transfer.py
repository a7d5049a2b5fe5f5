"""A miner, hub or pool changes account: its old keys lose it at the next request, as the preview said."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied

from accounts.audit import StepUpMissing
from accounts.changes import Refused
from accounts.models import AuditEvent
from apikeys import transfer
from apikeys.grants import load_grant
from apikeys.models import ApiKey, KeyScope
from apikeys.scopes import Scope
from entities.models import Entity, Hub, HubClient, Miner
from tests.conftest import COMMAND
from tests.factories import (
    HubClientFactory,
    HubFactory,
    MinerFactory,
    PoolFactory,
    WalletFactory,
    WorkerFactory,
)
from tests.people import actor_for, fresh_code

#: A permission of each action class.
PERMISSIONS = {"read": "entities:read", "write": "workers:write", "admin": "settings:write"}


@pytest.fixture
def miner(account):
    return MinerFactory(account=account, name="shaft-1")


@pytest.fixture
def hold(issue_key):
    """A key of ``account`` with exactly these scope rows, whatever it may name today."""

    def hold(account, *scopes, **fields):
        key, secret = issue_key("administrator", account=account, name=" ".join(scopes)[:80], **fields)
        key.scopes.all().delete()
        for scope in map(Scope.parse, scopes):
            KeyScope.objects.create(key=key, action=scope.action, kind=scope.kind, entity_id=scope.entity_id)
        return key, secret

    return hold


def reaches(key, entity):
    """The actions by which ``key`` reaches ``entity`` now, by the rule of requests."""
    grant = load_grant(key.secrets.get().selector).grant
    rows = Entity.objects.filter(pk=entity.pk)
    return {action for action, name in PERMISSIONS.items() if rows.within(grant, name).exists()}


# What keys lose and gain


#: What moves, whose pool it mines on, and whose hubs serve it.
WORLDS = [
    ("miner", "", ()),
    ("miner", "old", ()),
    ("miner", "new", ("old",)),
    ("miner", "old", ("new",)),
    ("miner", "new", ("new",)),
    ("miner", "", ("old", "new")),
    ("hub", "old", ()),
    ("hub", "new", ()),
    ("pool", "", ()),
]


@pytest.mark.parametrize(("kind", "pool", "hubs"), WORLDS)
def test_the_preview_names_exactly_the_keys_that_change(account, other_account, hold, kind, pool, hubs):
    accounts = {"old": account, "new": other_account}
    pools = {side: PoolFactory(account=accounts[side]) for side in accounts}
    own_hubs = {side: HubFactory(account=accounts[side], pool=pools[side]) for side in accounts}
    make = {"miner": MinerFactory, "hub": HubFactory, "pool": PoolFactory}[kind]
    entity = make(account=account, **({"pool": pools[pool]} if pool else {}))
    for side in hubs:
        HubClientFactory(hub=own_hubs[side], miner=entity)
    keys = []
    for side in accounts:
        for scopes in (
            ["*:*"],
            [f"*:{kind}s/*"],
            ["read:miners/*", f"write:hubs/{own_hubs[side].pk}"],
            [f"admin:{kind}s/{entity.pk}"],
            ["write:hubs/*"],
            [f"*:pools/{pools[side].pk}"],
            ["read:pools/*", f"read:{kind}s/{entity.pk}"],
        ):
            keys.append(hold(accounts[side], *scopes)[0])
    staging, _ = hold(account, "*:*", environment="staging")
    before = {key.pk: reaches(key, entity) for key in keys}
    impact = transfer.impact_of(entity, other_account)
    assert {row.key_pk for row in impact.loses}.isdisjoint({staging.pk})
    Entity.objects.filter(pk=entity.pk).update(account=other_account)
    after = {key.pk: reaches(key, entity) for key in keys}
    assert {row.key_pk for row in impact.loses} == {pk for pk in before if before[pk] - after[pk]}
    assert {row.key_pk for row in impact.gains} == {pk for pk in before if after[pk] - before[pk]}
    assert before != after


def test_the_old_keys_get_404_at_the_next_request_and_the_new_reach_it(account, other_account, miner, issue_key, api):
    WorkerFactory(miner=miner)
    WalletFactory(entity=miner)
    old = [api(issue_key(scopes=[scope])[1]) for scope in ("*:*", "*:miners/*", f"*:miners/{miner.pk}")]
    MinerFactory(account=other_account)
    new = api(issue_key(account=other_account, scopes=["*:miners/*"])[1])
    picked = api(issue_key(account=other_account, scopes=[f"*:miners/{MinerFactory(account=other_account).pk}"])[1])
    paths = [f"/api/v1/miners/{miner.pk}", f"/api/v1/miners/{miner.pk}/workers"]
    assert [client.get(path).status_code for client in (*old, new) for path in paths] == [200] * 6 + [404] * 2
    transfer.transfer(miner, other_account, actor=COMMAND)
    assert [client.get(path).status_code for client in (*old, new) for path in paths] == [404] * 6 + [200] * 2
    assert picked.get(paths[0]).status_code == 404


def test_what_a_hub_serves_goes_with_it(account, other_account, issue_key, api):
    hub = HubFactory(account=account)
    client = HubClientFactory(hub=hub).miner
    kept = HubClientFactory(hub=HubFactory(account=account), miner=HubClientFactory(hub=hub).miner).miner
    by_hand, secret = issue_key(scopes=[f"*:miners/{client.pk}", f"*:miners/{kept.pk}"])
    old, new = api(secret), api(issue_key(account=other_account, scopes=["*:*"])[1])
    [row] = transfer.impact_of(hub, other_account).loses
    assert (row.key_pk, row.ways) == (by_hand.pk, {"its clients by hand"})
    transfer.transfer(hub, other_account, actor=COMMAND)
    statuses = [
        caller.get(f"/api/v1/miners/{miner.pk}").status_code for caller in (old, new) for miner in (client, kept)
    ]
    assert statuses == [404, 200, 200, 200]
    assert [row.entity_id for row in by_hand.scopes.all()] == [kept.pk]


def test_an_entity_that_comes_back_is_not_given_back_to_keys_that_named_it(account, other_account, miner, hold):
    named, _ = hold(account, f"*:miners/{miner.pk}")
    everything, _ = hold(account, "*:miners/*")
    revoked, _ = hold(account, f"*:miners/{miner.pk}")
    ApiKey.objects.filter(pk=revoked.pk).update(revoked_at="2026-01-01T00:00Z")
    moved = transfer.transfer(miner, other_account, actor=COMMAND)
    transfer.transfer(moved, account, actor=COMMAND)
    assert (reaches(named, miner), reaches(everything, miner)) == (set(), set(PERMISSIONS))
    assert [key.scopes.count() for key in (named, revoked)] == [0, 1]
    event = AuditEvent.objects.get(action="key.scope_dropped")
    assert (event.target_id, event.data["scopes"]) == (named.key_id, [f"*:miners/{miner.pk}"])


def test_a_miner_that_stays_a_client_of_the_old_account_s_hub_stays_named(account, other_account, miner, hold):
    HubClientFactory(hub=HubFactory(account=account), miner=miner)
    named, _ = hold(account, f"*:miners/{miner.pk}")
    assert transfer.impact_of(miner, other_account).loses == []
    transfer.transfer(miner, other_account, actor=COMMAND)
    assert reaches(named, miner) == set(PERMISSIONS)


# The move


def test_both_accounts_have_an_event_and_neither_learns_the_other_s_name(account, other_account, miner, staff):
    actor = actor_for(staff, transfer.TRANSFER, via="admin")
    moved = transfer.transfer(miner, other_account, actor=actor, note="Sold \n in May")
    assert moved.account == other_account
    old, new = (AuditEvent.objects.get(action="miner.transferred", account=each) for each in (account, other_account))
    assert old.data == {"to": str(other_account.pk), "keys_losing": 0, "keys_gaining": 0, "note": "Sold in May"}
    assert new.data["from"] == str(account.pk)
    assert {(event.actor, event.via, event.target_id) for event in (old, new)} == {(staff, "admin", str(miner.pk))}


def test_the_owners_of_both_are_told_without_support_keys(
    account, other_account, miner, owner, outsider, hold, mailoutbox, django_capture_on_commit_callbacks
):
    hold(account, "*:*")
    support, _ = hold(account, f"*:miners/{miner.pk}")
    ApiKey.objects.filter(pk=support.pk).update(support=True)
    assert len(transfer.impact_of(miner, other_account).loses) == 2
    with django_capture_on_commit_callbacks(execute=True):
        transfer.transfer(miner, other_account, actor=COMMAND)
    mails = {message.to[0]: message for message in mailoutbox}
    assert mails.keys() == {owner.email, outsider.email}
    assert mails[owner.email].subject == "shaft-1 left Northfold Mining"
    assert "1 API key of Northfold Mining reaches less" in mails[owner.email].body
    assert "Borealis" not in mails[owner.email].body
    assert "check the addresses of its wallets" in mails[outsider.email].body
    assert "Northfold" not in mails[outsider.email].body


@pytest.mark.parametrize("taken", [True, False])
def test_a_name_that_the_new_account_has_is_refused_before_anything_changes(account, other_account, miner, taken):
    other = {"name": "shaft-1"} if taken else {"name": "shaft-1", "environment": "staging"}
    MinerFactory(account=other_account, **other)
    if taken:
        with pytest.raises(Refused, match=r"Borealis Hosting has a miner named shaft-1 in production already\. Rename"):
            transfer.transfer(miner, other_account, actor=COMMAND)
    else:
        transfer.transfer(miner, other_account, actor=COMMAND)
    assert Miner.objects.get(pk=miner.pk).account == (account if taken else other_account)


def test_an_account_can_not_be_given_what_it_has_and_a_stale_page_moves_nothing(account, other_account, miner):
    with pytest.raises(Refused, match="already"):
        transfer.transfer(miner, account, actor=COMMAND)
    Entity.objects.filter(pk=miner.pk).update(account=other_account)
    with pytest.raises(Refused, match="meanwhile"):
        transfer.transfer(miner, other_account, actor=COMMAND)


def test_staff_alone_move_things_and_with_a_code_of_their_own(account, other_account, miner, owner, staff):
    with pytest.raises(PermissionDenied):
        transfer.transfer(miner, other_account, actor=actor_for(owner, transfer.TRANSFER))
    with pytest.raises(StepUpMissing):
        transfer.transfer(miner, other_account, actor=actor_for(staff, "key.edit", via="admin"))
    assert Miner.objects.get().account == account


# The page


@pytest.fixture
def client(staff, sign_in_as):
    return sign_in_as(staff)


def test_staff_choose_see_and_confirm(client, staff, account, other_account, miner, hold):
    hold(account, "*:*")
    hold(other_account, "*:miners/*")
    page = f"/admin/entities/miner/{miner.pk}"
    assert f"{page}/transfer/" in client.get(f"{page}/change/").content.decode()
    assert client.get(f"{page}/transfer/").status_code == 200
    url = f"{page}/transfer/?to={other_account.pk}"
    shown = client.get(url)
    assert [(title, count) for title, _, count in shown.context["sides"]] == [
        ("Keys of Northfold Mining that lose it", 1),
        ("Keys of Borealis Hosting that gain it", 1),
    ]
    assert shown.content.decode().count('<span class="ph-status is-active">Active</span>') == 2
    form = {name: shown.context["form"][name].value() for name in ("nonce", "seen")}
    hold(account, f"read:miners/{miner.pk}")
    answer = client.post(url, {**form, "reason": "Sold", "code": fresh_code(staff)})
    assert "Keys changed since" in answer.content.decode()
    form["seen"] = answer.context["form"]["seen"].value()
    assert "reason" in client.post(url, {**form, "code": fresh_code(staff)}).context["form"].errors
    answer = client.post(url, {**form, "reason": "Sold", "code": fresh_code(staff)})
    assert answer["Location"] == f"{page}/change/"
    assert Miner.objects.get().account == other_account
    assert AuditEvent.objects.get(action="miner.transferred", account=account).data["note"] == "Sold"


def test_what_changes_after_the_form_was_judged_is_seen_before_anything_moves(
    client, staff, account, other_account, miner, hold, monkeypatch
):
    real = transfer.transfer

    def late(*args, **kwargs):
        monkeypatch.undo()
        hold(account, "*:*")
        return real(*args, **kwargs)

    monkeypatch.setattr(transfer, "transfer", late)
    url = f"/admin/entities/miner/{miner.pk}/transfer/?to={other_account.pk}"
    form = {name: client.get(url).context["form"][name].value() for name in ("nonce", "seen")}
    answer = client.post(url, {**form, "reason": "Sold", "code": fresh_code(staff)})
    assert "Keys changed since" in answer.content.decode()
    assert [count for *_, count in answer.context["sides"]] == [1, 0]
    assert Miner.objects.get().account == account
    form = {name: answer.context["form"][name].value() for name in ("nonce", "seen")}
    assert client.post(url, {**form, "reason": "Sold", "code": fresh_code(staff)}).status_code == 302
    assert Miner.objects.get().account == other_account


@pytest.mark.parametrize("to", ["", "nonsense", "own", "taken", "01900000-0000-7000-8000-000000000000"])
def test_an_account_that_fits_not_is_refused_where_it_is_chosen(client, account, other_account, miner, to):
    MinerFactory(account=other_account, name=miner.name)
    to = {"own": account.pk, "taken": other_account.pk}.get(to, to)
    answer = client.get(f"/admin/entities/miner/{miner.pk}/transfer/?to={to}")
    assert "to" in answer.context["form"].errors


@pytest.mark.parametrize("make", [HubFactory, PoolFactory])
def test_hubs_and_pools_have_the_page_too(client, account, other_account, make):
    entity = make(account=account)
    if isinstance(entity, Hub):
        HubClient.objects.create(hub=entity, miner=MinerFactory())
    else:
        MinerFactory(account=account, pool=entity)
    answer = client.get(f"/admin/entities/{entity.kind}/{entity.pk}/transfer/?to={other_account.pk}")
    assert answer.status_code == 200
    assert client.get(f"/admin/entities/miner/{entity.pk}/transfer/").status_code == 404
