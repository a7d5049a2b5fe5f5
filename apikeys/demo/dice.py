from __future__ import annotations

import random


def dice(*about: object) -> random.Random:
    """Chance that falls the same way for the same thing on every run: believable numbers, and never a secret."""
    return random.Random("/".join(str(part) for part in about))  # noqa: S311
