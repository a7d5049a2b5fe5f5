"""Issuing a key on behalf of an account: choose the account, fill the form in, and see the secret once."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_GET, require_http_methods

from accounts.admin_pages import render_form
from accounts.audit import Actor
from accounts.changes import Refused
from accounts.environments import Environment
from accounts.models import Account, User
from apikeys import lifecycle, scopes, signing
from apikeys.admin.forms import ChooseAccountForm, IssueForm, entity_label
from apikeys.admin.key_columns import KeyAdmin
from apikeys.admin.reveal import already, reveal
from apikeys.models import ApiKey

NAMEABLE_PER_PAGE = 50
#: What the lifecycle calls a field -> what the issue form calls it; a refusal of anything else stands above the form.
FORM_FIELDS: dict[str | None, str] = {
    "name": "name",
    "description": "description",
    "access_level": "access_level",
    "expires_at": "expires_in_days",
    "allowed_cidrs": "allowed_cidrs",
    "rate_limit": "rate_limit",
    "rate_burst": "rate_burst",
}


class IssuesKeys(KeyAdmin):
    """The part of a section of keys that makes them."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, "apikeys.add_apikey")

    @method_decorator([sensitive_post_parameters("code"), require_http_methods(["GET", "HEAD", "POST"])])
    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        chosen = "environment" in request.GET  # an account that nobody chose is not sent
        choice = ChooseAccountForm(request.GET if chosen else None, initial=request.GET.dict())
        if not chosen or not choice.is_valid():
            return render_form(
                self,
                request,
                choice,
                title="Issue an API key",
                fieldsets=[(None, {"fields": ["account", "environment"]})],
                submit="Continue",
                method="get",
            )
        account, environment = choice.cleaned_data["account"], choice.cleaned_data["environment"]
        if signing.current_signing_key(account) is None:
            messages.warning(request, f"{account} has to be set up for API keys first.")
            return redirect("admin:accounts_account_bootstrap", account.pk)
        return self._issue(request, account, environment)

    @sensitive_variables()
    def _issue(self, request: HttpRequest, account: Account, environment: str) -> HttpResponse:
        user: User = request.user  # type: ignore[assignment]
        form = IssueForm(request.POST or None, user=user, account=account, environment=environment)
        if request.method == "POST" and form.is_valid():
            idempotency_key = f"form:{form.cleaned_data['nonce']}"
            if form.already_confirmed:
                earlier = ApiKey.objects.filter(account=account, idempotency_key=idempotency_key).first()
                return already(self, request, earlier)
            try:
                key, secret = lifecycle.issue(
                    account,
                    actor=Actor.from_request(request, via="admin", proof=form.proof),
                    name=form.cleaned_data["name"],
                    description=form.cleaned_data["description"],
                    environment=environment,
                    **form.chosen_level(),
                    scopes=form.cleaned_data["scopes"],
                    expires_at=form.expires_at(),
                    allowed_cidrs=form.cleaned_data["allowed_cidrs"],
                    rate_limit=form.cleaned_data["rate_limit"],
                    rate_burst=form.cleaned_data["rate_burst"],
                    idempotency_key=idempotency_key,
                )
            except lifecycle.AlreadyIssued as sent_before:
                return already(self, request, sent_before.key)
            except (Refused, scopes.InvalidScope) as refused:
                form.renew()
                field = FORM_FIELDS.get(getattr(refused, "field", None))
                form.add_error(field, str(refused))
            else:
                return reveal(self, request, key, secret, title="API key issued")
        return render_form(
            self,
            request,
            form,
            title="Issue an API key",
            subtitle=f"{account} · {Environment(environment).label}",
            intro="The key is shown once, on the next page. Have a safe way ready to hand it over.",
            fieldsets=[
                (None, {"fields": ["name", "description", "access_level"]}),
                ("Scope", {"fields": ["everything", "picked", "picked_ids"]}),
                ("Restrictions", {"fields": ["expires_in_days", "allowed_cidrs", "rate_limit", "rate_burst"]}),
                ("Confirm", {"fields": ["code"]}),
            ],
            submit="Issue the key",
        )

    @method_decorator(require_GET)
    def nameable_view(self, request: HttpRequest) -> HttpResponse:
        """The form's search: the entities that a key of ``account`` in ``environment`` may name."""
        choice = ChooseAccountForm(request.GET)
        if not choice.is_valid():
            return JsonResponse({"results": [], "pagination": {"more": False}})
        found = scopes.nameable(choice.cleaned_data["account"], choice.cleaned_data["environment"])
        if term := request.GET.get("term", "").replace("\x00", "").strip():
            found = found.filter(Q(name__icontains=term) | Q(id__iexact=term))
        page = Paginator(found.select_related("account").order_by("name", "pk"), NAMEABLE_PER_PAGE).get_page(
            request.GET.get("page")
        )
        results = [{"id": str(entity.pk), "text": entity_label(entity)} for entity in page]
        return JsonResponse({"results": results, "pagination": {"more": page.has_next()}})
