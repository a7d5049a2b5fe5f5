"""Who may call the key management API: a key with the permission, or a person in their browser's session."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied as NoRight
from rest_framework import exceptions
from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request

from accounts.access import membership_for
from accounts.models import KeyPermission, Membership, User
from apikeys import problems
from apikeys.permissions import GrantPermission

#: Which of the person's accounts is meant: its name in web addresses.
ACCOUNT = "Pithead-Account"
#: What the web UI asks for on its forms: a code of the authenticator app, or a recovery code.
OTP = "Pithead-OTP"


class PersonAuthentication(SessionAuthentication):
    """The cookie of somebody who signed in with both factors; `request.auth` becomes their membership.

    Writes take the CSRF token as any form does. Without such a session nobody is there.
    """

    def authenticate(self, request: Request) -> tuple[User, Membership] | None:
        user = getattr(request._request, "user", None)
        if not isinstance(user, User) or not user.is_active or not user.is_verified():
            return None
        try:
            self.enforce_csrf(request)
        except exceptions.PermissionDenied as failed:
            where = "Send the one of any page’s form as “X-CSRFToken”."
            raise exceptions.PermissionDenied(f"{failed.detail} {where}") from None
        slug = request.headers.get(ACCOUNT, "")
        if not slug:
            raise problems.Problem(
                "invalid_request",
                "See “errors”.",
                errors={ACCOUNT: ["Name the account, as it stands in web addresses: a person may belong to several."]},
            )
        return user, membership_for(user, slug)


class MayManageKeys(GrantPermission):
    """A key needs the view's ``permission``, a member the view's ``rights``, one for each method."""

    def has_permission(self, request: Request, view: object) -> bool:
        member = request.auth
        if not isinstance(member, Membership):
            return super().has_permission(request, view)  # type: ignore[arg-type]
        method = "GET" if request.method == "HEAD" else str(request.method)
        rights: dict[str, KeyPermission] = getattr(view, "rights", {})
        if method not in rights:
            raise exceptions.MethodNotAllowed(str(request.method))
        try:
            membership_for(member.user, member.account.slug, rights[method])
        except NoRight as denied:
            raise exceptions.PermissionDenied(str(denied)) from None
        return True
