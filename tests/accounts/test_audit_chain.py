"""How events are chained: what goes in comes back out, whatever it is, and in parallel too."""

from __future__ import annotations

import hmac
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from django.db import connection, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts import audit_check
from accounts.audit import Actor, dated, record
from accounts.audit_chain import NOTHING, chain_of, digest_of
from accounts.models import AuditEvent
from tests.accounts.trails import OLGA, fill
from tests.factories import AccountFactory, UserFactory

ODD = "a\0b \ud800 \udcff Ωмега 🜚 e\u0301 \u2028 <script>"
NUMBERS = st.integers() | st.integers(min_value=2**63) | st.floats()
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(exclude_categories=())), inner),
    max_leaves=8,
)


def whole(account) -> bool:
    return audit_check.check(chain_of(account.pk if account else None), audit_check.key()).broken is None


@pytest.fixture
def account(db):
    return AccountFactory()


@pytest.mark.django_db(transaction=False)
@given(data=JSON)
@settings(max_examples=50)
def test_whatever_data_is_recorded_reads_back_as_it_was_signed(data):
    with transaction.atomic():
        event = record("tested", actor=OLGA, value=data)
        assert audit_check.holds(AuditEvent.objects.get(pk=event.pk), audit_check.key())
        transaction.set_rollback(True)


def test_odd_names_stop_no_change(account):
    account.name = ODD
    actor = Actor(name=ODD * 20, via="web", address="::ffff:192.0.2.1")
    with transaction.atomic():
        record("key.issued", actor=actor, account=account, target=account, **{ODD: ODD})
        record("key.issued", actor=Actor(name="x", via="api", address="fe80::1%eth0"), account=account)
    first, second = AuditEvent.objects.order_by("number")
    assert first.account_name.startswith(r"a\x00b \ud800 \udcff Ωмега")
    assert (len(first.actor_name), first.address, second.address) == (254, "192.0.2.1", "fe80::1")
    assert whole(account)


def test_what_json_lacks_is_written_as_text(account):
    moment = datetime(2026, 11, 1, 12, tzinfo=UTC)
    with transaction.atomic():
        event = record("tested", actor=OLGA, account=account, amount=Decimal("0.10"), share=1.5, at=moment, pair=(1, 2))
    event.refresh_from_db()
    assert event.data == {"amount": "0.10", "share": "1.5", "at": "2026-11-01 12:00:00+00:00", "pair": [1, 2]}


def test_the_digest_is_the_same_on_every_database_and_python():
    """Written out by hand: another form would call every trail there is broken."""
    event = AuditEvent(
        id=UUID(int=1),
        at=datetime(2026, 11, 21, 3, 4, 5, 60, tzinfo=timezone(timedelta(hours=3))),
        account_name="Northfold",
        actor_id=7,
        actor_name="Ольга",
        via="web",
        address="2001:db8::1",
        action="key.issued",
        target_type="apikey",
        target_id="key_1",
        target_name="bot",
        data={"b": [1, None, True], "a": {"я": "x"}},
        chain="pool",
        number=1,
    )
    content = (
        '{"account":"Northfold","action":"key.issued","actor":"Ольга","actor_id":7,'
        '"address":"20010db8000000000000000000000001","at":"2026-11-21T00:04:05.000060+00:00","chain":"pool",'
        '"data":{"a":{"я":"x"},"b":[1,null,true]},"id":"00000000-0000-0000-0000-000000000001","number":1,'
        '"target":["apikey","key_1","bot"],"via":"web"}'
    )
    assert digest_of(event, NOTHING, b"key") == hmac.digest(b"key", bytes(32) + content.encode(), "sha256")


def test_events_of_the_past_keep_their_order_of_writing(account):
    for days in (30, 40, 1):
        with dated(datetime(2026, 11, 1, tzinfo=UTC) - timedelta(days=days)), transaction.atomic():
            record("tested", actor=Actor.for_command("tests"), account=account)
    assert whole(account)


def test_a_chain_outlives_its_people_and_its_account(account):
    user = UserFactory()
    fill(account, 2, Actor(name="Olga", via="web", user=user))
    user.delete()
    key = account.pk
    account.delete()
    assert audit_check.check(chain_of(key), audit_check.key()).broken is None


def test_an_event_that_is_taken_back_leaves_no_gap(account):
    fill(account, 1)
    with transaction.atomic():
        record("tested", actor=OLGA, account=account)
        transaction.set_rollback(True)
    fill(account, 1)
    assert list(AuditEvent.objects.order_by("number").values_list("number", flat=True)) == [1, 2]
    assert whole(account)


def test_an_event_costs_three_queries(account, django_assert_num_queries):
    fill(account, 1)
    with transaction.atomic(), django_assert_num_queries(3):
        record("tested", actor=OLGA, account=account)


def test_an_event_waits_for_no_persons_row(account):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_constraint WHERE conrelid = 'accounts_auditevent'::regclass AND contype = 'f'"
        )
        assert cursor.fetchone() == (0,)
