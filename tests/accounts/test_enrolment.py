"""Setting the app up and replacing it: the first code decides, and only for a while."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts import second_factor
from accounts.audit import Actor
from accounts.models import AuditEvent
from accounts.second_factor import CodeRefused
from tests.factories import UserFactory
from tests.people import code_of, enrol

pytestmark = pytest.mark.usefixtures("clock")


def confirm(user, code):
    actor = Actor(name=user.name, via="web", user=user)
    return second_factor.confirm_enrolment(user, code, actor=actor)


def test_the_first_code_turns_the_app_on(user):
    pending = second_factor.begin_enrolment(user)
    assert not second_factor.has_second_factor(user)
    assert confirm(user, code_of(pending)) == pending
    assert second_factor.confirmed_app(user) == pending
    assert AuditEvent.objects.get().action == "second_factor.enrolled"


def test_the_first_code_is_spent_by_it(user):
    pending = second_factor.begin_enrolment(user)
    code = code_of(pending)
    confirm(user, code)
    with pytest.raises(CodeRefused, match="Wait for the next one"):
        second_factor.verify(user, code, action="sign_in")


def test_a_wrong_code_leaves_it_pending_and_asks_nobody_to_wait(user):
    """Whoever types it has the seed on the screen: there is nothing to guess."""
    pending = second_factor.begin_enrolment(user)
    for _ in range(3):
        with pytest.raises(CodeRefused, match="not right"):
            confirm(user, code_of(pending, steps=40))
        pending.refresh_from_db()
        assert not pending.confirmed
    assert confirm(user, code_of(pending))


@pytest.mark.parametrize("code", ["", "abc", "1234567", "١٢٣٤٥٦", "2345-6789-abcd-efgh"])
def test_what_is_no_code_leaves_it_pending(user, code):
    pending = second_factor.begin_enrolment(user)
    with pytest.raises(CodeRefused):
        confirm(user, code)
    pending.refresh_from_db()
    assert not pending.confirmed


def test_a_set_up_runs_out_of_time(user, clock):
    pending = second_factor.begin_enrolment(user)
    clock.shift(second_factor.ENROLMENT_LIFETIME)
    assert second_factor.pending_enrolment(user) == pending
    clock.shift(timedelta(microseconds=1))
    assert second_factor.pending_enrolment(user) is None
    with pytest.raises(CodeRefused, match="run out of time"):
        confirm(user, code_of(pending))
    assert not second_factor.has_second_factor(user)


def test_beginning_again_forgets_the_seed_before(user):
    first = second_factor.begin_enrolment(user)
    second = second_factor.begin_enrolment(user)
    assert first.key != second.key
    with pytest.raises(CodeRefused):
        confirm(user, code_of(first))
    assert TOTPDevice.objects.filter(user=user).count() == 1


def test_seeds_have_160_bits_of_their_own(db):
    seeds = [second_factor.begin_enrolment(UserFactory()).bin_key for _ in range(5)]
    assert {len(seed) for seed in seeds} == {20}
    assert len(set(seeds)) == 5


def test_the_old_app_works_until_the_new_one_is_confirmed_and_no_longer(user, clock):
    old = enrol(user)
    new = second_factor.begin_enrolment(user)
    assert second_factor.verify(user, code_of(old), action="sign_in") == old
    clock.shift(timedelta(seconds=30))
    confirm(user, code_of(new))
    with pytest.raises(CodeRefused):
        second_factor.verify(user, code_of(old), action="sign_in")
    assert list(TOTPDevice.objects.filter(user=user)) == [new]
    assert AuditEvent.objects.get().action == "second_factor.replaced"


def test_another_person_s_pending_app_is_not_confirmed_by_mine(user):
    theirs = second_factor.begin_enrolment(UserFactory())
    second_factor.begin_enrolment(user)
    with pytest.raises(CodeRefused):
        confirm(user, code_of(theirs))
    theirs.refresh_from_db()
    assert not theirs.confirmed


def test_the_seed_is_written_as_apps_read_it(user):
    device = second_factor.begin_enrolment(user)
    text = second_factor.base32_secret(device)
    assert f"secret={text}" in device.config_url
    assert "issuer=Pithead" in device.config_url
