"""Keys in the staff admin. Importing the sections registers them."""

from apikeys.admin import accounts, keys, roles, support_keys, transfer  # noqa: F401
