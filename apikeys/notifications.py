"""What owners are told by mail of their keys and signing keys. Called where the change is made, once for each.

A bulk operation tells each account once: it makes its changes within `Collected.collecting`, and then sends.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from operator import mod
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils.functional import lazy
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy, ngettext_lazy

from accounts import audit
from accounts.models import Account
from accounts.notices import notify_members
from apikeys.models import ApiKey, SigningKey

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise, _StrPromise


@dataclass(frozen=True)
class Told:
    """The words of one kind of change: the subject, and the sentence that says what it means."""

    kind: str
    subject: _StrPromise
    meaning: _StrPromise
    meaning_of_many: _StrOrPromise = ""


CHANGES = {
    "issued": Told(
        "key.issued",
        gettext_lazy("API key created: {name}"),
        gettext_lazy("Its secret was shown once, to whoever created it."),
    ),
    "edited": Told(
        "key.edited",
        gettext_lazy("API key edited: {name}"),
        gettext_lazy("The change holds from the next request on. The key’s page says what it was and what it is."),
    ),
    "rotated": Told(
        "key.rotated",
        gettext_lazy("API key rotated: {name}"),
        gettext_lazy(
            "It has a new secret. The one before it goes on working for a while; the key’s page says how long."
        ),
        gettext_lazy(
            "They have new secrets. Those before them go on working for a while; each key’s page says how long."
        ),
    ),
    "overlap_ended": Told(
        "key.rotated",
        gettext_lazy("Rotation of an API key finished: {name}"),
        gettext_lazy("The secret before the newest stopped working."),
    ),
    "regenerated": Told(
        "key.regenerated",
        gettext_lazy("Secret of an API key replaced: {name}"),
        gettext_lazy("Every secret before the new one stopped working."),
    ),
    "disabled": Told(
        "key.disabled",
        gettext_lazy("API key switched off: {name}"),
        gettext_lazy("Requests with it are refused until somebody switches it on again."),
        gettext_lazy("Requests with them are refused until somebody switches them on again."),
    ),
    "enabled": Told(
        "key.enabled",
        gettext_lazy("API key switched on: {name}"),
        gettext_lazy("Requests with it are answered again."),
    ),
    "revoked": Told(
        "key.revoked",
        gettext_lazy("API key revoked: {name}"),
        gettext_lazy("Requests with it are refused for good."),
        gettext_lazy("Requests with them are refused for good."),
    ),
    "deleted": Told(
        "key.deleted",
        gettext_lazy("API key deleted: {name}"),
        gettext_lazy("The revoked key and its usage are gone. The account’s audit trail keeps what was done with it."),
    ),
}


#: change -> the subject of the one mail of a bulk operation
IN_BULK = {
    "rotated": ngettext_lazy("%(count)d API key rotated", "%(count)d API keys rotated", "count"),
    "disabled": ngettext_lazy("%(count)d API key switched off", "%(count)d API keys switched off", "count"),
    "revoked": ngettext_lazy("%(count)d API key revoked", "%(count)d API keys revoked", "count"),
}
LISTED_IN_BULK = 50

_collected: ContextVar[Collected | None] = ContextVar("notifications_collected", default=None)


@dataclass
class Collected:
    """The changes of a bulk operation by one actor, all of one kind, that owners are still to be told of."""

    change: str
    actor: audit.Actor
    keys: list[ApiKey] = field(default_factory=list)

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Hold back the mails of what is changed within: tell() only notes it here."""
        token = _collected.set(self)
        try:
            yield
        finally:
            _collected.reset(token)

    def send(self) -> None:
        """Mail the owners of each account once, and forget what they were told of."""
        by_account: dict[Account, list[ApiKey]] = {}
        for key in self.keys:
            by_account.setdefault(key.account, []).append(key)
        self.keys = []
        for account, keys in by_account.items():
            if len(keys) == 1:
                tell(keys[0], self.change, self.actor)
            else:
                self._send(account, keys)

    def _send(self, account: Account, keys: list[ApiKey]) -> None:
        told = CHANGES[self.change]
        notify_members(
            account,
            told.kind,
            lazy(mod, str)(IN_BULK[self.change], {"count": len(keys)}),
            "keys_changed",
            actor=self.actor,
            meaning=told.meaning_of_many,
            keys=keys[:LISTED_IN_BULK],
            more=max(0, len(keys) - LISTED_IN_BULK),
            link=_link("key-list", account.slug),
        )


