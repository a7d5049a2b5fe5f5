"""Mails about security: a person's own, or their account's. They go out on commit, and hold no secret."""

from __future__ import annotations

import logging
from datetime import UTC
from smtplib import SMTPException
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.template.loader import render_to_string
from django.utils import timezone, translation

from accounts.locale import language_of
from accounts.models import User

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

logger = logging.getLogger(__name__)


def notify(user: User, subject: _StrOrPromise, template: str, **context: Any) -> None:
    """Mail ``templates/emails/<template>.txt`` to ``user`` after the transaction commits.

    In the language of the receiver, whoever causes it: ``subject`` and words in ``context`` come as lazy translations.
    Times are in UTC. A mail server that is gone is logged and stops nothing: what the mail tells of has happened.
    """
    mail_address(user.email, subject, template, language=language_of(user), user=user, **context)


def mail_address(email: str, subject: _StrOrPromise, template: str, *, language: str, **context: Any) -> None:
    """As `notify`, to somebody who need not have a user, in ``language``."""
    with translation.override(language), timezone.override(UTC):
        # Names of people and accounts stand in subjects, which are one line.
        title = " ".join(str(subject).split())
        text = render_to_string(f"emails/{template}.txt", {"public_url": settings.PITHEAD_PUBLIC_URL, **context})

    transaction.on_commit(lambda: send(title, text, email))


def send(title: str, text: str, email: str) -> None:
    """Send a mail now. A mail server that is gone is logged and raises nothing."""
    try:
        send_mail(title, text, None, [email])
    except (OSError, SMTPException):
        logger.exception("The mail “%s” could not be sent.", title)
