"""Secrets in the wrong place: in an address or in a field, where logs, histories and databases would keep them.

Whatever comes with one is refused, whether or not it is a key's. A right secret that still works is exposed: its
account's owners are told, and the audit trail says where it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from enum import StrEnum
from itertools import islice
from typing import Any
from urllib.parse import unquote

from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.http import HttpRequest, RawPostDataException, UnreadablePostError
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from rest_framework.response import Response

from accounts import audit
from accounts.client_ip import client_ip
from accounts.models import AuditEvent, User
from apikeys import attempts, decisions, key_format, notifications, problems, signing
from apikeys.grants import Grant, load_grant
from apikeys.key_format import ParsedKey
from apikeys.models import ApiKey
from apikeys.problems import Problem

#: Secrets of one request that are looked up.
MOST = 3
#: Bodies that nobody is going to read are looked through up to this many bytes, as many as most routes take.
LONGEST_UNREAD = 64 * 1024
#: How long owners hear nothing more of a secret after they were told.
QUIET = timedelta(days=1)
#: Where gateways say what the client asked them for.
ORIGINAL_ADDRESS = ("HTTP_X_ORIGINAL_URI", "HTTP_X_ORIGINAL_URL", "HTTP_X_FORWARDED_URI", "HTTP_X_ENVOY_ORIGINAL_PATH")
#: View -> fields that are meant to take a secret: it is compared, and kept nowhere.
TAKEN = {
    "web:report-leak": {"found", "url"},
    "web:key-explain": {"secret", "path"},
    "admin:apikeys_explain": {"secret", "path"},
    "admin:apikeys_activekey_find": {"text"},
    "admin:apikeys_supportkey_register": {"old_key"},
    "api-verify": {"key"},
}
#: Fields of the staff admin that refuse a secret with a word of their own: the search of its lists, and reasons.
REFUSED_BY_THEMSELVES = {"q": "/admin/apikeys/", "note": "/admin/apikeys/", "reason": "/admin/"}


class Place(StrEnum):
    PATH = "path"
    QUERY = "query string"
    FIELD = "field"


_told = attempts.Lately(QUIET.total_seconds())


@sensitive_variables()
def check_address(request: HttpRequest) -> None:
    """Raise Problem ``invalid_request`` with a hint where the address of ``request`` holds a key. No I/O where not."""
    place = seen_in_address(request)
    if place is not None:
        raise refusal(place, [str(place)])


@sensitive_variables()
def check_body(content: bytes, data: Any, request: HttpRequest) -> None:
    """The same for a body: its raw ``content``, and the ``data`` that was read from it, to name the fields."""
    found = _find(content.decode("latin-1"))
    if not found or _name(request) in TAKEN:
        return
    tell(found, Place.FIELD, request)
    fields = [str(name) for name, value in data.items() if _find(str(value))] if isinstance(data, Mapping) else []
    raise refusal(Place.FIELD, [name for name in fields if not _find(name)] or ["body"])


@sensitive_variables()
def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's hook, around problems.exception_handler().

    Whoever sends their key in the body in place of the header is refused before anybody reads the body, and so is a
    key that may not do what the body is for. It is looked through here, so that they get the hint and owners the mail.
    """
    problem = problems.as_problem(exc)
    if problem is not None and problem.problem_code in ("missing_credentials", "permission_denied"):
        request = context["request"]._request
        try:
            if 0 < int(request.META.get("CONTENT_LENGTH") or 0) <= LONGEST_UNREAD:
                check_body(request.body, None, request)
        except Problem as refused:
            exc = refused
        except (ValueError, RawPostDataException, UnreadablePostError):
            pass  # no length, read and looked through by its parser, or its sender is gone
    return problems.exception_handler(exc, context)


@sensitive_variables()
def seen_in_address(request: HttpRequest) -> Place | None:
    """Tell owners of keys in the address, a gateway's client's too; return where one stands, None where none does."""
    meta = request.META
    for place, text in ((Place.PATH, meta.get("PATH_INFO", "")), (Place.QUERY, meta.get("QUERY_STRING", ""))):
        if found := _find(text):
            tell(found, place, request)
            return place
    return None


@sensitive_variables()
def check_original_address(request: HttpRequest) -> None:
    """Do as check_address(), for a gateway's question: what the client asked the gateway for counts as well."""
    check_address(request)
    for name in ORIGINAL_ADDRESS:
        if name not in request.META:
            continue
        path, _, query = request.META[name].partition("?")
        for place, text in ((Place.PATH, path), (Place.QUERY, query)):
            if found := _find(text):
                tell(found, place, request)
                raise refusal(place, [str(place)])


