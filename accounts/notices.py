"""The kinds of mails that an account's owners get, and who has switched which of them off."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy

from accounts import access, audit
from accounts.changes import lock_account
from accounts.models import Account, Membership
from accounts.notifications import notify

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise, _StrPromise


@dataclass(frozen=True)
class Notice:
    """A row of the table. A ``locked`` kind reaches every owner: whoever steals an account would silence it first."""

    kind: str
    label: _StrPromise
    help: _StrOrPromise = ""
    locked: bool = False


_KEYS = [
    Notice("key.issued", gettext_lazy("Created")),
    Notice(
        "key.edited",
        gettext_lazy("Edited"),
        gettext_lazy("Name, description, expiry, addresses, rate limit, access level or scope"),
    ),
    Notice(
        "key.rotated",
        gettext_lazy("Rotated"),
        gettext_lazy("A second secret was made, or the overlap of two was ended"),
    ),
    Notice("key.regenerated", gettext_lazy("Secret replaced"), gettext_lazy("The secret before it stopped at once")),
    Notice("key.disabled", gettext_lazy("Switched off")),
    Notice("key.enabled", gettext_lazy("Switched on")),
    Notice("key.revoked", gettext_lazy("Revoked")),
    Notice("key.deleted", gettext_lazy("Deleted for good")),
    Notice(
        "key.leaked",
        gettext_lazy("Leaked"),
        gettext_lazy("A secret was found where it should not be, and the key was stopped"),
        locked=True,
    ),
    Notice(
        "key.exposed",
        gettext_lazy("Secret exposed"),
        gettext_lazy("A secret came in a web address or in a form, and should be replaced"),
        locked=True,
    ),
]
_ACCOUNT = [
    Notice("signing_key.rotated", gettext_lazy("Signing key rotated")),
    Notice(
        "signing_key.retired",
        gettext_lazy("Signing key retired"),
        gettext_lazy("Every secret under it stopped"),
        locked=True,
    ),
    Notice(
        "members",
        gettext_lazy("Members"),
        gettext_lazy("Somebody joined or left, or what they may do was changed"),
    ),
    Notice("owners", gettext_lazy("Another owner"), gettext_lazy("Somebody became an owner"), locked=True),
    Notice("policies", gettext_lazy("Policies of API keys")),
    Notice(
        "payout_address",
        gettext_lazy("Payout address changed"),
        gettext_lazy("A key or a person sent payouts elsewhere"),
        locked=True,
    ),
    Notice(
        "entity.transferred",
        gettext_lazy("Miner, hub or pool moved"),
        gettext_lazy("The pool’s staff moved one to another account, or to this one"),
        locked=True,
    ),
    Notice(
        "suspension",
        gettext_lazy("Account suspended or resumed"),
        gettext_lazy("The pool’s staff stopped every key, or let them answer again"),
        locked=True,
    ),
]

#: How the page groups the table.
GROUPS: list[tuple[str, _StrPromise, _StrPromise, list[Notice]]] = [
    ("keys", gettext_lazy("API keys"), gettext_lazy("One mail for each change of a key."), _KEYS),
    ("account", gettext_lazy("Account and money"), gettext_lazy("What concerns all of it."), _ACCOUNT),
]
NOTICES: dict[str, Notice] = {row.kind: row for *_, rows in GROUPS for row in rows}
MUTABLE = [kind for kind, row in NOTICES.items() if not row.locked]


def receivers(account: Account, kind: str) -> list[Membership]:
    """The owners whom a notice of ``kind`` reaches: all of a locked kind, else those who have not switched it off."""
    locked = NOTICES[kind].locked
    owners = Membership.objects.filter(account=account, is_owner=True, user__is_active=True).select_related("user")
    return [owner for owner in owners if locked or kind not in owner.muted_notices]


def notify_members(
    account: Account, kind: str, subject: _StrOrPromise, template: str, *, actor: audit.Actor, **context: Any
) -> None:
    """Mail a notice of ``kind`` to everybody of ``account`` who gets that kind, as `notify` does: one mail each.

    ``subject`` and what the template prints may be lazy translations: each reader gets their own language. What
    ``manage.py`` does is told only where the kind is locked: it fills demos and moves data, and writes its audit rows.
    """
    if actor.via == "command" and not NOTICES[kind].locked:
        return
    for membership in receivers(account, kind):
        notify(membership.user, subject, template, account=account, **_by_whom(actor), **context)


def _by_whom(actor: audit.Actor) -> dict[str, Any]:
    """Who did it, when and from where. The address of the pool's staff or servers is no customer's business."""
    outside = actor.via in ("web", "api")
    return {
        "by": actor.name if outside else gettext_lazy("The pool’s staff"),
        "at": timezone.now(),
        "address": actor.address if outside else None,
    }


def choose(membership: Membership, wanted: Collection[str], *, actor: audit.Actor) -> list[str]:
    """Send the member the kinds in ``wanted`` and the locked ones from now on; return what is switched off.

    A person chooses for themselves alone. They are told by mail what was switched off, as a thief would do that first.
    Raises PermissionDenied unless they are an owner (still).
    """
    with transaction.atomic():
        lock_account(membership.account_id)
        row = Membership.objects.select_related("account", "user").get(pk=membership.pk)
        access.require_owner(actor, row.account)
        before = [kind for kind in MUTABLE if kind in row.muted_notices]
        muted = [kind for kind in MUTABLE if kind not in wanted]
        if muted != before:
            row.muted_notices = muted
            row.save(update_fields=["muted_notices"])
            audit.record(
                "notices.chosen", actor=actor, account=row.account, target=row, muted=muted, muted_before=before
            )
            if newly := [NOTICES[kind] for kind in muted if kind not in before]:
                notify(
                    row.user,
                    gettext_lazy("You switched notices off"),
                    "notices_muted",
                    account=row.account,
                    groups=[
                        {"title": title, "notices": [notice for notice in rows if notice in newly]}
                        for _, title, _, rows in GROUPS
                        if any(notice in newly for notice in rows)
                    ],
                )
    return muted
