"""The groups of staff are what the table says: after every migrate, whatever somebody did to them, and in the docs."""

from __future__ import annotations

import re

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command

from apikeys import staff_groups
from apikeys.staff_groups import ADMINISTRATORS, GROUPS, SECURITY, SUPPORT


def in_force() -> dict[str, set[str]]:
    groups = Group.objects.prefetch_related("permissions__content_type")
    return {
        group.name: {f"{row.content_type.app_label}.{row.codename}" for row in group.permissions.all()}
        for group in groups
    }


def ensure() -> None:
    staff_groups.ensure(using="default")


def test_migrate_leaves_the_groups_that_the_table_says(db):
    assert in_force() == GROUPS


def test_what_somebody_did_to_them_is_mended_and_other_groups_are_left_alone(db):
    Group.objects.get(name=SUPPORT).permissions.set(Permission.objects.all())
    Group.objects.get(name=SECURITY).permissions.clear()
    Group.objects.get(name=ADMINISTRATORS).delete()
    Group.objects.create(name="auditors")
    call_command("migrate", verbosity=0)
    assert in_force() == {**GROUPS, "auditors": set()}


def test_permissions_that_are_not_there_yet_are_made(db):
    Permission.objects.filter(content_type__app_label="entities").delete()
    ensure()
    assert in_force() == GROUPS


def test_what_is_right_already_costs_two_queries(db, django_assert_num_queries):
    with django_assert_num_queries(2):
        ensure()


@pytest.mark.django_db(transaction=True)
def test_a_database_that_was_emptied_has_them_again():
    call_command("flush", interactive=False, verbosity=0)
    assert in_force() == GROUPS


def test_each_group_has_what_the_one_before_it_has():
    assert GROUPS[SUPPORT] < GROUPS[SECURITY] < GROUPS[ADMINISTRATORS]


def test_support_looks_and_disables_and_does_nothing_else():
    assert {name for name in GROUPS[SUPPORT] if ".view_" not in name} == {"apikeys.disable_apikey"}


def test_nobody_deletes_accounts_people_keys_entities_or_the_trail():
    deletes = {name for names in GROUPS.values() for name in names if ".delete_" in name}
    assert deletes == {"accounts.delete_membership", "apikeys.delete_role", "entities.delete_hubclient"}


def test_the_table_in_the_docs_is_the_one_in_the_code():
    text = (settings.BASE_DIR / "docs" / "staff.md").read_text()
    rows = re.findall(r"^\| [^|]+ \| `([\w.]+)` \| (✓?) *\| (✓?) *\| (✓?) *\|$", text, re.MULTILINE)
    assert len({name for name, *_ in rows}) == len(rows)
    for column, group in enumerate([SUPPORT, SECURITY, ADMINISTRATORS], start=1):
        assert {row[0] for row in rows if row[column]} == GROUPS[group], group
