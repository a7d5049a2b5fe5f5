"""Every page of the owner's web UI in the states worth seeing, over the demo's data.

One table: `tests/browser/test_every_page.py` visits it, and `make screenshots` takes its pictures.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.tokens import default_token_generator
from django.contrib.sessions.backends.db import SessionStore
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from playwright.sync_api import Page

from accounts import invitations, members, passkeys, policies
from accounts.audit import Actor
from accounts.members import Place
from accounts.models import Account, KeyPermission, Membership, SignedInSession, User
from apikeys import lifecycle, roles, signing
from apikeys.demo.people import password_of
from apikeys.management.commands.seed_demo import seed
from apikeys.models import ApiKey, Role
from apikeys.scopes import Scope
from tests.browser.looks import NOBODY, OWNER, Shot
from tests.people import actor_for, fresh_code
from tests.soft_authenticator import SoftAuthenticator

COMMAND = Actor.for_command("tests")
#: Sees keys and may change none.
READER = "arvid@northfold.example"
#: Has a passkey besides the app, and is signed in with a phone as well.
KEEPER = "thea@northfold.example"
#: The owner of an account that is not set up yet.
NEWCOMER = "oskar@borealis.example"
NEW_PASSWORD = "sign-in/new-password/<uidb64>/<token>/"
MEMBERS = "/a/northfold/access/members/"


def shots() -> list[Shot]:
    """Seed the demo and return the table, whose addresses are of the demo's rows."""
    seed()
    account = Account.objects.get(slug="northfold")
    of_account = ApiKey.objects.filter(account=account)
    key = of_account.get(name="Demo treasurer")
    off, _ = lifecycle.issue(
        account, actor=COMMAND, name="Old dashboard", environment="production", access_level="viewer",
        scopes=[Scope.parse("*:miners/*")],
    )  # fmt: skip
    lifecycle.disable(off, actor=COMMAND)
    rotating = of_account.get(name="Demo accountant")
    lifecycle.rotate(rotating, actor=COMMAND)
    gone, _ = lifecycle.issue(
        account, actor=COMMAND, name="Old exporter", environment="production", access_level="accountant",
        scopes=[Scope.parse("*:miners/*")],
    )  # fmt: skip
    lifecycle.revoke(gone, actor=COMMAND, reason="replaced", note="The ERP has a key of its own now")
    policies.set_policies(account, actor=COMMAND, max_active_keys=20, rotation_days=30, permanent_delete=True)
    policies.pin(account, "max_active_keys", "permanent_delete", actor=COMMAND)
    retired = retire_a_version(account)
    used = Role.objects.get(account=account, name="Billing export")
    unused = roles.create(account, actor=COMMAND, name="Autotuner", permissions=["stats:read", "workers:write"])
    keeper, one_passkey = User.objects.get(email=KEEPER), "me/passkeys/<int:passkey_id>/"
    passkey = give_passkey(keeper, "MacBook")
    give_session(keeper)
    of_keys, of_roles = "a/<slug:slug>/access/api-keys/", "a/<slug:slug>/access/roles/"
    one_key, one_role = f"{of_keys}<slug:key_id>/", f"{of_roles}<uuid:role_id>/"
    of_members = "a/<slug:slug>/access/members/"
    one_member = Membership.objects.get(account=account, user__email="thea@northfold.example").pk
    leaver = Membership.objects.get(account=account, user__email="aksel@northfold.example")
    lifecycle.issue(
        account, actor=actor_for(leaver.user, lifecycle.ISSUE), name="Aksel’s dashboard", environment="production",
        access_level="viewer", scopes=[Scope.parse("*:miners/*")],
    )  # fmt: skip
    members.remove(leaver, actor=COMMAND)
    inviter = actor_for(User.objects.get(email=OWNER), invitations.INVITE)
    seen = frozenset({KeyPermission.VIEW})
    _, stranger = invitations.invite(
        account, actor=inviter, email="frode@northfold.example", place=Place("viewer", False, seen)
    )
    _, known = invitations.invite(
        account, actor=inviter, email="maja@borealis.example", place=Place("treasurer", False, seen)
    )

    in_settings = "a/<slug:slug>/settings/"
    of_versions = f"{in_settings}signing-keys/"
    one_version = f"{of_versions}<int:version>/"

    def shot(
        name: str, route: str, query: str = "", of: ApiKey = key, role: Role = used, version: int = 1, **fields: Any
    ) -> Shot:
        path = route.replace("<slug:slug>", "northfold").replace("<slug:key_id>", of.key_id)
        path = path.replace("<int:version>", str(version))
        return Shot(name, route, f"/{path.replace('<uuid:role_id>', str(role.pk))}{query}", **fields)

    return [
        shot("sign-in", "sign-in/", who=NOBODY),
        shot("sign-in-wrong", "sign-in/", who=NOBODY, act=sign_in_wrongly),
        shot("sign-in-code", "sign-in/code/", who=NOBODY, act=sign_in_halfway),
        shot("keys", of_keys),
        shot("keys-all", of_keys, "?status=all"),
        shot("keys-opened", of_keys, act=open_first_row),
        shot("keys-no-results", of_keys, "?q=nothing-like-it"),
        shot("keys-creator-left", of_keys, "?status=all&creator=left"),
        shot("keys-reader", of_keys, who=READER),
        Shot("set-up", of_keys, "/a/borealis/access/api-keys/", NEWCOMER),
        shot("key-create", f"{of_keys}create/"),
        shot("key-create-errors", f"{of_keys}create/", act=create_wrongly),
        shot("key-create-advanced", f"{of_keys}create/", act=open_advanced),
        shot("key-reveal", f"{of_keys}create/", act=create),
        shot("key-edit", f"{one_key}edit/"),
        shot("key-edit-code", f"{one_key}edit/", act=edit_without_code),
        shot("key", one_key),
        shot("key-rotating", one_key, of=rotating),
        shot("key-revoked", one_key, of=gone),
        shot("key-explain", f"{one_key}explain/"),
        shot("key-explain-allowed", f"{one_key}explain/", act=explain_request),
        shot("key-explain-refused", f"{one_key}explain/", of=off, act=explain_request),
        shot("key-explain-errors", f"{one_key}explain/", "?path=/api/v1/miners/{miner_id}", act=explain_wrongly),
        shot("key-rotate", f"{one_key}rotate/"),
        shot("key-regenerate", f"{one_key}regenerate/"),
        shot("key-end-overlap", f"{one_key}end-overlap/", of=rotating),
        shot("key-revoke", f"{one_key}revoke/"),
        shot("key-delete", f"{one_key}delete/", of=gone),
        shot("key-enable", f"{one_key}enable/", of=off),
        shot("roles", of_roles),
        shot("role-create", f"{of_roles}create/"),
        shot("role-edit", f"{one_role}edit/"),
        shot("role-clone", f"{one_role}clone/"),
        shot("role-delete", f"{one_role}delete/", role=unused),
        shot("settings", in_settings),
        shot("settings-errors", in_settings, act=set_wrongly),
        shot("settings-reader", in_settings, who=READER),
        shot("notices", f"{in_settings}notices/"),
        shot("notices-reader", f"{in_settings}notices/", who=READER),
        shot("signing-keys", of_versions),
        shot("signing-keys-reader", of_versions, who=READER),
        shot("signing-key-rotate", f"{of_versions}rotate/"),
        shot("signing-key-retire", f"{one_version}retire/"),
        shot("signing-key-retire-errors", f"{one_version}retire/", act=retire_wrongly),
        shot("signing-key-retired", f"{one_version}retired/", version=retired),
        shot("members", of_members),
        shot("members-reader", of_members, who=READER),
        shot("member-invite", f"{of_members}invite/"),
        shot("member-invite-errors", f"{of_members}invite/", act=invite_wrongly),
        Shot("member-edit", f"{of_members}<int:member_id>/edit/", f"{MEMBERS}{one_member}/edit/"),
        Shot("member-remove", f"{of_members}<int:member_id>/remove/", f"{MEMBERS}{one_member}/remove/"),
        Shot("invitation-new", "invitations/<str:token>/", f"/invitations/{stranger}/", NOBODY),
        Shot("invitation-known", "invitations/<str:token>/", f"/invitations/{known}/", NOBODY),
        Shot("invitation-accept", "invitations/<str:token>/", f"/invitations/{known}/", "maja@borealis.example"),
        Shot("invitation-other", "invitations/<str:token>/", f"/invitations/{known}/"),
        Shot("invitation-none", "invitations/open/", "/invitations/open/", NOBODY),
        shot("preferences", "me/"),
        shot("second-factor", "me/second-factor/"),
        shot("second-factor-replace", "me/second-factor/replace/"),
        shot("recovery-codes", "me/recovery-codes/"),
        shot("preferences", "me/"),
        shot("lost-device", "sign-in/lost-device/", who=NOBODY, act=lose_device),
        shot("report-leak", "report-leak/", who=NOBODY),
        shot("report-leak-nothing", "report-leak/", who=NOBODY, act=report_nothing),
        shot("forgotten-password", "sign-in/forgotten-password/", who=NOBODY),
        shot("forgotten-password-sent", "sign-in/forgotten-password/", who=NOBODY, act=forget_password),
        Shot("new-password", NEW_PASSWORD, reset_link(keeper), NOBODY),
        Shot("new-password-expired", NEW_PASSWORD, "/sign-in/new-password/MQ/x-y/", NOBODY),
        shot("sign-in-passkey", "sign-in/code/", who=NOBODY, act=sign_in_halfway_as_keeper),
        shot("second-factor-passkey", "me/second-factor/", who=KEEPER),
        shot("second-factor-remove", "me/second-factor/remove/", who=KEEPER),
        shot("second-factor-remove-last", "me/second-factor/remove/"),
        shot("passkeys-none", "me/passkeys/"),
        shot("passkeys", "me/passkeys/", who=KEEPER),
        shot("passkey-add", "me/passkeys/add/", who=KEEPER),
        shot("passkey-create", "me/passkeys/create/", who=KEEPER, act=confirm_adding),
        Shot("passkey-rename", f"{one_passkey}rename/", f"/me/passkeys/{passkey.pk}/rename/", KEEPER),
        Shot("passkey-remove", f"{one_passkey}remove/", f"/me/passkeys/{passkey.pk}/remove/", KEEPER),
        shot("sessions", "me/sessions/", who=KEEPER),
        shot("password", "me/password/", who=KEEPER),
        shot("password-errors", "me/password/", who=KEEPER, act=change_password_wrongly),
        Shot("not-found", "404", "/nowhere/"),
    ]


