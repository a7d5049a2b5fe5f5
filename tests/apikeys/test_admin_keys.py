"""Keys in the staff admin: their lists, filters and pages. They are read, and never edited."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apikeys import lifecycle, request_log, signing
from apikeys.admin.keys import ActiveKeyAdmin
from apikeys.models import ApiKey, ApiKeySecret, SigningKey
from tests.conftest import COMMAND
from tests.factories import AccountFactory


@pytest.fixture
def client(staff, sign_in_as):
    return sign_in_as(staff)


def test_nothing_of_a_key_is_edited_or_deleted(client, issue_key):
    key, _ = issue_key()
    dead, _ = issue_key()
    lifecycle.revoke(dead, actor=COMMAND, reason="other")
    everything = {field.name: "changed" for field in ApiKey._meta.fields}
    for section, row in [("activekey", key), ("revokedkey", dead)]:
        page = f"/admin/apikeys/{section}/{row.pk}"
        before = ApiKey.objects.filter(pk=row.pk).values().get()
        assert client.post(f"{page}/change/", everything).status_code == 403
        assert client.post(f"{page}/delete/", {"post": "yes"}).status_code == 403
        bulk = {"action": "delete_selected", "_selected_action": [str(row.pk)], "post": "yes"}
        client.post(f"/admin/apikeys/{section}/", bulk)
        assert ApiKey.objects.filter(pk=row.pk).values().get() == before
        assert 'name="_save"' not in client.get(f"{page}/change/").content.decode()
    assert client.get("/admin/apikeys/revokedkey/add/").status_code == 403


def test_active_and_revoked_keys_are_apart(client, issue_key):
    issue_key(name="Living")
    dead, _ = issue_key(name="Buried")
    lifecycle.revoke(dead, actor=COMMAND, reason="other")
    active = client.get("/admin/apikeys/activekey/").content.decode()
    revoked = client.get("/admin/apikeys/revokedkey/").content.decode()
    assert "Living" in active
    assert "Buried" not in active
    assert "Buried" in revoked
    assert "Living" not in revoked


@pytest.mark.parametrize(
    "query",
    [
        "secrets__digest__startswith=a",
        "secrets__digest=a",
        "secrets__selector__startswith=a",
        "secrets__signing_key__wrapped__startswith=a",
        "account__signing_keys__wrapped__contains=a",
        "created_by__password__startswith=argon2",
        "idempotency_key__startswith=form",
        "name__startswith=a",
    ],
)
@pytest.mark.parametrize("section", ["activekey", "revokedkey"])
def test_no_list_can_be_probed_through_lookups(client, issue_key, section, query):
    issue_key()
    assert client.get(f"/admin/apikeys/{section}/?{query}").status_code == 400


def test_lists_are_filtered_and_searched(client, account, other_account, issue_key):
    key, _ = issue_key(name="Grafana")
    issue_key(name="Payouts", level="accountant", account=other_account)
    off, _ = issue_key(name="Asleep", environment="staging")
    lifecycle.disable(off, actor=COMMAND)

    def names(query):
        answer = client.get(f"/admin/apikeys/activekey/?{query}")
        assert answer.status_code == 200
        return {row.name for row in answer.context["cl"].result_list}

    assert names("") == {"Grafana", "Payouts", "Asleep"}
    assert names("status=active") == {"Grafana", "Payouts"}
    assert names("status=disabled") == {"Asleep"}
    assert names("status=expired") == set()
    panicked = AccountFactory()
    signing.bootstrap(panicked, actor=COMMAND)
    issue_key(name="Stopped", account=panicked)
    signing.retire(signing.current_signing_key(panicked), actor=COMMAND)
    assert names("status=without_secret") == {"Stopped"}
    assert 'is-without_secret">No secret<' in client.get("/admin/apikeys/activekey/").content.decode()
    assert names("access_level__exact=accountant") == {"Payouts"}
    assert names("environment__exact=staging") == {"Asleep"}
    assert names(f"account={other_account.slug}") == {"Payouts"}
    assert names("account=nobody") == set()
    assert names("q=grafana") == {"Grafana"}
    assert names(f"q={key.key_id}") == {"Grafana"}
    assert names("q=borealis") == {"Payouts"}


def names_of(client, query):
    answer = client.get(f"/admin/apikeys/activekey/?{query}")
    assert answer.status_code == 200
    return [row.name for row in answer.context["cl"].result_list]


def test_keys_are_found_that_nobody_uses_and_sorted_by_last_use(client, issue_key):
    now = timezone.now()
    made = {"Young": 0, "Never": 100, "Long ago": 200, "Lately": 200}
    used = {"Long ago": 91, "Lately": 3}
    for name, days in made.items():
        key, _ = issue_key(name=name)
        ApiKey.objects.filter(pk=key.pk).update(created_at=now - timedelta(days=days))
        if name in used:
            ApiKey.objects.filter(pk=key.pk).update(last_used_at=now - timedelta(days=used[name]))
    assert set(names_of(client, "use=never")) == {"Young", "Never"}
    assert set(names_of(client, "use=unused")) == {"Never", "Long ago"}
    column = 1 + ActiveKeyAdmin.list_display.index("used")  # beside the boxes
    assert names_of(client, f"o=-{column}")[:2] == ["Lately", "Long ago"]
    assert names_of(client, f"o={column}")[2:] == ["Long ago", "Lately"]


def test_keys_are_found_by_expiry_and_by_addresses(client, issue_key):
    now = timezone.now()
    issue_key(name="Forever", allowed_cidrs=["192.0.2.0/24"])
    issue_key(name="Soon", expires_at=now + timedelta(days=29))
    issue_key(name="Later", expires_at=now + timedelta(days=31))
    past, _ = issue_key(name="Past", expires_at=now + timedelta(days=1))
    ApiKey.objects.filter(pk=past.pk).update(expires_at=now - timedelta(days=1))
    assert names_of(client, "expiry=none") == ["Forever"]
    assert names_of(client, "expiry=soon") == ["Soon"]
    assert names_of(client, "addresses=limited") == ["Forever"]
    assert set(names_of(client, "addresses=any")) == {"Soon", "Later", "Past"}
    assert names_of(client, "expiry=none&addresses=any") == []


def test_overdue_rotations_are_found_as_the_key_itself_says(client, account, other_account, issue_key):
    other_account.rotation_days = None
    other_account.save()
    now = timezone.now()
    for name, age, fields in [
        ("Fresh", 89, {}),
        ("Old", 91, {}),
        ("Staging", 91, {"environment": "staging"}),
        ("Old staging", 181, {"environment": "staging"}),
        ("No policy", 400, {"account": other_account}),
        ("Stopped", 400, {}),
        ("Rotated", 400, {}),
    ]:
        key, _ = issue_key(name=name, **fields)
        key.secrets.update(created_at=now - timedelta(days=age))
        ApiKey.objects.filter(pk=key.pk).update(created_at=now - timedelta(days=age))
        if name == "Stopped":
            key.secrets.update(retires_at=now)
        if name == "Rotated":
            lifecycle.rotate(key, actor=COMMAND)
    assert set(names_of(client, "rotation=overdue")) == {"Old", "Old staging"}
    due = {key.name for key in ApiKey.objects.all() if key.rotation_due_at and key.rotation_due_at <= now}
    assert due == {"Old", "Old staging"}
    page = client.get("/admin/apikeys/activekey/?rotation=overdue").content.decode()
    assert "Secret 91 days old, rotation due" in page


@pytest.mark.parametrize("name", ["status", "access_level__exact", "environment__exact", "role", "use", "expiry"])
@pytest.mark.parametrize("value", ["x", "'", "7" * 300])
def test_filters_take_nonsense(client, issue_key, name, value):
    issue_key()
    assert client.get(f"/admin/apikeys/activekey/?{name}={value}").status_code == 200
    assert client.get(f"/admin/apikeys/activekey/?{name}=%00{value}").status_code == 400


def test_filters_keep_each_other_the_search_and_the_order(client, issue_key):
    issue_key(name="Grafana")
    page = client.get("/admin/apikeys/activekey/?status=active&q=graf&o=-1&use=never").content.decode()
    for name, value in [("q", "graf"), ("o", "-1"), ("use", "never")]:
        assert f'<input type="hidden" name="{name}" value="{value}">' in page


def test_the_page_of_a_key_tells_its_last_day_and_its_secrets(client, issue_key, api):
    key, secret = issue_key()
    assert "No requests" in client.get(f"/admin/apikeys/activekey/{key.pk}/change/").content.decode()
    api(secret).get("/api/v1/key")
    request_log.flush()
    lifecycle.rotate(key, actor=COMMAND)
    page = client.get(f"/admin/apikeys/activekey/{key.pk}/change/").content.decode()
    assert "1 request, from 127.0.0.1" in page
    assert "GET /api/v1/key" in page
    assert page.count("<td>Works</td>") == 1
    assert page.count("Works until the overlap ends") == 1


def test_no_secret_of_a_revoked_key_is_said_to_work_nor_to_be_due(client, issue_key):
    key, _ = issue_key()
    lifecycle.revoke(key, actor=COMMAND, reason="other", note="The partner left")
    page = client.get(f"/admin/apikeys/revokedkey/{key.pk}/change/").content.decode()
    assert "<td>Stopped</td>" in page
    assert "<td>Works</td>" not in page
    assert "rotation due" not in page


def test_the_history_of_a_key_tells_what_was_noted(client, issue_key):
    key, _ = issue_key()
    lifecycle.disable(key, actor=COMMAND, note="Ticket <4711>")
    page = client.get(f"/admin/apikeys/activekey/{key.pk}/change/").content.decode()
    assert "<td>Ticket &lt;4711&gt;</td>" in page


def test_the_page_of_a_key_says_what_it_is_for_and_how_much_it_may_ask(client, account, issue_key):
    key, _ = issue_key(description="Panels in the control room", rate_limit=1200)
    page = client.get(f"/admin/apikeys/activekey/{key.pk}/change/").content.decode()
    assert "Panels in the control room" in page
    assert "1,200 requests a minute" in page
    account.max_rate_limit = 900
    account.save()
    ApiKey.objects.update(rate_burst=50)
    page = client.get(f"/admin/apikeys/activekey/{key.pk}/change/").content.decode()
    assert "900 requests a minute, 50 at once, the most in the account’s plan" in page
    account.max_rate_limit = None
    account.save()
    other, _ = issue_key(account=account)
    assert "requests a minute" not in client.get(f"/admin/apikeys/activekey/{other.pk}/change/").content.decode()


def test_digests_selectors_and_signing_keys_are_never_searched(client, issue_key):
    key, secret = issue_key()
    stored = key.secrets.get()
    for text in [bytes(stored.digest).hex()[:24], stored.selector, secret[20:30], key.idempotency_key or "form"]:
        answer = client.get("/admin/apikeys/activekey/", {"q": text})
        assert len(answer.context["cl"].result_list) == 0


def test_no_admin_page_shows_a_digest_a_signing_key_or_a_seed(client, staff, account, owner, issue_key):
    from django_otp.plugins.otp_totp.models import TOTPDevice

    from accounts.second_factor import base32_secret

    key, _ = issue_key()
    dead, _ = issue_key()
    lifecycle.revoke(dead, actor=COMMAND, reason="other")
    hidden = [bytes(secret.digest) for secret in ApiKeySecret.objects.all()]
    hidden += [bytes(signing_key.wrapped) for signing_key in SigningKey.objects.all()]
    texts = [form for raw in hidden for form in (raw.hex(), repr(raw)[2:-1], raw.decode("latin-1"))]
    for device in TOTPDevice.objects.all():
        texts += [device.key, base32_secret(device)]
    texts += [owner.password, owner.password[-20:]]
    for path in [
        "",
        "accounts/account/",
        f"accounts/account/{account.pk}/change/",
        "accounts/user/",
        f"accounts/user/{owner.pk}/change/",
        f"accounts/user/{staff.pk}/change/",
        "accounts/auditevent/",
        "apikeys/activekey/",
        f"apikeys/activekey/{key.pk}/change/",
        f"apikeys/activekey/{key.pk}/revoke/",
        f"apikeys/activekey/{key.pk}/edit/",
        f"apikeys/activekey/{key.pk}/rotate/",
        "apikeys/revokedkey/",
        f"apikeys/revokedkey/{dead.pk}/change/",
    ]:
        html = client.get(f"/admin/{path}").content.decode()
        for text in texts:
            assert text not in html, path


def test_a_longer_list_of_keys_costs_no_more_queries(client, issue_key, account, django_assert_max_num_queries):
    issue_key()
    client.get("/admin/apikeys/activekey/")
    with django_assert_max_num_queries(19) as few:
        client.get("/admin/apikeys/activekey/")
    for _ in range(5):
        issue_key()
    with django_assert_max_num_queries(len(few)):
        client.get("/admin/apikeys/activekey/")
