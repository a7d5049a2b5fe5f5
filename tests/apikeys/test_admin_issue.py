"""Keys that staff issue on behalf of an account: made once, shown once."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import AuditEvent
from apikeys.models import ApiKey
from tests.apikeys.admin_pages import SECRET, nonce_of
from tests.factories import AccountFactory, HubClientFactory, HubFactory, MinerFactory
from tests.people import fresh_code

ADD = "/admin/apikeys/activekey/add/"


@pytest.fixture
def client(staff, sign_in_as):
    return sign_in_as(staff)


def issue_url(account, environment="production"):
    return f"{ADD}?account={account.pk}&environment={environment}"


def issue_form(client, account, staff, **fields):
    """What a filled-in form posts."""
    page = client.get(issue_url(account))
    return {
        "name": "Grafana",
        "access_level": "viewer",
        "everything": ["miner"],
        "picked_ids": "",
        "expires_in_days": "",
        "allowed_cidrs": "",
        "nonce": nonce_of(page),
        "code": fresh_code(staff),
        **fields,
    }


def test_staff_issue_a_key_see_it_once_and_revoke_it(client, staff, account, api):
    MinerFactory(account=account)
    form = issue_form(client, account, staff, expires_in_days="30", allowed_cidrs="192.0.2.0/24\n127.0.0.1\n")
    shown = client.post(issue_url(account), form)
    assert shown.status_code == 200
    assert "no-store" in shown["Cache-Control"]
    (secret,) = SECRET.findall(shown.content.decode())
    assert f"data-wipe>{secret}<" in shown.content.decode()
    key = ApiKey.objects.get()
    assert (key.name, key.access_level, key.created_by) == ("Grafana", "viewer", staff)
    assert key.allowed_cidrs == ["192.0.2.0/24", "127.0.0.1/32"]
    assert timedelta(days=29) < key.expires_at - timezone.now() < timedelta(days=31)
    assert [str(scope) for scope in key.scopes.all()] == ["*:miners/*"]
    assert api(secret).get("/api/v1/key").status_code == 200
    issued = AuditEvent.objects.get(action="key.issued")
    assert (issued.actor, issued.via, issued.account, issued.target_id) == (staff, "admin", account, key.key_id)

    repeated = client.post(issue_url(account), form)
    assert repeated.status_code == 200
    assert "created already" in repeated.content.decode()
    assert f"/admin/apikeys/activekey/{key.pk}/change/" in repeated.content.decode()
    assert not SECRET.search(repeated.content.decode())
    assert ApiKey.objects.count() == 1

    detail = client.get(f"/admin/apikeys/activekey/{key.pk}/change/").content.decode()
    assert key.masked in detail
    assert "key.issued" in detail

    url = f"/admin/apikeys/activekey/{key.pk}/revoke/"
    revoke = {"reason": "leaked", "note": "Seen in a gist", "nonce": nonce_of(client.get(url))}
    answer = client.post(url, {**revoke, "code": fresh_code(staff)})
    assert answer["Location"] == f"/admin/apikeys/revokedkey/{key.pk}/change/"
    key.refresh_from_db()
    assert (key.status, key.revoke_reason, key.revoke_note) == ("revoked", "leaked", "Seen in a gist")
    assert api(secret).get("/api/v1/key").status_code == 401
    revoked = AuditEvent.objects.get(action="key.revoked")
    assert (revoked.actor, revoked.via) == (staff, "admin")
    assert "Leaked or suspected leak" in client.get(answer["Location"]).content.decode()
    assert client.get(f"/admin/apikeys/activekey/{key.pk}/change/")["Location"] == answer["Location"]


def test_staff_give_a_key_a_limit_and_a_burst_within_the_plan(client, staff, account):
    MinerFactory(account=account)
    account.max_rate_limit = 600
    account.save()
    for limit, burst, at in [("601", "", "rate_limit"), ("60", "61", "rate_burst"), ("", "601", "rate_burst")]:
        form = issue_form(client, account, staff, rate_limit=limit, rate_burst=burst)
        assert "Between 1 and" in str(client.post(issue_url(account), form).context["form"].errors[at])
    assert not ApiKey.objects.exists()
    client.post(issue_url(account), issue_form(client, account, staff, rate_limit="600", rate_burst="20"))
    key = ApiKey.objects.get()
    assert (key.rate_limit, key.rate_burst) == (600, 20)


def test_the_secret_is_kept_nowhere(client, staff, account):
    MinerFactory(account=account)
    shown = client.post(issue_url(account), issue_form(client, account, staff))
    (secret,) = SECRET.findall(shown.content.decode())
    assert secret not in str(dict(client.session))
    assert secret not in str(client.cookies)
    for event in AuditEvent.objects.all():
        assert secret not in str(event.data)
    key = ApiKey.objects.get()
    for path in ["activekey/", f"activekey/{key.pk}/change/", f"activekey/{key.pk}/history/"]:
        assert secret[20:40] not in client.get(f"/admin/apikeys/{path}", follow=True).content.decode()


def test_the_form_begins_with_account_and_environment(client, account):
    page = client.get(ADD)
    assert page.status_code == 200
    assert "environment" in page.context["form"].fields
    for query in ["account=nonsense&environment=production", "account=nonsense", "environment=nowhere&account="]:
        assert client.get(f"{ADD}?{query}").status_code == 200


def test_an_account_that_is_not_set_up_is_led_to_its_set_up(client):
    account = AccountFactory()
    assert client.get(issue_url(account))["Location"] == f"/admin/accounts/account/{account.pk}/bootstrap/"


def test_kinds_that_the_account_has_none_of_are_not_offered(client, account):
    MinerFactory(account=account)
    HubFactory(account=account, environment="staging")
    offered = client.get(issue_url(account)).context["form"].fields["everything"].choices
    assert [kind for kind, _ in offered] == ["miner"]


def test_entities_are_picked_by_hand_and_by_id(client, staff, account, other_account):
    first, second, third = (MinerFactory(account=account) for _ in range(3))
    theirs = MinerFactory(account=other_account)
    HubClientFactory(hub=HubFactory(account=account), miner=theirs)
    form = issue_form(
        client, account, staff, everything=[], picked=[str(first.pk)], picked_ids=f"{second.pk}\n\n {theirs.pk}\n"
    )
    assert SECRET.search(client.post(issue_url(account), form).content.decode())
    assert set(ApiKey.objects.get().scopes.values_list("entity", flat=True)) == {first.pk, second.pk, theirs.pk}
    assert third.pk not in ApiKey.objects.get().scopes.values_list("entity", flat=True)


def test_all_of_a_kind_swallows_own_entities_but_not_clients(client, staff, account, other_account):
    own, theirs = MinerFactory(account=account), MinerFactory(account=other_account)
    HubClientFactory(hub=HubFactory(account=account), miner=theirs)
    form = issue_form(client, account, staff, picked=[str(own.pk), str(theirs.pk)])
    client.post(issue_url(account), form)
    assert {str(row) for row in ApiKey.objects.get().scopes.all()} == {"*:miners/*", f"*:miners/{theirs.pk}"}


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({"everything": []}, "everything"),
        ({"name": " "}, "name"),
        ({"access_level": "owner"}, "access_level"),
        ({"picked_ids": "miner-1"}, "picked_ids"),
        ({"picked_ids": "01900000-0000-7000-8000-000000000000"}, "picked_ids"),
        ({"picked": ["01900000-0000-7000-8000-000000000000"]}, "picked"),
        ({"picked": ["miner-1"]}, "picked"),
        ({"allowed_cidrs": "10.0.0.1/8"}, "allowed_cidrs"),
        ({"expires_in_days": "0"}, "expires_in_days"),
        ({"code": ""}, "code"),
        ({"code": "000000"}, "code"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_makes_no_key(client, staff, account, fields, at):
    MinerFactory(account=account)
    form = issue_form(client, account, staff, **fields)
    answer = client.post(issue_url(account), form)
    assert at in answer.context["form"].errors
    assert not ApiKey.objects.exists()
    typed = form["code"]
    assert not typed or f'value="{typed}"' not in answer.content.decode()
    if at != "code":
        # The code was not spent on a typo.
        again = {**issue_form(client, account, staff), "code": typed, "nonce": nonce_of(answer)}
        assert SECRET.search(client.post(issue_url(account), again).content.decode())


def test_another_accounts_entities_cannot_be_picked(client, staff, account, other_account):
    MinerFactory(account=account)
    theirs = MinerFactory(account=other_account)
    form = issue_form(client, account, staff, everything=[], picked=[str(theirs.pk)])
    assert "picked" in client.post(issue_url(account), form).context["form"].errors
    assert not ApiKey.objects.exists()


def test_a_refusal_by_the_rules_asks_for_a_new_code_and_goes_on(client, staff, account):
    MinerFactory(account=account)
    account.max_active_keys = 0
    account.save()
    form = issue_form(client, account, staff)
    answer = client.post(issue_url(account), form)
    assert "0 active keys" in answer.content.decode()
    assert nonce_of(answer) != form["nonce"]
    account.max_active_keys = 1
    account.save()
    again = {**form, "nonce": nonce_of(answer), "code": fresh_code(staff)}
    assert SECRET.search(client.post(issue_url(account), again).content.decode())


def test_the_accounts_longest_lifetime_is_offered_and_kept(client, staff, account):
    MinerFactory(account=account)
    account.max_lifetime_days = 90
    account.save()
    assert 'value="90"' in client.get(issue_url(account)).content.decode()
    for days in ("", "91"):
        form = issue_form(client, account, staff, expires_in_days=days)
        assert "expires_in_days" in client.post(issue_url(account), form).context["form"].errors


def test_a_form_sent_twice_without_a_key_says_so(client, staff, account):
    MinerFactory(account=account)
    account.max_active_keys = 0
    account.save()
    form = issue_form(client, account, staff)
    client.post(issue_url(account), form)
    answer = client.post(issue_url(account), form)
    assert "was sent before" in answer.content.decode()


def test_the_search_finds_what_the_account_may_name_and_nothing_else(client, account, other_account):
    mine = MinerFactory(account=account, name="north-1")
    theirs = MinerFactory(account=other_account, name="north-2")
    client_miner = MinerFactory(account=other_account, name="north-3")
    HubClientFactory(hub=HubFactory(account=account, name="hub"), miner=client_miner)
    MinerFactory(account=account, name="north-4", environment="staging")
    url = f"/admin/apikeys/activekey/nameable/?account={account.pk}&environment=production"
    found = client.get(url + "&term=north").json()["results"]
    assert {row["id"] for row in found} == {str(mine.pk), str(client_miner.pk)}
    assert [row["id"] for row in client.get(f"{url}&term={mine.pk}").json()["results"]] == [str(mine.pk)]
    assert client.get(f"{url}&term={theirs.pk}").json()["results"] == []
    assert client.get("/admin/apikeys/activekey/nameable/?account=x").json()["results"] == []


def test_the_search_comes_in_pages(client, account):
    for _ in range(60):
        MinerFactory(account=account)
    url = f"/admin/apikeys/activekey/nameable/?account={account.pk}&environment=production"
    first, second = client.get(url).json(), client.get(url + "&page=2").json()
    assert (len(first["results"]), first["pagination"]["more"]) == (50, True)
    assert (len(second["results"]), second["pagination"]["more"]) == (10, False)


@pytest.mark.parametrize("field", ["name", "description"])
def test_what_does_not_print_is_refused_before_the_code_is_spent(client, staff, account, field):
    MinerFactory(account=account)
    form = issue_form(client, account, staff, **{field: "Gra\u202efana"})
    answer = client.post(issue_url(account), form)
    assert "printable characters" in answer.content.decode()
    assert client.post(issue_url(account), {**form, field: "Grafana"}).status_code == 200
    assert ApiKey.objects.count() == 1


def test_going_on_without_an_account_says_what_is_missing(client):
    assert "Choose an account." in client.get(f"{ADD}?environment=production").content.decode()
    assert "Choose an account." not in client.get(ADD).content.decode()
