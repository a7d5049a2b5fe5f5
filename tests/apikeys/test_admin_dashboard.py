"""The staff admin's first page: each number is the length of the list that it leads to."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.db.models.expressions import RawSQL
from django.utils import timezone

from accounts import admin_paging
from accounts.models import Account, User
from apikeys import lifecycle, signing
from apikeys.admin import dashboard
from apikeys.models import ApiKey, ApiKeySecret, SigningKey, UsageTotal
from apikeys.request_rows import HourCount, add_usage
from tests.conftest import COMMAND
from tests.factories import AccountFactory, UserFactory
from tests.people import enrol

INDEX = "/admin/"


@pytest.fixture
def client(staff, sign_in_as):
    return sign_in_as(staff)


@pytest.fixture
def keys(account, issue_key):
    """A key in each state, some used in the last day, and a signing key from long ago."""
    now = timezone.now()
    bare = issue_key(name="bare")[0]
    signing.rotate(account, actor=COMMAND)
    signing.retire(SigningKey.objects.get(account=account, version=1), actor=COMMAND)
    made = {name: issue_key(name=name)[0] for name in ("active", "disabled", "expired", "revoked", "refused")}
    made["bare"] = bare
    lifecycle.disable(made["disabled"], actor=COMMAND)
    ApiKey.objects.filter(pk=made["expired"].pk).update(expires_at=now - timedelta(days=1))
    ApiKey.objects.filter(pk=made["active"].pk).update(expires_at=now + timedelta(days=20))
    ApiKeySecret.objects.filter(key=made["refused"]).update(created_at=now - timedelta(days=400))
    for name, requests, refused, hours in [
        ("active", 60, 0, 2), ("refused", 30, 15, 3), ("revoked", 10, 10, 1), ("disabled", 7, 7, 40),
    ]:  # fmt: skip
        add_usage([HourCount(made[name].pk, now - timedelta(hours=hours), requests, refused)])
    lifecycle.revoke(made["revoked"], actor=COMMAND, reason="leaked")
    SigningKey.objects.update(created_at=now - timedelta(days=366))
    AccountFactory(suspended_at=now)
    return made


def tiles(answer):
    return {tile.label: tile for tiles in answer.context["headings"].values() for tile in tiles}


def test_each_number_is_the_length_of_the_list_that_it_leads_to(client, keys):
    shown = tiles(client.get(INDEX))
    for tile in shown.values():
        answer = client.get(tile.url)
        assert answer.status_code == 200, tile.url
        if tile.label not in ("Requests", "Refused"):
            assert tile.number == f"{answer.context['cl'].result_count:,}", tile.label


def test_keys_are_counted_by_status_and_use(client, keys):
    shown = {label: tile.number for label, tile in tiles(client.get(INDEX)).items()}
    assert (
        shown
        | {
            "Active": "2",
            "Disabled": "1",
            "Expired": "1",
            "Without a secret": "1",
            "Revoked": "1",
            "Requests": "100",
            "Refused": "25",
            "Signing keys to rotate": "1",
            "Accounts suspended": "1",
        }
        == shown
    )


def test_every_number_has_its_list(client, keys):
    expected = {tile.label for tiles in dashboard.table().values() for tile in tiles}
    assert set(tiles(client.get(INDEX))) == expected | {"Requests", "Refused"}


def test_numbers_that_are_not_zero_stand_out(client, keys):
    shown = tiles(client.get(INDEX))
    assert (shown["Refused"].tone, shown["Accounts suspended"].tone) == ("warn", "danger")
    Account.objects.update(suspended_at=None)
    UsageTotal.objects.update(refused=0)
    shown = tiles(client.get(INDEX))
    assert (shown["Refused"].tone, shown["Accounts suspended"].tone) == ("", "")


def test_every_group_sees_the_numbers(client, staff, keys):
    User.objects.filter(pk=staff.pk).update(is_superuser=False)
    for name in ("support", "security", "administrators"):
        staff.groups.set([Group.objects.get(name=name)])
        assert "Active" in tiles(client.get(INDEX)), name


def test_who_has_no_role_is_told_whom_to_ask(staff, sign_in_as, keys):
    newcomer = UserFactory(is_staff=True)
    enrol(newcomer)
    page = sign_in_as(newcomer).get(INDEX).content.decode()
    assert "You have no role in the staff admin yet." in page
    assert staff.email in page
    assert "key.issued" not in page
    assert "Active" not in page


def test_keys_are_found_by_their_use_of_the_last_day(client, keys):
    def listed(section, use):
        page = client.get(f"/admin/apikeys/{section}/?last_day={use}")
        return {key.name for key in page.context["cl"].result_list}

    assert listed("activekey", "used") == {"active", "refused"}
    assert listed("activekey", "refused") == {"refused"}
    assert listed("revokedkey", "used") == {"revoked"}


def test_a_list_too_long_to_count_says_so(client, account, monkeypatch):
    monkeypatch.setattr(admin_paging, "MOST_COUNTED", 60)
    monkeypatch.setattr(admin_paging.CappedPaginator, "_estimate", lambda self: 1234)
    ApiKey.objects.bulk_create(
        ApiKey(account=account, environment="production", access_level="viewer", revoked_at=timezone.now())
        for _ in range(70)
    )
    list_page = client.get("/admin/apikeys/revokedkey/")
    assert "about 1,200 revoked API keys, the first 60 of them on these pages" in list_page.content.decode()
    assert len(client.get("/admin/apikeys/revokedkey/?p=2").context["cl"].result_list) == 10
    assert client.get("/admin/apikeys/revokedkey/?p=3").status_code == 302
    assert tiles(client.get(INDEX))["Revoked"].number == "about 1,200"
    monkeypatch.setattr(admin_paging.CappedPaginator, "_estimate", lambda self: 0)
    assert tiles(client.get(INDEX))["Revoked"].number == "more than 60"


def test_one_account_is_found_among_many_by_a_part_of_its_name(client, account, other_account, issue_key):
    issue_key(name="northern")
    AccountFactory(name="Northfold Two", slug="northfold-two")

    def listed(typed):
        answer = client.get("/admin/apikeys/activekey/", {"account": typed})
        assert answer.status_code == 200
        return [key.name for key in answer.context["cl"].result_list], answer.content.decode()

    assert listed("northfold")[0] == ["northern"]
    names, page = listed("orthfol")
    assert names == ["northern"]
    assert "?account=northfold-two" in page
    assert listed("borealis")[0] == []
    assert "No account is called that." in listed("nobody")[1]
    assert client.get("/admin/apikeys/activekey/", {"account": "nobody\0"}).status_code == 400


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no limit of time")
def test_a_count_that_takes_too_long_gives_way_to_an_estimate(client, keys, monkeypatch):
    monkeypatch.setattr(admin_paging, "COUNTING_TIME", 20)
    slow = ApiKey.objects.annotate(rest=RawSQL("SELECT 1 FROM pg_sleep(5)", [])).filter(rest=1)
    pages = admin_paging.CappedPaginator(slow.order_by("pk"), 10)
    assert pages.is_capped
    assert pages.total == "more than 10,000"
    assert admin_paging.CappedPaginator(ApiKey.objects.order_by("pk"), 10).total == str(ApiKey.objects.count())
