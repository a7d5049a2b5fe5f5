"""Accounts and the audit trail in the staff admin: every change leaves a row, and nothing is deleted."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group

from accounts.models import Account, AuditEvent, Membership
from apikeys.models import SigningKey
from tests.conftest import COMMAND
from tests.factories import AccountFactory, UserFactory
from tests.people import fresh_code


@pytest.fixture
def client(staff, sign_in_as):
    return sign_in_as(staff)


def demote(user, group):
    user.is_superuser = False
    user.save()
    user.groups.add(Group.objects.get(name=group))


@pytest.fixture
def page(client, account, staff):
    """Open a page of the account's own and send it filled in, a fresh code included."""

    def send(path, **fields):
        url = f"/admin/accounts/account/{account.pk}/{path}/"
        form = client.get(url).context["form"]
        shown = {}
        for field in form:
            shown |= {field.html_name: field.value()}
            if field.field.show_hidden_initial:
                shown |= {field.html_initial_name: field.value()}
        data = {**shown, "code": fresh_code(staff), **fields}
        return client.post(url, {name: value for name, value in data.items() if value not in (None, False)})

    return send


def url_of(account):
    return f"/admin/accounts/account/{account.pk}/change/"


def errors_of(answer):
    return answer.context["form"].errors


def actions_of(account, prefix):
    events = AuditEvent.objects.filter(account=account, action__startswith=prefix)
    return [event.action for event in events.order_by("number")]


def test_staff_add_an_account(client, staff):
    answer = client.post("/admin/accounts/account/add/", {"name": "Kiruna Deep", "slug": "kiruna"})
    assert answer.status_code == 302, answer.context["errors"]
    account = Account.objects.get(slug="kiruna")
    event = AuditEvent.objects.get()
    assert (event.action, event.account, event.actor, event.via) == ("account.created", account, staff, "admin")
    assert event.data["values"] == {"name": "Kiruna Deep", "slug": "kiruna"}


def test_the_page_of_an_account_edits_its_name_and_nothing_else(client, account):
    stolen = {"slug": "stolen", "suspended_at": "2026-01-01", "keys_editable": "on", "max_active_keys": "5"}
    client.post(url_of(account), {"name": "Northfold", **stolen})
    before = account.keys_editable, account.max_active_keys
    account.refresh_from_db()
    assert (account.name, account.slug, account.suspended_at) == ("Northfold", "northfold", None)
    assert (account.keys_editable, account.max_active_keys) == before
    event = AuditEvent.objects.get(action="account.changed")
    assert event.data == {"changes": {"name": {"from": "Northfold Mining", "to": "Northfold"}}}


def test_saving_an_account_unchanged_records_nothing(client, account):
    before = AuditEvent.objects.count()
    client.post(url_of(account), {"name": account.name})
    assert AuditEvent.objects.count() == before


def test_the_page_shows_policies_pins_members_keys_and_events(client, account, owner, member, issue_key):
    from accounts import policies

    issue_key()
    policies.set_policies(account, actor=COMMAND, max_active_keys=20)
    policies.pin(account, "max_active_keys", actor=COMMAND)
    text = " ".join(client.get(url_of(account)).content.decode().split())
    for shown in ("20 keys", "Pinned: staff alone", "Olga", "Milo", "version 1 (1 key)", "account.policies_pinned"):
        assert shown in text, shown


def test_staff_who_only_view_are_offered_no_change(client, staff, account, owner):
    demote(staff, "support")
    text = client.get(url_of(account)).content.decode()
    for path in ("policies/", "members/add/", f"members/{owner.memberships.get().pk}/remove/", "suspend/"):
        assert f"{account.pk}/{path}" not in text
        assert client.get(f"/admin/accounts/account/{account.pk}/{path}").status_code == 403
    assert "Olga" in text


# Policies


def test_policies_are_set_with_a_code_and_recorded(page, account, client):
    assert "code" in errors_of(page("policies", keys_editable="on", code="000000"))
    answer = page("policies", keys_editable="on", key_automation="on", max_active_keys="20")
    assert answer["Location"] == url_of(account)
    account.refresh_from_db()
    assert (account.keys_editable, account.key_automation, account.max_active_keys) == (True, True, 20)
    event = AuditEvent.objects.get(action="account.policies_changed")
    assert event.data == {
        "keys_editable": [False, True],
        "key_automation": [False, True],
        "max_active_keys": [None, 20],
    }


def test_a_policy_is_pinned_beside_its_value_and_freed(page, account):
    page("policies", max_active_keys="20", pin_max_active_keys="on", pin_key_automation="on")
    account.refresh_from_db()
    assert account.pinned_policies == ["key_automation", "max_active_keys"]
    assert AuditEvent.objects.get(action="account.policies_pinned").data == {
        "fields": ["key_automation", "max_active_keys"]
    }
    page("policies", pin_key_automation=None)
    account.refresh_from_db()
    assert (account.pinned_policies, account.max_active_keys) == (["max_active_keys"], 20)
    assert AuditEvent.objects.get(action="account.policies_unpinned").data == {"fields": ["key_automation"]}


