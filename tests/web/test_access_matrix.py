"""Who may open which of the owner's pages, drawn from the URLconf: a page that the table doesn't list fails."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from tests.factories import MembershipFactory, UserFactory
from tests.people import enrol, sign_in

KEY = "a/<slug:slug>/access/api-keys/"
ROLE = "a/<slug:slug>/access/roles/"
# page: (outsider, a member with no right, view, update, delete, create, owner) on GET; 302 leads somewhere else
ROLES = ("outsider", "no right", "view", "update", "delete", "create", "owner")
PAGES = {
    KEY: (404, 403, 200, 403, 403, 403, 200),
    f"{KEY}set-up/": (405, 405, 405, 405, 405, 405, 405),
    f"{KEY}create/": (404, 403, 403, 403, 403, 200, 200),
    f"{KEY}<slug:key_id>/": (404, 403, 200, 403, 403, 403, 200),
    f"{KEY}<slug:key_id>/revoke/": (404, 403, 403, 403, 200, 403, 200),
    f"{KEY}<slug:key_id>/disable/": (405, 405, 405, 405, 405, 405, 405),
    f"{KEY}<slug:key_id>/enable/": (404, 403, 403, 302, 403, 403, 302),
    # Changing roles takes the rights to view, create and update together: none alone is enough.
    ROLE: (404, 403, 200, 403, 403, 403, 200),
    f"{ROLE}create/": (404, 403, 403, 403, 403, 403, 200),
    f"{ROLE}<uuid:role_id>/edit/": (404, 403, 403, 403, 403, 403, 200),
    f"{ROLE}<uuid:role_id>/clone/": (404, 403, 403, 403, 403, 403, 200),
    f"{ROLE}<uuid:role_id>/delete/": (404, 403, 403, 403, 403, 403, 200),
}
# what a POST with nothing in it answers: 200 is the form with its errors
POSTS = {
    KEY: (405,) * 7,
    f"{KEY}set-up/": (404, 403, 403, 403, 403, 302, 302),
    f"{KEY}create/": (404, 403, 403, 403, 403, 200, 200),
    f"{KEY}<slug:key_id>/": (405,) * 7,
    f"{KEY}<slug:key_id>/revoke/": (404, 403, 403, 403, 200, 403, 200),
    f"{KEY}<slug:key_id>/disable/": (404, 403, 403, 302, 403, 403, 302),
    f"{KEY}<slug:key_id>/enable/": (404, 403, 403, 302, 403, 403, 302),
    ROLE: (405,) * 7,
    f"{ROLE}create/": (404, 403, 403, 403, 403, 403, 200),
    f"{ROLE}<uuid:role_id>/edit/": (404, 403, 403, 403, 403, 403, 200),
    f"{ROLE}<uuid:role_id>/clone/": (404, 403, 403, 403, 403, 403, 200),
    f"{ROLE}<uuid:role_id>/delete/": (404, 403, 403, 403, 403, 403, 200),
}
OPEN = {
    "sign-in/",
    "sign-in/code/",
    "sign-out/",
    "me/second-factor/",
    "healthz",
    "readyz",
    "docs/",
    "docs/openapi.json",
}
OWN = {"", "me/second-factor/replace/", "me/recovery-codes/", "me/theme/"}
ELSEWHERE = ("admin/", "api/v1/", "staging/api/v1/", "development/api/v1/")


def routes(resolver: URLResolver, prefix: str = "") -> dict[str, URLPattern]:
    found: dict[str, URLPattern] = {}
    for entry in resolver.url_patterns:
        path = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            if not path.startswith(ELSEWHERE):
                found |= routes(entry, path)
        else:
            found[path] = entry
    return found


ROUTES = routes(get_resolver())


def test_every_page_stands_in_the_table():
    assert set(ROUTES) == PAGES.keys() | OPEN | OWN
    assert POSTS.keys() == PAGES.keys()


@pytest.fixture
def clients(account, other_account, owner, outsider):
    result = {"outsider": sign_in(Client(), outsider), "owner": sign_in(Client(), owner)}
    for right in ("view", "update", "delete", "create", "no right"):
        user = UserFactory()
        enrol(user)
        rights = {} if right == "no right" else {f"can_{right}_keys": True}
        MembershipFactory(account=account, user=user, access_level="viewer", **rights)
        result[right] = sign_in(Client(), user)
    return result


@pytest.fixture
def unused_role(make_role):
    return make_role("payouts:read")


def address(route, key, role):
    path = route.replace("<slug:slug>", "northfold").replace("<slug:key_id>", key.key_id)
    return "/" + path.replace("<uuid:role_id>", str(role.pk))


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("route", PAGES)
def test_each_role_gets_what_the_table_says(clients, issue_key, unused_role, route, method):
    expected = (PAGES if method == "get" else POSTS)[route]
    for role, status in zip(ROLES, expected, strict=True):
        key, _ = issue_key()
        path = address(route, key, unused_role)
        response = getattr(clients[role], method)(path)
        assert response.status_code == status, (role, path)


@pytest.mark.parametrize("route", [*PAGES, *sorted(OWN)])
def test_nobody_gets_anywhere_without_a_second_factor(route, owner, account, issue_key, unused_role):
    key, _ = issue_key()
    path = address(route, key, unused_role)
    password_only = Client()
    password_only.force_login(owner)
    for client in (Client(), password_only):
        for method in ("get", "post"):
            response = getattr(client, method)(path)
            assert response.status_code == 302, path
            assert response["Location"].startswith("/sign-in/?next=")
