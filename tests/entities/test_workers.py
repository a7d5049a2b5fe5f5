"""``/workers`` and worker groups: what they show, and what a key may change."""

import json
from datetime import timedelta
from threading import Thread

import pytest
from django.db import connection
from django.utils import timezone
from uuid_utils.compat import uuid7

from accounts.models import AuditEvent
from entities.models import Worker, WorkerGroup
from tests.factories import HubClientFactory, HubFactory, MinerFactory, WorkerFactory, WorkerGroupFactory

TERAHASH = 10**12


@pytest.fixture
def client(api, issue_key):
    _, secret = issue_key("administrator")
    return api(secret)


@pytest.fixture
def send(client):
    """A write's answer: ``send("patch", "workers/…", name="x")``."""

    def send(method, path, **body):
        return client.generic(method.upper(), f"/api/v1/{path}", json.dumps(body), content_type="application/json")

    return send


def errors(answer):
    assert answer.status_code == 400, answer.content
    return answer.json()["errors"]


# Reading


def test_a_worker_is_shown_as_in_its_miners_list(read, miner):
    worker = WorkerFactory(miner=miner, group=WorkerGroupFactory(miner=miner))
    assert read(f"workers/{worker.pk}") == read(f"miners/{miner.pk}/workers")["data"][0]
    assert read(f"workers/{worker.pk}")["group"] == str(worker.group_id)


def test_statistics_are_keyed_by_worker(read, miner):
    now = timezone.now()
    fresh, silent, new = (
        WorkerFactory(
            miner=miner, hashrate=3 * TERAHASH, hashrate_1d=2 * TERAHASH, hashrate_1w=TERAHASH, last_share_at=at
        )
        for at in (now, now - timedelta(hours=5), None)
    )
    stats = read(f"workers/stats?id={fresh.pk}&id={silent.pk}&id={new.pk}&id={new.pk}")
    assert set(stats) == {str(worker.pk) for worker in (fresh, silent, new)}
    assert stats[str(fresh.pk)] == {
        "10m": {"hashrate": 3 * TERAHASH},
        "1d": {"hashrate": 2 * TERAHASH},
        "1w": {"hashrate": TERAHASH},
        "status": "online",
        "last_share_at": now.isoformat().replace("+00:00", "Z"),
    }
    assert (stats[str(silent.pk)]["status"], stats[str(silent.pk)]["10m"]) == ("offline", {"hashrate": 0})
    assert (stats[str(new.pk)]["status"], stats[str(new.pk)]["last_share_at"]) == ("inactive", None)


@pytest.mark.parametrize("wrong", ["unknown", "foreign", "miner", "rubbish"])
def test_one_worker_that_is_not_there_fails_all_statistics(read, miner, other_account, wrong):
    worker = WorkerFactory(miner=miner)
    foreign = WorkerFactory(miner=MinerFactory(account=other_account))
    other = {"unknown": uuid7(), "foreign": foreign.pk, "miner": miner.pk, "rubbish": "rubbish"}[wrong]
    assert read(f"workers/stats?id={worker.pk}&id={other}", status=404)["code"] == "not_found"


def test_statistics_are_of_one_to_a_hundred_workers(read, miner):
    workers = WorkerFactory.create_batch(101, miner=miner)
    query = "&".join(f"id={worker.pk}" for worker in workers)
    assert len(read(f"workers/stats?{query.rpartition('&')[0]}")) == 100
    assert "id" in read(f"workers/stats?{query}", status=400)["errors"]
    assert "id" in read("workers/stats", status=400)["errors"]


def test_a_client_miners_worker_is_reached_until_it_leaves_the_hub(read, account, other_account):
    hub_client = HubClientFactory(hub=HubFactory(account=account), miner=MinerFactory(account=other_account))
    worker = WorkerFactory(miner=hub_client.miner)
    assert read(f"workers/{worker.pk}")["id"] == str(worker.pk)
    assert list(read(f"workers/stats?id={worker.pk}")) == [str(worker.pk)]
    hub_client.delete()
    read(f"workers/{worker.pk}", status=404)
    read(f"workers/stats?id={worker.pk}", status=404)


def test_workers_are_listed_by_group(read, miner):
    group = WorkerGroupFactory(miner=miner)
    inside, _ = WorkerFactory(miner=miner, group=group), WorkerFactory(miner=miner)
    assert [row["id"] for row in read(f"miners/{miner.pk}/workers?group={group.pk}")["data"]] == [str(inside.pk)]


