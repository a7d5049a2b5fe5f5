"""The pages of custom roles, and what keys show of them."""

from __future__ import annotations

import re

import pytest

from accounts.models import Account, AuditEvent
from apikeys import lifecycle, roles
from apikeys.models import ApiKey, Role
from tests.conftest import COMMAND
from tests.people import fresh_code
from tests.web.conftest import KEYS
from tests.web.test_create import secret_in

ROLES = "/a/northfold/access/roles/"


def filled(user, *permissions, **changes):
    """What is typed to save a role, with a working code."""
    return {
        "name": "Billing export",
        "description": "",
        "permissions": list(permissions) or ["payouts:read"],
        "nonce": "nonce-of-this-page",
        "code": fresh_code(user),
        **changes,
    }


def text_of(response) -> str:
    return response.content.decode()


def test_an_owner_makes_a_role_with_a_code_and_it_stands_in_the_list(sign_in_as, owner):
    client = sign_in_as(owner)
    assert "No custom roles yet" in text_of(client.get(ROLES))
    data = filled(owner, "payouts:read", "workers:write", description="For the ERP")
    page = text_of(client.post(f"{ROLES}create/", data, follow=True))
    for text in ("Billing export", "For the ERP", "Sees payouts. Changes workers.", "payouts:read · workers:write"):
        assert text in page
    assert AuditEvent.objects.get(action="role.created").actor == owner


def test_a_role_needs_a_code_and_a_typo_elsewhere_does_not_burn_it(sign_in_as, owner):
    client = sign_in_as(owner)
    data = filled(owner, name="")
    page = text_of(client.post(f"{ROLES}create/", data))
    assert "Give the role a name." in page
    assert re.search(r'value="payouts:read"[^>]* checked', page)
    assert "Type the code" in text_of(client.post(f"{ROLES}create/", {**data, "name": "ERP", "code": ""}))
    assert not Role.objects.exists()
    assert client.post(f"{ROLES}create/", {**data, "name": "ERP"}).status_code == 302
    assert Role.objects.get().name == "ERP"


def test_the_same_form_sent_again_makes_no_second_role(sign_in_as, owner, make_role):
    client = sign_in_as(owner)
    data = filled(owner)
    client.post(f"{ROLES}create/", data)
    assert client.post(f"{ROLES}create/", {**data, "name": "Another"}).status_code == 302
    assert Role.objects.count() == 1


def test_unknown_and_missing_permissions_are_said_at_the_field(sign_in_as, owner):
    client = sign_in_as(owner)
    for permissions in ([], ["stats:raed"], ["stats:read", "\0"]):
        response = client.post(f"{ROLES}create/", filled(owner, permissions=permissions))
        assert response.status_code == 200
        assert "permissions" in response.context["form"].errors
    assert not Role.objects.exists()


def test_what_one_may_not_give_is_disabled_with_the_reason_and_refused_if_sent(sign_in_as, treasurer):
    client = sign_in_as(treasurer)
    page = text_of(client.get(f"{ROLES}create/"))
    assert re.search(r'value="workers:write" disabled', page)
    assert not re.search(r'value="payouts:read"[^>]*disabled', page)
    for reason in ("More than your own level, Treasurer.", "the account allows keys to manage keys", "pool’s staff"):
        assert reason in page
    for permission in ("workers:write", "keys:write", "ingest:write", "verify:use"):
        page = text_of(client.post(f"{ROLES}create/", filled(treasurer, permission)))
        assert f"You lack {permission}." in page
    assert not Role.objects.exists()


def test_a_role_in_use_shows_its_permissions_fixed_and_refuses_another_set(sign_in_as, owner, make_role, issue_key):
    role = make_role("payouts:read")
    issue_key("custom", role=role)
    client = sign_in_as(owner)
    page = text_of(client.get(f"{ROLES}{role.pk}/edit/"))
    assert "1 key uses this role, so its permissions are fixed." in page
    assert f"{ROLES}{role.pk}/clone/" in page
    # Without what the page sends along, or with more: refused, and not left as it was in silence.
    for permissions in (["payouts:read", "stats:read"], ["stats:read"]):
        page = text_of(client.post(f"{ROLES}{role.pk}/edit/", filled(owner, permissions=permissions)))
        assert "Nothing was saved" in page
    sent = re.findall(
        r'type="hidden" name="permissions" value="([^"]+)"', text_of(client.get(f"{ROLES}{role.pk}/edit/"))
    )
    client.post(f"{ROLES}{role.pk}/edit/", filled(owner, *sent, name="ERP", nonce="2"))
    role.refresh_from_db()
    assert (role.name, role.permissions) == ("ERP", ["payouts:read"])


