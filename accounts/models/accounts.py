"""Accounts, and the places that people have in them or are offered."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from accounts.access_levels import LEVEL_NAMES, AccessLevel
from accounts.models.people import User

ACCESS_LEVEL_CHOICES = [(level.value, LEVEL_NAMES[level]) for level in AccessLevel]


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


#: Key permission -> the column that holds it, in memberships and invitations.
KEY_COLUMNS = {
    KeyPermission.VIEW: "can_view_keys",
    KeyPermission.CREATE: "can_create_keys",
    KeyPermission.UPDATE: "can_update_keys",
    KeyPermission.DELETE: "can_delete_keys",
}


class PlaceColumns(models.Model):
    """What somebody is in an account, or would be: how far they see, and what they may do with its keys."""

    access_level = models.CharField(max_length=20, choices=ACCESS_LEVEL_CHOICES, default=AccessLevel.VIEWER)
    is_owner = models.BooleanField("owner", default=False)
    can_view_keys = models.BooleanField(KeyPermission.VIEW.label, default=False)
    can_create_keys = models.BooleanField(KeyPermission.CREATE.label, default=False)
    can_update_keys = models.BooleanField(KeyPermission.UPDATE.label, default=False)
    can_delete_keys = models.BooleanField(KeyPermission.DELETE.label, default=False)

    class Meta:
        abstract = True

    @property
    def key_permissions(self) -> frozenset[KeyPermission]:
        if self.is_owner:
            return frozenset(KeyPermission)
        return frozenset(permission for permission, column in KEY_COLUMNS.items() if getattr(self, column))


class Membership(PlaceColumns):
    """A person in an account: how far they see, and what they may do with its keys."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    is_owner = models.BooleanField("owner", default=False, help_text="Has every key permission.")
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


class Invitation(PlaceColumns):
    """A place in an account, offered to an e-mail address. Only the digest of the link's token is stored."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField("e-mail", max_length=254)
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
    def state(self) -> str:
        """``accepted``, ``cancelled``, ``expired`` or ``open``."""
        if self.accepted_at:
            return "accepted"
        if self.cancelled_at:
            return "cancelled"
        return "expired" if timezone.now() >= self.expires_at else "open"