# Changing


def test_a_worker_gets_a_name_and_a_group(send, miner, account):
    worker, group = WorkerFactory(miner=miner, name="old"), WorkerGroupFactory(miner=miner)
    answer = send("patch", f"workers/{worker.pk}", name="new", group=str(group.pk))
    assert answer.status_code == 200, answer.content
    assert (answer.json()["name"], answer.json()["group"]) == ("new", str(group.pk))
    worker.refresh_from_db()
    assert (worker.name, worker.group) == ("new", group)
    event = AuditEvent.objects.get(action="worker.changed")
    assert (event.account, event.target_id) == (account, str(worker.pk))
    assert event.data == {
        "miner": str(miner.pk),
        "changes": {"name": {"from": "old", "to": "new"}, "group": {"from": None, "to": str(group.pk)}},
    }


def test_a_worker_leaves_its_group(send, miner):
    worker = WorkerFactory(miner=miner, group=WorkerGroupFactory(miner=miner))
    assert send("patch", f"workers/{worker.pk}", group=None).json()["group"] is None
    worker.refresh_from_db()
    assert worker.group is None


def test_a_worker_is_changed_by_form_too(client, miner):
    worker, group = WorkerFactory(miner=miner), WorkerGroupFactory(miner=miner)
    form = {"data": f"name=new&group={group.pk}", "content_type": "application/x-www-form-urlencoded"}
    assert client.patch(f"/api/v1/workers/{worker.pk}", **form).status_code == 200
    worker.refresh_from_db()
    assert (worker.name, worker.group) == ("new", group)


def test_nothing_changed_is_nothing_recorded(send, miner):
    worker = WorkerFactory(miner=miner, name="same")
    for body in ({}, {"name": "same"}, {"group": None}):
        assert send("patch", f"workers/{worker.pk}", **body).status_code == 200
    assert not AuditEvent.objects.filter(action="worker.changed").exists()


def test_a_group_of_another_miner_is_no_group(send, miner, account):
    worker = WorkerFactory(miner=miner)
    for group in (WorkerGroupFactory(miner=MinerFactory(account=account)).pk, uuid7()):
        assert "group" in errors(send("patch", f"workers/{worker.pk}", group=str(group)))
    assert "group" in errors(send("patch", f"workers/{worker.pk}", group="rubbish"))


def test_a_name_is_once_in_a_miner(send, miner, account):
    worker, other = WorkerFactory.create_batch(2, miner=miner)
    elsewhere = WorkerFactory(miner=MinerFactory(account=account))
    assert "name" in errors(send("patch", f"workers/{worker.pk}", name=other.name))
    assert send("patch", f"workers/{worker.pk}", name=elsewhere.name).status_code == 200


def test_what_is_measured_is_not_a_keys_to_change(send, miner):
    worker = WorkerFactory(miner=miner)
    for field in ("id", "miner", "hashrate", "hashrate_1d", "last_share_at", "status", "behavior", "type"):
        assert list(errors(send("patch", f"workers/{worker.pk}", **{field: "1"}))) == [field]


@pytest.mark.parametrize("method", ["patch", "delete"])
def test_a_treasurer_changes_no_worker_and_no_group(api, issue_key, miner, method):
    _, secret = issue_key("treasurer")
    group = WorkerGroupFactory(miner=miner)
    answer = api(secret).generic(method.upper(), f"/api/v1/workers/groups/{group.pk}")
    assert (answer.status_code, answer.json()["permission"]) == (403, "workers:write")


def test_a_read_only_scope_sees_workers_and_changes_none(api, issue_key, miner):
    _, secret = issue_key("administrator", [f"read:miners/{miner.pk}"])
    worker, group = WorkerFactory(miner=miner), WorkerGroupFactory(miner=miner)
    for path in (f"workers/{worker.pk}", f"workers/groups/{group.pk}"):
        assert api(secret).get(f"/api/v1/{path}").status_code == 200
        answer = api(secret).patch(f"/api/v1/{path}", {"name": "new"}, format="json")
        assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
    assert api(secret).post(f"/api/v1/miners/{miner.pk}/groups", {"name": "x"}, format="json").status_code == 403
    assert not AuditEvent.objects.filter(action__startswith="worker").exists()


