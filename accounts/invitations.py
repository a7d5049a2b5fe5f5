"""Invitations by e-mail: sent, sent again, cancelled, accepted. The only writers of invitations.

The link's token, 256 random bits, is in the mail alone; stored is its SHA-256 digest, which is enough for what can't
be guessed. Whoever has the token reads the mailbox: it proves the address of a new user.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from hashlib import sha256

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import get_language, gettext_lazy, ngettext
from django.utils.translation import gettext as _

from accounts import access, audit
from accounts.changes import Refused, lock_account
from accounts.locale import language_of
from accounts.models import Account, Invitation, Membership, User
from accounts.notifications import mail_address
from accounts.places import Place, check_place, tell_owners

INVITE = "member.invite"
LIFETIME = timedelta(days=7)
MOST_OPEN = 50
#: Nobody's mailbox is filled by pressing "Send again".
BETWEEN_MAILS = timedelta(minutes=1)


def invite(account: Account, *, actor: audit.Actor, email: str, place: Place) -> tuple[Invitation, str]:
    """Offer ``email`` a place in the account. Return the invitation beside its token, which the mail alone holds.

    Raises Refused, PermissionDenied, StepUpMissing.
    """
    actor.require_step_up(INVITE)
    with transaction.atomic():
        account = lock_account(account.pk)
        access.require_owner(actor, account)
        email = check(account, email, place)
        # One that ran out makes room for the new one.
        for expired in _pending(account).filter(email=email):
            _cancel(expired, actor)
        token = _new_token()
        invitation = Invitation.objects.create(
            account=account,
            email=email,
            digest=digest_of(token),
            invited_by=actor.user,
            invited_by_name=actor.name,
            expires_at=timezone.now() + LIFETIME,
            **place.columns,
        )
        audit.record("invitation.sent", actor=actor, account=account, target=invitation, email=email, **place.for_audit)
        _mail(invitation, token)
    return invitation, token


def check(account: Account, email: str, place: Place) -> str:
    """Judge an invitation before it is sent, writing nothing, and return the address in canonical form.

    Raises Refused.
    """
    email = email.strip().lower()
    try:
        validate_email(email)
    except ValidationError:
        raise Refused(_("Type an e-mail address such as name@example.com."), "email") from None
    check_place(place)
    if Membership.objects.filter(account=account, user__email=email).exists():
        raise Refused(_("%(email)s is a member of this account already.") % {"email": email}, "email")
    pending = _pending(account)
    if pending.filter(email=email, expires_at__gt=timezone.now()).exists():
        raise Refused(
            _("%(email)s has an open invitation. Send it again, or cancel it to offer another place.")
            % {"email": email},
            "email",
        )
    if pending.exclude(email=email).count() >= MOST_OPEN:
        raise Refused(
            ngettext(
                "There is %(most)s invitation that nobody has accepted yet: the most at once. Cancel it first.",
                "There are %(most)s invitations that nobody has accepted yet: the most at once. Cancel some first.",
                MOST_OPEN,
            )
            % {"most": MOST_OPEN}
        )
    return email


def resend(invitation: Invitation, *, actor: audit.Actor) -> tuple[Invitation, str]:
    """Mail a new link, good for another seven days; the one before it stops working.

    Raises Refused, PermissionDenied.
    """
    with transaction.atomic():
        account = lock_account(invitation.account_id)
        access.require_owner(actor, account)
        invitation = _reread(invitation)
        if invitation.expires_at - LIFETIME + BETWEEN_MAILS > timezone.now():
            raise Refused(_("This invitation was sent less than a minute ago. Wait a moment."))
        token = _new_token()
        invitation.digest = digest_of(token)
        invitation.expires_at = timezone.now() + LIFETIME
        # Whoever sends it answers for it from now on.
        invitation.invited_by, invitation.invited_by_name = actor.user, actor.name
        invitation.save(update_fields=["digest", "expires_at", "invited_by", "invited_by_name"])
        audit.record("invitation.resent", actor=actor, account=account, target=invitation, email=invitation.email)
        _mail(invitation, token)
    return invitation, token


def cancel(invitation: Invitation, *, actor: audit.Actor) -> None:
    """Make the link worthless. It stops something, so no code is asked.

    Raises Refused, PermissionDenied.
    """
    with transaction.atomic():
        access.require_owner(actor, lock_account(invitation.account_id))
        _cancel(_reread(invitation), actor)


def cancel_sent_by(membership: Membership, *, actor: audit.Actor) -> None:
    """Cancel what a member has sent who is no owner any more: an invitation stands for the owner who sent it.

    Runs inside the change that took the place from them, which has asked whether it may.
    """
    for invitation in _pending(membership.account).select_related("account").filter(invited_by=membership.user_id):
        _cancel(invitation, actor)


def accept(invitation: Invitation, *, actor: audit.Actor) -> Membership:
    """Make the actor a member. Accepted twice, as by a double click, it is one membership.

    Raises Refused.
    """
    user = actor.user
    if user is None or user.email != invitation.email:
        raise Refused(_("This invitation is for another e-mail address."))
    with transaction.atomic():
        lock_account(invitation.account_id)
        there = Membership.objects.filter(account=invitation.account_id, user=user).first()
        current = find(bytes(invitation.digest))
        if there is not None and current is not None and current.accepted_at is not None:
            return there
        return _take(_fresh(invitation), user, actor)


def join(invitation: Invitation, *, name: str, password: str, address: str | None) -> Membership:
    """Make a user of whoever was invited and has none yet, and a member of them.

    The caller has validated the password. Raises Refused.
    """
    # Hashing takes its time: done before the account is held.
    user = User(email=invitation.email, name=name, password=make_password(password))
    with transaction.atomic():
        lock_account(invitation.account_id)
        invitation = _fresh(invitation)
        user.clean_fields(exclude=["password"])
        try:
            with transaction.atomic():
                user.save()
        except IntegrityError:  # made meanwhile, by staff or with another account's invitation
            raise Refused(
                _("There is a user with this e-mail address by now. Sign in to accept the invitation.")
            ) from None
        actor = audit.Actor(name=user.name, via="web", user=user, address=address)
        audit.record("user.joined", actor=actor, account=invitation.account, target=user)
        return _take(invitation, user, actor)


def find(digest: bytes) -> Invitation | None:
    """The invitation whose link has the token of this digest, whatever became of it."""
    return Invitation.objects.select_related("account", "invited_by").filter(digest=digest).first()


def why_closed(invitation: Invitation) -> str:
    """Why an invitation can't be accepted (any more); "" when it can."""
    if invitation.state == "accepted":
        return _("This invitation was accepted. Its link works once.")
    if invitation.state == "cancelled":
        return _("This invitation was cancelled.")
    if invitation.state == "expired":
        return _("This invitation has expired: a link works for seven days.")
    inviter = invitation.invited_by
    # Whoever lost the right to invite, by a way that cancelled nothing, has lost it for what they sent as well.
    if inviter is not None and not (
        inviter.is_active
        and (inviter.is_staff or Membership.objects.filter(account=invitation.account, user=inviter, is_owner=True))
    ):
        return _("The person who sent this invitation may not invite any more.")
    return ""


