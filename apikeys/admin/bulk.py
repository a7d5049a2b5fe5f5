"""Staff's operations on many keys at once: one reason, one code, and a result for each key as it is done.

The answer is written while the work is done, a table row for each key, so that the progress shows in any browser. Each
key has a transaction of its own through `apikeys.lifecycle`; one that is refused doesn't stop the rest. The code is
judged when the form is sent, and its proof then covers the whole batch; the right is looked up again for each key.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from accounts import access
from accounts.admin_pages import page_context, render_form
from accounts.audit import Actor
from accounts.changes import Refused
from accounts.models import User
from apikeys import lifecycle, signing
from apikeys.admin import bulk_forms
from apikeys.admin.filters import STATUS_WORDS
from apikeys.admin.links import url_of
from apikeys.models import ApiKey
from apikeys.notifications import Collected

MOST = bulk_forms.MOST
NAMES_SHOWN, ACCOUNTS_SHOWN = 20, 10
#: Where the page is cut to write its rows and its summary. No name can hold it: "<" is escaped.
CUT = "<!-- cut -->"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What became of one key: "done", "already", "refused" or "failed", in words; with its secret, if it got one."""

    kind: str
    words: str
    secret: str = field(default="", repr=False)


@method_decorator([never_cache, sensitive_post_parameters("code", "note")], name="dispatch")
class BulkOperation(View):
    http_method_names = ["get", "head", "post"]
    model_admin: ModelAdmin = None  # type: ignore[assignment]  # as_view() gives it

    name = ""
    permission = ""
    change = ""  # as notifications call it
    form_class: Any = bulk_forms.BulkForm
    fields = ["note", "code"]
    title = intro = submit = ""
    danger = False
    #: Whether what was confirmed is done to the end when nobody reads the answer any more.
    goes_on_alone = True
    shows_secrets = False

    def perform(self, key: ApiKey, data: dict[str, Any], actor: Actor, began: datetime) -> Outcome:
        """Do it to one key. Raises Refused, signing.NotBootstrapped."""
        raise NotImplementedError

    def get(self, request: HttpRequest) -> HttpResponse:
        messages.info(request, "Select keys in the list first, then the action above it.")
        return redirect("admin:apikeys_activekey_changelist")

    def post(self, request: HttpRequest) -> HttpResponseBase:
        user: User = request.user  # type: ignore[assignment]
        form = self.form_class(request.POST, user=user)
        if not form.is_valid():
            return self.confirm(request, form, form.cleaned_data.get("keys", []))
        keys = _in_order(form.cleaned_data["keys"])
        if form.already_confirmed:
            return self.states(request, keys)
        actor = Actor.from_request(request, via="admin", proof=form.proof.for_batch())
        page = render_to_string("admin/apikeys/bulk_result.html", self.context(request, keys), request)
        response = StreamingHttpResponse(_Batch(self, keys, form.cleaned_data, actor).stream(page))
        response["X-Accel-Buffering"] = "no"  # nginx would hold the rows back
        return response

    @classmethod
    def ask(cls, model_admin: ModelAdmin, request: HttpRequest, selected: QuerySet[Any]) -> HttpResponse | None:
        """Answer the list's action with the page that asks; None where too much is selected, which is said."""
        ids = list(selected.values_list("pk", flat=True)[: MOST + 1])
        if len(ids) > MOST:
            text = f"More than {MOST:,} keys are selected. Narrow the list by its filters, and do it in parts."
            messages.error(request, text)
            return None
        view = cls(model_admin=model_admin)
        user: User = request.user  # type: ignore[assignment]
        return view.confirm(request, cls.form_class(user=user, initial={"keys": ids}), ids)

    def confirm(self, request: HttpRequest, form: Any, ids: list[UUID]) -> HttpResponse:
        keys = ApiKey.objects.filter(pk__in=ids).order_by()
        yesterday = timezone.now() - timedelta(days=1)
        accounts = list(keys.values_list("account__name").annotate(keys=Count("pk")).order_by("-keys", "account__name"))
        total = sum(count for _, count in accounts)
        return render_form(
            self.model_admin,
            request,
            form,
            title=self.title,
            subtitle=f"{total:,} key{'' if total == 1 else 's'}",
            intro=self.intro,
            fieldsets=[(None, {"fields": self.fields})],
            submit=self.submit,
            danger=self.danger,
            template="admin/apikeys/bulk_confirm.html",
            action=reverse(f"admin:apikeys_activekey_bulk_{self.name}"),
            total=total,
            used_lately=keys.filter(last_used_at__gte=yesterday).count(),
            accounts=accounts[:ACCOUNTS_SHOWN],
            accounts_hidden=len(accounts) - ACCOUNTS_SHOWN,
            names=list(keys.order_by("name", "pk").select_related("account")[:NAMES_SHOWN]),
            names_hidden=total - NAMES_SHOWN,
        )

    def states(self, request: HttpRequest, keys: list[ApiKey]) -> HttpResponse:
        """Answer a form that was sent before: how each key stands now. Secrets were shown then."""
        context = self.context(request, keys)
        context["rows"] = [(key, key.status, STATUS_WORDS[key.status], url_of(key)) for key in keys]
        return render(request, "admin/apikeys/bulk_states.html", context, status=409)

    def context(self, request: HttpRequest, keys: list[ApiKey]) -> dict[str, Any]:
        context = page_context(self.model_admin, request, title=self.title.rstrip("?"), total=len(keys), cut=CUT)
        return context | {"shows_secrets": self.shows_secrets}


