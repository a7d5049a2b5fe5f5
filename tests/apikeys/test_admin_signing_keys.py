"""Signing keys in the staff admin: the versions with support keys, a new one, and the panic button."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group

from accounts.models import AuditEvent
from apikeys import signing
from apikeys.models import ApiKey, SigningKey
from tests.conftest import COMMAND
from tests.factories import AccountFactory, MinerFactory
from tests.people import fresh_code

PATH = "/api/v1/miners"


@pytest.fixture
def client(staff, sign_in_as):
    return sign_in_as(staff)


@pytest.fixture
def pages(account):
    return f"/admin/accounts/account/{account.pk}/signing-keys/"


@pytest.fixture
def support_key(account, issue_key):
    key, secret = issue_key(name="old partner key")
    ApiKey.objects.filter(pk=key.pk).update(support=True)
    return secret


@pytest.fixture
def confirm(client, staff):
    def send(url, **fields):
        nonce = client.get(url).context["form"]["nonce"].value()
        return client.post(url, {"nonce": nonce, "reason": "Laptop lost", "code": fresh_code(staff), **fields})

    return send


def test_the_list_counts_support_keys_and_the_owners_list_does_not(
    client, pages, account, issue_key, support_key, sign_in_as, owner
):
    issue_key()
    [row] = client.get(pages).context["versions"]
    assert (row.version, row.live_keys, row.live_secrets) == (1, 2, 2)
    [row] = sign_in_as(owner).get("/a/northfold/settings/signing-keys/").context["versions"]
    assert (row.live_keys, row.live_secrets) == (1, 1)


def test_no_page_shows_how_a_key_is_wrapped(client, pages, account, issue_key):
    issue_key()
    wrapped = bytes(account.signing_keys.get().wrapped)
    for path in ("", "rotate/", "1/retire/"):
        page = client.get(pages + path).content
        assert wrapped not in page
        assert wrapped.hex().encode() not in page


def test_a_rotation_makes_a_version_and_stops_nothing(confirm, pages, account, staff, issue_key, api):
    MinerFactory(account=account)
    _, secret = issue_key()
    assert confirm(f"{pages}rotate/")["Location"] == pages
    assert signing.current_signing_key(account).version == 2
    assert api(secret).get(PATH).status_code == 200
    event = AuditEvent.objects.get(action="signing_key.rotated")
    assert (event.actor, event.via, event.data) == (staff, "admin", {"version": 2, "note": "Laptop lost"})


def test_retiring_says_what_stops_and_stops_support_keys_as_well(
    client, confirm, pages, account, staff, issue_key, support_key, api
):
    MinerFactory(account=account)
    _, secret = issue_key(name="plain key")
    url = f"{pages}1/retire/"
    shown = client.get(url)
    assert (shown.context["stopping_count"], shown.context["support_count"]) == (2, 1)
    for name in ("plain key", "old partner key"):
        assert name in shown.content.decode()
    assert confirm(url, typed="northfold")["Location"] == pages
    assert [api(each).get(PATH).status_code for each in (secret, support_key)] == [401, 401]
    event = AuditEvent.objects.get(action="signing_key.retired")
    assert (event.actor, event.data["secrets_stopped"], event.data["note"]) == (staff, 2, "Laptop lost")
    assert event.data["keys_stopped"] == 1  # what owners read, who don't see support keys
    assert client.get(url)["Location"] == pages


@pytest.mark.parametrize(
    ("fields", "at"),
    [({"typed": "borealis"}, "typed"), ({"typed": "northfold", "reason": " "}, "reason"), ({"code": "000000"}, "code")],
)
def test_without_the_word_a_reason_and_a_code_nothing_stops(confirm, pages, account, fields, at):
    answer = confirm(f"{pages}1/retire/", **{"typed": "northfold", **fields})
    assert at in answer.context["form"].errors
    assert SigningKey.objects.filter(account=account, retired_at=None).count() == 1


def test_support_looks_and_security_retires_but_does_not_rotate(client, pages, account, staff):
    for group, rotates, retires in (("support", 403, 403), ("security", 403, 200), ("administrators", 200, 200)):
        staff.is_superuser = False
        staff.save()
        staff.groups.set([Group.objects.get(name=group)])
        page = client.get(pages)
        assert page.status_code == 200
        assert ("1/retire/" in page.content.decode()) is (retires == 200)
        assert client.get(f"{pages}rotate/").status_code == rotates
        assert client.get(f"{pages}1/retire/").status_code == retires


def test_unknown_versions_and_accounts_that_are_not_set_up(client, pages, account):
    assert client.get(f"{pages}7/retire/").status_code == 404
    assert client.get(f"{pages}{'9' * 30}/retire/").status_code == 404
    bare = f"/admin/accounts/account/{AccountFactory().pk}/signing-keys/"
    assert "None yet" in client.get(bare).content.decode()
    assert client.get(f"{bare}rotate/")["Location"] == bare


def test_a_retired_version_stops_being_offered(client, pages, account):
    signing.retire(signing.current_signing_key(account), actor=COMMAND)
    text = client.get(pages).content.decode()
    assert "1/retire/" not in text
    assert "2/retire/" in text
