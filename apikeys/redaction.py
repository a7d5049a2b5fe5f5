"""Keeps keys and links out of logs: whatever looks like one is masked before any handler sees the record."""

from __future__ import annotations

import logging
import re
import traceback
from typing import Any

from django.conf import settings

from apikeys import key_format

#: The links in mails whose last part is a secret, as an error's line would write them.
_LINKS = re.compile(r"(/invitations/(?!open/)|/sign-in/new-password/[^/\s\"'?#]+/(?!set-password/))[^/\s\"'?#]+")
#: A header's credentials. Old keys of support's look like nothing else that could be told from other text.
_CREDENTIALS = re.compile(r"(\bbearer(?:\s|%20)+)[^\s\"'<>]{16,}", re.IGNORECASE)
_ENCODED = re.compile(r"%5f", re.IGNORECASE)


def redact(text: str) -> str:
    """Replace everything in ``text`` that looks like a key by its prefix and ``[redacted]``, and tokens in links."""
    text = _LINKS.sub(r"\1[redacted]", text)
    text = _CREDENTIALS.sub(r"\1[redacted]", text)
    if "%5" in text:  # an underscore as some clients write it into an address
        text = _ENCODED.sub("_", text)
    return key_format.find_pattern(settings.PITHEAD_KEY_PREFIX).sub(f"{settings.PITHEAD_KEY_PREFIX}_[redacted]", text)


class RedactKeys(logging.Filter):
    """A handler's filter: renders the record, its traceback included, and masks keys in all of it.

    Nothing unrendered is left for a formatter: whatever object would be written by its repr may hold a key.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.msg, dict):
            record.msg = _redact_value(record.msg)
        else:
            record.msg = redact(_message(record))
            record.args = None
            if record.exc_info:
                record.msg += "\n" + redact(logging.Formatter().formatException(record.exc_info))
            elif record.exc_text:
                record.msg += "\n" + redact(record.exc_text)
        record.exc_info = record.exc_text = None
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        return True


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:
        # A template that doesn't fit its arguments. logging itself would print both to stderr, unmasked.
        return f"{record.msg} {record.args!r}"


def _redact_value(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict):
        return {redact(str(key)): _redact_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redact_value(item) for item in value]
    if isinstance(value, BaseException):
        return redact("".join(traceback.format_exception(value)))
    return redact(str(value))