@sensitive_variables()
def seen_in_fields(request: HttpRequest) -> bool:
    """Tell owners of keys in a form of a page; return whether it has to be refused, as no field is meant for them."""
    taken, refuse = TAKEN.get(_name(request), set()), False
    for field, values in request.POST.lists():
        if field not in taken and (found := _find(f"{field} {' '.join(values)}")):
            tell(found, Place.FIELD, request)
            refuse |= not _refused_by_itself(request, field)
    return refuse


def is_search_that_says_so(request: HttpRequest) -> bool:
    """Whether secrets stand in nothing of the address but the search of one of the staff admin's lists."""
    at_fault = [field for field, values in request.GET.lists() if _find(f"{field} {' '.join(values)}")]
    return at_fault == ["q"] and _refused_by_itself(request, "q") and request.user.is_authenticated


def refusal(place: Place, fields: list[str]) -> Problem:
    """The hint, one and the same for keys that work and keys that don't."""
    sentence = f"An API key stands in the {'body' if place is Place.FIELD else place} of this request."
    return Problem(
        "invalid_request",
        f"{sentence} Logs and histories keep it there, so take it as exposed: replace its secret, and send the new one "
        "in the Authorization header alone: “Authorization: Bearer <key>”.",
        errors={field: [f"{sentence} Send it in the Authorization header."] for field in fields},
    )


@sensitive_variables()
def tell(found: list[ParsedKey], place: Place, request: HttpRequest) -> None:
    """Tell owners of those of ``found`` that still work, once a day each. What is no key counts as a failed attempt.

    The refusal needs none of it, so a database that does not answer is no error here.
    """
    address = client_ip(request)
    for parsed in found:
        mark = attempts.mark(parsed)
        if _told.get(mark) is not None:
            continue
        try:
            attempts.admit(parsed, address)
            stored = load_grant(parsed.selector)
            wrapped, digest = (stored.wrapped_signing_key, stored.digest) if stored else (None, None)
            if not signing.matches(wrapped, parsed.text, digest) or stored is None:
                attempts.fail(parsed, address)
                continue
            if _works(stored.grant):
                _record(stored.grant, parsed, place, request)
            _told.note(mark)
        except (attempts.TooMany, OperationalError, InterfaceError):
            continue


def _works(grant: Grant) -> bool:
    """Whether the secret opens anything, now or once its key is switched on."""
    facts = decisions.RequestFacts(environment=grant.environment, address=None, now=timezone.now())
    denial = decisions.decide(grant, facts, decisions.STANDING_RULES).denial
    return denial is None or denial.code not in ("key_revoked", "key_expired")


@transaction.atomic
def _record(grant: Grant, parsed: ParsedKey, place: Place, request: HttpRequest) -> None:
    keys = ApiKey.every.select_for_update(of=("self",)).select_related("account", "role")
    key = keys.filter(pk=grant.key_pk).first()
    if key is None:  # deleted a moment ago
        return
    secret = key_format.mask(parsed.environment, parsed.selector, prefix=settings.PITHEAD_KEY_PREFIX)
    told = AuditEvent.objects.filter(
        account=key.account, action="key.exposed", target_id=key.key_id, at__gt=timezone.now() - QUIET
    )
    if any(event.data["secret"] == secret for event in told):  # another process has told
        return
    actor = _sender(request, key)
    audit.record("key.exposed", actor=actor, account=key.account, target=key, place=str(place), secret=secret)
    notifications.tell_exposed(key, actor, place=str(place))


def _sender(request: HttpRequest, key: ApiKey) -> audit.Actor:
    """The person who is signed in, or else whoever has the secret: that is the key."""
    if isinstance(getattr(request, "user", None), User):
        return audit.Actor.from_request(request, via="admin" if request.path_info.startswith("/admin/") else "web")
    return audit.Actor.for_key(key.key_id, key.name, client_ip(request))


def may_hold_key(text: str) -> bool:
    """Whether ``text``, as it is or percent-encoded, holds the prefix of keys. Most texts cost one look for it."""
    prefix = f"{settings.PITHEAD_KEY_PREFIX}_"
    return prefix in text or ("%" in text and prefix in unquote(text))


def _find(text: str) -> list[ParsedKey]:
    """The keys in ``text``, as it is or percent-encoded."""
    if not may_hold_key(text):
        return []
    return list(islice(_all(text), MOST)) or list(islice(_all(unquote(text)), MOST))


def _all(text: str) -> Iterator[ParsedKey]:
    return key_format.find_all(text, prefix=settings.PITHEAD_KEY_PREFIX)


def _name(request: HttpRequest) -> str:
    return request.resolver_match.view_name if request.resolver_match is not None else ""


def _refused_by_itself(request: HttpRequest, field: str) -> bool:
    return field in REFUSED_BY_THEMSELVES and request.path_info.startswith(REFUSED_BY_THEMSELVES[field])


def start_anew() -> None:
    """Forget whom this process has told, as a new one does."""
    global _told
    _told = attempts.Lately(QUIET.total_seconds())
