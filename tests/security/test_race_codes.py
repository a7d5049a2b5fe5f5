"""One code is spent once, however many want it at the same moment (TRAPS 8 and 9)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import time_machine

from accounts import second_factor, step_up
from accounts.audit import Actor
from accounts.models import AuditEvent, RecoveryCode, SpentConfirmation
from accounts.second_factor import AlreadyConfirmed, CodeRefused
from accounts.step_up import StepUp
from tests.factories import UserFactory
from tests.people import code_of, enrol
from tests.security.racing import race

pytestmark = [pytest.mark.race, pytest.mark.django_db(transaction=True)]

ACTIONS = ["key.issue", "key.revoke", "key.enable", "key.regenerate", "sign_in"]


@pytest.fixture(autouse=True)
def clock():
    """One half-minute for everybody, so that the code doesn't change under the race."""
    with time_machine.travel(datetime(2026, 11, 21, 12, 0, 10, tzinfo=UTC), tick=False) as clock:
        yield clock


@pytest.fixture
def user():
    user = UserFactory()
    enrol(user)
    return user


def confirm(user, code, number, nonce=None):
    return lambda: step_up.confirm(user, code, action=ACTIONS[number % len(ACTIONS)], nonce=nonce or f"form-{number}")


def sort(results):
    """(successes, refusals, repeats); anything else is raised."""
    kinds = {StepUp: [], CodeRefused: [], AlreadyConfirmed: []}
    for result in results:
        if type(result) not in kinds:
            raise result
        kinds[type(result)].append(result)
    return tuple(kinds.values())


def test_twenty_parallel_uses_of_one_code_over_all_actions_are_one_success(user):
    app = second_factor.confirmed_app(user)
    code = code_of(app)
    proofs, refusals, _ = sort(race([confirm(user, code, number) for number in range(20)]))
    assert (len(proofs), len(refusals)) == (1, 19)
    assert SpentConfirmation.objects.count() == 1
    assert all("Wait for the next one" in str(refusal) for refusal in refusals)
    app.refresh_from_db()
    assert app.throttling_failure_count == 0


def test_twenty_parallel_posts_of_one_form_are_one_success_and_nineteen_repeats(user):
    code = code_of(second_factor.confirmed_app(user))
    proofs, refusals, repeats = sort(race([confirm(user, code, number, "form-1") for number in range(20)]))
    assert (len(proofs), len(refusals), len(repeats)) == (1, 0, 19)


def test_twenty_parallel_uses_of_one_recovery_code_are_one_success(user):
    codes = second_factor.make_recovery_codes(user, actor=Actor.for_command("tests"))
    proofs, refusals, _ = sort(race([confirm(user, codes[0], number) for number in range(20)]))
    assert (len(proofs), len(refusals)) == (1, 19)
    assert RecoveryCode.objects.filter(used_at=None).count() == 9
    assert AuditEvent.objects.filter(action="recovery_code.used").count() == 1


def test_a_code_and_its_neighbour_in_parallel_are_at_most_one_success_each(user):
    app = second_factor.confirmed_app(user)
    codes = [code_of(app, steps=steps) for steps in (-1, 0, 1)]
    results = race([confirm(user, codes[number % 3], number) for number in range(18)])
    proofs, _, _ = sort(results)
    assert 1 <= len(proofs) <= 3
    winners = [codes[number % 3] for number, result in enumerate(results) if isinstance(result, StepUp)]
    assert len(set(winners)) == len(winners)


def test_ten_parallel_guesses_are_one_try(user):
    """The first is counted, and the wait that it brings stops the others."""
    app = second_factor.confirmed_app(user)
    near = {code_of(app, steps=steps) for steps in (-1, 0, 1)}
    guesses = [f"{number:06}" for number in range(111111, 111131) if f"{number:06}" not in near][:10]
    proofs, refusals, _ = sort(race([confirm(user, guess, number) for number, guess in enumerate(guesses)]))
    assert (len(proofs), len(refusals)) == (0, 10)
    assert sum("Too many wrong codes" in str(refusal) for refusal in refusals) == 9
    app.refresh_from_db()
    assert app.throttling_failure_count == 1


def test_two_people_are_not_in_each_other_s_way(user):
    other = UserFactory()
    enrol(other)
    people = [user, other]
    codes = [code_of(second_factor.confirmed_app(person)) for person in people]
    results = race([confirm(people[number % 2], codes[number % 2], number) for number in range(20)])
    proofs, refusals, _ = sort(results)
    assert sorted(proof.user_id for proof in proofs) == sorted(person.pk for person in people)
    assert len(refusals) == 18
