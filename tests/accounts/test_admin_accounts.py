"""Accounts, people and the audit trail in the staff admin: every change leaves a row, and nothing is deleted."""

import pytest
from django.contrib.admin.models import LogEntry

from accounts.models import Account, AuditEvent, Membership, User
from apikeys.models import SigningKey
from tests.factories import AccountFactory, MembershipFactory, UserFactory
from tests.people import fresh_code

NO_MEMBERS = {
    "memberships-TOTAL_FORMS": "0",
    "memberships-INITIAL_FORMS": "0",
    "memberships-MIN_NUM_FORMS": "0",
    "memberships-MAX_NUM_FORMS": "1000",
}


@pytest.fixture
def client(staff, sign_in_as):
    return sign_in_as(staff)


def account_form(account=None, members=(), **fields):
    """What the account's page posts, ``members`` being (membership or None, fields)."""
    form = {
        "name": account.name if account else "Kiruna Deep",
        "slug": account.slug if account else "kiruna",
        "max_active_keys": "",
        "max_lifetime_days": "",
        **NO_MEMBERS,
        "memberships-TOTAL_FORMS": str(len(members)),
        "memberships-INITIAL_FORMS": str(sum(row is not None for row, _ in members)),
        **fields,
    }
    for number, (row, values) in enumerate(members):
        prefix = f"memberships-{number}-"
        form |= {prefix + "id": row.pk if row else "", prefix + "account": account.pk if account else ""}
        form |= {prefix + name: value for name, value in values.items()}
    return form


def test_staff_add_an_account(client, staff):
    answer = client.post("/admin/accounts/account/add/", account_form(max_active_keys="5"))
    assert answer.status_code == 302, answer.context["errors"]
    account = Account.objects.get(slug="kiruna")
    event = AuditEvent.objects.get()
    assert (event.action, event.account, event.actor, event.via) == ("account.created", account, staff, "admin")
    assert event.data["values"]["max_active_keys"] == 5


def test_a_change_of_an_account_is_recorded_field_by_field(client, account):
    AuditEvent.objects.all()._raw_delete("default")
    url = f"/admin/accounts/account/{account.pk}/change/"
    client.post(url, account_form(account, name="Northfold", slug="stolen", suspended_at="2026-01-01"))
    account.refresh_from_db()
    assert (account.name, account.slug, account.suspended_at) == ("Northfold", "northfold", None)
    event = AuditEvent.objects.get()
    assert event.action == "account.changed"
    assert event.data == {"changes": {"name": {"from": "Northfold Mining", "to": "Northfold"}}}


def test_the_policy_of_keys_is_set_here_and_recorded(client, account):
    url = f"/admin/accounts/account/{account.pk}/change/"
    client.post(url, account_form(account, keys_editable="on", key_automation="on"))
    account.refresh_from_db()
    assert (account.keys_editable, account.key_automation) == (True, True)
    off_to_on = {"from": False, "to": True}
    event = AuditEvent.objects.filter(action="account.changed").first()
    assert event.data["changes"] == {"keys_editable": off_to_on, "key_automation": off_to_on}
    client.post(url, account_form(account))
    account.refresh_from_db()
    assert (account.keys_editable, account.key_automation) == (False, False)


def test_saving_an_account_unchanged_records_nothing(client, account):
    before = AuditEvent.objects.count()
    client.post(f"/admin/accounts/account/{account.pk}/change/", account_form(account))
    assert AuditEvent.objects.count() == before


def test_members_come_change_and_go_with_an_event_each(client, account):
    url = f"/admin/accounts/account/{account.pk}/change/"
    user = UserFactory()
    client.post(url, account_form(account, [(None, {"user": user.pk, "access_level": "viewer"})]))
    membership = Membership.objects.get(account=account, user=user)
    level = {"user": user.pk, "access_level": "treasurer", "can_view_keys": "on"}
    client.post(url, account_form(account, [(membership, level)]))
    membership.refresh_from_db()
    assert (membership.access_level, membership.can_view_keys) == ("treasurer", True)
    client.post(url, account_form(account, [(membership, {**level, "DELETE": "on"})]))
    assert not Membership.objects.exists()
    removed, changed, added = AuditEvent.objects.filter(action__startswith="membership.")
    assert [event.action for event in (added, changed, removed)] == [
        "membership.added",
        "membership.changed",
        "membership.removed",
    ]
    assert {event.account for event in (added, changed, removed)} == {account}
    assert added.data["values"]["user"] == user.pk
    assert changed.data["changes"] == {
        "access_level": {"from": "viewer", "to": "treasurer"},
        "can_view_keys": {"from": False, "to": True},
    }
    assert removed.target_id == str(membership.pk)


def test_an_owner_who_is_no_administrator_is_refused_politely(client, account):
    member = (None, {"user": UserFactory().pk, "access_level": "viewer", "is_owner": "on"})
    answer = client.post(f"/admin/accounts/account/{account.pk}/change/", account_form(account, [member]))
    assert answer.status_code == 200
    assert "access level is Administrator" in answer.content.decode()
    assert not Membership.objects.exists()


