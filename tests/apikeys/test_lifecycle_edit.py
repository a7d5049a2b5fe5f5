"""Edit: what may change, who may, what it takes, and that the next request meets it."""

from __future__ import annotations

from datetime import timedelta

import hypothesis
import pytest
import time_machine
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.audit import Actor, StepUpMissing
from accounts.changes import Refused
from accounts.models import Account, AuditEvent
from apikeys import lifecycle, scopes
from apikeys.edits import Changes
from apikeys.models import ApiKey
from apikeys.scopes import Scope
from tests.factories import MinerFactory
from tests.people import actor_for

COMMAND = Actor.for_command("tests")
DAY = timedelta(days=1)


@pytest.fixture
def key(issue_key):
    return issue_key()[0]


@pytest.fixture
def editable(account):
    Account.objects.update(keys_editable=True)


def fresh(key):
    return ApiKey.objects.get(pk=key.pk)


def texts(key):
    return sorted(str(row) for row in key.scopes.all())


def test_labels_change_without_a_code(key, owner):
    actor = Actor(name="Olga", via="web", user=owner)
    lifecycle.edit(key, Changes(name=" Billing   export ", description=" for the ERP "), actor=actor)
    assert (fresh(key).name, fresh(key).description) == ("Billing export", "for the ERP")


RESTRICTIONS = {
    "expires_at": timezone.now() + 300 * DAY,
    "allowed_cidrs": ["203.0.113.0/24"],
    "rate_limit": 60,
    "rate_burst": 5,
    "access_level": "accountant",
    "scopes": [Scope("read", "miner")],
}


@pytest.mark.usefixtures("editable")
@pytest.mark.parametrize("field", RESTRICTIONS)
def test_all_else_takes_a_code_of_its_own(key, owner, account, field):
    MinerFactory(account=account)
    Account.objects.update(default_rate_limit=60)
    changes = Changes(name="Renamed", **{field: RESTRICTIONS[field]})
    for actor in (Actor(name="Olga", via="web", user=owner), actor_for(owner, "key.issue")):
        with pytest.raises(StepUpMissing):
            lifecycle.edit(key, changes, actor=actor)
    assert fresh(key).name == key.name
    assert not AuditEvent.objects.filter(action="key.edited").exists()
    lifecycle.edit(key, changes, actor=actor_for(owner, "key.edit"))
    assert fresh(key).name == "Renamed"


def test_what_stays_as_it_is_takes_no_code_and_writes_nothing(issue_key, owner):
    key, _ = issue_key(allowed_cidrs=["203.0.113.0/24"], rate_limit=60)
    same = Changes(
        name=key.name, expires_at=None, allowed_cidrs=["203.0.113.0/24"], rate_limit=60, access_level="viewer",
        scopes=[Scope("*", "*")],
    )  # fmt: skip
    lifecycle.edit(key, same, actor=Actor(name="Olga", via="web", user=owner))
    assert not AuditEvent.objects.filter(action="key.edited").exists()


def test_the_next_request_meets_the_new_restrictions(issue_key, api):
    key, secret = issue_key()
    assert api(secret).get("/api/v1/key").status_code == 200
    lifecycle.edit(key, Changes(allowed_cidrs=["203.0.113.0/24"]), actor=COMMAND)
    assert api(secret).get("/api/v1/key").json()["code"] == "address_not_allowed"
    lifecycle.edit(key, Changes(allowed_cidrs=[]), actor=COMMAND)
    assert api(secret).get("/api/v1/key").status_code == 200


@pytest.mark.parametrize("changes", [Changes(access_level="accountant"), Changes(scopes=[Scope("read", "*")])])
def test_level_and_scope_are_fixed_unless_the_policy_says_otherwise(key, owner, changes):
    with pytest.raises(Refused, match="fixed when a key is created") as refused:
        lifecycle.edit(key, changes, actor=actor_for(owner, "key.edit"))
    assert refused.value.field in ("access_level", "scopes")
    Account.objects.update(keys_editable=True)
    lifecycle.edit(key, changes, actor=actor_for(owner, "key.edit"))


@pytest.mark.usefixtures("editable")
def test_scopes_are_replaced_row_by_row(issue_key, account, api):
    mine, other = MinerFactory(account=account, name="mine"), MinerFactory(account=account, name="other")
    key, secret = issue_key(scopes=[f"*:miners/{mine.pk}", f"read:miners/{other.pk}"])
    kept = key.scopes.get(entity=other).pk
    lifecycle.edit(key, Changes(scopes=[Scope("read", "miner", other.pk)]), actor=COMMAND)
    assert texts(key) == [f"read:miners/{other.pk}"]
    assert key.scopes.get().pk == kept
    assert [row["name"] for row in api(secret).get("/api/v1/miners").json()["data"]] == ["other"]
    lifecycle.edit(key, Changes(scopes=[Scope("*", "miner")]), actor=COMMAND)
    assert texts(key) == ["*:miners/*"]


