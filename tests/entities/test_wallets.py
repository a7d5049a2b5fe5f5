"""``/wallets``: where payouts go, and who may send them elsewhere."""

import pytest
from embit import base58

from accounts.models import AuditEvent
from entities.models import Payout
from tests.entities.test_miners import pay
from tests.factories import HubClientFactory, HubFactory, MinerFactory, WalletFactory

ADDRESS = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
OTHER = "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2"
TEST_ADDRESS = "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx"


@pytest.fixture
def wallet(account):
    return WalletFactory(entity=MinerFactory(account=account))


@pytest.fixture
def client(api, issue_key):
    _, secret = issue_key("administrator")
    return api(secret)


def set_address(client, wallet, address=ADDRESS, mount="", **more):
    return client.post(f"{mount}/api/v1/wallets/{wallet.pk}/addresses", {"address": address, **more}, format="json")


def refusal(answer):
    assert answer.status_code == 400, answer.content
    [sentence] = answer.json()["errors"]["address"]
    return sentence


def test_a_wallet_shows_whose_it_is_and_where_it_pays(read, wallet):
    wallet.address = ADDRESS
    wallet.save()
    shown = {"id": str(wallet.pk), "entity": str(wallet.entity_id), "coin": "BTC", "address": ADDRESS}
    assert read(f"wallets/{wallet.pk}") == shown
    assert read(f"miners/{wallet.entity_id}/wallets")["data"] == [shown]


def test_a_hubs_wallet_is_there_too(read, client, account, other_account):
    wallet = WalletFactory(entity=HubFactory(account=account))
    assert read(f"wallets/{wallet.pk}")["entity"] == str(wallet.entity_id)
    assert set_address(client, wallet).status_code == 201
    read(f"wallets/{WalletFactory(entity=HubFactory(account=other_account)).pk}", status=404)


@pytest.mark.parametrize("form", [True, False], ids=["form", "json"])
def test_an_address_is_set_by_json_or_form(client, wallet, form):
    url = f"/api/v1/wallets/{wallet.pk}/addresses"
    if form:
        answer = client.post(url, f"address={ADDRESS}", content_type="application/x-www-form-urlencoded")
    else:
        answer = client.post(url, {"address": ADDRESS}, format="json")
    assert answer.status_code == 201, answer.content
    assert answer.json() == {
        "id": str(wallet.pk), "entity": str(wallet.entity_id), "coin": "BTC", "address": ADDRESS,
    }  # fmt: skip
    wallet.refresh_from_db()
    assert wallet.address == ADDRESS


def test_the_audit_trail_holds_the_old_and_the_new_address(client, wallet, account):
    for address in (ADDRESS, OTHER, OTHER):
        assert set_address(client, wallet, address).status_code == 201
    first, second = AuditEvent.objects.filter(action="wallet.changed").order_by("at", "pk")
    assert [event.data["changes"]["address"] for event in (first, second)] == [
        {"from": "", "to": ADDRESS},
        {"from": ADDRESS, "to": OTHER},
    ]
    assert (second.account, second.target_id) == (account, str(wallet.pk))
    assert (second.data["entity"], second.data["coin"]) == (str(wallet.entity_id), "BTC")


def test_the_account_s_owners_are_told_by_mail(
    client, wallet, owner, member, outsider, mailoutbox, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        set_address(client, wallet, ADDRESS)
        set_address(client, wallet, ADDRESS)
    [message] = mailoutbox
    assert message.to == [owner.email]
    assert ADDRESS in message.body
    assert wallet.entity.name in message.body


def test_a_refused_address_is_no_news(client, wallet, owner, mailoutbox, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        set_address(client, wallet, ADDRESS[:-1])
    assert mailoutbox == []


def test_past_payouts_keep_their_address(client, wallet):
    wallet.address = OTHER
    wallet.save()
    pay(wallet.entity, "1")
    set_address(client, wallet)
    assert Payout.objects.get().address == OTHER


def test_a_mistyped_address_is_refused_and_changes_nothing(client, wallet):
    assert "mistyped" in refusal(set_address(client, wallet, ADDRESS.replace("w508", "w580")))
    assert "Litecoin" in refusal(set_address(client, wallet, base58.encode_check(b"\x30" + bytes(20))))
    wallet.refresh_from_db()
    assert wallet.address == ""
    assert not AuditEvent.objects.filter(action="wallet.changed").exists()


@pytest.mark.parametrize("address", ["", " ", None, [], {}, "x" * 121, "a\0b"])
def test_what_is_no_text_is_refused(client, wallet, address):
    refusal(set_address(client, wallet, address))


def test_a_missing_and_an_unknown_field_are_named(client, wallet):
    url = f"/api/v1/wallets/{wallet.pk}/addresses"
    assert list(client.post(url, {}, format="json").json()["errors"]) == ["address"]
    assert list(set_address(client, wallet, coin="LTC").json()["errors"]) == ["coin"]


def test_test_networks_are_for_other_environments_or_where_the_settings_say_so(
    api, issue_key, client, wallet, account, settings
):
    assert "test network" in refusal(set_address(client, wallet, TEST_ADDRESS))
    settings.PITHEAD_TEST_COINS_IN_PRODUCTION = True
    assert set_address(client, wallet, TEST_ADDRESS).status_code == 201
    settings.PITHEAD_TEST_COINS_IN_PRODUCTION = False
    for environment in ("staging", "development"):
        staged = WalletFactory(entity=MinerFactory(account=account, environment=environment))
        _, secret = issue_key("administrator", environment=environment)
        for address in (TEST_ADDRESS, ADDRESS):
            assert set_address(api(secret), staged, address, f"/{environment}").status_code == 201


def test_a_hubs_key_sees_its_clients_wallet_and_does_not_change_it(client, read, account, other_account):
    miner = MinerFactory(account=other_account)
    HubClientFactory(hub=HubFactory(account=account), miner=miner)
    wallet = WalletFactory(entity=miner, address=OTHER)
    assert read(f"wallets/{wallet.pk}")["address"] == OTHER
    answer = set_address(client, wallet)
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
    wallet.refresh_from_db()
    assert wallet.address == OTHER


@pytest.mark.parametrize("scope", ["read:miners/*", "write:miners/*", "read:*"])
def test_a_scope_short_of_admin_changes_no_address(api, issue_key, wallet, scope):
    _, secret = issue_key("administrator", [scope, f"read:miners/{wallet.entity_id}"])
    answer = set_address(api(secret), wallet)
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
    wallet.refresh_from_db()
    assert wallet.address == ""


@pytest.mark.parametrize("level", ["viewer", "accountant", "treasurer"])
def test_a_lesser_level_neither_sees_nor_changes_an_address(api, issue_key, wallet, level):
    _, secret = issue_key(level)
    assert api(secret).get(f"/api/v1/wallets/{wallet.pk}").json()["permission"] == "settings:read"
    assert set_address(api(secret), wallet).json()["permission"] == "settings:write"
