"""Passwords: change and reset. Neither ever drops the second factor, and both end the other sessions."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import axes.utils
from django.conf import settings
from django.contrib.auth.tokens import default_token_generator
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import audit, sessions
from accounts.locale import language_of
from accounts.models import User
from accounts.notifications import notify, send

#: Sends reset mails after the answer: a mail server's slowness would tell which addresses exist.
outbox = ThreadPoolExecutor(max_workers=1, thread_name_prefix="reset-mail")


def change(user: User, password: str, *, current: str | None, actor: audit.Actor) -> None:
    """Set a new password and end every session but ``current``. Raises audit.StepUpMissing."""
    actor.require_step_up("password.change")
    _store(user, password, current=current, actor=actor, action="password.changed")


class LinkUsed(Exception):
    """The password was changed since the link was checked, so the link works no more."""


def reset(user: User, password: str, *, actor: audit.Actor) -> None:
    """Set a new password for who holds the link that was mailed to ``user``, and end every session.

    ``user`` is as read when the link was checked: of two who use it at once one succeeds. Raises LinkUsed.
    """
    with transaction.atomic():
        if User.objects.select_for_update().get(pk=user.pk).password != user.password:
            raise LinkUsed
        _store(user, password, current=None, actor=actor, action="password.reset")
    axes.utils.reset(username=user.email)  # whoever guessed wrong before may sign in now


def _store(user: User, password: str, *, current: str | None, actor: audit.Actor, action: str) -> None:
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        user.set_password(password)
        user.save(update_fields=["password"])
        sessions.end_others(user, current, actor=actor)
        audit.record(action, actor=actor, target=user)
        notify(user, gettext_lazy("Your password was changed"), "password_changed", by_link=action == "password.reset")


def mail_reset_link(email: str) -> None:
    """Mail a link to whoever has the address ``email``. Nothing tells whether anybody has.

    The same work is done for an address that nobody has, except for sending.
    """
    user = User.objects.filter(email=email.lower(), is_active=True).first()
    known = user is not None and user.has_usable_password()
    whom = user if user is not None else User(pk=0, email=email, name="")
    path = reverse(
        "accounts:password-reset-link",
        args=[urlsafe_base64_encode(force_bytes(whom.pk)), default_token_generator.make_token(whom)],
    )
    context = {
        "user": whom,
        "link": settings.PITHEAD_PUBLIC_URL + path,
        "minutes": settings.PASSWORD_RESET_TIMEOUT // 60,
        "public_url": settings.PITHEAD_PUBLIC_URL,
    }
    with translation.override(language_of(whom)):
        subject, text = _("Set a new password"), render_to_string("emails/password_reset.txt", context)
    if known:
        outbox.submit(send, subject, text, whom.email)