def pending(account: Account) -> list[Invitation]:
    """What was neither accepted nor cancelled, newest first; expired ones among them, until somebody decides."""
    return list(_pending(account).select_related("account"))


def digest_of(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


def mask_email(email: str) -> str:
    """``m•••@n•••.example``: enough to recognise one's own address, too little to learn somebody else's."""
    local, _at, domain = email.rpartition("@")
    host, dot, top = domain.rpartition(".")
    return f"{local[:1]}•••@{domain[:1]}•••{dot}{top if host else ''}"


def _new_token() -> str:
    return secrets.token_urlsafe(32)


def _pending(account: Account) -> QuerySet[Invitation]:
    return Invitation.objects.filter(account=account, accepted_at=None, cancelled_at=None)


def _take(invitation: Invitation, user: User, actor: audit.Actor) -> Membership:
    membership = Membership.objects.filter(account=invitation.account, user=user).first()
    invitation.accepted_at = timezone.now()
    invitation.save(update_fields=["accepted_at"])
    if membership is not None:  # added by staff meanwhile: their place stands
        return membership
    place = Place.of(invitation)
    membership = Membership.objects.create(account=invitation.account, user=user, **place.columns)
    audit.record(
        "invitation.accepted",
        actor=actor,
        account=invitation.account,
        target=invitation,
        email=invitation.email,
        invited_by=invitation.invited_by_name,
        **place.for_audit,
    )
    tell_owners(membership, "now_owner" if place.is_owner else "joined", actor)
    return membership


def _cancel(invitation: Invitation, actor: audit.Actor) -> None:
    invitation.cancelled_at = timezone.now()
    invitation.save(update_fields=["cancelled_at"])
    audit.record(
        "invitation.cancelled", actor=actor, account=invitation.account, target=invitation, email=invitation.email
    )


def _fresh(invitation: Invitation) -> Invitation:
    """Read the invitation afresh, as the holder of the token that ``invitation`` was found by.

    Raises Refused when it can't be accepted (any more).
    """
    found = find(bytes(invitation.digest))
    if found is None:
        raise Refused(_("This link was replaced by a newer one. Look for the latest mail."))
    if reason := why_closed(found):
        raise Refused(reason)
    return found


def _reread(invitation: Invitation) -> Invitation:
    found = Invitation.objects.select_related("account").get(pk=invitation.pk)
    if found.accepted_at is not None:
        raise Refused(_("%(email)s has accepted the invitation.") % {"email": found.email})
    if found.cancelled_at is not None:
        raise Refused(_("The invitation for %(email)s was cancelled.") % {"email": found.email})
    return found


def _mail(invitation: Invitation, token: str) -> None:
    link = settings.PITHEAD_PUBLIC_URL + reverse("accounts:invitation-link", args=[token])
    subject = format_lazy(gettext_lazy("You are invited to {account}"), account=invitation.account.name)
    user = User.objects.filter(email=invitation.email).first()
    # Whoever is new here most likely speaks as the person who invites them.
    language = language_of(user) if user is not None else get_language() or settings.LANGUAGE_CODE
    mail_address(invitation.email, subject, "invitation", language=language, invitation=invitation, link=link)
