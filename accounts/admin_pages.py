"""Pages of our own in the admin's look: forms that confirm one action, and what they are made of."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.admin import ModelAdmin
from django.contrib.admin.helpers import AdminForm
from django.contrib.admin.widgets import AdminTextInputWidget, AutocompleteMixin, AutocompleteSelect
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.utils.module_loading import import_string
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts.audit import Actor
from accounts.changes import NOTE_LENGTH
from accounts.forms import StepUpForm
from accounts.models import User

CODE_HINT = "Six digits. No phone at hand? Type a recovery code instead."

#: For views whose form takes a code.
confirmed = method_decorator([sensitive_post_parameters("code"), require_http_methods(["GET", "HEAD", "POST"])])


class CodeInput(forms.TextInput):
    """Never prints a typed code back."""

    def format_value(self, value: Any) -> None:
        return None


class AdminStepUpForm(StepUpForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        code = self.fields["code"]
        code.widget = CodeInput({**code.widget.attrs, "class": "ph-code"})
        code.help_text = CODE_HINT


class NoteField(forms.CharField):
    """Why staff do what they do, kept in the audit trail for good. A secret that is pasted into it is refused."""

    def __init__(self, **kwargs: Any) -> None:
        defaults = {
            "max_length": NOTE_LENGTH,
            "widget": AdminTextInputWidget({"autocomplete": "off", "class": "vLargeTextField"}),
            "help_text": "For the audit trail.",
            "error_messages": {"required": "Say why."},
        }
        super().__init__(**{**defaults, **kwargs})

    def validate(self, value: str) -> None:
        super().validate(value)
        if import_string(settings.PITHEAD_REDACT)(value) != value:
            raise forms.ValidationError("That holds a secret, and would be kept. Write it without.")


class ReasonForm(AdminStepUpForm):
    """An action that says why."""

    reason = NoteField()


class ForgivingSelect(AutocompleteMixin):
    """Leaves out what is no ID when it renders a form again: Django's own autocomplete crashes on it."""

    def optgroups(self, name: str, value: Any, attr: Any = None) -> Any:
        return super().optgroups(name, [text for text in value if self._is_id(text)], attr)

    def _is_id(self, text: Any) -> bool:
        try:
            self.field.remote_field.model._meta.pk.clean(text, None)
        except ValidationError:
            return False
        return True


class ForgivingAutocomplete(ForgivingSelect, AutocompleteSelect):
    """One row of many."""


def first_step(request: HttpRequest, *fields: str) -> QueryDict | None:
    """What the form of a first step sent, None where it was not sent yet: a select without a choice sends nothing."""
    return request.GET if not {"continue", *fields}.isdisjoint(request.GET) else None


def staff_actor(request: HttpRequest, form: StepUpForm) -> Actor:
    """Who acts in the admin, with the proof that ``form`` took."""
    return Actor.from_request(request, via="admin", proof=form.proof)


def staff_user(request: HttpRequest) -> User:
    user: User = request.user  # type: ignore[assignment]
    return user


def page_context(model_admin: ModelAdmin, request: HttpRequest, **context: Any) -> dict[str, Any]:
    request.current_app = model_admin.admin_site.name
    return {**model_admin.admin_site.each_context(request), "opts": model_admin.opts, **context}


def render_form(
    model_admin: ModelAdmin,
    request: HttpRequest,
    form: forms.Form,
    *,
    title: str,
    fieldsets: list[tuple[str | None, dict[str, Any]]],
    submit: str,
    subtitle: str = "",
    parent: tuple[str, str] | None = None,
    intro: str = "",
    danger: bool = False,
    method: str = "post",
    template: str = "admin/confirm_form.html",
    **extra: Any,
) -> HttpResponse:
    """Render ``form`` as an admin page; ``parent`` is the (name, URL) before it in the breadcrumbs.

    A ``template`` of its own extends confirm_form.html: its block ``facts`` says, with ``extra``, what will happen.
    """
    admin_form = AdminForm(form, fieldsets, {}, model_admin=model_admin)  # type: ignore[arg-type]
    context = page_context(
        model_admin,
        request,
        title=title,
        subtitle=subtitle,
        adminform=admin_form,
        form=form,
        media=model_admin.media + admin_form.media,
        parent=parent,
        intro=intro,
        danger=danger,
        submit=submit,
        method=method,
        **extra,
    )
    return render(request, template, context)
