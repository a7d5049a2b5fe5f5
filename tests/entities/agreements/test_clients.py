"""What a hub agrees with its clients: terms, lists, and what both accounts' audit trails say of it."""

from decimal import Decimal

import pytest
from uuid_utils.compat import uuid7

from accounts.models import AuditEvent
from entities import clients
from entities.models import Hub, HubClient, HubInvitation
from tests.entities.agreements.saying import terms
from tests.factories import HubClientFactory, HubInvitationFactory

# Terms


def test_a_client_is_shown_by_itself(northfold, client, hub, foreign):
    [row] = northfold("GET", f"hubs/{hub.pk}/clients").json()["data"]
    assert northfold("GET", f"hubs/{hub.pk}/clients/{foreign.pk}").json() == row


def test_a_lowered_commission_holds_at_once(northfold, client, hub, foreign, account, other_account):
    answer = northfold("PATCH", f"hubs/{hub.pk}/clients/{foreign.pk}", {"commission": "0.01"})
    assert (answer.status_code, answer.json()["commission"]) == (200, "0.0100")
    client.refresh_from_db()
    assert (client.commission, client.comment) == (Decimal("0.01"), "since spring")
    for each in (account, other_account):
        event = AuditEvent.objects.get(account=each, action="hub_client.changed")
        assert event.data["changes"] == {"commission": {"from": "0.0200", "to": "0.0100"}}


def test_a_commission_raised_for_an_own_miner_holds_at_once(northfold, hub, account):
    own = HubClientFactory(hub=hub, miner__account=account).miner
    answer = northfold("PATCH", f"hubs/{hub.pk}/clients/{own.pk}", {"commission": "0.5"})
    assert (answer.status_code, answer.json()["commission"]) == (200, "0.5000")
    assert AuditEvent.objects.filter(action="hub_client.changed").count() == 1


def test_a_commission_raised_for_anothers_miner_waits_for_its_owner(northfold, borealis, client, hub, foreign):
    answer = northfold("PATCH", f"hubs/{hub.pk}/clients/{foreign.pk}", {"commission": "0.05", "comment": "power costs"})
    offer = answer.json()
    assert (answer.status_code, offer["commission"], offer["comment"]) == (202, "0.0500", "power costs")
    client.refresh_from_db()
    assert (client.commission, client.comment) == (Decimal("0.02"), "since spring")
    answer = borealis("POST", f"miners/{foreign.pk}/invitations/{offer['id']}/accept")
    assert (answer.status_code, answer.json()["commission"]) == (201, "0.0500")
    client.refresh_from_db()
    assert (client.commission, client.comment) == (Decimal("0.05"), "power costs")
    assert not HubInvitation.objects.exists()


def test_an_offer_without_a_comment_keeps_the_hubs_note(northfold, borealis, client, hub, foreign):
    offer = northfold("PATCH", f"hubs/{hub.pk}/clients/{foreign.pk}", {"commission": "0.05"}).json()
    assert offer["comment"] == ""  # the note is the hub's own
    borealis("POST", f"miners/{foreign.pk}/invitations/{offer['id']}/accept")
    client.refresh_from_db()
    assert (client.commission, client.comment) == (Decimal("0.05"), "since spring")


def test_a_later_change_replaces_an_offer(northfold, borealis, client, hub, foreign):
    path = f"hubs/{hub.pk}/clients/{foreign.pk}"
    offers = [northfold("PATCH", path, {"commission": commission}).json()["id"] for commission in ("0.05", "0.04")]
    assert northfold("PATCH", path, {"commission": "0.01"}).status_code == 200
    for offer in offers:
        assert borealis("POST", f"miners/{foreign.pk}/invitations/{offer}/accept").status_code == 404
    client.refresh_from_db()
    assert client.commission == Decimal("0.01")


