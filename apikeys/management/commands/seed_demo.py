"""Fill the database with the demo, or bring it up to now. See `apikeys.demo`."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from accounts import audit
from accounts.changes import Refused
from accounts.environments import Environment
from accounts.models import Account
from apikeys import scopes
from apikeys.demo import tables
from apikeys.demo.earnings import make_earnings
from apikeys.demo.keys import SeededKey, make_keys
from apikeys.demo.memberships import make_memberships
from apikeys.demo.people import ACCOUNTS, SeededPerson, make_people, seeded_people
from apikeys.demo.pool import make_entities
from entities.models import Entity, Kind


class Command(BaseCommand):
    help = (
        "Make the demo's accounts, people, entities, earnings and keys where they are missing, and bring them up to "
        "now. Every run gives the demo's keys fresh secrets and prints them."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        output = parser.add_mutually_exclusive_group()
        output.add_argument("--json", action="store_true", help="print JSON and nothing else")
        output.add_argument("--codes", action="store_true", help="print the current one-time codes and change nothing")
        parser.add_argument(
            "--force",
            action="store_true",
            help="even where DEBUG is off: this prints passwords, and adds people who can sign in",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not (settings.DEBUG or options["force"]):
            raise CommandError(
                "DEBUG is off, so this may be a real installation, and the demo brings people whose passwords it "
                "prints. If that is what you want, add --force."
            )
        refuse_unmigrated()
        if options["codes"]:
            people = seeded_people()
            if not people:
                raise CommandError("There is no demo in this database yet. Run: manage.py seed_demo")
            self.stdout.write(tables.codes(people))
            return
        people, keys = seed()
        if options["json"]:
            self.stdout.write(json.dumps(as_json(people, keys), indent=2))
        else:
            self.stdout.write(f"{tables.people(people)}\n\n{tables.keys(keys)}\n\n{tables.CODES_NOTE}")


def seed() -> tuple[list[SeededPerson], list[SeededKey]]:
    """Make and refresh the whole demo. Raises CommandError where the accounts' own limits forbid it."""
    actor = audit.Actor.for_command("seed_demo")
    now = timezone.now()
    make_people(actor)
    make_memberships()
    make_earnings(make_entities(now), now)
    try:
        keys = make_keys(actor, now)
    except (Refused, scopes.InvalidScope) as refused:
        raise CommandError(f"The demo's keys can't be made: {refused}") from refused
    return seeded_people(), keys


def refuse_unmigrated() -> None:
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise CommandError("The database's tables are missing or out of date. Run: manage.py migrate")


def as_json(people: list[SeededPerson], keys: list[SeededKey]) -> dict[str, Any]:
    """All that a program needs to use the demo, as plain values."""
    accounts = {account.slug: account for account in Account.objects.filter(slug__in=ACCOUNTS)}
    return {
        "accounts": [{"slug": slug, "name": accounts[slug].name} for slug in ACCOUNTS],
        "people": [
            {
                "email": person.email,
                "password": person.password,
                "totp_secret": person.totp_secret,
                "account": person.account,
                "access_level": person.access_level,
                "is_owner": person.is_owner,
                "is_staff": person.is_staff,
            }
            for person in people
        ],
        "entities": {
            slug: {f"{kind}s": _production_ids(accounts[slug], kind) for kind in (Kind.MINER, Kind.HUB, Kind.POOL)}
            for slug in ACCOUNTS
        },
        "keys": [
            {
                "name": seeded.key.name,
                "account": seeded.account,
                "environment": seeded.key.environment,
                "access_level": seeded.key.access_level,
                "scopes": seeded.scopes,
                "key_id": seeded.key.key_id,
                "secret": seeded.secret,
            }
            for seeded in keys
        ],
    }


def _production_ids(account: Account, kind: Kind) -> list[str]:
    own = Entity.objects.filter(account=account, environment=Environment.PRODUCTION, kind=kind)
    return [str(pk) for pk in own.order_by("created_at", "pk").values_list("pk", flat=True)]
