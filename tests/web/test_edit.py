"""Editing a key in the owner's pages."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts.models import AuditEvent, Membership
from apikeys.models import ApiKey, RequestLog
from tests.factories import HubClientFactory, HubFactory, MinerFactory
from tests.people import fresh_code
from tests.web.conftest import KEYS


@pytest.fixture
def key(issue_key, miner):
    return issue_key("viewer", ["*:miners/*"], name="bot", description="Old words", allowed_cidrs=["198.51.100.0/24"])[
        0
    ]


def url(key):
    return f"{KEYS}{key.key_id}/edit/"


def typed(page: str) -> dict[str, list[str]]:
    """What the browser would send from the page as it stands."""
    form = page[page.index("data-live-preview") :]
    data: dict[str, list[str]] = {}
    for tag in re.findall(r"<input[^>]*>", form):
        attrs = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        is_box = attrs.get("type") in ("checkbox", "radio")
        if "name" in attrs and not re.search(r"\sdisabled", tag) and (not is_box or re.search(r"\schecked", tag)):
            data.setdefault(attrs["name"], []).append(attrs.get("value", "on" if is_box else ""))
    for name, text in re.findall(r'<textarea name="(\w+)"[^>]*>\s*([^<]*)</textarea>', form):
        data[name] = [text]
    return data


@pytest.fixture
def edit(sign_in_as, owner):
    """Open the page, change something, send it; ``code=True`` types a working one."""

    def send(key, *, by=owner, code=False, **changes):
        client = sign_in_as(by)
        data = typed(client.get(url(key)).content.decode()) | changes
        return client.post(url(key), data | {"code": fresh_code(by) if code else ""})

    return send


def changed(key):
    return AuditEvent.objects.filter(action="key.edited", target_id=key.key_id)


def test_a_name_and_a_description_take_no_code(edit, key, owner):
    response = edit(key, name="renamed", description="New words")
    assert (response.status_code, response["Location"]) == (302, f"{KEYS}{key.key_id}/")
    key.refresh_from_db()
    assert (key.name, key.description) == ("renamed", "New words")
    assert changed(key).get().data["changes"].keys() == {"name", "description"}
    assert TOTPDevice.objects.get(user=owner).last_t == -1


def test_a_code_that_was_typed_for_labels_is_not_spent(edit, key, owner):
    edit(key, name="renamed", code=True)
    assert TOTPDevice.objects.get(user=owner).last_t == -1


def test_anything_else_asks_for_the_code_and_keeps_what_was_typed(edit, key):
    page = edit(key, name="renamed", allowed_cidrs="203.0.113.0/24", rate_limit="90").content.decode()
    assert "Changing this takes a code: allowed addresses and rate limit." in page
    assert 'value="renamed"' in page
    assert "203.0.113.0/24</textarea>" in page
    assert 'value="90"' in page
    key.refresh_from_db()
    assert key.name == "bot"


def test_with_the_code_it_is_saved(edit, key):
    day = timezone.localdate() + timedelta(days=20)
    response = edit(
        key, code=True, allowed_cidrs="203.0.113.0/24", rate_limit="90", expires_in="date", expires_on=day.isoformat()
    )
    assert response.status_code == 302
    key.refresh_from_db()
    assert (key.allowed_cidrs, key.rate_limit, key.expires_at.date()) == (["203.0.113.0/24"], 90, day)


def test_a_burst_takes_a_code_and_is_saved_with_its_limit(edit, key):
    page = edit(key, rate_limit="90", rate_burst="9").content.decode()
    assert "Changing this takes a code: rate limit and burst." in page
    assert edit(key, code=True, rate_limit="90", rate_burst="9").status_code == 302
    key.refresh_from_db()
    assert (key.rate_limit, key.rate_burst) == (90, 9)
    page = edit(key, code=True, rate_limit="8").content.decode()
    assert "Between 1 and 8 requests at once" in page


def test_a_limit_from_before_the_plan_s_maximum_is_in_nobody_s_way(edit, key, account):
    ApiKey.objects.update(rate_limit=1000)
    account.max_rate_limit = 600
    account.save()
    assert edit(key, name="renamed").status_code == 302
    assert edit(key, code=True, allowed_cidrs="203.0.113.0/24").status_code == 302
    assert "the most in this account" in edit(key, code=True, rate_limit="999").content.decode()
    key.refresh_from_db()
    assert (key.name, key.rate_limit, key.allowed_cidrs) == ("renamed", 1000, ["203.0.113.0/24"])


def test_a_wrong_code_saves_nothing(sign_in_as, key, owner):
    client = sign_in_as(owner)
    data = typed(client.get(url(key)).content.decode()) | {"rate_limit": "90", "name": "renamed"}
    right = fresh_code(owner)
    page = client.post(url(key), data | {"code": "000000" if right != "000000" else "000001"}).content.decode()
    assert "That code is not right" in page
    key.refresh_from_db()
    assert (key.rate_limit, key.name) == (None, "bot")


def test_nothing_changed_is_said_kindly(edit, key, sign_in_as, owner):
    client = sign_in_as(owner)
    data = typed(client.get(url(key)).content.decode())
    page = client.post(url(key), data, follow=True).content.decode()
    assert "as you want it already" in page
    assert not changed(key).exists()


def test_level_and_scope_are_fixed_where_the_policy_says_so(edit, key, sign_in_as, owner):
    page = sign_in_as(owner).get(url(key)).content.decode()
    assert "Fixed when the key was created, by this account’s policy." in page
    assert 'name="access_level"' not in page
    edit(key, code=True, name="renamed", access_level="administrator", hubs_all="on", miners_all="")
    key.refresh_from_db()
    assert (key.name, key.access_level) == ("renamed", "viewer")
    assert [str(row) for row in key.scopes.all()] == ["*:miners/*"]


@pytest.fixture
def editable(account):
    account.keys_editable = True
    account.save()


@pytest.mark.usefixtures("editable")
def test_where_the_policy_allows_it_level_and_scope_change_with_a_code(edit, key, miner):
    assert (
        "access level and scope"
        in edit(key, access_level="accountant", miners_all="", miners=[str(miner.pk)]).content.decode()
    )
    edit(key, code=True, access_level="accountant", miners_all="", miners=[str(miner.pk)])
    key.refresh_from_db()
    assert key.access_level == "accountant"
    assert [str(row) for row in key.scopes.all()] == [f"*:miners/{miner.pk}"]


@pytest.mark.usefixtures("editable")
def test_an_untouched_form_means_exactly_the_keys_scope(edit, issue_key, account, other_account):
    miners = MinerFactory.create_batch(2, account=account)
    HubFactory(account=account)
    client_miner = MinerFactory(account=other_account)
    HubClientFactory(hub=HubFactory(account=account), miner=client_miner)
    for scope in (
        ["*:miners/*"],
        ["*:*"],
        ["read:miners/*", f"write:miners/{miners[0].pk}"],
        [f"read:miners/{miners[0].pk}", f"write:miners/{miners[1].pk}"],
        ["*:hubs/*", f"*:miners/{client_miner.pk}"],
        ["read:miners/*", "write:miners/*", "admin:miners/*"],
    ):
        key, _ = issue_key("viewer", scope)
        assert edit(key).status_code == 302, scope
        assert sorted(str(row) for row in key.scopes.all()) == sorted(scope)
        assert not changed(key).exists()


@pytest.mark.usefixtures("editable")
def test_a_scope_that_the_boxes_cannot_say_is_kept_until_one_says_otherwise(edit, issue_key, miner, sign_in_as, owner):
    key, _ = issue_key("viewer", ["*:*"])
    assert "Keep the scope as it is" in sign_in_as(owner).get(url(key)).content.decode()
    edit(key, code=True, rate_limit="5", miners_all="on")
    assert [str(row) for row in key.scopes.all()] == ["*:*"]
    edit(key, code=True, keep_scope="", miners_all="on")
    assert [str(row) for row in key.scopes.all()] == ["*:miners/*"]


@pytest.mark.usefixtures("editable")
def test_nobody_widens_a_key_beyond_their_own_level(edit, key, treasurer):
    page = edit(key, by=treasurer, code=True, access_level="administrator").content.decode()
    assert "Your own access level is Treasurer" in page
    key.refresh_from_db()
    assert key.access_level == "viewer"


def test_who_has_less_than_the_key_changes_its_labels_alone(edit, issue_key, miner, treasurer, sign_in_as):
    key, _ = issue_key("administrator", ["*:miners/*"])
    page = sign_in_as(treasurer).get(url(key)).content.decode()
    assert "More than your own level, Treasurer." in page
    assert re.search(r'<textarea name="allowed_cidrs"[^>]* disabled', page)
    assert 'name="code"' not in page
    edit(key, by=treasurer, name="renamed", rate_limit="9", allowed_cidrs="0.0.0.0/0", expires_in="none", code=True)
    key.refresh_from_db()
    assert (key.name, key.rate_limit, key.allowed_cidrs) == ("renamed", None, [])


def test_the_environment_is_shown_and_never_changes(edit, key, account):
    edit(key, name="renamed", environment="staging", account="borealis", key_id="key_x", revoked_at="2020-01-01")
    fresh = ApiKey.objects.get(pk=key.pk)
    assert (fresh.environment, fresh.account, fresh.key_id, fresh.revoked_at) == (
        "production",
        account,
        key.key_id,
        None,
    )


def test_an_expired_key_can_be_extended_and_renamed(edit, key):
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now() - timedelta(days=1))
    assert edit(key, name="renamed").status_code == 302
    assert edit(key, code=True, expires_in="30").status_code == 302
    key.refresh_from_db()
    assert (key.name, key.status) == ("renamed", "active")


def test_an_extension_never_outlives_the_accounts_policy(edit, key, account):
    account.max_lifetime_days = 60
    account.save()
    ApiKey.objects.filter(pk=key.pk).update(created_at=timezone.now() - timedelta(days=50))
    assert "Nothing was saved" in edit(key, code=True, expires_in="30").content.decode()
    day = (timezone.localdate() + timedelta(days=20)).isoformat()
    assert "Nothing was saved" in edit(key, code=True, expires_in="date", expires_on=day).content.decode()
    key.refresh_from_db()
    assert key.expires_at is None


def test_what_somebody_else_changed_meanwhile_is_not_undone_unseen(sign_in_as, owner, key):
    client = sign_in_as(owner)
    data = typed(client.get(url(key)).content.decode())
    ApiKey.objects.filter(pk=key.pk).update(allowed_cidrs=["192.0.2.0/24"])
    data = data | {"name": "renamed", "code": fresh_code(owner)}
    page = client.post(url(key), data).content.decode()
    assert "Somebody changed this key after you opened this page." in page
    key.refresh_from_db()
    assert (key.name, key.allowed_cidrs) == ("bot", ["192.0.2.0/24"])
    again = typed(page) | {"code": fresh_code(owner)}
    assert client.post(url(key), again).status_code == 302
    key.refresh_from_db()
    assert (key.name, key.allowed_cidrs) == ("renamed", ["198.51.100.0/24"])


def test_a_form_sent_twice_is_saved_once(sign_in_as, owner, key):
    client = sign_in_as(owner)
    data = typed(client.get(url(key)).content.decode()) | {"rate_limit": "90", "code": fresh_code(owner)}
    assert client.post(url(key), data).status_code == 302
    assert client.post(url(key), data).status_code == 302
    assert changed(key).count() == 1


def test_a_revoked_key_leads_to_its_page(sign_in_as, owner, key):
    ApiKey.objects.filter(pk=key.pk).update(revoked_at=timezone.now())
    assert sign_in_as(owner).get(url(key))["Location"] == f"{KEYS}{key.key_id}/"


def test_a_removed_member_is_refused_at_the_next_click(sign_in_as, treasurer, key):
    client = sign_in_as(treasurer)
    data = typed(client.get(url(key)).content.decode())
    Membership.objects.filter(user=treasurer).delete()
    assert client.post(url(key), data | {"name": "mine"}).status_code == 404
    key.refresh_from_db()
    assert key.name == "bot"


def test_a_key_of_another_account_is_not_there(sign_in_as, owner, issue_key, other_account):
    MinerFactory(account=other_account)
    foreign, _ = issue_key("viewer", ["*:miners/*"], account=other_account)
    assert sign_in_as(owner).get(url(foreign)).status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        {"name": "\x00"},
        {"name": ""},
        {"description": "x" * 301},
        {"rate_limit": "lots"},
        {"rate_limit": "0"},
        {"rate_burst": "5"},
        {"rate_limit": "60", "rate_burst": "61"},
        {"allowed_cidrs": "10.0.0.1/8"},
        {"expires_in": "7"},
        {"expires_in": "date"},
        {"expires_in": "date", "expires_on": "9999-12-31"},
        {"expires_in": "date", "expires_on": "0001-01-01"},
        {"nonce": ""},
    ],
)
def test_bad_input_is_an_error_and_saves_nothing(edit, key, change):
    response = edit(key, code=True, **change)
    assert response.status_code == 200
    assert "Nothing was saved" in response.content.decode()
    assert not changed(key).exists()


# What live calls may break


@pytest.fixture
def calls(key, account):
    """What the key did in the last day, and before."""
    now = timezone.now()
    for route, method, address, at in (
        ("api/v1/miners", "GET", "198.51.100.7", now),
        ("api/v1/miners/<str:entity_id>/workers", "GET", "203.0.113.9", now),
        ("api/v1/miners/<str:entity_id>/accruals", "GET", "2001:db8::1", now),
        ("another/service", "GET", "198.51.100.7", now),
        ("api/v1/pools", "GET", "192.0.2.77", now - timedelta(days=2)),
    ):
        RequestLog.objects.create(
            at=at, account=account, key=key, address=address, method=method, route=route, status=200, duration_ms=1,
            request_id="r",
        )  # fmt: skip


def verdicts(page: str) -> dict[str, bool]:
    """Whether each route and address of the page would be refused."""
    rows = re.findall(r'<th scope="row"><span class="mono">([^<]+)</span></th>(.*?)</tr>', page)
    return {name.replace("&lt;", "<").replace("&gt;", ">"): "is-refused" in rest for name, rest in rows if rest}


@pytest.mark.usefixtures("calls", "editable")
def test_the_page_marks_what_of_the_last_day_the_new_settings_would_refuse(sign_in_as, owner, key):
    client = sign_in_as(owner)
    data = typed(client.get(url(key)).content.decode())
    page = client.post(
        url(key), data | {"preview": "1", "access_level": "accountant", "allowed_cidrs": "203.0.113.0/24"}
    ).content.decode()
    assert verdicts(page[page.index('id="impact"') :]) == {
        "GET api/v1/miners": False,
        "GET api/v1/miners/<str:entity_id>/workers": True,
        "GET api/v1/miners/<str:entity_id>/accruals": False,
        "GET another/service": False,
        "198.51.100.7": True,
        "2001:db8::1": True,
        "203.0.113.9": False,
    }
    assert "Refused: lacks workers:read" in page
    assert "1 of 4 routes of the last day would be refused." in page
    assert "2 of 3 addresses of the last day would be refused." in page


@pytest.mark.usefixtures("calls", "editable")
def test_an_action_that_no_scope_gives_refuses_its_routes_too(sign_in_as, owner, key):
    client = sign_in_as(owner)
    data = typed(client.get(url(key)).content.decode())
    change = {"preview": "1", "access_level": "administrator", "miners_all_actions": ["none", "write"]}
    page = client.post(url(key), data | change).content.decode()
    assert "Refused: lacks entities:read" in page


def test_a_key_that_was_not_used_says_so(sign_in_as, owner, key):
    assert "no request with this key in the last 24 hours" in sign_in_as(owner).get(url(key)).content.decode()
