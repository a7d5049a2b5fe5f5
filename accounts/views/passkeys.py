"""Passkeys: the ceremonies that the browser runs, and the pages that list, add, rename and remove them."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render, resolve_url
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import audit, passkeys, second_factor, step_up
from accounts.client_ip import client_ip
from accounts.forms import AddPasskeyForm, PasskeyCreateForm, PasskeyNameForm, RemovePasskeyForm
from accounts.models import User
from accounts.views.second_factor import keep_session
from accounts.views.sign_in import (
    MAY_ADD_PASSKEY_UNTIL,
    allow_adding_passkey,
    complete,
    may_add_passkey,
    pending_user,
    safe_next,
    signed_in,
)

PROOF = "passkey_proof"
REGISTRATION = "passkey_registration"


def actor_of(request: HttpRequest, user: User) -> audit.Actor:
    return audit.Actor(name=user.name or user.email, via="web", user=user, address=client_ip(request))


@login_not_required
@never_cache
@require_POST
def begin_proof(request: HttpRequest) -> JsonResponse:
    """What the browser needs to prove a passkey for one action of one form.

    Before sign-in is complete the only action is to sign in, and after it that is none. Which action counts is decided
    by the form that the grant is spent on: one that was begun for another action confirms nothing.
    """
    user = signed_in(request) or pending_user(request)
    action, nonce = request.POST.get("action", ""), request.POST.get("nonce", "")
    signing_in = action == "sign_in"
    if user is None or signing_in == (signed_in(request) is not None):
        return _refused(_("You are not signed in any more. Load the page again."), status=403)
    if not 0 < len(action) <= 60 or not 0 < len(nonce) <= 64:
        return _refused(_("This page is out of date. Load it again."))
    options, request.session[PROOF] = passkeys.begin(user, action=action, nonce=nonce)
    return JsonResponse(options)


@login_not_required
@never_cache
@sensitive_post_parameters("credential")
@sensitive_variables("credential")
@require_POST
def complete_proof(request: HttpRequest) -> JsonResponse:
    """Check what the browser signed, and write the grant that its form spends."""
    user = signed_in(request) or pending_user(request)
    state = request.session.pop(PROOF, None)
    if user is None:
        return _refused(_("You are not signed in any more. Load the page again."), status=403)
    try:
        passkey = passkeys.prove(user, state, request.POST.get("credential", ""), actor=actor_of(request, user))
    except passkeys.PasskeyRefused as refused:
        return _refused(str(refused))
    step_up.grant(user, passkey, action=state["action"], nonce=state["nonce"])
    return JsonResponse({"granted": True})


def _refused(detail: str, *, status: int = 400) -> JsonResponse:
    return JsonResponse({"detail": detail}, status=status)


@never_cache
@require_safe
def passkey_list(request: HttpRequest) -> HttpResponse:
    user: User = request.user  # type: ignore[assignment]
    context = {
        "passkeys": list(passkeys.passkeys_of(user)),
        "app": second_factor.confirmed_app(user),
        "most": passkeys.MAX_PASSKEYS,
    }
    return render(request, "accounts/passkeys.html", context)


@never_cache
@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def add_passkey(request: HttpRequest) -> HttpResponse:
    """The step-up before a passkey is added."""
    user: User = request.user  # type: ignore[assignment]
    form = AddPasskeyForm(request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        if not form.already_confirmed:
            allow_adding_passkey(request)
        return redirect("accounts:passkey-create")
    return render(request, "accounts/passkey_add.html", {"form": form})


@login_not_required
@never_cache
@sensitive_post_parameters("credential")
@sensitive_variables("codes")
@require_http_methods(["GET", "HEAD", "POST"])
def create_passkey(request: HttpRequest) -> HttpResponse:
    """The browser's part of adding a passkey. Who had no second factor gets their recovery codes then."""
    user = may_add_passkey(request)
    if user is None:
        return redirect("accounts:passkey-add" if signed_in(request) else "accounts:sign-in")
    form = PasskeyCreateForm(request.POST or None)
    first_time = not second_factor.has_second_factor(user)
    if request.method == "POST" and form.is_valid():
        name, credential = form.cleaned_data["name"], form.cleaned_data["credential"]
        state = request.session.pop(REGISTRATION, None)
        actor = actor_of(request, user)
        try:
            passkey = passkeys.register(user, state, credential, name=name, actor=actor)
        except passkeys.PasskeyRefused as refused:
            form.add_error(None, str(refused))
        else:
            request.session.pop(MAY_ADD_PASSKEY_UNTIL, None)
            if not first_time:
                messages.success(request, _("“%(name)s” was added.") % {"name": name})
                return redirect("accounts:passkeys")
            next_url = safe_next(request) or resolve_url("web:home")
            complete(request, user, passkey)
            codes = second_factor.make_recovery_codes(user, actor=actor)
            return render(request, "accounts/recovery_codes.html", {"codes": codes, "next": next_url, "enrolled": True})
    context = {"form": form, "first_time": first_time, "next": safe_next(request)}
    return render(request, "accounts/passkey_create.html", context)


@login_not_required
@never_cache
@require_POST
def begin_registration(request: HttpRequest) -> JsonResponse:
    """What the browser needs to make a passkey."""
    user = may_add_passkey(request)
    if user is None:
        return _refused(_("That took too long. Load the page again."), status=403)
    options, request.session[REGISTRATION] = passkeys.begin_registration(user)
    return JsonResponse(options)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def rename_passkey(request: HttpRequest, passkey_id: int) -> HttpResponse:
    user: User = request.user  # type: ignore[assignment]
    passkey = get_object_or_404(passkeys.passkeys_of(user), pk=passkey_id)
    form = PasskeyNameForm(request.POST or None, initial={"name": passkey.name})
    if request.method == "POST" and form.is_valid():
        passkeys.rename(passkey, form.cleaned_data["name"], actor=audit.Actor.from_request(request))
        return redirect("accounts:passkeys")
    return render(request, "accounts/passkey_rename.html", {"form": form, "passkey": passkey})


@never_cache
@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def remove_passkey(request: HttpRequest, passkey_id: int) -> HttpResponse:
    user: User = request.user  # type: ignore[assignment]
    passkey = passkeys.passkeys_of(user).filter(pk=passkey_id).first()
    if passkey is None:
        if request.method == "POST":  # a double click
            return redirect("accounts:passkeys")
        raise Http404
    only = not second_factor.has_another(user, passkey)
    form = RemovePasskeyForm(None if only else request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        if not form.already_confirmed:
            try:
                second_factor.remove_passkey(user, passkey, actor=audit.Actor.from_request(request, proof=form.proof))
            except second_factor.LastFactor:  # the other one went while this page was open
                return redirect("accounts:passkey-remove", passkey_id)
            messages.success(request, _("“%(name)s” was removed.") % {"name": passkey.name})
            keep_session(request, user, removed=passkey.persistent_id)
        return redirect("accounts:passkeys")
    return render(request, "accounts/passkey_remove.html", {"form": form, "passkey": passkey, "only": only})
