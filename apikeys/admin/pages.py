"""Pages of our own in the admin's look: a form that confirms one action."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.admin import ModelAdmin
from django.contrib.admin.helpers import AdminForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


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
) -> HttpResponse:
    """Render ``form`` as an admin page; ``parent`` is the (name, URL) before it in the breadcrumbs."""
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
    )
    return render(request, "admin/confirm_form.html", context)
