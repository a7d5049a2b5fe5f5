"""What a key may learn of itself, and how it ends itself."""

from __future__ import annotations

from typing import Any, cast

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access_levels import PERMISSIONS
from accounts.audit import Actor
from accounts.client_ip import client_ip
from accounts.environments import Environment
from apikeys import lifecycle
from apikeys.grants import Grant
from apikeys.models import ApiKey, KeyScope
from apikeys.parsers import MAX_BODY_BYTES
from apikeys.permissions import ANY_KEY
from entities.api.base import check_parameters, validate
from entities.api.pagination import KeysetPagination


class AccountSerializer(serializers.Serializer[Any]):
    slug = serializers.CharField()
    name = serializers.CharField()


class LimitsSerializer(serializers.Serializer[Any]):
    page = serializers.IntegerField(help_text="The largest `limit` of a list.")
    body_bytes = serializers.IntegerField(help_text="The largest request body, in bytes.")
    requests_per_minute = serializers.IntegerField(
        allow_null=True,
        help_text="How many requests the key may make in a minute; null: no limit.",
    )
    requests_at_once = serializers.IntegerField(
        allow_null=True, help_text="How many of them may come at once; null: no limit."
    )
    allowed_cidrs = serializers.ListField(
        child=serializers.CharField(), help_text="Networks that the key works from; empty: any."
    )


class KeySerializer(serializers.Serializer[Any]):
    id = serializers.CharField(help_text="The key’s public ID, `key_…`.")
    name = serializers.CharField()
    environment = serializers.ChoiceField(choices=Environment.values)
    access_level = serializers.CharField(help_text="One of the four access levels, or `custom`.")
    role = serializers.CharField(allow_null=True, help_text="The custom role’s name where the level is `custom`.")
    permissions = serializers.ListField(child=serializers.ChoiceField(choices=list(PERMISSIONS)))
    scopes = serializers.ListField(
        child=serializers.CharField(), help_text="Like `read:miners/*` or `*:hubs/<id>`: action × entities."
    )
    expires_at = serializers.DateTimeField(allow_null=True)
    limits = LimitsSerializer()
    account = AccountSerializer()


class WhoAmI(APIView):
    """Describe the key that asks."""

    permission = ANY_KEY
    serializer_class = KeySerializer

    def get(self, request: Request, environment: str) -> Response:
        check_parameters(request.query_params, (), ())
        grant = cast(Grant, request.auth)
        scopes = KeyScope.objects.filter(key_id=grant.key_pk).order_by("kind", "action", "entity_id")
        answer = {
            "id": grant.key_id,
            "name": grant.name,
            "environment": grant.environment,
            "access_level": grant.access_level,
            "role": grant.role or None,
            "permissions": sorted(grant.permissions),
            "scopes": [str(scope) for scope in scopes],
            "expires_at": grant.expires_at,
            "limits": {
                "page": KeysetPagination.MAX_LIMIT,
                "body_bytes": MAX_BODY_BYTES,
                "requests_per_minute": grant.rate_limit,
                "requests_at_once": grant.rate_burst,
                "allowed_cidrs": [str(network) for network in grant.allowed_networks],
            },
            "account": {"slug": grant.account_slug, "name": grant.account_name},
        }
        return Response(KeySerializer(answer).data)


class RevokeSerializer(serializers.Serializer[Any]):
    reason = serializers.ChoiceField(
        choices=list(lifecycle.REVOKE_REASONS.items()), default="other", help_text="Kept in the key’s history."
    )
    note = serializers.CharField(max_length=200, default="", allow_blank=True)


class RevokedSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    revoked_at = serializers.DateTimeField()
    reason = serializers.CharField()


class RevokeItself(APIView):
    """Revoke the key that asks, for good: it is refused from the next request on."""

    permission = ANY_KEY
    serializer_class = RevokedSerializer
    request_serializers = {"POST": RevokeSerializer}

    def post(self, request: Request, environment: str) -> Response:
        grant = cast(Grant, request.auth)
        check_parameters(request.query_params, (), ())
        asked = validate(RevokeSerializer(data=request.data))
        actor = Actor.for_key(grant.key_id, grant.name, client_ip(request._request))
        key = lifecycle.revoke(ApiKey.every.get(pk=grant.key_pk), actor=actor, **asked)
        answer = {"id": key.key_id, "revoked_at": key.revoked_at, "reason": key.revoke_reason}
        return Response(RevokedSerializer(answer).data)
