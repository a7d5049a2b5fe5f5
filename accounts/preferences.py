"""What people choose for themselves: their name, and how the pages look and speak to them."""

from __future__ import annotations

from django.db import transaction

from accounts import audit
from accounts.models import User


def change(user: User, *, actor: audit.Actor, name: str, language: str, time_zone: str, theme: str) -> None:
    """Save a person's choices. A new name is recorded, as the audit trail says who did what by name."""
    with transaction.atomic():
        before = User.objects.select_for_update(no_key=True).get(pk=user.pk).name
        user.name, user.language, user.time_zone, user.theme = name, language, time_zone, theme
        user.save(update_fields=["name", "language", "time_zone", "theme"])
        if before != name:
            audit.record("user.renamed", actor=actor, target=user, changes={"name": {"from": before, "to": name}})
