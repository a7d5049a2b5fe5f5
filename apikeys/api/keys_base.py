"""What the routes of the key management API share: who asks, for which account, with which code, and once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar, cast

from django.db import transaction
from django.db.models import QuerySet
from django.views.decorators.debug import sensitive_variables
from rest_framework import status
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.response import Response

from accounts import step_up
from accounts.audit import Actor
from accounts.changes import Refused, lock_account
from accounts.models import Account, KeyPermission, Membership
from accounts.second_factor import CodeRefused
from apikeys import idempotency, signing
from apikeys.api.keys_callers import OTP, MayManageKeys, PersonAuthentication
from apikeys.api.keys_serializers import ManagedKeySerializer, RevealedKeySerializer, as_detail
from apikeys.authentication import BearerAuthentication
from apikeys.grants import Grant
from apikeys.managing import NotAllowed
from apikeys.models import ApiKey
from apikeys.parsers import JsonParser
from apikeys.problems import Problem
from apikeys.scopes import InvalidScope
from entities.api.base import EntityView

#: Where the rules speak of a field that the API calls otherwise.
_FIELDS = {"overlap": "overlap_seconds"}


class KeysView(EntityView):
    """A route about keys: who asks, for which account, and what the rules' refusals become."""

    authentication_classes = [BearerAuthentication, PersonAuthentication]
    permission_classes = [MayManageKeys]
    parser_classes = [JsonParser]
    #: By method: what a member needs.
    rights: ClassVar[dict[str, KeyPermission]] = {}
    #: By method: request headers that it reads, and codes that it answers beside every view's. For the description.
    takes: ClassVar[dict[str, tuple[str, ...]]] = {}
    further_codes: ClassVar[dict[str, tuple[str, ...]]] = {}

    @property
    def caller(self) -> Grant | Membership:
        return cast("Grant | Membership", self.request.auth)

    @property
    def actor(self) -> Actor:
        """Who the audit trail says made a change: the key, or the person, as yet without a code."""
        if isinstance(self.caller, Grant):
            return super().actor
        return Actor.from_request(self.request._request)

    @cached_property
    def account(self) -> Account:
        caller = self.caller
        return caller.account if isinstance(caller, Membership) else Account.objects.get(pk=caller.account_id)

    def keys(self) -> QuerySet[ApiKey]:
        """Owners' keys, so never support's."""
        return ApiKey.objects.for_display().filter(
            account=self.caller.account_id, environment=self.kwargs["environment"]
        )

    def get_key(self) -> ApiKey:
        """The key in the path. Raises NotFound."""
        key = self.keys().filter(key_id=self.kwargs["key_id"]).first()
        if key is None:
            raise NotFound
        return key

    def confirm(self, action: str, judge: Callable[[Actor], object]) -> Actor:
        """Return the actor; a person's proof of a second factor for ``action`` with it.

        What they ask for is judged first, so that a mistake elsewhere burns no code. A key has none to give: the
        account's policy is the consent. Raises Problem, and what ``judge`` raises.
        """
        actor = self.actor
        if actor.user is None:
            return actor
        judge(actor)
        code = self.request.headers.get(OTP, "")
        if not code:
            raise Problem("otp_required", f"Send a code of your authenticator app with this request, as “{OTP}”.")
        try:
            proof = step_up.confirm(actor.user, code, action=action, nonce=step_up.new_nonce())
        except CodeRefused as refused:
            raise Problem("otp_refused", str(refused)) from None
        return replace(actor, proof=proof)

    def handle_exception(self, exc: Exception) -> Response:
        return super().handle_exception(self.as_problem(exc))

    def as_problem(self, exc: Exception) -> Exception:
        """What the rules refuse, as problems; every other exception as it is."""
        match exc:
            case NotAllowed():
                return Problem("permission_denied", str(exc))
            case Refused() | InvalidScope():
                field = "scopes" if isinstance(exc, InvalidScope) else exc.field or ""
                field = _FIELDS.get(field, field)
                serializer = self.request_serializers.get(str(self.request.method))
                known = serializer is not None and field in serializer().fields
                return Problem("refused", str(exc), errors={field: [str(exc)]} if known else None)
            case signing.NotBootstrapped():
                return Problem("conflict", "This account is not set up for API keys yet. Its API keys page does that.")
            case idempotency.Malformed():
                return Problem("invalid_request", "See “errors”.", errors={idempotency.HEADER: [str(exc)]})
            case idempotency.Reused():
                return Problem(
                    "idempotency_key_reused",
                    f"You sent this {idempotency.HEADER} with another request before. Make a new one for each.",
                )
        return exc

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        response["Cache-Control"] = "no-store"
        return response

    def answer(self, key: ApiKey, answer: int = status.HTTP_200_OK) -> Response:
        """``key`` as it stands now."""
        key = self.keys().get(pk=key.pk)
        return Response(ManagedKeySerializer(as_detail(key)).data, status=answer)

    def locate(self) -> None:
        """As the handlers do. Raises NotFound, PermissionDenied."""
        if "key_id" in self.kwargs:
            key = self.get_key()
            try:
                self.judge_reach(key)
            except NotAllowed as denied:
                raise PermissionDenied(str(denied)) from None

    def judge_reach(self, key: ApiKey) -> None:
        """What this route asks of the key that changes ``key``. Raises NotAllowed."""


class MakesSecrets(KeysView):
    """A route that makes a secret: once for an Idempotency-Key, and shown once."""

    takes = {"POST": (idempotency.HEADER, OTP)}
    further_codes = {"POST": ("refused", "idempotency_key_reused", "otp_required", "otp_refused")}
    success = {"POST": status.HTTP_201_CREATED}

    @sensitive_variables("secret")
    def make_once(
        self,
        body: dict[str, Any],
        action: str,
        *,
        judge: Callable[[Actor], object],
        make: Callable[[Actor], tuple[ApiKey, str]],
    ) -> Response:
        """Answer with what ``make`` made and its secret, or, to a repeated request, without one."""
        asked = self._asked(body)
        if asked is not None and (earlier := asked.find_earlier()) is not None:
            return self._repeat(earlier)
        actor = self.confirm(action, judge)
        with transaction.atomic():
            if asked is not None:
                # The account's row orders parallel requests: the second one finds what the first one noted.
                lock_account(self.account.pk)
                if (earlier := asked.find_earlier()) is not None:
                    return self._repeat(earlier)
            key, secret = make(actor)
            if asked is not None:
                asked.remember(key)
        row = as_detail(self.keys().get(pk=key.pk))
        # 201 for whatever makes a secret: answers with 200 are compressed.
        return Response(
            RevealedKeySerializer({**row, "secret": secret, "secret_shown": True}).data, status=status.HTTP_201_CREATED
        )

    def _repeat(self, key: ApiKey) -> Response:
        row = as_detail(self.keys().get(pk=key.pk))
        return Response(RevealedKeySerializer({**row, "secret": None, "secret_shown": False}).data)

    def _asked(self, body: dict[str, Any]) -> idempotency.Asked | None:
        """Raises idempotency.Malformed."""
        header = self.request.headers.get(idempotency.HEADER)
        if header is None:
            return None
        caller = self.caller
        name = f"key:{caller.key_id}" if isinstance(caller, Grant) else f"user:{caller.user_id}"
        return idempotency.Asked.of(self.account.pk, name, header, path=self.request.path, body=body)
