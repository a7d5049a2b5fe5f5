"""What a key learns of itself, and that it can end itself."""

from __future__ import annotations

import pytest

from accounts.models import AuditEvent
from apikeys.models import ApiKey
from tests.factories import HubFactory, MinerFactory


def test_a_key_learns_what_it_may_do(issue_key, api, account):
    hub, _ = HubFactory(account=account), MinerFactory(account=account)
    key, secret = issue_key("viewer", ["*:miners/*", f"read:hubs/{hub.pk}"], allowed_cidrs=["127.0.0.0/8"])
    answer = api(secret).get("/api/v1/key")
    assert answer.status_code == 200, answer.content
    assert answer.json() == {
        "id": key.key_id,
        "name": "viewer key",
        "environment": "production",
        "access_level": "viewer",
        "role": None,
        "permissions": ["entities:read", "hashrate:read", "stats:read", "workers:read"],
        "scopes": [f"read:hubs/{hub.pk}", "*:miners/*"],
        "expires_at": None,
        "limits": {
            "page": 500,
            "body_bytes": 65536,
            "requests_per_minute": None,
            "requests_at_once": None,
            "allowed_cidrs": ["127.0.0.0/8"],
        },
        "account": {"slug": "northfold", "name": "Northfold Mining"},
    }
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.parametrize("level", ["viewer", "accountant", "treasurer", "administrator"])
def test_any_key_may_revoke_itself(issue_key, api, level):
    key, secret = issue_key(level)
    answer = api(secret).post("/api/v1/key/revoke", {"reason": "leaked", "note": "in a paste"}, format="json")
    assert answer.status_code == 200, answer.content
    key.refresh_from_db()
    assert answer.json() == {
        "id": key.key_id,
        "revoked_at": key.revoked_at.isoformat().replace("+00:00", "Z"),
        "reason": "leaked",
    }
    assert (key.revoke_reason, key.revoke_note) == ("leaked", "in a paste")
    assert key.revoked_by_name == f"{key.name} ({key.key_id})"
    event = AuditEvent.objects.get(action="key.revoked")
    assert (event.via, event.actor, event.target_id) == ("api", None, key.key_id)
    assert api(secret).get("/api/v1/key").json()["code"] == "key_revoked"


def test_a_key_revokes_itself_without_saying_why(issue_key, api):
    key, secret = issue_key()
    assert api(secret).post("/api/v1/key/revoke").status_code == 200
    key.refresh_from_db()
    assert key.revoke_reason == "other"


@pytest.mark.parametrize(
    ("body", "field"),
    [({"reason": "because"}, "reason"), ({"note": "x" * 201}, "note"), ({"key": "key_other"}, "key")],
)
def test_a_body_that_is_not_understood_revokes_nothing(issue_key, api, body, field):
    key, secret = issue_key()
    answer = api(secret).post("/api/v1/key/revoke", body, format="json")
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [field]
    assert ApiKey.objects.get(pk=key.pk).revoked_at is None


def test_no_other_key_can_be_named(issue_key, api):
    other, _ = issue_key()
    _, secret = issue_key("administrator")
    assert api(secret).post(f"/api/v1/key/revoke?id={other.key_id}").status_code == 400
    assert ApiKey.objects.get(pk=other.pk).revoked_at is None
