"""Codes of the authenticator app: whose counts, once, and what a wrong one costs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts import second_factor
from accounts.models import SpentConfirmation
from accounts.second_factor import AlreadyConfirmed, CodeRefused
from tests.factories import UserFactory
from tests.people import code_of, enrol


def verify(user, code, action="test", **more):
    return second_factor.verify(user, code, action=action, **more)


def wrong(device):
    """A code that the app shows neither now nor around now."""
    near = {code_of(device, steps=steps) for steps in range(-3, 4)}
    return next(
        code
        for code in ("000000", "111111", "222222", "333333", "444444", "555555", "666666", "777777")
        if code not in near
    )


def assert_refused(user, code, words):
    with pytest.raises(CodeRefused, match=words):
        verify(user, code)


def test_the_code_that_the_app_shows_now_verifies(clock, user, app):
    assert verify(user, code_of(app)) == app


@pytest.mark.parametrize("written", ["{0}", " {0} ", "{1} {2}", "{1}-{2}", "{1}\u00a0{2}", "{1}\t{2}"])
def test_a_code_may_be_written_in_groups(clock, user, app, written):
    code = code_of(app)
    assert verify(user, written.format(code, code[:3], code[3:])) == app


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_a_clock_half_a_minute_off_is_tolerated(clock, user, app, steps):
    assert verify(user, code_of(app, steps=steps)) == app


@pytest.mark.parametrize("steps", [-3, -2, 2, 3])
def test_a_clock_further_off_is_not(clock, user, app, steps):
    assert_refused(user, code_of(app, steps=steps), "not right")


@pytest.mark.parametrize(
    "code", ["", "12345", "1234567", "abcdef", "１２３４５６", "١٢٣٤٥٦", "12345\0", "-12345", "1e5", "0x1234", "\ud800"]
)
def test_what_is_no_code_is_refused_and_not_counted(clock, user, app, failures, code):
    assert_refused(user, code, "not right")
    assert failures(user) == (0, 0)


def test_a_code_works_once(clock, user, app):
    code = code_of(app)
    verify(user, code, action="key.issue")
    with pytest.raises(CodeRefused):
        verify(user, code, action="key.revoke")


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_a_code_just_used_asks_to_wait_and_is_not_counted(clock, user, app, failures, steps):
    code = code_of(app, steps=steps)
    verify(user, code)
    for _ in range(5):
        assert_refused(user, code, "Wait for the next one")
    assert failures(user) == (0, 0)


def test_after_a_code_the_next_one_works(clock, user, app):
    verify(user, code_of(app))
    clock.shift(timedelta(seconds=30))
    assert verify(user, code_of(app)) == app


def test_a_code_of_the_step_before_a_used_one_is_refused(clock, user, app):
    verify(user, code_of(app))
    assert_refused(user, code_of(app, steps=-1), "not right")


def test_a_device_s_drift_is_never_learnt(clock, user, app):
    """Or whoever overheard a code could, step by step, walk ahead of its owner (OTP_TOTP_SYNC)."""
    assert settings.OTP_TOTP_SYNC is False
    for _ in range(3):
        verify(user, code_of(app, steps=1))
        app.refresh_from_db()
        assert app.drift == 0
        clock.shift(timedelta(seconds=30))
    assert_refused(user, code_of(app, steps=2), "not right")


def test_an_app_that_was_never_confirmed_verifies_nothing(clock, user, failures):
    pending = second_factor.begin_enrolment(user)
    assert_refused(user, code_of(pending), "not right")
    pending.refresh_from_db()
    assert (pending.last_t, pending.throttling_failure_count) == (-1, 0)


def test_a_pending_app_beside_a_confirmed_one_verifies_nothing(clock, user, app):
    pending = second_factor.begin_enrolment(user)
    assert_refused(user, code_of(pending), "not right")
    app.throttle_reset()
    assert verify(user, code_of(app)) == app


def test_another_person_s_app_verifies_nothing(clock, user, app):
    theirs = enrol(UserFactory())
    assert_refused(user, code_of(theirs), "not right")
    theirs.refresh_from_db()
    assert (theirs.last_t, theirs.throttling_failure_count) == (-1, 0)


def test_a_person_without_a_second_factor_verifies_nothing(clock, user):
    assert_refused(user, "123456", "not right")
    assert not second_factor.has_second_factor(user)


def test_a_person_who_was_switched_off_verifies_nothing(clock, user, app):
    user.is_active = False
    user.save()
    assert_refused(user, code_of(app), "not right")


def test_a_wrong_code_is_counted_and_asks_for_a_wait(clock, user, app, failures):
    assert_refused(user, wrong(app), "not right")
    assert failures(user) == (1, 0)
    assert_refused(user, code_of(app), "Too many wrong codes. Try again in 2 seconds, or use a recovery code")
    clock.shift(timedelta(seconds=1))
    assert verify(user, code_of(app)) == app
    assert failures(user) == (0, 0)


def test_tries_during_the_wait_are_not_counted_and_do_not_lengthen_it(clock, user, app, failures):
    verify_wrong = wrong(app)
    assert_refused(user, verify_wrong, "not right")
    for _ in range(20):
        assert_refused(user, verify_wrong, "Too many")
    assert failures(user) == (1, 0)


def test_waits_double_up_to_256_seconds_and_no_further(clock, user, app):
    for expected in [1, 2, 4, 8, 16, 32, 64, 128, 256, 256, 256, 256]:
        assert_refused(user, wrong(app), "not right")
        clock.shift(timedelta(seconds=expected, microseconds=-1))
        assert_refused(user, wrong(app), "Too many wrong codes. Try again in 1 second,")
        clock.shift(timedelta(microseconds=1))
    assert verify(user, code_of(app)) == app


def test_a_confirmation_is_remembered_under_its_nonce(clock, user, app):
    verify(user, code_of(app), action="key.issue", nonce="form-1")
    assert SpentConfirmation.objects.get().action == "key.issue"
    for code in (code_of(app), wrong(app), "", code_of(app, steps=1)):
        for action in ("key.issue", "key.revoke"):
            with pytest.raises(AlreadyConfirmed):
                verify(user, code, action=action, nonce="form-1")


def test_a_repeated_form_spends_and_counts_nothing(clock, user, app, failures):
    verify(user, code_of(app), nonce="form-1")
    with pytest.raises(AlreadyConfirmed):
        verify(user, code_of(app, steps=1), nonce="form-1")
    with pytest.raises(AlreadyConfirmed):
        verify(user, wrong(app), nonce="form-1")
    assert failures(user) == (0, 0)
    assert verify(user, code_of(app, steps=1), nonce="form-2") == app


def test_a_refused_code_leaves_its_form_open(clock, user, app):
    with pytest.raises(CodeRefused):
        verify(user, wrong(app), nonce="form-1")
    clock.shift(timedelta(seconds=1))
    assert verify(user, code_of(app), nonce="form-1") == app


def test_one_person_s_nonce_is_nothing_to_another(clock, user, app):
    other = UserFactory()
    device = enrol(other)
    verify(user, code_of(app), nonce="form-1")
    assert verify(other, code_of(device), nonce="form-1") == device


def test_old_confirmations_are_forgotten_in_time(clock, user, app):
    verify(user, code_of(app), nonce="form-1")
    clock.shift(second_factor.CONFIRMATION_MEMORY + timedelta(seconds=1))
    verify(user, code_of(app), nonce="form-2")
    assert list(SpentConfirmation.objects.values_list("nonce", flat=True)) == ["form-2"]


@pytest.mark.django_db(transaction=True)
def test_a_wrong_code_stays_counted_though_the_caller_fails_afterwards(failures):
    user = UserFactory()
    app = enrol(user)

    def view():
        try:
            verify(user, wrong(app))
        except CodeRefused:
            with transaction.atomic():
                user.name = "never saved"
                user.save()
                raise ZeroDivisionError from None

    with pytest.raises(ZeroDivisionError):
        view()
    assert failures(user) == (1, 0)


@pytest.mark.django_db(transaction=True)
def test_codes_are_never_checked_inside_a_transaction_that_could_forgive_them():
    user = UserFactory()
    app = enrol(user)
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        verify(user, code_of(app))
    assert TOTPDevice.objects.get(pk=app.pk).last_t == -1
    assert not SpentConfirmation.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_spent_code_stays_spent_though_the_caller_fails_afterwards():
    user = UserFactory()
    app = enrol(user)
    code = code_of(app)
    verify(user, code, nonce="form-1")
    with pytest.raises(CodeRefused):
        verify(user, code, nonce="form-2")
    assert TOTPDevice.objects.get(pk=app.pk).last_used_at <= timezone.now()
