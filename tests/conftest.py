"""The named cast: Northfold's owner, treasurer and member; Borealis's outsider; the pool's staff."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import hypothesis
import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.test import Client
from rest_framework.test import APIClient
from whitenoise.middleware import WhiteNoiseMiddleware

from accounts.audit import Actor
from accounts.models import Account, User
from apikeys import attempts, lifecycle, misplaced, registered, request_log, roles, signing, support_keys
from apikeys.models import ApiKey, Role
from apikeys.scopes import Scope
from entities.models import Entity
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


#: What no database changes: how pages look and behave in a browser, words, the demo, who may open what. CI runs it
#: on SQLite alone (``-m "not once"`` leaves it out).
ONCE = (
    "tests/browser/",
    "tests/languages/",
    "tests/test_bench.py",
    "tests/test_demo.py",
    "tests/apikeys/test_seed_demo",
    "tests/security/test_admin_",
    "tests/security/test_start.py",
)
#: One whole life of a key is lived in the browser on both.
ON_BOTH = ("tests/browser/test_life.py",)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        of_one_database = any(item.iter_markers("skipif"))  # the other one runs it
        if item.nodeid.startswith(ONCE) and not item.nodeid.startswith(ON_BOTH) and not of_one_database:
            item.add_marker(pytest.mark.once)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", metavar="FOLDER", help="write a picture of every page into FOLDER")


@pytest.fixture(autouse=True, scope="session")
def static_files_are_listed_once() -> Iterator[None]:
    """Each test client makes its middleware anew: the 200 files that it may serve are looked up by the first one."""
    look_up = WhiteNoiseMiddleware.add_files_from_finders
    found: dict[str, Any] = {}

    def look_up_once(self: WhiteNoiseMiddleware) -> None:
        if not found:
            look_up(self)
            found.update(self.files)
        self.files.update(found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", look_up_once)
        yield


@pytest.fixture(autouse=True)
def nothing_waits_to_be_logged() -> None:
    """The requests that other tests made are of keys that are gone."""
    request_log._writer.start_anew()


@pytest.fixture(autouse=True)
def fresh_process():
    """What a process remembers of registered secrets is of one database, and each test has its own."""
    registered.start_anew()


@pytest.fixture(autouse=True)
def any_number_of_attempts(settings):
    """All tests come from one address, and try more wrong keys than anybody may. What limits them has its own tests."""
    settings.PITHEAD_FAILED_ATTEMPTS_PER_ADDRESS = settings.PITHEAD_FAILED_ATTEMPTS_PER_SELECTOR = 0
    attempts.start_anew()
    misplaced.start_anew()


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
def register_key(account: Account) -> Callable[..., ApiKey]:
    """Register an old key: ``register_key(OLD_KEY, [miner], access_level="administrator")``."""

    def register(text: str, entities: Iterable[Entity], **fields: Any) -> ApiKey:
        owner = fields.pop("account", account)
        fields = {"name": "Old script", "environment": "production", "access_level": "viewer", **fields}
        return support_keys.register(owner, **{"actor": COMMAND, **fields}, text=text, entities=entities)

    return register


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
