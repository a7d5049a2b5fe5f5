"""What opens it: keys, their secrets, their scopes, and the signing keys that make the digests."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from uuid_utils.compat import uuid7

from accounts.access_levels import CUSTOM, permissions_of
from accounts.environments import Environment
from accounts.models import ACCESS_LEVEL_CHOICES, Account, User
from accounts.search import SearchIndex
from apikeys import key_format
from apikeys.key_queries import ApiKeyQuerySet, ApiKeySecretQuerySet, OwnersKeys, SupportKeys
from apikeys.rate_limits import burst_in_force
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
        permissions = [
            ("bootstrap_account", "Can set an account up for API keys"),
            ("rotate_signingkey", "Can rotate an account’s signing key"),
            ("retire_signingkey", "Can retire a signing key, which stops every secret under it"),
        ]
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


class ApiKey(models.Model):
    """A key: identity, access, restrictions and status. Written by `apikeys.lifecycle` alone."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    key_id = models.CharField("key ID", max_length=20, unique=True, default=new_key_id, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="api_keys")
    environment = models.CharField(max_length=12, choices=Environment)
    name = models.CharField(max_length=80)
    description = models.CharField(max_length=300, blank=True)
    access_level = models.CharField(max_length=20, choices=[*ACCESS_LEVEL_CHOICES, (CUSTOM, "Custom role")])
    role = models.ForeignKey(Role, null=True, on_delete=models.PROTECT, related_name="keys")
    support = models.BooleanField(
        "support key", default=False, help_text="Handed out by support: works, is not shown to owners, never grows."
    )
    allowed_cidrs = models.JSONField("allowed addresses", default=list)
    rate_limit = models.PositiveIntegerField(null=True, help_text="Requests per minute; NULL: the account's default.")
    rate_burst = models.PositiveIntegerField(null=True, help_text="How many of them at once; NULL: a whole minute's.")
    expires_at = models.DateTimeField(null=True)
    disabled_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    revoked_by_name = models.CharField(max_length=254, blank=True)
    revoke_reason = models.CharField(max_length=40, blank=True)
    revoke_note = models.CharField(max_length=200, blank=True)
    # The last use of any of its secrets, written by the request log with theirs, so that lists are sorted by it.
    last_used_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_by_name = models.CharField(max_length=254)
    # The form or request that made the key, so that a repeated one can be told from a new one.
    idempotency_key = models.CharField(max_length=80, null=True, editable=False)  # noqa: DJ001 NULLs are distinct

    objects = OwnersKeys()
    #: Support keys among them: for the staff admin, and for whoever holds a key already.
    every = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = "API key"
        ordering = ["-created_at"]
        permissions = [
            ("disable_apikey", "Can disable API keys"),
            ("enable_apikey", "Can enable API keys"),
            ("rotate_apikey", "Can give API keys new secrets"),
            ("revoke_apikey", "Can revoke API keys"),
            ("register_supportkey", "Can register and issue support keys"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["account", "idempotency_key"], name="api_key_idempotency"),
            models.CheckConstraint(
                condition=Q(access_level=CUSTOM, role__isnull=False) | (~Q(access_level=CUSTOM) & Q(role=None)),
                name="api_key_custom_has_role",
            ),
        ]
        indexes = [
            models.Index(fields=["account", "revoked_at", "-created_at"], name="api_key_of_account"),
            # The staff admin's lists and numbers, over all accounts: see bench.admin.
            models.Index(fields=["-created_at"], condition=Q(revoked_at=None), name="api_key_newest"),
            models.Index(fields=["-revoked_at"], condition=Q(revoked_at__isnull=False), name="api_key_revoked"),
            models.Index(
                fields=["disabled_at"], condition=Q(revoked_at=None, disabled_at__isnull=False), name="api_key_disabled"
            ),
            models.Index(
                fields=["expires_at"], condition=Q(revoked_at=None, expires_at__isnull=False), name="api_key_expires"
            ),
            models.Index(fields=["-created_at"], condition=Q(support=True), name="api_key_support"),
            SearchIndex(fields=["name"], name="api_key_search"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def status(self) -> str:
        """``revoked``, ``expired``, ``disabled``, ``without_secret`` or ``active``: what the next request meets."""
        if self.revoked_at:
            return "revoked"
        if self.expires_at and timezone.now() >= self.expires_at:
            return "expired"
        if self.disabled_at:
            return "disabled"
        return "active" if self.live_secrets else "without_secret"

    @property
    def live_secrets(self) -> list[ApiKeySecret]:
        """The secrets that are not retired, newest first: one, two while a rotation overlaps, none after a panic."""
        now = timezone.now()
        return [secret for secret in self.secrets.all() if secret.retires_at is None or secret.retires_at > now]

    @property
    def rate_limit_in_force(self) -> int | None:
        """Requests per minute: the key's own limit or the account's default, within its maximum; None is no limit."""
        return self.account.rate_limit_of(self.rate_limit)

    @property
    def rate_burst_in_force(self) -> int | None:
        """How many requests may come at once; None where there is no rate limit."""
        return burst_in_force(self.rate_limit_in_force, self.rate_burst)

    @property
    def rate_limit_from(self) -> str:
        """Whose the limit in force is: ``key``, ``account`` (its default) or ``plan`` (its maximum); "" for none."""
        limit = self.rate_limit_in_force
        if limit is None:
            return ""
        if limit == self.rate_limit:
            return "key"
        return "account" if self.rate_limit is None and limit == self.account.default_rate_limit else "plan"

    @property
    def rotation_due_at(self) -> datetime | None:
        """When the newest secret is older than the account's policy wants; None where there is no such policy."""
        production = self.environment == Environment.PRODUCTION
        days = self.account.rotation_days if production else self.account.rotation_days_elsewhere
        newest = self.live_secrets[0] if self.live_secrets else None
        return newest.created_at + timedelta(days=days) if newest is not None and days is not None else None

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
        newest = max(self.secrets.all(), key=lambda secret: (secret.created_at, secret.pk), default=None)
        return "–" if newest is None else self.mask_of(newest)

    def mask_of(self, secret: ApiKeySecret) -> str:
        """The mask of one of the key's secrets."""
        if secret.is_registered:
            return f"{secret.hint}••••"
        return key_format.mask(self.environment, secret.selector, prefix=settings.PITHEAD_KEY_PREFIX)

    @property
    def last_used(self) -> ApiKeySecret | None:
        """The secret that was used last, retired ones counted; None if none ever was."""
        used = [secret for secret in self.secrets.all() if secret.last_used_at is not None]
        return max(used, key=lambda secret: secret.last_used_at, default=None)  # type: ignore[arg-type, return-value]


class ActiveKey(ApiKey):
    """A key that is not revoked: a section of the staff admin."""

    class Meta:
        proxy = True
        verbose_name = "API key"
        default_permissions = ()


class RevokedKey(ApiKey):
    """A revoked key, kept for the record: a section of the staff admin."""

    class Meta:
        proxy = True
        verbose_name = "revoked API key"
        default_permissions = ()


class SupportKey(ApiKey):
    """A key that support once handed out, and that keeps working: a section of the staff admin."""

    objects = SupportKeys()  # type: ignore[misc]

    class Meta:
        proxy = True
        verbose_name = "support key"
        default_permissions = ()


class ApiKeySecret(models.Model):
    """One bearer string of a key: its public selector and a keyed digest, never a character of the secret.

    A registered one, which support handed out before there was Pithead, has no selector that anybody knows: ``lookup``
    finds it, and ``argon2`` verifies it. Nobody knows how well it was made, so its digest is slow. `support_keys`.
    """

    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="secrets")
    signing_key = models.ForeignKey(SigningKey, on_delete=models.PROTECT, related_name="secrets")
    selector = models.CharField(max_length=key_format.SELECTOR_LENGTH, unique=True, editable=False)
    digest = models.BinaryField(max_length=32, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    retires_at = models.DateTimeField(null=True, editable=False)
    # Written by the request log, some seconds after the request.
    last_used_at = models.DateTimeField(null=True, editable=False)
    last_used_address = models.GenericIPAddressField(null=True, editable=False)
    # Of registered secrets alone
    lookup = models.BinaryField(max_length=32, null=True, editable=False)
    argon2 = models.CharField(max_length=200, blank=True, editable=False)
    hint = models.CharField(max_length=8, blank=True, editable=False)

    objects = ApiKeySecretQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=(Q(lookup=None, argon2="") | Q(lookup__isnull=False) & ~Q(argon2="")),
                name="secret_registered_has_both",
            ),
        ]
        indexes = [models.Index(fields=["lookup"], condition=Q(lookup__isnull=False), name="secret_lookup")]

    def __str__(self) -> str:
        return f"{self.hint or self.selector[: key_format.SHOWN_OF_SELECTOR]}••••"

    @property
    def is_registered(self) -> bool:
        """Whether support handed it out before there was Pithead."""
        return self.lookup is not None


