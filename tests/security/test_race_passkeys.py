"""One grant of a passkey confirms once, and the last factor stays, however many click at the same moment."""

from __future__ import annotations

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django_otp_webauthn.models import WebAuthnCredential

from accounts import audit, passkeys, second_factor, step_up
from accounts.models import SpentConfirmation
from accounts.second_factor import AlreadyConfirmed, CodeRefused, LastFactor
from accounts.step_up import StepUp
from tests.factories import UserFactory
from tests.people import actor_for
from tests.security.racing import race
from tests.soft_authenticator import ORIGIN, SoftAuthenticator

pytestmark = [pytest.mark.race, pytest.mark.django_db(transaction=True)]
COMMAND = audit.Actor.for_command("tests")
ACTIONS = ["key.issue", "key.revoke", "key.enable", "key.regenerate", "sign_in"]


@pytest.fixture(autouse=True)
def origin(settings):
    settings.OTP_WEBAUTHN_RP_ID = "localhost"
    settings.OTP_WEBAUTHN_ALLOWED_ORIGINS = [ORIGIN]


@pytest.fixture
def user():
    return UserFactory()


def registered(user):
    authenticator = SoftAuthenticator()
    options, state = passkeys.begin_registration(user)
    return passkeys.register(user, state, authenticator.create(options), name="Laptop", actor=COMMAND), authenticator


def session_with_grant(user, passkey):
    session = SessionStore()
    with step_up.within(session):
        step_up.grant(user, passkey, action="key.issue", nonce="form-1")
    session.save()
    return session.session_key


def spend(key, user, action="key.issue", nonce="form-1"):
    def run():
        with step_up.within(SessionStore(key)):  # each request reads the session for itself
            return step_up.confirm(user, step_up.PASSKEY, action=action, nonce=nonce)

    return run


EXPECTED = (StepUp, WebAuthnCredential, CodeRefused, AlreadyConfirmed, LastFactor, passkeys.PasskeyRefused, type(None))


def count(results, kind):
    """How many of the results are of ``kind``; anything unexpected is raised."""
    for result in results:
        if not isinstance(result, EXPECTED):
            raise result
    return sum(isinstance(result, kind) for result in results)


def test_twenty_parallel_uses_of_one_grant_are_one_success(user):
    passkey, _ = registered(user)
    key = session_with_grant(user, passkey)
    results = race([spend(key, user) for _ in range(20)])
    assert (count(results, StepUp), count(results, AlreadyConfirmed)) == (1, 19)
    assert SpentConfirmation.objects.filter(nonce="form-1").count() == 1


def test_twenty_parallel_uses_over_actions_and_forms_are_one_success(user):
    passkey, _ = registered(user)
    key = session_with_grant(user, passkey)
    runs = [spend(key, user, ACTIONS[n % 5], f"other-{n}") for n in range(19)]
    results = race([*runs, spend(key, user)])
    assert (count(results, StepUp), count(results, CodeRefused)) == (1, 19)


def test_one_answer_sent_twenty_times_proves_once(user):
    _, authenticator = registered(user)
    options, state = passkeys.begin(user, action="key.issue", nonce="form-1")
    answer = authenticator.get(options)
    actor = audit.Actor(name=user.name, via="web", user=user)
    results = race([lambda: passkeys.prove(user, state, answer, actor=actor) for _ in range(20)])
    assert count(results, passkeys.PasskeyRefused) == 19
    assert sum(getattr(result, "user_id", None) == user.pk for result in results) == 1


def test_two_passkeys_removed_at_once_leave_one(user):
    pair = [registered(user)[0] for _ in range(2)]

    def remove(passkey):
        return lambda: second_factor.remove_passkey(user, passkey, actor=actor_for(user, "passkey.remove"))

    results = race([remove(passkey) for passkey in pair])
    assert count(results, LastFactor) == 1
    assert passkeys.passkeys_of(user).count() == 1
