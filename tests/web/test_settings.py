"""The account's settings: policies and notices, for owners to change and for members to read."""

from __future__ import annotations

import re

import pytest

from accounts import policies
from accounts.audit import Actor
from accounts.changes import Refused
from accounts.models import Account, AuditEvent, Membership
from accounts.notices import MUTABLE, NOTICES
from accounts.policies import POLICIES
from tests.people import fresh_code

COMMAND = Actor.for_command("tests")
PATH = "/a/northfold/settings/"
NOTICES_PATH = f"{PATH}notices/"


@pytest.fixture
def client(sign_in_as, owner):
    return sign_in_as(owner)


@pytest.fixture
def filled(client, owner):
    """What the owner's browser posts from the page as it stands, with a working code and ``changes``."""

    def fill(**changes):
        page = client.get(PATH).content.decode()
        data = {"code": fresh_code(owner)}
        for tag in re.findall(r"<input[^>]*>", page):
            attributes = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
            name = attributes.get("name", "")
            box = attributes.get("type") == "checkbox"
            ticked = not box or " checked" in tag
            if name.removeprefix("initial-") in {*POLICIES, "nonce"} and ticked and " disabled" not in tag:
                data[name] = attributes.get("value", "on" if box else "")
        return {name: value for name, value in {**data, **changes}.items() if value is not None}

    return fill


def field(page, name):
    return re.search(rf'<input[^>]*name="{name}"[^>]*>', page)[0]


def saved():
    account = Account.objects.get(slug="northfold")
    return {name: getattr(account, name) for name in POLICIES}


def test_an_owner_changes_policies_with_a_code(client, filled, owner):
    answer = client.post(PATH, filled(max_active_keys="20", keys_editable="on", rotation_days=""), follow=True)
    assert "The policies are saved." in answer.content.decode()
    assert saved() | {"max_active_keys": 20, "keys_editable": True, "rotation_days": None} == saved()
    event = AuditEvent.objects.get(action="account.policies_changed")
    assert event.data == {"keys_editable": [False, True], "max_active_keys": [None, 20], "rotation_days": [90, None]}
    page = client.get(PATH).content.decode()
    assert 'value="20"' in field(page, "max_active_keys")
    assert "checked" in field(page, "keys_editable")


def test_a_switch_is_switched_off_again(client, filled):
    policies.set_policies(Account.objects.get(), actor=COMMAND, permanent_delete=True)
    client.post(PATH, filled(permanent_delete=None))
    assert saved()["permanent_delete"] is False


def test_saving_nothing_new_says_so(client, filled):
    assert "nothing was changed" in client.post(PATH, filled(), follow=True).content.decode()
    assert not AuditEvent.objects.filter(action="account.policies_changed").exists()


def test_what_is_wrong_is_said_beside_each_field_and_all_that_was_typed_stays_but_the_code(client, filled, owner):
    data = filled(max_active_keys="0", max_lifetime_days="ten", default_rate_limit="120", key_automation="on")
    page = client.post(PATH, data).content.decode()
    assert page.count("A whole number from 1 to 100,000. Leave it empty for: no limit.") == 2  # summary and field
    assert page.count("A whole number from 1 to 3,650. Leave it empty for: no limit.") == 2
    assert 'value="0"' in field(page, "max_active_keys")
    assert 'value="ten"' in field(page, "max_lifetime_days")
    assert 'value="120"' in field(page, "default_rate_limit")
    assert "checked" in field(page, "key_automation")
    assert data["code"] not in page
    assert not any(saved()[name] for name in ("max_active_keys", "key_automation"))
    # Neither the code nor the form was spent.
    assert client.post(PATH, {**data, "max_active_keys": "1", "max_lifetime_days": ""}).status_code == 302
    assert saved()["max_active_keys"] == 1


def test_a_wrong_code_changes_nothing(client, filled):
    page = client.post(PATH, filled(max_active_keys="5", code="000")).content.decode()
    assert "That code is not right" in page
    assert saved()["max_active_keys"] is None


def test_a_repeated_post_changes_nothing_more(client, filled):
    data = filled(max_active_keys="5")
    client.post(PATH, data)
    policies.set_policies(Account.objects.get(), actor=COMMAND, max_active_keys=9)
    assert client.post(PATH, data).status_code == 302
    assert saved()["max_active_keys"] == 9


def test_saving_one_policy_does_not_undo_another_that_changed_meanwhile(client, filled):
    data = filled(max_active_keys="5")
    policies.set_policies(Account.objects.get(), actor=COMMAND, max_lifetime_days=30, permanent_delete=True)
    assert client.post(PATH, data).status_code == 302
    assert [saved()[name] for name in ("max_active_keys", "max_lifetime_days", "permanent_delete")] == [5, 30, True]


def test_a_limit_below_what_is_active_is_explained_and_stops_nothing(client, filled, account, issue_key, api):
    secrets = [issue_key()[1] for _ in range(3)]
    page = client.post(PATH, filled(max_active_keys="2"), follow=True).content.decode()
    assert "3 keys are active now; nothing stops" in page
    assert "until fewer than 2 are active" in page
    assert "3 of 2 keys are active now." in page
    assert [api(secret).get("/api/v1/key").status_code for secret in secrets] == [200] * 3
    account.refresh_from_db()
    with pytest.raises(Refused, match="2 active keys"):
        issue_key()


def test_a_pinned_policy_is_shown_locked_with_its_use(client, filled, account, issue_key):
    policies.set_policies(account, actor=COMMAND, max_active_keys=20)
    policies.pin(account, "max_active_keys", actor=COMMAND)
    for _ in range(7):
        issue_key(account=Account.objects.get())
    page = client.get(PATH).content.decode()
    assert "disabled" in field(page, "max_active_keys")
    assert page.count("Set by the pool’s staff") == 1
    assert "7 of 20 keys are active now." in page
    assert client.post(PATH, filled(max_active_keys="500", rotation_days="30")).status_code == 302
    assert (saved()["max_active_keys"], saved()["rotation_days"]) == (20, 30)


