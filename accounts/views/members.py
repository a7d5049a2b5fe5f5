"""The members of an account: who they are, what each may do, who is invited. Every member sees it; owners change it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import invitations, members, second_factor
from accounts.access import membership_for, owner_membership_for
from accounts.audit import Actor
from accounts.changes import Refused
from accounts.member_forms import ChangeForm, InviteForm, RemoveForm
from accounts.models import Invitation, KeyPermission, Membership, User


@dataclass(frozen=True)
class Row:
    """A member in the list; ``stays`` is why they can't be removed, if they can't."""

    membership: Membership
    rights: str
    has_second_factor: bool
    stays: str


@dataclass(frozen=True)
class InvitationRow:
    invitation: Invitation
    rights: str


@require_safe
def member_list(request: HttpRequest, slug: str) -> HttpResponse:
    membership = membership_for(_user(request), slug)
    rows = members.of_account(membership.account)
    protected = second_factor.who_has_one([row.user for row in rows])
    owners = [row for row in rows if row.is_owner]
    alone = _("The only owner. Make somebody else an owner first.")
    context = _context(membership) | {
        "me": membership,
        "rows": [
            Row(
                row,
                rights_in_words(row),
                row.user_id in protected,
                alone if membership.is_owner and members.is_last_owner(row, owners) else "",
            )
            for row in rows
        ],
        "owners": [row.user for row in owners],
        "invitations": [InvitationRow(item, rights_in_words(item)) for item in invitations.pending(membership.account)],
    }
    return render(request, "accounts/member_list.html", context)


@never_cache
@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def invite(request: HttpRequest, slug: str) -> HttpResponse:
    owner = _owner(request, slug)
    form = InviteForm(
        request.POST or None,
        user=owner.user,
        account=owner.account,
        initial={"access_level": "viewer", "key_permissions": [KeyPermission.VIEW.value]},
    )
    if request.method == "POST" and form.is_valid():
        try:
            if form.proof is not None:
                invitation, _token = invitations.invite(
                    owner.account,
                    actor=Actor.from_request(request, proof=form.proof),
                    email=form.cleaned_data["email"],
                    place=form.place,
                )
                messages.success(
                    request, _("%(email)s is invited. The mail is on its way.") % {"email": invitation.email}
                )
        except Refused as refused:  # something changed between the form's check and the writing
            form.refuse(refused)
            form.renew()
        else:
            return redirect("accounts:member-list", slug)
    return render(request, "accounts/member_invite.html", _context(owner) | {"form": form})


@never_cache
@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, slug: str, member_id: int) -> HttpResponse:
    owner = _owner(request, slug)
    member = _find(owner, member_id)
    form = ChangeForm(request.POST or None, user=owner.user, membership=member)
    if request.method == "POST" and form.is_valid():
        try:
            if form.proof is not None:
                members.change(member, form.place, actor=Actor.from_request(request, proof=form.proof))
                messages.success(request, _("What %(name)s may do is saved.") % {"name": member.user})
        except Refused as refused:
            form.refuse(refused)
            form.renew()
        else:
            return redirect("accounts:member-list", slug)
    context = _context(owner) | {"form": form, "member": member, "only_owner": members.why_last_owner(member)}
    return render(request, "accounts/member_edit.html", context)


@never_cache
@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def remove(request: HttpRequest, slug: str, member_id: int) -> HttpResponse:
    """Owners remove anybody; everybody may leave. The last owner stays."""
    me = membership_for(_user(request), slug)
    leaves = me.pk == member_id
    if not leaves:
        me = _owner(request, slug)
    member = _find(me, member_id)
    if reason := members.why_last_owner(member):
        messages.error(request, reason)
        return redirect("accounts:member-list", slug)
    form = RemoveForm(request.POST or None, user=me.user)
    if request.method == "POST" and form.is_valid():
        try:
            if form.proof is not None:
                members.remove(member, actor=Actor.from_request(request, proof=form.proof))
                words = _("You left %(account)s.") if leaves else _("%(name)s is no longer a member of %(account)s.")
                messages.success(request, words % {"name": member.user, "account": me.account})
        except Refused as refused:  # another owner went meanwhile
            messages.error(request, str(refused))
            return redirect("accounts:member-list", slug)
        return redirect("web:home") if leaves else redirect("accounts:member-list", slug)
    context = _context(me) | {
        "form": form,
        "member": member,
        "leaves": leaves,
        "rights": rights_in_words(member),
        "invited": sum(item.invited_by_id == member.user_id for item in invitations.pending(me.account)),
    }
    return render(request, "accounts/member_remove.html", context)


@require_POST
def resend(request: HttpRequest, slug: str, invitation_id: UUID) -> HttpResponse:
    owner = _owner(request, slug)
    invitation = _find_invitation(owner, invitation_id)
    try:
        invitations.resend(invitation, actor=Actor.from_request(request))
        words = _("The invitation for %(email)s is sent again. The link in the mail before stopped working.")
        messages.success(request, words % {"email": invitation.email})
    except Refused as refused:
        messages.error(request, str(refused))
    return redirect("accounts:member-list", slug)


@require_POST
def cancel(request: HttpRequest, slug: str, invitation_id: UUID) -> HttpResponse:
    """Stopping must be quick: no code."""
    owner = _owner(request, slug)
    invitation = _find_invitation(owner, invitation_id)
    try:
        invitations.cancel(invitation, actor=Actor.from_request(request))
        messages.success(request, _("The invitation for %(email)s is cancelled.") % {"email": invitation.email})
    except Refused as refused:
        messages.error(request, str(refused))
    return redirect("accounts:member-list", slug)


def rights_in_words(place: Membership | Invitation) -> str:
    """What somebody may do with the account's keys, in a line."""
    verbs = {
        KeyPermission.VIEW: _("See"),
        KeyPermission.CREATE: _("create"),
        KeyPermission.UPDATE: _("change"),
        KeyPermission.DELETE: _("revoke"),
    }
    held = [verb for permission, verb in verbs.items() if permission in place.key_permissions]
    line = ", ".join(held)
    return line[:1].upper() + line[1:] if line else _("None")


def _owner(request: HttpRequest, slug: str) -> Membership:
    """Fetch with access. Raises Http404, PermissionDenied."""
    return owner_membership_for(_user(request), slug)


def _find(me: Membership, member_id: int) -> Membership:
    found = Membership.objects.select_related("account", "user").filter(account=me.account, pk=member_id).first()
    if found is None:
        raise Http404
    return found


def _find_invitation(owner: Membership, invitation_id: UUID) -> Invitation:
    found = Invitation.objects.select_related("account").filter(account=owner.account, pk=invitation_id).first()
    if found is None:
        raise Http404
    return found


def _context(membership: Membership) -> dict[str, object]:
    return {"nav": "members", "account": membership.account}


def _user(request: HttpRequest) -> User:
    user: User = request.user  # type: ignore[assignment]
    return user
