"""Who you are: people, accounts, what a person may do in an account, and the trail of what was done."""

from accounts.models.accounts import ACCESS_LEVEL_CHOICES, KEY_COLUMNS, Account, Invitation, KeyPermission, Membership
from accounts.models.audit import AuditChain, AuditEvent
from accounts.models.people import RecoveryCode, RecoveryDevice, SignedInSession, SpentConfirmation, User
from accounts.models.wrapped_keys import WrappedKey

__all__ = [
    "ACCESS_LEVEL_CHOICES",
    "KEY_COLUMNS",
    "Account",
    "AuditChain",
    "AuditEvent",
    "Invitation",
    "KeyPermission",
    "Membership",
    "RecoveryCode",
    "RecoveryDevice",
    "SignedInSession",
    "SpentConfirmation",
    "User",
    "WrappedKey",
]