class IdempotentRequest(models.Model):
    """A request that made a secret and bore an Idempotency-Key: sent again, it makes nothing. See `idempotency`.

    ``digest`` names the caller and their Idempotency-Key, ``request`` what was asked for. No answer is kept.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+", db_index=False)
    digest = models.CharField(max_length=64, editable=False)
    request = models.CharField(max_length=64, editable=False)
    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="+")
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["account", "digest"], name="idempotent_request_once")]

    def __str__(self) -> str:
        return self.digest[:12]


class RequestLog(models.Model):
    """One request that a key made, allowed or refused. Written in batches by `apikeys.request_log`.

    ``route`` is the route's pattern, never the path: what people write into a path may be a secret.
    """

    at = models.DateTimeField()
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+", db_index=False)
    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="requests", db_index=False)
    secret = models.ForeignKey(ApiKeySecret, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False)
    address = models.GenericIPAddressField(null=True)
    method = models.CharField(max_length=10)
    route = models.CharField(max_length=120)
    status = models.PositiveSmallIntegerField()
    code = models.CharField(max_length=40, blank=True)
    duration_ms = models.PositiveIntegerField()
    request_id = models.CharField(max_length=40)

    class Meta:
        indexes = [
            models.Index(fields=["key", "-at"], name="request_of_key_at"),
            models.Index(fields=["account", "-at"], name="request_of_account_at"),
            models.Index(fields=["at"], name="request_at"),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.route} {self.status}"


class UsageHour(models.Model):
    """How many requests a key made in one hour, UTC, and how many of them were refused."""

    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="usage", db_index=False)
    hour = models.DateTimeField()
    requests = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["key", "hour"], name="usage_hour_once")]
        indexes = [models.Index(fields=["hour"], name="usage_hour")]  # for the removal of old rows

    def __str__(self) -> str:
        return f"{self.requests} in {self.hour:%Y-%m-%d %H}"


class UsageTotal(models.Model):
    """How many requests all keys made in one hour, UTC, keys that are gone since among them."""

    hour = models.DateTimeField(primary_key=True)
    requests = models.PositiveBigIntegerField(default=0)
    refused = models.PositiveBigIntegerField(default=0)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.requests} in {self.hour:%Y-%m-%d %H}"


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