def test_a_declined_offer_leaves_the_client_on_its_terms(northfold, borealis, client, hub, foreign):
    offer = northfold("PATCH", f"hubs/{hub.pk}/clients/{foreign.pk}", {"commission": "0.05"}).json()["id"]
    assert borealis("DELETE", f"miners/{foreign.pk}/invitations/{offer}").status_code == 204
    client.refresh_from_db()
    assert client.commission == Decimal("0.02")


def test_a_comment_is_changed_alone(northfold, client, hub, foreign):
    answer = northfold("PATCH", f"hubs/{hub.pk}/clients/{foreign.pk}", {"comment": ""})
    assert (answer.status_code, answer.json()["comment"], answer.json()["commission"]) == (200, "", "0.0200")


def test_a_change_of_nothing_leaves_no_trace(northfold, client, hub, foreign):
    for body in ({}, {"commission": "0.02"}, {"comment": "since spring"}):
        assert northfold("PATCH", f"hubs/{hub.pk}/clients/{foreign.pk}", body).status_code == 200
    assert not AuditEvent.objects.filter(action="hub_client.changed").exists()


@pytest.mark.parametrize(
    "body",
    [
        {"commission": "2"},
        {"commission": None},
        {"comment": None},
        {"miner": "x"},
        {"joined_at": "2026-01-01T00:00:00Z"},
    ],
)
def test_bad_terms_name_the_field(northfold, client, hub, foreign, body):
    answer = northfold("PATCH", f"hubs/{hub.pk}/clients/{foreign.pk}", body)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, list(body))


def test_a_treasurer_sets_terms_and_invites_nobody(caller, client, hub, foreign):
    call = caller("*:*", level="treasurer")
    assert call("PATCH", f"hubs/{hub.pk}/clients/{foreign.pk}", {"commission": "0.01"}).status_code == 200
    assert call("POST", f"hubs/{hub.pk}/clients", terms(uuid7())).status_code == 403
    assert call("DELETE", f"hubs/{hub.pk}/clients/{foreign.pk}").status_code == 403


@pytest.mark.parametrize("wrong", ["unknown", "rubbish", "of another hub", "%00"])
def test_a_client_that_is_none_is_not_found(northfold, hub, account, wrong):
    other = HubClientFactory(hub__account=account).miner
    miner_id = {"unknown": uuid7(), "of another hub": other.pk}.get(wrong, wrong)
    for method, body in [("GET", None), ("PATCH", {"commission": "0"}), ("DELETE", None)]:
        answer = northfold(method, f"hubs/{hub.pk}/clients/{miner_id}", body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), method
    assert HubClient.objects.count() == 1


# Lists of clients


def test_clients_are_searched_filtered_and_ordered(northfold, hub):
    HubClientFactory(hub=hub, miner__name="North Shaft")
    second = HubClientFactory(hub=hub, miner__name="South Shaft").miner

    def names(query):
        return [row["miner"]["name"] for row in northfold("GET", f"hubs/{hub.pk}/clients?{query}").json()["data"]]

    assert names("search=north") == ["North Shaft"]
    assert names(f"miner={second.pk}") == ["South Shaft"]
    assert names(f"miner={uuid7()}") == []
    assert names("ordering=joined_at") == ["North Shaft", "South Shaft"]
    assert names("ordering=-joined_at") == ["South Shaft", "North Shaft"]
    for query in ("miner=x", "ordering=commission", "comment=a"):
        answer = northfold("GET", f"hubs/{hub.pk}/clients?{query}")
        assert (answer.status_code, list(answer.json()["errors"])) == (400, [query.split("=")[0]])


def test_invitations_are_filtered_by_miner(northfold, hub):
    invitation, _ = HubInvitationFactory(hub=hub), HubInvitationFactory(hub=hub)
    rows = northfold("GET", f"hubs/{hub.pk}/invitations?miner={invitation.miner_id}").json()["data"]
    assert [row["id"] for row in rows] == [str(invitation.pk)]


# The hub's own settings


