"""The account's policies: one table of what they are, and the only ways to change them.

Owners set them, each change confirmed with a second factor. The pool's staff set them too, and pin those that the
customer's plan fixes: a pinned policy is shown to owners and changed by staff alone, as is one that is the plan's own.
Whoever adds a policy adds a row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import access, audit
from accounts.changes import Refused, lock_account
from accounts.models import Account
from accounts.notices import notify_members

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise, _StrPromise

SET = "account.policies"

Value = bool | int | None
Changes = dict[str, tuple[Value, Value]]


@dataclass(frozen=True)
class Policy:
    """A row of the table. A switch is on or off; a number lies between ``least`` and ``most``, or is empty (None).

    ``stricter`` says of (a, b) whether a keeps keys on a shorter leash than b. One that is ``of_plan`` needs no pin.
    """

    field: str
    label: _StrPromise
    help: _StrPromise
    stricter: Callable[[Any, Any], bool]
    least: int = 0
    most: int = 0
    unit: _StrOrPromise = ""
    empty: _StrOrPromise = ""
    of_plan: bool = False

    @property
    def is_switch(self) -> bool:
        return not self.most

    @property
    def bounds(self) -> str:
        """What a number may be, as the error and the admin say it."""
        return _("A whole number from %(least)s to %(most)s. Leave it empty for: %(empty)s.") % {
            "least": f"{self.least:,}",
            "most": f"{self.most:,}",
            "empty": str(self.empty)[:1].lower() + str(self.empty)[1:],
        }

    def check(self, value: Any) -> None:
        """Raise Refused where ``value`` can't be this policy's."""
        if self.is_switch:
            if not isinstance(value, bool):
                raise Refused(_("On or off."), self.field)
        elif value is not None and (
            not isinstance(value, int) or isinstance(value, bool) or not self.least <= value <= self.most
        ):
            raise Refused(self.bounds, self.field)

    def in_words(self, value: Value) -> _StrOrPromise:
        if self.is_switch:
            return gettext_lazy("on") if value else gettext_lazy("off")
        return self.empty if value is None else format_lazy("{value} {unit}", value=f"{value:,}", unit=self.unit)


def _off_is_stricter(value: bool, other: bool) -> bool:
    return other and not value


def _less_is_stricter(value: int | None, other: int | None) -> bool:
    return value is not None and (other is None or value < other)


_switch = partial(Policy, stricter=_off_is_stricter)
_days = partial(Policy, stricter=_less_is_stricter, least=1, most=3650, unit=gettext_lazy("days"))
_requests = partial(Policy, stricter=_less_is_stricter, least=1, most=1_000_000, unit=gettext_lazy("requests a minute"))

POLICIES: dict[str, Policy] = {
    row.field: row
    for row in [
        _switch(
            "keys_editable",
            gettext_lazy("Access and scope can be changed"),
            gettext_lazy(
                "A key’s access level and scope, and the permissions of a custom role that keys use, can be changed "
                "after they were given. Off: they are fixed, and a new key takes an old one’s place."
            ),
        ),
        _switch(
            "permanent_delete",
            gettext_lazy("Revoked keys can be deleted"),
            gettext_lazy(
                "A revoked key and its usage can be removed for good; the audit trail stays. Off: revoked keys are "
                "kept for the record."
            ),
        ),
        _switch(
            "key_automation",
            gettext_lazy("Keys can manage keys"),
            gettext_lazy(
                "A custom role may hold keys:read and keys:write, so that a program creates, rotates and revokes keys "
                "without a person. Switching it off takes both from every key at once."
            ),
        ),
        _switch(
            "leaks_only_disable",
            gettext_lazy("Leaked keys are only switched off"),
            gettext_lazy(
                "When somebody hands in a secret that they found, or a scanner does, the key is switched off until an "
                "owner decides. Off: it is revoked at once."
            ),
        ),
        Policy(
            "max_active_keys",
            gettext_lazy("Active keys at most"),
            gettext_lazy("No key can be created or switched on beyond this number. Keys that are active stay active."),
            stricter=_less_is_stricter,
            least=1,
            most=100_000,
            unit=gettext_lazy("keys"),
            empty=gettext_lazy("No limit"),
        ),
        _days(
            "max_lifetime_days",
            gettext_lazy("Longest life of a key"),
            gettext_lazy(
                "Every new key expires within this many days of its creation. Keys that exist keep their expiry until "
                "somebody changes it."
            ),
            empty=gettext_lazy("No limit"),
        ),
        _requests(
            "default_rate_limit",
            gettext_lazy("Rate limit of keys without their own"),
            gettext_lazy("Requests beyond it are answered 429. It holds at once, for every key that names no limit."),
            empty=gettext_lazy("No limit"),
        ),
        _requests(
            "max_rate_limit",
            gettext_lazy("Rate limit of any key at most"),
            gettext_lazy(
                "What the plan allows. No key may make more requests, whatever limit it names and where it names none."
            ),
            empty=gettext_lazy("No maximum"),
            of_plan=True,
        ),
        _days(
            "rotation_days",
            gettext_lazy("Rotate production secrets after"),
            gettext_lazy("A key with an older secret is marked as due for rotation. It goes on working."),
            empty=gettext_lazy("Never due"),
        ),
        _days(
            "rotation_days_elsewhere",
            gettext_lazy("Rotate other secrets after"),
            gettext_lazy("The same in staging and development."),
            empty=gettext_lazy("Never due"),
        ),
    ]
}

#: How pages group the table.
GROUPS: list[tuple[str, _StrPromise, _StrPromise, list[str]]] = [
    (
        "changes",
        gettext_lazy("What can happen to keys"),
        gettext_lazy("Off is the stricter choice of each."),
        ["keys_editable", "permanent_delete", "key_automation", "leaks_only_disable"],
    ),
    (
        "limits",
        gettext_lazy("Limits"),
        gettext_lazy("A lower number is stricter; an empty field sets no limit."),
        ["max_active_keys", "max_lifetime_days", "default_rate_limit", "max_rate_limit"],
    ),
    (
        "rotation",
        gettext_lazy("Rotation"),
        gettext_lazy("How old a secret may grow before the key is marked as due."),
        ["rotation_days", "rotation_days_elsewhere"],
    ),
]


def is_staffs(account: Account, field: str) -> bool:
    """Whether only the pool's staff may change the policy ``field`` of ``account``: it is the plan's, or pinned."""
    return POLICIES[field].of_plan or field in account.pinned_policies


def check_policies(account: Account, changes: Mapping[str, Value], *, by_owner: bool) -> Changes:
    """Return what of ``changes`` differs from ``account``, before and after. It writes nothing: forms ask first.

    Raises Refused for a value out of its bounds, and for a policy that is staff's where an owner changes it.
    """
    found: Changes = {}
    for field, value in changes.items():
        policy = POLICIES[field]
        before: Value = getattr(account, field)
        if value == before:
            continue
        if by_owner and is_staffs(account, field):
            raise Refused(_("The pool’s staff set this policy. Ask them to change it."), field)
        policy.check(value)
        found[field] = (before, value)
    _check_default_rate(account, found)
    return found


def _check_default_rate(account: Account, changes: Changes) -> None:
    """A default that is set is within the maximum; one that was set before is capped when it is used."""
    most = changes.get("max_rate_limit", (None, account.max_rate_limit))[1]
    default = changes.get("default_rate_limit", (None, None))[1]
    if most is not None and default is not None and default > most:
        raise Refused(
            _("At most %(most)s requests a minute, as the plan allows.") % {"most": f"{most:,}"}, "default_rate_limit"
        )


def set_policies(account: Account, *, actor: audit.Actor, **changes: Value) -> Changes:
    """Write what of ``changes`` differs and return it, before and after. Owners are told by mail.

    Nothing stops at a lowered limit: it holds for what comes. Nothing that differs is no error.
    Raises Refused, StepUpMissing, PermissionDenied.
    """
    actor.require_step_up(SET)
    with transaction.atomic():
        account = lock_account(account.pk)
        by_owner = access.require_owner(actor, account) is not None
        changed = check_policies(account, changes, by_owner=by_owner)
        if changed:
            for field, (_before, after) in changed.items():
                setattr(account, field, after)
            account.save(update_fields=list(changed))
            audit.record(
                "account.policies_changed",
                actor=actor,
                account=account,
                target=account,
                **{field: list(pair) for field, pair in changed.items()},
            )
            tell(account, changed, actor=actor)
    return changed


def pin(account: Account, *fields: str, actor: audit.Actor) -> list[str]:
    """Let staff alone change ``fields`` from now on; return all that are pinned. Pinned already is no error.

    Raises PermissionDenied unless the actor is staff or a command.
    """
    return _set_pins(account, "account.policies_pinned", lambda pinned: pinned | set(fields), fields, actor)


def unpin(account: Account, *fields: str, actor: audit.Actor) -> list[str]:
    """Give ``fields`` back to the owners; return what is still pinned. Not pinned is no error.

    Raises PermissionDenied unless the actor is staff or a command.
    """
    return _set_pins(account, "account.policies_unpinned", lambda pinned: pinned - set(fields), fields, actor)


def _set_pins(
    account: Account,
    action: str,
    change: Callable[[set[str]], set[str]],
    fields: tuple[str, ...],
    actor: audit.Actor,
) -> list[str]:
    if unknown := set(fields) - {row.field for row in POLICIES.values() if not row.of_plan}:
        raise ValueError(f"No policies that can be pinned: {sorted(unknown)}")
    with transaction.atomic():
        account = lock_account(account.pk)
        access.require_staff(actor)
        before = set(account.pinned_policies)
        after = change(before)
        if after != before:
            account.pinned_policies = [field for field in POLICIES if field in after]
            account.save(update_fields=["pinned_policies"])
            audit.record(action, actor=actor, account=account, target=account, fields=sorted(before ^ after))
    return account.pinned_policies


def tell(account: Account, changed: Changes, *, actor: audit.Actor) -> None:
    """Mail ``changed`` to the account's owners."""
    lines = [
        {
            "label": POLICIES[field].label,
            "before": POLICIES[field].in_words(before),
            "after": POLICIES[field].in_words(after),
            "looser": POLICIES[field].stricter(before, after),
        }
        for field, (before, after) in changed.items()
    ]
    notify_members(
        account,
        "policies",
        format_lazy(gettext_lazy("Policies of {account} were changed"), account=account.name),
        "policies_changed",
        actor=actor,
        changes=lines,
    )
