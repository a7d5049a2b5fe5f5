"""Staff's operations on one key, a page each: a reason, a code, and one function of `apikeys.lifecycle`."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from accounts.admin_pages import render_form
from accounts.admin_site import StaffModelAdmin
from accounts.audit import Actor, StepUpMissing
from accounts.changes import Refused
from accounts.models import User
from apikeys import lifecycle, scopes
from apikeys.admin import operation_forms
from apikeys.admin.edit_form import EditForm
from apikeys.admin.links import url_of
from apikeys.admin.reveal import already, reveal
from apikeys.models import ApiKey, SupportKey
from apikeys.web.last_day import LastDay


@method_decorator([never_cache, sensitive_post_parameters("code", "note")], name="dispatch")
class KeyOperation(View):
    """A page that asks before it does one thing to one key. Subclasses say what, and who may."""

    http_method_names = ["get", "head", "post"]
    model_admin: ModelAdmin = None  # type: ignore[assignment]  # as_view() gives it

    name = ""  # the last part of its address, and of the route's name
    permission = ""
    form_class: Any = operation_forms.StaffKeyForm
    fields = ["note", "code"]
    #: Its button on the key's page, and on its own
    label = ""
    submit = ""
    title = ""
    intro = ""
    danger = False
    #: Whether it stops programs, so that the page says what used the key lately.
    stops = False

    @classmethod
    def why_not(cls, key: ApiKey) -> str:
        """Why it makes no sense for ``key`` now, so that nobody fills in a form for nothing; "" when it does."""
        return ""

    def perform(self, key: ApiKey, form: Any, actor: Actor) -> HttpResponse:
        """Do it, and say so. Raises Refused, scopes.InvalidScope, StepUpMissing."""
        raise NotImplementedError

    def repeated(self, key: ApiKey) -> HttpResponse:
        """Answer a form that was sent before."""
        return redirect(url_of(key))

    def dispatch(self, request: HttpRequest, object_id: UUID) -> HttpResponseBase:
        # Each section has its own: a support key takes fewer operations than the pages of other keys offer.
        in_support = issubclass(self.model_admin.model, SupportKey)
        self.key = get_object_or_404(ApiKey.every.for_display().filter(support=in_support), pk=object_id)
        if self.key.revoked_at is not None:
            messages.info(request, f"“{self.key}” is revoked, which is for good.")
            return redirect(url_of(self.key))
        return super().dispatch(request)

    def get(self, request: HttpRequest) -> HttpResponse:
        if why := self.why_not(self.key):
            messages.info(request, why)
            return redirect(url_of(self.key))
        return self.page(self.make_form(None))

    def post(self, request: HttpRequest) -> HttpResponse:
        form = self.make_form(request.POST)
        if form.is_valid():
            if form.already_confirmed:
                return self.repeated(self.key)
            try:
                return self.perform(self.key, form, Actor.from_request(request, via="admin", proof=form.proof))
            except (Refused, scopes.InvalidScope) as refused:  # somebody else was quicker
                form.renew()
                form.refuse(refused)
            except StepUpMissing:
                form.renew()
                form.add_error("code", "Somebody changed this key just now, so this takes a code. Nothing is done yet.")
        return self.page(form)

    def make_form(self, data: Any) -> Any:
        user: User = self.request.user  # type: ignore[assignment]
        return self.form_class(data, user=user, key=self.key)

    def page(self, form: Any) -> HttpResponse:
        return render_form(
            self.model_admin,
            self.request,
            form,
            title=self.title,
            subtitle=f"{self.key.name} · {self.key.account}",
            parent=(self.key.name, url_of(self.key)),
            intro=self.intro,
            fieldsets=getattr(form, "fieldsets", [(None, {"fields": self.fields})]),
            submit=self.submit or self.label,
            danger=self.danger,
            last_day=LastDay.of(self.key) if self.stops else None,
        )

    def done(self, key: ApiKey, message: str) -> HttpResponse:
        messages.success(self.request, message)
        return redirect(url_of(key))


class Edit(KeyOperation):
    name, permission = "edit", "apikeys.change_apikey"
    form_class = EditForm
    label, submit, title = "Edit", "Save", "Edit this API key"
    intro = "Its environment never changes. The change holds from the next request on."

    def make_form(self, data: Any) -> Any:
        user: User = self.request.user  # type: ignore[assignment]
        return EditForm(data, user=user, key=self.key, actor=Actor.from_request(self.request, via="admin"))

    def perform(self, key: ApiKey, form: Any, actor: Actor) -> HttpResponse:
        if form.checked is None or not form.checked.differs:
            messages.info(self.request, f"“{key}” is as you want it already: nothing was changed.")
            return redirect(url_of(key))
        key = lifecycle.edit(key, form.changes(form.cleaned_data), actor=actor, note=form.cleaned_data["note"])
        return self.done(key, f"“{key}” is saved.")


class Enable(KeyOperation):
    name, permission = "enable", "apikeys.enable_apikey"
    form_class = operation_forms.EnableForm
    label, title = "Enable", "Enable this API key?"
    intro = "It answers again from the next request on, with the secret that it had."

    @classmethod
    def why_not(cls, key: ApiKey) -> str:
        return "" if key.disabled_at is not None else f"“{key}” is not disabled."

    def perform(self, key: ApiKey, form: Any, actor: Actor) -> HttpResponse:
        key = lifecycle.enable(key, actor=actor, note=form.cleaned_data["note"])
        return self.done(key, f"“{key}” is enabled. It answers again.")


class Disable(KeyOperation):
    name, permission = "disable", "apikeys.disable_apikey"
    form_class = operation_forms.DisableForm
    fields = ["note"]
    label, title = "Disable", "Disable this API key?"
    intro = "It stops at once, until somebody enables it again. This takes no code: stopping must be quick."
    stops = True

    @classmethod
    def why_not(cls, key: ApiKey) -> str:
        return f"“{key}” is disabled already." if key.disabled_at is not None else ""

    def perform(self, key: ApiKey, form: Any, actor: Actor) -> HttpResponse:
        key = lifecycle.disable(key, actor=actor, note=form.cleaned_data["note"])
        return self.done(key, f"“{key}” is disabled. It is refused from the next request on.")


class GivesSecret(KeyOperation):
    """An operation whose answer shows a secret, once."""

    permission = "apikeys.rotate_apikey"
    lead = ""

    def repeated(self, key: ApiKey) -> HttpResponse:
        return already(self.model_admin, self.request, key, what="renewed")

    @sensitive_variables("secret")
    def perform(self, key: ApiKey, form: Any, actor: Actor) -> HttpResponse:
        secret = self.renew(key, form, actor)
        title = f"New secret for {key.name}"
        return reveal(self.model_admin, self.request, key, secret, title=title, lead=self.lead)

    def renew(self, key: ApiKey, form: Any, actor: Actor) -> str:
        raise NotImplementedError


class Rotate(GivesSecret):
    name = "rotate"
    form_class = operation_forms.RotateForm
    fields = ["overlap", "note", "code"]
    label, title = "Rotate", "Rotate this API key?"
    intro = (
        "It gets a second secret, shown once on the next page. The one before it goes on working for the overlap, "
        "never past the key’s own expiry. Have a safe way ready to hand the new one over."
    )
    lead = "The secret before it works until the overlap ends."

    @classmethod
    def why_not(cls, key: ApiKey) -> str:
        try:
            lifecycle.check_rotation(key, lifecycle.DEFAULT_OVERLAP)
        except Refused as refused:
            return str(refused)
        return ""

    def renew(self, key: ApiKey, form: Any, actor: Actor) -> str:
        data = form.cleaned_data
        return lifecycle.rotate(key, actor=actor, overlap=data["overlap"], note=data["note"])


class Regenerate(GivesSecret):
    name = "regenerate"
    form_class = operation_forms.RegenerateForm
    label, title = "Replace secret", "Replace the secret of this API key?"
    intro = (
        "Every secret that it has stops at once. The new one is shown once, on the next page. "
        "Programs fail until they have it; to give them time, rotate the key instead."
    )
    lead = "Every secret before it has stopped."
    danger = stops = True

    def renew(self, key: ApiKey, form: Any, actor: Actor) -> str:
        return lifecycle.regenerate(key, actor=actor, note=form.cleaned_data["note"])


class EndOverlap(KeyOperation):
    name, permission = "end-overlap", "apikeys.rotate_apikey"
    form_class = operation_forms.EndOverlapForm
    label, title = "End overlap", "End the overlap of this rotation?"
    intro = "The secrets before the newest stop at once. “Secrets” on the key’s page says when each was last used."
    stops = True

    @classmethod
    def why_not(cls, key: ApiKey) -> str:
        return "" if len(key.live_secrets) > 1 else f"“{key}” has no overlap to end."

    def perform(self, key: ApiKey, form: Any, actor: Actor) -> HttpResponse:
        key = lifecycle.end_overlap(key, actor=actor, note=form.cleaned_data["note"])
        return self.done(key, f"The old secret of “{key}” stopped. The new one works on.")


class Revoke(KeyOperation):
    name, permission = "revoke", "apikeys.revoke_apikey"
    form_class = operation_forms.RevokeForm
    fields = ["reason", "note", "code"]
    label, submit, title = "Revoke", "Revoke for good", "Revoke this API key?"
    intro = "It stops at once and for good. Programs that use it will fail until they have another key."
    danger = stops = True

    def perform(self, key: ApiKey, form: Any, actor: Actor) -> HttpResponse:
        data = form.cleaned_data
        key = lifecycle.revoke(key, actor=actor, reason=data["reason"], note=data["note"])
        return self.done(key, f"“{key}” is revoked. It is refused from the next request on.")


#: In the order of their buttons.
OPERATIONS: list[type[KeyOperation]] = [Edit, Rotate, EndOverlap, Regenerate, Enable, Disable, Revoke]
#: What a support key takes: nothing that would give it a longer life, a wider reach or another secret.
OF_SUPPORT_KEYS: list[type[KeyOperation]] = [Enable, Disable, Revoke]


def routes(model_admin: StaffModelAdmin, operations: list[type[KeyOperation]]) -> list[URLPattern]:
    """The pages of ``operations`` in a section."""
    section = model_admin.opts.model_name
    return [
        path(
            f"<uuid:object_id>/{operation.name}/",
            model_admin.page(operation.as_view(model_admin=model_admin), operation.permission),
            name=f"apikeys_{section}_{operation.name}",
        )
        for operation in operations
    ]


def buttons(
    model_admin: StaffModelAdmin, request: HttpRequest, key: ApiKey, operations: list[type[KeyOperation]]
) -> list[dict[str, Any]]:
    """What this person may do to ``key`` now."""
    return [
        {"url": url_of(key, operation.name), "label": operation.label, "danger": operation.danger}
        for operation in operations
        if model_admin.may(request, operation.permission) and not operation.why_not(key)
    ]