def retire_a_version(account: Account) -> int:
    """Retire a version of the signing key that one key hangs on, and return its number."""
    made = signing.rotate(account, actor=COMMAND)
    lifecycle.issue(
        account, actor=COMMAND, name="Night watch", environment="production", access_level="viewer",
        scopes=[Scope.parse("*:miners/*")],
    )  # fmt: skip
    signing.retire(made, actor=COMMAND)
    return made.version


def explain_request(page: Page) -> None:
    page.get_by_label("Path").fill("/api/v1/miners")
    page.get_by_label("Address").fill("203.0.113.7")
    page.get_by_role("button", name="Explain").click()
    page.locator(".ph-verdicts").wait_for()


def explain_wrongly(page: Page) -> None:
    page.get_by_label("Address").fill("nowhere")
    page.get_by_role("button", name="Explain").click()
    page.locator("#errors").wait_for()


def set_wrongly(page: Page) -> None:
    page.get_by_label("Longest life of a key").fill("ten")
    page.get_by_label("Rate limit of keys").fill("0")
    page.get_by_role("button", name="Save policies").click()
    page.locator("#errors").wait_for()


def retire_wrongly(page: Page) -> None:
    page.get_by_label("Type “northfold” to confirm").fill("Northfold Mining")
    page.get_by_role("button", name="Retire and stop").click()
    page.locator("#errors").wait_for()


