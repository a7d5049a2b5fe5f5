"""The demo's people between accounts: somebody who belongs to both, and an invitation that waits for an answer."""

from __future__ import annotations

import secrets
from datetime import timedelta

from django.utils import timezone

from accounts import invitations
from accounts.access_levels import AccessLevel
from accounts.members import Place
from accounts.models import Account, Invitation, KeyPermission, Membership, User

INVITED = "freja@northfold.example"


def make_memberships() -> None:
    """Make what is missing. Nothing is mailed: an owner's "Send again" mails the link."""
    northfold = Account.objects.get(slug="northfold")
    Membership.objects.get_or_create(
        account=northfold,
        user=User.objects.get(email="oskar@borealis.example"),
        defaults=Place(AccessLevel.VIEWER, key_permissions=frozenset({KeyPermission.VIEW})).columns,
    )
    place = Place(AccessLevel.ACCOUNTANT, key_permissions=frozenset({KeyPermission.VIEW, KeyPermission.CREATE}))
    inviter = User.objects.get(email="ines@northfold.example")
    Invitation.objects.get_or_create(
        account=northfold,
        email=INVITED,
        accepted_at=None,
        cancelled_at=None,
        defaults={
            **place.columns,
            "digest": invitations.digest_of(secrets.token_urlsafe(32)),
            "invited_by": inviter,
            "invited_by_name": inviter.name,
            "created_at": timezone.now() - timedelta(days=2),
            "expires_at": timezone.now() - timedelta(days=2) + invitations.LIFETIME,
        },
    )
