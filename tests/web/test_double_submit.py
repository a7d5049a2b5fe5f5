"""A form that is sent ten times at once makes one key and shows one secret."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connections
from django.test import Client

from apikeys.models import ApiKey
from tests.people import sign_in
from tests.web.conftest import KEYS

TIMES = 10


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_ten_equal_posts_make_one_key_and_show_one_secret(owner, filled):
    data = filled(owner)
    clients = [sign_in(Client(), owner) for _ in range(TIMES)]
    together = Barrier(TIMES)

    def post(client: Client) -> tuple[int, str]:
        try:
            together.wait(timeout=30)
            response = client.post(f"{KEYS}create/", data)
            return response.status_code, response.content.decode()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(TIMES) as pool:
        answers = list(pool.map(post, clients))
    shown = [page for status, page in answers if status == 200]
    assert len(shown) == 1
    assert len(re.findall(r"ph_live_[0-9A-Za-z]{61}", shown[0])) == 1
    others = [page for status, page in answers if status == 409]
    assert len(others) == TIMES - 1
    assert all("Already" in page and not re.search(r"ph_live_[0-9A-Za-z]{61}", page) for page in others)
    assert ApiKey.objects.count() == 1
