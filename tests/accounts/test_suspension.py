"""Suspending an account: all of its keys stop at the next request, and come back, at the word of staff alone."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from accounts import suspension
from accounts.audit import StepUpMissing
from accounts.changes import Refused
from accounts.models import AuditEvent
from apikeys import lifecycle
from apikeys.models import ApiKey, UsageHour
from tests.conftest import COMMAND
from tests.factories import MinerFactory
from tests.people import actor_for, fresh_code

PATH = "/api/v1/miners"


def staff_actor(staff, action="account.suspend"):
    return actor_for(staff, action, via="admin")


@pytest.fixture
def held(account, issue_key, api):
    """A key of the account, one of its support keys, and one that was disabled, each with its client."""
    MinerFactory(account=account)
    keys = [issue_key(name=name) for name in ("plain", "support", "off")]
    ApiKey.objects.filter(pk=keys[1][0].pk).update(support=True)
    lifecycle.disable(keys[2][0], actor=COMMAND)
    return [api(secret) for _, secret in keys]


def codes(clients):
    answers = [client.get(PATH) for client in clients]
    return [answer.json()["code"] if answer.status_code != 200 else 200 for answer in answers]


def test_all_keys_stop_at_the_next_request_and_come_back_as_they_were(account, staff, held):
    assert codes(held) == [200, 200, "key_disabled"]
    suspension.suspend(account, actor=staff_actor(staff), reason="Unpaid for 90 days")
    assert codes(held)[:2] == ["account_suspended", "account_suspended"]
    assert held[2].get(PATH).status_code == 401
    suspension.resume(account, actor=staff_actor(staff, "account.resume"), reason="Paid")
    assert codes(held) == [200, 200, "key_disabled"]


def test_other_accounts_go_on(account, other_account, issue_key, api):
    _, secret = issue_key(account=other_account)
    suspension.suspend(account, actor=COMMAND, reason="Unpaid")
    assert api(secret).get(PATH).status_code == 200


def test_a_second_time_changes_nothing_and_keeps_the_first_reason(account, staff):
    first = suspension.suspend(account, actor=staff_actor(staff), reason="  Unpaid \n for 90 days ").suspended_at
    again = suspension.suspend(account, actor=staff_actor(staff), reason="Another").suspended_at
    assert again == first
    event = AuditEvent.objects.get(action="account.suspended")
    assert (event.actor, event.via, event.account, event.target_id) == (staff, "admin", account, str(account.pk))
    assert event.data == {"reason": "Unpaid for 90 days"}
    assert suspension.latest_change(account) == event
    for _ in range(2):
        suspension.resume(account, actor=COMMAND, reason="Paid")
    assert AuditEvent.objects.filter(action="account.resumed").count() == 1


@pytest.mark.parametrize("change", [suspension.suspend, suspension.resume])
def test_owners_and_people_who_are_no_staff_may_not(account, owner, outsider, change):
    action = f"account.{change.__name__}"
    for actor in (actor_for(owner, action), actor_for(owner, action, via="admin"), actor_for(outsider, action)):
        with pytest.raises(PermissionDenied):
            change(account, actor=actor, reason="Because")
    assert not AuditEvent.objects.filter(action__in=["account.suspended", "account.resumed"]).exists()


def test_it_takes_the_code_of_exactly_this_action_and_a_reason(account, staff):
    with pytest.raises(StepUpMissing):
        suspension.suspend(account, actor=staff_actor(staff, "account.resume"), reason="Unpaid")
    with pytest.raises(Refused):
        suspension.suspend(account, actor=staff_actor(staff), reason="   ")


def test_the_owners_are_told_why_whatever_they_switched_off(
    account, owner, member, staff, mailoutbox, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        suspension.suspend(account, actor=staff_actor(staff), reason="Unpaid for 90 days")
        suspension.suspend(account, actor=staff_actor(staff), reason="Twice")
    [message] = mailoutbox
    assert message.to == [owner.email]
    assert message.subject == "Northfold Mining is suspended: API keys stopped"
    assert "Unpaid for 90 days" in message.body
    assert "Stina" not in message.body


def test_a_russian_owner_reads_it_in_russian(account, owner, mailoutbox, django_capture_on_commit_callbacks):
    owner.language = "ru"
    owner.save()
    with django_capture_on_commit_callbacks(execute=True):
        suspension.suspend(account, actor=COMMAND, reason="Unpaid")
        suspension.resume(account, actor=COMMAND, reason="Paid")
    assert [message.subject.startswith("Northfold Mining") for message in mailoutbox] == [False, False]
    assert "приостанов" in mailoutbox[0].body


def test_the_page_says_what_stops_and_asks_for_a_reason_and_a_code(account, staff, sign_in_as, held):
    UsageHour.objects.create(key=ApiKey.objects.get(name="plain"), hour=timezone.now(), requests=41)
    client = sign_in_as(staff)
    url = f"/admin/accounts/account/{account.pk}/suspend/"
    shown = client.get(url)
    assert (shown.context["active"], shown.context["support"], shown.context["requests"]) == (1, 1, 41)
    form = {"nonce": shown.context["form"]["nonce"].value(), "reason": "", "code": fresh_code(staff)}
    assert client.post(url, form).context["form"].errors.keys() == {"reason"}
    assert client.post(url, {**form, "reason": "Unpaid", "code": "000000"}).context["form"].errors.keys() == {"code"}
    account.refresh_from_db()
    assert account.suspended_at is None
    answer = client.post(url, {**form, "reason": "Unpaid", "code": fresh_code(staff)})
    assert answer["Location"] == f"/admin/accounts/account/{account.pk}/change/"
    assert "Unpaid" in client.get(answer["Location"]).content.decode()
    assert held[0].get(PATH).status_code == 401

    url = url.replace("suspend", "resume")
    shown = client.get(url)
    assert "Unpaid" in shown.content.decode()
    form = {"nonce": shown.context["form"]["nonce"].value(), "reason": "Paid", "code": fresh_code(staff)}
    client.post(url, form)
    assert held[0].get(PATH).status_code == 200
    assert client.get(url).status_code == 302
