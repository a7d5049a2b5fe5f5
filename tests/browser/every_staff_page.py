"""Every page of the staff admin in the states worth seeing, over the demo's data, as the demo's staff see them.

One table: `tests/browser/test_every_staff_page.py` visits it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone
from playwright.sync_api import Page

from accounts.audit import Actor
from accounts.models import Account, AuditEvent, User
from apikeys import lifecycle
from apikeys.management.commands.seed_demo import seed
from apikeys.models import ApiKey, Role, SigningKey, SupportKey
from apikeys.scopes import Scope
from entities.models import Hub, Miner
from tests.browser.looks import STAFF, Shot
from tests.factories import UserFactory
from tests.people import enrol

COMMAND = Actor.for_command("tests")
NEWCOMER = "newcomer@pithead.example"


def staff_shots() -> list[Shot]:
    """Seed the demo and return the table, whose addresses are of the demo's rows."""
    seed()
    account = Account.objects.get(slug="northfold")
    key = ApiKey.objects.get(account=account, name="Demo treasurer")
    off, gone = (issue(account, name) for name in ("Old dashboard", "Old exporter"))
    lifecycle.disable(off, actor=COMMAND)
    lifecycle.revoke(gone, actor=COMMAND, reason="replaced", note="The ERP has a key of its own now")
    SigningKey.objects.filter(account=account).update(created_at=timezone.now() - timedelta(days=400))
    role = Role.objects.get(account=account, name="Billing export")
    person = User.objects.get(email="ines@northfold.example")
    enrol(UserFactory(email=NEWCOMER, name="Nora Newcomer", is_staff=True))
    hub, miner = Hub.objects.filter(account=account)[0], Miner.objects.filter(account=account)[0]
    event = AuditEvent.objects.filter(action="key.revoked")[0]
    old = SupportKey.objects.filter(account=account)[0]
    other = Account.objects.get(slug="borealis")
    of_account = f"?account={account.pk}&environment=production"
    pages = {
        "keys": "apikeys/activekey/",
        "accounts": "accounts/account/",
        "people": "accounts/user/",
        "events": "accounts/auditevent/",
        "revoked": "apikeys/revokedkey/",
        "roles": "apikeys/role/",
        "support": "apikeys/supportkey/",
    }

    def shot(name: str, page: str, pk: Any = None, do: str = "change", query: str = "", **fields: Any) -> Shot:
        """``page`` is a section named above, or an address in the admin; ``do`` is what is done to the row ``pk``."""
        path = f"/admin/{pages.get(page, page)}" + (f"{pk}/{do}/" if pk else "") + query
        return Shot(f"staff-{name}", page, path, **{"who": STAFF, **fields})

    return [
        shot("dashboard", ""),
        shot("no-role", "", who=NEWCOMER),
        shot("section-list", "apikeys/"),
        shot("keys", "keys"),
        shot("keys-filtered", "keys", query="?status=disabled&account=northfold"),
        shot("keys-find", "apikeys/activekey/find/"),
        shot("keys-found", "apikeys/activekey/find/", act=find(key)),
        shot("keys-bulk", "keys", act=select_all("Revoke")),
        shot("keys-no-results", "keys", query="?q=nothing-like-it"),
        shot("key", "keys", key.pk),
        shot("key-disabled", "keys", off.pk),
        shot("key-revoke", "keys", key.pk, "revoke"),
        shot("key-revoke-errors", "keys", key.pk, "revoke", act=send("Revoke for good")),
        shot("key-enable", "keys", off.pk, "enable"),
        shot("key-disable", "keys", key.pk, "disable"),
        shot("key-edit", "keys", key.pk, "edit"),
        shot("key-rotate", "keys", key.pk, "rotate"),
        shot("key-regenerate", "keys", key.pk, "regenerate"),
        shot("explain", "apikeys/activekey/explain/", query=f"?key={key.key_id}"),
        shot("explain-refused", "apikeys/activekey/explain/", query=f"?key={off.key_id}", act=explain),
        shot("support-keys", "support"),
        shot("support-key", "support", old.pk),
        shot("support-key-register", "apikeys/supportkey/register/", query=of_account),
        shot("support-key-issue", "apikeys/supportkey/issue/", query=of_account),
        shot("support-key-revoke", "support", old.pk, "revoke"),
        shot("key-issue-account", "apikeys/activekey/add/"),
        shot("key-issue", "apikeys/activekey/add/", query=of_account),
        shot("keys-revoked", "revoked"),
        shot("key-revoked", "revoked", gone.pk),
        shot("roles", "roles"),
        shot("role", "roles", role.pk),
        shot("role-edit", "roles", role.pk, "edit"),
        shot("accounts", "accounts"),
        shot("account", "accounts", account.pk),
        shot("account-add", "accounts/account/add/"),
        shot("account-bootstrap", "accounts", Account.objects.get(slug="borealis").pk, "bootstrap"),
        shot("account-policies", "accounts", account.pk, "policies"),
        shot("account-member-add", "accounts", account.pk, "members/add"),
        shot("account-suspend", "accounts", account.pk, "suspend"),
        shot("account-signing-keys", "accounts", account.pk, "signing-keys"),
        shot("account-signing-key-rotate", "accounts", account.pk, "signing-keys/rotate"),
        shot("account-signing-key-retire", "accounts", account.pk, "signing-keys/1/retire"),
        shot("people", "people"),
        shot("person", "people", person.pk),
        shot("person-access", "people", person.pk, "access"),
        shot("person-email", "people", person.pk, "email"),
        shot("person-second-factor", "people", person.pk, "reset-second-factor"),
        shot("person-add-errors", "accounts/user/add/", act=send("Save")),
        shot("passkeys", "django_otp_webauthn/webauthncredential/"),
        shot("events", "events"),
        shot("event", "events", event.pk),
        shot("events-verified", "accounts/auditevent/verify/", act=verify),
        shot("import", "entities/entity/import/"),
        shot("miner-transfer", "entities/miner/", miner.pk, "transfer"),
        shot("miner-transfer-to", "entities/miner/", miner.pk, "transfer", query=f"?to={other.pk}"),
        shot("miners", "entities/miner/"),
        shot("miner", "entities/miner/", miner.pk),
        shot("hubs", "entities/hub/"),
        shot("hub", "entities/hub/", hub.pk),
        shot("hub-add", "entities/hub/add/"),
        shot("hub-clients", "entities/hubclient/"),
        shot("hub-client-add", "entities/hubclient/add/", query=f"?hub={hub.pk}"),
        shot("hub-client-remove", "entities/hubclient/remove/", query=f"?id={hub.clients.first().pk}"),
        shot("hub-invitations", "entities/hubinvitation/"),
        shot("pools", "entities/pool/"),
    ]