def tell(key: ApiKey, change: str, actor: audit.Actor) -> None:
    """Mail the owners that ``change`` (of CHANGES) happened to ``key``. Runs inside the change's transaction.

    Owners are not told of support keys, which they don't see.
    """
    if key.support:
        return
    collected = _collected.get()
    if collected is not None:
        transaction.on_commit(partial(collected.keys.append, key))
        return
    told = CHANGES[change]
    account = key.account
    gone = change == "deleted"
    notify_members(
        account,
        told.kind,
        format_lazy(told.subject, name=key.name),
        "key_changed",
        actor=actor,
        meaning=told.meaning,
        key=key,
        gone=gone,
        level=key.role.name if key.role else key.get_access_level_display,
        link=_link("key-list", account.slug) if gone else _link("key", account.slug, key.key_id),
    )


def tell_leaked(key: ApiKey, actor: audit.Actor, *, url: str, source: str, disabled: bool) -> None:
    """Mail the owners that a secret of ``key`` was handed in, where it was found, and that the key was stopped."""
    if key.support:
        return
    account = key.account
    notify_members(
        account,
        "key.leaked",
        format_lazy(gettext_lazy("Leaked API key stopped: {name}"), name=key.name),
        "key_leaked",
        actor=actor,
        key=key,
        url=url,
        source=source,
        disabled=disabled,
        link=_link("key", account.slug, key.key_id),
    )


#: Place -> the sentence that says where a secret was.
EXPOSED = {
    "path": gettext_lazy("It stood in the path of a web address."),
    "query string": gettext_lazy("It stood in the query string of a web address, behind the question mark."),
    "field": gettext_lazy("It stood in a field of a form or of a request’s body."),
}


def tell_exposed(key: ApiKey, actor: audit.Actor, *, place: str) -> None:
    """Mail the owners that a secret of ``key`` came in the wrong ``place`` (of EXPOSED), and has to be replaced."""
    if key.support:
        return
    account = key.account
    notify_members(
        account,
        "key.exposed",
        format_lazy(gettext_lazy("Secret of an API key exposed: {name}"), name=key.name),
        "key_exposed",
        actor=actor,
        key=key,
        where=EXPOSED[place],
        link=_link("key", account.slug, key.key_id),
    )


def tell_rotated(signing_key: SigningKey, actor: audit.Actor) -> None:
    """Mail the owners that new secrets are made under ``signing_key``."""
    _tell_of_signing_keys(
        signing_key.account,
        "signing_key.rotated",
        gettext_lazy("Signing key rotated"),
        gettext_lazy("New secrets are made under the new version. Those that exist go on working."),
        actor,
        version=signing_key.version,
    )


def tell_retired(signing_key: SigningKey, actor: audit.Actor, *, stopped: int) -> None:
    """Mail the owners that every secret under ``signing_key`` ended, and that ``stopped`` keys have none left."""
    _tell_of_signing_keys(
        signing_key.account,
        "signing_key.retired",
        gettext_lazy("Signing key retired: API keys stopped"),
        gettext_lazy("Every secret that was made under it stopped working, for good."),
        actor,
        version=signing_key.version,
        retired=True,
        stopped=stopped,
    )


def _tell_of_signing_keys(
    account: Account, kind: str, subject: _StrPromise, meaning: _StrPromise, actor: audit.Actor, **context: Any
) -> None:
    link = _link("signing-keys", account.slug)
    notify_members(account, kind, subject, "signing_key_changed", actor=actor, meaning=meaning, link=link, **context)


def _link(name: str, *args: str) -> str:
    return settings.PITHEAD_PUBLIC_URL + reverse(f"web:{name}", args=args)
