"""The dashboard on the staff admin's first page, for who may see keys."""

from __future__ import annotations

from typing import Any

from django import template

from apikeys.admin import dashboard as numbers

register = template.Library()


@register.inclusion_tag("admin/_dashboard.html", takes_context=True)
def dashboard(context: Any) -> dict[str, Any]:
    request = context["request"]
    allowed = request.user.has_perm(numbers.PERMISSION)
    return {"headings": numbers.headings(request) if allowed else {}}
