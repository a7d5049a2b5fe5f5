"""Second factors of the test cast."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

from django.http import HttpResponse
from django.test import Client
from django_otp.oath import TOTP
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts import step_up
from accounts.audit import Actor
from accounts.models import User

#: For frozen clocks: ten seconds into the half-minute of a code.
NOW = datetime(2026, 11, 21, 12, 0, 10, tzinfo=UTC)


def enrol(user: User) -> TOTPDevice:
    return TOTPDevice.objects.create(user=user, name="Authenticator app", confirmed=True)


def code_of(device: TOTPDevice, *, steps: int = 0) -> str:
    """The code that ``device`` shows now, or ``steps`` half-minutes from now."""
    totp = TOTP(device.bin_key, device.step, device.t0, device.digits)
    totp.time = time.time() + steps * device.step
    return f"{totp.token():06}"


def fresh_code(user: User) -> str:
    """A code of ``user`` that works now, as if the last one had been used long ago."""
    TOTPDevice.objects.filter(user=user).update(
        last_t=-1, throttling_failure_count=0, throttling_failure_timestamp=None
    )
    return code_of(TOTPDevice.objects.get(user=user, confirmed=True))


def without_tokens(response: HttpResponse) -> str:
    """The page without its CSRF tokens, which are masked anew each time."""
    return re.sub(r'(name="csrfmiddlewaretoken" value=")\w+', r"\1", response.content.decode())


def sign_in(client: Client, user: User) -> Client:
    """A session that proved both factors."""
    client.force_login(user)
    session = client.session
    session["otp_device_id"] = TOTPDevice.objects.get(user=user, confirmed=True).persistent_id
    session.save()
    return client


def actor_for(user: User, action: str, *, via: str = "web") -> Actor:
    """``user`` with a step-up for ``action`` just proved."""
    proof = step_up.StepUp(user_id=user.pk, action=action, nonce=step_up.new_nonce())
    return Actor(name=user.name, via=via, user=user, address="192.0.2.1", proof=proof)
