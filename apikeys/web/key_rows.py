"""A key as the list and its own page show it, made for a whole page of keys with a fixed number of queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import prefetch_related_objects
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import KeyPermission, Membership
from apikeys import roles, scopes, usage
from apikeys.models import ApiKey, ApiKeySecret
from apikeys.usage import Day
from apikeys.web import charts

EXPIRES_SOON = timedelta(days=14)


@dataclass(frozen=True)
class Allowed:
    """What somebody may do with the account's keys; where not, why, for controls that are shown disabled."""

    membership: Membership
    create: bool
    update: bool
    delete: bool

    @classmethod
    def to(cls, membership: Membership) -> Allowed:
        held = membership.key_permissions
        return cls(
            membership,
            create=KeyPermission.CREATE in held,
            update=KeyPermission.UPDATE in held,
            delete=KeyPermission.DELETE in held,
        )

    @property
    def everything(self) -> bool:
        return self.create and self.update and self.delete

    @property
    def why_not_update(self) -> str:
        return "" if self.update else _("Your role does not include changing API keys")

    @property
    def why_not_delete(self) -> str:
        return "" if self.delete else _("Your role does not include revoking API keys")

    def why_no_secret(self, key: ApiKey) -> str:
        """Why they can't be given a new secret of ``key``; "" when they can. Whoever gets one could use it."""
        if not self.update:
            return self.why_not_update
        beyond = roles.why_beyond(key.permissions, self.membership)
        return _("This key may do more than you may. %(why)s") % {"why": beyond} if beyond else ""


@dataclass(frozen=True)
class Secret:
    """One live secret. ``age`` is "" for the only one, "new" and "old" while a rotation overlaps."""

    secret: ApiKeySecret
    mask: str
    age: str

    @property
    def recently_used(self) -> bool:
        """Used in the last hour: whatever calls with it would notice that it stops."""
        at = self.secret.last_used_at
        return at is not None and timezone.now() - at < timedelta(hours=1)


@dataclass(frozen=True)
class KeyRow:
    key: ApiKey
    scopes: str
    days: Sequence[Day]
    allowed: Allowed

    @property
    def steps(self) -> str:
        return charts.steps(self.days)

    @property
    def requests(self) -> int:
        return sum(day.requests for day in self.days)

    @property
    def secrets(self) -> list[Secret]:
        live = self.key.live_secrets
        ages = ["new", *["old"] * (len(live) - 1)] if len(live) > 1 else [""]
        return [Secret(secret, self.key.mask_of(secret), age) for secret, age in zip(live, ages, strict=False)]

    @property
    def old_secret(self) -> Secret | None:
        """The secret that a rotation is replacing, while both work."""
        return self.secrets[-1] if len(self.secrets) > 1 else None

    @property
    def expires_soon(self) -> bool:
        expires_at = self.key.expires_at
        return expires_at is not None and expires_at < timezone.now() + EXPIRES_SOON

    @property
    def rotation_due(self) -> bool:
        due = self.key.rotation_due_at
        return due is not None and due <= timezone.now() and self.old_secret is None

    @property
    def renewal(self) -> str:
        """How the key would get its next secret: the name of the operation in ``web/urls.py``, without ``key-``."""
        if self.key.status == "without_secret":
            return "regenerate"
        return "end-overlap" if self.old_secret else "rotate"

    @property
    def renewal_word(self) -> str:
        """The id of the word for it on the page of the list."""
        return {"rotate": "r", "end-overlap": "o", "regenerate": "g"}[self.renewal]

    @property
    def why_no_renewal(self) -> str:
        """Why the person can't do that now; "" when they can."""
        if self.renewal == "end-overlap":
            return self.allowed.why_not_update
        if self.key.status == "expired":
            return _("This key has expired")
        return self.allowed.why_no_secret(self.key)


def make_rows(keys: Sequence[ApiKey], allowed: Allowed, *, with_usage: bool = True) -> list[KeyRow]:
    """Make rows of ``keys``, read without their secrets."""
    prefetch_related_objects(list(keys), "secrets")
    words = scopes.describe_keys(keys)
    days = usage.daily(keys) if with_usage else {}
    return [KeyRow(key, words[key.pk], days.get(key.pk, []), allowed) for key in keys]
