"""Set the second factor up, replace it, and make recovery codes."""

from __future__ import annotations

import segno
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts import audit, second_factor
from accounts.client_ip import client_ip
from accounts.forms import EnrolForm, RegenerateCodesForm, ReplaceAppForm
from accounts.models import User
from accounts.views.sign_in import complete, pending_user, safe_next


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
    if device is None:
        if second_factor.has_second_factor(user):
            return render(request, "accounts/second_factor.html", _status(user))
        device = second_factor.begin_enrolment(user)
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
            second_factor.begin_enrolment(user)
        return redirect("accounts:second-factor")
    return render(request, "accounts/second_factor_replace.html", {"form": form})


def _status(user: User) -> dict[str, object]:
    recovery = second_factor.recovery_device(user)
    return {
        "app": second_factor.confirmed_app(user),
        "codes_left": recovery.codes_left() if recovery else 0,
        "codes_total": second_factor.RECOVERY_CODES,
    }


def _enrolment(request: HttpRequest, device: TOTPDevice, form: EnrolForm) -> dict[str, object]:
    secret = second_factor.base32_secret(device)
    qr = segno.make(device.config_url, error="m", micro=False)
    return {
        "form": form,
        "next": safe_next(request),
        "qr_svg": qr.svg_inline(
            scale=4,
            border=0,
            svgclass="ph-qr",
            omitsize=True,
            lineclass=None,
            title="QR code for your authenticator app",
        ),
        "secret": secret,
        "secret_grouped": " ".join(secret[i : i + 4] for i in range(0, len(secret), 4)),
    }
