"""Passkeys of the test cast, and what they sign."""

from __future__ import annotations

from django.contrib.sessions.backends.db import SessionStore

from accounts import audit, passkeys, step_up
from tests.soft_authenticator import SoftAuthenticator

COMMAND = audit.Actor.for_command("tests")


def registered(user, name="Laptop", **kwargs):
    """A passkey of ``user`` and the authenticator that holds it."""
    authenticator = SoftAuthenticator(**kwargs)
    options, state = passkeys.begin_registration(user)
    return passkeys.register(user, state, authenticator.create(options), name=name, actor=COMMAND), authenticator


def begun(user, action="key.issue", nonce="form-1"):
    return passkeys.begin(user, action=action, nonce=nonce)


def prove(user, state, answer):
    return passkeys.prove(user, state, answer, actor=audit.Actor(name=user.name, via="web", user=user))


def granted(user, passkey, action="key.issue", nonce="form-1"):
    """A session that holds a grant."""
    session = SessionStore()
    with step_up.within(session):
        step_up.grant(user, passkey, action=action, nonce=nonce)
    return session


def confirm(session, user, action="key.issue", nonce="form-1"):
    with step_up.within(session):
        return step_up.confirm(user, step_up.PASSKEY, action=action, nonce=nonce)
