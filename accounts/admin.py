"""The accounts' sections of the staff admin, in files of their own; importing them registers them."""

from accounts import admin_accounts, admin_audit, admin_people  # noqa: F401
