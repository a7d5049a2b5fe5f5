"""How keys look in answers of the key management API, and what its bodies may hold."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from rest_framework import serializers

from accounts.access_levels import CUSTOM, PERMISSIONS, AccessLevel
from accounts.environments import Environment
from apikeys import lifecycle, roles, rules
from apikeys.models import ApiKey
from apikeys.usage import Day

STATUSES = ("active", "without_secret", "disabled", "expired", "revoked")
#: More are said by “all of a kind”.
MOST_SCOPES = 1000

_OFFSET = re.compile(r"([Zz]|[+-][0-9]{2}:[0-9]{2})$")


class Moment(serializers.DateTimeField):
    """A moment as RFC 3339 writes it: without an offset it would be anybody's guess."""

    default_error_messages = {"invalid": "Give a moment with its offset, like 2027-02-19T12:00:00Z, or null."}

    def to_internal_value(self, value: Any) -> datetime:
        if not isinstance(value, str) or not _OFFSET.search(value):
            self.fail("invalid", format="")
        moment: datetime = super().to_internal_value(value.upper())
        return moment


class WholeNumber(serializers.IntegerField):
    """A number in JSON; text that looks like one is none."""

    default_error_messages = {"invalid": "Give a whole number."}

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        number: int = super().to_internal_value(data)
        return number


