from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import time_machine
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts import second_factor
from accounts.audit import Actor
from accounts.models import RecoveryDevice, User
from tests.factories import UserFactory
from tests.people import NOW, enrol
from tests.soft_authenticator import ORIGIN


@pytest.fixture
def clock() -> Iterator[time_machine.Coordinates]:
    """Time stands still at NOW."""
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


@pytest.fixture
def user(db: None) -> User:
    """Somebody without a second factor."""
    return UserFactory()


@pytest.fixture
def app(user: User) -> TOTPDevice:
    return enrol(user)


@pytest.fixture
def local_passkeys(settings: Any) -> None:
    """Passkeys are for the address that the soft authenticator's browser is at."""
    settings.OTP_WEBAUTHN_RP_ID = "localhost"
    settings.OTP_WEBAUTHN_ALLOWED_ORIGINS = [ORIGIN]


@pytest.fixture
def recovery_codes() -> Callable[[User], list[str]]:
    return lambda user: second_factor.make_recovery_codes(user, actor=Actor.for_command("tests"))


@pytest.fixture
def failures() -> Callable[[User], tuple[int, int]]:
    """Wrong codes counted so far: of the app, and of the recovery codes."""

    def count(user: User) -> tuple[int, int]:
        recovery = RecoveryDevice.objects.filter(user=user).first()
        app = second_factor.confirmed_app(user)
        return (
            app.throttling_failure_count if app else 0,
            recovery.throttling_failure_count if recovery else 0,
        )

    return count
