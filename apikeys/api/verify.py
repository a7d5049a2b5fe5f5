"""``/verify``: the gateway's question for services that ask it themselves."""

from __future__ import annotations

from typing import Any

from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_variables
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access_levels import PERMISSIONS
from accounts.client_ip import normalize
from accounts.environments import Environment
from apikeys import authentication, problems, verification
from apikeys.parsers import JsonParser
from entities.api.base import check_parameters, validate

#: The codes that an answer can have: a verdict on the key, or that there was none.
REFUSALS = (
    *("missing_credentials", "invalid_key", "wrong_environment", "key_revoked", "key_expired", "key_disabled"),
    *("account_suspended", "address_not_allowed", "rate_limited", "permission_denied", "not_found"),
)


class AddressField(serializers.IPAddressField):
    """An address in the form in which keys and logs have it: ``::ffff:203.0.113.5`` is 203.0.113.5."""

    def to_internal_value(self, data: Any) -> str:
        address = super().to_internal_value(data)
        return normalize(address) or address


class KeyQuestionSerializer(serializers.Serializer[Any]):
    key = serializers.CharField(
        allow_null=True,
        allow_blank=True,
        trim_whitespace=False,
        help_text="What the client sent after `Bearer`; null: nothing.",
    )
    permission = serializers.ChoiceField(
        choices=list(PERMISSIONS), help_text="What the key has to hold for this request."
    )
    entity = serializers.CharField(
        default=None,
        allow_null=True,
        allow_blank=True,
        trim_whitespace=False,
        help_text="The ID of the miner, hub or pool that is asked for; null: none. Text that is no ID is `not_found`.",
    )
    address = AddressField(
        default=None,
        allow_null=True,
        help_text="The client’s address. Without it, a key that is held to addresses may not pass.",
    )
    method = serializers.RegexField(
        r"^[A-Z-]{1,10}\Z", default="", help_text="The client’s method, for the key’s request log."
    )


class KeyAllowanceSerializer(serializers.Serializer[Any]):
    limit = serializers.IntegerField(help_text="Requests a minute.")
    remaining = serializers.IntegerField(help_text="Requests that may be made at once.")
    reset = serializers.IntegerField(
        source="seconds",
        help_text="Seconds until the next request may be made where none remains, else until the whole limit is there.",
    )


class KeyVerdictSerializer(serializers.Serializer[Any]):
    valid = serializers.BooleanField(help_text="Whether the request may pass. Nothing else here says so.")
    status = serializers.IntegerField(help_text="What to answer the client: 200, or 401, 403, 404, 429.")
    code = serializers.ChoiceField(choices=REFUSALS, allow_null=True, help_text="Why it may not.")
    detail = serializers.CharField(allow_null=True, help_text="The same for the key’s holder.")
    key_id = serializers.CharField(
        allow_null=True, help_text="The key’s public ID. This and all below is null for whoever has no right secret."
    )
    account = serializers.CharField(allow_null=True, help_text="The account’s slug.")
    environment = serializers.ChoiceField(choices=Environment.choices, allow_null=True)
    access_level = serializers.CharField(allow_null=True, help_text="One of the four access levels, or `custom`.")
    role = serializers.CharField(allow_null=True, help_text="The custom role’s name where the level is `custom`.")
    permissions = serializers.ListField(
        child=serializers.ChoiceField(choices=list(PERMISSIONS)), allow_null=True, help_text="All that the key holds."
    )
    expires_at = serializers.DateTimeField(allow_null=True)
    rate_limit = KeyAllowanceSerializer(
        allow_null=True, help_text="The key’s own limit; null: it has none, or was refused before."
    )


@method_decorator(sensitive_variables(), name="post")
class Verify(APIView):
    """Ask whether a request that came to your service may pass.

    The key is judged by the rules of this API, in this endpoint’s environment. The answer is 200 with a verdict,
    whatever that is. It counts against the key’s own rate limit, and stands in its request log.
    """

    permission = "verify:use"
    # A key in a form is one in the wrong place.
    parser_classes = [JsonParser]
    serializer_class = KeyVerdictSerializer
    request_serializers = {"POST": KeyQuestionSerializer}

    def post(self, request: Request, environment: str) -> Response:
        check_parameters(request.query_params, (), ())
        asked = validate(KeyQuestionSerializer(data=request.data))
        key = asked.pop("key")
        verdict = verification.verify(
            None if key is None else f"{authentication.SCHEME} {key}",
            verification.Question(
                asked_by="verify",
                environment=environment,
                request_id=problems.request_id_of(request._request),
                **asked,
            ),
        )
        if verdict.problem is not None and verdict.problem.problem_code not in REFUSALS:
            raise verdict.problem  # nobody could judge it
        return Response(KeyVerdictSerializer(_tell(verdict)).data)


def _tell(verdict: verification.Verdict) -> dict[str, Any]:
    problem, grant = verdict.problem, verdict.grant
    return {
        "valid": problem is None,
        "status": problem.status_code if problem else 200,
        "code": problem.problem_code if problem else None,
        "detail": str(problem.detail) if problem else None,
        "key_id": grant.key_id if grant else None,
        "account": grant.account_slug if grant else None,
        "environment": grant.environment if grant else None,
        "access_level": grant.access_level if grant else None,
        "role": (grant.role or None) if grant else None,
        "permissions": sorted(grant.permissions) if grant else None,
        "expires_at": grant.expires_at if grant else None,
        "rate_limit": verdict.taken,
    }
