"""The way in, and what people see who may not see keys."""

from __future__ import annotations

from django.utils import timezone

from accounts.models import Account
from tests.conftest import person
from tests.factories import MembershipFactory
from tests.web.conftest import KEYS


def test_it_leads_to_the_first_account_whose_keys_the_person_may_see(sign_in_as, account, member):
    hidden = Account.objects.create(name="Aurora", slug="aurora")
    MembershipFactory(account=hidden, user=member)
    assert sign_in_as(member).get("/")["Location"] == KEYS


def test_who_may_see_no_keys_is_told_whom_to_ask_and_not_sent_in_circles(sign_in_as, account):
    client = sign_in_as(person(account, "Vera"))
    start = client.get("/")
    assert start.status_code == 200
    assert "You belong to Northfold Mining, without the right" in start.content.decode()
    refused = client.get(KEYS)
    assert refused.status_code == 403
    assert "does not include “See API keys”" in refused.content.decode()
    assert "Sign out" in refused.content.decode()


def test_who_belongs_nowhere_is_told_so_and_staff_go_to_the_admin(sign_in_as, staff, db):
    assert "You belong to no account yet" in sign_in_as(person(None, "Nemo")).get("/").content.decode()
    assert sign_in_as(staff).get("/")["Location"] == "/admin/"


def test_every_page_of_a_suspended_account_says_why_its_calls_are_refused(sign_in_as, owner, account):
    client = sign_in_as(owner)
    pages = (KEYS, f"{KEYS}create/", "/a/northfold/access/members/", "/a/northfold/settings/")
    for path in pages:
        assert "is suspended" not in client.get(path).content.decode(), path
    Account.objects.filter(pk=account.pk).update(suspended_at=timezone.now())
    for path in pages:
        assert "Northfold Mining is suspended." in client.get(path).content.decode(), path
