"""Invitations: from both sides, until they are accepted, declined or withdrawn; and how a client is let go."""

from decimal import Decimal

import pytest

from entities import clients
from entities.models import HubClient, HubInvitation
from tests.entities.agreements.saying import actions, terms
from tests.entities.test_miners import as_written
from tests.factories import HubClientFactory, HubFactory, HubInvitationFactory, MinerFactory

# Inviting


def test_a_miner_of_the_own_account_joins_at_once(northfold, hub, account):
    own = MinerFactory(account=account, name="Own")
    answer = northfold("POST", f"hubs/{hub.pk}/clients", terms(own.pk, comment="ours"))
    client = HubClient.objects.get()
    assert (answer.status_code, answer.json()) == (
        201,
        {
            "miner": {"id": str(own.pk), "name": "Own"},
            "commission": "0.0150",
            "comment": "ours",
            "joined_at": as_written(client.joined_at),
        },
    )
    assert (client.hub_id, client.miner_id, client.commission) == (hub.pk, own.pk, Decimal("0.015"))
    assert actions(account) == ["hub_client.added"]


def test_joining_at_once_ends_an_invitation_that_waited(northfold, hub, account):
    own = MinerFactory(account=account)
    HubInvitationFactory(hub=hub, miner_id=own.pk)
    assert northfold("POST", f"hubs/{hub.pk}/clients", terms(own.pk)).status_code == 201
    assert not HubInvitation.objects.exists()


def test_a_miner_of_another_account_is_invited(northfold, hub, foreign):
    answer = northfold("POST", f"hubs/{hub.pk}/clients", terms(foreign.pk, comment="welcome"))
    invitation = HubInvitation.objects.get()
    shown = {
        "id": str(invitation.pk),
        "miner": str(foreign.pk),
        "commission": "0.0150",
        "comment": "welcome",
        "created_at": as_written(invitation.created_at),
    }
    assert (answer.status_code, answer.json()) == (202, shown)
    assert northfold("GET", f"hubs/{hub.pk}/invitations").json()["data"] == [shown]
    assert not HubClient.objects.exists()


def test_an_own_miner_that_the_key_does_not_reach_is_invited(caller, hub, account):
    own = MinerFactory(account=account)
    answer = caller(f"*:hubs/{hub.pk}")("POST", f"hubs/{hub.pk}/clients", terms(own.pk))
    assert answer.status_code == 202
    assert not HubClient.objects.exists()


def test_an_own_miner_that_the_key_only_reads_is_invited(caller, hub, account):
    own = MinerFactory(account=account)
    call = caller(f"*:hubs/{hub.pk}", f"read:miners/{own.pk}")
    assert call("POST", f"hubs/{hub.pk}/clients", terms(own.pk)).status_code == 202


def test_another_hubs_client_is_invited_as_any_foreign_miner(northfold, hub, client, account):
    second = HubFactory(account=account)
    assert northfold("POST", f"hubs/{second.pk}/clients", terms(client.miner_id)).status_code == 202
    assert not HubClient.objects.filter(hub=second).exists()


def test_inviting_again_on_the_same_terms_changes_nothing(northfold, hub, foreign, account):
    first, second = (northfold("POST", f"hubs/{hub.pk}/clients", terms(foreign.pk)) for _ in range(2))
    assert (second.status_code, second.json()) == (202, first.json())
    assert actions(account) == ["hub_client.invited"]


@pytest.mark.parametrize("change", [{"commission": "0.9"}, {"comment": "other words"}])
def test_inviting_again_on_other_terms_replaces_the_invitation(northfold, borealis, hub, foreign, change):
    first = northfold("POST", f"hubs/{hub.pk}/clients", terms(foreign.pk)).json()
    second = northfold("POST", f"hubs/{hub.pk}/clients", terms(foreign.pk) | change).json()
    assert [row["id"] for row in northfold("GET", f"hubs/{hub.pk}/invitations").json()["data"]] == [second["id"]]
    # What was read is what is accepted, or nothing.
    assert borealis("POST", f"miners/{foreign.pk}/invitations/{first['id']}/accept").status_code == 404
    assert not HubClient.objects.exists()


@pytest.mark.parametrize("own", [True, False])
def test_a_client_is_not_invited_again(northfold, hub, account, other_account, own):
    miner = HubClientFactory(hub=hub, miner__account=account if own else other_account).miner
    answer = northfold("POST", f"hubs/{hub.pk}/clients", terms(miner.pk))
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "client of the hub already" in answer.json()["detail"]
    assert answer["Content-Type"] == "application/problem+json"


