"""Reasons that staff type are kept for good: none of them may hold a secret."""

from __future__ import annotations

import pytest

from apikeys import lifecycle
from tests.apikeys.admin_pages import KEYS
from tests.conftest import COMMAND
from tests.factories import MinerFactory

REFUSED = "That holds a secret"


@pytest.fixture
def client(staff, sign_in_as):
    return sign_in_as(staff)


@pytest.fixture
def pages(account, other_account, owner, issue_key):
    """Every page that asks staff for a reason: its address, and what the form calls it."""
    key, _ = issue_key()
    off, _ = issue_key(name="off")
    lifecycle.disable(off, actor=COMMAND)
    miner = MinerFactory(account=account)
    of_account = f"/admin/accounts/account/{account.pk}"
    return {
        f"{of_account}/suspend/": "reason",
        f"{of_account}/resume/": "reason",
        f"{of_account}/signing-keys/rotate/": "reason",
        f"{of_account}/signing-keys/1/retire/": "reason",
        f"/admin/accounts/user/{owner.pk}/reset-second-factor/": "reason",
        f"/admin/entities/miner/{miner.pk}/transfer/?to={other_account.pk}": "reason",
        **{f"{KEYS}{key.pk}/{do}/": "note" for do in ("edit", "rotate", "regenerate", "disable", "revoke")},
        f"{KEYS}{off.pk}/enable/": "note",
    }


def test_a_pasted_secret_is_refused_wherever_staff_say_why(client, account, pages, issue_key):
    _, secret = issue_key()
    for url, field in pages.items():
        if "/resume/" in url:
            type(account).objects.update(suspended_at="2026-01-01T00:00:00Z")
        for text in (f"it is {secret}", "Bearer nf-7Kd93jsLq02x-Export"):
            page = client.post(url, {field: text, "code": "000000", "nonce": "x" * 24})
            assert page.status_code == 200, url
            assert REFUSED in str(page.context["form"].errors.get(field)), url
        page = client.post(url, {field: "Ticket 1234", "nonce": "x" * 24})
        assert page.status_code == 302 or field not in page.context["form"].errors, url
