"""The account's custom roles: the list, and the pages that make, change, copy and delete one."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from accounts.access import membership_for
from accounts.audit import Actor
from accounts.changes import Refused
from accounts.models import KeyPermission, Membership, User
from apikeys import roles
from apikeys.models import Role
from apikeys.role_forms import DeleteRoleForm, RoleForm
from apikeys.web.previewed import PREVIEW, PreviewedForm
from apikeys.web.summary import abilities, in_words


class RolePageForm(PreviewedForm, RoleForm):
    pass


@dataclass(frozen=True)
class Row:
    """A role in the list, with why it can't be edited or deleted, if it can't."""

    role: Role
    words: str
    in_use: int
    revoked: int
    keys_query: str
    not_edited: str
    fixed: str
    kept: str


@require_safe
def role_list(request: HttpRequest, slug: str) -> HttpResponse:
    membership = membership_for(_user(request), slug, KeyPermission.VIEW)
    context = _context(membership) | {
        "may_change": membership.key_permissions.issuperset(roles.RIGHTS),
        "rows": [_row(membership, role) for role in roles.of_account(membership.account)],
    }
    return render(request, "apikeys/role_list.html", context)


@never_cache
@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def create(request: HttpRequest, slug: str) -> HttpResponse:
    return _create(request, membership_for(_user(request), slug, *roles.RIGHTS), None)


@never_cache
@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def clone(request: HttpRequest, slug: str, role_id: UUID) -> HttpResponse:
    """A new role that begins as a copy."""
    return _create(request, *_find(request, slug, role_id))


@never_cache
@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, slug: str, role_id: UUID) -> HttpResponse:
    membership, role = _find(request, slug, role_id)
    if reason := roles.why_beyond(role.permissions, membership):
        messages.error(request, _("“%(role)s” can’t be edited by you. %(reason)s") % {"role": role, "reason": reason})
        return redirect("web:role-list", slug)
    form = _form(request, membership, role=role)
    if request.method == "POST" and not form.preview and form.is_valid():
        try:
            if form.proof is not None:
                actor = Actor.from_request(request, proof=form.proof)
                role = roles.edit(role, actor=actor, **form.fields_of_role(form.cleaned_data))
                messages.success(request, _("“%(role)s” is saved.") % {"role": role})
        except Refused as refused:
            # Something changed between the form's check and the writing, such as a key that has the role now.
            form.refuse(refused)
            form.renew()
        else:
            return redirect("web:role-list", slug)
    return _render_form(request, membership, form, {"role": role, "in_use": roles.keys_in_use(role)})


@never_cache
@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, slug: str, role_id: UUID) -> HttpResponse:
    membership, role = _find(request, slug, role_id)
    if reason := roles.why_kept(role.keys.count()):
        messages.error(request, reason)
        return redirect("web:role-list", slug)
    form = DeleteRoleForm(request.POST or None, user=membership.user)
    if request.method == "POST" and form.is_valid():
        try:
            if form.proof is not None:
                roles.delete(role, actor=Actor.from_request(request, proof=form.proof))
                messages.success(request, _("“%(role)s” is deleted.") % {"role": role})
        except Refused as refused:
            messages.error(request, str(refused))
        return redirect("web:role-list", slug)
    context = _context(membership) | {"role": role, "words": in_words(role.permissions), "form": form}
    return render(request, "apikeys/role_delete.html", context)


def _create(request: HttpRequest, membership: Membership, source: Role | None) -> HttpResponse:
    account = membership.account
    form = _form(request, membership, source=source)
    if request.method == "POST" and not form.preview and form.is_valid():
        try:
            if form.proof is not None:
                actor = Actor.from_request(request, proof=form.proof)
                fields = form.fields_of_role(form.cleaned_data)
                role = roles.create(account, actor=actor, cloned_from=source, **fields)
                done = _("“%(role)s” is created. Choose it as the access level of a new key.")
                messages.success(request, done % {"role": role})
        except Refused as refused:
            form.refuse(refused)
            form.renew()
        else:
            return redirect("web:role-list", account.slug)
    return _render_form(request, membership, form, {"source": source})


def _form(
    request: HttpRequest, membership: Membership, *, role: Role | None = None, source: Role | None = None
) -> RolePageForm:
    return RolePageForm(
        request.POST if request.method == "POST" else None,
        preview=PREVIEW in request.POST,
        user=membership.user,
        account=membership.account,
        actor=Actor.from_request(request),
        giver=membership,
        role=role,
        source=source,
    )


def _render_form(
    request: HttpRequest, membership: Membership, form: RolePageForm, context: dict[str, object]
) -> HttpResponse:
    ticked = roles.in_force(form.ticked, membership.account)
    context |= _context(membership) | {"form": form, "summary": abilities(ticked) if ticked else []}
    return render(request, "apikeys/role_form.html", context)


def _row(membership: Membership, role: Role) -> Row:
    in_use, used = role.in_use, role.used  # type: ignore[attr-defined]
    return Row(
        role=role,
        words=in_words(role.permissions),
        in_use=in_use,
        revoked=used - in_use,
        keys_query=urlencode({"status": "all", "level": roles.name_level(role)}),
        not_edited=roles.why_beyond(role.permissions, membership),
        fixed=roles.why_fixed(membership.account, in_use),
        kept=roles.why_kept(used),
    )


def _find(request: HttpRequest, slug: str, role_id: UUID) -> tuple[Membership, Role]:
    """Fetch with access. Raises Http404, PermissionDenied."""
    membership = membership_for(_user(request), slug, *roles.RIGHTS)
    role = Role.objects.filter(account=membership.account, pk=role_id).first()
    if role is None:
        raise Http404
    return membership, role


def _context(membership: Membership) -> dict[str, object]:
    return {"nav": "roles", "account": membership.account}


def _user(request: HttpRequest) -> User:
    user: User = request.user  # type: ignore[assignment]
    return user
