"""The list, the page of a key, disabling, enabling and revoking."""

from __future__ import annotations

from accounts.models import AuditEvent
from apikeys import lifecycle
from tests.conftest import COMMAND
from tests.people import fresh_code
from tests.web.conftest import KEYS


def revoking(user, **changes):
    return {"reason": "unneeded", "note": "Project ended", "nonce": "n1", "code": fresh_code(user), **changes}


def test_a_revoked_key_stands_below_with_name_scope_level_reason_and_who(sign_in_as, owner, issue_key, api, miner):
    key, secret = issue_key("accountant", ["*:miners/*"], name="ERP export")
    client = sign_in_as(owner)
    response = client.post(f"{KEYS}{key.key_id}/revoke/", revoking(owner), follow=True)
    revoked = response.content.decode().split('id="revoked"')[1]
    for text in ("ERP export", "Accountant", "All miners, current and future", "Project ended", "by Olga"):
        assert text in revoked
    answer = api(secret).get("/api/v1/key")
    assert (answer.status_code, answer.json()["code"]) == (401, "key_revoked")


def test_revoking_needs_a_reason_and_a_code(sign_in_as, owner, issue_key):
    key, _ = issue_key()
    client = sign_in_as(owner)
    assert "Choose a reason." in client.post(f"{KEYS}{key.key_id}/revoke/", revoking(owner, reason="")).content.decode()
    assert "Type the code" in client.post(f"{KEYS}{key.key_id}/revoke/", revoking(owner, code="")).content.decode()
    key.refresh_from_db()
    assert key.revoked_at is None


def test_disabling_takes_no_code_and_enabling_does(sign_in_as, owner, issue_key, api):
    key, secret = issue_key()
    client = sign_in_as(owner)
    client.post(f"{KEYS}{key.key_id}/disable/")
    assert api(secret).get("/api/v1/key").json()["code"] == "key_disabled"
    client.post(f"{KEYS}{key.key_id}/enable/", {"nonce": "n1", "code": "000000"})
    assert api(secret).get("/api/v1/key").status_code == 401
    client.post(f"{KEYS}{key.key_id}/enable/", {"nonce": "n2", "code": fresh_code(owner)})
    assert api(secret).get("/api/v1/key").status_code == 200
    actions = AuditEvent.objects.filter(target_id=key.key_id).values_list("action", flat=True)
    assert sorted(actions) == ["key.disabled", "key.enabled", "key.issued"]


def test_a_get_changes_nothing(sign_in_as, owner, issue_key):
    key, _ = issue_key()
    client = sign_in_as(owner)
    assert client.get(f"{KEYS}{key.key_id}/disable/").status_code == 405
    client.get(f"{KEYS}{key.key_id}/revoke/")
    key.refresh_from_db()
    assert key.status == "active"


def test_the_list_filters_by_status_level_environment_and_text(sign_in_as, owner, issue_key):
    shown, _ = issue_key("viewer", name="Grafana")
    off, _ = issue_key("viewer", name="Old poller")
    issue_key("treasurer", name="Sweep", environment="staging")
    lifecycle.disable(off, actor=COMMAND)
    client = sign_in_as(owner)

    def names(query: str) -> set[str]:
        page = client.get(f"{KEYS}?{query}").content.decode()
        return {name for name in ("Grafana", "Old poller", "Sweep") if f">{name}</a>" in page}

    assert names("") == {"Grafana", "Sweep"}
    assert names("status=disabled") == {"Old poller"}
    assert names("status=all") == {"Grafana", "Old poller", "Sweep"}
    assert names("environment=staging") == {"Sweep"}
    assert names("level=viewer") == {"Grafana"}
    assert names("q=graf") == {"Grafana"}
    assert names(f"q={shown.key_id}") == {"Grafana"}
    assert names("q=%00&status=nonsense&page=99&level=%F0") == {"Grafana", "Sweep"}


def test_a_page_of_fifty_keys_costs_a_constant_number_of_queries(
    sign_in_as, owner, issue_key, django_assert_max_num_queries
):
    for number in range(50):
        issue_key(name=f"key {number}")
    client = sign_in_as(owner)
    with django_assert_max_num_queries(20):
        page = client.get(KEYS)
    assert page.content.decode().count("ph-keyname") == 50


def test_the_page_of_a_key_shows_history_and_no_digest(sign_in_as, owner, issue_key):
    key, secret = issue_key("treasurer", name="Sweep")
    page = sign_in_as(owner).get(f"{KEYS}{key.key_id}/").content.decode()
    assert key.masked in page
    assert "hub-finance:write" in page
    assert secret[-40:] not in page
    assert bytes(key.secrets.get().digest).hex() not in page


def test_a_key_of_another_account_is_not_found(sign_in_as, owner, issue_key, other_account):
    key, _ = issue_key(account=other_account)
    client = sign_in_as(owner)
    for path in ("", "revoke/", "enable/"):
        assert client.get(f"{KEYS}{key.key_id}/{path}").status_code == 404
    assert client.post(f"{KEYS}{key.key_id}/disable/").status_code == 404
