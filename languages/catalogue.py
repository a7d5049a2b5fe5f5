"""The catalogues of translations: what the source says, and the files that hold it in other languages.

Made with Babel alone, so that a machine without the gettext tools extracts, compiles and tests the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.conf import settings
from django.utils.translation import templatize

PACKAGES = ("accounts", "entities", "apikeys", "config")
#: How the source may call translation functions; Django's have more names, which we don't use.
KEYWORDS: dict[str, Any] = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
    "npgettext_lazy": ((1, "c"), 2, 3),
}
HEADER = "# How to translate, and which words to use: docs/languages.md"
COMMENT_TAGS = ("Translators:",)


def extract_all(root: Path | None = None) -> Catalog:
    """Return every message of the source, Python and templates."""
    root = root or Path(settings.BASE_DIR)
    catalogue = Catalog()
    for path in sources(root):
        text = path.read_text(encoding="utf-8")
        if path.suffix != ".py":
            # Django's own reader of templates turns them into calls; what is left of their layout is no Python's.
            text = "\n".join(line.strip() for line in templatize(text, origin=str(path)).splitlines())
        found = extract("python", BytesIO(text.encode()), KEYWORDS, COMMENT_TAGS, {"encoding": "utf-8"})
        for _line, message, comments, context in found:
            place = (path.relative_to(root).as_posix(), 1)
            catalogue.add(message, None, [place], auto_comments=comments, context=context)
    return catalogue


def sources(root: Path) -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted((root / package).rglob("*.py"))
    yield from sorted(path for path in (root / "templates").rglob("*") if path.suffix in {".html", ".txt"})


def folders() -> dict[str, Path]:
    """Where each language's files are; English needs none, being what the source is written in."""
    (root,) = settings.LOCALE_PATHS
    codes = [code for code, _name in settings.LANGUAGES if code != settings.LANGUAGE_CODE]
    return {code: Path(root) / code / "LC_MESSAGES" for code in codes}


def read(folder: Path, code: str) -> Catalog:
    path = folder / "django.po"
    if not path.exists():
        return Catalog(locale=code, project="Pithead", version="1", header_comment=HEADER, fuzzy=False)
    with path.open("rb") as file:
        return read_po(file, locale=code)


def update(catalogue: Catalog, extracted: Catalog) -> None:
    """Take over what the source says now. Nothing is guessed: what changed is to be translated anew."""
    extracted.creation_date = catalogue.creation_date
    catalogue.update(extracted, no_fuzzy_matching=True)
    catalogue.obsolete.clear()


def write(catalogue: Catalog, folder: Path) -> None:
    """Write ``django.po``, and the ``django.mo`` that Django reads."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "django.po").open("wb") as file:
        write_po(file, catalogue, width=100, include_lineno=False, sort_by_file=True, ignore_obsolete=True)
    with (folder / "django.mo").open("wb") as file:
        write_mo(file, catalogue)


def untranslated(catalogue: Catalog) -> list[str]:
    """Return the messages without a translation, or with too few plural forms."""
    return [
        str(message.id)
        for message in catalogue
        if message.id
        and not (
            all(message.string) and len(message.string) == catalogue.num_plurals
            if isinstance(message.string, tuple | list)
            else message.string
        )
    ]
