"""Inviting tells nothing of what exists and gives no reach; accepting gives it; leaving ends it."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from uuid_utils.compat import uuid7

from accounts.models import AuditEvent
from entities.models import HubInvitation
from tests.entities.reach import ids, reaches
from tests.factories import (
    AccountFactory,
    HubClientFactory,
    HubFactory,
    HubInvitationFactory,
    MinerFactory,
    PoolFactory,
    WorkerFactory,
)

_VARYING = re.compile(rb"req_\w+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT[\d:.]+Z")


@pytest.fixture
def candidates(hub, account, other_account):
    """Ids of all sorts that a key over ``hub`` alone does not reach."""
    return {
        "unknown": uuid7(),
        "another account's miner": MinerFactory(account=other_account).pk,
        "a suspended account's miner": MinerFactory(account=AccountFactory(suspended_at=timezone.now())).pk,
        "another hub's client": HubClientFactory(hub__account=other_account).miner_id,
        "an own miner out of reach": MinerFactory(account=account).pk,
        "a staging miner": MinerFactory(account=account, environment="staging").pk,
        "another account's hub": HubFactory(account=other_account).pk,
        "an own pool": PoolFactory(account=account).pk,
        "the hub itself": hub.pk,
    }


def telling(answer):
    """All that an answer tells, but for ids and times; its length counts, too."""
    headers = {name: value for name, value in answer.headers.items() if name != "X-Request-Id"}
    return answer.status_code, headers, _VARYING.sub(b"#", answer.content)


def shape(queries):
    """The SQL after the key's own SELECT, but for its values."""
    return [re.sub(r"'[^']*'|\b[0-9a-f]{32}\b|\d+", "…", query["sql"]) for query in queries[1:]]


def test_inviting_answers_alike_whatever_the_id_is(caller, hub, candidates):
    call = caller(f"*:hubs/{hub.pk}")
    answers, queries = {}, {}
    for name, candidate in candidates.items():
        with CaptureQueriesContext(connection) as captured:
            answer = call("POST", f"hubs/{hub.pk}/clients", {"miner": str(candidate), "commission": "0.0150"})
        answers[name], queries[name] = telling(answer), shape(captured.captured_queries)
        assert answer.json()["miner"] == str(candidate)
    assert answers["unknown"][0] == 202
    for name in candidates:
        assert answers[name] == answers["unknown"], name
        assert queries[name] == queries["unknown"], name


def test_invitations_are_listed_and_withdrawn_alike_whatever_the_id_is(caller, hub, candidates):
    invitations = {name: HubInvitationFactory(hub=hub, miner_id=each).pk for name, each in candidates.items()}
    call = caller(f"*:hubs/{hub.pk}")
    rows = call("GET", f"hubs/{hub.pk}/invitations").json()["data"]
    assert {row["id"] for row in rows} == {str(pk) for pk in invitations.values()}
    assert {tuple(row) for row in rows} == {("id", "miner", "commission", "comment", "created_at")}
    told = {telling(call("DELETE", f"hubs/{hub.pk}/invitations/{pk}"))[::2] for pk in invitations.values()}
    assert told == {(204, b"")}


def test_what_is_no_client_is_not_found_alike_whatever_the_id_is(caller, hub, candidates):
    call = caller(f"*:hubs/{hub.pk}")
    for method, body in [("GET", None), ("PATCH", {"commission": "0"}), ("DELETE", None)]:
        told = [telling(call(method, f"hubs/{hub.pk}/clients/{each}", body)) for each in candidates.values()]
        assert told[0][0] == 404
        assert told == [told[0]] * len(candidates), method


def test_an_invitation_leaves_no_trace_in_the_miners_account_until_it_is_answered(caller, hub, other_account):
    miner = MinerFactory(account=other_account)
    call = caller(f"*:hubs/{hub.pk}")
    call("POST", f"hubs/{hub.pk}/clients", {"miner": str(miner.pk), "commission": "0"})
    assert not AuditEvent.objects.filter(account=other_account, action__startswith="hub_client").exists()


