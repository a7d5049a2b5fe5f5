"""What is asked of keys and secrets, as querysets: which work, which are used, and whom they are shown to."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Count, Exists, ExpressionWrapper, OuterRef, Q
from django.utils import timezone

from accounts.models import Membership

if TYPE_CHECKING:
    from apikeys.models import ApiKey, ApiKeySecret  # noqa: F401 the querysets' rows


class ApiKeySecretQuerySet(models.QuerySet["ApiKeySecret"]):
    def live(self, now: datetime | None = None) -> ApiKeySecretQuerySet:
        """Secrets that are not retired."""
        return self.filter(Q(retires_at=None) | Q(retires_at__gt=now or timezone.now()))


def _secrets() -> ApiKeySecretQuerySet:
    from apikeys.models import ApiKeySecret  # which is made of these

    return ApiKeySecret.objects.all()


def _has_live_secret(now: datetime) -> Exists:
    return Exists(_secrets().live(now).filter(key=OuterRef("pk")))


def _creator_left() -> Q:
    member = Membership.objects.filter(account=OuterRef("account"), user=OuterRef("created_by"))
    return Q(created_by__isnull=False, created_by__is_staff=False) & Q(~Exists(member))


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def revoked(self) -> ApiKeyQuerySet:
        return self.filter(revoked_at__isnull=False)

    def not_revoked(self) -> ApiKeyQuerySet:
        return self.filter(revoked_at=None)

    def active(self, now: datetime | None = None) -> ApiKeyQuerySet:
        """Keys that answer: neither revoked, disabled nor expired, with a secret that works."""
        now = now or timezone.now()
        alive = self.not_revoked().filter(Q(expires_at=None) | Q(expires_at__gt=now), disabled_at=None)
        return alive.filter(_has_live_secret(now))

    def without_secret(self, now: datetime | None = None) -> ApiKeyQuerySet:
        """Keys that would answer, had not every secret of theirs been retired with its signing key."""
        now = now or timezone.now()
        alive = self.not_revoked().filter(Q(expires_at=None) | Q(expires_at__gt=now), disabled_at=None)
        # Said first, since it is rare and found by an index.
        lost = Exists(_secrets().filter(key=OuterRef("pk"), signing_key__retired_at__isnull=False))
        return alive.filter(lost, ~_has_live_secret(now))

    def disabled(self) -> ApiKeyQuerySet:
        return self.not_revoked().filter(disabled_at__isnull=False)

    def expired(self, now: datetime | None = None) -> ApiKeyQuerySet:
        return self.not_revoked().filter(expires_at__lte=now or timezone.now())

    def count_by_status(self, now: datetime | None = None) -> dict[str, int]:
        """How many keys each of the methods above finds, with one query; ``all`` are the keys that are not revoked."""
        now = now or timezone.now()
        kept = Q(revoked_at=None)
        alive = kept & Q(disabled_at=None) & (Q(expires_at=None) | Q(expires_at__gt=now))
        working = Q(_has_live_secret(now))
        conditions = {
            "active": alive & working,
            "without_secret": alive & ~working,
            "disabled": kept & Q(disabled_at__isnull=False),
            "expired": kept & Q(expires_at__lte=now),
            "all": kept,
            "revoked": ~kept,
        }
        return self.order_by().aggregate(**{name: Count("pk", filter=each) for name, each in conditions.items()})

    def count_to_watch(self, **more: models.Aggregate) -> dict[str, int]:
        """How many keys are ``active``, how many of those were ``never_used``, and how many ``creators_left`` behind.

        With one query, which can tell ``more`` beside them.
        """
        now = timezone.now()
        kept = Q(revoked_at=None)
        active = kept & Q(disabled_at=None) & (Q(expires_at=None) | Q(expires_at__gt=now)) & Q(_has_live_secret(now))
        conditions = {
            "active": active,
            "never_used": active & Q(last_used_at=None),
            "creators_left": kept & _creator_left(),
        }
        counts = {name: Count("pk", filter=each) for name, each in conditions.items()}
        return self.order_by().aggregate(**counts, **more)

    def with_creator_left(self) -> ApiKeyQuerySet:
        """With ``creator_left``: whether somebody made the key who is no longer a member of its account.

        What staff made from outside, or a command, was never a member's.
        """
        return self.annotate(creator_left=ExpressionWrapper(_creator_left(), models.BooleanField()))

    def creator_left(self) -> ApiKeyQuerySet:
        """Keys made by people who are no longer members of the account."""
        return self.filter(_creator_left())

    def for_display(self) -> ApiKeyQuerySet:
        """With what a row of a list shows: account, role, secrets for the mask. For scopes: `scopes.describe_keys`."""
        return self.select_related("account", "role").prefetch_related("secrets")


class OwnersKeys(models.Manager.from_queryset(ApiKeyQuerySet)):  # type: ignore[misc]
    """All keys but support keys: what owners see and change. The default, so that no page shows one by mistake."""

    def get_queryset(self) -> ApiKeyQuerySet:
        keys: ApiKeyQuerySet = super().get_queryset().filter(support=False)
        return keys


class SupportKeys(models.Manager.from_queryset(ApiKeyQuerySet)):  # type: ignore[misc]
    """Support keys alone."""

    def get_queryset(self) -> ApiKeyQuerySet:
        keys: ApiKeyQuerySet = super().get_queryset().filter(support=True)
        return keys
