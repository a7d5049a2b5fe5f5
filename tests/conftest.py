"""The named cast: Northfold's owner, treasurer and member; Borealis's outsider; the pool's staff."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import hypothesis
import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.test import Client
from rest_framework.test import APIClient

from accounts.audit import Actor
from accounts.models import Account, User
from apikeys import lifecycle, roles, signing
from apikeys.models import ApiKey, Role
from apikeys.scopes import Scope
from tests.factories import AccountFactory, MembershipFactory, UserFactory
from tests.people import enrol, sign_in

# The real algorithm at its lowest cost: what is tested is who may do what, not how slow a guess is.
Argon2PasswordHasher.time_cost = 1
Argon2PasswordHasher.memory_cost = 8
Argon2PasswordHasher.parallelism = 1

# A slow machine is no failure: no example has to be done within a time.
hypothesis.settings.register_profile("unhurried", hypothesis.settings.default, deadline=None)
hypothesis.settings.load_profile("unhurried")

COMMAND = Actor.for_command("tests")


@pytest.fixture
def account(db: None) -> Account:
    account = AccountFactory(name="Northfold Mining", slug="northfold")
    signing.bootstrap(account, actor=COMMAND)
    return account


@pytest.fixture
def other_account(db: None) -> Account:
    account = AccountFactory(name="Borealis Hosting", slug="borealis")
    signing.bootstrap(account, actor=COMMAND)
    return account


def person(account: Account | None, name: str, **membership: Any) -> User:
    user = UserFactory(name=name, email=f"{name.lower()}@example.com")
    enrol(user)
    if account is not None:
        MembershipFactory(account=account, user=user, **membership)
    return user


@pytest.fixture
def owner(account: Account) -> User:
    return person(account, "Olga", is_owner=True, access_level="administrator")


@pytest.fixture
def treasurer(account: Account) -> User:
    """May do everything with keys, up to Treasurer."""
    rights = {f"can_{right}_keys": True for right in ("view", "create", "update", "delete")}
    return person(account, "Tove", access_level="treasurer", **rights)


@pytest.fixture
def member(account: Account) -> User:
    """Sees keys and may change none."""
    return person(account, "Milo", access_level="viewer", can_view_keys=True)


@pytest.fixture
def outsider(other_account: Account) -> User:
    return person(other_account, "Otto", is_owner=True, access_level="administrator")


@pytest.fixture
def staff(db: None) -> User:
    user = person(None, "Stina")
    user.is_staff = user.is_superuser = True
    user.save()
    return user


@pytest.fixture
def sign_in_as() -> Callable[[User], Client]:
    return lambda user: sign_in(Client(), user)


@pytest.fixture
def issue_key(account: Account) -> Callable[..., tuple[ApiKey, str]]:
    """Issue a key through the lifecycle: ``issue_key("viewer", ["*:miners/*"])`` → (key, secret)."""

    def issue(level: str = "viewer", scopes: Iterable[str] = ("*:*",), **fields: Any) -> tuple[ApiKey, str]:
        owner = fields.pop("account", account)
        fields = {"name": f"{level} key", "environment": "production", "actor": COMMAND, **fields}
        return lifecycle.issue(owner, access_level=level, scopes=[Scope.parse(text) for text in scopes], **fields)

    return issue


@pytest.fixture
def make_role(account: Account) -> Callable[..., Role]:
    """Make a custom role: ``make_role("stats:read", "workers:write", name="Autotuner")``."""

    def make(*permissions: str, name: str = "Billing export", **fields: Any) -> Role:
        fields = {"actor": COMMAND, **fields}
        return roles.create(fields.pop("account", account), name=name, permissions=permissions, **fields)

    return make


@pytest.fixture
def api() -> Callable[[str], APIClient]:
    """A client of the pool data API that presents a secret: ``api(secret).get("/api/v1/miners")``."""

    def client(secret: str) -> APIClient:
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
        return client

    return client
