from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, resolve_url
from django.views.decorators.http import require_POST

from accounts.models import User
from accounts.views.sign_in import safe_next


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Remember light, dark or the system's theme for this person."""
    chosen = request.POST.get("theme", "")
    if chosen in User.Theme.values:
        user: User = request.user  # type: ignore[assignment]
        user.theme = chosen
        user.save(update_fields=["theme"])
    return redirect(safe_next(request) or resolve_url("web:home"))
