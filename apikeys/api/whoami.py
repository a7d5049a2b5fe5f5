"""Who am I: what a key may learn about itself."""

from __future__ import annotations

from typing import cast

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apikeys.grants import Grant
from apikeys.models import KeyScope
from apikeys.permissions import ANY_KEY


class WhoAmI(APIView):
    """``GET /api/v1/key``"""

    permission = ANY_KEY

    def get(self, request: Request, environment: str) -> Response:
        grant = cast(Grant, request.auth)
        scopes = KeyScope.objects.filter(key_id=grant.key_pk).order_by("kind", "action", "entity_id")
        return Response(
            {
                "id": grant.key_id,
                "name": grant.name,
                "environment": grant.environment,
                "access_level": grant.access_level,
                "role": grant.role or None,
                "permissions": sorted(grant.permissions),
                "scopes": [str(scope) for scope in scopes],
                "allowed_cidrs": [str(network) for network in grant.allowed_networks],
                "expires_at": grant.expires_at,
                "account": {"slug": grant.account_slug, "name": grant.account_name},
            }
        )
