"""Sign in with e-mail and password, then a second factor; sign out.

Nobody is signed in on a password alone: between the two steps the session only remembers whose password was right.
"""

from __future__ import annotations

import math
import time
from datetime import timedelta
from typing import Any

from axes.models import AccessAttempt
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import BACKEND_SESSION_KEY, login, logout
from django.contrib.auth.decorators import login_not_required
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.crypto import constant_time_compare
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST
from django_otp import login as otp_login
from django_otp.models import Device
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts import second_factor, sessions
from accounts.client_ip import client_network
from accounts.forms import CodeForm, LostDeviceForm, SignInForm
from accounts.models import RecoveryDevice, User

PENDING = "sign_in_pending"
PENDING_SECONDS = 10 * 60
#: Until when this session may run the browser's part of adding a passkey: set by a step-up, or a recovery.
MAY_ADD_PASSKEY_UNTIL = "passkey_may_add_until"
MAY_ADD_PASSKEY_SECONDS = 10 * 60
#: The app that this session sets up: no other session sees its seed, or turns it on.
SETTING_UP_APP = "setting_up_app"


def safe_next(request: HttpRequest) -> str:
    """Return the page that the person was on the way to, if it is one of ours; else an empty string.

    Ours start with a slash. What does not could be taken for the name of a route where it is redirected to.
    """
    target = request.POST.get("next") or request.GET.get("next") or ""
    allowed = url_has_allowed_host_and_scheme(
        target, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return target if allowed and target.startswith("/") else ""


def pending_user(request: HttpRequest) -> User | None:
    """Return whose password was right in this session, in the last ten minutes."""
    pending = request.session.get(PENDING)
    if not pending or time.time() - pending["at"] > PENDING_SECONDS:
        return None
    user = User.objects.filter(pk=pending["user"], is_active=True).first()
    if user is None or not constant_time_compare(pending["auth_hash"], user.get_session_auth_hash()):
        return None
    return user


def remember_pending(request: HttpRequest, user: User) -> None:
    request.session.flush()
    request.session[PENDING] = {
        "user": user.pk,
        "at": time.time(),
        "auth_hash": user.get_session_auth_hash(),
        "backend": getattr(user, "backend", "django.contrib.auth.backends.ModelBackend"),
    }


def allow_adding_passkey(request: HttpRequest) -> None:
    """A second factor was proved just now, to add a passkey with."""
    request.session[MAY_ADD_PASSKEY_UNTIL] = time.time() + MAY_ADD_PASSKEY_SECONDS


def begin_app(request: HttpRequest, user: User) -> TOTPDevice:
    """Begin the set-up of an app in this session: the person has none, or proved a second factor just now."""
    device = second_factor.begin_enrolment(user)
    request.session[SETTING_UP_APP] = device.pk
    return device


def signed_in(request: HttpRequest) -> User | None:
    """Return who is signed in with both factors."""
    return request.user if request.user.is_authenticated and request.user.is_verified() else None


def may_add_passkey(request: HttpRequest) -> User | None:
    """Return who may add a passkey now: after a step-up, or somebody who has no second factor yet."""
    user = signed_in(request)
    if user is not None:
        return user if time.time() < request.session.get(MAY_ADD_PASSKEY_UNTIL, 0) else None
    user = pending_user(request)
    return user if user is not None and not second_factor.has_second_factor(user) else None


def complete(request: HttpRequest, user: User, device: Device) -> None:
    """Sign ``user`` in, verified by ``device``, under a new session key."""
    backend = request.session.get(PENDING, {}).get("backend", request.session.get(BACKEND_SESSION_KEY))
    sessions.left(request.session)
    request.session.flush()
    login(request, user, backend=backend)
    otp_login(request, device)
    sessions.begin(request, user)


@login_not_required
@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    next_url = safe_next(request)
    if request.user.is_authenticated and request.user.is_verified():
        return redirect(next_url or resolve_url("web:home"))
    form = SignInForm(request.POST or None, request=request)
    if request.method == "POST" and form.is_valid() and form.user is not None:
        remember_pending(request, form.user)
        step = "accounts:sign-in-code" if second_factor.has_second_factor(form.user) else "accounts:second-factor"
        query = f"?{urlencode({'next': next_url})}" if next_url else ""
        return redirect(resolve_url(step) + query)
    return render(request, "accounts/sign_in.html", {"form": form, "next": next_url})


@login_not_required
@never_cache
@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in_code(request: HttpRequest) -> HttpResponse:
    next_url = safe_next(request)
    user = pending_user(request)
    if user is None or not second_factor.has_second_factor(user):
        return redirect("accounts:sign-in")
    form = CodeForm(request.POST or None, user=user, action="sign_in")
    if request.method == "POST" and form.is_valid():
        complete(request, user, form.device)
        if isinstance(form.device, RecoveryDevice):
            messages.warning(
                request,
                _(
                    "You signed in with a recovery code. Is your phone or key lost? "
                    "Set up another one in your user menu."
                ),
            )
        return redirect(next_url or resolve_url("web:home"))
    return render(request, "accounts/sign_in_code.html", {"form": form, "next": next_url, "person": user})


@login_not_required
@never_cache
@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def lost_device(request: HttpRequest) -> HttpResponse:
    """Sign in with a recovery code when the phone or the key is lost, and go on to set another one up.

    One code confirms both, and the form says so: its action is to recover, and begins the set-up.
    """
    user = pending_user(request)
    if user is None or not second_factor.has_second_factor(user):
        return redirect("accounts:sign-in")
    form = LostDeviceForm(request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        complete(request, user, form.device)
        begin_app(request, user)
        allow_adding_passkey(request)
        messages.info(
            request,
            _("You are signed in. Now set up another second factor; the lost one works until you have."),
        )
        return redirect("accounts:second-factor")
    return render(request, "accounts/lost_device.html", {"form": form, "person": user})


def locked_out(request: HttpRequest, original: HttpResponse | None, credentials: Any) -> HttpResponse:
    """What django-axes answers with after too many wrong passwords. Says the same of addresses that nobody has."""
    wait = lockout_left((credentials or {}).get("username") or "", client_network(request))
    minutes = max(1, math.ceil(wait.total_seconds() / 60))
    response = render(request, "accounts/locked_out.html", {"minutes": minutes}, status=429)
    response["Retry-After"] = str(max(1, math.ceil(wait.total_seconds())))
    add_never_cache_headers(response)
    return response


def lockout_left(email: str, address: str | None) -> timedelta:
    """How long the lock on ``email`` from ``address``, a client_network(), lasts yet."""
    attempts = AccessAttempt.objects.filter(username=email, ip_address=address)
    latest = attempts.aggregate(latest=Max("attempt_time"))["latest"] or timezone.now()
    left: timedelta = latest + settings.AXES_COOLOFF_TIME - timezone.now()
    return left


@login_not_required
@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    next_url = safe_next(request)
    sessions.left(request.session)
    logout(request)
    return redirect(next_url or resolve_url("accounts:sign-in"))
