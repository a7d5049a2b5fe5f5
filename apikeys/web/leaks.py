"""Where leaked keys are handed in: by anybody on a page, and by GitHub's secret scanning."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from django import forms
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST

from accounts.attempts import Limit
from accounts.audit import Actor
from accounts.client_ip import client_ip, client_network
from apikeys import leaks, registered
from apikeys.integrations import github

REPORTS = Limit("leak-report", 20, timedelta(hours=1))
GITHUB_FAILURES = Limit("github-leaks", 60, timedelta(minutes=1))
#: When a report that met too many verifications may come again.
BUSY_SECONDS = 10


class ReportLeakForm(forms.Form):
    found = forms.CharField(
        label=gettext_lazy("What you found"),
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 5, "autocomplete": "off", "spellcheck": "false"}),
        help_text=gettext_lazy("The whole key, or the text around it. What is no key of ours is not kept."),
        error_messages={"required": gettext_lazy("Paste the key that you found.")},
    )
    url = forms.URLField(
        label=gettext_lazy("Where you found it"),
        required=False,
        max_length=leaks.URL_LENGTH,
        assume_scheme="https",
        help_text=gettext_lazy("The key’s owners are told this address."),
    )


@login_not_required
@never_cache
@sensitive_post_parameters("found")
@sensitive_variables("form", "hits")
@require_http_methods(["GET", "HEAD", "POST"])
def report_leak(request: HttpRequest) -> HttpResponse:
    """Anybody who found a key hands it in. It stops at once, and nothing tells whose it is."""
    form = ReportLeakForm(request.POST or None)
    if request.method != "POST" or not form.is_valid():
        return render(request, "apikeys/report_leak.html", {"form": form})
    if not REPORTS.allow(client_network(request) or ""):
        answer = render(request, "apikeys/report_leak_limited.html", status=429)
        answer["Retry-After"] = str(int(REPORTS.window.total_seconds()))
        return answer
    actor = Actor(name="Leak report page", via="leak", address=client_ip(request))
    try:
        hits = leaks.hand_in(
            form.cleaned_data["found"], actor=actor, source="Leak report page", url=form.cleaned_data["url"]
        )
    except registered.Busy:
        form.add_error("found", _("Many keys are being checked right now. Hand it in again in a few seconds."))
        return render(request, "apikeys/report_leak.html", {"form": form}, status=503)
    done = Counter(hit.done == leaks.STOPPED_BEFORE for hit in hits)
    context = {"stopped": done[False], "before": done[True]}
    return render(request, "apikeys/report_leak_done.html", context)


@login_not_required
@csrf_exempt  # signed over its raw body, and no browser's
@never_cache
@sensitive_variables("body")
@require_POST
def github_secret_scanning(request: HttpRequest) -> HttpResponse:
    """GitHub's findings, signed. 403 for what it did not sign, 503 while its public keys can't be had."""
    who = client_network(request) or ""
    body = request.read(github.MAX_BODY + 1)
    if len(body) > github.MAX_BODY:
        return _says(413, f"At most {github.MAX_BODY:,} bytes.")
    identifier = request.headers.get("Github-Public-Key-Identifier", "")
    signature = request.headers.get("Github-Public-Key-Signature", "")
    try:
        signed = bool(identifier and signature) and github.is_signed(body, identifier, signature)
    except github.KeysUnavailable:
        answer = _says(503, "GitHub's public keys can't be had just now. Try again.")
        answer["Retry-After"] = str(int(github.RETRY_SECONDS))
        return answer
    if not signed:
        if not GITHUB_FAILURES.allow(who):
            return _says(429, "Too many requests that GitHub did not sign.")
        return _says(403, "The signature does not fit: GitHub's public key signs the raw body.")
    try:
        return JsonResponse(github.take(body, address=client_ip(request)), safe=False)
    except github.BadReport as bad:
        return _says(400, str(bad))
    except registered.Busy:
        answer = _says(503, "Too many keys are being checked right now. Send the same report again.")
        answer["Retry-After"] = str(BUSY_SECONDS)
        return answer


def _says(status: int, detail: str) -> JsonResponse:
    return JsonResponse({"detail": detail}, status=status)
