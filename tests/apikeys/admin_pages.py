"""What tests of the staff admin's pages of keys share."""

from __future__ import annotations

import re
from typing import Any

from django.test import Client

from accounts.models import User
from tests.people import fresh_code

KEYS = "/admin/apikeys/activekey/"
SECRET = re.compile(r"ph_(?:live|stg|dev)_[0-9A-Za-z]{61}")


def nonce_of(answer: Any) -> str:
    return str(answer.context["form"]["nonce"].value())


def filled(client: Client, url: str, staff: User, **fields: Any) -> dict[str, Any]:
    """What the page at ``url`` posts, with a code that works."""
    return {"nonce": nonce_of(client.get(url)), "code": fresh_code(staff), **fields}
