"""Why a request is let in or refused: each question that it meets, in order, and what the API answers. Changes nothing.

The rules are those of `decisions`, the route is the URLconf's, and what its path names is looked up by the very view
that would answer. No handler runs: no row, no log, no use of the key, nothing taken from its rate limit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.http import HttpRequest, QueryDict
from django.urls import resolve
from django.utils import translation
from django.views.decorators.debug import sensitive_variables
from rest_framework import exceptions
from rest_framework.views import APIView

from apikeys import decisions, key_format, problems, rate_limits, registered, routes, signing
from apikeys.authentication import endpoints
from apikeys.grants import Grant, StoredSecret, load_grant
from apikeys.models import ApiKey, ApiKeySecret
from apikeys.permissions import ANY_KEY, required_permission
from apikeys.problems import Problem

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
#: Answers that the questions below can give; every other one comes from what a view makes of parameters and body.
CODES = frozenset(problems.CODES) - {
    "missing_credentials",
    "conflict",
    "payload_too_large",
    "not_acceptable",
    "unsupported_media_type",
    "invalid_request",
    "refused",
    "otp_required",
    "otp_refused",
    "idempotency_key_reused",
    "internal_error",
    "unavailable",
}
#: What is asked of a pasted secret, before any rule.
PASTED = ("well_formed", "selector_known", "secret_matches")
#: What is asked of one that support handed out before there was Pithead: it has neither form nor selector.
REGISTERED = ("registered",)
#: Stands for the id that each answer has of its own.
REQUEST_ID = "req_…"


class Outcome(StrEnum):
    PASSED = "passed"
    DENIED = "denied"
    NOT_REACHED = "not_reached"


@dataclass(frozen=True)
class Step:
    """One question: a rule of `decisions.RULES` by its name, or one of those around them."""

    name: str
    outcome: Outcome


@dataclass(frozen=True)
class Asked:
    """The request in question. ``path`` as `read_path` returns it; ``address`` None: nobody knows it."""

    method: str
    path: str
    query: str = ""
    address: str | None = None


@dataclass(frozen=True)
class Target:
    """What the path leads to. ``permission`` is what the view names for the method, None where it names none."""

    environment: str
    route: str
    exists: bool
    view: APIView
    permission: str | None
    #: Whether the request names something that has to be in reach.
    names_something: bool


@dataclass(frozen=True)
class Presented:
    """A key as it comes to the API. ``failed`` is the question of `PASTED` at which a pasted string turned out none."""

    grant: Grant | None
    pasted: bool = False
    failed: str | None = None
    registered: bool = False


@dataclass(frozen=True)
class Explanation:
    """``target`` None: the path is none of the API's, and no key is asked for. ``problem`` None: let in."""

    asked: Asked
    at: datetime
    grant: Grant | None
    target: Target | None = None
    steps: tuple[Step, ...] = ()
    problem: Problem | None = None
    #: How the key's allowance stands, where it has a rate limit.
    allowance: rate_limits.Taken | None = None

    @property
    def allowed(self) -> bool:
        return self.target is not None and self.problem is None

    @property
    def denied_by(self) -> str | None:
        """The question that was answered with no."""
        return next((step.name for step in self.steps if step.outcome is Outcome.DENIED), None)

    @property
    def status_line(self) -> str:
        """``403 Forbidden``; "" where there is no refusal."""
        if self.problem is None:
            return ""
        return f"{self.problem.status_code} {HTTPStatus(self.problem.status_code).phrase}"

    @property
    def answer(self) -> str:
        """The refusal as a program gets it: what matters of its head, and its body."""
        if self.problem is None:
            return ""
        sent = problems.headers(self.problem, REQUEST_ID)
        head = {name: sent[name] for name in ("WWW-Authenticate", "Retry-After", "Allow") if name in sent}
        lines = [self.status_line, *(f"{name}: {value}" for name, value in head.items())]
        lines.append(f"Content-Type: {problems.CONTENT_TYPE}")
        body = json.dumps(problems.body(self.problem, REQUEST_ID), ensure_ascii=False, indent=2)
        return "\n".join([*lines, "", body])


# The key


