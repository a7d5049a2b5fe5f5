from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpRequest, HttpResponseBase


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
            return None
        return self.handle_no_permission(request, view_func)
