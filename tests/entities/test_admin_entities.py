"""Miners, hubs and pools in the staff admin."""

import pytest

from accounts.models import AuditEvent
from entities import admin as entities_admin
from entities.models import Entity, HubClient, Miner, Pool
from tests.factories import HubClientFactory, HubFactory, HubInvitationFactory, MinerFactory, PoolFactory
from tests.people import fresh_code


@pytest.fixture
def client(staff, sign_in_as):
    return sign_in_as(staff)


def hub_form(hub=None, clients=(), **fields):
    form = {
        "name": hub.name if hub else "Hub",
        "pool": "",
        "clients-TOTAL_FORMS": str(len(clients)),
        "clients-INITIAL_FORMS": str(sum(row is not None for row, _ in clients)),
        "clients-MIN_NUM_FORMS": "0",
        "clients-MAX_NUM_FORMS": "1000",
        **fields,
    }
    for number, (row, values) in enumerate(clients):
        prefix = f"clients-{number}-"
        form |= {prefix + "id": row.pk if row else "", prefix + "hub": hub.pk if hub else ""}
        form |= {prefix + name: value for name, value in values.items()}
    return form


def test_staff_add_a_miner_on_a_pool(client, staff, account):
    pool = PoolFactory(account=account)
    form = {"account": account.pk, "environment": "production", "name": "shaft-1", "pool": pool.pk}
    answer = client.post("/admin/entities/miner/add/", form)
    assert answer.status_code == 302, answer.context["errors"]
    miner = Miner.objects.get()
    assert (miner.kind, miner.account, miner.pool_id) == ("miner", account, pool.pk)
    event = AuditEvent.objects.get(action="miner.created")
    assert (event.actor, event.via, event.account, event.target_id) == (staff, "admin", account, str(miner.pk))


@pytest.mark.parametrize(("section", "model"), [("miner", Miner), ("pool", Pool)])
def test_a_name_that_is_taken_is_refused_politely(client, account, section, model):
    model.objects.create(account=account, name="taken")
    other = model.objects.create(account=account, name="free")
    form = {"account": account.pk, "environment": "production", "name": "taken", "pool": ""}
    for path in ["add/", f"{other.pk}/change/"]:
        answer = client.post(f"/admin/entities/{section}/{path}", form)
        assert answer.status_code == 200
        assert "one of that kind and name" in answer.content.decode()


def test_account_environment_and_kind_are_fixed_after_creation(client, account, other_account):
    miner = MinerFactory(account=account)
    form = {"name": "renamed", "pool": "", "account": other_account.pk, "environment": "staging", "kind": "hub"}
    client.post(f"/admin/entities/miner/{miner.pk}/change/", form)
    entity = Entity.objects.get(pk=miner.pk)
    assert (entity.name, entity.account, entity.environment, entity.kind) == ("renamed", account, "production", "miner")
    assert AuditEvent.objects.get(action="miner.changed").data["changes"].keys() == {"name"}


def test_a_pool_of_another_environment_is_refused(client, account):
    miner, pool = MinerFactory(account=account), PoolFactory(account=account, environment="staging")
    answer = client.post(f"/admin/entities/miner/{miner.pk}/change/", {"name": miner.name, "pool": pool.pk})
    assert "pool" in answer.context["adminform"].form.errors


def test_a_pool_mines_on_no_pool(client, account):
    pool, other = PoolFactory(account=account), PoolFactory(account=account)
    client.post(f"/admin/entities/pool/{pool.pk}/change/", {"name": pool.name, "pool": other.pk})
    pool.refresh_from_db()
    assert pool.pool_id is None


ADD = "/admin/entities/hubclient/add/"


@pytest.fixture
def confirm(client, staff):
    """Send a form of a page that asks for a code, with one."""

    def confirm(url, **fields):
        nonce = client.get(url).context["form"]["nonce"].value()
        return client.post(url, {"nonce": nonce, "code": fresh_code(staff), **fields})

    return confirm


def removal(*rows):
    return "/admin/entities/hubclient/remove/?" + "&".join(f"id={row.pk}" for row in rows)


def test_a_hubs_clients_come_change_and_go_with_an_event_each(client, confirm, staff, account, other_account):
    hub, miner = HubFactory(account=account), MinerFactory(account=other_account)
    url = f"/admin/entities/hub/{hub.pk}/change/"
    assert f"{ADD}?hub={hub.pk}" in client.get(url).content.decode()
    assert confirm(ADD, hub=hub.pk, miner=miner.pk, commission="0.02", comment="").status_code == 302
    row = HubClient.objects.get()
    assert removal(row) in client.get(url).content.decode()
    client.post(url, hub_form(hub, [(row, {"commission": "0.03", "comment": ""})]))
    assert confirm(removal(row)).status_code == 302
    assert not HubClient.objects.exists()
    for owner in (account, other_account):
        events = AuditEvent.objects.filter(action__startswith="hub_client.", account=owner).order_by("at", "id")
        assert [event.action for event in events] == ["hub_client.added", "hub_client.changed", "hub_client.removed"]
        assert {event.actor for event in events} == {staff}
    assert events[1].data["changes"] == {"commission": {"from": "0.0200", "to": "0.03"}}


