"""Creating a key in the owner's pages."""

from __future__ import annotations

import re

import pytest
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts.models import AuditEvent, Membership
from apikeys.models import ApiKey
from tests.factories import HubClientFactory, HubFactory, MinerFactory
from tests.people import code_of, fresh_code
from tests.web.conftest import KEYS

CREATE = f"{KEYS}create/"
SECRET = re.compile(r"ph_live_[0-9A-Za-z]{61}")


def secret_in(response) -> str:
    found = SECRET.findall(response.content.decode())
    assert len(found) == 1
    return found[0]


def test_the_answer_to_the_confirmed_post_holds_the_secret_once_and_is_not_stored(sign_in_as, owner, filled, api):
    client = sign_in_as(owner)
    response = client.post(CREATE, filled(owner))
    secret = secret_in(response)
    assert "no-store" in response["Cache-Control"]
    assert api(secret).get("/api/v1/key").status_code == 200
    key = ApiKey.objects.get()
    assert [str(scope) for scope in key.scopes.all()] == ["*:miners/*"]
    assert AuditEvent.objects.filter(action="key.issued", actor=owner, target_id=key.key_id).count() == 1
    assert secret not in str(dict(client.session.items()))


def test_the_same_form_sent_again_says_already_created_and_shows_no_secret(sign_in_as, owner, filled):
    client = sign_in_as(owner)
    data = filled(owner)
    client.post(CREATE, data)
    again = client.post(CREATE, data)
    assert again.status_code == 409
    assert "Already created: monitoring-bot" in again.content.decode()
    assert not SECRET.search(again.content.decode())
    assert ApiKey.objects.count() == 1


def test_whoever_missed_the_secret_is_led_to_another_one(sign_in_as, owner, member, filled):
    client = sign_in_as(owner)
    data = filled(owner)
    client.post(CREATE, data)
    again = client.post(CREATE, data).content.decode()
    assert f"{ApiKey.objects.get().key_id}/regenerate/" in again
    Membership.objects.filter(user=member).update(can_create_keys=True)
    client, data = sign_in_as(member), filled(member, access_level="viewer", name="mine")
    client.post(CREATE, data)
    again = client.post(CREATE, data).content.decode()
    assert "regenerate/" not in again
    assert "Revoke this key and create another one." in again


def test_everything_typed_survives_an_error_but_the_code(sign_in_as, owner, filled, miner):
    response = sign_in_as(owner).post(
        CREATE,
        filled(owner, name="", access_level="treasurer", miners_all="", miners=[str(miner.pk)], expires_in="30"),
    )
    page = response.content.decode()
    assert "Give the key a name." in page
    assert re.search(r'value="treasurer" checked', page)
    assert re.search(rf'value="{miner.pk}" checked', page)
    assert re.search(r'value="30"[^>]* checked', page)
    assert not ApiKey.objects.exists()


def test_a_typo_elsewhere_does_not_burn_the_code(sign_in_as, owner, filled):
    client = sign_in_as(owner)
    data = filled(owner, allowed_cidrs="10.0.0.0/8\nnonsense")
    assert "Line 2, “nonsense”" in client.post(CREATE, data).content.decode()
    assert secret_in(client.post(CREATE, {**data, "allowed_cidrs": "10.0.0.0/8"}))


def test_a_wrong_code_makes_no_key_and_is_said_beside_the_field(sign_in_as, owner, filled):
    right = filled(owner)["code"]
    wrong = "000000" if right != "000000" else "000001"
    page = sign_in_as(owner).post(CREATE, filled(owner, code=wrong)).content.decode()
    assert "That code is not right" in page
    assert not ApiKey.objects.exists()


def test_a_code_used_for_one_key_does_not_make_another(sign_in_as, owner, filled):
    client = sign_in_as(owner)
    data = filled(owner)
    client.post(CREATE, data)
    page = client.post(CREATE, {**data, "nonce": "another-page"}).content.decode()
    assert "That code was used already" in page
    assert ApiKey.objects.count() == 1


def test_a_form_without_its_nonce_asks_to_load_the_page_again(sign_in_as, owner, filled):
    page = sign_in_as(owner).post(CREATE, filled(owner, nonce="")).content.decode()
    assert "This page is out of date" in page
    assert not ApiKey.objects.exists()


def test_nobody_gives_a_key_more_than_they_have(sign_in_as, treasurer, filled):
    client = sign_in_as(treasurer)
    page = client.post(CREATE, filled(treasurer, access_level="administrator")).content.decode()
    assert "Your own access level is Treasurer" in page
    assert not ApiKey.objects.exists()
    assert "More than your own level, Treasurer." in client.get(CREATE).content.decode()


