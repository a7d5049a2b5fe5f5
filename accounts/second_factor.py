"""The second factor: enrol, verify, recovery codes. The only module that calls django-otp's verification.

After a wrong code django-otp waits 1, 2, 4 … seconds; we cap that at MAX_DELAY. Recovery codes count their failures
apart from the app's, so whoever locks a person's app by guessing leaves them a way in.
"""

from __future__ import annotations

import re
import secrets
import time
from base64 import b32encode
from collections.abc import Collection
from datetime import datetime, timedelta

from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django_otp import verify_token
from django_otp.models import Device, ThrottlingMixin
from django_otp.oath import TOTP
from django_otp.plugins.otp_totp.models import TOTPDevice
from django_otp_webauthn.models import WebAuthnCredential

from accounts import audit
from accounts.models import RecoveryCode, RecoveryDevice, SpentConfirmation, User
from accounts.notifications import notify
from accounts.passkeys import passkeys_of

MAX_DELAY = timedelta(seconds=256)
MAX_COUNTED_FAILURES = 9  # 2 ** (9 - 1) = 256 seconds
ENROLMENT_LIFETIME = timedelta(minutes=30)
CONFIRMATION_MEMORY = timedelta(days=2)

SET_UP = {
    "second_factor.enrolled": gettext_lazy("An authenticator app was set up as your second factor"),
    "second_factor.replaced": gettext_lazy(
        "Another authenticator app was set up as your second factor, in place of the one before,"
    ),
}
RECOVERY_CODES = 10
# No 0 1 i l o u: nothing to mistake for another when read from paper.
RECOVERY_ALPHABET = "23456789abcdefghjkmnpqrstvwxyz"
RECOVERY_LENGTH = 16  # two to find the row, 14 secret: log2(30 ** 14) = 68.7 bits

_TOTP = re.compile(r"[0-9]{6}")
_RECOVERY = re.compile(rf"[{RECOVERY_ALPHABET}]{{{RECOVERY_LENGTH}}}")


class CodeRefused(Exception):
    """A code did not verify; ``str()`` is what to tell the person."""


class AlreadyConfirmed(Exception):
    """This very form was confirmed before: a double click, a reload or a replay. Nothing was spent."""


def confirmed_app(user: User) -> TOTPDevice | None:
    """Return the person's authenticator app, if they have confirmed one."""
    return TOTPDevice.objects.filter(user=user, confirmed=True).order_by("-id").first()


def recovery_device(user: User) -> RecoveryDevice | None:
    return RecoveryDevice.objects.filter(user=user, confirmed=True).first()


def has_second_factor(user: User) -> bool:
    return confirmed_app(user) is not None or passkeys_of(user).exists()


def has_another(user: User, device: Device) -> bool:
    """Whether the person could still sign in without ``device``."""
    app = confirmed_app(user)
    if app is not None and app.persistent_id != device.persistent_id:
        return True
    others = [passkey for passkey in passkeys_of(user) if passkey.persistent_id != device.persistent_id]
    return bool(others)


def is_recovery_code(code: str) -> bool:
    """Whether ``code`` has the form of a recovery code."""
    return _RECOVERY.fullmatch(_canonical(code)) is not None


def who_has_one(users: Collection[User]) -> set[int]:
    """Which of these people have a second factor, by id: one query for each kind."""
    found: set[int] = set()
    for kind in (TOTPDevice, WebAuthnCredential):
        found |= set(kind.objects.filter(user__in=users, confirmed=True).values_list("user_id", flat=True))
    return found


def verify(user: User, code: str, *, action: str, nonce: str = "") -> Device:
    """Spend ``code``, once, and return the device that it came from.

    Runs in a transaction of its own: a wrong code stays counted whatever the caller does afterwards, and of parallel
    uses of one code exactly one succeeds. With a ``nonce`` the success is remembered for ``action``.

    Raises CodeRefused with a sentence for the person, AlreadyConfirmed when ``nonce`` was confirmed before.
    """
    canonical = _canonical(code)
    refusal = _("That code is not right. Type the six digits that your app shows now.")
    device: Device | None = None
    with transaction.atomic(durable=True):
        # The person's row is the lock: it orders parallel uses over all devices, forms and workers.
        locked = User.objects.select_for_update().get(pk=user.pk)
        refuse_repeat(locked, nonce)
        candidate = _device_for(locked, canonical) if locked.is_active else None
        if candidate is None:
            if _RECOVERY.fullmatch(canonical):
                refusal = _("That recovery code is not right, or was used before.")
        elif (wait := _delay_left(candidate)) > 0:
            refusal = ngettext(
                "Too many wrong codes. Try again in %(wait)s second, or use a recovery code.",
                "Too many wrong codes. Try again in %(wait)s seconds, or use a recovery code.",
                wait,
            ) % {"wait": wait}
        elif isinstance(candidate, TOTPDevice) and _was_just_used(candidate, canonical):
            refusal = _("That code was used already. Wait for the next one, at most 30 seconds.")
        else:
            device = verify_token(locked, candidate.persistent_id, canonical)
            if device is None:
                _cap_failures(candidate)
                if isinstance(candidate, RecoveryDevice):
                    refusal = _("That recovery code is not right, or was used before.")
            else:
                remember(locked, nonce, action)
                if isinstance(device, RecoveryDevice):
                    actor = audit.Actor(name=str(locked), via="web", user=locked)
                    left = device.codes_left()
                    audit.record("recovery_code.used", actor=actor, target=locked, action_name=action, left=left)
                    notify(locked, gettext_lazy("A recovery code was used"), "recovery_code_used", left=left)
    if device is None:
        raise CodeRefused(refusal)
    return device


