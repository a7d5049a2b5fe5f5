"""The pages of signing keys: the versions, a new one, and the panic button."""

from __future__ import annotations

import pytest

from accounts.audit import Actor
from accounts.models import Account, AuditEvent
from apikeys import lifecycle, signing
from apikeys.models import ApiKey, SigningKey
from tests.conftest import person
from tests.people import fresh_code

COMMAND = Actor.for_command("tests")
PATH = "/a/northfold/settings/signing-keys/"
RETIRE = f"{PATH}1/retire/"


@pytest.fixture
def client(sign_in_as, owner):
    return sign_in_as(owner)


@pytest.fixture
def confirmed(owner):
    return lambda **fields: {"nonce": "nonce-of-this-page", "code": fresh_code(owner), **fields}


def text(answer):
    return " ".join(answer.content.decode().split())


def test_the_list_shows_each_version_with_what_hangs_on_it(client, account, issue_key):
    for _ in range(3):
        issue_key()
    signing.rotate(account, actor=COMMAND)
    issue_key()
    signing.rotate(account, actor=COMMAND)
    signing.retire(account.signing_keys.get(version=2), actor=COMMAND)
    answer = client.get(PATH)
    rows = answer.context["versions"]
    assert [(row.version, row.live_keys, row.live_secrets) for row in rows] == [(3, 0, 0), (2, 0, 0), (1, 3, 3)]
    assert answer.context["current"].version == 3
    page = answer.content.decode()
    assert f"{PATH}1/retire/" in page
    assert f"{PATH}2/retire/" not in page
    assert f"{PATH}2/retired/" in page


def test_more_versions_cost_no_more_queries(client, account, issue_key, django_assert_max_num_queries):
    for _ in range(12):
        issue_key()
        signing.rotate(account, actor=COMMAND)
    with django_assert_max_num_queries(12):
        client.get(PATH)


def test_no_key_s_wrapping_or_digest_is_on_any_page(client, account, issue_key):
    key, _ = issue_key()
    wrapped = bytes(account.signing_keys.get().wrapped)
    for path in (PATH, f"{PATH}rotate/", RETIRE):
        page = client.get(path).content
        assert wrapped not in page
        assert bytes(key.secrets.get().digest).hex().encode() not in page


def test_members_who_see_keys_read_the_list_and_the_controls_say_why_not(sign_in_as, member):
    page = text(sign_in_as(member).get(PATH))
    assert "Owners rotate and retire signing keys. Ask an owner of Northfold Mining." in page
    assert "/retire/" not in page
    assert f"{PATH}rotate/" not in page


def test_before_the_set_up_every_page_leads_there(sign_in_as, db):
    bare = Account.objects.create(name="Kestrel Test Farm", slug="kestrel")
    client = sign_in_as(person(bare, "Kim", is_owner=True, access_level="administrator"))
    for path in ("", "rotate/"):
        answer = client.get(f"/a/kestrel/settings/signing-keys/{path}")
        assert answer["Location"] == "/a/kestrel/access/api-keys/"
    assert client.get("/a/kestrel/settings/signing-keys/1/retire/").status_code == 404


def test_an_owner_rotates_with_a_code_once(client, account, confirmed, issue_key, api):
    _, secret = issue_key()
    data = confirmed()
    page = text(client.post(f"{PATH}rotate/", data, follow=True))
    assert "Version 2 is made." in page
    assert client.post(f"{PATH}rotate/", data).status_code == 302
    assert SigningKey.objects.filter(account=account).count() == 2
    assert api(secret).get("/api/v1/key").status_code == 200


def test_a_wrong_code_rotates_nothing(client, account, confirmed):
    assert "That code is not right" in text(client.post(f"{PATH}rotate/", confirmed(code="000")))
    assert SigningKey.objects.filter(account=account).count() == 1


