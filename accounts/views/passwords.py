"""The password: changed by who is signed in, reset by who has the mailbox. The second factor stays."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import PasswordResetConfirmView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts import attempts, audit, passwords, sessions
from accounts.client_ip import client_ip, client_network
from accounts.forms import ChangePasswordForm, ForgottenPasswordForm, NewPasswordForm
from accounts.models import User

PASSWORD_PARAMETERS = ("current_password", "new_password", "new_password_again", "code")


@never_cache
@sensitive_post_parameters(*PASSWORD_PARAMETERS)
@require_http_methods(["GET", "HEAD", "POST"])
def change_password(request: HttpRequest) -> HttpResponse:
    user: User = request.user  # type: ignore[assignment]
    form = ChangePasswordForm(request.POST or None, request=request, user=user)
    if request.method == "POST" and form.is_valid():
        if not form.already_confirmed:
            before = request.session.session_key
            actor = audit.Actor.from_request(request, proof=form.proof)
            passwords.change(user, form.cleaned_data["new_password"], current=before, actor=actor)
            update_session_auth_hash(request, user)
            sessions.moved(before, request.session)
            messages.success(request, _("Your password was changed, and your other sessions have ended."))
        return redirect("accounts:password")
    return render(request, "accounts/password.html", {"form": form})


@login_not_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def forgotten_password(request: HttpRequest) -> HttpResponse:
    """Ask for a link. The answer is the same whether anybody has the address."""
    form = ForgottenPasswordForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        email = form.cleaned_data["email"].lower()
        if not attempts.RESETS_PER_ADDRESS.allow(client_network(request) or ""):
            answer = render(request, "accounts/password_reset_limited.html", status=429)
            answer["Retry-After"] = str(int(attempts.RESETS_PER_ADDRESS.window.total_seconds()))
            return answer
        # Past the limit no mail goes out, and nothing says so: a stranger must not be able to fill a mailbox.
        if attempts.RESETS_PER_EMAIL.allow(email):
            passwords.mail_reset_link(email)
        return render(request, "accounts/password_reset_sent.html", {"minutes": settings.PASSWORD_RESET_TIMEOUT // 60})
    return render(request, "accounts/password_forgotten.html", {"form": form})


@method_decorator([login_not_required, never_cache, sensitive_post_parameters(*PASSWORD_PARAMETERS)], name="dispatch")
class ResetLinkView(PasswordResetConfirmView):
    """The link of the mail. Django moves the token into the session at once, so that no address shows it any more."""

    form_class = NewPasswordForm  # type: ignore[assignment]
    template_name = "accounts/password_reset.html"
    success_url = reverse_lazy("accounts:sign-in")

    def form_valid(self, form: Any) -> HttpResponse:
        user: User = self.user  # type: ignore[assignment]
        actor = audit.Actor(name=user.name or user.email, via="web", user=user, address=client_ip(self.request))
        try:
            passwords.reset(user, form.cleaned_data["new_password"], actor=actor)
        except passwords.LinkUsed:
            self.validlink = False
            return self.render_to_response(self.get_context_data())
        self.request.session.flush()
        messages.success(self.request, _("Your password was changed. Sign in with it, and with your second factor."))
        return redirect("accounts:sign-in")
