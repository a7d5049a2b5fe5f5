"""Finds English in a page that should have none."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html.parser import HTMLParser

#: Attributes that people read or hear.
SPOKEN = {"title", "alt", "placeholder", "aria-label", "aria-description", "data-label", "data-l", "data-copied"}
#: Elements that hold data, code or another language, not sentences.
SILENT = {"code", "pre", "kbd", "samp", "script", "style", "svg"}
VOID = {"input", "br", "hr", "img", "link", "meta", "wbr", "path", "use", "circle", "rect", "col"}
#: The same in every language: names of products, standards and formats.
NAMES = {
    "Pithead", "API", "APIs", "UTC", "ID", "IDs", "JSON", "CSV", "NDJSON", "OpenAPI", "JavaScript", "cookie",
    "curl", "env", "IP", "IPv", "CIDR", "HTTP", "HTTPS", "URL", "PIN", "passkey", "passkeys", "TOTP", "QR", "MFA",
    "nginx", "Prometheus", "Grafana", "GitHub", "Linux", "Windows", "Android", "macOS", "iOS", "Chrome",
    "Chromium", "Firefox", "Safari", "Edge", "Opera", "Euro", "BTC", "LTC", "DOGE", "BCH", "DASH", "ZEC", "KAS",
    "ETC", "Face", "Touch", "Hello", "YubiKey", "English", "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD",
    "OPTIONS", "TH", "PH", "GH", "MH", "EH", "kB", "MB",
}  # fmt: skip
#: Permission names, scopes, key ids and masks, addresses, recovery codes.
DATA = re.compile(
    r"\S+@\S+|https?://\S+|\b[\w-]+(?:\.[\w-]+)+\b|\b[\w-]+:(?:read|write)\b|\b(?:read|write|admin|\*):\S+"
    r"|\bkey_\w+|\bph_\S*|\b[0-9a-f]{8}-[0-9a-f-]+|\b[0-9a-f:]{2,}/\d+|[/?]\w[\w/<>{}:?=&-]*|\bapi_keys\.\w+|\b\w+_\w+\b"
    r"|\b(?:[0-9a-f]{1,4}:)+[0-9a-f:]+|\b[a-z]{4}-\d{4}-[a-z]{4}-\d{4}\b"
)
#: Random: what somebody typed can stand inside, such as their initials, and cutting that out would leave words.
RANDOM = re.compile(r"\bkey_\w+|\bph_\S*")
WORD = re.compile(r"[A-Za-z]{2,}")


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[tuple[str, bool]] = []
        self.said: list[str] = []

    @property
    def silent(self) -> bool:
        return any(hushed for _tag, hushed in self.open)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        is_data = "mono" in (given.get("class") or "").split() or given.get("name") == "time_zone"
        hushed = tag in SILENT or is_data or ("lang" in given and tag != "html")
        if not (self.silent or hushed):
            self.said += [value for name, value in attrs if name in SPOKEN and value]
            if tag == "input" and given.get("type") in {"submit", "button"}:
                self.said.append(given.get("value") or "")
        if tag not in VOID:
            self.open.append((tag, hushed))

    def handle_endtag(self, tag: str) -> None:
        while self.open:
            opened, _hushed = self.open.pop()
            if opened == tag:
                break

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.said.append(data)


def english_in(page: str, data: Iterable[str] = ()) -> list[str]:
    """Return the English that a page says, without ``data``: names and texts that people typed."""
    reader = _Reader()
    reader.feed(page)
    known = sorted({text for text in data if text}, key=len, reverse=True)
    found = []
    for said in reader.said:
        text = RANDOM.sub(" ", " ".join(said.split()))
        for each in known:
            text = text.replace(each, " ")
        text = DATA.sub(" ", text)
        if any(word not in NAMES for word in WORD.findall(text)):
            found.append(" ".join(said.split()))
    return found
