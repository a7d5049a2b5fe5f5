from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.shortcuts import render

from accounts import sessions, step_up, switcher


class StepUpSessionMiddleware:
    """While a request is answered, its session is the one whose grants confirm forms."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with step_up.within(request.session):
            return self.get_response(request)


class VerifiedLoginRequiredMiddleware(LoginRequiredMiddleware):
    """Every page is for people who proved a second factor, unless its view says ``login_not_required``."""

    def process_view(
        self,
        request: HttpRequest,
        view_func: Callable[..., HttpResponseBase],
        view_args: Any,
        view_kwargs: Any,
    ) -> HttpResponseBase | None:
        if not getattr(view_func, "login_required", True):
            return None
        if request.user.is_authenticated and request.user.is_verified():
            sessions.seen(request)
            return None
        return self.handle_no_permission(request, view_func)


def explain_not_allowed(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Say on a page what Django answers with a blank one: who opens the address of a button sees what to do."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if not isinstance(response, HttpResponseNotAllowed) or response.content:
            return response
        page = render(request, "405.html", status=405)
        page["Allow"] = response["Allow"]
        return page

    return middleware


def remember_account(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Note in a cookie in which account somebody is working: the home page leads them back there.

    It holds the account's name in web addresses and opens nothing: every page asks for the membership.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        match = request.resolver_match
        slug = match.kwargs.get("slug") if match is not None and match.route.startswith("a/") else None
        if slug and response.status_code == 200 and request.COOKIES.get(switcher.LAST_ACCOUNT) != slug:
            response.set_cookie(
                switcher.LAST_ACCOUNT,
                slug,
                max_age=switcher.LAST_ACCOUNT_SECONDS,
                secure=settings.SESSION_COOKIE_SECURE,
                httponly=True,
                samesite="Lax",
            )
        return response

    return middleware
