"""Step-up: a proof for one action by one person for a minute, and the form that asks for it last."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django import forms
from django.http import QueryDict

from accounts import second_factor, step_up
from accounts.forms import StepUpForm
from accounts.models import SpentConfirmation
from accounts.second_factor import AlreadyConfirmed, CodeRefused
from tests.people import code_of

pytestmark = pytest.mark.usefixtures("clock")


class RenameForm(StepUpForm):
    step_up_action = "key.rename"
    name = forms.CharField(max_length=10)
    size = forms.IntegerField(required=False)

    def clean(self):
        data = super().clean()
        if data.get("size") == 13:
            raise forms.ValidationError("Not thirteen.")
        return data


def post(user, **data):
    query = QueryDict(mutable=True)
    query.update({"name": "fine", "nonce": "form-1", **data})
    return RenameForm(query, user=user)


def is_unspent(app):
    app.refresh_from_db()
    return (app.last_t, app.throttling_failure_count) == (-1, 0) and not SpentConfirmation.objects.exists()


def test_a_right_code_gives_the_proof_of_the_form_s_action(user, app):
    form = post(user, code=code_of(app))
    assert form.is_valid()
    assert (form.proof.user_id, form.proof.action, form.proof.nonce) == (user.pk, "key.rename", "form-1")
    assert form.proof.covers(user.pk, "key.rename")
    assert not form.already_confirmed


@pytest.mark.parametrize(
    "mistake", [{"name": ""}, {"name": "x" * 11}, {"size": "many"}, {"size": "13"}, {"nonce": ""}, {"nonce": "n" * 65}]
)
def test_a_mistake_elsewhere_burns_no_code(user, app, mistake):
    code = code_of(app)
    form = post(user, code=code, **mistake)
    assert not form.is_valid()
    assert form.proof is None
    assert "code" not in form.errors
    assert is_unspent(app)
    assert post(user, code=code).is_valid()


@pytest.mark.parametrize("code", ["", "  ", "x" * 41])
def test_a_missing_code_is_an_error_of_its_field(user, app, code):
    form = post(user, code=code)
    assert not form.is_valid()
    assert list(form.errors) == ["code"]
    assert is_unspent(app)


def test_a_wrong_code_is_an_error_of_its_field_and_no_proof(user, app):
    form = post(user, code=code_of(app, steps=40))
    assert not form.is_valid()
    assert list(form.errors) == ["code"]
    assert form.proof is None
    app.refresh_from_db()
    assert app.throttling_failure_count == 1


def test_looking_at_the_form_twice_checks_the_code_once(user, app):
    form = post(user, code=code_of(app))
    assert form.is_valid()
    assert form.is_valid()
    assert not form.errors
    assert form.proof is not None
    assert not form.already_confirmed


def test_a_form_posted_again_is_already_confirmed_and_has_no_proof(user, app, clock):
    assert post(user, code=code_of(app)).is_valid()
    clock.shift(timedelta(seconds=30))
    for code in (code_of(app), code_of(app, steps=40), "whatever"):
        again = post(user, code=code)
        assert again.is_valid()
        assert again.already_confirmed
        assert again.proof is None


def test_a_form_refused_by_the_rules_is_renewed_for_another_try(user, app, clock):
    form = post(user, code=code_of(app))
    assert form.is_valid()
    form.renew()
    assert form.data["nonce"] not in ("", "form-1")
    assert form.data["code"] == ""
    assert form.data["name"] == "fine"
    clock.shift(timedelta(seconds=30))
    assert post(user, code=code_of(app), nonce=form.data["nonce"]).proof is None
    retry = post(user, code=code_of(app), nonce=form.data["nonce"])
    assert retry.is_valid()
    assert retry.proof is not None


def test_an_unbound_form_asks_for_nothing_and_has_a_nonce_of_its_own(user):
    first, second = RenameForm(user=user), RenameForm(user=user)
    assert first.proof is None
    nonces = {form.fields["nonce"].initial for form in (first, second)}
    assert len(nonces) == 2
    assert all(len(nonce) >= 22 for nonce in nonces)


def test_the_code_is_asked_last(user):
    assert list(RenameForm(user=user).fields) == ["name", "size", "nonce", "code"]


def test_confirm_spends_the_code_once(user, app):
    code = code_of(app)
    proof = step_up.confirm(user, code, action="key.issue", nonce="form-1")
    assert proof.covers(user.pk, "key.issue")
    with pytest.raises(AlreadyConfirmed):
        step_up.confirm(user, code, action="key.issue", nonce="form-1")
    with pytest.raises(CodeRefused):
        step_up.confirm(user, code, action="key.issue", nonce="form-2")


def test_a_proof_covers_one_action_by_one_person_for_a_minute(user, app, clock):
    proof = step_up.confirm(user, code_of(app), action="key.issue", nonce="form-1")
    assert not proof.covers(user.pk, "key.revoke")
    assert not proof.covers(user.pk + 1, "key.issue")
    clock.shift(step_up.LIFETIME)
    assert proof.covers(user.pk, "key.issue")
    clock.shift(timedelta(microseconds=1))
    assert not proof.covers(user.pk, "key.issue")


def test_a_recovery_code_proves_as_well(user, app, recovery_codes):
    form = post(user, code=recovery_codes(user)[0])
    assert form.is_valid()
    assert form.proof is not None


def test_a_code_used_to_sign_in_is_no_step_up(user, app):
    code = code_of(app)
    second_factor.verify(user, code, action="sign_in")
    form = post(user, code=code)
    assert not form.is_valid()
    assert "Wait for the next one" in str(form.errors["code"])
