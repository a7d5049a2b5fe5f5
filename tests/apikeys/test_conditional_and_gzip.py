"""What saves the wire: 304 where nothing has changed, and gzip."""

from __future__ import annotations

import gzip
import json

import pytest

from entities.models import Miner
from tests.factories import HubFactory, MinerFactory, PoolFactory


@pytest.fixture
def client(issue_key, api, account):
    MinerFactory(account=account, name="basalt")
    return api(issue_key("administrator")[1])


def test_an_unchanged_list_is_not_sent_again(client):
    etag = client.get("/api/v1/miners")["ETag"]
    again = client.get("/api/v1/miners", headers={"If-None-Match": etag})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", etag)
    assert again["Cache-Control"] == "no-store"


def test_a_changed_list_is(client, account):
    etag = client.get("/api/v1/miners")["ETag"]
    Miner.objects.update(name="granite")
    changed = client.get("/api/v1/miners", headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed["ETag"] != etag


def test_an_entity_that_left_the_keys_reach_is_not_answered_with_304(client, account, other_account):
    miner = Miner.objects.get()
    etag = client.get(f"/api/v1/miners/{miner.pk}").get("ETag", client.get("/api/v1/miners")["ETag"])
    Miner.objects.update(account=other_account)
    assert client.get(f"/api/v1/miners/{miner.pk}", headers={"If-None-Match": etag}).status_code == 404
    assert client.get("/api/v1/miners", headers={"If-None-Match": etag}).json()["data"] == []


def test_a_revoked_key_learns_nothing_from_its_etag(client):
    etag = client.get("/api/v1/miners")["ETag"]
    client.post("/api/v1/key/revoke")
    assert client.get("/api/v1/miners", headers={"If-None-Match": etag}).status_code == 401


@pytest.mark.parametrize("route", ["miners", "hubs", "pools"])
def test_lists_and_details_of_what_changes_slowly_have_an_etag(client, account, route):
    entity = {"miners": MinerFactory, "hubs": HubFactory, "pools": PoolFactory}[route](account=account)
    assert client.get(f"/api/v1/{route}")["ETag"]
    if route != "miners":  # a miner's detail counts its workers
        assert client.get(f"/api/v1/{route}/{entity.pk}")["ETag"]


def test_a_long_answer_is_compressed_for_those_who_take_it(client, account):
    MinerFactory.create_batch(20, account=account)
    plain = client.get("/api/v1/miners")
    zipped = client.get("/api/v1/miners", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in plain
    assert zipped["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in zipped["Vary"]
    assert len(zipped.content) < len(plain.content) / 3
    assert json.loads(gzip.decompress(zipped.content)) == plain.json()
    etag = zipped["ETag"]
    again = client.get("/api/v1/miners", headers={"Accept-Encoding": "gzip", "If-None-Match": etag})
    assert again.status_code == 304


def test_a_short_answer_and_a_page_for_people_are_not(client):
    assert "Content-Encoding" not in client.get("/api/v1/pools", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in client.get("/sign-in/", headers={"Accept-Encoding": "gzip"})
