"""Passkeys (WebAuthn): register, prove, rename, remove. The only module that runs their ceremonies.

A passkey is a second factor here, never a way in without the password. Each ceremony asks the authenticator to verify
its person (fingerprint, PIN), and each challenge counts once.
"""

from __future__ import annotations

import hashlib
import json
import time
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django_otp_webauthn.exceptions import OTPWebAuthnApiError
from django_otp_webauthn.helpers import WebAuthnHelper
from django_otp_webauthn.models import WebAuthnCredential
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from accounts import audit
from accounts.models import AuditEvent, SpentConfirmation, User
from accounts.notifications import notify

NAME_LENGTH = 60  # the package's column takes 64
MAX_PASSKEYS = 20
CHALLENGE_SECONDS = 300
# Signatures can't be guessed: the limit keeps a broken or hostile client from working the server.
MAX_FAILURES = 10
FAILURE_WINDOW = timedelta(minutes=5)
CREDENTIAL_LENGTH = 20_000

# What a credential that is wrong, foreign, garbled or of the wrong types ends in, inside the two packages.
_REFUSALS = (OTPWebAuthnApiError, WebAuthnException, ValueError, TypeError, KeyError, AttributeError)


class PasskeyRefused(Exception):
    """A passkey did not prove anything, or could not be registered; ``str()`` is what to tell the person."""


class Ceremony(WebAuthnHelper):
    """The package's ceremonies with user verification required at registration, too."""

    def get_generate_registration_options_kwargs(self, *, user: User) -> dict[str, Any]:
        options: dict[str, Any] = super().get_generate_registration_options_kwargs(user=user)
        options["authenticator_selection"] = AuthenticatorSelectionCriteria(
            user_verification=UserVerificationRequirement.REQUIRED, resident_key=ResidentKeyRequirement.PREFERRED
        )
        return options


def passkeys_of(user: User) -> QuerySet[WebAuthnCredential]:
    """The person's passkeys, oldest first."""
    passkeys: QuerySet[WebAuthnCredential] = WebAuthnCredential.objects.filter(user=user, confirmed=True)
    return passkeys.order_by("created_at", "pk")


def begin_registration(user: User) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options for the browser, and the state for the session."""
    options, state = Ceremony(request=None).register_begin(user)
    return options, {**state, "user": user.pk, "at": time.time()}


def register(
    user: User, state: dict[str, Any] | None, credential: str, *, name: str, actor: audit.Actor
) -> WebAuthnCredential:
    """Store the passkey that the browser made for ``state``, under ``name``. Raises PasskeyRefused.

    The caller has made sure that the person has no second factor yet, or has just proved one.
    """
    state = _require_fresh(state, user)
    try:
        with transaction.atomic():
            locked = User.objects.select_for_update().get(pk=user.pk)
            if passkeys_of(locked).count() >= MAX_PASSKEYS:
                raise PasskeyRefused(_("You have %(count)s passkeys: remove one first.") % {"count": MAX_PASSKEYS})
            passkey: WebAuthnCredential = Ceremony(request=None).register_complete(locked, state, _parsed(credential))
            passkey.name = name
            passkey.save(update_fields=["name"])
            audit.record("passkey.added", actor=actor, target=locked, name=name)
            what = format_lazy(gettext_lazy("A passkey, “{name}”, was added as a second factor of yours"), name=name)
            notify(locked, gettext_lazy("A passkey was added"), "second_factor_changed", what=what)
    except (*_REFUSALS, IntegrityError):  # IntegrityError: that credential is registered already
        raise PasskeyRefused(_("That passkey could not be added. Try again, or use another device.")) from None
    return passkey


def begin(user: User, *, action: str, nonce: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Begin a proof for ``action`` of the form named ``nonce``: the options for the browser, the session's state."""
    options, state = Ceremony(request=None).authenticate_begin(user, require_user_verification=True)
    return options, {**state, "user": user.pk, "at": time.time(), "action": action, "nonce": nonce}


def prove(user: User, state: dict[str, Any] | None, credential: str, *, actor: audit.Actor) -> WebAuthnCredential:
    """Check what the browser signed for ``state`` and return the passkey. Raises PasskeyRefused.

    Runs in a transaction of its own, so that a failure stays counted. A challenge counts once, across workers.
    """
    state = _require_fresh(state, user)
    refusal = _("That passkey did not work. Try again, or type a code.")
    passkey: WebAuthnCredential | None = None
    spent = hashlib.sha256(state["challenge"].encode()).hexdigest()
    with transaction.atomic(durable=True):
        locked = User.objects.select_for_update().get(pk=user.pk)
        if too_many_failures(locked):
            refusal = _("Too many failed attempts with a passkey. Wait five minutes, or type a code.")
        elif locked.is_active and not SpentConfirmation.objects.filter(user=locked, nonce=spent).exists():
            SpentConfirmation.objects.create(user=locked, nonce=spent, action="passkey.challenge")
            try:
                with transaction.atomic():
                    found = Ceremony(request=None).authenticate_complete(locked, state, _parsed(credential))
            except _REFUSALS:
                audit.record("passkey.refused", actor=actor, target=locked, action_name=state["action"])
            else:
                passkey = found if found.confirmed else None
    if passkey is None:
        raise PasskeyRefused(refusal)
    return passkey


def too_many_failures(user: User) -> bool:
    """Whether the person's passkeys failed so often lately that they are not listened to."""
    since = timezone.now() - FAILURE_WINDOW
    failed = AuditEvent.objects.filter(
        target_type="user", target_id=str(user.pk), at__gte=since, action="passkey.refused"
    )
    return failed.count() >= MAX_FAILURES


def rename(passkey: WebAuthnCredential, name: str, *, actor: audit.Actor) -> None:
    with transaction.atomic():
        before, passkey.name = passkey.name, name
        passkey.save(update_fields=["name"])
        audit.record("passkey.renamed", actor=actor, target=passkey.user, name=name, before=before)


def _require_fresh(state: dict[str, Any] | None, user: User) -> dict[str, Any]:
    """Return the session's ``state`` of a ceremony that this person began lately. Raises PasskeyRefused."""
    if state is None or state["user"] != user.pk or time.time() - state["at"] > CHALLENGE_SECONDS:
        raise PasskeyRefused(_("That took too long. Try again."))
    return state


def _parsed(credential: str) -> dict[str, Any]:
    """Parse the browser's JSON. Raises ValueError."""
    if len(credential) > CREDENTIAL_LENGTH:
        raise ValueError("too long")
    data = json.loads(credential)
    if not isinstance(data, dict):
        raise ValueError("not an object")
    return data
