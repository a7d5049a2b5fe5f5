"""No page, filter, lookup, order, search, autocomplete or history of the staff admin tells a secret (TRAPS 31).

Every page that a role reaches is opened and held against every secret at rest, in every way of writing it down.
"""

from __future__ import annotations

import re
from base64 import b32encode, b64encode, urlsafe_b64encode
from html import unescape
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import pytest
from django.apps import apps
from django.contrib.sessions.models import Session
from django.db import models
from django.db.models.constants import LOOKUP_SEP
from django.test import RequestFactory
from django.urls import resolve
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts.models import Account, Invitation, RecoveryCode, SignedInSession, User, WrappedKey
from apikeys.models import ApiKeySecret, SigningKey
from tests.security.admin_world import admin_routes, model_admins

pytestmark = pytest.mark.django_db

#: Columns that nobody is shown, and by which nothing is found or sorted.
SECRET = {
    "accounts.Invitation.digest",
    "accounts.RecoveryCode.digest",
    "accounts.RecoveryCode.prefix",
    "accounts.SignedInSession.session_key",
    "accounts.SpentConfirmation.nonce",
    "accounts.User.password",
    "accounts.WrappedKey.wrapped",
    "apikeys.ApiKey.idempotency_key",
    "apikeys.ApiKeySecret.digest",
    "apikeys.ApiKeySecret.lookup",
    "apikeys.ApiKeySecret.selector",
    "apikeys.IdempotentRequest.digest",
    "apikeys.SigningKey.wrapped",
    "axes.AccessLog.session_hash",
    "django_otp_webauthn.WebAuthnAttestation.client_data_json",
    "django_otp_webauthn.WebAuthnAttestation.data",
    "django_otp_webauthn.WebAuthnCredential.credential_id",
    "django_otp_webauthn.WebAuthnCredential.credential_id_sha256",
    "django_otp_webauthn.WebAuthnCredential.public_key",
    "otp_totp.TOTPDevice.key",
    "sessions.Session.session_data",
    "sessions.Session.session_key",
}
#: Columns that sound like one and are none.
HARMLESS = {
    "accounts.AuditChain.digest",
    "accounts.AuditEvent.digest",
    "apikeys.ApiKey.key_id",
    "apikeys.RequestLog.key_id",
    "django_otp_webauthn.WebAuthnCredential.credential_type",
}
SOUNDS_SECRET = re.compile(r"password|digest|secret|wrapped|token|seed|nonce|session|selector|^key$|_key$|credential")
MOST_PAGES = 300


def label(field):
    return f"{field.model._meta.label}.{field.name}"


def columns():
    for model in apps.get_models():
        for field in model._meta.concrete_fields:
            if not field.is_relation and field.model is model:
                yield field


def test_every_column_that_could_be_a_secret_is_judged():
    """A new one fails until it stands in SECRET or in HARMLESS."""
    suspect = {
        label(field)
        for field in columns()
        if isinstance(field, models.BinaryField)
        or (isinstance(field, models.CharField | models.TextField) and SOUNDS_SECRET.search(field.name))
    }
    assert suspect - SECRET - HARMLESS == set()
    assert SECRET - {label(field) for field in columns()} == set(), "These columns are gone."


# Canaries


def written(value):
    """Every way in which a secret could stand on a page, in part or whole."""
    if isinstance(value, memoryview):
        value = bytes(value)
    if isinstance(value, bytes):
        encoded = [value.hex(), value.hex().upper()]
        encoded += [encode(value).decode().rstrip("=") for encode in (b32encode, b64encode, urlsafe_b64encode)]
        return {*encoded, repr(value)[2:-1], value.decode("latin-1")}
    return {str(value)}


@pytest.fixture(scope="module")
def canaries(world, django_db_blocker):
    """name -> the ways of writing one secret down."""
    secrets = {
        "the secret": world.secret,
        "the secret's end": world.secret[-20:],
        "the selector": ApiKeySecret.objects.get(key=world.key).selector[-6:],
        **{f"the digest of {row.pk}": row.digest for row in ApiKeySecret.objects.all()},
        **{f"signing key {row.pk}": row.wrapped for row in SigningKey.objects.all()},
        **{f"wrapped key {row.pk}": row.wrapped for row in WrappedKey.objects.all()},
        **{f"the password of {row}": row.password for row in User.objects.all()},
        **{f"the hash of {row}'s password": row.password.rpartition("$")[2] for row in User.objects.all()},
        **{f"the seed of {row.user}": row.bin_key for row in TOTPDevice.objects.all()},
        **{f"recovery digest {row.pk}": row.digest.rpartition("$")[2] for row in RecoveryCode.objects.all()},
        **{f"recovery code {n}": code for n, code in enumerate(world.recovery_codes)},
        **{f"session {n}": row.session_key for n, row in enumerate(Session.objects.all())},
        "the passkey": bytes(world.passkey.public_key),
        "the passkey's id": bytes(world.passkey.credential_id),
        "the invitation": bytes(Invitation.objects.get().digest),
    }
    assert len(secrets) > 40
    return {name: written(secret) for name, secret in secrets.items()}