def test_both_accounts_trails_tell_of_what_a_hubs_key_changed_and_one_of_which_key(send, account, other_account):
    hub_client = HubClientFactory(hub=HubFactory(account=account), miner=MinerFactory(account=other_account))
    worker = WorkerFactory(miner=hub_client.miner)
    assert send("patch", f"workers/{worker.pk}", name="new").status_code == 200
    own, clients = (AuditEvent.objects.get(action="worker.changed", account=each) for each in (account, other_account))
    assert own.data == clients.data
    assert "administrator key" in own.actor_name
    assert own.address is not None
    assert (clients.actor_name, clients.address) == ("The account of a hub", None)


# Groups


def test_a_group_is_made_listed_renamed_and_removed(send, read, miner, account):
    made = send("post", f"miners/{miner.pk}/groups", name="Hall A")
    assert made.status_code == 201, made.content
    group = WorkerGroup.objects.get()
    assert made.json() == {
        "id": str(group.pk),
        "name": "Hall A",
        "miner": str(miner.pk),
        "created_at": group.created_at.isoformat().replace("+00:00", "Z"),
    }
    assert read(f"miners/{miner.pk}/groups")["data"] == [made.json()] == [read(f"workers/groups/{group.pk}")]

    worker = WorkerFactory(miner=miner, group=group)
    renamed = send("patch", f"workers/groups/{group.pk}", name="Hall B")
    assert (renamed.status_code, renamed.json()) == (200, {**made.json(), "name": "Hall B"})

    removed = send("delete", f"workers/groups/{group.pk}")
    assert (removed.status_code, removed.content) == (204, b"")
    worker.refresh_from_db()
    assert worker.group is None
    read(f"workers/groups/{group.pk}", status=404)
    assert list(
        AuditEvent.objects.filter(action__startswith="worker_group.").order_by("pk").values_list("action", "account")
    ) == [(f"worker_group.{verb}", account.pk) for verb in ("created", "changed", "removed")]


def test_groups_are_found_by_name_and_put_in_order(read, miner):
    WorkerGroupFactory(name="Hall C")
    for name in ("Hall B", "Hall A"):
        WorkerGroupFactory(miner=miner, name=name)
    url = f"miners/{miner.pk}/groups"
    assert [row["name"] for row in read(f"{url}?ordering=name")["data"]] == ["Hall A", "Hall B"]
    assert [row["name"] for row in read(f"{url}?name=Hall B")["data"]] == ["Hall B"]


def test_a_groups_name_is_once_in_a_miner(send, miner, account):
    group, other = WorkerGroupFactory.create_batch(2, miner=miner)
    assert "name" in errors(send("post", f"miners/{miner.pk}/groups", name=other.name))
    assert "name" in errors(send("patch", f"workers/groups/{group.pk}", name=other.name))
    assert "name" in errors(send("post", f"miners/{miner.pk}/groups"))
    elsewhere = MinerFactory(account=account)
    assert send("post", f"miners/{elsewhere.pk}/groups", name=other.name).status_code == 201


def test_a_group_of_another_account_is_not_there(send, other_account):
    group = WorkerGroupFactory(miner=MinerFactory(account=other_account))
    for method in ("get", "patch", "delete"):
        assert send(method, f"workers/groups/{group.pk}").status_code == 404
    assert send("post", f"miners/{group.miner_id}/groups", name="x").status_code == 404
    assert WorkerGroup.objects.filter(pk=group.pk).exists()


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_a_group_that_goes_away_while_workers_join_it_keeps_none(api, issue_key, account):
    miner = MinerFactory(account=account)
    workers = WorkerFactory.create_batch(4, miner=miner)
    _, secret = issue_key("administrator")
    for _ in range(5):
        group = WorkerGroupFactory(miner=miner)
        statuses = []

        def send(method, path, statuses=statuses, **body):
            try:
                statuses.append(
                    api(secret)
                    .generic(method, f"/api/v1/workers/{path}", json.dumps(body), "application/json")
                    .status_code
                )
            finally:
                connection.close()

        joins = [
            Thread(target=send, args=("PATCH", str(worker.pk)), kwargs={"group": str(group.pk)}) for worker in workers
        ]
        threads = [*joins[:2], Thread(target=send, args=("DELETE", f"groups/{group.pk}")), *joins[2:]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert statuses.count(204) == 1
        assert set(statuses) <= {200, 204, 400}
        assert not Worker.objects.exclude(group=None).exists()