def issue(account: Account, name: str) -> ApiKey:
    key, _ = lifecycle.issue(
        account, actor=COMMAND, name=name, environment="production", access_level="viewer",
        scopes=[Scope.parse("*:miners/*")],
    )  # fmt: skip
    return key


def send(button: str) -> Any:
    """Send the form as it stands, which is wrong."""

    def act(page: Page) -> None:
        page.get_by_role("button", name=button, exact=True).click()
        page.locator(".errornote").wait_for()

    return act


def find(key: ApiKey) -> Any:
    """Paste what a log line shows of ``key``."""

    def act(page: Page) -> None:
        page.locator("textarea").first.fill(f"refused: {key.masked}")
        page.locator("#content-main form input[type=submit], #content-main form button[type=submit]").first.click()
        page.get_by_role("link", name=key.name).first.wait_for()

    return act


def select_all(action: str) -> Any:
    """Ask for an action on every key of the page."""

    def act(page: Page) -> None:
        page.locator("#action-toggle").check()
        page.locator("select[name=action]").select_option(label=action)
        page.locator(".actions button[type=submit]").click()
        page.get_by_label("Code from your authenticator app").wait_for()

    return act


def explain(page: Page) -> None:
    page.get_by_label("Path").fill("/api/v1/miners")
    page.get_by_role("button", name="Explain").click()
    page.locator(".ph-verdicts").wait_for()


def verify(page: Page) -> None:
    page.get_by_role("button", name="Verify").first.click()
    page.get_by_text("whole").first.wait_for()
