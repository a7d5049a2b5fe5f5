"""Key management: what can be done to one key. `lifecycle` does it, and says who may."""

from __future__ import annotations

from datetime import timedelta

from rest_framework.request import Request
from rest_framework.response import Response

from accounts.audit import Actor
from accounts.models import KeyPermission
from apikeys import lifecycle, rules
from apikeys.api.keys_base import KeysView, MakesSecrets
from apikeys.api.keys_callers import OTP
from apikeys.api.keys_serializers import (
    ManagedKeySerializer,
    NoteSerializer,
    RevealedKeySerializer,
    RevocationSerializer,
    RotationSerializer,
)
from apikeys.models import ApiKey


class SecretOperation(MakesSecrets):
    """An operation that gives a key another secret."""

    permission = {"POST": "keys:write"}
    rights = {"POST": KeyPermission.UPDATE}
    serializer_class = RevealedKeySerializer

    def judge_reach(self, key: ApiKey) -> None:
        rules.require_for(self.actor, key, KeyPermission.UPDATE)


class RotateKey(SecretOperation):
    """Rotate a key"""

    request_serializers = {"POST": RotationSerializer}

    def post(self, request: Request, environment: str, key_id: str) -> Response:
        """Give a key a second secret; the one before works on for a while.

        Refused while an earlier overlap goes on. A key rotates none that is wider than itself.
        """
        key, body = self.get_key(), self.read_body()
        overlap = timedelta(seconds=body["overlap_seconds"])

        def judge(actor: Actor) -> None:
            lifecycle.require_may_take_secret(key, actor)
            lifecycle.check_rotation(key, overlap)

        def make(actor: Actor) -> tuple[ApiKey, str]:
            return key, lifecycle.rotate(key, actor=actor, overlap=overlap, note=body["note"])

        return self.make_once(body, lifecycle.ROTATE, judge=judge, make=make)


class RegenerateKey(SecretOperation):
    """Replace a key’s secret"""

    request_serializers = {"POST": NoteSerializer}

    def post(self, request: Request, environment: str, key_id: str) -> Response:
        """Give a key a new secret; every one before it stops at once.

        A key does this to none that is wider than itself.
        """
        key, body = self.get_key(), self.read_body()

        def make(actor: Actor) -> tuple[ApiKey, str]:
            return key, lifecycle.regenerate(key, actor=actor, note=body["note"])

        return self.make_once(
            body,
            lifecycle.REGENERATE,
            judge=lambda actor: lifecycle.require_may_take_secret(key, actor),
            make=make,
        )


class Operation(KeysView):
    """An operation on one key that makes no secret."""

    permission = {"POST": "keys:write"}
    rights = {"POST": KeyPermission.UPDATE}
    serializer_class = ManagedKeySerializer
    request_serializers = {"POST": NoteSerializer}
    takes = {"POST": (OTP,)}
    further_codes = {"POST": ("refused", "otp_required", "otp_refused")}

    def judge_reach(self, key: ApiKey) -> None:
        rules.require_for(self.actor, key, self.rights["POST"])


class EndOverlap(Operation):
    """End a rotation"""

    def post(self, request: Request, environment: str, key_id: str) -> Response:
        """Stop every secret of a key but the newest, now."""
        key, body = self.get_key(), self.read_body()
        actor = self.confirm(lifecycle.END_OVERLAP, lambda actor: rules.require_not_revoked(key))
        return self.answer(lifecycle.end_overlap(key, actor=actor, **body))


class DisableKey(Operation):
    """Switch a key off"""

    takes = {}
    further_codes = {"POST": ("refused",)}

    def post(self, request: Request, environment: str, key_id: str) -> Response:
        """Switch a key off: it is refused from the next request on.

        Stopping must be quick: people need no code, and a key may do it to any key of its account and environment.
        """
        key, body = self.get_key(), self.read_body()
        return self.answer(lifecycle.disable(key, actor=self.actor, **body))

    def judge_reach(self, key: ApiKey) -> None:
        rules.require_to_disable(self.actor, key)


class EnableKey(Operation):
    """Switch a key on"""

    def post(self, request: Request, environment: str, key_id: str) -> Response:
        """Switch a key on again. A key does this to none that is wider than itself."""
        key, body = self.get_key(), self.read_body()

        def judge(actor: Actor) -> None:
            rules.require_not_revoked(key)
            if key.status == "disabled":
                rules.check_key_count(key.account)

        return self.answer(lifecycle.enable(key, actor=self.confirm(lifecycle.ENABLE, judge), **body))


class RevokeKey(Operation):
    """End a key"""

    rights = {"POST": KeyPermission.DELETE}
    request_serializers = {"POST": RevocationSerializer}

    def post(self, request: Request, environment: str, key_id: str) -> Response:
        """End a key for good: it is refused from the next request on, and kept for the record.

        What can’t be undone a key does to itself, and to none that is wider.
        """
        key, body = self.get_key(), self.read_body()
        actor = self.confirm(lifecycle.REVOKE, lambda actor: None)
        return self.answer(lifecycle.revoke(key, actor=actor, **body))

    def judge_reach(self, key: ApiKey) -> None:
        if self.actor.key_id != key.key_id:
            super().judge_reach(key)
