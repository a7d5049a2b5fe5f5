"""What opens it: keys, their secrets, their scopes, and the signing keys that make the digests."""

from __future__ import annotations

import secrets
from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from uuid_utils.compat import uuid7

from accounts.access_levels import CUSTOM, permissions_of
from accounts.environments import Environment
from accounts.models import ACCESS_LEVEL_CHOICES, Account, User
from apikeys import key_format
from entities.models import Entity, Kind


def new_key_id() -> str:
    """``key_`` and 12 base62 characters (71 bits): the key's public name, in lists, logs and web addresses."""
    return "key_" + "".join(secrets.choice(key_format.ALPHABET) for _ in range(12))


class SigningKey(models.Model):
    """A version of an account's HMAC key, wrapped under the master keys. See `apikeys.signing`."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="signing_keys")
    version = models.PositiveIntegerField(default=1)
    wrapped = models.BinaryField(editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    retired_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["account", "-version"]
        constraints = [models.UniqueConstraint(fields=["account", "version"], name="signing_key_version")]

    def __str__(self) -> str:
        return f"version {self.version}"


class Role(models.Model):
    """An account's own access level: any set of permissions under a name. Written by `apikeys.roles` alone."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="roles", db_index=False)
    name = models.CharField(max_length=60)
    description = models.CharField(max_length=200, blank=True)
    permissions = models.JSONField(default=list)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["account", "name"], name="role_name_once")]

    def __str__(self) -> str:
        return self.name


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def revoked(self) -> ApiKeyQuerySet:
        return self.filter(revoked_at__isnull=False)

    def not_revoked(self) -> ApiKeyQuerySet:
        return self.filter(revoked_at=None)

    def active(self, now: datetime | None = None) -> ApiKeyQuerySet:
        """Keys that answer: neither revoked, disabled nor expired."""
        now = now or timezone.now()
        return self.not_revoked().filter(Q(expires_at=None) | Q(expires_at__gt=now), disabled_at=None)

    def disabled(self) -> ApiKeyQuerySet:
        return self.not_revoked().filter(disabled_at__isnull=False)

    def expired(self, now: datetime | None = None) -> ApiKeyQuerySet:
        return self.not_revoked().filter(expires_at__lte=now or timezone.now())

    def for_display(self) -> ApiKeyQuerySet:
        """With what a row of a list shows: account, role, secrets for the mask, scopes with their entities."""
        return self.select_related("account", "role").prefetch_related("secrets", "scopes__entity")


class ApiKey(models.Model):
    """A key: identity, access, restrictions and status. Written by `apikeys.lifecycle` alone."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    key_id = models.CharField("key ID", max_length=20, unique=True, default=new_key_id, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="api_keys")
    environment = models.CharField(max_length=12, choices=Environment)
    name = models.CharField(max_length=80)
    access_level = models.CharField(max_length=20, choices=[*ACCESS_LEVEL_CHOICES, (CUSTOM, "Custom role")])
    role = models.ForeignKey(Role, null=True, on_delete=models.PROTECT, related_name="keys")
    allowed_cidrs = models.JSONField("allowed addresses", default=list)
    expires_at = models.DateTimeField(null=True)
    disabled_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    revoked_by_name = models.CharField(max_length=254, blank=True)
    revoke_reason = models.CharField(max_length=40, blank=True)
    revoke_note = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_by_name = models.CharField(max_length=254)
    # The form or request that made the key, so that a repeated one can be told from a new one.
    idempotency_key = models.CharField(max_length=80, null=True, editable=False)  # noqa: DJ001 NULLs are distinct

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = "API key"
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["account", "idempotency_key"], name="api_key_idempotency"),
            models.CheckConstraint(
                condition=Q(access_level=CUSTOM, role__isnull=False) | (~Q(access_level=CUSTOM) & Q(role=None)),
                name="api_key_custom_has_role",
            ),
        ]
        indexes = [models.Index(fields=["account", "revoked_at", "-created_at"], name="api_key_of_account")]

    def __str__(self) -> str:
        return self.name

    @property
    def status(self) -> str:
        """``revoked``, ``expired``, ``disabled`` or ``active``: what the next request would meet first."""
        if self.revoked_at:
            return "revoked"
        if self.expires_at and timezone.now() >= self.expires_at:
            return "expired"
        return "disabled" if self.disabled_at else "active"

    @property
    def level_name(self) -> str:
        """The custom role's name, or the access level's."""
        return self.role.name if self.role else self.get_access_level_display()

    @property
    def permissions(self) -> frozenset[str]:
        """What the access level or the custom role gives, whatever the account's policy holds back."""
        return permissions_of(self.access_level, self.role.permissions if self.role else ())

    @property
    def masked(self) -> str:
        """The newest secret's mask, ``ph_live_7GkQ2m••••``."""
        newest = max(self.secrets.all(), key=lambda secret: secret.created_at, default=None)
        if newest is None:
            return "–"
        return key_format.mask(self.environment, newest.selector, prefix=settings.PITHEAD_KEY_PREFIX)


class ActiveKey(ApiKey):
    """A key that is not revoked: a section of the staff admin."""

    class Meta:
        proxy = True
        verbose_name = "API key"


class RevokedKey(ApiKey):
    """A revoked key, kept for the record: a section of the staff admin."""

    class Meta:
        proxy = True
        verbose_name = "revoked API key"


class ApiKeySecret(models.Model):
    """One bearer string of a key: its public selector and a keyed digest, never a character of the secret."""

    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="secrets")
    signing_key = models.ForeignKey(SigningKey, on_delete=models.PROTECT, related_name="secrets")
    selector = models.CharField(max_length=key_format.SELECTOR_LENGTH, unique=True, editable=False)
    digest = models.BinaryField(max_length=32, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    retires_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.selector[: key_format.SHOWN_OF_SELECTOR]}••••"


class KeyScope(models.Model):
    """One row ``action × entities`` of a key, written ``read:miners/*`` or ``*:hubs/0192…``.

    ``entity`` NULL means all of the kind, current and future: so an entity that goes takes its rows along (CASCADE),
    and never leaves them wider.
    """

    class Action(models.TextChoices):
        READ = "read"
        WRITE = "write"
        ADMIN = "admin"
        ANY = "*"

    ANY_KIND = "*"

    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="scopes")
    action = models.CharField(max_length=5, choices=Action, default=Action.ANY)
    kind = models.CharField(max_length=5, choices=[*Kind.choices, (ANY_KIND, "Any")])
    entity = models.ForeignKey(Entity, null=True, on_delete=models.CASCADE, related_name="scope_rows")

    class Meta:
        constraints = [
            # In this order it lists what a key picks by hand by id, which pages of a list are cut from.
            models.UniqueConstraint(fields=["key", "kind", "entity", "action"], name="key_scope_once"),
            # NULLs are distinct in the constraint above, and SQLite can't say otherwise. Finds a key's "all" rows, too.
            models.UniqueConstraint(
                fields=["key", "kind", "action"], condition=Q(entity=None), name="key_scope_once_all"
            ),
            models.CheckConstraint(condition=~Q(kind="*") | Q(entity=None), name="key_scope_any_kind_is_all"),
        ]

    def __str__(self) -> str:
        if self.kind == self.ANY_KIND:
            return f"{self.action}:*"
        return f"{self.action}:{self.kind}s/{self.entity_id or '*'}"
