"""Who you are: people, accounts, what a person may do in an account, and the trail of what was done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.hashers import check_password
from django.contrib.auth.models import PermissionsMixin
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django_otp.models import Device, ThrottlingMixin
from uuid_utils.compat import uuid7

from accounts.access_levels import LEVEL_NAMES, AccessLevel
from accounts.search import SearchIndex

ACCESS_LEVEL_CHOICES = [(level.value, LEVEL_NAMES[level]) for level in AccessLevel]


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        user = self.model(email=email, **fields)
        user.set_password(password)
        user.full_clean(exclude=["password"])
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=(username or "").lower())


class User(AbstractBaseUser, PermissionsMixin):  # type: ignore[django-manager-missing]
    """A person who signs in with e-mail, password and a second factor."""

    class Theme(models.TextChoices):
        AUTO = "auto", _("Follow system theme")
        LIGHT = "light", _("Light")
        DARK = "dark", _("Dark")

    # Kept in lower case: phones capitalise what people type, and one person is one user.
    email = models.EmailField(
        "e-mail",
        max_length=254,
        unique=True,
        error_messages={"unique": "A person with this e-mail address exists already."},
    )
    name = models.CharField(max_length=150)
    is_staff = models.BooleanField("staff", default=False, help_text="May enter the staff admin.")
    is_active = models.BooleanField("active", default=True, help_text="Unset instead of deleting the person.")
    theme = models.CharField(max_length=5, choices=Theme, default=Theme.AUTO)
    language = models.CharField(max_length=10, blank=True, help_text="Empty: what the browser asks for.")
    time_zone = models.CharField(max_length=64, blank=True, help_text="An IANA name; empty: UTC.")
    date_joined = models.DateTimeField(default=timezone.now, editable=False)

    objects = UserManager()

    #: Set by django-otp's middleware on `request.user`: whether this session proved a second factor.
    is_verified: Callable[[], bool]

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS = ["name"]

    class Meta:
        verbose_name, verbose_name_plural = "person", "people"
        permissions = [("sign_out_user", "Can sign a person out of every browser")]

    def clean_fields(self, exclude: Any = None) -> None:
        self.email = self.email.lower()
        super().clean_fields(exclude=exclude)

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.email = self.email.lower()
        super().save(*args, **kwargs)

    def __str__(self) -> str:
        return self.name or self.email

    def get_full_name(self) -> str:
        return self.name

    def get_short_name(self) -> str:
        return self.name.split(" ", 1)[0]


class Account(models.Model):
    """The tenant: owns entities and keys."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=60, unique=True, help_text="The account's name in web addresses.")
    suspended_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Set while every key of the account is refused."
    )
    max_active_keys = models.PositiveIntegerField(
        null=True, blank=True, help_text="How many keys may be active at once. Empty: no limit."
    )
    max_lifetime_days = models.PositiveIntegerField(
        null=True, blank=True, help_text="The longest life of a new key, in days. Empty: no limit."
    )
    keys_editable = models.BooleanField(
        default=False,
        help_text="Access level and scopes of a key, and custom roles in use, may be changed after they were given.",
    )
    key_automation = models.BooleanField(
        default=False, help_text="Keys may manage keys, with the permissions keys:read and keys:write."
    )
    permanent_delete = models.BooleanField(
        default=False, help_text="A revoked key may be deleted for good; the audit trail stays."
    )
    leaks_only_disable = models.BooleanField(
        default=False, help_text="A key whose secret leaked is switched off, and not revoked."
    )
    default_rate_limit = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="Requests per minute of a key that has no limit of its own. Empty: the maximum, if there is one.",
    )
    max_rate_limit = models.PositiveIntegerField(
        null=True, blank=True, help_text="The most requests per minute that any key may make. Empty: no maximum."
    )
    rotation_days = models.PositiveIntegerField(
        null=True,
        blank=True,
        default=90,
        help_text="How old a production secret may grow before it is due. Empty: never.",
    )
    rotation_days_elsewhere = models.PositiveIntegerField(
        null=True, blank=True, default=180, help_text="The same in staging and development."
    )
    pinned_policies = models.JSONField(
        default=list, blank=True, help_text="The policies that only the pool’s staff may change."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    members = models.ManyToManyField(User, through="Membership", related_name="accounts")

    class Meta:
        ordering = ["name"]
        permissions = [("suspend_account", "Can suspend and resume an account")]

    def __str__(self) -> str:
        return self.name

    def rate_limit_of(self, own: int | None) -> int | None:
        """Requests per minute in force for a key whose own limit is ``own``; None is no limit."""
        limit = own if own is not None else self.default_rate_limit
        return min((each for each in (limit, self.max_rate_limit) if each is not None), default=None)


class KeyPermission(models.TextChoices):
    """What a member may do with the account's keys. The owner has all four."""

    VIEW = "api_keys.view", _("See API keys")
    CREATE = "api_keys.create", _("Create API keys")
    UPDATE = "api_keys.update", _("Change, disable and enable API keys")
    DELETE = "api_keys.delete", _("Revoke API keys")


class Membership(models.Model):
    """A person in an account: how far they see, and what they may do with its keys."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    access_level = models.CharField(max_length=20, choices=ACCESS_LEVEL_CHOICES, default=AccessLevel.VIEWER)
    is_owner = models.BooleanField("owner", default=False, help_text="Has every key permission.")
    can_view_keys = models.BooleanField(KeyPermission.VIEW.label, default=False)
    can_create_keys = models.BooleanField(KeyPermission.CREATE.label, default=False)
    can_update_keys = models.BooleanField(KeyPermission.UPDATE.label, default=False)
    can_delete_keys = models.BooleanField(KeyPermission.DELETE.label, default=False)
    muted_notices = models.JSONField(default=list, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["account__name", "user__name"]
        constraints = [
            models.UniqueConstraint(fields=["account", "user"], name="membership_once"),
            models.CheckConstraint(
                condition=models.Q(is_owner=False) | models.Q(access_level=AccessLevel.ADMINISTRATOR),
                name="membership_owner_is_administrator",
                violation_error_message="An owner's access level is Administrator.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.account}"

    @property
    def key_permissions(self) -> frozenset[KeyPermission]:
        return _key_permissions(self)


class Invitation(models.Model):
    """A place in an account, offered to an e-mail address. Only the digest of the link's token is stored."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField("e-mail", max_length=254)
    access_level = models.CharField(max_length=20, choices=ACCESS_LEVEL_CHOICES, default=AccessLevel.VIEWER)
    is_owner = models.BooleanField("owner", default=False)
    can_view_keys = models.BooleanField(KeyPermission.VIEW.label, default=False)
    can_create_keys = models.BooleanField(KeyPermission.CREATE.label, default=False)
    can_update_keys = models.BooleanField(KeyPermission.UPDATE.label, default=False)
    can_delete_keys = models.BooleanField(KeyPermission.DELETE.label, default=False)
    digest = models.BinaryField(max_length=32, unique=True, editable=False)
    invited_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    invited_by_name = models.CharField(max_length=254)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, editable=False)
    cancelled_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "email"],
                condition=models.Q(accepted_at=None, cancelled_at=None),
                name="invitation_open_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.email} to {self.account}"

    @property
    def key_permissions(self) -> frozenset[KeyPermission]:
        return _key_permissions(self)

    @property
    def state(self) -> str:
        """``accepted``, ``cancelled``, ``expired`` or ``open``."""
        if self.accepted_at:
            return "accepted"
        if self.cancelled_at:
            return "cancelled"
        return "expired" if timezone.now() >= self.expires_at else "open"


