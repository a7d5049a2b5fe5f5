"""What staff look for first after an incident stands among the security events, by the name it is recorded under."""

from __future__ import annotations

from accounts import people
from accounts.audit import SECURITY, Actor
from accounts.models import AuditEvent
from apikeys import leaks, transfer
from tests.conftest import COMMAND
from tests.factories import AccountFactory, MinerFactory, UserFactory


def test_transfers_leaks_appointments_and_old_keys_are_security_events(account, issue_key, register_key):
    miner, person = MinerFactory(account=account), UserFactory()
    register_key("zq-7Kd93jsLq02x-Export", [miner])
    transfer.transfer(miner, AccountFactory(), actor=COMMAND)
    people.give_access(person, active=True, staff=True, actor=COMMAND)
    people.change_email(person, "elsewhere@example.com", actor=COMMAND)
    leaks.hand_in(issue_key()[1], actor=Actor(name="Somebody", via="leak"), source="A test")
    found = set(AuditEvent.objects.filter(SECURITY).values_list("action", flat=True))
    assert found >= {
        "support_key.registered",
        "miner.transferred",
        "user.access_changed",
        "user.email_changed",
        "key.leaked",
    }