@pytest.mark.usefixtures("editable")
def test_an_edit_names_only_what_the_account_may_name(key, owner, other_account):
    foreign = MinerFactory(account=other_account)
    with pytest.raises(scopes.InvalidScope):
        lifecycle.edit(key, Changes(scopes=[Scope("*", "miner", foreign.pk)]), actor=actor_for(owner, "key.edit"))
    with pytest.raises(scopes.InvalidScope):
        lifecycle.edit(key, Changes(scopes=[]), actor=actor_for(owner, "key.edit"))
    assert texts(key) == ["*:*"]


@pytest.mark.usefixtures("editable")
def test_a_custom_role_is_given_and_taken(key, make_role):
    role, other = make_role("stats:read"), make_role("payouts:read", name="Payouts")
    lifecycle.edit(key, Changes(access_level="custom", role=role), actor=COMMAND)
    assert (fresh(key).role, fresh(key).access_level) == (role, "custom")
    lifecycle.edit(key, Changes(access_level="custom", role=other), actor=COMMAND)
    assert fresh(key).role == other
    lifecycle.edit(key, Changes(access_level="viewer"), actor=COMMAND)
    assert (fresh(key).role, fresh(key).access_level) == (None, "viewer")
    said = AuditEvent.objects.filter(action="key.edited").values_list("data", flat=True).order_by("at", "id")
    assert [row["changes"]["access_level"] for row in said] == [
        ["viewer", role.name],
        [role.name, other.name],
        [other.name, "viewer"],
    ]


@pytest.mark.parametrize(
    "changes",
    [
        Changes(expires_at=timezone.now() + 3000 * DAY),
        Changes(expires_at=None),
        Changes(allowed_cidrs=[]),
        Changes(rate_limit=None),
    ],
)
def test_who_has_less_than_the_key_neither_lengthens_its_life_nor_opens_it(issue_key, treasurer, changes):
    key, _ = issue_key(
        "administrator", expires_at=timezone.now() + DAY, allowed_cidrs=["203.0.113.0/24"], rate_limit=60
    )
    with pytest.raises(Refused, match="more than you have"):
        lifecycle.edit(key, changes, actor=actor_for(treasurer, "key.edit"))
    assert (fresh(key).expires_at, fresh(key).allowed_cidrs, fresh(key).rate_limit) == (
        key.expires_at,
        key.allowed_cidrs,
        60,
    )


@pytest.mark.usefixtures("editable")
def test_nobody_edits_a_key_to_more_than_they_have(key, treasurer):
    with pytest.raises(Refused, match="more than you have"):
        lifecycle.edit(key, Changes(access_level="administrator"), actor=actor_for(treasurer, "key.edit"))


def test_the_longest_life_is_counted_from_the_key_s_creation(issue_key):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        key, _ = issue_key(expires_at=timezone.now() + 5 * DAY)
        Account.objects.update(max_lifetime_days=30)
        clock.shift(4 * DAY)
        with pytest.raises(Refused) as refused:
            lifecycle.edit(key, Changes(expires_at=timezone.now() + 27 * DAY), actor=COMMAND)
        assert refused.value.field == "expires_at"
        with pytest.raises(Refused):
            lifecycle.edit(key, Changes(expires_at=None), actor=COMMAND)
        lifecycle.edit(key, Changes(expires_at=timezone.now() + 26 * DAY), actor=COMMAND)


def test_an_expired_key_comes_back_only_within_the_account_s_number(issue_key, api):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        key, secret = issue_key(expires_at=timezone.now() + DAY)
        clock.shift(2 * DAY)
        Account.objects.update(max_active_keys=1)
        other, _ = issue_key()
        later = Changes(expires_at=timezone.now() + DAY)
        with pytest.raises(Refused, match="1 active key"):
            lifecycle.edit(key, later, actor=COMMAND)
        lifecycle.disable(other, actor=COMMAND)
        assert api(secret).get("/api/v1/key").json()["code"] == "key_expired"
        lifecycle.edit(key, later, actor=COMMAND)
        assert api(secret).get("/api/v1/key").status_code == 200