def test_without_a_code_no_client_comes_or_goes(client, staff, account):
    hub, miner = HubFactory(account=account), MinerFactory(account=account)
    row = HubClientFactory(hub=hub, miner=MinerFactory(account=account))
    form = {"hub": str(hub.pk), "miner": str(miner.pk), "commission": "0.01", "comment": ""}
    new = {"miner": miner.pk, "commission": "0", "comment": ""}
    kept = {"commission": "0", "comment": "", "DELETE": "on"}
    hub_page = f"/admin/entities/hub/{hub.pk}/change/"
    for url, sent in (
        (ADD, form),
        (ADD, {**form, "code": "000000", "nonce": "x" * 24}),
        (hub_page, hub_form(hub, [(row, kept), (None, new)])),
        ("/admin/entities/hub/add/", hub_form(None, [(None, new)], account=account.pk, environment="production")),
        (removal(row), {}),
        (f"/admin/entities/hubclient/{row.pk}/delete/", {"post": "yes"}),
        ("/admin/entities/hubclient/", {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}),
        ("/admin/entities/hubclient/", {"action": "remove_selected", "_selected_action": [row.pk]}),
    ):
        assert client.post(url, sent).status_code in (200, 302), url
        assert list(HubClient.objects.values_list("pk", flat=True)) == [row.pk], url


def test_a_form_that_was_sent_twice_adds_one_client(client, staff, account):
    hub, miner = HubFactory(account=account), MinerFactory(account=account)
    nonce = client.get(ADD).context["form"]["nonce"].value()
    form = {"hub": hub.pk, "miner": miner.pk, "commission": "0", "comment": "", "nonce": nonce}
    client.post(ADD, {**form, "code": fresh_code(staff)})
    row = HubClient.objects.get()
    HubClient.objects.all().delete()
    assert client.post(ADD, {**form, "code": fresh_code(staff)}).status_code == 302
    assert not HubClient.objects.filter(pk=row.pk).exists()


def test_an_invitation_ends_when_staff_decide(confirm, account, other_account):
    hub, miner = HubFactory(account=account), MinerFactory(account=other_account)
    HubInvitationFactory(hub=hub, miner_id=miner.pk)
    confirm(ADD, hub=hub.pk, miner=miner.pk, commission="0", comment="")
    assert not hub.invitations.exists()


def test_an_old_link_to_a_client_that_left_leads_to_the_list(client, account):
    for query in ("", "?id=7", "?id=nonsense", "?id=99999999999999999999999", "?id=%00"):
        answer = client.get(f"/admin/entities/hubclient/remove/{query}")
        assert (answer.status_code, answer["Location"]) == (302, "/admin/entities/hubclient/")


@pytest.mark.parametrize("wrong", ["nothing", "hub", "staging", "twice"])
def test_a_client_that_fits_not_is_refused_politely(client, confirm, account, wrong):
    hub, known = HubFactory(account=account), MinerFactory(account=account)
    HubClientFactory(hub=HubFactory(account=account), miner=known)
    chosen = {
        "nothing": "",
        "hub": HubFactory(account=account).pk,
        "staging": MinerFactory(account=account, environment="staging").pk,
        "twice": known.pk,
    }[wrong]
    if wrong == "twice":
        HubClientFactory(hub=hub, miner=known)
    before = HubClient.objects.count()
    answer = confirm(ADD, hub=hub.pk, miner=chosen, commission="0.5", comment="x")
    assert answer.status_code == 200
    assert answer.context["form"].errors
    assert answer.context["form"].proof is None  # no code was spent
    assert HubClient.objects.count() == before


def test_a_large_hub_gets_its_clients_on_a_page_of_their_own(client, confirm, account, monkeypatch):
    monkeypatch.setattr(entities_admin, "MAX_INLINE_CLIENTS", 1)
    hub = HubFactory(account=account)
    rows = [HubClientFactory(hub=hub, miner=MinerFactory(account=account)) for _ in range(2)]
    HubClientFactory(hub=HubFactory(account=account), miner=rows[0].miner)
    page = client.get(f"/admin/entities/hub/{hub.pk}/change/").content.decode()
    assert "clients-TOTAL_FORMS" not in page
    assert f"/admin/entities/hubclient/?hub={hub.pk}" in page
    listed = client.get(f"/admin/entities/hubclient/?hub={hub.pk}").context["cl"].result_list
    assert {row.pk for row in listed} == {row.pk for row in rows}
    assert client.get("/admin/entities/hubclient/?hub=nonsense").status_code == 200

    client.post(f"/admin/entities/hubclient/{rows[0].pk}/change/", {"commission": "0.1", "comment": "", "hub": ""})
    rows[0].refresh_from_db()
    assert (str(rows[0].commission), rows[0].hub_id) == ("0.1000", hub.pk)
    bulk = {"action": "remove_selected", "_selected_action": [row.pk for row in rows]}
    answer = client.post("/admin/entities/hubclient/", bulk)
    confirm(answer["Location"])
    assert not hub.clients.exists()
    actions = AuditEvent.objects.filter(account=account, action__startswith="hub_client.")
    assert [event.action for event in actions] == ["hub_client.removed", "hub_client.removed", "hub_client.changed"]


