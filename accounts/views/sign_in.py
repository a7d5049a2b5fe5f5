"""Sign in with e-mail and password, then a second factor; sign out.

Nobody is signed in on a password alone: between the two steps the session only remembers whose password was right.
"""

from __future__ import annotations

import time

from django.contrib.auth import BACKEND_SESSION_KEY, login, logout
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.utils.crypto import constant_time_compare
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST
from django_otp import login as otp_login
from django_otp.models import Device

from accounts import second_factor
from accounts.forms import CodeForm, SignInForm
from accounts.models import User

PENDING = "sign_in_pending"
PENDING_SECONDS = 10 * 60


def safe_next(request: HttpRequest) -> str:
    """Return the page that the person was on the way to, if it is one of ours; else an empty string."""
    target = request.POST.get("next") or request.GET.get("next") or ""
    allowed = url_has_allowed_host_and_scheme(
        target, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return target if allowed else ""


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


def complete(request: HttpRequest, user: User, device: Device) -> None:
    """Sign ``user`` in, verified by ``device``, under a new session key."""
    backend = request.session.get(PENDING, {}).get("backend", request.session.get(BACKEND_SESSION_KEY))
    request.session.flush()
    login(request, user, backend=backend)
    otp_login(request, device)


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
        return redirect(next_url or resolve_url("web:home"))
    return render(request, "accounts/sign_in_code.html", {"form": form, "next": next_url, "person": user})


@login_not_required
@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return redirect("accounts:sign-in")