WRONG = [
    (Changes(name=" "), "name"),
    (Changes(name="x" * 81), "name"),
    (Changes(name="a\x00b"), "name"),
    (Changes(description="x" * 301), "description"),
    (Changes(expires_at=timezone.now() - DAY), "expires_at"),
    (Changes(allowed_cidrs=["300.1.1.1/8"]), "allowed_cidrs"),
    (Changes(allowed_cidrs=["203.0.113.1/24"]), "allowed_cidrs"),
    (Changes(rate_limit=0), "rate_limit"),
    (Changes(rate_limit=1_000_001), "rate_limit"),
    (Changes(rate_burst=1), "rate_burst"),
    (Changes(rate_limit=60, rate_burst=61), "rate_burst"),
    (Changes(rate_limit=60, rate_burst=0), "rate_burst"),
]


@pytest.mark.parametrize(("changes", "field"), WRONG)
def test_what_is_wrong_is_said_of_its_field_and_nothing_changes(key, changes, field):
    before = fresh(key).__dict__
    with pytest.raises(Refused) as refused:
        lifecycle.edit(key, changes, actor=COMMAND)
    assert refused.value.field == field
    after = fresh(key).__dict__
    assert {k: v for k, v in after.items() if k != "_state"} == {k: v for k, v in before.items() if k != "_state"}


@pytest.mark.parametrize(
    ("changes", "allowed"),
    [
        (Changes(rate_limit=20), True),
        (Changes(rate_limit=19), False),
        (Changes(rate_limit=19, rate_burst=19), True),
        (Changes(rate_limit=None), False),
        (Changes(rate_limit=None, rate_burst=None), True),
        (Changes(rate_burst=300), True),
        (Changes(rate_burst=301), False),
        (Changes(rate_limit=1000, rate_burst=301), True),
    ],
)
def test_a_burst_is_judged_with_the_limit_that_it_is_of(issue_key, changes, allowed):
    key, _ = issue_key(rate_limit=300, rate_burst=20)
    if allowed:
        lifecycle.edit(key, changes, actor=COMMAND)
        assert {name: getattr(fresh(key), name) for name in changes.asked()} == changes.asked()
        return
    with pytest.raises(Refused) as refused:
        lifecycle.edit(key, changes, actor=COMMAND)
    assert refused.value.field == "rate_burst"
    assert (fresh(key).rate_limit, fresh(key).rate_burst) == (300, 20)


def test_a_key_from_before_the_plan_s_maximum_is_edited_in_all_else(issue_key, account):
    key, _ = issue_key(rate_limit=1000)
    Account.objects.update(max_rate_limit=600)
    lifecycle.edit(key, Changes(name="New", rate_limit=1000, rate_burst=600), actor=COMMAND)
    assert (fresh(key).name, fresh(key).rate_limit, fresh(key).rate_limit_in_force) == ("New", 1000, 600)
    for changes, field in [(Changes(rate_limit=999), "rate_limit"), (Changes(rate_burst=601), "rate_burst")]:
        with pytest.raises(Refused, match="600") as refused:
            lifecycle.edit(key, changes, actor=COMMAND)
        assert refused.value.field == field
    lifecycle.edit(key, Changes(rate_limit=600), actor=COMMAND)
    assert fresh(key).rate_limit == 600


def test_a_revoked_key_is_edited_no_more(key):
    lifecycle.revoke(key, actor=COMMAND, reason="leaked")
    with pytest.raises(Refused, match="was revoked"):
        lifecycle.edit(key, Changes(name="other"), actor=COMMAND)


def test_the_trail_says_what_was_and_what_is(issue_key, owner):
    key, _ = issue_key(rate_limit=60)
    until = timezone.now() + DAY
    lifecycle.edit(key, Changes(name="New", rate_limit=None, expires_at=until), actor=actor_for(owner, "key.edit"))
    event = AuditEvent.objects.get(action="key.edited")
    assert event.data == {
        "changes": {"name": ["viewer key", "New"], "rate_limit": [60, None], "expires_at": [None, until.isoformat()]}
    }


ROWS = st.lists(st.sampled_from(["read:*", "write:*", "admin:*", "*:*"]), min_size=1)


@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture], max_examples=30)
@given(before=ROWS, after=ROWS)
def test_after_an_edit_the_rows_are_those_that_were_asked_for(issue_key, editable, before, after):
    key, _ = issue_key(scopes=before)
    lifecycle.edit(key, Changes(scopes=[Scope.parse(text) for text in after]), actor=COMMAND)
    assert texts(key) == sorted(set(after))
