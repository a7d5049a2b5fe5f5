from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.audit import Actor
from accounts.locale import is_spoken
from accounts.models import User
from accounts.preference_forms import PreferencesForm
from accounts.preferences import change
from accounts.views.sign_in import safe_next


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def preferences(request: HttpRequest) -> HttpResponse:
    """A person's name, language, time zone and theme."""
    user: User = request.user  # type: ignore[assignment]
    form = PreferencesForm(request.POST if request.method == "POST" else None, user=user)
    if request.method == "POST" and form.is_valid():
        change(user, actor=Actor.from_request(request), **form.cleaned_data)
        response = redirect("accounts:preferences")
        if user.language:
            translation.activate(user.language)
            _remember_language(response, user.language)
        messages.success(request, _("Your preferences are saved."))
        return response
    return render(request, "accounts/preferences.html", {"form": form})


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Remember light, dark or the system's theme for this person."""
    chosen = request.POST.get("theme", "")
    if chosen in User.Theme.values:
        user: User = request.user  # type: ignore[assignment]
        user.theme = chosen
        user.save(update_fields=["theme"])
    return redirect(safe_next(request) or resolve_url("web:home"))


@login_not_required
@require_POST
def language(request: HttpRequest) -> HttpResponse:
    """Remember a language in this browser, for the pages before somebody is signed in."""
    response = redirect(safe_next(request) or resolve_url("accounts:sign-in"))
    chosen = request.POST.get("language", "")
    if is_spoken(chosen):
        _remember_language(response, chosen)
    return response


def _remember_language(response: HttpResponse, chosen: str) -> None:
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        chosen,
        max_age=settings.LANGUAGE_COOKIE_AGE,
        secure=settings.LANGUAGE_COOKIE_SECURE,
        httponly=settings.LANGUAGE_COOKIE_HTTPONLY,
        samesite="Lax",
    )