@pytest.mark.parametrize("scope", ["*:*", "*:hubs/*", "*:hubs/{}"])
def test_reach_comes_with_acceptance_and_ends_with_leaving(caller, hub, other_account, scope):
    miner = MinerFactory(account=other_account)
    worker = WorkerFactory(miner=miner)
    hubs, owners = caller(scope.format(hub.pk)), caller("*:*", account=other_account)
    invitation = hubs("POST", f"hubs/{hub.pk}/clients", {"miner": str(miner.pk), "commission": "0.01"}).json()["id"]
    assert not reaches(hubs, miner)
    assert ids(hubs, f"hubs/{hub.pk}/clients") == ids(hubs, f"hubs/{hub.pk}/workers") == set()
    assert owners("POST", f"miners/{miner.pk}/invitations/{invitation}/accept").status_code == 201
    assert reaches(hubs, miner)
    assert ids(hubs, f"hubs/{hub.pk}/workers") == {worker.pk}
    assert owners("DELETE", f"miners/{miner.pk}/hubs/{hub.pk}").status_code == 204
    assert not reaches(hubs, miner)
    assert ids(hubs, f"hubs/{hub.pk}/clients") == ids(hubs, f"hubs/{hub.pk}/workers") == set()


def test_declining_gives_no_reach(caller, hub, other_account):
    miner = MinerFactory(account=other_account)
    invitation = HubInvitationFactory(hub=hub, miner_id=miner.pk)
    owners = caller("*:*", account=other_account)
    assert owners("DELETE", f"miners/{miner.pk}/invitations/{invitation.pk}").status_code == 204
    assert not reaches(caller("*:*"), miner)


def test_acceptance_gives_no_reach_of_the_owners_other_miners(caller, hub, other_account):
    miner, other = MinerFactory.create_batch(2, account=other_account)
    invitation = HubInvitationFactory(hub=hub, miner_id=miner.pk)
    caller("*:*", account=other_account)("POST", f"miners/{miner.pk}/invitations/{invitation.pk}/accept")
    hubs = caller("*:*")
    assert (reaches(hubs, miner), reaches(hubs, other)) == (True, False)


@pytest.mark.parametrize("level", ["viewer", "accountant", "treasurer"])
def test_only_keys_that_change_settings_answer_invitations(caller, hub, other_account, level):
    miner = MinerFactory(account=other_account)
    path = f"miners/{miner.pk}/invitations/{HubInvitationFactory(hub=hub, miner_id=miner.pk).pk}"
    call = caller("*:*", account=other_account, level=level)
    answered = [call("POST", f"{path}/accept"), call("DELETE", path), call("GET", f"miners/{miner.pk}/invitations")]
    assert [answer.status_code for answer in answered] == [403] * 3
    assert HubInvitation.objects.count() == 1


def test_a_key_that_only_reads_the_miner_reads_its_invitations_and_answers_none(caller, hub, other_account):
    miner = MinerFactory(account=other_account)
    path = f"miners/{miner.pk}/invitations"
    invitation = HubInvitationFactory(hub=hub, miner_id=miner.pk)
    call = caller(f"read:miners/{miner.pk}", account=other_account)
    assert ids(call, path) == {invitation.pk}
    assert call("POST", f"{path}/{invitation.pk}/accept").status_code == 403
    assert call("DELETE", f"{path}/{invitation.pk}").status_code == 403
    assert HubInvitation.objects.count() == 1


def test_an_invitation_of_a_miner_that_changed_account_is_answered_by_its_new_owner(caller, hub, other_account):
    miner = MinerFactory(account=other_account)
    path = f"miners/{miner.pk}/invitations/{HubInvitationFactory(hub=hub, miner_id=miner.pk).pk}/accept"
    third = AccountFactory()
    old = caller("*:*", account=other_account)
    type(miner).objects.filter(pk=miner.pk).update(account=third)
    assert old("POST", path).status_code == 404
    assert not reaches(caller("*:*"), miner)