def _key_permissions(place: Membership | Invitation) -> frozenset[KeyPermission]:
    if place.is_owner:
        return frozenset(KeyPermission)
    held = {
        KeyPermission.VIEW: place.can_view_keys,
        KeyPermission.CREATE: place.can_create_keys,
        KeyPermission.UPDATE: place.can_update_keys,
        KeyPermission.DELETE: place.can_delete_keys,
    }
    return frozenset(permission for permission, has in held.items() if has)


class SignedInSession(models.Model):
    """One browser in which a person is signed in: what the sessions page lists and ends."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="signed_in_sessions")
    session_key = models.CharField(max_length=40, unique=True, editable=False)
    address = models.GenericIPAddressField(null=True, editable=False)
    user_agent = models.CharField(max_length=300, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_seen_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-last_seen_at"]

    def __str__(self) -> str:
        return f"{self.user} from {self.address or 'an unknown address'}"


class RecoveryDevice(ThrottlingMixin, Device):
    """A person's set of recovery codes, as a device of its own: its failures are counted apart from the app's."""

    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(Device.Meta):
        constraints = [models.UniqueConstraint(fields=["user"], name="recovery_device_once")]

    def get_throttle_factor(self) -> int:
        return 1

    def codes_left(self) -> int:
        return self.codes.filter(used_at=None).count()

    def verify_token(self, token: str) -> bool:
        """Spend the code ``token`` (canonical: lower case, no dashes). Called by django-otp with this row locked."""
        allowed, _ = self.verify_is_allowed()
        if not allowed:
            return False
        code = self.codes.filter(prefix=token[: RecoveryCode.PREFIX_LENGTH], used_at=None).first()
        if code is None or not check_password(token, code.digest):
            self.throttle_increment()
            return False
        self.throttle_reset()
        return self.codes.filter(pk=code.pk, used_at=None).update(used_at=timezone.now()) == 1


class RecoveryCode(models.Model):
    """One recovery code under Argon2id; the prefix finds the row, the other 14 characters are the secret."""

    PREFIX_LENGTH = 2

    device = models.ForeignKey(RecoveryDevice, on_delete=models.CASCADE, related_name="codes")
    prefix = models.CharField(max_length=PREFIX_LENGTH, editable=False)
    digest = models.CharField(max_length=200, editable=False)
    used_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["device", "prefix"], name="recovery_code_prefix")]

    def __str__(self) -> str:
        return "used" if self.used_at else "unused"


class SpentConfirmation(models.Model):
    """A form that was confirmed with a second factor once, and never again: the nonce that it carried."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    nonce = models.CharField(max_length=64, editable=False)
    action = models.CharField(max_length=60, editable=False)
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "nonce"], name="confirmation_once")]

    def __str__(self) -> str:
        return self.action