@pytest.fixture(scope="module")
def world(world):
    """With an invitation, a recorded session and the browser's own cookie among the secrets."""
    Invitation.objects.create(
        account=Account.objects.get(),
        email="new@example.com",
        digest=bytes(range(100, 132)),
        invited_by_name="Olga",
        expires_at="2099-01-01T00:00Z",
    )
    owner = world.people["owner"]
    SignedInSession.objects.create(user=owner, session_key=world.clients["owner"].session.session_key)
    return world


def told(text, canaries, *, but=()):
    """Which canaries ``text`` holds."""
    return [name for name, ways in canaries.items() if name not in but and any(way in text for way in ways)]


# Every page


def links(html, page):
    """The admin's own addresses that a page links to, its forms' and its scripts' among them."""
    for link in re.findall(r'(?:href|data-ajax--url|action)="([^"]*)"', html):
        target = urlsplit(urljoin(page, unescape(link)))
        if target.path.startswith("/admin/") and not target.netloc and "logout" not in target.path:
            yield target.path + (f"?{target.query}" if target.query else "")


def kind(url):
    """What makes a page another one: its route, and the parameter that it is narrowed or sorted by."""
    target = urlsplit(url)
    return resolve(target.path).route, *sorted(name for name, _ in parse_qsl(target.query))


@pytest.mark.parametrize("role", ["support", "superuser"])
def test_no_page_that_a_role_reaches_holds_a_secret(role, world, canaries):
    client = world.clients[role]
    waiting = [world.address(route) for route in admin_routes() if route not in ("login/", "logout/")]
    opened = set()
    while waiting and len(opened) < MOST_PAGES:
        url = waiting.pop(0)
        # A list links to itself by every pair of its filters: one at a time is what a page can tell.
        if kind(url) in opened or len(kind(url)) > 2:
            continue
        opened.add(kind(url))
        answer = client.get(url)
        assert answer.status_code < 500, url
        html = answer.content.decode()
        assert told(unescape(html) + repr(answer.headers), canaries) == [], url
        waiting += links(html, url)
    assert not waiting, "There is more to see: raise MOST_PAGES, or make kind() coarser."
    assert len(opened) > 80


def test_the_canaries_would_be_found(world, canaries):
    assert told(f"… {bytes(ApiKeySecret.objects.first().digest).hex()} …", canaries)
    assert told(f"… {b32encode(TOTPDevice.objects.first().bin_key).decode()} …", canaries)
    assert told(User.objects.get(name="Olga").password, canaries)


# Filters and lookups


def paths(model, depth=3, seen=()):
    """Every path of lookups from ``model`` to a column, through up to ``depth`` relations, with the column."""
    for field in model._meta.get_fields(include_hidden=True):
        name = field.name
        if name.endswith("+"):
            continue
        if field.is_relation:
            if depth and field.related_model and field.related_model not in seen:
                for path, column in paths(field.related_model, depth - 1, (*seen, model)):
                    yield f"{name}{LOOKUP_SEP}{path}", column
        elif hasattr(field, "column"):
            yield name, field


def request_of(world, role):
    request = RequestFactory().get("/admin/")
    request.user = world.people[role]
    request.user.otp_device = TOTPDevice.objects.get(user=request.user)
    request.user.is_verified = lambda: True
    return request


def test_no_lookup_passes_but_a_filter_of_the_list_on_a_column_that_is_no_secret(world):
    request, tried = request_of(world, "superuser"), 0
    for section, model_admin in model_admins().items():
        for path, column in paths(model_admin.model):
            for lookup in ("", "__exact", "__startswith", "__contains", "__regex", "__gt", "__isnull", "__in"):
                tried += 1
                if model_admin.lookup_allowed(path + lookup, "a", request):
                    assert label(column) not in SECRET, (section, path)
                    assert LOOKUP_SEP not in path, (section, path)
                    assert lookup in ("", "__exact", "__isnull", "__in"), (section, path)
    assert tried > 5000


