"""What a hub agrees with its clients: invitations, terms, ends, and what both accounts' audit trails say of it."""

from decimal import Decimal

import pytest
from uuid_utils.compat import uuid7

from accounts.models import AuditEvent
from entities import clients
from entities.models import Hub, HubClient, HubInvitation
from tests.entities.test_miners import as_written
from tests.factories import HubClientFactory, HubFactory, HubInvitationFactory, MinerFactory


@pytest.fixture
def hub(account):
    return HubFactory(account=account, name="Eastgate")


@pytest.fixture
def foreign(other_account):
    """A miner of Borealis."""
    return MinerFactory(account=other_account, name="Sidewinder")


@pytest.fixture
def client(hub, foreign):
    return HubClientFactory(hub=hub, miner=foreign, commission=Decimal("0.02"), comment="since spring")


@pytest.fixture
def northfold(caller, account):
    """The hub's side."""
    return caller("*:*")


@pytest.fixture
def borealis(caller, other_account):
    """The miner's side."""
    return caller("*:*", account=other_account)


def terms(miner_id, commission="0.0150", comment=""):
    return {"miner": str(miner_id), "commission": commission, "comment": comment}


def actions(account):
    """What the account's audit trail says of clients, oldest first."""
    events = AuditEvent.objects.filter(account=account, action__startswith="hub_client").order_by("id")
    return [event.action for event in events]


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