class AuditEventQuerySet(models.QuerySet["AuditEvent"]):
    def update(self, **kwargs: Any) -> int:
        raise TypeError("Audit events are append-only.")

    def delete(self) -> tuple[int, dict[str, int]]:
        raise TypeError("Audit events are append-only.")


class AuditEvent(models.Model):
    """One thing that was done, written in the transaction that did it. Append-only; `audit.record` is the writer.

    References outlive what they name, with names copied beside them: nothing ever updates a row. The database doesn't
    check them either, since that would lock the person's row after the chain, where others lock it before. ``digest``
    covers the row and the digest before it in its ``chain``: see `accounts.audit_chain`.
    """

    #: Where a change is made from.
    VIA = {"web": "Web UI", "admin": "Staff admin", "api": "API key", "leak": "Leak report", "command": "manage.py"}

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    at = models.DateTimeField(default=timezone.now, editable=False)
    account = models.ForeignKey(
        Account,
        null=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="audit_events",
    )
    account_name = models.CharField(max_length=120, blank=True)
    actor = models.ForeignKey(
        User, null=True, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    actor_name = models.CharField(max_length=254)
    via = models.CharField(max_length=10, choices=VIA)
    address = models.GenericIPAddressField(null=True)
    action = models.CharField(max_length=60)
    target_type = models.CharField(max_length=40, blank=True)
    target_id = models.CharField(max_length=64, blank=True)
    target_name = models.CharField(max_length=200, blank=True)
    data = models.JSONField(default=dict)
    chain = models.CharField(max_length=36, editable=False)
    number = models.PositiveBigIntegerField(editable=False)
    digest = models.BinaryField(max_length=32, editable=False)

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        ordering = ["-at", "-id"]
        permissions = [("export_auditevent", "Can export the audit trail")]
        constraints = [models.UniqueConstraint(fields=["chain", "number"], name="audit_chain_number")]
        indexes = [
            models.Index(fields=["-at", "-id"], name="audit_at"),
            models.Index(fields=["account", "-at", "-id"], name="audit_account_at"),
            models.Index(fields=["actor", "-at", "-id"], name="audit_actor_at"),
            models.Index(fields=["action", "-at", "-id"], name="audit_action_at"),
            models.Index(fields=["target_id", "target_type", "-at", "-id"], name="audit_target_at"),
            SearchIndex(fields=["target_name"], name="audit_target_search"),
            SearchIndex(fields=["actor_name"], name="audit_actor_search"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.target_name}".strip()

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise ValidationError("Audit events are append-only.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise ValidationError("Audit events are append-only.")


class AuditChain(models.Model):
    """The head of one account's chain of audit events, or of the pool's own: how long it is, and the last digest."""

    name = models.CharField(primary_key=True, max_length=36, editable=False)
    length = models.PositiveBigIntegerField(default=0, editable=False)
    digest = models.BinaryField(max_length=32, default=bytes(32), editable=False)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name


class WrappedKey(models.Model):
    """A key of the installation's own, made on first use and wrapped under the master keys: `accounts.wrapped_keys`."""

    name = models.CharField(primary_key=True, max_length=40, editable=False)
    wrapped = models.BinaryField(editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name
