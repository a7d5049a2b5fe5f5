"""Who may open which of the owner's pages, drawn from the URLconf: a page that the table doesn't list fails."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from accounts.models import Account, Invitation, Membership
from tests.factories import MembershipFactory, UserFactory
from tests.people import enrol, sign_in

KEY = "a/<slug:slug>/access/api-keys/"
ROLE = "a/<slug:slug>/access/roles/"
MEMBER = "a/<slug:slug>/access/members/"
SETTINGS = "a/<slug:slug>/settings/"
SIGNING = f"{SETTINGS}signing-keys/"
# page: (outsider, a member with no right, view, update, delete, create, owner) on GET; 302 leads somewhere else
ROLES = ("outsider", "no right", "view", "update", "delete", "create", "owner")
PAGES = {
    KEY: (404, 403, 200, 403, 403, 403, 200),
    f"{KEY}set-up/": (405, 405, 405, 405, 405, 405, 405),
    f"{KEY}create/": (404, 403, 403, 403, 403, 200, 200),
    f"{KEY}<slug:key_id>/": (404, 403, 200, 403, 403, 403, 200),
    f"{KEY}<slug:key_id>/edit/": (404, 403, 403, 200, 403, 403, 200),
    f"{KEY}<slug:key_id>/explain/": (404, 403, 200, 403, 403, 403, 200),
    f"{KEY}<slug:key_id>/revoke/": (404, 403, 403, 403, 200, 403, 200),
    f"{KEY}<slug:key_id>/disable/": (405, 405, 405, 405, 405, 405, 405),
    f"{KEY}<slug:key_id>/enable/": (404, 403, 403, 302, 403, 403, 302),
    f"{KEY}<slug:key_id>/rotate/": (404, 403, 403, 200, 403, 403, 200),
    f"{KEY}<slug:key_id>/regenerate/": (404, 403, 403, 200, 403, 403, 200),
    # Nothing overlaps, and what is not revoked can't be deleted: back to the key, which says so.
    f"{KEY}<slug:key_id>/end-overlap/": (404, 403, 403, 302, 403, 403, 302),
    f"{KEY}<slug:key_id>/delete/": (404, 403, 403, 403, 302, 403, 302),
    # Changing roles takes the rights to view, create and update together: none alone is enough.
    ROLE: (404, 403, 200, 403, 403, 403, 200),
    f"{ROLE}create/": (404, 403, 403, 403, 403, 403, 200),
    f"{ROLE}<uuid:role_id>/edit/": (404, 403, 403, 403, 403, 403, 200),
    f"{ROLE}<uuid:role_id>/clone/": (404, 403, 403, 403, 403, 403, 200),
    f"{ROLE}<uuid:role_id>/delete/": (404, 403, 403, 403, 403, 403, 200),
    # Every member sees the others; owners alone change anything, except that everybody may leave.
    MEMBER: (404, 200, 200, 200, 200, 200, 200),
    f"{MEMBER}invite/": (404, 403, 403, 403, 403, 403, 200),
    f"{MEMBER}<int:member_id>/edit/": (404, 403, 403, 403, 403, 403, 200),
    f"{MEMBER}<int:member_id>/remove/": (404, 403, 403, 403, 403, 403, 200),
    f"{MEMBER}invitations/<uuid:invitation_id>/resend/": (405,) * 7,
    f"{MEMBER}invitations/<uuid:invitation_id>/cancel/": (405,) * 7,
    # Every member reads policies and notices; signing keys take the right to see keys, changing them an owner.
    SETTINGS: (404, 200, 200, 200, 200, 200, 200),
    f"{SETTINGS}notices/": (404, 200, 200, 200, 200, 200, 200),
    SIGNING: (404, 403, 200, 403, 403, 403, 200),
    f"{SIGNING}rotate/": (404, 403, 403, 403, 403, 403, 200),
    f"{SIGNING}<int:version>/retire/": (404, 403, 403, 403, 403, 403, 200),
    f"{SIGNING}<int:version>/retired/": (404, 403, 302, 403, 403, 403, 302),
}
# what a POST with nothing in it answers: 200 is the form with its errors
POSTS = {
    KEY: (405,) * 7,
    f"{KEY}set-up/": (404, 403, 403, 403, 403, 302, 302),
    f"{KEY}create/": (404, 403, 403, 403, 403, 200, 200),
    f"{KEY}<slug:key_id>/": (405,) * 7,
    f"{KEY}<slug:key_id>/edit/": (404, 403, 403, 200, 403, 403, 200),
    f"{KEY}<slug:key_id>/explain/": (404, 403, 200, 403, 403, 403, 200),
    f"{KEY}<slug:key_id>/revoke/": (404, 403, 403, 403, 200, 403, 200),
    f"{KEY}<slug:key_id>/disable/": (404, 403, 403, 302, 403, 403, 302),
    f"{KEY}<slug:key_id>/enable/": (404, 403, 403, 302, 403, 403, 302),
    f"{KEY}<slug:key_id>/rotate/": (404, 403, 403, 200, 403, 403, 200),
    f"{KEY}<slug:key_id>/regenerate/": (404, 403, 403, 200, 403, 403, 200),
    f"{KEY}<slug:key_id>/end-overlap/": (404, 403, 403, 302, 403, 403, 302),
    f"{KEY}<slug:key_id>/delete/": (404, 403, 403, 403, 200, 403, 200),
    ROLE: (405,) * 7,
    f"{ROLE}create/": (404, 403, 403, 403, 403, 403, 200),
    f"{ROLE}<uuid:role_id>/edit/": (404, 403, 403, 403, 403, 403, 200),
    f"{ROLE}<uuid:role_id>/clone/": (404, 403, 403, 403, 403, 403, 200),
    f"{ROLE}<uuid:role_id>/delete/": (404, 403, 403, 403, 403, 403, 200),
    MEMBER: (405,) * 7,
    f"{MEMBER}invite/": (404, 403, 403, 403, 403, 403, 200),
    f"{MEMBER}<int:member_id>/edit/": (404, 403, 403, 403, 403, 403, 200),
    f"{MEMBER}<int:member_id>/remove/": (404, 403, 403, 403, 403, 403, 200),
    f"{MEMBER}invitations/<uuid:invitation_id>/resend/": (404, 403, 403, 403, 403, 403, 302),
    f"{MEMBER}invitations/<uuid:invitation_id>/cancel/": (404, 403, 403, 403, 403, 403, 302),
    SETTINGS: (404, 403, 403, 403, 403, 403, 200),
    f"{SETTINGS}notices/": (404, 403, 403, 403, 403, 403, 302),
    SIGNING: (405,) * 7,
    f"{SIGNING}rotate/": (404, 403, 403, 403, 403, 403, 200),
    f"{SIGNING}<int:version>/retire/": (404, 403, 403, 403, 403, 403, 200),
    f"{SIGNING}<int:version>/retired/": (405,) * 7,
}
OPEN = {
    "sign-in/",
    "sign-in/code/",
    "sign-in/lost-device/",
    "sign-in/forgotten-password/",
    "sign-in/new-password/<uidb64>/<token>/",
    "sign-out/",
    "passkey/begin/",
    "passkey/complete/",
    "language/",
    "me/second-factor/",
    "report-leak/",
    "integrations/github/secret-scanning",
    "invitations/open/",
    "invitations/<str:token>/",
    "me/passkeys/create/",
    "me/passkeys/create/begin/",
    "healthz",
    "readyz",
    "metrics",
    "docs/",
    "docs/openapi.json",
}
OWN = {
    "",
    "me/",
    "me/second-factor/replace/",
    "me/second-factor/cancel/",
    "me/second-factor/remove/",
    "me/recovery-codes/",
    "me/passkeys/",
    "me/passkeys/add/",
    "me/passkeys/<int:passkey_id>/rename/",
    "me/passkeys/<int:passkey_id>/remove/",
    "me/sessions/",
    "me/sessions/end-others/",
    "me/sessions/<uuid:session_id>/end/",
    "me/password/",
    "me/theme/",
}
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
    if "/members/" in path:
        return of_members(path)
    path = path.replace("<uuid:role_id>", str(role.pk)).replace("<uuid:session_id>", str(role.pk))
    return "/" + path.replace("<int:passkey_id>", "1").replace("<int:version>", "1")


def of_members(path):
    """Another member and an invitation to act on, made when they are first needed."""
    account = Account.objects.get(slug="northfold")
    member = Membership.objects.filter(account=account, user__name="Another").first()
    member = member or MembershipFactory(account=account, user=UserFactory(name="Another"))
    invitation = Invitation.objects.filter(account=account).first() or Invitation.objects.create(
        account=account, email="nora@example.com", digest=b"0" * 32, expires_at=timezone.now() + timedelta(days=3)
    )
    path = path.replace("<int:member_id>", str(member.pk))
    return "/" + path.replace("<uuid:invitation_id>", str(invitation.pk))


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
