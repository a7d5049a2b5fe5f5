"""No template says a word that isn't marked for translation, in whatever branch it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.template.base import DebugLexer, TokenType

from tests.languages.english import english_in

ROOT = Path(settings.BASE_DIR) / "templates"
#: The staff admin speaks English.
TEMPLATES = sorted(
    path for path in ROOT.rglob("*") if path.suffix in {".html", ".txt"} and path.relative_to(ROOT).parts[0] != "admin"
)


def unmarked(source: str) -> str:
    """What is left of a template without its tags, and without what stands inside of blocktranslate and comment."""
    kept, inside = [], ""
    for token in DebugLexer(source).tokenize():
        if token.token_type == TokenType.BLOCK:
            name = token.contents.split()[0]
            if inside:
                inside = "" if name == f"end{inside}" else inside
            elif name in {"blocktranslate", "comment"}:
                inside = name
            elif token.contents == "block main_class":
                inside = "block"
            kept.append("0")
        elif token.token_type == TokenType.VAR:
            kept.append("0")
        elif token.token_type == TokenType.TEXT and not inside:
            kept.append(token.contents)
    # An attribute that holds nothing else may stand in a branch, where it would pass for text.
    return re.sub(r'\s[\w-]+="0+"', " ", "".join(kept))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_word_of_a_template_is_marked_for_translation(path):
    assert english_in(unmarked(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("<p>Delete {{ name }}</p>", ["Delete 0"]),
        ('<p title="Old">{% translate "New" %}</p>', ["Old"]),
        ('<input aria-label="{% translate "New" %}" placeholder="Old">', ["Old"]),
        ("{% if a %}{% translate 'New' %}{% else %}Old{% endif %}", ["000Old0"]),
        ("{% blocktranslate trimmed %}New{% endblocktranslate %} · Pithead", []),
        ("<code>keys:read</code> <span class='mono'>ph_live</span> stats:read", []),
    ],
)
def test_an_unmarked_word_is_found(source, found):
    assert [" ".join(text.split()) for text in english_in(unmarked(source))] == found
