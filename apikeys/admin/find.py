"""Find by secret: keys, by a secret or a piece of one that somebody found. It is posted, compared and forgotten."""

from __future__ import annotations

from django import forms
from django.contrib.admin import ModelAdmin
from django.contrib.admin.widgets import AdminTextareaWidget
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods

from accounts.admin_pages import page_context
from apikeys import registered, secret_search
from apikeys.admin.filters import STATUS_WORDS
from apikeys.admin.links import url_of
from apikeys.admin.reveal import no_store
from apikeys.models import ApiKey

LONGEST = 100_000


class Secretive(AdminTextareaWidget):
    """Never prints what was typed."""

    def format_value(self, value: object) -> None:
        return None


class FindForm(forms.Form):
    text = forms.CharField(
        label="Secret, or text that holds some",
        max_length=LONGEST,
        widget=Secretive(attrs={"rows": 6, "autocomplete": "off", "spellcheck": "false"}),
        help_text="A whole secret, its beginning, a mask, or a log line, mail or gist with several in it.",
        error_messages={
            "required": "Paste a secret, or text that holds one.",
            "max_length": f"At most {LONGEST:,} characters. Cut out the part that matters.",
        },
    )


@sensitive_post_parameters("text")
@sensitive_variables()
@require_http_methods(["GET", "HEAD", "POST"])
def find(request: HttpRequest, *, model_admin: ModelAdmin) -> HttpResponse:
    """Answer with what was found, in the same response: an address must not hold any of it."""
    form = FindForm(request.POST if request.method == "POST" else None)
    found = None
    if form.is_valid():
        try:
            found = secret_search.find(form.cleaned_data["text"])
        except registered.Busy:
            form.add_error("text", "Many old keys are being checked right now. Try again in a few seconds.")
    may_revoke = request.user.has_perm("apikeys.revoke_apikey")
    context = page_context(
        model_admin,
        request,
        title="Find by secret",
        form=form,
        found=found,
        most=secret_search.MOST,
        pieces=[(piece, [_row(match.key, may_revoke, match) for match in piece.matches]) for piece in found.pieces]
        if found
        else [],
        registered=[_row(key, may_revoke) for key in found.registered] if found else [],
    )
    return no_store(render(request, "admin/apikeys/find.html", context))


def _row(key: ApiKey, may_revoke: bool, match: secret_search.Match | None = None) -> dict[str, object]:
    return {
        "key": key,
        "match": match,
        "used_at": key.last_used.last_used_at if key.last_used else None,
        "status": key.status,
        "status_words": STATUS_WORDS[key.status],
        "url": url_of(key),
        "revoke_url": url_of(key, "revoke") if may_revoke and key.revoked_at is None else "",
    }
