"""Owners never see a support key: not on any of their pages, not in a count, not by its ID."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.utils import timezone

from apikeys import request_log
from apikeys.models import ApiKeySecret, RequestLog, UsageHour
from tests.factories import MinerFactory
from tests.people import sign_in, without_tokens
from tests.web.test_access_matrix import PAGES, POSTS, address

OLD = "zq-7Kd93jsLq02x-Export"
NAME = "Handed out in 2019"


@pytest.fixture
def miner(account):
    return MinerFactory(account=account)


@pytest.fixture
def make_support_key(register_key, miner):
    """A support key in use, made by a person who has left since."""

    def make():
        key = register_key(OLD, [miner], name=NAME)
        now = timezone.now()
        ApiKeySecret.objects.filter(key=key).update(last_used_at=now, last_used_address="198.51.100.99")
        row = {"at": now, "method": "GET", "status": 200, "duration_ms": 3, "request_id": "r1", "route": "/api/v1/key"}
        RequestLog.objects.create(account=key.account, key=key, **row)
        UsageHour.objects.create(key=key, hour=now.replace(minute=0, second=0, microsecond=0), requests=7)
        return key

    return make


def test_every_page_of_an_owner_is_the_same_with_and_without_one(owner, issue_key, make_role, make_support_key):
    client = sign_in(Client(), owner)
    key, _ = issue_key()
    role = make_role("payouts:read")
    paths = {route: address(route, key, role) for route in PAGES}
    before = {route: page(client, path) for route, path in paths.items()}
    support = make_support_key()
    for route, path in paths.items():
        shown = page(client, path)
        for text in (NAME, support.key_id, str(support.pk), OLD[:4] + "••••", "198.51.100.99"):
            assert text not in shown, route
        assert shown == before[route], route
    assert client.get("/").status_code in (200, 302)


def page(client, path):
    html = without_tokens(client.get(path, follow=True))
    html = re.sub(r'(name="nonce" value=")[^"]*|(passkey_nonce|data-nonce)="[^"]*"', r"\1", html)
    return re.sub(r"\d+ (?:seconds?|minutes?)(?: ago)?|<time[^>]*>[^<]*</time>", "", html)


@pytest.mark.parametrize("route", [route for route in POSTS if "key_id" in route])
@pytest.mark.parametrize("method", ["get", "post"])
def test_an_owner_who_knows_its_id_finds_nothing_there(owner, make_support_key, make_role, route, method):
    key = make_support_key()
    answer = getattr(sign_in(Client(), owner), method)(address(route, key, make_role("payouts:read")))
    assert answer.status_code in (404, 405)
    key.refresh_from_db()
    assert key.status == "active"


def test_searching_for_it_finds_nothing(owner, make_support_key):
    key = make_support_key()
    client = sign_in(Client(), owner)
    for query in (NAME, key.key_id, OLD[:4], ""):
        answer = client.get("/a/northfold/access/api-keys/", {"q": query})
        assert f"api-keys/{key.key_id}/" not in answer.content.decode()


def test_an_account_s_other_keys_learn_nothing_of_it(issue_key, make_support_key, api):
    support = make_support_key()
    _, secret = issue_key("administrator")
    for path in ("key", "miners", "hubs", "pools"):
        assert support.key_id not in api(secret).get(f"/api/v1/{path}").content.decode()
    request_log._writer.start_anew()