class _Batch:
    """One confirmed bulk operation, while it is done."""

    def __init__(self, view: BulkOperation, keys: list[ApiKey], data: dict[str, Any], actor: Actor) -> None:
        self.view, self.keys, self.data, self.actor = view, keys, data, actor
        self.began = timezone.now()
        self.is_ended = False
        self.counts: Counter[str] = Counter()
        self.told = Collected(view.change, actor)

    def stream(self, page: str) -> Iterator[str]:
        before, between, after = page.split(CUT)
        numbered = iter(enumerate(self.keys, start=1))
        try:
            yield before
            for number, key in numbered:
                yield self.row(number, key)
            yield between
            yield render_to_string("admin/apikeys/_bulk_summary.html", {"counts": self.counts, "view": self.view})
            yield after
        finally:
            # The connection may have broken: a stop that was confirmed is finished, a secret is not made for nobody.
            if self.view.goes_on_alone:
                for _, key in numbered:
                    self.outcome(key)
            self.told.send()

    @sensitive_variables()
    def row(self, number: int, key: ApiKey) -> str:
        outcome = self.outcome(key)
        return render_to_string(
            "admin/apikeys/_bulk_row.html",
            {"number": number, "total": len(self.keys), "key": key, "url": url_of(key), "outcome": outcome}
            | {"shows_secrets": self.view.shows_secrets},
        )

    @sensitive_variables()
    def outcome(self, key: ApiKey) -> Outcome:
        try:
            self.require_right()
            with self.told.collecting():
                outcome = self.view.perform(key, self.data, self.actor, self.began)
        except Refused as refused:
            outcome = Outcome("refused", str(refused))
        except signing.NotBootstrapped:
            outcome = Outcome("refused", "Its account has no signing key. Set the account up for API keys first.")
        except Exception:
            # Whatever happened to one key, the rest was confirmed as well.
            logger.exception("A bulk operation failed for %s.", key.key_id)
            outcome = Outcome("failed", "An error on our side; the server’s log has it. Look at the key’s page first.")
        self.counts[outcome.kind] += 1
        return outcome

    def require_right(self) -> None:
        """A batch takes minutes: whoever is stopped meanwhile is stopped here, too. Raises Refused."""
        user = self.actor.user
        if self.is_ended or user is None or not access.is_staff_still(user, self.view.permission):
            self.is_ended = True
            raise Refused("Not done: your right to do this was taken away while it was under way. Nothing follows.")


class Revoke(BulkOperation):
    name, permission, change = "revoke", "apikeys.revoke_apikey", "revoked"
    form_class = bulk_forms.BulkRevokeForm
    fields = ["reason", "note", "code"]
    title, submit = "Revoke these API keys?", "Revoke for good"
    intro = "They stop at once and for good. Programs that use them will fail until they have other keys."
    danger = True

    def perform(self, key: ApiKey, data: dict[str, Any], actor: Actor, began: datetime) -> Outcome:
        key = lifecycle.revoke(key, actor=actor, reason=data["reason"], note=data["note"])
        if key.revoked_at is not None and key.revoked_at < began:
            return Outcome("already", "Was revoked already")
        return Outcome("done", "Revoked")


class Disable(BulkOperation):
    name, permission, change = "disable", "apikeys.disable_apikey", "disabled"
    form_class = bulk_forms.BulkDisableForm
    title, submit = "Disable these API keys?", "Disable"
    intro = "They stop at once, until somebody enables them again, one by one."

    def perform(self, key: ApiKey, data: dict[str, Any], actor: Actor, began: datetime) -> Outcome:
        key = lifecycle.disable(key, actor=actor, note=data["note"])
        if key.disabled_at is not None and key.disabled_at < began:
            return Outcome("already", "Was disabled already")
        return Outcome("done", "Disabled")


class Rotate(BulkOperation):
    name, permission, change = "rotate", "apikeys.rotate_apikey", "rotated"
    form_class = bulk_forms.BulkRotateForm
    fields = ["overlap", "note", "code"]
    title, submit = "Rotate these API keys?", "Rotate"
    intro = (
        "Each gets a second secret, shown once on the next page. The one before it goes on working for the overlap. "
        "Keep the next page open until you have copied them all."
    )
    goes_on_alone = False
    shows_secrets = True

    @sensitive_variables()
    def perform(self, key: ApiKey, data: dict[str, Any], actor: Actor, began: datetime) -> Outcome:
        secret = lifecycle.rotate(key, actor=actor, overlap=data["overlap"], note=data["note"])
        return Outcome("done", "Rotated", secret)


OPERATIONS: list[type[BulkOperation]] = [Rotate, Disable, Revoke]


def _in_order(ids: list[UUID]) -> list[ApiKey]:
    """The keys, in the order of the list that they were selected in; those that are gone are left out."""
    found = ApiKey.objects.for_display().in_bulk(ids)
    return [found[pk] for pk in ids if pk in found]
