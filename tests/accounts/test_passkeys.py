"""Passkeys on the server: what they prove, for whom, for what, and how often."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.core import mail

from accounts import audit, passkeys, second_factor, step_up
from accounts.models import AuditEvent, SpentConfirmation
from accounts.second_factor import AlreadyConfirmed, CodeRefused
from tests.accounts.passkeys import COMMAND, begun, confirm, granted, prove, registered
from tests.factories import UserFactory
from tests.people import NOW, actor_for, enrol
from tests.soft_authenticator import SoftAuthenticator

pytestmark = pytest.mark.usefixtures("clock", "local_passkeys")


# Registration


def test_a_registered_passkey_is_a_second_factor_with_an_audit_row_and_a_mail(user, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        passkey, _ = registered(user)
    assert second_factor.has_second_factor(user)
    assert list(passkeys.passkeys_of(user)) == [passkey]
    assert AuditEvent.objects.get(action="passkey.added").data == {"name": "Laptop"}
    assert "“Laptop”" in mail.outbox[0].body


def test_registration_asks_for_user_verification_and_takes_nothing_less(user):
    options, state = passkeys.begin_registration(user)
    assert options["authenticatorSelection"]["userVerification"] == "required"
    with pytest.raises(passkeys.PasskeyRefused):
        passkeys.register(user, state, SoftAuthenticator(verifies=False).create(options), name="x", actor=COMMAND)
    assert not second_factor.has_second_factor(user)


def test_another_site_s_page_registers_nothing(user):
    options, state = passkeys.begin_registration(user)
    answer = SoftAuthenticator(origin="https://evil.example").create(options)
    with pytest.raises(passkeys.PasskeyRefused):
        passkeys.register(user, state, answer, name="x", actor=COMMAND)


def test_a_challenge_of_somebody_else_or_of_six_minutes_ago_registers_nothing(user, clock):
    options, state = passkeys.begin_registration(user)
    answer = SoftAuthenticator().create(options)
    with pytest.raises(passkeys.PasskeyRefused, match="too long"):
        passkeys.register(UserFactory(), state, answer, name="x", actor=COMMAND)
    clock.shift(timedelta(minutes=6))
    with pytest.raises(passkeys.PasskeyRefused, match="too long"):
        passkeys.register(user, state, answer, name="x", actor=COMMAND)


def test_one_credential_belongs_to_one_person(user):
    _, authenticator = registered(user)
    other = UserFactory()
    options, state = passkeys.begin_registration(other)
    with pytest.raises(passkeys.PasskeyRefused):
        passkeys.register(other, state, authenticator.create(options), name="stolen", actor=COMMAND)
    assert not passkeys.passkeys_of(other).exists()


GARBAGE = [
    "",
    "x",
    "null",
    "[]",
    "{}",
    '{"id": 1}',
    '{"id":"AA","rawId":"AA","type":"public-key","response":{}}',
    "9" * 30_000,
]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_is_refused_in_both_ceremonies(user, garbage):
    registered(user)
    with pytest.raises(passkeys.PasskeyRefused):
        passkeys.register(user, passkeys.begin_registration(user)[1], garbage, name="x", actor=COMMAND)
    with pytest.raises(passkeys.PasskeyRefused):
        prove(user, begun(user)[1], garbage)


# Proof


def test_a_passkey_proves_itself_and_remembers_when(user):
    passkey, authenticator = registered(user)
    options, state = begun(user)
    assert options["userVerification"] == "required"
    assert prove(user, state, authenticator.get(options)) == passkey
    passkey.refresh_from_db()
    assert (passkey.last_used_at, passkey.sign_count) == (NOW, 1)


def test_one_answer_proves_once(user):
    _, authenticator = registered(user)
    options, state = begun(user)
    answer = authenticator.get(options)
    prove(user, state, answer)
    with pytest.raises(passkeys.PasskeyRefused):
        prove(user, state, answer)


@pytest.mark.parametrize("wrong", [{"verifies": False}, {"origin": "https://evil.example"}])
def test_an_unrecognised_finger_and_another_site_prove_nothing(user, wrong):
    _, authenticator = registered(user)
    for name, value in wrong.items():
        setattr(authenticator, name, value)
    options, state = begun(user)
    with pytest.raises(passkeys.PasskeyRefused):
        prove(user, state, authenticator.get(options))


def test_a_passkey_of_somebody_else_proves_nothing(user):
    registered(user)
    _, foreign = registered(UserFactory())
    options, state = begun(user)
    with pytest.raises(passkeys.PasskeyRefused):
        prove(user, state, foreign.get(options))


def test_a_copied_authenticator_that_lags_behind_is_refused(user):
    _, authenticator = registered(user)
    authenticator.count = 10
    options, state = begun(user)
    prove(user, state, authenticator.get(options))
    authenticator.count = 3
    options, state = begun(user)
    with pytest.raises(passkeys.PasskeyRefused):
        prove(user, state, authenticator.get(options))


def test_ten_failures_in_five_minutes_are_enough(user, clock):
    _, authenticator = registered(user)
    for _n in range(passkeys.MAX_FAILURES):
        with pytest.raises(passkeys.PasskeyRefused, match="did not work"):
            prove(user, begun(user)[1], "{}")
    assert AuditEvent.objects.filter(action="passkey.refused").count() == passkeys.MAX_FAILURES
    options, state = begun(user)
    with pytest.raises(passkeys.PasskeyRefused, match="Too many failed attempts"):
        prove(user, state, authenticator.get(options))
    clock.shift(timedelta(minutes=5, seconds=1))
    options, state = begun(user)
    prove(user, state, authenticator.get(options))


# The grant


def test_a_grant_confirms_its_form_once(user):
    passkey, _ = registered(user)
    session = granted(user, passkey)
    assert confirm(session, user).covers(user.pk, "key.issue")
    with pytest.raises(AlreadyConfirmed):
        confirm(session, user)
    assert step_up.GRANT not in session


@pytest.mark.parametrize("other", [{"action": "key.revoke"}, {"nonce": "form-2"}, {"nonce": ""}])
def test_a_grant_confirms_no_other_action_and_no_other_form(user, other):
    passkey, _ = registered(user)
    session = granted(user, passkey)
    with pytest.raises(CodeRefused):
        confirm(session, user, **other)
    assert not SpentConfirmation.objects.exists()
    confirm(session, user)


def test_a_grant_confirms_nothing_in_another_session_and_for_nobody_else(user):
    passkey, _ = registered(user)
    session = granted(user, passkey)
    with pytest.raises(CodeRefused):
        confirm(SessionStore(), user)
    with pytest.raises(CodeRefused):
        step_up.confirm(user, step_up.PASSKEY, action="key.issue", nonce="form-1")
    with pytest.raises(CodeRefused):
        confirm(session, UserFactory())


def test_a_grant_lasts_a_minute(user, clock):
    passkey, _ = registered(user)
    session = granted(user, passkey)
    clock.shift(step_up.LIFETIME + timedelta(seconds=1))
    with pytest.raises(CodeRefused):
        confirm(session, user)


def test_a_grant_of_a_removed_passkey_or_a_switched_off_person_confirms_nothing(user):
    passkey, _ = registered(user)
    session = granted(user, passkey)
    user.is_active = False
    user.save()
    with pytest.raises(CodeRefused):
        confirm(session, user)
    user.is_active = True
    user.save()
    passkey.delete()
    with pytest.raises(CodeRefused):
        confirm(session, user)


# Removal


def test_the_last_factor_cannot_be_removed(user):
    passkey, _ = registered(user)
    with pytest.raises(second_factor.LastFactor):
        second_factor.remove_passkey(user, passkey, actor=actor_for(user, "passkey.remove"))
    another, _ = registered(user, "Phone")
    second_factor.remove_passkey(user, passkey, actor=actor_for(user, "passkey.remove"))
    with pytest.raises(second_factor.LastFactor):
        second_factor.remove_passkey(user, another, actor=actor_for(user, "passkey.remove"))
    enrol(user)
    second_factor.remove_passkey(user, another, actor=actor_for(user, "passkey.remove"))
    with pytest.raises(second_factor.LastFactor):
        second_factor.remove_app(user, actor=actor_for(user, "second_factor.remove"))


def test_removing_a_factor_takes_a_step_up_for_just_that(user):
    passkey, _ = registered(user)
    enrol(user)
    for proof in (None, actor_for(user, "key.issue").proof):
        actor = audit.Actor(name="x", via="web", user=user, proof=proof)
        with pytest.raises(audit.StepUpMissing):
            second_factor.remove_passkey(user, passkey, actor=actor)
        with pytest.raises(audit.StepUpMissing):
            second_factor.remove_app(user, actor=actor)
