"""The pages that explain a request, the owner's and the staff's: what they say to whom, and what to nobody."""

from __future__ import annotations

import html
import re
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group

from accounts.audit import Actor
from apikeys import explain, lifecycle
from apikeys.models import ApiKey
from tests.factories import MinerFactory
from tests.people import without_tokens
from tests.web.conftest import KEYS

COMMAND = Actor.for_command("tests")
STAFF_PAGE = "/admin/apikeys/activekey/explain/"


def words(response):
    """What stands on the page, without markup."""
    main = response.content.decode().partition("<main")[2] or response.content.decode()
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", re.sub(r"</?span[^>]*>", "", main))).split())


@pytest.fixture
def ask(owner, sign_in_as):
    """Ask the owner's page: ``ask(key, path="/api/v1/miners")``."""
    client = sign_in_as(owner)

    def ask(key, **typed):
        data = {"method": "GET", "path": "/api/v1/miners", "address": "", **typed}
        return client.post(f"{KEYS}{key.key_id}/explain/", data)

    return ask


@pytest.fixture
def ask_as_staff(staff, sign_in_as):
    client = sign_in_as(staff)

    def ask(**typed):
        return client.post(STAFF_PAGE, {"method": "GET", "path": "/api/v1/miners", **typed})

    return ask


def test_a_request_that_is_let_in_is_said_to_be(ask, issue_key):
    key, _ = issue_key()
    page = ask(key, address="203.0.113.7")
    assert "Allowed: the request is let in." in words(page)
    assert "The key has entities:read, which the route needs." in words(page)
    assert "no-store" in page["Cache-Control"]


def test_a_refused_one_names_the_rule_the_answer_and_what_helps(ask, issue_key):
    key, _ = issue_key()
    lifecycle.disable(key, actor=COMMAND)
    page = ask(key)
    text = words(page)
    assert "Refused with 401 Unauthorized. Switch the key on again." in text
    assert '"code": "key_disabled"' in text
    assert text.count("Not reached") >= 5
    assert f"{KEYS}{key.key_id}/enable/" in page.content.decode()


def test_who_may_not_change_keys_is_offered_no_page_for_it(member, sign_in_as, issue_key):
    key, _ = issue_key()
    lifecycle.disable(key, actor=COMMAND)
    page = sign_in_as(member).post(f"{KEYS}{key.key_id}/explain/", {"method": "GET", "path": "/api/v1/miners"})
    assert "Switch the key on again." in words(page)
    assert f"{KEYS}{key.key_id}/enable/" not in page.content.decode()


def test_another_account_s_entity_and_an_unknown_id_give_the_same_page(ask, issue_key, other_account):
    key, _ = issue_key("administrator")
    pages = []
    for pk in (MinerFactory(account=other_account).pk, uuid4()):
        page = without_tokens(ask(key, path=f"/api/v1/miners/{pk}"))
        assert "404 Not Found" in page
        pages.append(page.replace(str(pk), "ID"))
    assert pages[0] == pages[1]


def test_a_pasted_secret_is_told_from_others_and_never_comes_back(ask, issue_key, other_account):
    key, secret = issue_key()
    _, of_another = issue_key(name="another")
    _, foreign = issue_key(account=other_account)
    unknown = explain.key_format.generate("production", prefix="ph").text
    page = ask(key, secret=secret)
    assert "Right secret It is the secret that the selector stands for." in words(page)
    assert secret not in page.content.decode()
    refused = [without_tokens(ask(key, secret=text)) for text in (of_another, foreign, unknown, "nonsense")]
    assert len(set(refused)) == 1
    assert "This is no secret of “viewer key”." in html.unescape(refused[0])
    assert foreign not in refused[0]


def test_a_rotated_key_lets_one_choose_the_secret(ask, issue_key):
    key, _ = issue_key()
    old = key.secrets.get()
    lifecycle.regenerate(key, actor=COMMAND)
    assert "Allowed" in words(ask(key, which=str(key.secrets.exclude(pk=old.pk).get().pk)))
    assert "The secret was replaced" in words(ask(key, which=str(old.pk)))
    assert "Select a valid choice" in words(ask(key, which="999999"))


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ({"path": ""}, "Type the path that the program asks for."),
        ({"path": "/api/v1/miners/{miner_id}"}, "Put an ID in the place of {miner_id}."),
        ({"path": "http://["}, "That is no path."),
        ({"path": "/api/v1/\x00"}, "Null characters are not allowed."),
        ({"address": "203.0.113.700"}, "That is no IPv4 or IPv6 address."),
        ({"method": "BREW"}, "Select a valid choice."),
        ({"secret": "x" * 5000}, "Ensure this value has at most 4"),
    ],
)
def test_what_can_t_be_read_is_told_beside_its_field(ask, issue_key, typed, told):
    key, _ = issue_key()
    page = ask(key, **typed)
    assert page.status_code == 200
    assert told in words(page)