def invite_wrongly(page: Page) -> None:
    page.get_by_label("Email").fill(READER)
    page.get_by_label("Code from your authenticator app").fill("000000")
    page.get_by_role("button", name="Send invitation").click()
    page.locator("#errors").wait_for()


def sign_in_wrongly(page: Page) -> None:
    page.get_by_label("Email").fill("ines@northfold.example")
    page.get_by_label("Password").fill("a wrong one")
    page.get_by_role("button", name="Sign in").click()


def sign_in_halfway(page: Page) -> None:
    """The address has led back to the first step, as nobody has given a password yet."""
    page.get_by_label("Email").fill(OWNER)
    page.get_by_label("Password").fill(password_of(OWNER))
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Code from your authenticator app").wait_for()


def open_first_row(page: Page) -> None:
    """Where rows are closed, as on phones."""
    summary = page.locator(".ph-keys summary").first
    if summary.is_visible():
        summary.press("Enter")


def give_passkey(user: User, name: str) -> Any:
    if kept := passkeys.passkeys_of(user).first():
        return kept
    options, state = passkeys.begin_registration(user)
    credential = SoftAuthenticator(origin=settings.OTP_WEBAUTHN_ALLOWED_ORIGINS[0]).create(options)
    return passkeys.register(user, state, credential, name=name, actor=COMMAND)


