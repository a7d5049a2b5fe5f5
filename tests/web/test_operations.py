"""The pages of what can be done to a key: rotate, replace, end an overlap, switch, revoke, delete."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import connection, connections
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEvent, Membership
from apikeys import lifecycle, signing
from apikeys.models import ApiKey, ApiKeySecret
from tests.conftest import COMMAND
from tests.people import fresh_code, sign_in
from tests.web.conftest import KEYS

SECRET = re.compile(r"ph_live_[0-9A-Za-z]{61}")
TIMES = 5


def revoking(user, **changes):
    return {"reason": "unneeded", "note": "Project ended", "nonce": "n1", "code": fresh_code(user), **changes}


def coded(user, **fields):
    """What a form with a code is sent with: a nonce of its own, and a code that works."""
    return {"nonce": "n1", "code": fresh_code(user), **fields}


def path(key, operation: str) -> str:
    return f"{KEYS}{key.key_id}/{operation}/"


def said(response) -> str:
    """The page that a POST led to."""
    return response.content.decode()


def test_revoking_needs_a_reason_and_a_code(sign_in_as, owner, issue_key):
    key, _ = issue_key()
    client = sign_in_as(owner)
    assert "Choose a reason." in client.post(f"{KEYS}{key.key_id}/revoke/", revoking(owner, reason="")).content.decode()
    assert "Type the code" in client.post(f"{KEYS}{key.key_id}/revoke/", revoking(owner, code="")).content.decode()
    key.refresh_from_db()
    assert key.revoked_at is None


def test_whose_right_to_revoke_is_taken_away_meanwhile_is_told(sign_in_as, treasurer, issue_key):
    key, _ = issue_key()
    client = sign_in_as(treasurer)

    def take_away(execute, sql, *rest):
        if 'FROM "apikeys_apikey"' in sql:  # past the page's own check
            Membership.objects.filter(user=treasurer).update(can_delete_keys=False)
        return execute(sql, *rest)

    data = revoking(treasurer)
    with connection.execute_wrapper(take_away):
        answer = client.post(path(key, "revoke"), data)
    assert answer["Location"] == KEYS
    assert "You may not do that in this account (any more)." in said(client.get(KEYS))
    key.refresh_from_db()
    assert key.revoked_at is None


def test_disabling_takes_no_code_and_enabling_does(sign_in_as, owner, issue_key, api):
    key, secret = issue_key()
    client = sign_in_as(owner)
    client.post(f"{KEYS}{key.key_id}/disable/")
    assert api(secret).get("/api/v1/key").json()["code"] == "key_disabled"
    client.post(f"{KEYS}{key.key_id}/enable/", {"nonce": "n1", "code": "000000"})
    assert api(secret).get("/api/v1/key").status_code == 401
    client.post(f"{KEYS}{key.key_id}/enable/", {"nonce": "n2", "code": fresh_code(owner)})
    assert api(secret).get("/api/v1/key").status_code == 200
    actions = AuditEvent.objects.filter(target_id=key.key_id).values_list("action", flat=True)
    assert sorted(actions) == ["key.disabled", "key.enabled", "key.issued"]


def test_a_get_changes_nothing(sign_in_as, owner, issue_key):
    key, _ = issue_key()
    client = sign_in_as(owner)
    assert client.get(f"{KEYS}{key.key_id}/disable/").status_code == 405
    client.get(f"{KEYS}{key.key_id}/revoke/")
    key.refresh_from_db()
    assert key.status == "active"


def test_rotating_shows_the_new_secret_once_and_both_work(sign_in_as, owner, issue_key, api):
    key, old = issue_key()
    page = said(sign_in_as(owner).post(path(key, "rotate"), coded(owner, overlap="168")))
    (new,) = set(SECRET.findall(page))
    assert new != old
    assert {api(secret).get("/api/v1/key").status_code for secret in (old, new)} == {200}
    ends = key.secrets.get(retires_at__isnull=False).retires_at - timezone.now()
    assert timedelta(days=6, hours=23) < ends < timedelta(days=7)


@pytest.mark.parametrize("overlap", ["", "0", "2", "-1", "10000", "x"])
def test_an_overlap_is_one_of_those_offered_and_costs_no_code_otherwise(sign_in_as, owner, issue_key, overlap):
    key, _ = issue_key()
    client, data = sign_in_as(owner), coded(owner, overlap=overlap)
    page = said(client.post(path(key, "rotate"), data))
    assert 'id="id_overlap_error"' in page
    assert not SECRET.search(page)
    assert SECRET.search(said(client.post(path(key, "rotate"), data | {"overlap": "24"})))


def test_the_page_of_a_rotation_says_when_the_old_secret_ends_and_that_the_expiry_cuts_it(sign_in_as, owner, issue_key):
    key, _ = issue_key(expires_at=timezone.now() + timedelta(days=3))
    page = said(sign_in_as(owner).get(path(key, "rotate")))
    assert page.count("when the key expires") == 2
    assert re.search(r'value="24"[^>]*checked', page)


def test_the_same_rotation_sent_twice_makes_one_secret(sign_in_as, owner, issue_key):
    key, _ = issue_key()
    client, data = sign_in_as(owner), coded(owner, overlap="24")
    assert SECRET.search(said(client.post(path(key, "rotate"), data)))
    again = client.post(path(key, "rotate"), data)
    assert again.status_code == 409
    assert "Already done" in said(again)
    assert not SECRET.search(said(again))
    assert key.secrets.count() == 2


def test_replacing_the_secret_stops_the_old_one_and_sent_twice_makes_one(sign_in_as, owner, issue_key, api):
    key, old = issue_key()
    client, data = sign_in_as(owner), coded(owner)
    (new,) = set(SECRET.findall(said(client.post(path(key, "regenerate"), data))))
    assert (api(old).get("/api/v1/key").status_code, api(new).get("/api/v1/key").status_code) == (401, 200)
    again = client.post(path(key, "regenerate"), data)
    assert again.status_code == 409
    assert not SECRET.search(said(again))
    assert key.secrets.count() == 2


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("operation", ["rotate", "regenerate"])
def test_equal_posts_at_once_make_one_secret(owner, issue_key, operation):
    key, _ = issue_key()
    data = coded(owner, overlap="24")
    clients = [sign_in(Client(), owner) for _ in range(TIMES)]
    together = Barrier(TIMES)

    def post(client: Client) -> tuple[int, str]:
        try:
            together.wait(timeout=30)
            response = client.post(path(key, operation), data)
            return response.status_code, said(response)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(TIMES) as pool:
        answers = list(pool.map(post, clients))
    assert sorted(status for status, _ in answers) == [200, *[409] * (TIMES - 1)]
    assert sum(bool(SECRET.search(page)) for _, page in answers) == 1
    assert key.secrets.count() == 2


@pytest.mark.parametrize("operation", ["rotate", "regenerate"])
def test_a_wrong_code_renews_nothing(sign_in_as, owner, issue_key, operation):
    key, _ = issue_key()
    data = {"nonce": "n1", "code": "123456", "overlap": "24"}
    page = said(sign_in_as(owner).post(path(key, operation), data))
    assert "That code is not right" in page
    assert "123456" not in page
    assert key.secrets.count() == 1


def test_a_second_rotation_leads_to_the_key_where_the_first_can_be_ended(sign_in_as, owner, issue_key):
    key, _ = issue_key()
    lifecycle.rotate(key, actor=COMMAND)
    client = sign_in_as(owner)
    page = said(client.get(path(key, "rotate"), follow=True))
    assert "A rotation of this key is under way" in page
    assert "End overlap now…" in page
    data = coded(owner, overlap="24")
    assert "A rotation of this key is under way" in said(client.post(path(key, "rotate"), data))
    # The code was not spent on that.
    assert client.post(path(key, "end-overlap"), data).status_code == 302
    assert len(ApiKey.objects.get(pk=key.pk).live_secrets) == 1


def test_who_has_less_than_the_key_is_refused_its_secret_with_the_reason(sign_in_as, treasurer, issue_key):
    key, _ = issue_key("administrator")
    client = sign_in_as(treasurer)
    for operation in ("rotate", "regenerate"):
        for method in (client.get, client.post):
            response = method(path(key, operation))
            assert response.status_code == 403
            assert "This key may do more than you may." in said(response)


def test_a_page_held_open_is_worth_nothing_when_the_right_is_gone(sign_in_as, treasurer, issue_key):
    key, _ = issue_key()
    client = sign_in_as(treasurer)
    assert client.get(path(key, "rotate")).status_code == 200
    Membership.objects.filter(user=treasurer).update(can_update_keys=False)
    assert client.post(path(key, "rotate"), coded(treasurer, overlap="24")).status_code == 403
    assert key.secrets.count() == 1


def test_ending_an_overlap_stops_the_old_secret_and_warns_while_it_is_in_use(sign_in_as, owner, issue_key, api):
    key, old = issue_key()
    new = lifecycle.rotate(key, actor=COMMAND)
    client = sign_in_as(owner)
    assert "The old secret was never used." in said(client.get(path(key, "end-overlap")))
    oldest = key.secrets.order_by("created_at", "pk")[0]
    for ago, words in [
        (timedelta(minutes=59), "The old secret is still in use: 59 min ago."),
        (timedelta(minutes=61), "The old secret was not used in the last hour."),
    ]:
        ApiKeySecret.objects.filter(pk=oldest.pk).update(last_used_at=timezone.now() - ago)
        assert words in said(client.get(path(key, "end-overlap")))
    page = said(client.post(path(key, "end-overlap"), coded(owner), follow=True))
    assert "stopped. The new one works on." in page
    assert (api(old).get("/api/v1/key").status_code, api(new).get("/api/v1/key").status_code) == (401, 200)
    assert "has no overlap to end" in said(client.get(path(key, "end-overlap"), follow=True))


@pytest.mark.parametrize("operation", ["revoke", "regenerate"])
def test_consequences_are_named_by_the_calls_of_the_last_day(sign_in_as, owner, issue_key, called, operation):
    key, _ = issue_key()
    client = sign_in_as(owner)
    assert "Not used in the last day" in said(client.get(path(key, operation)))
    called(key, "/api/v1/miners", address="203.0.113.7", times=3)
    called(key, "/api/v1/hubs/{hub_id}", address="203.0.113.8")
    called(key, "/api/v1/pools", at=timezone.now() - timedelta(hours=25))
    page = said(client.get(path(key, operation)))
    assert "Not used in the last day" not in page
    assert "/api/v1/miners" in page
    assert "/api/v1/hubs/{hub_id}" in page
    assert "/api/v1/pools" not in page
    assert re.search(r"Requests, last 24 h</dt><dd>4</dd>", page)
    assert re.search(r"Addresses, last 24 h</dt><dd>2</dd>", page)
    assert "203.0.113.7" in page


def test_switching_off_leads_back_to_where_it_was_done(sign_in_as, owner, issue_key):
    client = sign_in_as(owner)
    for back, expected in [
        ("", KEYS),
        ("status=all&q=bot", f"{KEYS}?status=all&q=bot"),
        ("//evil.example/?x", f"{KEYS}?%2F%2Fevil.example%2F%3Fx="),
        ("a\r\nSet-Cookie: b=c", f"{KEYS}?a%0D%0ASet-Cookie%3A+b=c"),
    ]:
        key, _ = issue_key()
        response = client.post(path(key, "disable"), {"back": back})
        assert response["Location"] == expected
    key, _ = issue_key()
    assert client.post(path(key, "disable"), {"back": "key"})["Location"] == f"{KEYS}{key.key_id}/"


def test_enabling_past_the_account_s_limit_is_refused_before_the_code_is_spent(sign_in_as, owner, account, issue_key):
    key, _ = issue_key()
    lifecycle.disable(key, actor=COMMAND)
    issue_key()
    account.max_active_keys = 1
    account.save()
    client, data = sign_in_as(owner), coded(owner)
    assert "This account may have 1 active key" in said(client.post(path(key, "enable"), data))
    account.max_active_keys = 2
    account.save()
    assert client.post(path(key, "enable"), data)["Location"] == f"{KEYS}{key.key_id}/"
    key.refresh_from_db()
    assert key.disabled_at is None


def test_a_key_without_a_secret_gets_one_by_replacing_it(sign_in_as, owner, account, issue_key, api):
    key, _ = issue_key()
    signing.retire(signing.current_signing_key(account), actor=COMMAND)
    client = sign_in_as(owner)
    assert "This key has no secret that works" in said(client.get(path(key, "rotate"), follow=True))
    assert "This key has no secret that works" in said(client.get(path(key, "regenerate")))
    (new,) = set(SECRET.findall(said(client.post(path(key, "regenerate"), coded(owner)))))
    assert api(new).get("/api/v1/key").status_code == 200


@pytest.fixture
def deletable(account, issue_key):
    """A revoked key of an account whose policy lets it be deleted."""
    account.permanent_delete = True
    account.save()
    key, _ = issue_key(name="ERP  export")
    return lifecycle.revoke(key, actor=COMMAND, reason="unneeded")


def test_deleting_needs_the_name_and_a_code_and_leaves_the_audit_trail(sign_in_as, owner, deletable):
    client = sign_in_as(owner)
    data = coded(owner, typed_name="erp export")
    assert "That is not its name." in said(client.post(path(deletable, "delete"), data))
    assert "Type the name of the key" in said(client.post(path(deletable, "delete"), data | {"typed_name": ""}))
    page = client.post(path(deletable, "delete"), data | {"typed_name": " ERP export"}, follow=True)
    assert "is deleted. What was done to it stays in the audit trail." in said(page)
    assert not ApiKey.objects.exists()
    actions = AuditEvent.objects.filter(target_id=deletable.key_id).values_list("action", flat=True)
    assert set(actions) == {"key.issued", "key.revoked", "key.deleted"}


def test_a_deletion_sent_twice_says_that_it_is_done(sign_in_as, owner, outsider, deletable):
    client, data = sign_in_as(owner), coded(owner, typed_name="ERP export")
    client.post(path(deletable, "delete"), data)
    again = client.post(path(deletable, "delete"), data, follow=True)
    assert again.status_code == 200
    assert "“ERP export” is deleted." in said(again)
    assert client.get(path(deletable, "delete")).status_code == 404
    assert sign_in_as(outsider).post(path(deletable, "delete"), data).status_code == 404


def test_only_a_revoked_key_is_deleted_and_only_where_the_policy_allows_it(sign_in_as, owner, account, issue_key):
    key, _ = issue_key(name="bot")
    client, data = sign_in_as(owner), coded(owner, typed_name="bot")
    for prepare, words in [
        (lambda: None, "The policy of this account keeps revoked keys for the record."),
        (lambda: type(account).objects.update(permanent_delete=True), "Revoke the key first"),
    ]:
        prepare()
        assert words in said(client.get(path(key, "delete"), follow=True))
        assert words in said(client.post(path(key, "delete"), data))
    assert ApiKey.objects.filter(pk=key.pk).exists()


@pytest.mark.parametrize("operation", ["rotate", "regenerate", "end-overlap", "enable"])
def test_a_revoked_key_is_only_looked_at(sign_in_as, owner, issue_key, operation):
    key, _ = issue_key()
    lifecycle.rotate(key, actor=COMMAND)
    lifecycle.revoke(key, actor=COMMAND, reason="unneeded")
    client = sign_in_as(owner)
    assert client.get(path(key, operation)).status_code == 302
    response = client.post(path(key, operation), coded(owner, overlap="24"))
    assert not SECRET.search(said(response))
    assert key.secrets.count() == 2