@pytest.mark.parametrize(
    "path", ["/", "/api/v1", "/%00", "/api/v1/miners/%00", "/api/v1/\u202e", "/api/v1/%ff", "x" * 2000]
)
def test_odd_paths_are_explained_and_crash_nothing(ask, issue_key, path):
    key, _ = issue_key()
    assert ask(key, path=path).status_code == 200


def test_a_refused_request_of_the_key_s_page_leads_to_its_explanation(owner, sign_in_as, issue_key, called):
    key, _ = issue_key()
    called(key, "/api/v1/miners/{miner_id}", status=404, code="not_found", address="203.0.113.7")
    called(key, "/api/v1/miners")
    called(key, "/api/v1/miners", status=400, code="invalid_request")
    client = sign_in_as(owner)
    page = client.get(f"{KEYS}{key.key_id}/").content.decode()
    (link,) = [html.unescape(link) for link in re.findall(r'href="([^"]*explain/\?[^"]*)"', page)]
    form = client.get(link).context["form"]
    assert form.initial == {"method": "GET", "path": "/api/v1/miners/{miner_id}", "address": "203.0.113.7"}


def test_a_support_key_is_explained_to_staff_alone(ask, ask_as_staff, issue_key):
    key, _ = issue_key()
    ApiKey.every.filter(pk=key.pk).update(support=True)
    assert ask(key).status_code == 404
    assert "Allowed" in words(ask_as_staff(key=key.key_id))


# Staff


def test_staff_paste_a_secret_and_learn_whose_it_is_and_never_see_it_again(ask_as_staff, issue_key):
    key, secret = issue_key()
    page = ask_as_staff(secret=f"  {secret}\n", address="203.0.113.7")
    assert key.key_id in words(page)
    assert "Allowed" in words(page)
    assert secret not in page.content.decode()
    assert "no-store" in page["Cache-Control"]


def test_staff_choose_a_key_and_are_led_to_what_helps(ask_as_staff, issue_key):
    key, _ = issue_key()
    lifecycle.disable(key, actor=COMMAND)
    page = ask_as_staff(key=key.key_id)
    assert "The program gets 401 Unauthorized." in words(page)
    assert f"/admin/apikeys/activekey/{key.pk}/enable/" in page.content.decode()


def test_support_staff_explain_and_are_offered_nothing_they_may_not(staff, ask_as_staff, issue_key):
    staff.is_superuser = False
    staff.save()
    staff.groups.set(Group.objects.filter(name="support"))
    key, _ = issue_key()
    lifecycle.disable(key, actor=COMMAND)
    page = ask_as_staff(key=key.key_id)
    assert "Refused" in words(page)
    assert "/enable/" not in page.content.decode()
    staff.groups.clear()
    assert ask_as_staff(key=key.key_id).status_code == 403


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ({}, "Paste a secret, or give a key’s ID."),
        ({"key": "key_nobody"}, "There is no key of this ID."),
        ({"secret": "nonsense"}, "It is no key: shape or checksum is wrong."),
        ({"secret": "nonsense", "path": "/"}, "This path is not the API’s"),
    ],
)
def test_staff_are_told_what_is_wrong_with_what_they_gave(ask_as_staff, account, typed, told):
    assert told in words(ask_as_staff(**typed))


def test_a_secret_of_another_key_than_the_chosen_one_is_told(ask_as_staff, issue_key):
    key, _ = issue_key()
    _, other = issue_key(name="another")
    assert "This is no secret of “viewer key”." in words(ask_as_staff(key=key.key_id, secret=other))


def test_a_link_fills_the_staff_s_form_in_but_never_a_secret(staff, sign_in_as, issue_key):
    key, whole = issue_key()
    secret = whole[:-1]
    client = sign_in_as(staff)
    assert client.get(STAFF_PAGE, {"key": key.key_id, "path": "/api/v1/key", "secret": whole}).status_code == 400
    page = client.get(STAFF_PAGE, {"key": key.key_id, "path": "/api/v1/key", "secret": secret})
    assert page.context["form"].initial == {"key": key.key_id, "path": "/api/v1/key"}
    assert secret not in page.content.decode().replace(html.escape(page.request["QUERY_STRING"]), "")
