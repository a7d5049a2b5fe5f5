"""The key management API in a signed-in session: the person's own rights, their account, and a code."""

from __future__ import annotations

import re

import pytest
from django_otp.plugins.otp_totp.models import TOTPDevice
from rest_framework.test import APIClient

from accounts.models import AuditEvent, Membership
from apikeys import lifecycle
from apikeys.models import ApiKey
from tests.apikeys.managers import KEYS, make_manager, new_key
from tests.conftest import COMMAND
from tests.factories import AccountFactory, MembershipFactory
from tests.people import fresh_code, sign_in
from tests.security.test_matrix import METHODS, ROUTES, address

WRONG = "000000"


@pytest.fixture
def session():
    """``session(user)`` → a client with that person's session, for Northfold."""

    def client(user, account="northfold", **kwargs):
        made = sign_in(APIClient(**kwargs), user)
        made.credentials(HTTP_PITHEAD_ACCOUNT=account)
        return made

    return client


def post(client, user, url, body=None, *, code=None, **headers):
    code = fresh_code(user) if code is None else code
    return client.post(url, body or {}, format="json", headers={"Pithead-OTP": code, **headers})


def failures(user):
    return TOTPDevice.objects.get(user=user).throttling_failure_count


def test_an_owner_makes_a_key_with_a_code(session, owner, api):
    answer = post(session(owner), owner, KEYS, new_key(access_level="administrator"))
    assert answer.status_code == 201, answer.content
    assert answer["Cache-Control"] == "no-store"
    assert api(answer.json()["secret"]).get("/api/v1/key").json()["id"] == answer.json()["id"]
    assert answer.json()["created_by"] == "Olga"
    event = AuditEvent.objects.get(action="key.issued")
    assert (event.actor, event.via) == (owner, "web")


def test_an_owner_reads_without_a_code(session, owner, issue_key):
    key, _ = issue_key()
    client = session(owner)
    for path in ("", f"/{key.key_id}", f"/{key.key_id}/usage"):
        answer = client.get(f"{KEYS}{path}")
        assert answer.status_code == 200, answer.content
        assert answer["Cache-Control"] == "no-store"


def test_a_stranger_and_half_a_sign_in_are_nobody(owner, client):
    for nobody in (APIClient(), APIClient()):
        answer = nobody.get(KEYS, headers={"Pithead-Account": "northfold"})
        assert (answer.status_code, answer.json()["code"]) == (401, "missing_credentials")
        nobody.force_login(owner)  # the password alone
    answer = nobody.get(KEYS, headers={"Pithead-Account": "northfold"})
    assert (answer.status_code, answer.json()["code"]) == (401, "missing_credentials")


def test_a_session_opens_nothing_else_of_the_api(session, owner):
    for path in ("key", "miners"):
        assert session(owner).get(f"/api/v1/{path}").status_code == 401


def test_the_account_is_named_and_is_the_persons(session, owner, outsider):
    nameless = sign_in(APIClient(), owner).get(KEYS)
    assert (nameless.status_code, list(nameless.json()["errors"])) == (400, ["Pithead-Account"])
    for person, slug in ((outsider, "northfold"), (owner, "borealis"), (owner, "nobody")):
        assert session(person, slug).get(KEYS).status_code == 404


def test_writes_take_the_csrf_token(session, owner, issue_key):
    key, _ = issue_key()
    client = session(owner, enforce_csrf_checks=True)
    url = f"{KEYS}/{key.key_id}/disable"
    refused = client.post(url)
    assert (refused.status_code, refused.json()["code"]) == (403, "permission_denied")
    assert "CSRF" in refused.json()["detail"]
    assert "X-CSRFToken" in refused.json()["detail"]
    assert client.get(KEYS).status_code == 200
    assert ApiKey.objects.get().disabled_at is None
    token = "a" * 32
    client.cookies["csrftoken"] = token
    assert client.post(url, headers={"X-CSRFToken": token}).status_code == 200


OPERATIONS = ("rotate", "regenerate", "enable", "revoke", "end-overlap")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_takes_a_code_and_one_code_serves_once(session, owner, issue_key, operation):
    key, _ = issue_key()
    client, url = session(owner), f"{KEYS}/{key.key_id}/{operation}"
    before = AuditEvent.objects.count()
    without = client.post(url)
    assert (without.status_code, without.json()["code"]) == (403, "otp_required")
    wrong = post(client, owner, url, code=WRONG)
    assert (wrong.status_code, wrong.json()["code"]) == (403, "otp_refused")
    assert failures(owner) == 1
    assert AuditEvent.objects.count() == before
    code = fresh_code(owner)
    assert post(client, owner, url, code=code).status_code in (200, 201)
    again = post(client, owner, url, code=code)
    assert again.status_code in (403, 422)  # spent, or impossible by now
    assert again.json()["code"] in ("otp_refused", "refused")


def test_switching_off_takes_no_code(session, owner, issue_key):
    key, _ = issue_key()
    assert session(owner).post(f"{KEYS}/{key.key_id}/disable").json()["status"] == "disabled"


def test_labels_take_no_code_and_the_rest_does(session, owner, issue_key):
    key, _ = issue_key()
    client, url = session(owner), f"{KEYS}/{key.key_id}"
    assert client.patch(url, {"name": "Wall"}, format="json").json()["name"] == "Wall"
    assert client.patch(url, {"rate_limit": 60}, format="json").json()["code"] == "otp_required"
    code = fresh_code(owner)
    answer = client.patch(url, {"rate_limit": 60}, format="json", headers={"Pithead-OTP": code})
    assert answer.json()["rate_limit"] == 60