def test_staff_set_what_the_plan_allows_and_it_has_no_pin(page, account, client):
    form = client.get(f"/admin/accounts/account/{account.pk}/policies/").context["form"]
    assert "pin_max_rate_limit" not in form.fields
    assert "At most 600" in str(
        errors_of(page("policies", max_rate_limit="600", default_rate_limit="601"))["default_rate_limit"]
    )
    page("policies", max_rate_limit="600", default_rate_limit="60")
    account.refresh_from_db()
    assert (account.max_rate_limit, account.default_rate_limit, account.pinned_policies) == (600, 60, [])
    assert AuditEvent.objects.get(action="account.policies_changed").data == {
        "max_rate_limit": [None, 600],
        "default_rate_limit": [None, 60],
    }
    text = client.get(url_of(account)).content.decode()
    assert "600 requests a minute" in text
    assert text.count("The plan’s: staff alone") == 1


def test_what_an_owner_changed_meanwhile_stays(client, account, staff):
    url = f"/admin/accounts/account/{account.pk}/policies/"
    form = client.get(url).context["form"]
    Account.objects.filter(pk=account.pk).update(rotation_days=30)
    shown = {f"initial-{field}": form[field].value() for field in ("rotation_days", "permanent_delete")}
    data = {"rotation_days": "90", "permanent_delete": "on", "nonce": form["nonce"].value(), **shown}
    client.post(url, {**data, "initial-rotation_days_elsewhere": "", "code": fresh_code(staff)})
    account.refresh_from_db()
    assert (account.rotation_days, account.permanent_delete) == (30, True)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_active_keys", "0"),
        ("rotation_days", "3651"),
        ("default_rate_limit", "2000000"),
        ("max_rate_limit", "0"),
        ("rotation_days", "soon"),
    ],
)
def test_the_bounds_of_policies_hold_for_staff_too(page, field, value):
    assert "A whole number from 1 to" in str(errors_of(page("policies", **{field: value}))[field])


