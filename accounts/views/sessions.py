"""Where a person is signed in, and how they end it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts import audit, sessions, user_agents
from accounts.models import User


@never_cache
@require_safe
def session_list(request: HttpRequest) -> HttpResponse:
    user: User = request.user  # type: ignore[assignment]
    sessions.forget_dead(user)
    current = request.session.session_key
    rows: list[dict[str, Any]] = [
        {
            "session": session,
            "words": user_agents.describe(session.user_agent),
            "hand_held": user_agents.is_hand_held(session.user_agent),
            "current": session.session_key == current,
        }
        for session in user.signed_in_sessions.all()
    ]
    rows.sort(key=lambda row: not row["current"])
    return render(request, "accounts/sessions.html", {"rows": rows, "others": any(not row["current"] for row in rows)})


@require_POST
def end_session(request: HttpRequest, session_id: UUID) -> HttpResponse:
    user: User = request.user  # type: ignore[assignment]
    chosen = list(user.signed_in_sessions.filter(pk=session_id).exclude(session_key=request.session.session_key or ""))
    if sessions.end(user, chosen, actor=audit.Actor.from_request(request)):
        messages.success(
            request, _("Signed out: %(browser)s.") % {"browser": user_agents.describe(chosen[0].user_agent)}
        )
    return redirect("accounts:sessions")


@require_POST
def end_other_sessions(request: HttpRequest) -> HttpResponse:
    user: User = request.user  # type: ignore[assignment]
    ended = sessions.end_others(user, request.session.session_key, actor=audit.Actor.from_request(request))
    words = ngettext("%(count)s other session was ended.", "%(count)s other sessions were ended.", ended)
    messages.success(request, words % {"count": ended})
    return redirect("accounts:sessions")
