"""The one-time set-up of an account."""

from __future__ import annotations

import pytest

from accounts.models import Account, AuditEvent
from apikeys import signing
from apikeys.models import SigningKey
from tests.conftest import person
from tests.people import fresh_code

PATH = "/a/kestrel/access/api-keys/"


@pytest.fixture
def fresh_account(db):
    return Account.objects.create(name="Kestrel Test Farm", slug="kestrel")


@pytest.fixture
def kestrel_owner(fresh_account):
    return person(fresh_account, "Kim", is_owner=True, access_level="administrator")


def test_before_the_set_up_the_page_is_that_and_nothing_else(sign_in_as, kestrel_owner):
    client = sign_in_as(kestrel_owner)
    page = client.get(PATH).content.decode()
    assert "Set up API keys" in page
    assert "Create key" not in page
    assert client.get(f"{PATH}create/").status_code == 302


def test_a_code_sets_the_account_up_once(sign_in_as, kestrel_owner, fresh_account):
    client = sign_in_as(kestrel_owner)
    data = {"nonce": "n1", "code": fresh_code(kestrel_owner)}
    page = client.post(f"{PATH}set-up/", data, follow=True).content.decode()
    assert "No API keys yet" in page
    client.post(f"{PATH}set-up/", data)
    assert SigningKey.objects.filter(account=fresh_account).count() == 1
    assert AuditEvent.objects.filter(action="account.bootstrapped", account=fresh_account).count() == 1


def test_a_wrong_code_sets_nothing_up(sign_in_as, kestrel_owner, fresh_account):
    page = sign_in_as(kestrel_owner).post(f"{PATH}set-up/", {"nonce": "n1", "code": "12345"}).content.decode()
    assert "That code is not right" in page
    assert signing.current_signing_key(fresh_account) is None


def test_a_member_who_may_not_create_keys_is_told_whom_to_ask(sign_in_as, fresh_account):
    viewer = person(fresh_account, "Vera", access_level="viewer", can_view_keys=True)
    client = sign_in_as(viewer)
    assert "Ask an owner of Kestrel Test Farm" in client.get(PATH).content.decode()
    assert client.post(f"{PATH}set-up/", {"nonce": "n1", "code": fresh_code(viewer)}).status_code == 403
    assert signing.current_signing_key(fresh_account) is None