def test_the_same_person_is_a_member_once(client, account):
    membership = MembershipFactory(account=account)
    members = [
        (membership, {"user": membership.user.pk, "access_level": "viewer"}),
        (None, {"user": membership.user.pk, "access_level": "viewer"}),
    ]
    answer = client.post(f"/admin/accounts/account/{account.pk}/change/", account_form(account, members))
    assert answer.status_code == 200
    assert Membership.objects.count() == 1


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
    from tests.conftest import COMMAND

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


GREY = "seven-grey-lanterns"
PERSON = {"email": "Nils@Example.com", "name": "Nils", "password1": GREY, "password2": GREY}


def test_staff_add_a_person_with_an_initial_password(client, staff):
    answer = client.post("/admin/accounts/user/add/", {**PERSON, "is_staff": "on", "is_superuser": "on"})
    assert answer.status_code == 302, answer.context["errors"]
    nils = User.objects.get(email="nils@example.com")
    assert nils.check_password("seven-grey-lanterns")
    assert not nils.is_staff
    assert not nils.is_superuser
    event = AuditEvent.objects.get(action="user.created")
    assert event.data == {"values": {"email": "Nils@Example.com", "name": "Nils"}}
    assert "lanterns" not in str(AuditEvent.objects.values())


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({"password1": "short", "password2": "short"}, "password2"),
        ({"password2": "seven-grey-lamps"}, "password2"),
        ({"email": "STINA@example.com"}, "email"),
    ],
)
def test_a_person_is_refused_for_a_weak_password_or_a_known_address(client, fields, at):
    answer = client.post("/admin/accounts/user/add/", {**PERSON, **fields})
    assert at in answer.context["adminform"].form.errors
    assert "seven-grey" not in answer.content.decode()


def test_superusers_switch_people_off_and_make_staff(client, owner):
    url = f"/admin/accounts/user/{owner.pk}/change/"
    client.post(url, {"email": owner.email, "name": owner.name, "is_staff": "on"})
    owner.refresh_from_db()
    assert (owner.is_active, owner.is_staff, owner.is_superuser) == (False, True, False)
    event = AuditEvent.objects.get(action="user.changed")
    assert event.data["changes"] == {"is_active": {"from": True, "to": False}, "is_staff": {"from": False, "to": True}}


def test_other_staff_do_not(client, staff, owner):
    staff.is_superuser = False
    staff.save()
    client.post(
        f"/admin/accounts/user/{owner.pk}/change/",
        {"email": owner.email, "name": "Olga Berg", "is_staff": "on", "is_superuser": "on"},
    )
    owner.refresh_from_db()
    assert (owner.name, owner.is_active, owner.is_staff, owner.is_superuser) == ("Olga Berg", True, False, False)


def test_other_staff_change_no_other_staff(client, staff, sign_in_as):
    staff.is_superuser = False
    staff.save()
    chief = UserFactory(is_staff=True, is_superuser=True)
    url = f"/admin/accounts/user/{chief.pk}/change/"
    assert client.post(url, {"email": "thief@example.com", "name": "Thief"}).status_code == 403
    assert client.get(url).status_code == 200


def test_nobody_switches_themselves_off(client, staff):
    client.post(f"/admin/accounts/user/{staff.pk}/change/", {"email": staff.email, "name": "Stina"})
    staff.refresh_from_db()
    assert (staff.is_active, staff.is_staff) == (True, True)


def test_passwords_are_neither_shown_nor_set_nor_searched(client, owner):
    page = client.get(f"/admin/accounts/user/{owner.pk}/change/").content.decode()
    assert "argon2" not in page
    assert client.get(f"/admin/accounts/user/{owner.pk}/password/").status_code in {302, 404}
    before = owner.password
    client.post(f"/admin/accounts/user/{owner.pk}/change/", {"email": owner.email, "name": "O", "password": "x"})
    owner.refresh_from_db()
    assert owner.password == before


@pytest.mark.parametrize(
    "query",
    [
        "password__startswith=argon2",
        "totpdevice__key__startswith=a",
        "recoverydevice__codes__digest__startswith=a",
        "email__startswith=a",
    ],
)
def test_no_list_of_people_can_be_probed_through_lookups(client, query):
    assert client.get(f"/admin/accounts/user/?{query}").status_code == 400


def test_seeds_and_recovery_codes_have_no_pages(client):
    for path in ["otp_totp/totpdevice/", "accounts/recoverydevice/", "accounts/recoverycode/", "auth/group/"]:
        assert client.get(f"/admin/{path}").status_code == 404


def test_people_are_found_by_part_of_name_or_address(client, owner):
    url = "/admin/autocomplete/?app_label=accounts&model_name=membership&field_name=user"
    assert client.get(f"{url}&term=olg").json()["results"] == [{"id": str(owner.pk), "text": "Olga <olga@example.com>"}]


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
    assert client.get(f"/admin/accounts/account/{account.pk}/history/")["Location"].endswith("?account=northfold")


def test_django_keeps_no_second_history(client, account):
    client.post(f"/admin/accounts/account/{account.pk}/change/", account_form(account, name="Northfold"))
    assert not LogEntry.objects.exists()
    assert "account.changed" in client.get("/admin/").content.decode()