def test_a_policy_that_staff_change_is_told_to_the_owners(
    page, account, owner, mailoutbox, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        page("policies", permanent_delete="on")
    [message] = mailoutbox
    assert message.to == [owner.email]
    assert "Revoked keys can be deleted: off → on (less strict)" in message.body
    assert "The pool’s staff" in message.body
    assert "Stina" not in message.body


# Members


def test_members_come_change_and_go_with_an_event_each(page, account, staff):
    user = UserFactory()
    page("members/add", person=user.pk, access_level="viewer")
    membership = Membership.objects.get(account=account, user=user)
    page(f"members/{membership.pk}/change", access_level="treasurer", key_permissions=["api_keys.view"])
    membership.refresh_from_db()
    assert (membership.access_level, membership.can_view_keys) == ("treasurer", True)
    page(f"members/{membership.pk}/remove")
    assert not Membership.objects.exists()
    assert actions_of(account, "member.") == ["member.added", "member.changed", "member.removed"]
    added = AuditEvent.objects.get(action="member.added")
    assert (added.actor, added.via, added.data["email"]) == (staff, "admin", user.email)


def test_nobody_becomes_a_member_without_a_code(page):
    answer = page("members/add", person=UserFactory().pk, access_level="viewer", code="000000")
    assert "code" in errors_of(answer)
    assert not Membership.objects.exists()


def test_a_new_owner_is_told_to_every_owner(page, owner, mailoutbox, django_capture_on_commit_callbacks):
    user = UserFactory(name="Kim")
    with django_capture_on_commit_callbacks(execute=True):
        page("members/add", person=user.pk, is_owner="on")
    assert {message.to[0] for message in mailoutbox} == {owner.email, user.email}
    assert "Kim is now an owner of Northfold Mining" in mailoutbox[0].subject
    assert Membership.objects.get(user=user).access_level == "administrator"


def test_the_last_owner_stays_one_for_staff_too(page, client, account, owner):
    membership = owner.memberships.get()
    answer = page(f"members/{membership.pk}/change", is_owner=None, access_level="viewer")
    assert "Make somebody else an owner first" in str(errors_of(answer)["is_owner"])
    answer = client.get(f"/admin/accounts/account/{account.pk}/members/{membership.pk}/remove/", follow=True)
    assert "Make somebody else an owner first" in answer.content.decode()
    membership.refresh_from_db()
    assert membership.is_owner


@pytest.mark.parametrize("wrong", ["member", "inactive", "nonsense", "huge", "nobody"])
def test_whoever_cannot_become_a_member_is_refused_politely(page, member, wrong):
    person = {
        "member": member.pk,
        "inactive": UserFactory(is_active=False).pk,
        "nonsense": "x' or 1",
        "huge": "9" * 30,
        "nobody": "",
    }[wrong]
    assert "person" in errors_of(page("members/add", person=person, access_level="viewer"))
    assert Membership.objects.count() == 1


def test_rights_over_keys_go_with_seeing_them(page):
    answer = page("members/add", person=UserFactory().pk, access_level="viewer", key_permissions=["api_keys.create"])
    assert "key_permissions" in errors_of(answer)


def test_a_member_is_found_under_their_own_account_alone(client, owner, other_account):
    path = f"/admin/accounts/account/{other_account.pk}/members/{owner.memberships.get().pk}"
    assert client.get(f"{path}/change/").status_code == client.get(f"{path}/remove/").status_code == 404


# What holds for all of it


def test_accounts_users_and_events_are_never_deleted(client, account, owner):
    event = AuditEvent.objects.first()
    for section, row in [("account", account), ("user", owner), ("auditevent", event)]:
        assert client.post(f"/admin/accounts/{section}/{row.pk}/delete/", {"post": "yes"}).status_code == 403
        bulk = {"action": "delete_selected", "_selected_action": [str(row.pk)], "post": "yes"}
        client.post(f"/admin/accounts/{section}/", bulk)
        assert type(row).objects.filter(pk=row.pk).exists()


def test_staff_bootstrap_an_account_with_a_code(client, staff):
    account = AccountFactory()
    assert "Bootstrap" in client.get(f"/admin/accounts/account/{account.pk}/change/").content.decode()
    url = f"/admin/accounts/account/{account.pk}/bootstrap/"
    form = {"nonce": client.get(url).context["form"]["nonce"].value(), "code": "000000"}
    assert "code" in client.post(url, form).context["form"].errors
    assert not SigningKey.objects.exists()
    answer = client.post(url, {**form, "code": fresh_code(staff)})
    assert answer["Location"] == f"/admin/accounts/account/{account.pk}/change/"
    assert SigningKey.objects.get().account == account
    event = AuditEvent.objects.get(action="account.bootstrapped")
    assert (event.actor, event.via, event.account) == (staff, "admin", account)
    assert client.get(url).status_code == 302
    assert client.post(url, form).status_code == 302
    assert SigningKey.objects.count() == 1


def test_the_list_counts_members_and_active_keys(client, account, owner, member, issue_key):
    from apikeys import lifecycle

    issue_key()
    issue_key()
    dead, _ = issue_key()
    lifecycle.revoke(dead, actor=COMMAND, reason="other")
    bare = AccountFactory()
    rows = {row.pk: row for row in client.get("/admin/accounts/account/").context["cl"].result_list}
    row = rows[account.pk]
    assert (row.member_count, row.active_key_count, row.bootstrapped) == (2, 2, True)
    assert (rows[bare.pk].member_count, rows[bare.pk].active_key_count, rows[bare.pk].bootstrapped) == (0, 0, False)


def test_a_longer_list_of_accounts_costs_no_more_queries(client, django_assert_max_num_queries):
    AccountFactory()
    client.get("/admin/accounts/account/")
    with django_assert_max_num_queries(40) as few:
        client.get("/admin/accounts/account/")
    AccountFactory.create_batch(5)
    with django_assert_max_num_queries(len(few)):
        client.get("/admin/accounts/account/")


def test_events_are_read_and_nothing_more(client, account):
    event = AuditEvent.objects.get()
    url = f"/admin/accounts/auditevent/{event.pk}/change/"
    assert client.get(url).status_code == 200
    assert client.post(url, {"action": "forged"}).status_code == 403
    assert client.get("/admin/accounts/auditevent/add/").status_code == 403


def test_events_are_filtered_by_account_action_and_target(client, account, other_account, issue_key):
    key, _ = issue_key()

    def actions(query):
        answer = client.get(f"/admin/accounts/auditevent/?{query}")
        assert answer.status_code == 200, query
        return sorted(event.action for event in answer.context["cl"].result_list)

    assert actions("") == ["account.bootstrapped", "account.bootstrapped", "key.issued"]
    assert actions("account=northfold") == ["account.bootstrapped", "key.issued"]
    assert actions("action=key.issued") == ["key.issued"]
    assert actions(f"target=apikey:{key.key_id}") == ["key.issued"]
    assert actions("q=manage.py") == ["account.bootstrapped", "account.bootstrapped", "key.issued"]
    assert actions(f"q={key.key_id}") == ["key.issued"]
    history = client.get(f"/admin/apikeys/activekey/{key.pk}/history/")
    assert history["Location"].endswith(f"?target=apikey%3A{key.key_id}")
    event = AuditEvent.objects.get(action="key.issued")
    of_event = client.get(f"/admin/accounts/auditevent/{event.pk}/history/")
    assert of_event["Location"] == history["Location"]
    assert client.get(f"/admin/accounts/account/{account.pk}/history/")["Location"].endswith("?account=northfold")


def test_django_keeps_no_second_history(client, account):
    client.post(url_of(account), {"name": "Northfold"})
    assert not LogEntry.objects.exists()
    assert "account.changed" in client.get("/admin/").content.decode()
