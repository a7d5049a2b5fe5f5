"""Support keys: what support once handed out, or hands out today. They keep working and never grow.

Staff alone write them. Owners don't see them, their limits don't count them, and no mail tells of them. What happens to
one later (disabling, revoking …) is `lifecycle`'s, as for every key.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NotRequired, TypedDict, Unpack

from django.conf import settings
from django.db import transaction
from django.views.decorators.debug import sensitive_variables

from accounts import audit
from accounts.changes import Refused, lock_account
from accounts.environments import Environment
from accounts.models import Account, KeyPermission
from apikeys import edits, key_format, lifecycle, registered, rules, signing
from apikeys import scopes as scope_rules
from apikeys.key_format import ForeignText
from apikeys.models import ApiKey, ApiKeySecret, KeyScope
from apikeys.scopes import Scope
from entities.models import Entity

REGISTER, ISSUE = "support_key.register", "support_key.issue"
#: For the list that drives their retirement: used so lately, or not for so long
STILL_IN_USE, UNUSED = timedelta(days=30), timedelta(days=90)
#: With fewer different characters a string was typed by somebody who had to type something.
FEWEST_CHARACTERS = 6


class Wanted(TypedDict):
    """What a support key shall be. ``entities`` is all that it will ever reach."""

    name: str
    environment: str
    access_level: str
    entities: Iterable[Entity]
    expires_at: NotRequired[datetime | None]
    allowed_cidrs: NotRequired[Sequence[str]]
    idempotency_key: NotRequired[str | None]


@sensitive_variables("text")
def register(account: Account, *, actor: audit.Actor, text: str, **wanted: Unpack[Wanted]) -> ApiKey:
    """Let ``text``, which support once handed out, be a key of ``account``. What is kept of it: `registered`.

    Raises Refused, scopes.InvalidScope, lifecycle.AlreadyIssued, signing.NotBootstrapped, StepUpMissing, and
    registered.Busy.
    """
    actor.require_step_up(REGISTER)
    foreign = check_text(text)
    with transaction.atomic():
        account = lock_account(account.pk)
        registered.hold()
        key, scopes = _write(account, actor=actor, **wanted)
        check_not_registered(foreign)
        signing_key = signing.current_signing_key(account)
        if signing_key is None:
            raise signing.NotBootstrapped
        # A selector that nobody is told, and a digest that no string has: only `registered` finds and opens this one.
        selector = key_format.generate(key.environment, prefix=settings.PITHEAD_KEY_PREFIX).selector
        ApiKeySecret.objects.create(
            key=key, signing_key=signing_key, selector=selector, digest=b"", **registered.columns_of(foreign)
        )
        _record("support_key.registered", key, scopes, actor)
    return key


def issue(account: Account, *, actor: audit.Actor, **wanted: Unpack[Wanted]) -> tuple[ApiKey, str]:
    """Make a support key in our own format and return it beside its secret, which exists nowhere else from then on.

    Raises Refused, scopes.InvalidScope, lifecycle.AlreadyIssued, signing.NotBootstrapped, StepUpMissing.
    """
    actor.require_step_up(ISSUE)
    with transaction.atomic():
        key, scopes = _write(lock_account(account.pk), actor=actor, **wanted)
        secret = lifecycle.add_secret(key)
        _record("support_key.issued", key, scopes, actor)
    return key, secret


@sensitive_variables("text")
def check_text(text: str) -> ForeignText:
    """Return ``text`` as a string that can be registered; forms ask before they spend a code. Raises Refused."""
    try:
        foreign = key_format.parse_foreign(text, prefix=settings.PITHEAD_KEY_PREFIX)
    except key_format.MalformedKey as malformed:
        raise Refused(str(malformed), "text") from None
    if len(set(text)) < FEWEST_CHARACTERS:
        raise Refused("It is made of very few characters, so anybody could guess it. Issue a new key instead.", "text")
    return foreign


def check_not_registered(foreign: ForeignText) -> None:
    """Raise Refused where the string is some key's already, a revoked one's included; registered.Busy."""
    earlier = registered.find(foreign)
    if earlier is not None:
        raise Refused(
            f"This string is registered already, as {earlier.grant.key_id} of {earlier.grant.account_name}. "
            "A string opens one key, and one that was revoked stays revoked.",
            "text",
        )


@sensitive_variables("text")
def find_registered(text: str) -> ApiKey | None:
    """Return the key that ``text`` was registered as, whatever became of it. Raises registered.Busy."""
    try:
        foreign = key_format.parse_foreign(text, prefix=settings.PITHEAD_KEY_PREFIX)
    except key_format.MalformedKey:
        return None
    stored = registered.find(foreign)
    return ApiKey.every.get(pk=stored.grant.key_pk) if stored is not None else None


def _write(
    account: Account,
    *,
    actor: audit.Actor,
    name: str,
    environment: str,
    access_level: str,
    entities: Iterable[Entity],
    expires_at: datetime | None = None,
    allowed_cidrs: Sequence[str] = (),
    idempotency_key: str | None = None,
) -> tuple[ApiKey, list[Scope]]:
    """Judge a new support key and write it, without a secret. Return it beside its scope rows."""
    if rules.require(actor, account, KeyPermission.CREATE) is not None:
        raise Refused("Support keys are the pool's to give.")
    if idempotency_key:
        earlier = ApiKey.every.filter(account=account, idempotency_key=idempotency_key).first()
        if earlier is not None:
            raise lifecycle.AlreadyIssued(earlier)
    if environment not in Environment.values:
        raise Refused("Choose an environment.", "environment")
    scopes = [Scope(KeyScope.Action.ANY, entity.kind, entity.pk) for entity in entities]
    rules.check_support_key(access_level, scopes)
    rules.check_expiry(expires_at)
    new = rules.NewKey(
        name=rules.check_name(name),
        environment=environment,
        access_level=access_level,
        allowed_cidrs=rules.normalize_cidrs(allowed_cidrs),
        scopes=scope_rules.check(account, environment, scopes),
        expires_at=expires_at,
    )
    key = lifecycle.write_key(account, new, actor=actor, support=True, idempotency_key=idempotency_key)
    return key, new.scopes


def _record(action: str, key: ApiKey, scopes: Sequence[Scope], actor: audit.Actor) -> None:
    audit.record(
        action,
        actor=actor,
        account=key.account,
        target=key,
        environment=key.environment,
        access_level=key.access_level,
        **edits.scopes_for_audit(scopes),
        expires_at=key.expires_at.isoformat() if key.expires_at else None,
        allowed_cidrs=key.allowed_cidrs,
    )
