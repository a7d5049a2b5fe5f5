"""The way in, and what people see who may not see keys."""

from __future__ import annotations

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