def test_a_hub_has_a_limited_number_of_invitations(northfold, hub, foreign, monkeypatch):
    monkeypatch.setattr(clients, "MAX_INVITATIONS", 2)
    waiting = [HubInvitationFactory(hub=hub) for _ in range(2)]
    HubInvitationFactory(miner_id=foreign.pk)  # another hub's
    answer = northfold("POST", f"hubs/{hub.pk}/clients", terms(foreign.pk))
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert northfold("POST", f"hubs/{hub.pk}/clients", terms(waiting[0].miner_id, "0.5")).status_code == 202
    northfold("DELETE", f"hubs/{hub.pk}/invitations/{waiting[1].pk}")
    assert northfold("POST", f"hubs/{hub.pk}/clients", terms(foreign.pk)).status_code == 202


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("miner", "rubbish"),
        ("miner", 7),
        ("miner", True),
        ("miner", None),
        ("miner", ["a"]),
        ("miner", "\0"),
        ("commission", "1.0001"),
        ("commission", "-0.01"),
        ("commission", "0.00001"),
        ("commission", "NaN"),
        ("commission", "1e999999"),
        ("commission", None),
        ("commission", "x"),
        ("comment", "x" * 201),
        ("comment", "a\0b"),
        ("comment", {"a": 1}),
        ("joined_at", "2026-01-01T00:00:00Z"),
        ("hub", "01a1fd91-0000-7000-8000-000000000000"),
    ],
)
def test_a_bad_invitation_names_the_field(northfold, hub, foreign, field, value):
    answer = northfold("POST", f"hubs/{hub.pk}/clients", terms(foreign.pk) | {field: value})
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [field]
    assert not HubInvitation.objects.exists()


@pytest.mark.parametrize("field", ["miner", "commission"])
def test_an_invitation_says_whom_and_for_how_much(northfold, hub, foreign, field):
    body = terms(foreign.pk)
    del body[field]
    assert list(northfold("POST", f"hubs/{hub.pk}/clients", body).json()["errors"]) == [field]


@pytest.mark.parametrize("body", [[], "text", 5, [[]]])
def test_a_body_that_is_no_object_is_refused(northfold, hub, body):
    assert northfold("POST", f"hubs/{hub.pk}/clients", body).status_code == 400


def test_a_form_invites_as_json_does(issue_key, api, hub, foreign):
    _, secret = issue_key("administrator")
    answer = api(secret).post(
        f"/api/v1/hubs/{hub.pk}/clients",
        f"miner={foreign.pk}&commission=0.0150",
        content_type="application/x-www-form-urlencoded",
    )
    assert (answer.status_code, answer.json()["commission"]) == (202, "0.0150")


# The miner's side


def test_the_owner_reads_who_invites_the_miner(borealis, hub, foreign):
    invitation = HubInvitationFactory(hub=hub, miner_id=foreign.pk, commission=Decimal("0.03"), comment="welcome")
    HubInvitationFactory(hub=hub)
    assert borealis("GET", f"miners/{foreign.pk}/invitations").json()["data"] == [
        {
            "id": str(invitation.pk),
            "hub": {"id": str(hub.pk), "name": "Eastgate"},
            "commission": "0.0300",
            "comment": "welcome",
            "created_at": as_written(invitation.created_at),
        }
    ]


def test_the_owner_accepts(borealis, hub, foreign, account, other_account):
    invitation = HubInvitationFactory(hub=hub, miner_id=foreign.pk, commission=Decimal("0.03"), comment="welcome")
    answer = borealis("POST", f"miners/{foreign.pk}/invitations/{invitation.pk}/accept")
    client = HubClient.objects.get()
    assert (answer.status_code, answer.json()) == (
        201,
        {
            "miner": {"id": str(foreign.pk), "name": "Sidewinder"},
            "commission": "0.0300",
            "comment": "welcome",
            "joined_at": as_written(client.joined_at),
        },
    )
    assert (client.hub_id, client.miner_id) == (hub.pk, foreign.pk)
    assert not HubInvitation.objects.exists()
    assert actions(account) == actions(other_account) == ["hub_client.joined"]