def test_the_panic_page_names_what_stops_and_what_goes_on(client, account, issue_key):
    issue_key(name="Grafana")
    rotated, _ = issue_key(name="Billing")
    off, _ = issue_key(name="Old bot")
    lifecycle.disable(off, actor=COMMAND)
    lifecycle.revoke(issue_key(name="Gone")[0], actor=COMMAND, reason="unneeded")
    signing.rotate(account, actor=COMMAND)
    lifecycle.rotate(rotated, actor=COMMAND)
    answer = client.get(RETIRE)
    page = text(answer)
    assert "2 keys stop at once" in page
    assert "1 key under rotation loses one of its two secrets" in page
    assert [key.name for key in answer.context["stopping"]] == ["Grafana", "Old bot"]
    assert "Gone" not in page
    assert "Retire and stop 2 keys" in page
    assert "It is the current one" not in page
    assert "It is the current one" in text(client.get(f"{PATH}2/retire/"))


def test_a_page_of_many_keys_shows_the_first_twenty_and_the_number(client, issue_key, django_assert_max_num_queries):
    for number in range(23):
        issue_key(name=f"key {number:02}")
    with django_assert_max_num_queries(14):
        answer = client.get(RETIRE)
    page = text(answer)
    assert "23 keys stop at once" in page
    assert "key 19" in page
    assert "key 20" not in page
    assert "and 3 more" in page


@pytest.mark.parametrize("typed", ["", "northfol", "NORTHFOLD", "retire", "borealis"])
def test_without_the_right_word_nothing_stops_and_the_code_is_not_spent(client, confirmed, issue_key, api, typed):
    _, secret = issue_key()
    data = confirmed(typed=typed)
    answer = client.post(RETIRE, data)
    assert answer.context["form"].errors.keys() == {"typed"}
    assert "Type “northfold”, in small letters, if you mean it." in text(answer)
    assert data["code"] not in text(answer)
    assert api(secret).get("/api/v1/key").status_code == 200
    assert client.post(RETIRE, {**data, "typed": " northfold "}).status_code == 302
    assert api(secret).get("/api/v1/key").status_code == 401


def test_without_a_code_nothing_stops(client, confirmed, issue_key, api):
    _, secret = issue_key()
    for code in ("", "000"):
        answer = client.post(RETIRE, confirmed(typed="northfold", code=code))
        assert answer.context["form"].errors.keys() == {"code"}
        assert 'value="northfold"' in text(answer)
    assert api(secret).get("/api/v1/key").status_code == 200


def test_the_panic_button_stops_the_keys_and_leads_to_those_without_a_secret(client, account, confirmed, issue_key):
    key, _ = issue_key()
    issue_key()
    data = confirmed(typed="northfold")
    answer = client.post(RETIRE, data, follow=True)
    assert answer.redirect_chain == [(f"{PATH}1/retired/", 302)]
    page = text(answer)
    assert "2 keys stopped." in page
    assert "Version 2 was made in its place." in page
    assert "2 keys wait for a new secret." in page
    assert "/a/northfold/access/api-keys/?status=without_secret" in page
    assert ApiKey.objects.get(pk=key.pk).status == "without_secret"
    # Repeated, by the same form or another: told again what happened, and nothing more happens.
    for repeat in (data, confirmed(typed="northfold", nonce="another")):
        assert client.post(RETIRE, repeat)["Location"] == f"{PATH}1/retired/"
    assert AuditEvent.objects.filter(action="signing_key.retired").count() == 1
    assert SigningKey.objects.filter(account=account).count() == 2


def test_the_page_of_what_happened_follows_what_is_left_to_do(client, sign_in_as, member, confirmed, issue_key):
    key, _ = issue_key()
    assert client.get(f"{PATH}1/retired/")["Location"] == PATH
    client.post(RETIRE, confirmed(typed="northfold"))
    lifecycle.regenerate(key, actor=COMMAND)
    page = text(client.get(f"{PATH}1/retired/"))
    assert "1 key stopped." in page
    assert "every key that is switched on has a secret that works" in page
    assert "without_secret" not in page
    assert sign_in_as(member).get(f"{PATH}1/retired/").status_code == 200


def test_versions_of_others_and_those_that_are_none_are_not_found(client, other_account):
    signing.rotate(other_account, actor=COMMAND)
    for number in (2, 0, 99999999999999999999):
        for page in ("retire", "retired"):
            assert client.get(f"{PATH}{number}/{page}/").status_code == 404
    assert client.get("/a/borealis/settings/signing-keys/1/retire/").status_code == 404
