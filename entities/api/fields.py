"""Fields of answers and bodies, and who is shown what."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

from rest_framework import serializers


def reference(**kwargs: Any) -> Any:
    """An entity by its id: names are for keys that reach it."""
    return serializers.PrimaryKeyRelatedField(read_only=True, **kwargs)


def is_shown(serializer: serializers.BaseSerializer[Any], permission: str) -> bool:
    """Whether the reader's key has ``permission``; without it a field that needs it is null."""
    return permission in serializer.context["view"].grant.permissions


class NameField(serializers.CharField):
    """A name of one line."""

    default_error_messages = {"unprintable": "Use letters, digits, signs and spaces alone."}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=120, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        name: str = super().to_internal_value(data)
        if not name.isprintable():
            self.fail("unprintable")
        return name


class AmountField(serializers.DecimalField):
    """An amount in whole coins. DRF would take empty text for null."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_digits=24, decimal_places=8, min_value=Decimal(0), **kwargs)

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        if isinstance(data, str) and not data.strip():
            self.fail("invalid")
        return super().validate_empty_values(data)


class ReadCoinsField(serializers.DecimalField):
    """An amount in whole coins in an answer; null where there is none to show."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_digits=24, decimal_places=8, read_only=True, allow_null=True, **kwargs)


class IdField(serializers.UUIDField):
    """An ID as text; DRF's own would take numbers, too."""

    def to_internal_value(self, data: Any) -> UUID:
        if not isinstance(data, str):
            self.fail("invalid", value=data)
        return super().to_internal_value(data)