def test_the_owner_declines(borealis, hub, foreign, account, other_account):
    invitation = HubInvitationFactory(hub=hub, miner_id=foreign.pk)
    path = f"miners/{foreign.pk}/invitations/{invitation.pk}"
    assert [borealis("DELETE", path).status_code for _ in range(2)] == [204, 404]
    assert not HubInvitation.objects.exists()
    assert not HubClient.objects.exists()
    assert actions(account) == actions(other_account) == ["hub_client.declined"]


def test_the_owner_reads_who_serves_the_miner_without_the_hubs_notes(borealis, client, hub, foreign):
    HubClientFactory(hub=hub)
    assert borealis("GET", f"miners/{foreign.pk}/hubs").json()["data"] == [
        {
            "hub": {"id": str(hub.pk), "name": "Eastgate"},
            "commission": "0.0200",
            "joined_at": as_written(client.joined_at),
        }
    ]


def test_the_owner_leaves_a_hub(borealis, client, hub, foreign, account, other_account):
    HubInvitationFactory(hub=hub, miner_id=foreign.pk, commission=Decimal("0.5"))
    path = f"miners/{foreign.pk}/hubs/{hub.pk}"
    assert [borealis("DELETE", path).status_code for _ in range(2)] == [204, 404]
    assert not HubClient.objects.exists()
    assert not HubInvitation.objects.exists()  # the offer of other terms ended, too
    assert actions(account) == actions(other_account) == ["hub_client.left"]


def test_a_hub_can_not_answer_its_own_offers_for_a_client(northfold, client, hub, foreign):
    offer = northfold("PATCH", f"hubs/{hub.pk}/clients/{foreign.pk}", {"commission": "1"}).json()
    for method, path in [
        ("GET", "invitations"),
        ("POST", f"invitations/{offer['id']}/accept"),
        ("DELETE", f"invitations/{offer['id']}"),
        ("GET", "hubs"),
        ("DELETE", f"hubs/{hub.pk}"),
    ]:
        answer = northfold(method, f"miners/{foreign.pk}/{path}")
        assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied"), path
        assert "account that owns it" in answer.json()["detail"]
    assert HubClient.objects.get().commission == Decimal("0.02")
    assert HubInvitation.objects.count() == 1


def test_an_invitation_is_accepted_for_its_own_miner_alone(borealis, hub, foreign, other_account):
    other = MinerFactory(account=other_account)
    invitation = HubInvitationFactory(hub=hub, miner_id=foreign.pk)
    for method, path in [("POST", "/accept"), ("DELETE", "")]:
        assert borealis(method, f"miners/{other.pk}/invitations/{invitation.pk}{path}").status_code == 404
    assert HubInvitation.objects.count() == 1


def test_an_invitation_of_another_environments_hub_does_not_exist(borealis, foreign, account):
    staged = HubFactory(account=account, environment="staging")
    invitation = HubInvitationFactory(hub=staged, miner_id=foreign.pk)
    assert borealis("GET", f"miners/{foreign.pk}/invitations").json()["data"] == []
    assert borealis("POST", f"miners/{foreign.pk}/invitations/{invitation.pk}/accept").status_code == 404
    assert not HubClient.objects.exists()


# Withdrawing and removing


def test_a_hub_withdraws_an_invitation(northfold, borealis, hub, foreign, account, other_account):
    invitation = HubInvitationFactory(hub=hub, miner_id=foreign.pk)
    path = f"hubs/{hub.pk}/invitations/{invitation.pk}"
    assert [northfold("DELETE", path).status_code for _ in range(2)] == [204, 404]
    assert borealis("POST", f"miners/{foreign.pk}/invitations/{invitation.pk}/accept").status_code == 404
    assert (actions(account), actions(other_account)) == (["hub_client.withdrawn"], [])


def test_a_hub_withdraws_no_other_hubs_invitations(northfold, hub, account):
    other = HubInvitationFactory(hub__account=account)
    assert northfold("DELETE", f"hubs/{hub.pk}/invitations/{other.pk}").status_code == 404
    assert HubInvitation.objects.count() == 1


def test_a_hub_removes_a_client(northfold, client, hub, foreign, account, other_account):
    path = f"hubs/{hub.pk}/clients/{foreign.pk}"
    assert [northfold("DELETE", path).status_code for _ in range(2)] == [204, 404]
    assert not HubClient.objects.exists()
    assert actions(account) == actions(other_account) == ["hub_client.removed"]