@pytest.mark.parametrize("more", ["", "&e=1", "&_facets=True", "&_popup=1", "&all="])
def test_a_list_narrowed_by_a_secret_is_refused(world, more):
    client = world.clients["support"]
    for section, query in [
        ("apikeys/activekey", "secrets__selector__startswith=a"),
        ("apikeys/activekey", "secrets__digest__startswith=a"),
        ("apikeys/activekey", "account__memberships__user__password__startswith=argon2"),
        ("apikeys/activekey", "idempotency_key__startswith=form"),
        ("apikeys/revokedkey", "secrets__signing_key__wrapped__gt=a"),
        ("accounts/account", "signing_keys__wrapped__startswith=g"),
        ("accounts/user", "password__startswith=argon2"),
        ("accounts/user", "totpdevice__key__startswith=a"),
        ("accounts/user", "recoverydevice__codes__digest__contains=a"),
        ("accounts/user", "signed_in_sessions__session_key__startswith=a"),
        ("accounts/user", "webauthncredential__public_key__startswith=a"),
        ("django_otp_webauthn/webauthncredential", "credential_id__startswith=a"),
        ("django_otp_webauthn/webauthncredential", "key__startswith=a"),
        ("accounts/auditevent", "actor__password__startswith=argon2"),
        ("entities/hub", "account__invitations__digest__startswith=a"),
    ]:
        assert client.get(f"/admin/{section}/?{query}{more}").status_code == 400, (section, query)


def test_rows_are_named_by_their_primary_key_alone(world):
    """``_to_field`` makes Django look a row up by another column."""
    request = request_of(world, "superuser")
    for model_admin in model_admins().values():
        opts = model_admin.opts
        allowed = {field.name for field in opts.concrete_fields if model_admin.to_field_allowed(request, field.name)}
        assert allowed == {opts.pk.name}, opts.label
    for path in ("accounts/user/?_to_field=password", f"accounts/user/{'a' * 20}/change/?_to_field=password"):
        assert world.clients["support"].get(f"/admin/{path}").status_code == 400


# Search and order


def test_no_list_is_searched_or_sorted_by_a_secret(world):
    request = request_of(world, "superuser")
    for section, model_admin in model_admins().items():
        for path in model_admin.get_search_fields(request):
            assert column_of(model_admin.model, path.lstrip("^=@")) not in SECRET, (section, path)
        changelist = model_admin.get_changelist_instance(request)
        for column in model_admin.get_list_display(request):
            order = changelist.get_ordering_field(column)
            if isinstance(order, str) and order not in changelist.root_queryset.query.annotations:
                assert column_of(model_admin.model, order.lstrip("-")) not in SECRET, (section, column)


def column_of(model, path):
    """The label of the column at the end of a path of lookups."""
    *through, last = path.split(LOOKUP_SEP)
    for name in through:
        model = model._meta.get_field(name).related_model
    return label(model._meta.pk if last == "pk" else model._meta.get_field(last))


def test_searching_for_a_secret_finds_nothing(world):
    owner, secret = world.people["owner"], ApiKeySecret.objects.get(key=world.key)
    for section, wanted in [
        ("accounts/user", owner.password[:20]),
        ("accounts/user", TOTPDevice.objects.get(user=owner).key[:8]),
        ("accounts/user", world.clients["owner"].session.session_key),
        ("django_otp_webauthn/webauthncredential", bytes(world.passkey.credential_id).hex()[:8]),
        ("apikeys/activekey", secret.selector[:8]),
        ("apikeys/activekey", bytes(secret.digest).hex()[:8]),
        ("accounts/auditevent", secret.selector[:8]),
    ]:
        answer = world.clients["support"].get(f"/admin/{section}/?{urlencode({'q': wanted})}")
        assert answer.status_code == 200
        assert not answer.context["cl"].result_list, section


@pytest.mark.parametrize("order", ["-1", "99", "password", "1.-2.x", "%00", "9" * 400])
def test_an_order_is_the_number_of_a_column(world, order):
    answer = world.clients["support"].get(f"/admin/accounts/user/?o={order}")
    assert answer.status_code == 200
    assert "password" not in str(answer.context["cl"].queryset.query.order_by)


# Autocomplete


def test_autocomplete_tells_no_secret_whatever_it_is_asked(world, canaries):
    client, answered = world.clients["support"], 0
    relations = [
        field for model in apps.get_models() for field in model._meta.get_fields(True, True) if field.is_relation
    ]
    assert len(relations) > 60
    for field in relations:
        asked = {"app_label": field.model._meta.app_label, "model_name": field.model._meta.model_name}
        query = urlencode({**asked, "field_name": field.name})
        answer = client.get(f"/admin/autocomplete/?{query}")
        assert answer.status_code in (200, 403), query
        assert told(answer.content.decode(), canaries) == [], query
        if answer.status_code == 200:
            answered += 1
            assert client.get(f"/admin/autocomplete/?{query}&term=$argon2").json()["results"] == [], query
    assert answered
