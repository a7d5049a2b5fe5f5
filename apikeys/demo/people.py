"""The demo's accounts and people: one person at every access level, and one of the pool's own staff."""

from __future__ import annotations

import hmac
import time
from base64 import b32encode
from dataclasses import dataclass
from hashlib import sha256

from django.conf import settings
from django.db import transaction
from django_otp.oath import TOTP
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts import audit, second_factor
from accounts.access_levels import AccessLevel
from accounts.models import Account, Membership, User
from apikeys import signing

#: Slug -> name
ACCOUNTS = {"northfold": "Northfold Mining", "borealis": "Borealis Hosting"}
#: The other account shows the one-time set-up of its API keys.
BOOTSTRAPPED = "northfold"


@dataclass(frozen=True)
class Person:
    """A row of the table below. ``key_permissions``: any of view, create, update and delete; an owner has all."""

    email: str
    name: str
    account: str | None
    access_level: AccessLevel | None = None
    is_owner: bool = False
    key_permissions: str = ""

    @property
    def is_staff(self) -> bool:
        return self.account is None


PEOPLE = [
    Person("ines@northfold.example", "Ines Lindqvist", "northfold", AccessLevel.ADMINISTRATOR, is_owner=True),
    Person(
        "aksel@northfold.example", "Aksel Holm", "northfold", AccessLevel.ADMINISTRATOR,
        key_permissions="view create update delete",
    ),
    Person(
        "thea@northfold.example", "Thea Nygaard", "northfold", AccessLevel.TREASURER,
        key_permissions="view create update",
    ),
    Person("arvid@northfold.example", "Arvid Sund", "northfold", AccessLevel.ACCOUNTANT, key_permissions="view"),
    Person("vera@northfold.example", "Vera Moen", "northfold", AccessLevel.VIEWER),
    Person("oskar@borealis.example", "Oskar Lahti", "borealis", AccessLevel.ADMINISTRATOR, is_owner=True),
    Person(
        "maja@borealis.example", "Maja Berg", "borealis", AccessLevel.ADMINISTRATOR,
        key_permissions="view create update delete",
    ),
    Person(
        "timo@borealis.example", "Timo Koski", "borealis", AccessLevel.TREASURER,
        key_permissions="view create update",
    ),
    Person("elin@borealis.example", "Elin Aho", "borealis", AccessLevel.ACCOUNTANT, key_permissions="view"),
    Person("nils@borealis.example", "Nils Vik", "borealis", AccessLevel.VIEWER),
    Person("saga@pithead.example", "Saga Strand", None),
]  # fmt: skip


@dataclass(frozen=True)
class Code:
    """The one-time code that a person's app shows now. ``spent``: it was used, the next one comes with the seconds."""

    text: str
    seconds_left: int
    spent: bool


@dataclass(frozen=True)
class SeededPerson:
    """A demo person as stored, with what it takes to sign in."""

    email: str
    name: str
    account: str | None
    access_level: str | None
    is_owner: bool
    is_staff: bool
    password: str
    app: TOTPDevice

    @property
    def role(self) -> str:
        if self.is_staff:
            return "Pool staff"
        level = (self.access_level or "no membership").capitalize()
        return f"{level}, owner" if self.is_owner else level

    @property
    def totp_secret(self) -> str:
        return second_factor.base32_secret(self.app)

    def code(self) -> Code:
        totp = TOTP(self.app.bin_key, self.app.step, self.app.t0, self.app.digits, self.app.drift)
        now = time.time()
        totp.time = now
        return Code(
            text=f"{totp.token():0{self.app.digits}d}",
            seconds_left=self.app.step - int(now - self.app.t0) % self.app.step,
            spent=self.app.last_t >= totp.t(),
        )


def make_people(actor: audit.Actor) -> None:
    """Make the accounts and people that are missing, and let every one of them sign in with what we print."""
    with transaction.atomic():
        accounts = {
            slug: Account.objects.get_or_create(slug=slug, defaults={"name": ACCOUNTS[slug]})[0] for slug in ACCOUNTS
        }
        signing.bootstrap(accounts[BOOTSTRAPPED], actor=actor)
        for person in PEOPLE:
            user = _make_user(person)
            _make_app(user, actor)
            if person.account is not None and person.access_level is not None:
                rights = {f"can_{right}_keys": True for right in person.key_permissions.split()}
                Membership.objects.get_or_create(
                    account=accounts[person.account],
                    user=user,
                    defaults={"access_level": person.access_level, "is_owner": person.is_owner, **rights},
                )


def seeded_people() -> list[SeededPerson]:
    """The demo people who are in the database, in the table's order, with what is true of them now."""
    users = {user.email: user for user in User.objects.filter(email__in=[person.email for person in PEOPLE])}
    memberships = {
        (membership.user_id, membership.account.slug): membership
        for membership in Membership.objects.filter(user__in=users.values()).select_related("account")
    }
    result = []
    for person in PEOPLE:
        user = users.get(person.email)
        app = second_factor.confirmed_app(user) if user else None
        if user is None or app is None:
            continue
        membership = memberships.get((user.pk, person.account or ""))
        result.append(
            SeededPerson(
                email=user.email,
                name=user.name,
                account=person.account,
                access_level=membership.access_level if membership else None,
                is_owner=membership is not None and membership.is_owner,
                is_staff=user.is_staff,
                password=password_of(user.email),
                app=app,
            )
        )
    return result


def password_of(email: str) -> str:
    """The demo password of ``email``: its own in every installation, the same on every run, 100 bits."""
    digest = hmac.digest(settings.SECRET_KEY.encode(), f"demo password of {email}".encode(), sha256)
    text = b32encode(digest).decode().lower()[:20]
    return "-".join(text[i : i + 4] for i in range(0, len(text), 4))


def _make_user(person: Person) -> User:
    password = password_of(person.email)
    user = User.objects.filter(email=person.email).first()
    if user is None:
        return User.objects.create_user(
            person.email, password, name=person.name, is_staff=person.is_staff, is_superuser=person.is_staff
        )
    if not user.is_active:
        user.is_active = True
        user.save(update_fields=["is_active"])
    if not user.check_password(password):
        user.set_password(password)
        user.save(update_fields=["password"])
    return user


def _make_app(user: User, actor: audit.Actor) -> None:
    """Give ``user`` a confirmed app. Its first code is left unspent: whoever reads it off the screen will want it."""
    app = second_factor.confirmed_app(user)
    if app is None:
        app = second_factor.begin_enrolment(user)
        app.confirmed = True
        app.save(update_fields=["confirmed"])
        audit.record("second_factor.enrolled", actor=actor, target=user)
    elif app.throttling_failure_count:
        app.throttle_reset()