def test_what_the_plan_allows_is_shown_and_not_for_owners_to_change(client, filled, account):
    policies.set_policies(account, actor=COMMAND, max_rate_limit=600)
    page = client.get(PATH).content.decode()
    assert "disabled" in field(page, "max_rate_limit")
    assert 'value="600"' in field(page, "max_rate_limit")
    assert page.count("Part of the account’s plan") == 1
    assert client.post(PATH, filled(max_rate_limit="5000", rotation_days="30")).status_code == 302
    assert (saved()["max_rate_limit"], saved()["rotation_days"]) == (600, 30)
    page = client.post(PATH, filled(default_rate_limit="601")).content.decode()
    assert "At most 600 requests a minute, as the plan allows." in page
    assert saved()["default_rate_limit"] is None


def test_a_rate_limit_left_empty_is_the_plans_and_the_page_says_which(client, filled, account):
    assert "No limit" in field(client.get(PATH).content.decode(), "default_rate_limit")
    Account.objects.filter(pk=account.pk).update(max_rate_limit=6000)
    page = client.get(PATH).content.decode()
    assert 'placeholder="6,000"' in field(page, "default_rate_limit")
    assert "6,000 a minute holds now, the most in the account’s plan." in page
    refused = client.post(PATH, filled(default_rate_limit="none")).content.decode()
    assert "A whole number from 1 to 6,000. Leave it empty for: 6,000, as the plan allows." in refused
    Account.objects.filter(pk=account.pk).update(default_rate_limit=60)
    assert "holds now" not in client.get(PATH).content.decode()


def test_a_policy_that_staff_pin_while_the_page_is_open_is_refused_in_words(client, filled, owner, monkeypatch):
    """Between the form's check and the writing: the rule that counts is the one inside the transaction."""
    original = policies.set_policies

    def pin_first(account, **kwargs):
        policies.pin(account, "max_active_keys", actor=COMMAND)
        return original(account, **kwargs)

    data = filled(max_active_keys="5")
    monkeypatch.setattr(policies, "set_policies", pin_first)
    page = client.post(PATH, data).content.decode()
    assert "The pool’s staff set this policy" in page
    assert 'value="5"' in field(page, "max_active_keys")
    assert saved()["max_active_keys"] is None


@pytest.mark.parametrize("who", ["treasurer", "member"])
def test_members_read_policies_and_change_none(sign_in_as, request, who):
    user = request.getfixturevalue(who)
    client = sign_in_as(user)
    page = client.get(PATH).content.decode()
    assert "Ask an owner of Northfold Mining" in page
    assert "Save policies" not in page
    assert all("disabled" in field(page, name) for name in POLICIES)
    data = {"nonce": "n1", "code": fresh_code(user), "max_active_keys": "5"}
    assert client.post(PATH, data).status_code == 403
    assert saved()["max_active_keys"] is None


@pytest.mark.parametrize("name", ["slug", "name", "suspended_at", "pinned_policies", "id"])
def test_no_other_field_of_the_account_can_be_set(client, filled, account, name):
    client.post(PATH, filled(**{name: "stolen", f"initial-{name}": "", "rotation_days": "30"}))
    after = Account.objects.get(pk=account.pk)
    assert getattr(after, name) == getattr(account, name)
    assert after.rotation_days == 30


def test_settings_are_a_click_away_on_every_page_of_an_account(client, account):
    page = client.get("/a/northfold/access/api-keys/").content.decode()
    assert f'<a href="{PATH}">' in page
    assert f'<a href="{PATH}" aria-current="page">' in client.get(NOTICES_PATH).content.decode()


def test_who_sees_no_keys_is_told_why_the_tab_of_signing_keys_is_shut(sign_in_as, account, other_account):
    from tests.conftest import person

    page = sign_in_as(person(account, "Vera", access_level="viewer")).get(PATH).content.decode()
    assert "Your role does not include seeing API keys" in page
    assert f"{PATH}signing-keys/" not in page


def test_an_owner_chooses_notices(client, owner):
    page = client.get(NOTICES_PATH).content.decode()
    assert page.count('name="kinds"') == len(NOTICES)
    assert page.count("Always on") == len(NOTICES) - len(MUTABLE) == 7
    wanted = [kind for kind in MUTABLE if kind != "key.edited"]
    page = client.post(NOTICES_PATH, {"kinds": wanted}, follow=True).content.decode()
    assert "Your notices are saved." in page
    assert Membership.objects.get(user=owner).muted_notices == ["key.edited"]
    boxes = {box: "checked" in box for box in re.findall(r'<input[^>]*name="kinds"[^>]*>', page)}
    assert [re.search('value="([^"]*)"', box)[1] for box, checked in boxes.items() if not checked] == ["key.edited"]


def test_an_unknown_or_locked_kind_saves_nothing(client, owner):
    for kinds in (["key.eaten"], ["payout_address"]):
        page = client.post(NOTICES_PATH, {"kinds": kinds}, follow=True).content.decode()
        assert "Nothing was saved" in page
    assert Membership.objects.get(user=owner).muted_notices == []


def test_members_see_who_gets_notices_and_choose_none(sign_in_as, treasurer):
    client = sign_in_as(treasurer)
    page = client.get(NOTICES_PATH).content.decode()
    assert "They go to the owners of Northfold Mining" in page
    assert "Save notices" not in page
    assert client.post(NOTICES_PATH, {"kinds": []}).status_code == 403