def _canonical(code: str) -> str:
    return re.sub(r"[\s-]", "", code).lower()


def refuse_repeat(locked: User, nonce: str) -> None:
    """Raise AlreadyConfirmed when the form named ``nonce`` was confirmed before. The person's row is locked."""
    if nonce and SpentConfirmation.objects.filter(user=locked, nonce=nonce).exists():
        raise AlreadyConfirmed


def remember(locked: User, nonce: str, action: str) -> None:
    """Remember that the form named ``nonce`` was confirmed, in the transaction that spends what confirmed it."""
    if not nonce:
        return
    SpentConfirmation.objects.filter(user=locked, at__lt=timezone.now() - CONFIRMATION_MEMORY).delete()
    SpentConfirmation.objects.create(user=locked, nonce=nonce, action=action)


def _device_for(user: User, canonical: str) -> Device | None:
    """Choose, on the server, which of the person's own confirmed devices a code of this shape is for."""
    if _TOTP.fullmatch(canonical):
        return confirmed_app(user)
    if _RECOVERY.fullmatch(canonical):
        return recovery_device(user)
    return None


def _delay_left(device: Device) -> int:
    """Seconds until ``device`` listens again, rounded up."""
    allowed, reason = device.verify_is_allowed()
    if allowed:
        return 0
    locked_until: datetime = reason["locked_until"]
    return max(1, int((locked_until - timezone.now()).total_seconds()) + 1)


def _was_just_used(device: TOTPDevice, code: str) -> bool:
    """Tell a code that was right but is spent: its owner is told to wait instead of being counted as a guesser."""
    totp = TOTP(device.bin_key, device.step, device.t0, device.digits, device.drift)
    totp.time = time.time()
    current = totp.t()
    if not current - device.tolerance <= device.last_t <= current + device.tolerance:
        return False
    totp.drift = device.drift + device.last_t - current
    return secrets.compare_digest(f"{totp.token():0{device.digits}d}", code)


def _cap_failures(device: ThrottlingMixin) -> None:
    type(device)._default_manager.filter(pk=device.pk, throttling_failure_count__gt=MAX_COUNTED_FAILURES).update(
        throttling_failure_count=MAX_COUNTED_FAILURES
    )


def begin_enrolment(user: User) -> TOTPDevice:
    """Return a fresh, unconfirmed app for ``user``, in place of any that was never confirmed.

    The caller has made sure that the person has no confirmed app, or has just proved it.
    """
    cancel_enrolment(user)
    return TOTPDevice.objects.create(user=user, name="Authenticator app", confirmed=False)


def pending_enrolment(user: User) -> TOTPDevice | None:
    """Return the app that waits for its first code, if it was begun lately."""
    since = timezone.now() - ENROLMENT_LIFETIME
    return TOTPDevice.objects.filter(user=user, confirmed=False, created_at__gte=since).order_by("-id").first()


def cancel_enrolment(user: User) -> None:
    TOTPDevice.objects.filter(user=user, confirmed=False).delete()


def confirm_enrolment(user: User, code: str, *, actor: audit.Actor) -> TOTPDevice:
    """Turn the pending app on with its first code; it replaces the app before it, if any.

    Raises CodeRefused.
    """
    canonical = re.sub(r"\s", "", code)
    device = None
    with transaction.atomic(durable=True):
        User.objects.select_for_update().get(pk=user.pk)
        pending = pending_enrolment(user)
        if pending is None:
            raise CodeRefused(_("This set-up has run out of time. Load the page again and scan the new code."))
        if _TOTP.fullmatch(canonical):
            # Whoever types here has the seed on the screen: there is nothing to guess, so nobody has to wait.
            pending.throttle_reset()
            device = verify_token(user, pending.persistent_id, canonical)
        if device is not None:
            replaced = TOTPDevice.objects.filter(user=user, confirmed=True)
            action = "second_factor.replaced" if replaced.exists() else "second_factor.enrolled"
            replaced.delete()
            device.confirmed = True
            device.save(update_fields=["confirmed"])
            audit.record(action, actor=actor, target=user)
            notify(user, gettext_lazy("Your second factor was set up"), "second_factor_changed", what=SET_UP[action])
    if device is None:
        raise CodeRefused(_("That code is not right. Type the six digits that the app shows now."))
    return device