class Text(serializers.CharField):
    """Text in JSON alone, and not a number that would be taken for one."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        text: str = super().to_internal_value(data)
        return text


class SecretSerializer(serializers.Serializer[Any]):
    """A secret that works, as far as anybody may know it."""

    mask = serializers.CharField()
    created_at = serializers.DateTimeField()
    retires_at = serializers.DateTimeField(allow_null=True, help_text="When a rotation ends it.")
    last_used_at = serializers.DateTimeField(allow_null=True)


class KeyRowSerializer(serializers.Serializer[Any]):
    """A key in a list."""

    id = serializers.CharField(help_text="The key’s public ID, `key_…`.")
    name = serializers.CharField()
    description = serializers.CharField()
    environment = serializers.ChoiceField(choices=Environment.choices)
    status = serializers.ChoiceField(choices=STATUSES, help_text="`active`: it answers.")
    access_level = serializers.CharField(help_text="One of the four access levels, or `custom`.")
    role = serializers.CharField(allow_null=True, help_text="The custom role’s name where the level is `custom`.")
    permissions = serializers.ListField(child=serializers.ChoiceField(choices=list(PERMISSIONS)))
    allowed_cidrs = serializers.ListField(
        child=serializers.CharField(), help_text="Networks that the key works from; empty: any."
    )
    rate_limit = serializers.IntegerField(
        allow_null=True, help_text="The key’s own limit, in requests a minute; null: the account’s default."
    )
    rate_burst = serializers.IntegerField(
        allow_null=True, help_text="How many of them may come at once; null: a whole minute’s."
    )
    expires_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField()
    rotation_due_at = serializers.DateTimeField(
        allow_null=True, help_text="When the account’s policy wants the next secret."
    )
    disabled_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)
    revoke_reason = serializers.CharField(allow_null=True)
    secrets = SecretSerializer(many=True, help_text="Those that work, newest first: two while a rotation overlaps.")


class ManagedKeySerializer(KeyRowSerializer):
    """A key with all that it is."""

    scopes = serializers.ListField(
        child=serializers.CharField(), help_text="Like `read:miners/*` or `*:hubs/<id>`: action × entities."
    )


class RevealedKeySerializer(ManagedKeySerializer):
    """A key with the secret that was made just now."""

    secret = serializers.CharField(
        allow_null=True, help_text="Shown this once, and stored nowhere; null where the request came before."
    )
    secret_shown = serializers.BooleanField(help_text="Whether `secret` holds it.")


def as_row(key: ApiKey) -> dict[str, Any]:
    """What the serializers above say of ``key``, but for its scopes."""
    return {
        "id": key.key_id,
        "name": key.name,
        "description": key.description,
        "environment": key.environment,
        "status": key.status,
        "access_level": key.access_level,
        "role": key.role.name if key.role else None,
        "permissions": sorted(roles.in_force(key.permissions, key.account)),
        "allowed_cidrs": key.allowed_cidrs,
        "rate_limit": key.rate_limit,
        "rate_burst": key.rate_burst,
        "expires_at": key.expires_at,
        "created_at": key.created_at,
        "created_by": key.created_by_name,
        "rotation_due_at": key.rotation_due_at if key.revoked_at is None else None,
        "disabled_at": key.disabled_at,
        "revoked_at": key.revoked_at,
        "revoke_reason": key.revoke_reason or None,
        "secrets": [
            {
                "mask": key.mask_of(secret),
                "created_at": secret.created_at,
                "retires_at": secret.retires_at,
                "last_used_at": secret.last_used_at,
            }
            for secret in (key.live_secrets if key.revoked_at is None else [])
        ],
    }


def as_detail(key: ApiKey) -> dict[str, Any]:
    """The same, with its scopes."""
    return as_row(key) | {"scopes": sorted(str(row) for row in key.scopes.all())}


def _name(**kwargs: Any) -> Text:
    return Text(max_length=80, help_text="Say which program uses it.", **kwargs)


class NewKeySerializer(serializers.Serializer[Any]):
    """A key to make, in the environment of the endpoint."""

    name = _name()
    description = Text(max_length=rules.DESCRIPTION_LENGTH, allow_blank=True, required=False)
    access_level = serializers.ChoiceField(choices=[*(level.value for level in AccessLevel), CUSTOM])
    role = Text(
        max_length=60,
        allow_null=True,
        required=False,
        help_text="The custom role’s name, with the level `custom` alone.",
    )
    scopes = serializers.ListField(
        child=Text(max_length=50),
        min_length=1,
        max_length=MOST_SCOPES,
        help_text="Like `read:miners/*` or `*:hubs/<id>`: action × entities.",
    )
    expires_at = Moment(allow_null=True, required=False, help_text="Null: never.")
    allowed_cidrs = serializers.ListField(
        child=Text(max_length=60), max_length=rules.MAX_CIDRS, required=False, help_text="Empty: any address."
    )
    rate_limit = WholeNumber(
        min_value=1,
        max_value=rules.MAX_RATE_LIMIT,
        allow_null=True,
        required=False,
        help_text="Requests a minute; null: the account’s default.",
    )
    rate_burst = WholeNumber(
        min_value=1,
        max_value=rules.MAX_RATE_LIMIT,
        allow_null=True,
        required=False,
        help_text="How many of them may come at once; null: a whole minute’s.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        level, role = attrs.get("access_level"), attrs.get("role")
        if role is not None and level != CUSTOM:
            raise serializers.ValidationError({"role": ["It goes with the access_level “custom”."]})
        if level == CUSTOM and role is None:
            raise serializers.ValidationError({"role": ["Name the custom role."]})
        return attrs


class KeyChangeSerializer(NewKeySerializer):
    """What is to be different; a field that is left out stays."""


class _Noted(serializers.Serializer[Any]):
    note = Text(max_length=200, allow_blank=True, default="", help_text="Why, for the key’s history.")


class NoteSerializer(_Noted):
    """Nothing, or a reason."""


class RotationSerializer(_Noted):
    overlap_seconds = WholeNumber(
        min_value=60,
        max_value=int(rules.MAX_OVERLAP.total_seconds()),
        default=int(lifecycle.DEFAULT_OVERLAP.total_seconds()),
        help_text="How long the secret before works on.",
    )


class RevocationSerializer(_Noted):
    reason = serializers.ChoiceField(choices=list(lifecycle.REVOKE_REASONS.items()), default="other")


class UsageDaySerializer(serializers.Serializer[Day]):
    day = serializers.DateField(help_text="UTC.")
    requests = serializers.IntegerField()
    refused = serializers.IntegerField(help_text="Of these, answered with 4xx or 5xx.")


class UsageSerializer(serializers.Serializer[Any]):
    """How a key was used, up to some seconds ago."""

    id = serializers.CharField(help_text="The key’s public ID, `key_…`.")
    data = UsageDaySerializer(many=True, help_text="Oldest first, up to today.")  # type: ignore[assignment]