def test_entities_are_never_deleted(client, account):
    miner = MinerFactory(account=account)
    for section in ["miner", "entity"]:
        url = f"/admin/entities/{section}/{miner.pk}/delete/"
        assert client.post(url, {"post": "yes"}).status_code == 403
    bulk = {"action": "delete_selected", "_selected_action": [str(miner.pk)], "post": "yes"}
    client.post("/admin/entities/miner/", bulk)
    assert Miner.objects.filter(pk=miner.pk).exists()


def test_lists_are_searched_and_filtered(client, account, other_account):
    miner = MinerFactory(account=account, name="shaft-1")
    MinerFactory(account=other_account, name="shaft-2", environment="staging")
    HubFactory(account=account, name="shaft-hub")

    def names(query):
        answer = client.get(f"/admin/entities/miner/?{query}")
        assert answer.status_code == 200, query
        return [row.name for row in answer.context["cl"].result_list]

    assert names("") == ["shaft-1", "shaft-2"]
    assert names("q=shaft-2") == ["shaft-2"]
    assert names(f"q={miner.pk}") == ["shaft-1"]
    assert names("account=northfold") == ["shaft-1"]
    assert names("environment__exact=staging") == ["shaft-2"]


def test_autocomplete_tells_entities_of_one_name_apart(client, account, other_account):
    MinerFactory(account=account, name="shaft")
    MinerFactory(account=other_account, name="shaft")
    HubFactory(account=account, name="shaft")
    url = "/admin/autocomplete/?app_label=entities&model_name=hubclient&field_name=miner&term=shaft"
    assert {row["text"] for row in client.get(url).json()["results"]} == {
        "shaft · Miner · Northfold Mining · Production",
        "shaft · Miner · Borealis Hosting · Production",
    }


@pytest.mark.parametrize("section", ["miner", "hub", "pool"])
def test_a_longer_list_costs_no_more_queries(client, account, section, django_assert_max_num_queries):
    make = {"miner": MinerFactory, "hub": HubFactory, "pool": PoolFactory}[section]
    pool = {} if section == "pool" else {"pool": PoolFactory(account=account)}
    make(account=account, **pool)
    client.get(f"/admin/entities/{section}/")
    with django_assert_max_num_queries(40) as few:
        client.get(f"/admin/entities/{section}/")
    make.create_batch(5, **pool)
    with django_assert_max_num_queries(len(few)):
        client.get(f"/admin/entities/{section}/")


# Invitations


def test_staff_see_a_hubs_invitations_and_change_none(client, account):
    hub = HubFactory(account=account, name="Eastgate")
    invitation, other = HubInvitationFactory(hub=hub, comment="welcome"), HubInvitationFactory()
    page = client.get(f"/admin/entities/hub/{hub.pk}/change/").content.decode()
    assert "1 waiting" in page
    assert f"/admin/entities/hubinvitation/?hub={hub.pk}" in page
    listed = client.get(f"/admin/entities/hubinvitation/?hub={hub.pk}").content.decode()
    assert str(invitation.miner_id) in listed
    assert str(other.miner_id) not in listed
    row = f"/admin/entities/hubinvitation/{invitation.pk}"
    assert "welcome" in client.get(f"{row}/change/").content.decode()
    assert client.post(f"{row}/change/", {"commission": "1", "comment": ""}).status_code == 403
    assert client.post(f"{row}/delete/", {"post": "yes"}).status_code == 403
    assert client.get("/admin/entities/hubinvitation/add/").status_code == 403
    invitation.refresh_from_db()
    assert (invitation.comment, invitation.commission) == ("welcome", 0)


def test_invitations_are_found_by_the_miners_id_and_the_hubs_name(client, account):
    invitation, other = HubInvitationFactory(hub__name="Eastgate"), HubInvitationFactory(hub__name="Westgate")
    for text in (invitation.miner_id, "eastg"):
        rows = client.get(f"/admin/entities/hubinvitation/?q={text}").context["cl"].queryset
        assert (invitation in rows, other in rows) == (True, False)
