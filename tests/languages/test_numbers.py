"""Numbers for machines stay as machines read them: the Russian 1 234,5 breaks a drawing and a number input."""

from __future__ import annotations

from datetime import timedelta
from html.parser import HTMLParser

import pytest
from django.test import Client
from django.utils import timezone

from apikeys.models import UsageHour
from entities.models import Miner
from tests.people import sign_in

#: Attributes that hold numbers only, or, of a drawing, letters with numbers.
MEASURES = {
    "d", "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "rx", "ry", "width", "height", "viewbox", "points",
    "transform", "min", "max", "step", "minlength", "maxlength", "rows", "cols", "size", "colspan", "rowspan",
    "tabindex",
}  # fmt: skip
#: What has no spaces, whatever stands in it.
ADDRESSES = {"href", "id", "for", "name", "action", "aria-describedby"}
SPOILERS = {",", "\N{NO-BREAK SPACE}", "\N{NARROW NO-BREAK SPACE}"}


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.measures, self.spoiled = 0, []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        names = MEASURES & given.keys()
        if tag == "input" and (given.get("type") == "number" or given.get("inputmode") == "numeric"):
            names |= {"value"} & given.keys()
        spaces = SPOILERS - {","}
        spoilers = dict.fromkeys(names, SPOILERS) | dict.fromkeys(ADDRESSES & given.keys(), spaces)
        self.measures += len(names)
        for name, wrong in spoilers.items():
            if wrong & set(given[name] or ""):
                self.spoiled.append(f"<{tag} {name}={given[name]!r}>")


def read(page):
    reader = _Reader()
    reader.feed(page)
    return reader


@pytest.fixture
def busy_key(account, issue_key):
    """A key whose every number is above a thousand, in an account where they are, too."""
    account.default_rate_limit, account.max_active_keys, account.rotation_days = 12_000, 1_500, 1_200
    account.save()
    Miner.objects.bulk_create(
        Miner(account=account, environment="production", kind="miner", name=f"m-{number}") for number in range(1_001)
    )
    key, _secret = issue_key(rate_limit=12_345)
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    UsageHour.objects.bulk_create(
        UsageHour(key=key, hour=now - timedelta(days=day), requests=1_234 * day + 1_001, refused=1_017 * (day % 5))
        for day in range(28)
    )
    return key


def test_no_number_in_an_attribute_is_written_the_russian_way(owner, busy_key):
    owner.language = "ru"
    owner.save()
    client = sign_in(Client(), owner)
    keys = "/a/northfold/access/api-keys/"
    pages = [keys, f"{keys}{busy_key.key_id}/", f"{keys}create/", f"{keys}{busy_key.key_id}/edit/"]
    settings = ["/a/northfold/settings/", "/a/northfold/settings/signing-keys/", "/a/northfold/access/roles/"]
    for path in [*pages, *settings]:
        response = client.get(path)
        assert response.status_code == 200, path
        found = read(response.content.decode())
        assert found.measures > 5, path
        assert found.spoiled == [], path


def test_the_same_numbers_are_written_the_russian_way_for_people(owner, busy_key):
    owner.language = "ru"
    owner.save()
    page = sign_in(Client(), owner).get(f"/a/northfold/access/api-keys/{busy_key.key_id}/").content.decode()
    assert "12\N{NO-BREAK SPACE}345" in page


@pytest.mark.parametrize(
    "markup",
    [
        '<svg viewBox="0 0 1\N{NO-BREAK SPACE}200 20"></svg>',
        '<path d="M0 1,5h3"/>',
        '<input type="number" value="1\N{NO-BREAK SPACE}000">',
        '<a href="?page=1\N{NO-BREAK SPACE}000">',
    ],
)
def test_a_spoiled_number_is_found(markup):
    assert len(read(markup).spoiled) == 1
