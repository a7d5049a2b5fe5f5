"""Every page of the owner's web UI, over the demo's data, in Russian: no word of English but names and data."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import timedelta

import pytest
from django.contrib.auth.tokens import default_token_generator
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from django_otp_webauthn.models import WebAuthnCredential

from accounts import invitations
from accounts.models import Account, Invitation, Membership, SignedInSession, User
from accounts.templatetags.pithead import initials
from apikeys.management.commands.seed_demo import seed
from apikeys.models import ApiKey, Role
from entities.models import Entity
from tests.browser.every_page import OWNER
from tests.factories import PASSWORD
from tests.languages.english import english_in
from tests.people import sign_in
from tests.web.test_access_matrix import OPEN, OWN, PAGES, POSTS

#: Not pages: probes, and the API's description for programs.
FOR_PROGRAMS = {"healthz", "readyz", "metrics", "docs/openapi.json"}
#: What only people without a session see; below.
FOR_STRANGERS = {"sign-in/new-password/<uidb64>/<token>/", "invitations/<str:token>/"}
PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")
#: A member who sees everything and may change nothing: every control says why not.
VIEWER = "arvid@northfold.example"
TOKEN = "invited"


@pytest.fixture
def demo(db):
    seed()
    User.objects.update(language="ru")
    return Account.objects.get(slug="northfold")


@pytest.fixture
def demo_owner(demo):
    owner = User.objects.get(email=OWNER)
    for name in ("MacBook", "Phone"):
        WebAuthnCredential.objects.create(user=owner, name=name, credential_id=name.encode(), public_key=b"1")
    return owner


@pytest.fixture
def another_session(demo_owner):
    """That of a browser on another device."""
    return SignedInSession.objects.create(
        user=demo_owner, session_key="another", address="192.0.2.7", user_agent="curl/8.5"
    )


@pytest.fixture
def values(demo, demo_owner, another_session):
    """What can stand in an address, by the parameter's name. The last parameter takes each value once."""
    of_each_kind = {
        (key.status, key.environment, len(key.live_secrets), key.expires_at is None): key.key_id
        for key in ApiKey.objects.filter(account=demo)
    }
    return {
        "slug": [demo.slug],
        "key_id": [*of_each_kind.values()],
        "role_id": [role.pk for role in Role.objects.filter(account=demo)],
        "version": [1],
        "member_id": [member.pk for member in Membership.objects.filter(account=demo)],
        "invitation_id": [invitation.pk for invitation in Invitation.objects.filter(account=demo)],
        "passkey_id": [WebAuthnCredential.objects.filter(user=demo_owner).first().pk],
        "session_id": [another_session.pk],
    }


@pytest.fixture
def typed(demo_owner):
    """What people gave names to, and wrote down."""
    texts = {"staging", "production", "development", "curl"}
    for model, fields in {
        Account: ("name", "slug"),
        User: ("name", "email"),
        ApiKey: ("name", "description", "revoke_note"),
        Role: ("name", "description"),
        Entity: ("name",),
        WebAuthnCredential: ("name",),
    }.items():
        for row in model.objects.values_list(*fields):
            texts |= set(row)
    for name in [*User.objects.values_list("name", flat=True), *Account.objects.values_list("name", flat=True)]:
        texts |= {name.split()[0], initials(name)}
    return texts | set(Invitation.objects.values_list("email", flat=True))


def addresses(route, values):
    names = PARAMETER.findall(route)
    assert set(names) <= values.keys(), f"Give {route} a value for its parameters in this file."
    chosen = {name: values[name][0] for name in names}
    return ["/" + _filled(route, chosen | {names[-1]: last}) for last in values[names[-1]]] if names else ["/" + route]


def _filled(route, chosen):
    return PARAMETER.sub(lambda match: str(chosen[match[1]]), route)


def is_page(response):
    return response.get("Content-Type", "").startswith("text/html") and response.status_code != 405


def read_all(client, routes, values, typed, *, posts):
    """Ask for every route, and send a form of each empty where ``posts``. Return what is English and how many pages."""
    english, seen = defaultdict(set), 0
    for route in routes:
        for number, path in enumerate(addresses(route, values)):
            answers = [client.get(path)]
            if (
                posts
                and number == 0
                and (200 in POSTS.get(route, ()) or route in OWN)
                and answers[0].status_code == 200
            ):
                answers.append(client.post(path))
            for response in filter(is_page, answers):
                seen += response.status_code == 200
                english[route].update(english_in(response.content.decode(), typed))
    said = [f"{route}: {text}" for route, texts in english.items() for text in sorted(texts)]
    return said, seen