@pytest.mark.parametrize(
    "fields",
    [{"name": ""}, {"access_level": "root"}, {"scopes": ["nonsense"]}, {"allowed_cidrs": ["198.51.100.1/24"]}],
)
def test_a_mistake_elsewhere_burns_no_code(session, owner, fields):
    client, code = session(owner), fresh_code(owner)
    assert post(client, owner, KEYS, new_key(**fields), code=code).status_code in (400, 422)
    assert post(client, owner, KEYS, new_key(**fields), code=WRONG).status_code in (400, 422)
    assert failures(owner) == 0
    assert post(client, owner, KEYS, new_key(), code=code).status_code == 201


def test_a_passkeys_word_is_no_code(session, owner):
    answer = post(session(owner), owner, KEYS, new_key(), code="passkey")
    assert (answer.status_code, answer.json()["code"]) == (403, "otp_refused")


def test_members_do_what_their_rights_say(session, member, issue_key):
    """Milo sees keys and may change none."""
    key, _ = issue_key()
    client, url = session(member), f"{KEYS}/{key.key_id}"
    assert client.get(url).status_code == 200
    answers = [post(client, member, KEYS, new_key()), client.patch(url, {"name": "Mine"}, format="json")]
    answers += [post(client, member, f"{url}/{operation}") for operation in (*OPERATIONS, "disable")]
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied"), answer.content
    Membership.objects.filter(user=member).update(can_view_keys=False)
    assert client.get(url).status_code == 403
    assert ApiKey.objects.get() == key
    assert TOTPDevice.objects.get(user=member).last_t == -1  # no code was spent


KEY_ROUTES = {route: methods for route, methods in ROUTES.items() if re.match("keys(/|$)", route)}


@pytest.mark.parametrize("route", KEY_ROUTES)
def test_each_route_gives_each_person_what_the_table_says(session, owner, member, outsider, issue_key, route):
    """Milo sees keys and changes none, Otto is of another account; the owner's writes end at the missing code."""
    key, _ = issue_key()
    url = address(route, "", part_id=key.key_id)
    clients = {"owner": session(owner), "member": session(member), "outsider": session(outsider)}
    clients["nobody"] = APIClient()
    for method in METHODS:
        permission = KEY_ROUTES[route].get("GET" if method == "HEAD" else method)
        answered = {name: client.generic(method, url).status_code for name, client in clients.items()}
        assert (answered.pop("nobody"), answered.pop("outsider")) == (401, 404), method
        if permission is None:
            assert set(answered.values()) == {405}, method
        elif permission == "keys:read":
            assert set(answered.values()) == {200}, method
        else:
            assert answered.pop("member") == 403, method
            takes_none = route.endswith("disable") or method == "PATCH"  # an empty edit changes nothing
            assert answered["owner"] == (200 if takes_none else 400 if route == "keys" else 403), method


def test_members_give_no_more_than_they_have(session, treasurer, issue_key):
    client, (key, _) = session(treasurer), issue_key("administrator")
    answer = post(client, treasurer, KEYS, new_key(access_level="administrator"))
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["access_level"])
    for operation in ("rotate", "regenerate"):
        answer = post(client, treasurer, f"{KEYS}/{key.key_id}/{operation}")
        assert (answer.status_code, answer.json()["code"]) == (422, "refused")
    assert post(client, treasurer, KEYS, new_key(access_level="treasurer")).status_code == 201


def test_who_is_removed_is_out_at_the_next_request(session, owner, issue_key):
    key, _ = issue_key()
    client = session(owner)
    Membership.objects.filter(user=owner).delete()
    assert client.get(KEYS).status_code == 404
    assert post(client, owner, f"{KEYS}/{key.key_id}/rotate").status_code == 404


def test_support_keys_and_other_accounts_keys_are_not_there(session, owner, issue_key, other_account, register_key):
    theirs, _ = issue_key(account=other_account)
    client = session(owner)
    assert client.get(KEYS).json()["data"] == []
    assert post(client, owner, f"{KEYS}/{theirs.key_id}/revoke").status_code == 404
    assert lifecycle.enable(theirs, actor=COMMAND).revoked_at is None


def test_a_key_and_a_session_at_once_is_the_key(session, owner, issue_key):
    _, secret = issue_key()
    client = session(owner)
    answer = client.get(KEYS, headers={"Authorization": f"Bearer {secret}"})
    assert (answer.status_code, answer.json()["permission"]) == (403, "keys:read")
    assert client.get(KEYS, headers={"Authorization": "Basic b2xnYTp4"}).status_code == 401


def test_methods_that_a_route_does_not_have(session, owner):
    answer = session(owner).delete(KEYS)
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


def test_an_account_without_signing_keys_says_so(session, owner):
    fresh = AccountFactory(slug="fresh")
    MembershipFactory(account=fresh, user=owner, is_owner=True, access_level="administrator")
    answer = post(session(owner, "fresh"), owner, KEYS, new_key())
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


def test_the_page_of_a_key_says_that_a_key_did_it(account, api, issue_key, sign_in_as, owner):
    (manager, secret), (key, _) = make_manager(account), issue_key()
    api(secret).post(f"{KEYS}/{key.key_id}/disable")
    page = sign_in_as(owner).get(f"/a/northfold/access/api-keys/{key.key_id}/").content.decode()
    assert f"API key Terraform ({manager.key_id})" in page
