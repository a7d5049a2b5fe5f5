from __future__ import annotations

from collections.abc import Callable

import pytest

from accounts import second_factor
from accounts.audit import Actor
from accounts.models import RecoveryDevice, User


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
