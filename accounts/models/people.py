"""People, and how they prove who they are: sessions, recovery codes, confirmed forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.hashers import check_password
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django_otp.models import Device, ThrottlingMixin
from uuid_utils.compat import uuid7


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
