"""What staff do to one key: a page for each operation, with a reason, a code, and one change in the trail."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.core import mail
from django.utils import timezone

from accounts.models import AuditEvent
from apikeys import lifecycle
from apikeys.models import ApiKey
from tests.apikeys.admin_pages import KEYS, SECRET, filled, nonce_of
from tests.conftest import COMMAND, person
from tests.factories import MinerFactory
from tests.people import fresh_code

HOUR = timedelta(hours=1)
OPERATIONS = ["edit", "rotate", "end-overlap", "regenerate", "enable", "disable", "revoke"]


@pytest.fixture
def client(staff, sign_in_as):
    return sign_in_as(staff)


def page_of(key, operation="change"):
    return f"{KEYS}{key.pk}/{operation}/"


def last_event(key):
    return AuditEvent.objects.filter(target_id=key.key_id).order_by("-number").first()


def test_disabling_takes_a_reason_and_no_code_and_enabling_takes_a_code(client, staff, issue_key, api):
    key, secret = issue_key()
    assert "note" in client.post(page_of(key, "disable"), {"note": " "}).context["form"].errors
    assert client.post(page_of(key, "disable"), {"note": "Ticket 7"})["Location"] == page_of(key)
    assert api(secret).get("/api/v1/key").json()["code"] == "key_disabled"
    assert last_event(key).data["note"] == "Ticket 7"
    form = {"note": "", "nonce": nonce_of(client.get(page_of(key, "enable"))), "code": "000000"}
    assert "code" in client.post(page_of(key, "enable"), form).context["form"].errors
    assert client.post(page_of(key, "enable"), {**form, "code": fresh_code(staff)})["Location"] == page_of(key)
    assert api(secret).get("/api/v1/key").status_code == 200
    actions = AuditEvent.objects.filter(target_id=key.key_id, via="admin").values_list("action", flat=True)
    assert sorted(actions) == ["key.disabled", "key.enabled"]


def test_revoking_needs_a_reason_and_a_code(client, staff, issue_key):
    key, _ = issue_key()
    url = page_of(key, "revoke")
    form = filled(client, url, staff, reason="", note="")
    assert "reason" in client.post(url, form).context["form"].errors
    assert "note" in client.post(url, {**form, "reason": "other"}).context["form"].errors
    assert "code" in client.post(url, {**form, "reason": "leaked", "code": "000000"}).context["form"].errors
    key.refresh_from_db()
    assert key.status == "active"


def test_a_code_for_one_action_serves_no_other(client, staff, issue_key):
    key, _ = issue_key()
    client.post(page_of(key, "disable"), {"note": "Ticket 7"})
    form = filled(client, page_of(key, "enable"), staff)
    client.post(page_of(key, "enable"), form)
    answer = client.post(page_of(key, "revoke"), {**form, "nonce": "another", "reason": "leaked"})
    assert "code" in answer.context["form"].errors


@pytest.mark.parametrize("operation", OPERATIONS)
def test_acting_on_a_revoked_key_leads_to_where_it_is_now(client, issue_key, operation):
    key, _ = issue_key()
    lifecycle.revoke(key, actor=COMMAND, reason="other")
    revoked = f"/admin/apikeys/revokedkey/{key.pk}/change/"
    assert client.get(page_of(key, operation))["Location"] == revoked
    assert client.post(page_of(key, operation), {"note": "x"})["Location"] == revoked


def test_rotating_shows_a_new_secret_once_and_the_old_one_works_for_the_overlap(client, staff, issue_key, api):
    key, old = issue_key()
    url = page_of(key, "rotate")
    form = filled(client, url, staff, overlap="1", note="Their laptop was stolen")
    shown = client.post(url, form)
    (secret,) = SECRET.findall(shown.content.decode())
    assert "no-store" in shown["Cache-Control"]
    assert "data-wipe" in shown.content.decode()
    assert api(secret).get("/api/v1/key").status_code == api(old).get("/api/v1/key").status_code == 200
    assert timezone.now() < key.secrets.get(retires_at__isnull=False).retires_at <= timezone.now() + HOUR
    assert (last_event(key).action, last_event(key).data["note"]) == ("key.rotated", "Their laptop was stolen")

    repeated = client.post(url, form).content.decode()
    assert "was sent before" in repeated
    assert not SECRET.search(repeated)
    assert key.secrets.count() == 2

    # A second rotation waits for the first to end.
    assert client.get(url)["Location"] == page_of(key)
    end = page_of(key, "end-overlap")
    assert client.post(end, filled(client, end, staff, note=""))["Location"] == page_of(key)
    assert api(old).get("/api/v1/key").status_code == 401
    assert api(secret).get("/api/v1/key").status_code == 200


def test_replacing_the_secret_stops_the_old_one_at_once(client, staff, issue_key, api):
    key, old = issue_key()
    url = page_of(key, "regenerate")
    form = filled(client, url, staff, note="In a gist")
    (secret,) = SECRET.findall(client.post(url, form).content.decode())
    assert api(old).get("/api/v1/key").status_code == 401
    assert api(secret).get("/api/v1/key").status_code == 200
    assert last_event(key).data["note"] == "In a gist"
    assert not SECRET.search(client.post(url, form).content.decode())
    assert key.secrets.count() == 2


@pytest.mark.parametrize("operation", ["rotate", "regenerate", "disable"])
def test_stopping_and_renewing_take_a_reason(client, staff, issue_key, operation):
    key, _ = issue_key()
    url = page_of(key, operation)
    page = client.get(url)
    nonce = page.context["form"]["nonce"].value() if operation != "disable" else ""
    answer = client.post(url, {"nonce": nonce, "code": fresh_code(staff), "overlap": "24", "note": ""})
    assert "note" in answer.context["form"].errors
    assert last_event(key).action == "key.issued"


def test_a_secret_that_is_pasted_into_a_reason_is_refused_and_kept_nowhere(client, staff, issue_key):
    key, secret = issue_key()
    answer = client.post(page_of(key, "disable"), {"note": f"found {secret} in a log"})
    assert "note" in answer.context["form"].errors
    events = AuditEvent.objects.filter(target_id=key.key_id).order_by("pk")
    assert [event.action for event in events] == ["key.issued", "key.exposed"]
    assert (events[1].actor, events[1].via) == (staff, "admin")
    assert secret[20:63] not in str([vars(event) for event in events])


def test_an_edit_changes_what_the_lifecycle_edits_and_nothing_else(client, staff, account, issue_key):
    account.default_rate_limit = 60
    account.save()
    key, _ = issue_key(allowed_cidrs=["192.0.2.0/24"])
    url = page_of(key, "edit")
    page = client.get(url)
    assert "access_level" not in page.context["form"].fields
    form = {
        **filled(client, url, staff),
        "seen": page.context["form"]["seen"].value(),
        "name": "Renamed",
        "description": "Night shift",
        "expires_at_0": "2030-01-02",
        "expires_at_1": "03:04:05",
        "allowed_cidrs": "198.51.100.0/24",
        "rate_limit": "120",
        "rate_burst": "30",
        "access_level": "administrator",
        "environment": "staging",
        "note": "Asked by mail",
    }
    assert client.post(url, form)["Location"] == page_of(key)
    changed = ApiKey.objects.get(pk=key.pk)
    assert (changed.name, changed.description) == ("Renamed", "Night shift")
    assert (changed.rate_limit, changed.rate_burst) == (120, 30)
    assert changed.allowed_cidrs == ["198.51.100.0/24"]
    assert changed.expires_at.isoformat() == "2030-01-02T03:04:05+00:00"
    assert (changed.access_level, changed.environment) == ("viewer", "production")
    event = last_event(key)
    assert (event.action, event.data["note"]) == ("key.edited", "Asked by mail")
    assert set(event.data["changes"]) == {
        "name", "description", "expires_at", "allowed_cidrs", "rate_limit", "rate_burst",
    }  # fmt: skip


def test_an_edit_by_staff_keeps_to_the_plan_and_to_the_limit(client, staff, account, issue_key):
    key, _ = issue_key(rate_limit=1000)
    account.max_rate_limit = 600
    account.save()
    url = page_of(key, "edit")
    start = client.get(url).context["form"]
    assert "At most 600" in start["rate_limit"].help_text
    form = {**filled(client, url, staff), "seen": start["seen"].value(), "name": key.name}
    for fields, at, said in [
        ({"rate_limit": "601"}, "rate_limit", "Between 1 and 600"),
        ({"rate_limit": "60", "rate_burst": "61"}, "rate_burst", "Between 1 and 60"),
        ({"rate_limit": "60", "rate_burst": "0"}, "rate_burst", "Between 1 and 60"),
    ]:
        assert said in str(client.post(url, {**form, **fields}).context["form"].errors[at])
    assert client.post(url, {**form, "name": "Renamed", "rate_limit": "1000"})["Location"] == page_of(key)
    assert ApiKey.objects.get(pk=key.pk).rate_limit == 1000


def test_a_name_alone_takes_no_code_and_anything_else_does(client, staff, issue_key):
    key, _ = issue_key(expires_at=timezone.now() + timedelta(days=30))
    url = page_of(key, "edit")
    fields = client.get(url).context["form"]
    expires = fields.initial.get("expires_at") or fields["expires_at"].value()
    form = {
        "nonce": fields["nonce"].value(),
        "seen": fields["seen"].value(),
        "name": "Renamed",
        "expires_at_0": expires.strftime("%Y-%m-%d"),
        "expires_at_1": expires.strftime("%H:%M:%S"),
        "code": "",
    }
    answer = client.post(url, {**form, "rate_limit": "5"})
    assert "code" in answer.context["form"].errors
    assert client.post(url, form)["Location"] == page_of(key)
    changed = ApiKey.objects.get(pk=key.pk)
    assert (changed.name, changed.rate_limit) == ("Renamed", None)
    assert changed.expires_at == key.expires_at
    again = client.get(url).context["form"]
    stale = client.post(url, {**form, "seen": form["seen"], "name": "Third", "nonce": again["nonce"].value()})
    assert "Somebody changed this key" in stale.content.decode()


def test_level_and_scope_are_edited_only_where_the_account_allows_it(client, staff, account, issue_key):
    MinerFactory(account=account)
    key, _ = issue_key(scopes=["*:*"])
    account.keys_editable = True
    account.save()
    url = page_of(key, "edit")
    page = client.get(url).context["form"]
    form = {
        **filled(client, url, staff),
        "seen": page["seen"].value(),
        "name": key.name,
        "access_level": "accountant",
        "everything": ["miner"],
    }
    # What the boxes say counts only when the scope is to be replaced.
    assert client.post(url, form)["Location"] == page_of(key)
    changed = ApiKey.objects.get(pk=key.pk)
    assert changed.access_level == "accountant"
    assert [str(row) for row in changed.scopes.all()] == ["*:*"]
    page = client.get(url).context["form"]
    form |= {**filled(client, url, staff), "seen": page["seen"].value(), "change_scope": "on"}
    assert client.post(url, form)["Location"] == page_of(key)
    assert [str(row) for row in changed.scopes.all()] == ["*:miners/*"]


def test_a_refusal_by_the_rules_stands_at_its_field_and_costs_no_code(client, staff, account, issue_key):
    account.max_lifetime_days = 30
    account.save()
    key, _ = issue_key(expires_at=timezone.now() + timedelta(days=10))
    url = page_of(key, "edit")
    page = client.get(url).context["form"]
    code = fresh_code(staff)
    form = {"nonce": page["nonce"].value(), "seen": page["seen"].value(), "name": key.name, "code": code}
    answer = client.post(url, {**form, "expires_at_0": "2040-01-01", "expires_at_1": "00:00"})
    assert "at most 30 days" in answer.content.decode()
    assert "expires_at" in answer.context["form"].errors
    tomorrow = (timezone.now() + timedelta(days=1)).strftime("%Y-%m-%d")
    assert client.post(url, {**form, "expires_at_0": tomorrow, "expires_at_1": "00:00"}).status_code == 302


@pytest.mark.parametrize(
    ("group", "allowed"),
    [
        ("support", {"disable"}),
        ("security", {"disable", "revoke"}),
        ("administrators", set(OPERATIONS)),
    ],
)
def test_each_group_sees_and_does_what_it_may_and_nothing_else(group, allowed, issue_key, sign_in_as):
    user = person(None, "Greta")
    user.is_staff = True
    user.save()
    user.groups.add(Group.objects.get(name=group))
    client = sign_in_as(user)
    key, _ = issue_key()
    page = client.get(page_of(key)).content.decode()
    for operation in OPERATIONS:
        url = page_of(key, operation)
        assert (client.get(url).status_code != 403) == (operation in allowed), operation
        assert (client.post(url).status_code != 403) == (operation in allowed), operation
        offered = operation in allowed - {"enable", "end-overlap"}  # which make no sense now
        assert (f'href="{url}"' in page) == offered, operation
    assert ApiKey.objects.active().filter(pk=key.pk).exists()


def test_owners_are_told_that_staff_did_it(client, staff, owner, issue_key, django_capture_on_commit_callbacks):
    key, _ = issue_key()
    with django_capture_on_commit_callbacks(execute=True):
        client.post(page_of(key, "disable"), {"note": "Ticket 7"})
    (told,) = mail.outbox
    assert told.to == [owner.email]
    assert "switched off" in told.subject
    assert "The pool’s staff" in told.body
    assert staff.name not in told.body
