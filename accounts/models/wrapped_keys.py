"""Keys of the installation's own."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class WrappedKey(models.Model):
    """A key of the installation's own, made on first use and wrapped under the master keys: `accounts.wrapped_keys`."""

    name = models.CharField(primary_key=True, max_length=40, editable=False)
    wrapped = models.BinaryField(editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name
