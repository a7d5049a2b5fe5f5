"""The way into an account by an invitation's link.

The link's token goes no further than the first request: it is traded for a signed, short-lived cookie that holds its
digest, and the page itself has no token in its address. A cookie of its own, and not the session, because signing in
starts the session anew.
"""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods

from accounts import invitations
from accounts.audit import Actor
from accounts.changes import Refused
from accounts.client_ip import client_ip
from accounts.member_forms import JoinForm
from accounts.models import Invitation, KeyPermission, Membership, User
from accounts.views.members import rights_in_words
from accounts.views.sign_in import remember_pending

COOKIE = "pithead-invitation"
COOKIE_SALT = "accounts.invitation"
COOKIE_SECONDS = 3600
COOKIE_PATH = "/invitations/"


# Whatever comes here is answered alike, and before anything can fail: an error would write the address, with the token
# in it, to the log.
@login_not_required
@csrf_exempt
@never_cache
@sensitive_variables("token")
def link(request: HttpRequest, token: str) -> HttpResponse:
    """Take the token out of the address. Whether it is any good the page says."""
    response = redirect("accounts:invitation")
    # Not on the page: with this policy browsers send forms with "Origin: null", which the CSRF check refuses.
    response["Referrer-Policy"] = "no-referrer"
    response.set_signed_cookie(
        COOKIE,
        invitations.digest_of(token).hex(),
        salt=COOKIE_SALT,
        max_age=COOKIE_SECONDS,
        path=COOKIE_PATH,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
    return response


@login_not_required
@never_cache
@sensitive_post_parameters("new_password", "new_password_again")
@require_http_methods(["GET", "HEAD", "POST"])
def invitation_page(request: HttpRequest) -> HttpResponse:
    """Accept as the person who is signed in, or sign in first, or become a user."""
    invitation = _invitation(request)
    if invitation is None:
        return render(request, "accounts/invitation_closed.html", status=404)
    user = request.user if request.user.is_authenticated and request.user.is_verified() else None
    if reason := invitations.why_closed(invitation):
        if user is not None and user.email == invitation.email:
            membership = Membership.objects.filter(account=invitation.account, user=user).first()
            if membership is not None:
                return redirect(way_in(membership))
        context = {"invitation": invitation, "reason": reason}
        return render(request, "accounts/invitation_closed.html", context, status=410)
    if user is None:
        return _for_a_stranger(request, invitation)
    if user.email != invitation.email:
        masked = invitations.mask_email(invitation.email)
        context = {"invitation": invitation, "masked": masked}
        return render(request, "accounts/invitation_for_another.html", context, status=403)
    if request.method == "POST":
        try:
            membership = invitations.accept(invitation, actor=Actor.from_request(request))
        except Refused as refused:
            return _closed(request, invitation, refused)
        messages.success(request, _("You are a member of %(account)s now.") % {"account": invitation.account})
        return _done(redirect(way_in(membership)))
    return render(request, "accounts/invitation.html", _facts(invitation))


def way_in(membership: Membership) -> str:
    """The first page of an account that a member may see."""
    may_see_keys = KeyPermission.VIEW in membership.key_permissions
    return resolve_url("web:key-list" if may_see_keys else "accounts:member-list", membership.account.slug)


def _for_a_stranger(request: HttpRequest, invitation: Invitation) -> HttpResponse:
    """Whoever holds the link reads that mailbox, so it gives nothing away to say whether there is such a user."""
    sign_in = f"{resolve_url('accounts:sign-in')}?{urlencode({'next': resolve_url('accounts:invitation')})}"
    if User.objects.filter(email=invitation.email).exists():
        return render(request, "accounts/invitation.html", _facts(invitation) | {"sign_in": sign_in})
    form = JoinForm(request.POST or None, invitation=invitation)
    if request.method == "POST" and form.is_valid():
        try:
            membership = invitations.join(
                invitation,
                name=form.cleaned_data["name"],
                password=form.cleaned_data["new_password"],
                address=client_ip(request),
            )
        except Refused as refused:
            return _closed(request, invitation, refused)
        # As after a right password: nobody is signed in before there is a second factor.
        remember_pending(request, membership.user)
        return _done(redirect(f"{resolve_url('accounts:second-factor')}?{urlencode({'next': way_in(membership)})}"))
    return render(request, "accounts/invitation.html", _facts(invitation) | {"form": form, "sign_in": sign_in})


def _invitation(request: HttpRequest) -> Invitation | None:
    try:
        digest = request.get_signed_cookie(COOKIE, salt=COOKIE_SALT, max_age=COOKIE_SECONDS)
    except (KeyError, signing.BadSignature):
        return None
    return invitations.find(bytes.fromhex(digest or ""))


def _facts(invitation: Invitation) -> dict[str, object]:
    return {"invitation": invitation, "rights": rights_in_words(invitation)}


def _closed(request: HttpRequest, invitation: Invitation, refused: Refused) -> HttpResponse:
    context = {"invitation": invitation, "reason": str(refused)}
    return render(request, "accounts/invitation_closed.html", context, status=410)


def _done(response: HttpResponse) -> HttpResponse:
    response.delete_cookie(COOKIE, path=COOKIE_PATH, samesite="Lax")
    return response
