"""Support keys in the staff admin: registered without an echo, listed by their last use, stopped like other keys."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone

from accounts.models import Account, AuditEvent
from apikeys import lifecycle
from apikeys.models import ApiKey, ApiKeySecret, SupportKey
from tests.conftest import COMMAND
from tests.factories import AccountFactory, MinerFactory
from tests.people import fresh_code

OLD = "zq-7Kd93jsLq02x-Export"
LIST = "/admin/apikeys/supportkey/"
SECRET = re.compile(r"ph_(?:live|stg|dev)_[0-9A-Za-z]{61}")


@pytest.fixture
def client(staff, sign_in_as):
    return sign_in_as(staff)


@pytest.fixture
def miner(account):
    return MinerFactory(account=account)


@pytest.fixture
def fill(client, staff, account, miner):
    """What a filled-in form posts, and where."""

    def fill(action, **fields):
        url = f"{LIST}{action}/?account={account.pk}&environment=production"
        form = {
            "name": "Old ERP export",
            "access_level": "accountant",
            "picked_ids": str(miner.pk),
            "expires_in_days": "",
            "allowed_cidrs": "",
            "nonce": client.get(url).context["form"]["nonce"].value(),
            "code": fresh_code(staff),
            **({"old_key": OLD} if action == "register" else {}),
        }
        return url, {**form, **fields}

    return fill


def test_an_old_key_is_registered_and_never_echoed(client, fill, api, miner):
    url, form = fill("register", allowed_cidrs="127.0.0.0/8", expires_in_days="30")
    answer = client.post(url, form, follow=True)
    key = SupportKey.objects.get()
    page = answer.content.decode()
    assert answer.redirect_chain == [(f"{LIST}{key.pk}/change/", 302)]
    assert "is registered" in page
    assert "zq-7••••" in page
    assert OLD[4:10] not in page
    assert key.scopes.get().entity == miner
    assert (key.access_level, key.allowed_cidrs) == ("accountant", ["127.0.0.0/8"])
    assert timedelta(days=29) < key.expires_at - timezone.now() < timedelta(days=31)
    assert api(OLD).get("/api/v1/key").json()["id"] == key.key_id
    event = AuditEvent.objects.get(action="support_key.registered")
    assert (event.via, event.actor.is_staff) == ("admin", True)

    again = client.post(url, form)
    assert "created already" in again.content.decode()
    assert "secret was shown" not in again.content.decode()
    assert OLD not in str(dict(client.session))
    assert SupportKey.objects.count() == 1


def test_a_support_key_is_issued_and_shown_once(client, fill, api):
    url, form = fill("issue")
    shown = client.post(url, form)
    assert "no-store" in shown["Cache-Control"]
    (secret,) = SECRET.findall(shown.content.decode())
    key = SupportKey.objects.get()
    assert f'action="{LIST}{key.pk}/change/"' in shown.content.decode()
    assert api(secret).get("/api/v1/key").status_code == 200
    again = client.post(url, form).content.decode()
    assert "created already" in again
    assert not SECRET.search(again)


@pytest.mark.parametrize(
    ("fields", "at", "said"),
    [
        ({"old_key": "short"}, "old_key", "5 characters"),
        ({"old_key": ""}, "old_key", "Paste"),
        ({"old_key": f" {OLD}"}, "old_key", "blank"),
        ({"old_key": "ph_live_0123456789"}, "old_key", "key of this service"),
        ({"old_key": "пароль-пароль-пароль"}, "old_key", "printable ASCII"),
        ({"old_key": "x" * 16}, "old_key", "guess"),
        ({"old_key": "nul\0nul0123456789abc"}, "old_key", "ull"),
        ({"old_key": "0123456789abcdef" * 10_000}, "old_key", "160000 characters"),
        ({"picked_ids": ""}, "picked", "Pick at least one"),
        ({"picked_ids": "", "everything": ["miner"]}, "picked", "Pick at least one"),
        ({"picked_ids": "miner-1"}, "picked_ids", "no ID"),
        ({"access_level": "custom"}, "access_level", "valid choice"),
        ({"name": ""}, "name", "name"),
        ({"allowed_cidrs": "10.0.0.1/8"}, "allowed_cidrs", "host bits"),
        ({"code": "000000"}, "code", ""),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_costs_no_code(client, staff, fill, fields, at, said):
    url, form = fill("register", **fields)
    answer = client.post(url, form)
    errors = answer.context["form"].errors
    assert list(errors) == [at]
    assert said in str(errors[at])
    assert not SupportKey.objects.exists()
    assert OLD not in answer.content.decode()
    if at != "code":
        _, right = fill("register")
        client.post(url, {**right, "code": form["code"], "nonce": form["nonce"]})
        assert SupportKey.objects.exists()


def test_a_string_that_is_registered_already_is_named_before_a_code_is_spent(client, fill, register_key, miner):
    key = register_key(OLD, [miner])
    url, form = fill("register")
    errors = client.post(url, form).context["form"].errors
    assert key.key_id in str(errors["old_key"])
    assert SupportKey.objects.count() == 1


def test_neither_custom_roles_nor_the_account_s_limits_are_offered(client, fill, make_role):
    Account.objects.update(max_lifetime_days=90, max_active_keys=1)
    make_role("stats:read", name="Billing")
    url, form = fill("register")
    page = client.get(url)
    assert "Billing" not in page.content.decode()
    assert "everything" not in page.context["form"].fields
    assert not page.context["form"].fields["expires_in_days"].required
    assert client.post(url, form).status_code == 302


def test_the_form_begins_with_account_and_environment_and_leads_to_the_set_up(client):
    bare = AccountFactory()
    for action in ("register", "issue"):
        assert "environment" in client.get(f"{LIST}{action}/").context["form"].fields
        assert client.get(f"{LIST}{action}/?account=x&environment=y").status_code == 200
        answer = client.get(f"{LIST}{action}/?account={bare.pk}&environment=production")
        assert answer["Location"] == f"/admin/accounts/account/{bare.pk}/bootstrap/"


# The list that drives their retirement


@pytest.fixture
def world(register_key, miner):
    """Four keys: used yesterday, used long ago, never used, revoked."""
    now = timezone.now()
    uses = {"Daily": now - timedelta(days=1), "Stale": now - timedelta(days=100), "Silent": None, "Ended": now}
    for number, (name, used_at) in enumerate(uses.items()):
        key = register_key(f"old-key-number-{number:04}", [miner], name=name)
        ApiKeySecret.objects.filter(key=key).update(last_used_at=used_at, last_used_address="198.51.100.9")
        SupportKey.objects.filter(pk=key.pk).update(last_used_at=used_at)
        if name == "Ended":
            lifecycle.revoke(key, actor=COMMAND, reason="unneeded")
    return {key.name: key for key in SupportKey.objects.all()}


def names(client, query=""):
    answer = client.get(f"{LIST}?{query}")
    assert answer.status_code == 200
    return [key.name for key in answer.context["cl"].result_list]


def test_the_list_says_how_many_are_in_use_and_puts_them_first(client, world, issue_key):
    issue_key(name="An owner's own")
    page = client.get(LIST).content.decode()
    assert "<strong>1 of 3 support keys is still in use</strong>" in page
    assert names(client) == ["Daily", "Stale", "Silent"]
    assert page.count("Still in use</span>") == 1
    assert "old-••••" in page
    assert "old-key" not in page


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("use=current", ["Daily"]),
        ("use=unused", ["Stale"]),
        ("use=never", ["Silent"]),
        ("status=revoked", ["Ended"]),
        ("status=active", ["Daily", "Stale", "Silent"]),
        ("use=current&status=revoked", ["Ended"]),
        ("q=daily", ["Daily"]),
        ("q=nobody", []),
        ("o=0", ["Daily", "Silent", "Stale"]),
        ("o=-5", ["Silent", "Stale", "Daily"]),
        ("account=northfold", ["Daily", "Stale", "Silent"]),
        ("use=nonsense&status=nonsense", ["Daily", "Stale", "Silent"]),
    ],
)
def test_the_list_is_filtered_searched_and_sorted(client, world, query, expected):
    assert names(client, query) == expected


def test_an_empty_list_says_so(client):
    assert "No support keys are left" in client.get(LIST).content.decode()


def test_a_longer_list_costs_no_more_queries(client, register_key, miner, django_assert_max_num_queries):
    register_key("old-key-number-0001", [miner])
    client.get(LIST)
    with django_assert_max_num_queries(20) as few:
        client.get(LIST)
    for number in range(2, 6):
        register_key(f"old-key-number-{number:04}", [miner])
    with django_assert_max_num_queries(len(few)):
        client.get(LIST)


@pytest.mark.parametrize("query", ["secrets__lookup=a", "secrets__argon2__startswith=argon2", "secrets__hint=zq-7"])
def test_the_list_can_t_be_probed(client, world, query):
    assert client.get(f"{LIST}?{query}").status_code == 400
    assert names(client, "q=argon2") == names(client, "q=old-key") == []


def test_the_page_of_a_key_says_what_there_is_and_no_hash(client, world):
    key = world["Daily"]
    secret = key.secrets.get()
    page = client.get(f"{LIST}{key.pk}/change/").content.decode()
    for text in (key.key_id, "198.51.100.9", "support_key.registered", "1 miner"):
        assert text in page
    for text in (secret.argon2[-20:], bytes(secret.lookup).hex(), secret.selector, 'name="_save"'):
        assert text not in page
    assert "No longer needed" in client.get(f"{LIST}{world['Ended'].pk}/change/").content.decode()


def test_it_is_stopped_and_started_as_other_keys_are(client, staff, world):
    key = world["Daily"]
    page, actions = f"{LIST}{key.pk}/change/", f"{LIST}{key.pk}"
    assert f'href="{actions}/disable/"' in client.get(page).content.decode()
    assert client.post(f"{actions}/disable/", {"note": "Nobody knows it"})["Location"] == page
    assert f'href="{actions}/enable/"' in client.get(page).content.decode()
    nonce = client.get(f"{actions}/revoke/").context["form"]["nonce"].value()
    form = {"reason": "unneeded", "note": "", "nonce": nonce, "code": fresh_code(staff)}
    assert client.post(f"{actions}/revoke/", form)["Location"] == page
    assert ApiKey.every.get(pk=key.pk).revoke_reason == "unneeded"
    assert f"{actions}/revoke/" not in client.get(page).content.decode()


def test_other_sections_of_keys_don_t_list_it(client, world):
    for section in ("activekey", "revokedkey"):
        assert len(client.get(f"/admin/apikeys/{section}/").context["cl"].result_list) == 0


@pytest.mark.parametrize(
    ("group", "makes", "revokes", "disables"),
    [("support", False, False, True), ("security", False, True, True), ("administrators", True, True, True)],
)
def test_staff_see_what_their_role_lets_them_do(staff, sign_in_as, world, fill, group, makes, revokes, disables):
    url, form = fill("register", old_key="another-old-key-01")
    staff.is_superuser = False
    staff.save()
    staff.groups.add(Group.objects.get(name=group))
    client = sign_in_as(staff)
    assert ("/register/" in client.get(LIST).content.decode()) is makes
    page = client.get(f"{LIST}{world['Daily'].pk}/change/").content.decode()
    assert ("/revoke/" in page, "/disable/" in page) == (revokes, disables)
    for action in ("register", "issue"):
        assert client.get(f"{LIST}{action}/").status_code == (200 if makes else 403)
    assert client.post(url, form).status_code == (302 if makes else 403)
    assert client.get(f"{LIST}add/").status_code == (302 if makes else 403)
    assert client.post(f"{LIST}{world['Daily'].pk}/change/", {"name": "x"}).status_code == 403


@pytest.mark.parametrize("operation", ["edit", "rotate", "regenerate", "end-overlap", "revoke"])
def test_the_pages_of_other_keys_don_t_take_one(client, register_key, miner, operation):
    key = register_key(OLD, [miner])
    for method in (client.get, client.post):
        assert method(f"/admin/apikeys/activekey/{key.pk}/{operation}/").status_code == 404


def test_the_pages_of_support_keys_don_t_take_another(client, issue_key):
    key, _ = issue_key()
    assert client.get(f"{LIST}{key.pk}/revoke/").status_code == 404


def test_a_secret_typed_into_the_search_of_the_list_is_not_searched_for(client, issue_key):
    _, secret = issue_key()
    answer = client.get(LIST, {"q": secret})
    assert (answer.status_code, answer["Location"]) == (302, "/admin/apikeys/activekey/find/")


def test_one_is_enabled_again_where_the_account_has_all_the_keys_it_may_have(
    client, staff, account, issue_key, register_key, miner
):
    key = register_key(OLD, [miner])
    lifecycle.disable(key, actor=COMMAND)
    issue_key()
    Account.objects.filter(pk=account.pk).update(max_active_keys=1)
    url = f"{LIST}{key.pk}/enable/"
    client.post(url, {"nonce": client.get(url).context["form"]["nonce"].value(), "code": fresh_code(staff), "note": ""})
    key.refresh_from_db()
    assert key.disabled_at is None