def give_session(user: User) -> None:
    """Sign ``user`` in with a phone somewhere."""
    session = SessionStore()
    session.create()
    agent = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) Version/18.1 Mobile/15E148 Safari/604.1"
    SignedInSession.objects.create(
        user=user, session_key=session.session_key or "", address="203.0.113.20", user_agent=agent
    )


def reset_link(user: User) -> str:
    identity = urlsafe_base64_encode(force_bytes(user.pk))
    return f"/sign-in/new-password/{identity}/{default_token_generator.make_token(user)}/"


def sign_in_halfway_as_keeper(page: Page) -> None:
    page.get_by_label("Email").fill(KEEPER)
    page.get_by_label("Password").fill(password_of(KEEPER))
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Use a passkey").wait_for()


def lose_device(page: Page) -> None:
    sign_in_halfway(page)
    page.get_by_role("link", name="Lost your phone or key?").click()
    page.get_by_label("Recovery code").wait_for()


def forget_password(page: Page) -> None:
    page.get_by_label("Email").fill("nobody@example.com")
    page.get_by_role("button", name="Mail me a link").click()
    page.get_by_role("heading", name="Look into your mail").wait_for()


def report_nothing(page: Page) -> None:
    page.get_by_label("What you found").fill("no key at all")
    page.get_by_role("button", name="Hand it in").click()
    page.get_by_role("heading", name="No key of ours").wait_for()


def confirm_adding(page: Page) -> None:
    """The address has led to the step-up."""
    page.get_by_label("Code from your authenticator app").fill(fresh_code(User.objects.get(email=KEEPER)))
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Create passkey").wait_for()


def change_password_wrongly(page: Page) -> None:
    page.get_by_label("New password", exact=True).fill("short")
    page.get_by_role("button", name="Change password").click()
    page.locator("#errors").wait_for()


def create_wrongly(page: Page) -> None:
    page.locator("#id_allowed_cidrs").fill("203.0.113.7/24")
    page.get_by_label("Code from your authenticator app").fill("000000")
    page.locator("aside").get_by_role("button", name="Create key").click()
    page.locator("#errors").wait_for()


def open_advanced(page: Page) -> None:
    page.get_by_role("radio", name="Administrator").check()
    page.locator("#id_miners_all").check()
    page.locator("summary", has_text="Advanced").first.click()
    page.locator("[name=miners_all_actions][value=write]").uncheck()
    page.locator("[name=miners]").first.check()
    page.locator("label", has_text="Until a date").click()
    page.locator("#id_allowed_cidrs").fill("0.0.0.0/0")
    page.locator("#address-notes .ph-callout").first.wait_for()


def edit_without_code(page: Page) -> None:
    page.locator("#id_rate_limit").fill("90")
    page.locator("aside").get_by_role("button", name="Save changes").click()
    page.locator("#errors").wait_for()


def create(page: Page) -> None:
    page.get_by_label("Name", exact=True).fill("Grafana fleet dashboards")
    page.locator("#id_miners_all").check()
    page.get_by_label("Code from your authenticator app").fill(fresh_code(User.objects.get(email=OWNER)))
    page.locator("aside").get_by_role("button", name="Create key").click()
    page.locator("#secret").wait_for()