@sensitive_variables("text", "parsed")
def find_by_secret(text: str) -> StoredSecret | None:
    """Return whose secret ``text`` is, by the same steps as authentication; None where it is nobody's."""
    try:
        parsed = key_format.parse(text, prefix=settings.PITHEAD_KEY_PREFIX)
    except key_format.MalformedKey:
        return _find_registered(text)
    stored = load_grant(parsed.selector)
    if stored is None or not signing.matches(stored.wrapped_signing_key, parsed.text, stored.digest):
        return None
    return stored


@sensitive_variables("text")
def _find_registered(text: str) -> StoredSecret | None:
    try:
        return registered.find(key_format.parse_foreign(text, prefix=settings.PITHEAD_KEY_PREFIX))
    except (key_format.MalformedKey, registered.Busy):
        return None


@sensitive_variables("text", "parsed")
def present(text: str) -> Presented:
    """Tell whose secret a pasted ``text`` is, or why it is nobody's: for who may know that of any key."""
    stored = find_by_secret(text)
    if stored is not None:
        return Presented(stored.grant, pasted=True, registered=bool(stored.argon2))
    try:
        parsed = key_format.parse(text, prefix=settings.PITHEAD_KEY_PREFIX)
    except key_format.MalformedKey:
        return Presented(None, pasted=True, failed="well_formed")
    known = load_grant(parsed.selector) is not None
    return Presented(None, pasted=True, failed="secret_matches" if known else "selector_known")


def present_secret(secret: ApiKeySecret) -> Presented:
    """As if a request came with ``secret``, which nobody has to know for that."""
    stored = load_grant(secret.selector)
    return Presented(stored.grant if stored else None, failed=None if stored else "selector_known")


def newest_secret(key: ApiKey) -> ApiKeySecret | None:
    """The secret that a program most likely uses: the newest that works, else the newest of all."""
    return next(iter(key.live_secrets or key.secrets.all()), None)


# The request


def read_path(text: str) -> tuple[str, str]:
    """Return (path, query) of what somebody typed: a path, or a whole address. Raises ValueError for neither."""
    text = text.removeprefix(settings.PITHEAD_PUBLIC_URL)
    parts = urlsplit(text)
    # As a server hands it on: percent-encoding is undone before the URLconf sees it.
    path = unquote(parts.path)
    return path if path.startswith("/") else f"/{path}", parts.query


def find_target(asked: Asked, grant: Grant | None) -> Target | None:
    """Return what the URLconf has for the request; None outside the API."""
    if not asked.path.startswith(tuple(f"/{mount}" for mount in settings.PITHEAD_API_MOUNTS.values())):
        return None
    match = resolve(asked.path)
    request = HttpRequest()
    request.method, request.path, request.path_info = asked.method, asked.path, asked.path
    request.resolver_match = match
    request.META |= {"REQUEST_METHOD": asked.method, "QUERY_STRING": asked.query}
    request.GET = QueryDict(asked.query)
    if asked.address is not None:
        request.META["REMOTE_ADDR"] = asked.address
    # As `View.as_view` and DRF's `dispatch` set a view up, up to the point where they would call its handler.
    view: APIView = match.func.cls(**match.func.initkwargs)  # type: ignore[attr-defined]
    view.setup(request, *match.args, **match.kwargs)
    view.request = view.initialize_request(request, *match.args, **match.kwargs)
    view.request.auth = grant
    ids = match.kwargs.keys() - {"environment"}
    asks_for_ids = "id" in view.request.query_params and "id" in getattr(view, "repeatable", ())
    return Target(
        environment=match.kwargs["environment"],
        route=routes.route_of(request),
        exists=match.url_name != routes.NO_SUCH_ROUTE,
        view=view,
        permission=required_permission(view, asked.method),
        names_something=bool(ids) or asks_for_ids,
    )


# The decision

Question = tuple[str, Callable[[], Problem | None]]


def explain(presented: Presented, asked: Asked, now: datetime) -> Explanation:
    """Put a request to each question in turn, up to the first that refuses it: that is the API's answer.

    Parameters and body are the view's business and not looked at, but for ids in ``?id=``.
    """
    with translation.override(settings.LANGUAGE_CODE):  # as the API answers
        target = find_target(asked, presented.grant)
        if target is None:
            return Explanation(asked, now, presented.grant)
        explaining = _Explaining(presented, asked, target, now)
        steps, problem = _judge(explaining.questions())
        return Explanation(asked, now, presented.grant, target, steps, problem, explaining.allowance)