def test_a_hand_picked_miner_of_another_account_is_refused(sign_in_as, owner, filled, other_account):
    foreign = MinerFactory(account=other_account)
    page = sign_in_as(owner).post(CREATE, filled(owner, miners_all="", miners=[str(foreign.pk)])).content.decode()
    assert "not in this account and environment" in page
    assert not ApiKey.objects.exists()


def test_a_client_of_the_accounts_hub_can_be_picked(sign_in_as, owner, filled, account, other_account):
    client_miner = MinerFactory(account=other_account)
    HubClientFactory(hub=HubFactory(account=account), miner=client_miner)
    assert secret_in(sign_in_as(owner).post(CREATE, filled(owner, miners_all="", miners=[str(client_miner.pk)])))


@pytest.mark.parametrize(
    "change",
    [{"miners": ["not-an-id"], "miners_all": ""}, {"miners_all": ""}, {"expires_in": "7777"}, {"environment": "moon"}],
)
def test_bad_choices_are_errors_not_keys(sign_in_as, owner, filled, change):
    response = sign_in_as(owner).post(CREATE, filled(owner, **change))
    assert response.status_code == 200
    assert "No key was created" in response.content.decode()
    assert not ApiKey.objects.exists()


def test_an_account_that_is_full_is_told_before_the_form_is_filled_in(sign_in_as, owner, account, issue_key):
    full = "This account may have 1 active key. Revoke one that is no longer needed first."
    client = sign_in_as(owner)
    account.max_active_keys = 1
    account.save()
    assert full not in client.get(f"{KEYS}create/").content.decode()
    issue_key()
    assert full in client.get(f"{KEYS}create/").content.decode()


def test_a_preview_judges_nothing_and_spends_no_code(sign_in_as, owner, filled):
    client = sign_in_as(owner)
    data = filled(owner)
    page = client.post(CREATE, {**data, "name": "", "preview": "1"}).content.decode()
    assert "Give the key a name" not in page
    assert "For all miners, current and future" in page
    assert TOTPDevice.objects.get(user=owner).last_t == -1


def test_add_my_address_adds_the_clients_address_once(sign_in_as, owner, filled):
    client = sign_in_as(owner)
    data = filled(owner, add_my_address="1", allowed_cidrs="127.0.0.1\n198.51.100.0/24")
    page = client.post(CREATE, data, headers={"x-forwarded-for": "203.0.113.9"}).content.decode()
    assert "127.0.0.1\n198.51.100.0/24</textarea>" in page
    assert "203.0.113.9" not in page


def test_kinds_that_the_account_has_none_of_are_not_offered(sign_in_as, owner, miner):
    page = sign_in_as(owner).get(CREATE).content.decode()
    assert "id_miners_all" in page
    assert "id_hubs_all" not in page


def test_extra_fields_change_nothing_else(sign_in_as, owner, filled, other_account):
    extra = {
        "account": str(other_account.pk),
        "key_id": "key_chosen",
        "created_by_name": "Somebody",
        "revoked_at": "2020-01-01",
        "idempotency_key": "x",
    }
    sign_in_as(owner).post(CREATE, filled(owner, **extra))
    key = ApiKey.objects.get()
    assert key.account.slug == "northfold"
    assert key.key_id != "key_chosen"
    assert (key.created_by_name, key.revoked_at) == ("Olga", None)


def test_a_removed_member_is_refused_at_the_next_click(sign_in_as, treasurer, filled):
    client = sign_in_as(treasurer)
    assert client.get(CREATE).status_code == 200
    Membership.objects.filter(user=treasurer).delete()
    assert client.post(CREATE, filled(treasurer)).status_code == 404
    assert not ApiKey.objects.exists()


def test_a_page_with_thousands_of_miners_shows_only_the_first(
    sign_in_as, owner, account, django_assert_max_num_queries
):
    MinerFactory.create_batch(150, account=account)
    client = sign_in_as(owner)
    with django_assert_max_num_queries(20):
        page = client.get(CREATE).content.decode()
    assert page.count('name="miners"') == 60
    assert "90 more. Type to find them." in page
    assert len(page.encode()) < 60_000


def test_the_search_finds_without_javascript(sign_in_as, owner, account):
    MinerFactory.create_batch(70, account=account)
    MinerFactory(account=account, name="zz-last")
    page = sign_in_as(owner).post(CREATE, {"preview": "1", "find_miners": "ZZ-L"}).content.decode()
    assert page.count('name="miners"') == 1
    assert "zz-last" in page


def test_a_code_of_the_next_half_minute_is_accepted_within_the_tolerance(sign_in_as, owner, filled):
    fresh_code(owner)
    ahead = code_of(TOTPDevice.objects.get(user=owner), steps=1)
    assert secret_in(sign_in_as(owner).post(CREATE, filled(owner) | {"code": ahead}))
