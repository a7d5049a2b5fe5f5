"""Custom roles in the staff admin: made, changed and deleted with a code, by the rules of `apikeys.roles` alone."""

from __future__ import annotations

import re

import pytest

from accounts.models import Account, AuditEvent
from apikeys.models import ApiKey, Role
from tests.factories import MinerFactory
from tests.people import fresh_code

SECTION = "/admin/apikeys/role/"


@pytest.fixture
def client(staff, sign_in_as):
    return sign_in_as(staff)


def filled(staff, *permissions, **changes):
    return {
        "name": "Pool backend",
        "description": "",
        "permissions": list(permissions) or ["ingest:write"],
        "nonce": "nonce-of-this-page",
        "code": fresh_code(staff),
        **changes,
    }


def test_staff_choose_an_account_and_make_a_role_that_only_they_can_give(client, staff, account):
    assert "account" in client.get(f"{SECTION}add/").context["form"].fields
    assert "account" in client.get(f"{SECTION}add/?account=nonsense").context["form"].fields
    url = f"{SECTION}add/?account={account.pk}"
    assert client.get(url).status_code == 200
    answer = client.post(url, filled(staff))
    role = Role.objects.get()
    assert answer["Location"] == f"{SECTION}{role.pk}/change/"
    assert (role.account, role.permissions) == (account, ["ingest:write"])
    event = AuditEvent.objects.get(action="role.created")
    assert (event.actor, event.via, event.account) == (staff, "admin", account)
    page = client.get(answer["Location"]).content.decode()
    for text in ("Pool backend", "ingest:write", "role.created"):
        assert text in page
    assert client.post(url, filled(staff, name="Sent again")).status_code == 302
    assert Role.objects.count() == 1