def _judge(questions: Iterator[Question]) -> tuple[tuple[Step, ...], Problem | None]:
    steps: list[Step] = []
    refusal: Problem | None = None
    for name, find_problem in questions:
        if refusal is not None:
            steps.append(Step(name, Outcome.NOT_REACHED))
        else:
            refusal = find_problem()
            steps.append(Step(name, Outcome.DENIED if refusal else Outcome.PASSED))
    return tuple(steps), refusal


@dataclass
class _Explaining:
    presented: Presented
    asked: Asked
    target: Target
    now: datetime
    allowance: rate_limits.Taken | None = None
    facts: decisions.RequestFacts = field(init=False)
    #: What the view raised while it looked up what the request names.
    objection: exceptions.APIException | None = None

    def __post_init__(self) -> None:
        self.facts = decisions.RequestFacts(
            environment=self.target.environment,
            address=self.asked.address,
            now=self.now,
            permission=self.target.permission,
            endpoints=endpoints(),
        )
        grant = self.presented.grant
        if grant is not None and grant.rate_limit is not None:
            self.allowance = rate_limits.peek(grant.key_pk, grant.rate_limit, grant.rate_burst)
            if not self.allowance.allowed:
                self.facts = replace(self.facts, retry_after=self.allowance.seconds)

    def questions(self) -> Iterator[Question]:
        """Every question that a request meets, in order: middleware, authentication, permission class, view."""
        if self.presented.pasted or self.presented.failed:
            names = REGISTERED if self.presented.registered else PASTED
            yield from ((name, partial(self.pasted, name)) for name in names)
        yield from (self.rule(rule) for rule in decisions.STANDING_RULES + decisions.RATE_RULES)
        yield "route_exists", self.route_exists
        yield "method_allowed", self.method_allowed
        yield from (self.rule(rule) for rule in decisions.ACCESS_RULES)
        if isinstance(self.objection, exceptions.PermissionDenied):
            yield "view_agrees", self.view_agrees

    def pasted(self, name: str) -> Problem | None:
        return problems.invalid_key() if self.presented.failed == name else None

    def rule(self, rule: decisions.Rule) -> Question:
        return rule.__name__, lambda: self.by_rule(rule)

    def by_rule(self, rule: decisions.Rule) -> Problem | None:
        assert self.presented.grant is not None  # noqa: S101 the questions before have refused what is no key
        facts = self.facts
        if rule is decisions.permission_granted and facts.permission == ANY_KEY:
            return None
        if rule is decisions.entity_in_reach:
            facts = replace(facts, in_reach=self.is_in_reach())
        denial = decisions.decide(self.presented.grant, facts, (rule,)).denial
        if denial is None:
            return None
        headers = {"Retry-After": str(facts.retry_after)} if rule in decisions.RATE_RULES else None
        permission = facts.permission if rule is decisions.permission_granted else None
        return Problem(denial.code, denial.detail, headers=headers, permission=permission)

    def route_exists(self) -> Problem | None:
        return None if self.target.exists else problems.as_problem(exceptions.NotFound())

    def method_allowed(self) -> Problem | None:
        if self.asked.method in self.target.view.allowed_methods:
            return None
        problem = problems.as_problem(exceptions.MethodNotAllowed(self.asked.method))
        assert problem is not None  # noqa: S101 it has a row in the table
        problem.headers["Allow"] = ", ".join(self.target.view.allowed_methods)
        return problem

    def is_in_reach(self) -> bool | None:
        self.objection = self.look_up()
        if isinstance(self.objection, exceptions.NotFound):
            return False
        return True if self.target.names_something else None

    def look_up(self) -> exceptions.APIException | None:
        locate: Any = getattr(self.target.view, "locate", None)
        try:
            if locate is not None:
                locate()
        except (exceptions.NotFound, exceptions.PermissionDenied) as error:
            return error
        except exceptions.ValidationError:  # of parameters
            return None
        return None

    def view_agrees(self) -> Problem | None:
        """What the view has against it: a client of a hub is its own account's to change, say."""
        return problems.as_problem(self.objection) if self.objection is not None else None
