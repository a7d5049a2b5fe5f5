"""Two support keys, for staff to retire: one whose string is still sent, and one that nobody uses any more."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.utils.crypto import salted_hmac

from accounts import audit
from accounts.access_levels import AccessLevel
from accounts.environments import Environment
from accounts.models import Account
from apikeys import support_keys
from apikeys.demo.past import backdate_key
from apikeys.models import SupportKey
from entities.models import Entity, Kind

IN_USE, UNUSED = "Hall 2 display (2019)", "Payout mailer (2018)"
AGE = timedelta(days=200)
#: name -> access level, how many miners, and how long ago it was last used
WANTED = {
    IN_USE: (AccessLevel.VIEWER, 2, timedelta(hours=3)),
    UNUSED: (AccessLevel.ACCOUNTANT, 1, timedelta(days=140)),
}


def old_string(name: str) -> str:
    """What support handed out, as the demo has it: the same on each run, and of this installation alone."""
    return f"northfold-{salted_hmac('apikeys.demo', name, secret=settings.SECRET_KEY).hexdigest()[:20]}"


def make_support_keys(account: Account, actor: audit.Actor, now: datetime) -> None:
    """Register what is missing. What people did to one stays: a string is registered once."""
    own = Entity.objects.of_account(account.pk, Environment.PRODUCTION).filter(kind=Kind.MINER)
    miners = list(own.order_by("created_at", "pk")[:2])
    for name, (access_level, reaches, unused_for) in WANTED.items():
        if SupportKey.objects.filter(account=account, name=name).exists():
            continue
        with audit.dated(now - AGE):
            key = support_keys.register(
                account,
                actor=actor,
                text=old_string(name),
                name=name,
                environment=Environment.PRODUCTION,
                access_level=access_level,
                entities=miners[:reaches],
            )
        backdate_key(key, now - AGE)
        SupportKey.objects.filter(pk=key.pk).update(last_used_at=now - unused_for)
        key.secrets.update(last_used_at=now - unused_for, last_used_address="198.51.100.12")
