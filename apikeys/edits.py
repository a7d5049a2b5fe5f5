"""An edit of a key: what was asked for, what of it differs, whether the rules allow it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from accounts import audit
from accounts.changes import Refused
from accounts.models import KeyPermission
from apikeys import rules
from apikeys import scopes as scope_rules
from apikeys.managing import ManagingKey, Powers
from apikeys.models import ApiKey, KeyScope, Role
from apikeys.rate_limits import burst_in_force
from apikeys.scopes import Scope

LABELS = frozenset({"name", "description"})
#: Fixed at creation, unless the account's policy says that keys are editable.
POWERS = frozenset({"access_level", "scopes"})
SCOPES_IN_AUDIT = 50


class _Unchanged:
    def __repr__(self) -> str:
        return "UNCHANGED"


UNCHANGED = _Unchanged()


@dataclass(frozen=True)
class Changes:
    """What an edit asks for. A field that is left out stays; ``role`` goes with ``access_level``."""

    name: str | _Unchanged = UNCHANGED
    description: str | _Unchanged = UNCHANGED
    expires_at: datetime | _Unchanged | None = UNCHANGED
    allowed_cidrs: Sequence[str] | _Unchanged = UNCHANGED
    rate_limit: int | _Unchanged | None = UNCHANGED
    rate_burst: int | _Unchanged | None = UNCHANGED
    access_level: str | _Unchanged = UNCHANGED
    role: Role | None = None
    scopes: Sequence[Scope] | _Unchanged = UNCHANGED

    def asked(self) -> dict[str, Any]:
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "role"}
        return {name: value for name, value in values.items() if value is not UNCHANGED}


@dataclass
class CheckedEdit:
    """What check() found to differ, canonical and allowed, with what was there before."""

    key: ApiKey
    after: dict[str, Any]
    before: dict[str, Any]
    role: Role | None = None

    @property
    def differs(self) -> bool:
        return bool(self.after)

    @property
    def only_labels(self) -> bool:
        return self.after.keys() <= LABELS

    def write(self) -> None:
        columns = [name for name in self.after if name != "scopes"]
        for name in columns:
            setattr(self.key, name, self.after[name])
        if "access_level" in self.after:
            self.key.role = self.role
            columns.append("role")
        if columns:
            self.key.save(update_fields=columns)
        if "scopes" in self.after:
            self._write_scopes(set(self.after["scopes"]), set(self.before["scopes"]))

    def _write_scopes(self, wanted: set[Scope], there: set[Scope]) -> None:
        gone = there - wanted
        doomed = [row.pk for row in self.key.scopes.all() if Scope(row.action, row.kind, row.entity_id) in gone]
        for start in range(0, len(doomed), 500):
            KeyScope.objects.filter(pk__in=doomed[start : start + 500]).delete()
        KeyScope.objects.bulk_create(
            [
                KeyScope(key=self.key, action=row.action, kind=row.kind, entity_id=row.entity_id)
                for row in sorted(wanted - there, key=str)
            ],
            batch_size=1000,
        )

    def for_audit(self) -> dict[str, Any]:
        """``{field: [before, after]}``, as JSON can hold it."""
        result: dict[str, Any] = {}
        for name in self.after:
            if name == "scopes":
                result[name] = [scopes_for_audit(self.before[name]), scopes_for_audit(self.after[name])]
            elif name == "access_level":
                result[name] = [self.before["level_name"], self.role.name if self.role else self.after[name]]
            else:
                result[name] = [_as_json(self.before[name]), _as_json(self.after[name])]
        return result


def check(key: ApiKey, changes: Changes, *, actor: audit.Actor) -> CheckedEdit:
    """Judge an edit before it is made, writing nothing: forms ask before they spend a code.

    Raises Refused, scopes.InvalidScope.
    """
    giver = rules.require_for(actor, key, KeyPermission.UPDATE)
    rules.require_not_revoked(key)
    before: dict[str, Any] = {
        name: getattr(key, name)
        for name in ("name", "description", "expires_at", "rate_limit", "rate_burst", "access_level")
    }
    before |= {"allowed_cidrs": list(key.allowed_cidrs), "level_name": key.role.name if key.role else key.access_level}
    after = changes.asked()
    if "name" in after:
        after["name"] = rules.check_name(after["name"])
    if "description" in after:
        after["description"] = rules.check_description(after["description"])
    if "allowed_cidrs" in after:
        after["allowed_cidrs"] = rules.normalize_cidrs(after["allowed_cidrs"])
    if "scopes" in after:
        before["scopes"] = [Scope(row.action, row.kind, row.entity_id) for row in key.scopes.all()]
        after["scopes"] = sorted(set(after["scopes"]), key=str)
    differing = {
        name: value
        for name, value in after.items()
        if (set(value) != set(before[name]) if name == "scopes" else value != before[name])
        or (name == "access_level" and (changes.role.pk if changes.role else None) != key.role_id)
    }
    checked = CheckedEdit(key=key, after=differing, before=before, role=changes.role)
    if checked.only_labels:
        return checked
    # Whoever has less than the key could otherwise lengthen its life, or let it in from elsewhere.
    rules.check_ceiling(key.permissions, giver, "access_level")
    if not key.account.keys_editable and (fixed := differing.keys() & POWERS):
        raise Refused(
            _("Access level and scope are fixed when a key is created, by this account's policy. Create a new key."),
            min(fixed),
        )
    if key.support:
        rules.check_support_key(differing.get("access_level"), differing.get("scopes"))
    if "access_level" in differing:
        level = rules.check_level(key.account, differing["access_level"], changes.role)
        rules.check_ceiling(level, giver, "access_level")
    if "scopes" in differing:
        differing["scopes"] = scope_rules.check(key.account, key.environment, differing["scopes"])
    if "rate_limit" in differing:
        rules.check_rate_limit(key.account, differing["rate_limit"])
    if differing.keys() & {"rate_limit", "rate_burst"}:
        will_be = {**before, **differing}
        rules.check_rate_burst(key.account, will_be["rate_limit"], will_be["rate_burst"])
    if "expires_at" in differing:
        if key.support:
            rules.check_expiry(differing["expires_at"])
        else:
            rules.check_lifetime(key.account, differing["expires_at"], born=key.created_at)
            if key.status == "expired":
                rules.check_key_count(key.account)  # it comes back to life
    if isinstance(giver, ManagingKey):
        giver.check(_powers_after(key, checked))
    return checked


def _powers_after(key: ApiKey, checked: CheckedEdit) -> Powers:
    """What ``key`` would be after the edit, for a key that may make none wider than itself."""
    after: dict[str, Any] = {
        name: checked.after[name] for name in ("expires_at", "allowed_cidrs") if name in checked.after
    }
    if checked.after.keys() & {"rate_limit", "rate_burst"}:
        limit = key.account.rate_limit_of(checked.after.get("rate_limit", key.rate_limit))
        after["rate_limit"] = limit
        after["rate_burst"] = burst_in_force(limit, checked.after.get("rate_burst", key.rate_burst))
    if "access_level" in checked.after:
        after["permissions"] = rules.check_level(key.account, checked.after["access_level"], checked.role)
    if "scopes" in checked.after:
        after["scopes"] = frozenset(checked.after["scopes"])
    return replace(Powers.of(key), **after)


def scopes_for_audit(scopes: Sequence[Scope]) -> dict[str, Any]:
    return {"scopes": [str(row) for row in scopes[:SCOPES_IN_AUDIT]], "scope_count": len(scopes)}


def _as_json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