def test_a_hubs_minimum_payout_is_set_and_taken_back(caller, hub, account):
    call = caller("*:*", level="treasurer")
    answer = call("PATCH", f"hubs/{hub.pk}", {"minimum_payout": "0.005"})
    assert (answer.status_code, answer.json()["minimum_payout"]) == (200, "0.00500000")
    assert call("GET", f"hubs/{hub.pk}").json() == answer.json()
    assert call("PATCH", f"hubs/{hub.pk}", {"minimum_payout": None}).json()["minimum_payout"] is None
    changes = [event.data["changes"] for event in AuditEvent.objects.filter(action="hub.changed").order_by("id")]
    assert changes == [
        {"minimum_payout": {"from": None, "to": "0.00500000"}},
        {"minimum_payout": {"from": "0.00500000", "to": None}},
    ]
    assert {event.account for event in AuditEvent.objects.filter(action="hub.changed")} == {account}


def test_a_form_can_t_take_the_minimum_payout_back_with_an_empty_field(issue_key, api, hub):
    Hub.objects.update(minimum_payout=1)
    _, secret = issue_key("treasurer")
    form = {"content_type": "application/x-www-form-urlencoded"}
    answer = api(secret).patch(f"/api/v1/hubs/{hub.pk}", "minimum_payout=", **form)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["minimum_payout"])
    assert "null" in answer.json()["errors"]["minimum_payout"][0]


@pytest.mark.parametrize("level", ["viewer", "accountant"])
def test_money_and_clients_of_a_hub_are_null_to_keys_that_may_not_see_them(caller, client, hub, level):
    Hub.objects.update(minimum_payout=1)
    shown = caller("*:*", level=level)("GET", f"hubs/{hub.pk}").json()
    assert (shown["name"], shown["minimum_payout"], shown["clients"]) == ("Eastgate", None, None)
    assert caller("*:*", level=level)("GET", "hubs").json()["data"][0]["clients"] is None


@pytest.mark.parametrize(
    "body",
    [
        {"minimum_payout": "-1"},
        {"minimum_payout": "0.000000001"},
        {"minimum_payout": "x"},
        {"name": "x"},
        {"account": "x"},
        {"environment": "staging"},
        {"pool": None},
    ],
)
def test_a_hubs_minimum_payout_alone_is_changed(northfold, hub, body):
    answer = northfold("PATCH", f"hubs/{hub.pk}", body)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, list(body))
    hub.refresh_from_db()
    assert (hub.name, hub.minimum_payout, hub.environment) == ("Eastgate", None, "production")


# The trail


def test_each_account_is_told_what_was_done_and_not_by_which_of_the_others_keys(
    northfold, borealis, hub, foreign, account, other_account
):
    invitation = northfold("POST", f"hubs/{hub.pk}/clients", terms(foreign.pk)).json()["id"]
    borealis("POST", f"miners/{foreign.pk}/invitations/{invitation}/accept")
    northfold("DELETE", f"hubs/{hub.pk}/clients/{foreign.pk}")
    trail = {
        each: [
            (event.action, "key_" in event.actor_name, event.actor_name, event.address)
            for event in AuditEvent.objects.filter(account=each, action__startswith="hub_client").order_by("id")
        ]
        for each in (account, other_account)
    }
    [invited, joined, removed] = trail[account]
    assert (invited[:2], invited[3]) == (("hub_client.invited", True), "127.0.0.1")
    assert joined == ("hub_client.joined", False, "The account of the miner", None)
    assert removed[:2] == ("hub_client.removed", True)
    [joined, removed] = trail[other_account]
    assert (joined[:2], joined[3]) == (("hub_client.joined", True), "127.0.0.1")
    assert removed == ("hub_client.removed", False, "The account of the hub", None)


def test_a_change_and_its_trail_stand_or_fall_together(hub, foreign, monkeypatch, northfold):
    def fail(*args, **fields):
        raise RuntimeError("the trail can't be written")

    monkeypatch.setattr(clients.audit, "record", fail)
    with pytest.raises(RuntimeError):
        northfold("POST", f"hubs/{hub.pk}/clients", terms(foreign.pk))
    assert not HubInvitation.objects.exists()