@pytest.mark.parametrize(
    ("change", "at"),
    [
        ({"name": ""}, "name"),
        ({"name": "Viewer"}, "name"),
        ({"permissions": []}, "permissions"),
        ({"permissions": ["stats:raed"]}, "permissions"),
        ({"permissions": ["keys:write"]}, "permissions"),
        ({"code": ""}, "code"),
        ({"code": "000000"}, "code"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_makes_no_role(client, staff, account, change, at):
    answer = client.post(f"{SECTION}add/?account={account.pk}", filled(staff, **change))
    assert at in answer.context["form"].errors
    assert not Role.objects.exists()


def test_staff_edit_under_the_same_rules(client, staff, make_role, issue_key):
    role = make_role("payouts:read")
    url = f"{SECTION}{role.pk}/edit/"
    assert client.post(url, filled(staff, "stats:read", name="Stats"))["Location"] == f"{SECTION}{role.pk}/change/"
    issue_key("custom", role=role)
    answer = client.post(url, filled(staff, "payouts:read", name="Stats", nonce="2"))
    assert "1 key uses this role" in answer.context["form"].errors["permissions"][0]
    role.refresh_from_db()
    assert (role.name, role.permissions) == ("Stats", ["stats:read"])
    Account.objects.update(keys_editable=True)
    client.post(url, filled(staff, "payouts:read", name="Stats", nonce="3"))
    role.refresh_from_db()
    assert role.permissions == ["payouts:read"]


def test_staff_clone_and_delete(client, staff, make_role, issue_key):
    role = make_role("payouts:read")
    issue_key("custom", role=role)
    client.post(f"{SECTION}{role.pk}/clone/", filled(staff, "payouts:read", name="Copy"))
    copy = Role.objects.get(name="Copy")
    answer = client.post(f"{SECTION}{role.pk}/remove/", filled(staff), follow=True)
    assert "1 key has this role" in answer.content.decode()
    assert client.get(f"{SECTION}{copy.pk}/remove/").status_code == 200
    assert "code" in client.post(f"{SECTION}{copy.pk}/remove/", filled(staff, code="")).context["form"].errors
    client.post(f"{SECTION}{copy.pk}/remove/", filled(staff, nonce="2"))
    assert list(Role.objects.all()) == [role]


def test_nothing_of_a_role_is_changed_past_its_rules(client, make_role):
    role = make_role("payouts:read")
    before = Role.objects.values().get()
    everything = {field.name: "changed" for field in Role._meta.fields}
    assert client.post(f"{SECTION}{role.pk}/change/", everything).status_code == 403
    assert client.post(f"{SECTION}{role.pk}/delete/", {"post": "yes"}).status_code == 403
    client.post(SECTION, {"action": "delete_selected", "_selected_action": [str(role.pk)], "post": "yes"})
    assert Role.objects.values().get() == before


def test_only_staff_get_in(sign_in_as, owner, make_role):
    role = make_role("payouts:read")
    client = sign_in_as(owner)
    for path in ("", "add/", f"{role.pk}/change/", f"{role.pk}/edit/", f"{role.pk}/clone/", f"{role.pk}/remove/"):
        assert client.get(SECTION + path).status_code in (302, 403), path
        assert client.post(SECTION + path, filled(owner, name="Mine")).status_code in (302, 403), path
    assert list(Role.objects.values_list("name", flat=True)) == ["Billing export"]


def test_a_role_that_is_not_there_is_not_found(client):
    for page in ("edit", "clone", "remove"):
        assert client.get(f"{SECTION}01900000-0000-7000-8000-000000000000/{page}/").status_code == 404


def test_staff_issue_a_key_with_a_role_of_the_account(client, staff, account, other_account, make_role):
    MinerFactory(account=account)
    role, foreign = make_role("ingest:write", name="Backend"), make_role("ingest:write", account=other_account)
    url = f"/admin/apikeys/activekey/add/?account={account.pk}&environment=production"
    page = client.get(url)
    assert "Backend: Sends in the data of the whole pool." in page.content.decode()
    form = {"name": "importer", "everything": ["miner"], "picked_ids": "", "expires_in_days": "", "allowed_cidrs": ""}
    for number, level in enumerate([f"role:{foreign.pk}", "custom"]):
        answer = client.post(url, {**form, "access_level": level, "nonce": str(number), "code": fresh_code(staff)})
        assert "access_level" in answer.context["form"].errors
    client.post(url, {**form, "access_level": f"role:{role.pk}", "nonce": "n", "code": fresh_code(staff)})
    key = ApiKey.objects.get()
    assert key.role == role
    for path in ("activekey/", f"activekey/{key.pk}/change/"):
        assert "Backend" in client.get(f"/admin/apikeys/{path}").content.decode()


def test_the_section_counts_keys_and_leads_to_them(client, make_role, issue_key, django_assert_max_num_queries):
    role = make_role("payouts:read")
    issue_key("custom", role=role, name="with-role")
    issue_key("viewer", name="without")
    page = client.get(SECTION).content.decode()
    [link] = re.findall(r'href="([^"]*activekey[^"]*)">1 in use', page)
    shown = client.get(link)
    assert [key.name for key in shown.context["cl"].result_list] == ["with-role"]
    for unknown in ("nonsense", "01900000-0000-7000-8000-000000000000"):
        assert not client.get(f"/admin/apikeys/activekey/?role={unknown}").context["cl"].result_list
    with django_assert_max_num_queries(30) as few:
        client.get(SECTION)
    for number in range(5):
        issue_key("custom", role=make_role("stats:read", name=f"Role {number}"))
    with django_assert_max_num_queries(len(few)):
        client.get(SECTION)


def test_permissions_that_are_fixed_can_not_be_ticked_and_the_name_can_be_changed(client, staff, make_role, issue_key):
    role = make_role("payouts:read")
    issue_key("custom", role=role)
    url = f"{SECTION}{role.pk}/edit/"
    page = client.get(url).content.decode()
    boxes = re.findall(r'<input type="checkbox" name="permissions"[^>]*>', page)
    assert boxes
    assert all("disabled" in box for box in boxes)
    sent = filled(staff, name="Payout export")
    del sent["permissions"]  # as browsers do of boxes that can't be ticked
    assert client.post(url, sent).status_code == 302
    role.refresh_from_db()
    assert (role.name, role.permissions) == ("Payout export", ["payouts:read"])

    # A page from before the key was issued
    answer = client.post(url, filled(staff, "payouts:read", "stats:read", nonce="another page"))
    assert "fixed" in str(answer.context["form"].errors["permissions"])
    role.refresh_from_db()
    assert role.permissions == ["payouts:read"]
