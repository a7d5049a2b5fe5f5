"""What a program gets that presents a secret."""

from __future__ import annotations

import json
import urllib.error
import urllib.request


def call(url: str, secret: str) -> tuple[int, dict]:
    """Return the status and the JSON body."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {secret}"})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
