"""Who enters the staff admin: staff who proved a second factor, and nobody else on any of its pages."""

import re

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django_otp.admin import OTPAdminSite

from tests.factories import HubClientFactory, HubFactory, MinerFactory, PoolFactory


def admin_routes() -> list[str]:
    """Every named route under ``admin:``, as the URLconf has it."""
    resolver = next(r for r in get_resolver().url_patterns if isinstance(r, URLResolver) and r.namespace == "admin")

    def walk(patterns: list, prefix: str) -> list[str]:
        found = []
        for pattern in patterns:
            route = prefix + str(pattern.pattern)
            if isinstance(pattern, URLPattern):
                found.append(route)
            else:
                found += walk(pattern.url_patterns, route)
        return found

    return walk(resolver.url_patterns, "/admin/")


def concrete(route: str) -> str:
    """A path that ``route`` answers; which row it names does not matter to the gate."""
    route = re.sub(r"<uuid:\w+>", "01900000-0000-7000-8000-000000000000", route)
    route = re.sub(r"<path:\w+>", "1", route)
    route = route.replace("^(?P<app_label>accounts|entities|apikeys)/$", "accounts/")
    route = route.replace("(?P<url>.*)$", "no-such-page")
    assert not re.search(r"[<(^$]", route), route
    return route


PATHS = sorted({concrete(route) for route in admin_routes()} - {"/admin/login/"})


def test_the_one_time_password_site_is_in_force():
    assert admin.site.is_registered  # wakes the lazy site up
    assert isinstance(admin.site._wrapped, OTPAdminSite)


def test_only_these_models_have_pages():
    assert {model._meta.label for model in admin.site._registry} == {
        "accounts.Account",
        "accounts.AuditEvent",
        "accounts.User",
        "apikeys.ActiveKey",
        "apikeys.RevokedKey",
        "entities.HubInvitation",
        "apikeys.Role",
        "entities.Entity",
        "entities.Hub",
        "entities.HubClient",
        "entities.Miner",
        "entities.Pool",
    }


def ends(client: Client, method: str) -> dict[str, str]:
    """Where each admin path leads: the status, or the first page outside the admin's own gate."""
    found = {}
    for path in PATHS:
        answer = getattr(client, method)(path)
        for _ in range(3):
            if answer.status_code != 302 or not answer["Location"].startswith("/admin/"):
                break
            answer = client.get(answer["Location"])
        found[path] = answer.headers.get("Location", str(answer.status_code)).partition("?")[0]
    return found


@pytest.mark.parametrize("method", ["get", "post"])
def test_strangers_are_sent_to_the_web_login(method, db):
    assert set(ends(Client(), method).values()) == {"/sign-in/"}


@pytest.mark.parametrize("method", ["get", "post"])
def test_an_owner_of_an_account_is_refused_without_a_loop(method, outsider, sign_in_as):
    assert set(ends(sign_in_as(outsider), method).values()) == {"403"}


@pytest.mark.parametrize("method", ["get", "post"])
def test_staff_who_did_not_prove_a_second_factor_are_sent_to_do_so(method, staff):
    client = Client()
    client.force_login(staff)
    assert set(ends(client, method).values()) == {"/sign-in/"}


def test_staff_with_a_second_factor_are_never_turned_away_and_nothing_crashes(staff, sign_in_as, account):
    assert set(ends(sign_in_as(staff), "get").values()) <= {"200", "403", "404", "405"}


@pytest.mark.parametrize(
    "path",
    [
        "",
        "accounts/account/",
        "accounts/account/add/",
        "accounts/user/",
        "accounts/user/add/",
        "accounts/auditevent/",
        "entities/entity/",
        "entities/miner/",
        "entities/miner/add/",
        "entities/hub/",
        "entities/hub/add/",
        "entities/hubclient/",
        "entities/hubclient/add/",
        "entities/pool/",
        "entities/pool/add/",
        "apikeys/activekey/",
        "apikeys/activekey/add/",
        "apikeys/revokedkey/",
        "apikeys/role/",
        "apikeys/role/add/",
    ],
)
def test_staff_see_every_section(path, staff, sign_in_as, account):
    assert sign_in_as(staff).get(f"/admin/{path}").status_code == 200


def test_staff_need_not_be_superusers(staff, sign_in_as, account):
    staff.is_superuser = False
    staff.save()
    client = sign_in_as(staff)
    assert client.get("/admin/accounts/account/").status_code == 200
    assert client.get(f"/admin/accounts/account/{account.pk}/change/").status_code == 200


def test_who_stops_being_staff_is_out_at_the_next_click(staff, sign_in_as):
    client = sign_in_as(staff)
    staff.is_staff = False
    staff.save()
    assert client.get("/admin/", follow=True).status_code == 403


def test_signed_in_staff_pass_the_login_page(staff, sign_in_as):
    answer = sign_in_as(staff).get("/admin/login/?next=/admin/accounts/user/")
    assert answer["Location"] == "/admin/accounts/user/"


def test_the_login_page_leads_to_no_other_site(staff, sign_in_as):
    answer = sign_in_as(staff).get("/admin/login/?next=https://example.org/")
    assert answer["Location"] == "/admin/"


def test_signing_out_of_the_admin_signs_out(staff, sign_in_as):
    client = sign_in_as(staff)
    assert client.get("/admin/logout/").status_code == 405
    answer = client.post("/admin/logout/")
    assert answer["Location"] == "/sign-in/"
    assert not client.session.get("_auth_user_id")


def test_the_admin_offers_no_password_page(staff, sign_in_as):
    client = sign_in_as(staff)
    assert client.get("/admin/password_change/").status_code == 404
    assert b"password_change" not in client.get("/admin/").content


def test_no_page_holds_inline_scripts_styles_or_handlers(staff, sign_in_as, account, issue_key, owner, make_role):
    """The content security policy would stop them."""
    hub = HubFactory(account=account)
    HubClientFactory(hub=hub, miner=MinerFactory(account=account, pool=PoolFactory(account=account)))
    key, _ = issue_key()
    role = make_role("payouts:read")
    client = sign_in_as(staff)
    for path in [
        "",
        "accounts/account/",
        f"accounts/account/{account.pk}/change/",
        f"accounts/user/{owner.pk}/change/",
        "accounts/user/add/",
        "accounts/auditevent/",
        f"entities/hub/{hub.pk}/change/",
        "entities/miner/",
        "apikeys/activekey/",
        f"apikeys/activekey/{key.pk}/change/",
        f"apikeys/activekey/{key.pk}/revoke/",
        "apikeys/activekey/add/",
        f"apikeys/activekey/add/?account={account.pk}&environment=production",
        f"apikeys/role/{role.pk}/change/",
        f"apikeys/role/{role.pk}/edit/",
        f"apikeys/role/add/?account={account.pk}",
    ]:
        answer = client.get(f"/admin/{path}")
        html = answer.content.decode()
        assert answer.status_code == 200, path
        assert not re.search(r"<style\b|\sstyle=|\son\w+=|javascript:", html), path
        assert all("src=" in tag or "application/json" in tag for tag in re.findall(r"<script\b[^>]*>", html)), path
