"""Addresses of the staff admin that lead nowhere, and forms that were sent too early, say what to do instead."""

from __future__ import annotations

import logging

import pytest
from django.contrib.auth.models import Group

from tests.apikeys.admin_pages import KEYS
from tests.conftest import person
from tests.factories import MinerFactory

SUPPORT_KEYS = "/admin/apikeys/supportkey/"


@pytest.fixture
def client(staff, sign_in_as):
    return sign_in_as(staff)


@pytest.fixture
def administrator(db):
    user = person(None, "Astrid")
    user.is_staff = True
    user.save()
    user.groups.add(Group.objects.get(name="administrators"))
    return user


def test_continue_without_an_account_says_that_one_is_needed(client, account):
    miner = MinerFactory(account=account)
    for url, field in {
        f"/admin/entities/miner/{miner.pk}/transfer/": "to",
        "/admin/apikeys/role/add/": "account",
        f"{KEYS}add/": "account",
        f"{SUPPORT_KEYS}issue/": "account",
    }.items():
        page = client.get(url)
        assert not page.context["form"].errors, url
        assert 'name="continue"' in page.content.decode()
        sent = client.get(f"{url}?continue=1&environment=production")
        assert sent.context["form"].errors == {field: ["Choose an account."]}, url


def test_the_address_of_a_button_says_to_press_it(client, owner):
    for url in (f"/admin/accounts/user/{owner.pk}/sign-out/", "/admin/accounts/auditevent/export/", "/admin/logout/"):
        answer = client.get(url)
        assert (answer.status_code, answer["Allow"]) == (405, "POST")
        assert "Press the button instead" in answer.content.decode()


def test_adding_a_support_key_leads_to_the_two_ways_to_make_one(client, administrator, sign_in_as):
    for browser in (client, sign_in_as(administrator)):
        page = browser.get(f"{SUPPORT_KEYS}add/", follow=True)
        assert page.redirect_chain == [(SUPPORT_KEYS, 302)]
        assert "Register a key that support once handed out, or issue a new one" in page.content.decode()


def test_a_superuser_is_not_sent_to_a_superuser(client, account, administrator, sign_in_as):
    for url in ("/admin/apikeys/revokedkey/add/", f"/admin/accounts/account/{account.pk}/delete/"):
        refused = client.get(url)
        assert refused.status_code == 403
        assert "Nobody does that here" in refused.content.decode()
        assert "Ask a superuser" in sign_in_as(administrator).get(url).content.decode()


@pytest.mark.parametrize(
    "address",
    [
        f"{KEYS}?status=%00",
        f"{KEYS}?account=%00",
        "/admin/entities/hubclient/?hub=%00",
        "/admin/accounts/user/?group=%00",
        "/admin/accounts/auditevent/?action=%00",
    ],
)
def test_a_nul_in_a_filter_is_a_bad_request_and_no_traceback(client, caplog, address):
    with caplog.at_level(logging.WARNING):
        answer = client.get(address)
    assert answer.status_code == 400
    assert "We could not read that request" in answer.content.decode()
    assert not [record for record in caplog.records if record.exc_info]


def test_who_probes_columns_stands_in_the_log(client, caplog):
    assert client.get(f"{KEYS}?secrets__digest__startswith=a").status_code == 400
    assert "django.security.DisallowedModelAdminLookup" in {record.name for record in caplog.records}


def test_the_index_leads_to_the_import_who_may(client, owner, sign_in_as):
    link = 'href="/admin/entities/entity/import/"'
    assert link in client.get("/admin/").content.decode()
    support = person(None, "Sven")
    support.is_staff = True
    support.save()
    support.groups.add(Group.objects.get(name="support"))
    assert link not in sign_in_as(support).get("/admin/").content.decode()


def test_a_path_outside_the_api_is_said_to_be_no_part_of_it(client, issue_key):
    key, _ = issue_key()
    page = client.post(f"{KEYS}explain/", {"key": key.key_id, "method": "GET", "path": "/"}).content.decode()
    assert "Not part of the API" in page
    assert "No key needed" not in page
