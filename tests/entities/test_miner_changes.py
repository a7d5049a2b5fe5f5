"""``POST /miners``, ``PATCH /miners/{id}`` and the names that new miners may take."""

import json
from threading import Thread

import pytest
from django.db import connection
from rest_framework.test import APIClient

from accounts.models import AuditEvent
from entities import names
from entities.models import Miner, Wallet
from tests.factories import HubClientFactory, HubFactory, MinerFactory, PoolFactory

MINERS = "/api/v1/miners"


@pytest.fixture
def client(api, issue_key) -> APIClient:
    _, secret = issue_key("administrator")
    return api(secret)


@pytest.fixture
def client_of(api, issue_key):
    """A client whose administrator key has these scopes."""
    return lambda *scopes: api(issue_key("administrator", scopes)[1])


def post(client, path=MINERS, **body):
    return client.post(path, body, format="json")


def patch(client, miner, **body):
    return client.patch(f"{MINERS}/{miner.pk}", json.dumps(body), content_type="application/json")


def errors(answer):
    assert answer.status_code == 400, answer.content
    return answer.json()["errors"]


# New miners


def test_a_new_miner_has_one_wallet_without_an_address(client, account):
    answer = post(client, account_name="quiet-basalt-42")
    assert answer.status_code == 201, answer.content
    miner, wallet = Miner.objects.get(), Wallet.objects.get()
    assert answer.json() == {"id": str(miner.pk), "name": "quiet-basalt-42", "wallets": [str(wallet.pk)]}
    assert (miner.account, miner.environment, miner.pool) == (account, "production", None)
    assert (wallet.entity_id, wallet.coin, wallet.address) == (miner.pk, "BTC", "")


def test_a_form_makes_a_miner_as_json_does(client):
    answer = client.post(MINERS, "account_name=quiet+basalt", content_type="application/x-www-form-urlencoded")
    assert (answer.status_code, answer.json()["name"]) == (201, "quiet basalt")


def test_the_key_sees_the_miner_that_it_made(client_of, account):
    MinerFactory(account=account)
    client = client_of("*:miners/*")
    made = post(client, account_name="quiet-basalt-42").json()
    detail = client.get(f"{MINERS}/{made['id']}").json()
    assert (detail["name"], detail["wallets"]) == ("quiet-basalt-42", made["wallets"])


def test_a_miner_is_made_in_the_keys_own_environment(api, issue_key):
    _, secret = issue_key("administrator", environment="staging")
    assert post(api(secret), f"/staging{MINERS}", account_name="quiet-basalt-42").status_code == 201
    assert Miner.objects.get().environment == "staging"


def test_the_audit_trail_says_which_key_made_it(client, account):
    miner_id = post(client, account_name="quiet-basalt-42").json()["id"]
    event = AuditEvent.objects.get(action="miner.created")
    assert (event.account, event.target_id, event.target_name, event.via) == (
        account,
        miner_id,
        "quiet-basalt-42",
        "api",
    )
    assert "administrator key" in event.actor_name
    assert event.data["wallet"] == str(Wallet.objects.get().pk)


@pytest.mark.parametrize("scope", ["*:miners/{miner}", "*:hubs/*", "*:pools/*", "write:miners/*", "read:*"])
def test_a_key_that_would_not_reach_it_makes_none(client_of, account, scope):
    miner = MinerFactory(account=account)
    HubFactory(account=account), PoolFactory(account=account)
    answer = post(client_of(scope.format(miner=miner.pk)), account_name="quiet-basalt-42")
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
    assert "out of its own reach" in answer.json()["detail"]
    assert list(Miner.objects.all()) == [miner]
    assert not AuditEvent.objects.filter(action="miner.created").exists()


@pytest.mark.parametrize("level", ["viewer", "accountant", "treasurer"])
def test_a_lesser_level_makes_none(api, issue_key, level):
    _, secret = issue_key(level)
    answer = post(api(secret), account_name="quiet-basalt-42")
    assert (answer.status_code, answer.json()["permission"]) == (403, "settings:write")
    assert not Miner.objects.exists()


def test_a_pool_that_the_key_sees_may_be_named(client, account):
    pool = PoolFactory(account=account)
    assert post(client, account_name="one", pool=str(pool.pk)).status_code == 201
    assert post(client, account_name="two", pool=None).status_code == 201
    assert list(Miner.objects.order_by("name").values_list("name", "pool")) == [("one", pool.pk), ("two", None)]


def test_a_pool_out_of_reach_or_of_another_kind_is_refused_alike(client, account, other_account):
    ids = [
        PoolFactory(account=other_account).pk,
        PoolFactory(account=account, environment="staging").pk,
        HubFactory(account=account).pk,
        "0192f3c1-7a60-7cc4-9b1e-2f6f0f6d3a11",
    ]
    assert len({str(errors(post(client, account_name="one", pool=str(pk)))["pool"]) for pk in ids}) == 1
    assert not Miner.objects.exists()


def test_a_taken_name_is_refused(client, account):
    MinerFactory(account=account, name="quiet-basalt-42")
    assert errors(post(client, account_name="quiet-basalt-42"))["account_name"] == [
        "Another miner of this account has this name."
    ]
    assert Miner.objects.count() == 1
    assert not Wallet.objects.exists()


