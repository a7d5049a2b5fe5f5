"""Recovery codes: strong, kept under Argon2id, good for once, and counted apart from the app."""

from __future__ import annotations

import math
import re
from datetime import timedelta

import pytest

from accounts import second_factor
from accounts.models import AuditEvent, RecoveryCode, RecoveryDevice
from accounts.second_factor import CodeRefused
from tests.factories import PASSWORD, UserFactory
from tests.people import code_of, enrol, fresh_code

REFUSAL = "not right, or was used before"


@pytest.fixture
def user(db):
    user = UserFactory()
    enrol(user)
    return user


def verify(user, code):
    return second_factor.verify(user, code, action="key.issue")


def mistyped(code):
    return code[:-1] + ("2" if code[-1] != "2" else "3")


def test_ten_codes_of_at_least_64_bits_beside_their_row_s_prefix(user, recovery_codes):
    codes = recovery_codes(user)
    assert len(set(codes)) == 10
    assert all(re.fullmatch(r"[2-9a-z]{4}(-[2-9a-z]{4}){3}", code) for code in codes)
    secret_length = second_factor.RECOVERY_LENGTH - RecoveryCode.PREFIX_LENGTH
    assert secret_length * math.log2(len(set(second_factor.RECOVERY_ALPHABET))) >= 64
    assert not set("01ilou") & set("".join(codes))


def test_no_code_is_like_another_person_s_or_an_earlier_one(user, recovery_codes):
    everything = recovery_codes(user) + recovery_codes(user) + recovery_codes(UserFactory())
    assert len({code[3:] for code in everything}) == 30


def test_only_argon2id_digests_are_kept(user, recovery_codes):
    codes = recovery_codes(user)
    rows = list(RecoveryCode.objects.values("prefix", "digest"))
    assert len(rows) == 10
    assert all(row["digest"].startswith("argon2$argon2id$") for row in rows)
    assert len({row["digest"].split("$")[-2] for row in rows}) == 10, "salts are shared"
    stored = repr(rows)
    for code in codes:
        plain = code.replace("-", "")
        assert plain not in stored
        assert plain[2:] not in stored
        assert code not in stored


@pytest.mark.parametrize(
    "write", [str, str.upper, lambda code: code.replace("-", ""), lambda code: f" {code.replace('-', ' ')} "]
)
def test_a_code_works_however_it_is_typed(user, recovery_codes, write):
    code = recovery_codes(user)[3]
    assert isinstance(verify(user, write(code)), RecoveryDevice)


def test_each_code_works_once(clock, user, recovery_codes):
    codes = recovery_codes(user)
    for used, code in enumerate(reversed(codes), start=1):
        assert verify(user, code).codes_left() == 10 - used
    for code in codes:
        with pytest.raises(CodeRefused, match=REFUSAL):
            verify(user, code)
        clock.shift(second_factor.MAX_DELAY)


def test_the_use_of_a_code_is_on_record(user, recovery_codes):
    verify(user, recovery_codes(user)[0])
    event = AuditEvent.objects.get(action="recovery_code.used")
    assert (event.actor, event.target_id) == (user, str(user.pk))
    assert event.data == {"action_name": "key.issue", "left": 9}


def test_the_making_of_codes_is_on_record_without_them(user, recovery_codes):
    codes = recovery_codes(user)
    event = AuditEvent.objects.get(action="recovery_codes.made")
    assert event.data == {"count": 10}
    assert not any(code in repr(vars(event)) for code in codes)


def test_new_codes_replace_the_old(user, recovery_codes):
    old = recovery_codes(user)
    new = recovery_codes(user)
    with pytest.raises(CodeRefused):
        verify(user, old[0])
    RecoveryDevice.objects.get().throttle_reset()
    assert verify(user, new[0])
    assert RecoveryDevice.objects.count() == 1


def test_another_person_s_code_opens_nothing_and_stays_good(user, recovery_codes):
    other = UserFactory()
    recovery_codes(user)
    theirs = recovery_codes(other)[0]
    with pytest.raises(CodeRefused, match=REFUSAL):
        verify(user, theirs)
    assert verify(other, theirs)


def test_a_person_without_codes_is_told_the_same(user):
    with pytest.raises(CodeRefused, match=REFUSAL):
        verify(user, "2345-6789-abcd-efgh")


def test_wrong_codes_are_counted_and_wait_longer_each_time(clock, user, recovery_codes, failures):
    code = recovery_codes(user)[0]
    for delay in [1, 2, 4, 8, 16, 32, 64, 128, 256, 256, 256]:
        with pytest.raises(CodeRefused, match=REFUSAL):
            verify(user, mistyped(code))
        clock.shift(timedelta(seconds=delay, microseconds=-1))
        with pytest.raises(CodeRefused, match="Too many wrong codes"):
            verify(user, code)
        clock.shift(timedelta(microseconds=1))
    assert verify(user, code)
    assert failures(user) == (0, 0)


def test_an_unknown_prefix_is_counted_like_a_wrong_secret(user, recovery_codes, failures):
    used = {code[:2] for code in recovery_codes(user)}
    prefix = next(a + b for a in "23456789" for b in "23456789" if a + b not in used)
    with pytest.raises(CodeRefused, match=REFUSAL):
        verify(user, f"{prefix}45-6789-abcd-efgh")
    assert failures(user) == (0, 1)


def test_a_locked_app_leaves_the_recovery_codes_open(clock, user, recovery_codes, failures):
    codes = recovery_codes(user)
    app = second_factor.confirmed_app(user)
    with pytest.raises(CodeRefused):
        verify(user, code_of(app, steps=50))
    assert failures(user) == (1, 0)
    with pytest.raises(CodeRefused, match="use a recovery code"):
        verify(user, code_of(app))
    assert verify(user, codes[0])


def test_locked_recovery_codes_leave_the_app_open(clock, user, recovery_codes, failures):
    code = recovery_codes(user)[0]
    with pytest.raises(CodeRefused):
        verify(user, mistyped(code))
    assert failures(user) == (0, 1)
    app = second_factor.confirmed_app(user)
    assert verify(user, code_of(app)) == app


def test_who_signs_in_with_one_is_told_how_to_go_on_and_who_has_the_app_is_not(client, account, user, recovery_codes):
    [code, *_] = recovery_codes(user)
    for typed, told in ((code, True), (None, False)):
        client.post("/sign-in/", {"email": user.email, "password": PASSWORD})
        page = client.post("/sign-in/code/", {"code": typed or fresh_code(user)}, follow=True)
        assert ("signed in with a recovery code" in page.content.decode()) is told
        client.post("/sign-out/")
