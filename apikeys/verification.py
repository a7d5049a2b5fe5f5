"""May a request pass that came to another service? One answer, whether a gateway asks or the service does, in JSON."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from time import perf_counter

from django.db import InterfaceError, OperationalError
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from accounts.access_levels import PERMISSIONS
from apikeys import decisions, problems, rate_limits, request_log
from apikeys.authentication import BearerAuthentication, check_taken, read_attempt
from apikeys.grants import Grant
from apikeys.problems import Problem
from apikeys.request_rows import Entry
from entities.api.ids import parse_id
from entities.models import Entity


@dataclass(frozen=True)
class Question:
    """What is asked of a key, and what the request log is to say of it.

    ``permission`` None lets nobody pass. ``entity`` None: none is asked for; whatever is no id of one is out of reach.
    """

    asked_by: str
    environment: str
    address: str | None
    permission: str | None
    entity: str | None
    method: str
    request_id: str


@dataclass
class Verdict:
    """Whether the request may pass, or why not. ``grant`` is whose secret it is: None for whoever has no right one."""

    problem: Problem | None = None
    grant: Grant | None = None
    #: How the key's allowance stands once this request is taken from it, where it has a rate limit.
    taken: rate_limits.Taken | None = None


@sensitive_variables("authorization")
def verify(authorization: str | None, question: Question) -> Verdict:
    """Judge the key in ``authorization``, as the header has it, by the rules that the pool's own API knows.

    The request is taken from the key's rate limit and stands in its request log. Whatever can't be judged is refused:
    while the database does not answer the problem is ``unavailable``. One SELECT, and one more for an entity.
    """
    began = perf_counter()
    now = timezone.now()
    verdict = Verdict()
    try:
        _judge(authorization, question, verdict, now)
    except Problem as problem:
        verdict.problem = problem
    except (OperationalError, InterfaceError):
        verdict.problem = problems.unavailable()
    if verdict.grant is not None:
        _note(question, verdict.grant, verdict.problem, now, perf_counter() - began)
    return verdict


@sensitive_variables("authorization")
def _judge(authorization: str | None, question: Question, verdict: Verdict, now: datetime) -> None:
    """Raise the first denial as a Problem; ``verdict`` learns whose key it is, and what is left of its limit."""
    parsed = read_attempt(authorization, question.address)
    if parsed is None:
        raise problems.missing_credentials()
    grant = verdict.grant = BearerAuthentication().authenticate_key(parsed, address=question.address)
    facts = decisions.RequestFacts(
        environment=question.environment,
        address=question.address,
        now=now,
        permission=question.permission,
    )
    _decide(grant, facts, decisions.STANDING_RULES)
    if grant.rate_limit is not None:
        verdict.taken = rate_limits.take(grant.key_pk, grant.rate_limit, grant.rate_burst)
        check_taken(verdict.taken, grant, facts)
    if question.entity is not None and facts.permission in PERMISSIONS:
        facts = replace(facts, in_reach=_reaches(grant, facts.permission, question.entity))
    _decide(grant, facts, decisions.ACCESS_RULES)


def _decide(grant: Grant, facts: decisions.RequestFacts, rules: tuple[decisions.Rule, ...]) -> None:
    denial = decisions.decide(grant, facts, rules).denial
    if denial is not None:
        permission = facts.permission if denial.code == "permission_denied" else None
        raise Problem(denial.code, denial.detail, permission=permission)


def _reaches(grant: Grant, permission: str, entity_id: str) -> bool:
    try:
        # In its usual form alone: the service is handed the text, and might read another one in some other way.
        wanted = parse_id(entity_id)
    except ValueError:
        return False
    return Entity.objects.within(grant, permission, only=[wanted]).filter(pk=wanted).exists()


def _note(question: Question, grant: Grant, problem: Problem | None, at: datetime, seconds: float) -> None:
    request_log.note(
        Entry(
            at=at,
            account_id=grant.account_id,
            key_pk=grant.key_pk,
            secret_pk=grant.secret_pk,
            address=question.address,
            method=question.method[:10],
            route=f"{question.asked_by}: {question.permission or 'no permission'}"[:120],
            status=problem.status_code if problem is not None else 200,
            code=problem.problem_code if problem is not None else "",
            duration_ms=round(1000 * seconds),
            request_id=question.request_id,
        )
    )
