"""Set the second factor up, replace it, and make recovery codes."""

from __future__ import annotations

import segno
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST
from django_otp import DEVICE_ID_SESSION_KEY
from django_otp import login as otp_login
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts import audit, second_factor
from accounts.client_ip import client_ip
from accounts.forms import EnrolForm, RegenerateCodesForm, RemoveAppForm, ReplaceAppForm
from accounts.models import User
from accounts.passkeys import passkeys_of
from accounts.views.sign_in import SETTING_UP_APP, begin_app, complete, may_add_passkey, pending_user, safe_next


def current_person(request: HttpRequest) -> User | None:
    """The signed-in person, or one whose password was right and who has no second factor yet."""
    if request.user.is_authenticated and request.user.is_verified():
        return request.user
    user = pending_user(request)
    return user if user is not None and not second_factor.has_second_factor(user) else None


@login_not_required
@never_cache
@sensitive_post_parameters("code")
@sensitive_variables("device", "codes")
@require_http_methods(["GET", "HEAD", "POST"])
def second_factor_page(request: HttpRequest) -> HttpResponse:
    """Enrolment for who has no app, or is replacing theirs; otherwise what is set up."""
    user = current_person(request)
    if user is None:
        return redirect("accounts:sign-in")
    device = second_factor.pending_enrolment(user)
    # One that another session set up is not this one's to see: its step-up, or its visitor, was another.
    if device is None or device.pk != request.session.get(SETTING_UP_APP):
        if second_factor.has_second_factor(user):
            return render(request, "accounts/second_factor.html", _status(user))
        device = begin_app(request, user)
    form = EnrolForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        actor = audit.Actor(name=user.name or user.email, via="web", user=user, address=client_ip(request))
        first_time = not second_factor.has_second_factor(user)
        try:
            confirmed = second_factor.confirm_enrolment(user, form.cleaned_data["code"], actor=actor)
        except second_factor.CodeRefused as refused:
            form.add_error("code", str(refused))
        else:
            next_url = safe_next(request) or resolve_url("web:home")
            complete(request, user, confirmed)
            if not first_time:
                return redirect("accounts:second-factor")
            codes = second_factor.make_recovery_codes(user, actor=actor)
            return render(request, "accounts/recovery_codes.html", {"codes": codes, "next": next_url, "enrolled": True})
    return render(request, "accounts/second_factor_enrol.html", _enrolment(request, device, form))


@never_cache
@sensitive_post_parameters("code")
@sensitive_variables("codes")
@require_http_methods(["GET", "HEAD", "POST"])
def recovery_codes(request: HttpRequest) -> HttpResponse:
    """New recovery codes in place of the old, after a step-up."""
    user: User = request.user  # type: ignore[assignment]
    form = RegenerateCodesForm(request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        if form.already_confirmed:
            return redirect("accounts:second-factor")
        codes = second_factor.make_recovery_codes(user, actor=audit.Actor.from_request(request, proof=form.proof))
        context = {"codes": codes, "next": resolve_url("accounts:second-factor"), "enrolled": False}
        return render(request, "accounts/recovery_codes.html", context)
    return render(request, "accounts/recovery_codes_confirm.html", {"form": form, **_status(user)})


@never_cache
@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def replace_app(request: HttpRequest) -> HttpResponse:
    """Begin the set-up of another app, after a step-up with the old one or a recovery code."""
    user: User = request.user  # type: ignore[assignment]
    form = ReplaceAppForm(request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        if not form.already_confirmed:
            begin_app(request, user)
        return redirect("accounts:second-factor")
    return render(request, "accounts/second_factor_replace.html", {"form": form})


@require_POST
def cancel_enrolment(request: HttpRequest) -> HttpResponse:
    """Leave the set-up of another app."""
    user: User = request.user  # type: ignore[assignment]
    second_factor.cancel_enrolment(user)
    return redirect("accounts:second-factor")


@never_cache
@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def remove_app(request: HttpRequest) -> HttpResponse:
    """Go without an app, for who has a passkey."""
    user: User = request.user  # type: ignore[assignment]
    app = second_factor.confirmed_app(user)
    if app is None:
        return redirect("accounts:second-factor")
    only = not second_factor.has_another(user, app)
    form = RemoveAppForm(None if only else request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        if not form.already_confirmed:
            try:
                second_factor.remove_app(user, actor=audit.Actor.from_request(request, proof=form.proof))
            except second_factor.LastFactor:  # the last passkey went while this page was open
                return redirect("accounts:second-factor-remove")
            messages.success(request, _("Your authenticator app was removed."))
            keep_session(request, user, removed=app.persistent_id)
        return redirect("accounts:second-factor")
    return render(request, "accounts/second_factor_remove.html", {"form": form, "only": only})


def keep_session(request: HttpRequest, user: User, *, removed: str) -> None:
    """Let the session go on that was opened with the factor just removed: its person has proved themselves again."""
    if request.session.get(DEVICE_ID_SESSION_KEY) == removed:
        otp_login(request, second_factor.confirmed_app(user) or passkeys_of(user).first())


def _status(user: User) -> dict[str, object]:
    recovery = second_factor.recovery_device(user)
    return {
        "app": second_factor.confirmed_app(user),
        "codes_left": recovery.codes_left() if recovery else 0,
        "passkeys": list(passkeys_of(user)),
        "codes_total": second_factor.RECOVERY_CODES,
    }


def _enrolment(request: HttpRequest, device: TOTPDevice, form: EnrolForm) -> dict[str, object]:
    secret = second_factor.base32_secret(device)
    qr = segno.make(device.config_url, error="m", micro=False)
    return {
        "form": form,
        "first_time": not second_factor.has_second_factor(device.user),
        "may_add_passkey": may_add_passkey(request) is not None,
        "next": safe_next(request),
        "qr_svg": qr.svg_inline(
            scale=4,
            border=0,
            svgclass="ph-qr",
            omitsize=True,
            lineclass=None,
            title=_("QR code for your authenticator app"),
        ),
        "secret": secret,
        "secret_grouped": " ".join(secret[i : i + 4] for i in range(0, len(secret), 4)),
    }
