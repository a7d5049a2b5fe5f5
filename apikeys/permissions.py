"""DRF permission: the view names what it needs, the decision says whether the grant has it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rest_framework.exceptions import MethodNotAllowed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apikeys import decisions, problems
from apikeys.grants import Grant

if TYPE_CHECKING:
    from rest_framework.views import APIView

#: For routes that any key in good standing may use, such as "who am I".
ANY_KEY = "any-key"


class GrantPermission(BasePermission):
    """Allow what the view's ``permission`` says: a name, or a table of names by method. No name: nobody."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not isinstance(request.auth, Grant):
            raise problems.missing_credentials()
        permission = required_permission(view, request.method or "")
        if permission == ANY_KEY:
            return True
        if request.method not in view.allowed_methods:
            raise MethodNotAllowed(str(request.method))
        facts = replace(request._request.request_facts, permission=permission)  # type: ignore[attr-defined]
        decision = decisions.decide(request.auth, facts, decisions.ACCESS_RULES)
        if decision.denial is not None:
            raise problems.Problem(decision.denial.code, decision.denial.detail, permission=permission)
        return True

    def has_object_permission(self, request: Request, view: APIView, obj: Any) -> bool:
        return True  # reach is the queryset's: what is out of reach was not found


def required_permission(view: APIView, method: str) -> str | None:
    """Return the permission that ``view`` names for ``method``; HEAD needs what GET needs. None: it names none."""
    named: str | dict[str, str] | None = getattr(view, "permission", None)
    if isinstance(named, dict):
        return named.get("GET" if method == "HEAD" else method)
    return named
