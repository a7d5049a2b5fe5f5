"""Request bodies: JSON, forms and lines, no larger than their route takes and never more than the database can hold."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from io import BytesIO
from typing import Any

from django.http import QueryDict
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from apikeys import misplaced, problems

MAX_BODY_BYTES = 64 * 1024
#: The most that any route takes.
MAX_BULK_BYTES = 8 * 1024 * 1024

# A lone half of a surrogate pair is legal JSON and no Unicode text: neither database stores it.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class LimitedParser(BaseParser):
    """Reads at most ``max_body_bytes`` of the view, or MAX_BODY_BYTES. Raises Problem ``payload_too_large``.

    Also ``invalid_request`` where a secret stands in the body.
    """

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        limit = getattr((parser_context or {}).get("view"), "max_body_bytes", MAX_BODY_BYTES)
        content: bytes = stream.read(limit + 1)
        if len(content) > limit:
            raise too_large(limit)
        data = self.read(content)
        if parser_context is not None:
            misplaced.check_body(content, data, parser_context["request"]._request)
        return data

    def read(self, content: bytes) -> Any:
        raise NotImplementedError


class JsonParser(LimitedParser):
    media_type = "application/json"

    def read(self, content: bytes) -> Any:
        try:
            data = json.loads(content, parse_constant=_refuse_constant)
            if _SURROGATE.search(content):
                json.dumps(data, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ParseError("The JSON holds half of a surrogate pair, which is no text.") from None
        except RecursionError:
            raise ParseError("The JSON is nested too deeply.") from None
        except ValueError as error:
            raise ParseError(f"This is not JSON: {error}") from None
        return data


class FormParser(LimitedParser):
    media_type = "application/x-www-form-urlencoded"

    def read(self, content: bytes) -> QueryDict:
        return QueryDict(content, encoding="utf-8")


class _LinesParser(LimitedParser):
    """Hands the body on as a file: the view reads it line by line, where one bad line is no unreadable body."""

    def read(self, content: bytes) -> BytesIO:
        return BytesIO(content)


class NdjsonParser(_LinesParser):
    media_type = "application/x-ndjson"


class CsvParser(_LinesParser):
    media_type = "text/csv"


def too_large(limit: int) -> problems.Problem:
    return problems.Problem("payload_too_large", f"Send at most {limit:,} bytes at once.")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value (RFC 8259, section 6)")
