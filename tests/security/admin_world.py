"""The staff admin as tests walk it: its routes, something behind each, and one person of every role."""

from __future__ import annotations

import re
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from accounts import second_factor
from accounts.audit import Actor
from accounts.models import AuditEvent, User
from apikeys import lifecycle, roles, signing, support_keys
from apikeys.models import ActiveKey, ApiKey, RevokedKey, Role, SupportKey
from apikeys.scopes import Scope
from tests.accounts.passkeys import registered
from tests.factories import (
    AccountFactory,
    HubClientFactory,
    HubFactory,
    HubInvitationFactory,
    MembershipFactory,
    MinerFactory,
    PoolFactory,
    UserFactory,
)
from tests.people import enrol, sign_in

COMMAND = Actor.for_command("tests")
GROUPS = ("support", "security", "administrators")
#: Everybody who may come along, from who is least trusted to who is most.
ROLES = ("stranger", "owner", "without group", *GROUPS, "superuser")


def admin_routes() -> dict[str, URLPattern]:
    """Every route under ``/admin/``, as the URLconf has it."""
    resolver = next(r for r in get_resolver().url_patterns if isinstance(r, URLResolver) and r.namespace == "admin")

    def walk(patterns: list, prefix: str) -> dict[str, URLPattern]:
        found: dict[str, URLPattern] = {}
        for pattern in patterns:
            route = re.sub(r"^\^\(\?P(<\w+>).*\)/\$$", r"\1/", prefix + str(pattern.pattern))
            found |= {route: pattern} if isinstance(pattern, URLPattern) else walk(pattern.url_patterns, route)
        return found

    return walk(resolver.url_patterns, "")


def section(route: str) -> str:
    """``accounts/user`` of any page in that section."""
    return "/".join(route.split("/")[:2])


class World:
    """Something of everything that the admin shows, and a browser for each role."""

    def __init__(self) -> None:
        account = AccountFactory(name="Northfold Mining", slug="northfold")
        signing.bootstrap(account, actor=COMMAND)
        owner = UserFactory(name="Olga", email="olga@example.com")
        MembershipFactory(account=account, user=owner, is_owner=True, access_level="administrator")
        self.people: dict[str, User] = {"owner": owner}
        for role in ROLES[2:]:
            staff = UserFactory(name=role.capitalize(), is_staff=True, is_superuser=role == "superuser")
            staff.groups.set(Group.objects.filter(name=role))
            self.people[role] = staff
        for person in self.people.values():
            enrol(person)
        self.passkey, _ = registered(owner)
        self.recovery_codes = second_factor.make_recovery_codes(owner, actor=COMMAND)
        role = roles.create(account, name="Billing export", permissions=["payouts:read"], actor=COMMAND)
        self.key, self.secret = self._issue(account, role=role)
        self.revoked, _ = self._issue(account)
        lifecycle.revoke(self.revoked, actor=COMMAND, reason="other")
        pool = PoolFactory(account=account)
        hub, miner = HubFactory(account=account, pool=pool), MinerFactory(account=account, pool=pool)
        self.account = account
        self.support_key, _ = support_keys.issue(
            account, name="Old billing script", environment="production", access_level="viewer", entities=[miner],
            actor=COMMAND,
        )  # fmt: skip
        self.member = owner.memberships.get()
        #: section -> a row of its
        self.rows: dict[str, Any] = {
            "accounts/account": account,
            "accounts/auditevent": AuditEvent.objects.first(),
            "accounts/user": owner,
            "apikeys/activekey": ActiveKey.objects.get(pk=self.key.pk),
            "apikeys/revokedkey": RevokedKey.objects.get(pk=self.revoked.pk),
            "apikeys/role": role,
            "apikeys/supportkey": SupportKey.objects.get(pk=self.support_key.pk),
            "django_otp_webauthn/webauthncredential": self.passkey,
            "entities/entity": miner,
            "entities/hub": hub,
            "entities/hubclient": HubClientFactory(hub=hub, miner=miner),
            "entities/hubinvitation": HubInvitationFactory(hub=hub),
            "entities/miner": miner,
            "entities/pool": pool,
        }
        self.clients = {"stranger": Client()}
        self.clients |= {role: sign_in(Client(), person) for role, person in self.people.items()}

    def _issue(self, account: Any, role: Role | None = None) -> tuple[ApiKey, str]:
        level = {"access_level": "custom", "role": role} if role else {"access_level": "viewer"}
        fields = {"name": "A key", "environment": "production", "scopes": [Scope.parse("*:*")], "actor": COMMAND}
        return lifecycle.issue(account, **fields, **level)

    def address(self, route: str) -> str:
        """A path that ``route`` answers, for something that is there."""
        row = self.rows.get(section(route))
        path = re.sub(r"<\w+:object_id>", str(row.pk) if row else "", route)
        path = path.replace("<int:member_id>", str(self.member.pk)).replace("<int:version>", "1")
        path = path.replace("<app_label>", "accounts").replace("(?P<url>.*)$", "no-such-page")
        assert not re.search(r"[<(^$]", path), f"{route}: say in tests/security/admin_world.py what stands for it"
        return f"/admin/{path}"


def model_admins() -> dict[str, Any]:
    """section -> the ModelAdmin behind it."""
    return {f"{model._meta.app_label}/{model._meta.model_name}": it for model, it in admin.site._registry.items()}