class LastFactor(Exception):
    """Nobody removes their last second factor: they could not sign in any more."""


def remove_passkey(user: User, passkey: WebAuthnCredential, *, actor: audit.Actor) -> None:
    """Remove one of the person's passkeys; sessions that it opened end. Raises LastFactor, audit.StepUpMissing."""
    actor.require_step_up("passkey.remove")
    with transaction.atomic():
        locked = User.objects.select_for_update().get(pk=user.pk)
        if confirmed_app(locked) is None and not passkeys_of(locked).exclude(pk=passkey.pk).exists():
            raise LastFactor
        removed, _by_model = passkeys_of(locked).filter(pk=passkey.pk).delete()
        if removed:
            audit.record("passkey.removed", actor=actor, target=locked, name=passkey.name)
            removal = gettext_lazy("A passkey, “{name}”, was removed from your second factors")
            what = format_lazy(removal, name=passkey.name)
            notify(locked, gettext_lazy("A passkey was removed"), "second_factor_changed", what=what)


def remove_app(user: User, *, actor: audit.Actor) -> None:
    """Remove the person's authenticator app; sessions that it opened end. Raises LastFactor, audit.StepUpMissing."""
    actor.require_step_up("second_factor.remove")
    with transaction.atomic():
        locked = User.objects.select_for_update().get(pk=user.pk)
        if not passkeys_of(locked).exists():
            raise LastFactor
        removed, _by_model = TOTPDevice.objects.filter(user=locked).delete()
        if removed:
            audit.record("second_factor.removed", actor=actor, target=locked)
            what = gettext_lazy("Your authenticator app was removed from your second factors")
            notify(locked, gettext_lazy("Your authenticator app was removed"), "second_factor_changed", what=what)


def forget(locked: User) -> dict[str, int]:
    """Take away every second factor of a person, whose row is locked, and return how many there were of each kind.

    For `accounts.people`, which says who may, tells the person and leaves the audit row.
    """
    counted = {
        "apps": TOTPDevice.objects.filter(user=locked, confirmed=True).count(),
        "passkeys": passkeys_of(locked).count(),
        "recovery_codes": RecoveryCode.objects.filter(device__user=locked, used_at=None).count(),
    }
    for kind in (TOTPDevice, WebAuthnCredential, RecoveryDevice):
        kind.objects.filter(user=locked).delete()
    return counted


def make_recovery_codes(user: User, *, actor: audit.Actor) -> list[str]:
    """Replace the person's recovery codes and return the new ones, as shown: ``nasd-vrws-pzj2-wgt9``."""
    prefixes: set[str] = set()
    while len(prefixes) < RECOVERY_CODES:
        prefixes.add("".join(secrets.choice(RECOVERY_ALPHABET) for _n in range(RecoveryCode.PREFIX_LENGTH)))
    secret_length = RECOVERY_LENGTH - RecoveryCode.PREFIX_LENGTH
    codes = [
        prefix + "".join(secrets.choice(RECOVERY_ALPHABET) for _n in range(secret_length))
        for prefix in sorted(prefixes)
    ]
    # Ten Argon2 digests take a second or two: made before the transaction, so that no lock is held meanwhile.
    rows = [(code[: RecoveryCode.PREFIX_LENGTH], make_password(code)) for code in codes]
    with transaction.atomic():
        device, _created = RecoveryDevice.objects.get_or_create(user=user, defaults={"name": "Recovery codes"})
        device.codes.all().delete()
        RecoveryCode.objects.bulk_create(
            RecoveryCode(device=device, prefix=prefix, digest=digest) for prefix, digest in rows
        )
        audit.record("recovery_codes.made", actor=actor, target=user, count=len(rows))
        what = gettext_lazy("New recovery codes were made for you, and any before them stopped working,")
        notify(user, gettext_lazy("New recovery codes"), "second_factor_changed", what=what)
    return ["-".join(code[i : i + 4] for i in range(0, RECOVERY_LENGTH, 4)) for code in codes]


def base32_secret(device: TOTPDevice) -> str:
    """The app's seed as people type it (RFC 4648 base32, no padding)."""
    return b32encode(device.bin_key).decode().rstrip("=")