def test_a_page_opened_before_a_key_had_the_role_is_refused_in_words(sign_in_as, owner, make_role, issue_key):
    role = make_role("payouts:read")
    client = sign_in_as(owner)
    client.get(f"{ROLES}{role.pk}/edit/")
    issue_key("custom", role=role)
    page = text_of(client.post(f"{ROLES}{role.pk}/edit/", filled(owner, "stats:read")))
    assert "1 key uses this role" in page
    role.refresh_from_db()
    assert role.permissions == ["payouts:read"]


def test_a_clone_begins_with_the_same_permissions_and_leaves_the_first_alone(sign_in_as, owner, make_role, issue_key):
    role = make_role("payouts:read", "stats:read", description="ERP")
    issue_key("custom", role=role)
    client = sign_in_as(owner)
    page = text_of(client.get(f"{ROLES}{role.pk}/clone/"))
    assert set(re.findall(r'value="([a-z:-]+)"[^>]* checked', page)) == {"payouts:read", "stats:read"}
    client.post(f"{ROLES}{role.pk}/clone/", filled(owner, "payouts:read", name="Payouts only"))
    assert list(Role.objects.values_list("name", "permissions")) == [
        ("Billing export", ["stats:read", "payouts:read"]),
        ("Payouts only", ["payouts:read"]),
    ]
    assert AuditEvent.objects.filter(action="role.created").first().data["cloned_from"] == "Billing export"


def test_a_clone_of_what_is_wider_than_oneself_begins_with_what_one_may_give(sign_in_as, treasurer, make_role):
    role = make_role("payouts:read", "settings:write")
    page = text_of(sign_in_as(treasurer).get(f"{ROLES}{role.pk}/clone/"))
    assert re.findall(r'value="([a-z:-]+)"[^>]* checked', page) == ["payouts:read"]


def test_a_role_wider_than_oneself_is_not_edited_and_the_list_says_why(sign_in_as, treasurer, make_role):
    role = make_role("settings:write")
    client = sign_in_as(treasurer)
    assert "More than your own level, Treasurer." in text_of(client.get(ROLES))
    for answer in (
        client.get(f"{ROLES}{role.pk}/edit/", follow=True),
        client.post(f"{ROLES}{role.pk}/edit/", filled(treasurer), follow=True),
    ):
        assert "can’t be edited by you" in text_of(answer)
    role.refresh_from_db()
    assert role.permissions == ["settings:write"]


def test_deleting_takes_a_code_and_no_key(sign_in_as, owner, make_role, issue_key):
    role, used = make_role("payouts:read"), make_role("stats:read", name="Used")
    key, _ = issue_key("custom", role=used)
    lifecycle.revoke(key, actor=COMMAND, reason="other")
    client = sign_in_as(owner)
    answer = client.post(f"{ROLES}{used.pk}/delete/", filled(owner), follow=True)
    assert "1 key has this role, revoked keys counted" in text_of(answer).replace("&#x27;", "'")
    assert "Type the code" in text_of(client.post(f"{ROLES}{role.pk}/delete/", filled(owner, code="")))
    assert Role.objects.count() == 2
    client.post(f"{ROLES}{role.pk}/delete/", filled(owner))
    assert list(Role.objects.all()) == [used]


def test_a_member_who_only_sees_is_told_what_it_takes(sign_in_as, member, make_role):
    make_role("payouts:read")
    page = text_of(sign_in_as(member).get(ROLES))
    assert "Ask an owner of Northfold Mining" in page
    assert "/edit/" not in page
    assert "/create/" not in page


def test_roles_of_another_account_are_not_found(sign_in_as, owner, make_role, other_account):
    role = make_role("payouts:read", account=other_account)
    client = sign_in_as(owner)
    assert "Billing export" not in text_of(client.get(ROLES))
    for page in ("edit", "clone", "delete"):
        assert client.get(f"{ROLES}{role.pk}/{page}/").status_code == 404
        assert client.post(f"{ROLES}{role.pk}/{page}/", filled(owner)).status_code == 404


def test_a_preview_judges_nothing_and_says_what_is_ticked(sign_in_as, owner):
    page = text_of(sign_in_as(owner).post(f"{ROLES}create/", {"preview": "1", "permissions": ["payouts:read"]}))
    assert "See payouts" in page
    assert "Give the role a name" not in page


def test_extra_fields_change_nothing_else(sign_in_as, owner, other_account):
    extra = {"account": str(other_account.pk), "id": "x", "created_at": "2020-01-01", "cloned_from": "x"}
    sign_in_as(owner).post(f"{ROLES}create/", filled(owner, **extra))
    role = Role.objects.get()
    assert role.account.slug == "northfold"
    assert role.created_at.year > 2020


def test_a_longer_list_costs_no_more_queries(sign_in_as, owner, make_role, issue_key, django_assert_max_num_queries):
    client = sign_in_as(owner)
    issue_key("custom", role=make_role("payouts:read"))
    client.get(ROLES)
    with django_assert_max_num_queries(30) as few:
        client.get(ROLES)
    for number in range(8):
        issue_key("custom", role=make_role("stats:read", name=f"Role {number}"))
    with django_assert_max_num_queries(len(few)):
        client.get(ROLES)
    with django_assert_max_num_queries(20):
        client.get(KEYS)