def test_a_name_of_another_kind_account_or_environment_is_free(client, account, other_account):
    HubFactory(account=account, name="one")
    MinerFactory(account=other_account, name="one")
    MinerFactory(account=account, environment="staging", name="one")
    assert post(client, account_name="one").status_code == 201


@pytest.mark.parametrize("name", ["", " ", "x" * 121, "two\nlines", "\u202eback", "a\0b", None, ["list"]])
def test_what_is_no_name_is_refused(client, name):
    assert "account_name" in errors(post(client, account_name=name))


def test_a_missing_an_unknown_and_a_misplaced_field_are_named(client):
    assert "account_name" in errors(post(client))
    assert list(errors(post(client, account_name="one", id="x", account="y"))) == ["id", "account"]
    assert "pool" in errors(post(client, account_name="one", pool="rubbish"))
    assert post(client, f"{MINERS}?limit=1", account_name="one").status_code == 400
    assert not Miner.objects.exists()


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_ten_clients_that_want_one_name_make_one_miner(api, issue_key):
    _, secret = issue_key("administrator")
    answers = []

    def run():
        try:
            answers.append(post(api(secret), account_name="quiet-basalt-42"))
        finally:
            connection.close()

    threads = [Thread(target=run) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [201] + [400] * 9
    assert (Miner.objects.count(), Wallet.objects.count()) == (1, 1)


# Changes


def test_a_name_and_a_minimum_payout_are_changed(client, account):
    miner = MinerFactory(account=account, name="one")
    answer = patch(client, miner, name="two", minimum_payout="0.005")
    assert answer.status_code == 200, answer.content
    assert (answer.json()["name"], answer.json()["minimum_payout"]) == ("two", "0.00500000")
    assert client.get(f"{MINERS}/{miner.pk}").json() == answer.json()
    event = AuditEvent.objects.get(action="miner.changed")
    assert (event.account, event.target_id) == (account, str(miner.pk))
    assert event.data["changes"] == {
        "name": {"from": "one", "to": "two"},
        "minimum_payout": {"from": None, "to": "0.00500000"},
    }


def test_a_minimum_payout_goes_back_to_the_pools(client, account):
    miner = MinerFactory(account=account, minimum_payout="0.5")
    assert patch(client, miner, minimum_payout=None).json()["minimum_payout"] is None
    miner.refresh_from_db()
    assert miner.minimum_payout is None


def test_what_stays_as_it_is_leaves_no_trace(client, account):
    miner = MinerFactory(account=account, name="one", minimum_payout="0.5")
    for body in ({}, {"name": "one"}, {"minimum_payout": "0.50"}):
        assert patch(client, miner, **body).status_code == 200
    assert not AuditEvent.objects.filter(action="miner.changed").exists()


@pytest.mark.parametrize("amount", ["-0.00000001", "NaN", "Infinity", "0.000000001", "1e17", "much", "", []])
def test_what_is_no_amount_is_refused(client, account, amount):
    assert "minimum_payout" in errors(patch(client, MinerFactory(account=account), minimum_payout=amount))


def test_another_miners_name_is_refused(client, account):
    miner, other = MinerFactory.create_batch(2, account=account)
    assert "name" in errors(patch(client, miner, name=other.name, minimum_payout="1"))
    miner.refresh_from_db()
    assert miner.minimum_payout is None


def test_every_other_field_is_unknown(client, account):
    miner = MinerFactory(account=account)
    for field in ("id", "account", "environment", "kind", "pool", "created_at", "wallets"):
        assert list(errors(patch(client, miner, **{field: "x"}))) == [field]


def test_a_read_only_scope_under_an_administrator_key_changes_nothing(client_of, account):
    miner = MinerFactory(account=account, name="one")
    answer = patch(client_of("read:miners/*"), miner, name="two")
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
    assert "settings:write" in answer.json()["detail"]
    assert Miner.objects.get().name == "one"


def test_a_hubs_key_does_not_change_its_clients_settings(client, account, other_account):
    miner = MinerFactory(account=other_account, name="one")
    HubClientFactory(hub=HubFactory(account=account), miner=miner)
    answer = patch(client, miner, name="two")
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
    assert "the account that owns it" in answer.json()["detail"]
    assert Miner.objects.get(pk=miner.pk).name == "one"


def test_a_miner_out_of_reach_is_not_there(client, other_account):
    assert patch(client, MinerFactory(account=other_account), name="two").status_code == 404


def test_only_keys_that_see_settings_are_told_the_minimum_payout(api, issue_key, account):
    miner = MinerFactory(account=account, minimum_payout="0.5")
    for level, told in [("viewer", None), ("treasurer", None), ("administrator", "0.50000000")]:
        _, secret = issue_key(level)
        assert api(secret).get(f"{MINERS}/{miner.pk}").json()["minimum_payout"] == told


# Names


def test_a_chance_name_makes_a_miner(client):
    name = client.get("/api/v1/workers/random-name").json()["name"]
    assert post(client, account_name=name).json()["name"] == name


def test_a_name_that_a_miner_has_is_not_proposed(account, monkeypatch):
    MinerFactory(account=account, name="quiet-basalt-42")
    proposed = iter(["quiet-basalt-42"] * 20 + ["bold-otter-7"] * 20)
    monkeypatch.setattr(names, "_random_name", lambda: next(proposed))
    assert names.random_miner_name(account.pk, "production") == "bold-otter-7"


def test_chance_names_differ(account):
    assert len({names.random_miner_name(account.pk, "production") for _ in range(50)}) >= 48
