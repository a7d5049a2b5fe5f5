"""Explain a request, for staff: by a pasted secret or a chosen key, support keys among them. Nothing changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib.admin import ModelAdmin
from django.contrib.admin.helpers import AdminForm
from django.contrib.admin.widgets import AdminTextInputWidget
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods

from accounts.admin_pages import page_context
from apikeys import explain
from apikeys.admin.links import url_of
from apikeys.authentication import endpoints
from apikeys.explain import Explanation
from apikeys.explain_form import ExplainForm
from apikeys.explained import describe
from apikeys.models import ApiKey

#: What a link may fill in. Never a secret.
PREFILLED = ("key", "method", "path", "address")


class StaffExplainForm(ExplainForm):
    """A request with a pasted secret, whosoever it is, or with the newest secret of a chosen key."""

    key = forms.CharField(
        label="Key ID",
        max_length=20,
        required=False,
        widget=AdminTextInputWidget({"autocomplete": "off", "spellcheck": "false", "placeholder": "key_…"}),
        help_text="In place of a secret: the request is taken to come with the newest one of this key.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields[
            "secret"
        ].help_text = "The whole string, without “Bearer”. It is compared, kept nowhere and never shown again."
        for name in ("path", "address"):
            attrs = self.fields[name].widget.attrs
            css = "vTextField ph-explained-path" if name == "path" else "vTextField"
            self.fields[name].widget = AdminTextInputWidget(attrs | {"class": css})
        self.fields["secret"].widget.attrs["class"] = "vLargeTextField"

    def clean_key(self) -> ApiKey | None:
        key_id: str = self.cleaned_data["key"]
        if not key_id:
            return None
        key = _keys().filter(key_id=key_id).first()
        if key is None:
            raise forms.ValidationError("There is no key of this ID. It begins with “key_”, and stands on its page.")
        return key

    @sensitive_variables("data")
    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.errors:
            return data
        key: ApiKey | None = data["key"]
        if not data["secret"] and key is None:
            self.add_error("secret", "Paste a secret, or give a key’s ID.")
        elif data["secret"]:
            presented = explain.present(data["secret"]) if key is None else self.present_secret_of(key)
            if presented is not None:
                self.presented = presented
        elif key is not None and (secret := explain.newest_secret(key)) is not None:
            self.presented = explain.present_secret(secret)
        else:
            self.add_error("key", "This key never had a secret.")
        return data


def staff_view(model_admin: ModelAdmin) -> Callable[[HttpRequest], HttpResponse]:
    """The page, as a view of ``model_admin``'s section."""

    @sensitive_post_parameters("secret", "path")
    @sensitive_variables("form")
    @require_http_methods(["GET", "HEAD", "POST"])
    def view(request: HttpRequest) -> HttpResponse:
        filled = {name: request.GET[name] for name in PREFILLED if name in request.GET}
        form = StaffExplainForm(request.POST or None, initial=filled)
        fieldsets: Any = [
            ("The key", {"fields": ["secret", "key"]}),
            ("The request", {"fields": ["method", "path", "address"]}),
        ]
        context = page_context(
            model_admin,
            request,
            title="Explain a request",
            adminform=AdminForm(form, fieldsets, {}, model_admin=model_admin),  # type: ignore[arg-type]
            form=form,
            media=model_admin.media,
            submit="Explain",
            method="post",
            intro="A request is put to the rules that real ones meet, as if it came now. "
            "Nothing is sent, counted or logged.",
        )
        if request.method == "POST" and form.is_valid():
            context |= _result(request, form.explain())
        return render(request, "admin/apikeys/explain.html", context)

    return view


def _result(request: HttpRequest, explanation: Explanation) -> dict[str, Any]:
    grant = explanation.grant
    key = _keys().filter(pk=grant.key_pk).first() if grant is not None else None
    return {
        "explanation": explanation,
        "lines": describe(explanation),
        "key": key,
        "key_url": url_of(key) if key else "",
        "next_step": _next_step(request, explanation, key) if key else None,
        "mounts": list(endpoints().values()),
    }


def _next_step(request: HttpRequest, explanation: Explanation, key: ApiKey) -> tuple[str, str] | None:
    """(words, URL) of the page that helps against a refusal; None where there is none."""
    match explanation.denied_by:
        case "account_active":
            return "The account’s page says since when, and resumes it", reverse(
                "admin:accounts_account_change", args=[key.account_id]
            )
        case "key_enabled" if request.user.has_perm("apikeys.enable_apikey") and not key.support:
            return "Enable the key", reverse("admin:apikeys_activekey_enable", args=[key.pk])
        case "secret_not_retired" | "key_not_expired" | "address_allowed" | "rate_within_limit" | "entity_in_reach":
            return "The key’s page shows its secrets, restrictions and scope", url_of(key)
        case "permission_granted":
            return "The key’s page shows its access level", url_of(key)
        case "route_exists" | "method_allowed":
            return "The API’s reference lists every route", reverse("docs")
    return None


def _keys() -> Any:
    return ApiKey.every.select_related("account", "role").prefetch_related("secrets")