def test_every_page_of_an_owner_is_in_russian(demo_owner, values, typed):
    client = sign_in(Client(), demo_owner)
    routes = [*PAGES, *sorted(OWN), *sorted(OPEN - FOR_PROGRAMS - FOR_STRANGERS)]
    said, seen = read_all(client, routes, values, typed, posts=True)
    assert seen > len(PAGES)
    assert not said, "\n".join(said)
    viewer = sign_in(Client(), User.objects.get(email=VIEWER))
    said, seen = read_all(viewer, PAGES, values, typed, posts=False)
    assert seen > 10
    assert not said, "\n".join(said)


@pytest.fixture
def stranger():
    return Client(headers={"accept-language": "ru"})


@pytest.mark.parametrize(
    "path", ["/sign-in/", "/nowhere/", "/docs/", "/sign-in/forgotten-password/", "/sign-in/new-password/MQ/no-token/"]
)
def test_what_strangers_see_is_in_russian(db, stranger, path):
    page = stranger.get(path).content.decode()
    assert 'lang="ru"' in page
    assert english_in(page) == []


def test_the_way_in_and_its_dead_ends_are_in_russian(owner, stranger, settings):
    settings.AXES_FAILURE_LIMIT = 2
    pages = [
        stranger.post("/sign-in/", {}),
        stranger.post("/sign-in/", {"email": "nobody@example.com", "password": "wrong"}),
        stranger.post("/sign-in/forgotten-password/", {"email": ""}),
        stranger.post("/sign-in/forgotten-password/", {"email": "nobody@example.com"}),
    ]
    link = [urlsafe_base64_encode(force_bytes(owner.pk)), default_token_generator.make_token(owner)]
    reset = stranger.get(reverse("accounts:password-reset-link", args=link))["Location"]
    pages += [stranger.get(reset), stranger.post(reset, {"new_password": "12345678", "new_password_again": "1234"})]
    stranger.post("/sign-in/", {"email": owner.email, "password": PASSWORD})
    for path in ("/sign-in/code/", "/sign-in/lost-device/"):
        pages += [stranger.get(path), stranger.post(path, {"code": "12"})]
    wrong = {"email": "nobody@example.com", "password": "wrong"}
    while pages[-1].status_code != 429:
        pages.append(stranger.post("/sign-in/", wrong))
    for page in pages:
        assert page.status_code in {200, 429}
        assert english_in(page.content.decode(), [owner.name, owner.get_short_name()]) == []


def test_an_invitation_is_in_russian_whatever_became_of_it(account, owner, stranger):
    invitation = Invitation.objects.create(
        account=account,
        email="nora@example.com",
        digest=invitations.digest_of(TOKEN),
        invited_by_name=owner.name,
        expires_at=timezone.now() + timedelta(days=3),
    )
    owner.language = "ru"
    owner.save()
    signed_in = sign_in(Client(), owner)
    pages = [signed_in.get("/invitations/open/"), stranger.get(f"/invitations/{TOKEN}/", follow=True)]
    pages += [stranger.post("/invitations/open/", {}), signed_in.get(f"/invitations/{TOKEN}/", follow=True)]
    for changed in ({"email": owner.email}, {"cancelled_at": timezone.now()}, {"accepted_at": timezone.now()}):
        Invitation.objects.filter(pk=invitation.pk).update(**changed)
        pages += [stranger.get("/invitations/open/"), signed_in.get("/invitations/open/")]
    typed = [account.name, owner.name, owner.get_short_name()]
    for page in pages:
        assert english_in(page.content.decode(), typed) == []


@pytest.mark.parametrize("status", [400, 403, 500])
def test_errors_are_told_in_russian(db, rf, status):
    from django.contrib.auth.models import AnonymousUser
    from django.core.exceptions import PermissionDenied
    from django.utils import translation

    from accounts.views import errors

    request = rf.get("/")
    request.user = AnonymousUser()
    with translation.override("ru"):
        response = {
            400: lambda: errors.bad_request(request, ValueError()),
            403: lambda: errors.permission_denied(request, PermissionDenied("")),
            500: lambda: errors.server_error(request),
        }[status]()
        expired = errors.csrf_failure(request)
    assert response.status_code == status
    assert english_in(response.content.decode()) == []
    assert english_in(expired.content.decode()) == []