# Keys with a role


@pytest.fixture
def form_of_key(miner):
    def fill(user, level):
        return {
            "name": "erp", "environment": "production", "access_level": level, "miners_all": "on",
            "expires_in": "90", "allowed_cidrs": "", "nonce": f"n-{level}", "code": fresh_code(user),
        }  # fmt: skip

    return fill


def test_a_key_is_created_with_a_role_and_shows_its_name_everywhere(sign_in_as, owner, make_role, form_of_key, api):
    role = make_role("payouts:read", name="billing (ERP)", description="Nightly")
    client = sign_in_as(owner)
    page = text_of(client.get(f"{KEYS}create/"))
    for text in ("billing (ERP)", "Custom</span>", "Sees payouts. Changes nothing.", "Nightly"):
        assert text in page
    revealed = client.post(f"{KEYS}create/", form_of_key(owner, f"role:{role.pk}"))
    secret = secret_in(revealed)
    assert api(secret).get("/api/v1/key").json()["role"] == "billing (ERP)"
    key = ApiKey.objects.get()
    for response in (
        revealed, client.get(KEYS), client.get(f"{KEYS}{key.key_id}/"), client.get(f"{KEYS}{key.key_id}/revoke/"),
        client.get(f"{KEYS}?status=all&level=role:{role.pk}"),
    ):  # fmt: skip
        # In a row of the list the environment follows, a paragraph of the same cell.
        assert re.search(r"billing \(ERP\)(</span>|<p>)", text_of(response))
    detail = text_of(client.get(f"{KEYS}{key.key_id}/"))
    assert "payouts:read" in detail
    assert "stats:read" not in detail


def test_the_key_list_is_narrowed_to_a_role_of_this_account(sign_in_as, owner, make_role, issue_key, other_account):
    role = make_role("payouts:read")
    foreign = make_role("payouts:read", account=other_account)
    issue_key("custom", role=role, name="with-role")
    issue_key("viewer", name="without")
    client = sign_in_as(owner)
    page = text_of(client.get(f"{KEYS}?level=role:{role.pk}"))
    assert ">with-role</a>" in page
    assert ">without</a>" not in page
    assert f'value="role:{role.pk}" selected' in page
    for level in (f"role:{foreign.pk}", "role:nonsense", "role:"):
        assert ">without</a>" in text_of(client.get(f"{KEYS}?level={level}"))


def test_a_role_above_ones_own_level_is_a_disabled_card_and_refused_if_sent(
    sign_in_as, treasurer, make_role, form_of_key
):
    role, backend = make_role("settings:write"), make_role("ingest:write", name="Backend")
    client = sign_in_as(treasurer)
    page = text_of(client.get(f"{KEYS}create/"))
    for shown, reason in [
        (role, "More than your own level, Treasurer."),
        (backend, "Only the pool’s staff give this."),
    ]:
        assert re.search(rf'value="role:{shown.pk}" disabled', page)
        assert reason in page
        answer = client.post(f"{KEYS}create/", form_of_key(treasurer, f"role:{shown.pk}"))
        assert "Your own access level is Treasurer" in text_of(answer)
    assert not ApiKey.objects.exists()


def test_a_role_of_another_account_makes_no_key(sign_in_as, owner, make_role, form_of_key, other_account):
    foreign = make_role("payouts:read", account=other_account)
    client = sign_in_as(owner)
    for level in (f"role:{foreign.pk}", "custom", "role:x", ""):
        answer = client.post(f"{KEYS}create/", form_of_key(owner, level))
        assert "access_level" in answer.context["form"].errors
    assert not ApiKey.objects.exists()


def test_the_summary_speaks_of_the_role_and_of_what_the_policy_lets_it_do(sign_in_as, owner, make_role, account):
    Account.objects.update(key_automation=True)
    role = make_role("payouts:read", "keys:write")
    client = sign_in_as(owner)
    preview = {"preview": "1", "access_level": f"role:{role.pk}", "environment": "production", "expires_in": "90"}

    def summary():
        return text_of(client.post(f"{KEYS}create/", preview)).split('id="summary"')[1].split("</ul>")[0]

    assert "See payouts" in summary()
    assert "Make and change API keys" in summary()
    Account.objects.update(key_automation=False)
    assert "Make and change API keys" not in summary()
    assert "Cannot change anything" in summary()


def test_a_change_of_its_role_stands_in_a_key_s_history(sign_in_as, owner, make_role, issue_key):
    Account.objects.update(keys_editable=True)
    role = make_role("payouts:read")
    key, _ = issue_key("custom", role=role)
    roles.edit(role, actor=COMMAND, name=role.name, permissions=["stats:read"])
    assert "Custom role changed" in text_of(sign_in_as(owner).get(f"{KEYS}{key.key_id}/"))
