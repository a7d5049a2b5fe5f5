"""Keys in the staff admin. Importing the sections registers them."""

from apikeys.admin import accounts, keys, roles  # noqa: F401
