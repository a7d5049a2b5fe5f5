"""Mails about security: a person's own, or their account's. They go out on commit, and hold no secret."""

from __future__ import annotations

import logging
from smtplib import SMTPException
from typing import Any

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.template.loader import render_to_string

from accounts.models import Account, User

logger = logging.getLogger(__name__)


def notify(user: User, subject: str, template: str, **context: Any) -> None:
    """Mail ``templates/emails/<template>.txt`` to ``user`` after the transaction commits.

    A mail server that is gone is logged and stops nothing: what the mail tells of has happened.
    """
    text = render_to_string(
        f"emails/{template}.txt", {"user": user, "public_url": settings.PITHEAD_PUBLIC_URL, **context}
    )

    def send() -> None:
        try:
            send_mail(subject, text, None, [user.email])
        except (OSError, SMTPException):
            logger.exception("The mail “%s” could not be sent.", subject)

    transaction.on_commit(send)


def notify_owners(account: Account, subject: str, template: str, **context: Any) -> None:
    """Mail every owner of ``account``, as `notify` does."""
    for user in User.objects.filter(memberships__account=account, memberships__is_owner=True, is_active=True):
        notify(user, subject, template, account=account, **context)
