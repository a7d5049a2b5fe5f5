"""People are told by mail what happened to their second factor."""

from __future__ import annotations

from smtplib import SMTPServerDisconnected

import pytest
from django.core import mail
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts import second_factor
from accounts.audit import Actor
from tests.people import code_of

COMMAND = Actor.for_command("tests")


@pytest.fixture
def codes(owner):
    return second_factor.make_recovery_codes(owner, actor=COMMAND)


def test_a_used_recovery_code_is_told_with_what_is_left(owner, codes, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        second_factor.verify(owner, codes[0], action="sign_in")
    (message,) = mail.outbox
    assert message.to == [owner.email]
    assert "9 of your recovery codes are left" in message.body
    assert codes[0] not in message.body


def test_a_code_from_the_app_sends_no_mail(owner, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        second_factor.verify(owner, code_of(TOTPDevice.objects.get(user=owner)), action="sign_in")
    assert mail.outbox == []


def test_new_codes_and_a_new_app_are_told(owner, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        shown = second_factor.make_recovery_codes(owner, actor=COMMAND)
        device = second_factor.begin_enrolment(owner)
        second_factor.confirm_enrolment(owner, code_of(device), actor=COMMAND)
    assert [message.subject for message in mail.outbox] == ["New recovery codes", "Your second factor was set up"]
    bodies = "".join(message.body for message in mail.outbox)
    assert "in place of the one before" in bodies
    assert not any(code in bodies for code in shown)
    assert second_factor.base32_secret(device) not in bodies


def test_a_mail_server_that_is_gone_stops_nothing(owner, codes, monkeypatch, django_capture_on_commit_callbacks):
    def gone(*args: object, **kwargs: object) -> None:
        raise SMTPServerDisconnected("gone")

    monkeypatch.setattr("accounts.notifications.send_mail", gone)
    with django_capture_on_commit_callbacks(execute=True):
        assert second_factor.verify(owner, codes[0], action="sign_in")
