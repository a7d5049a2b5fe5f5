"""Words that stand in a sentence, in the reader's language."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from django.utils import translation

from accounts import access_levels
from accounts.wording import join_and, join_or


def test_of_django_the_access_levels_know_lazy_translation_alone():
    tree = ast.parse(Path(access_levels.__file__).read_text(encoding="utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert {name for name in imported if name and name.startswith(("django", "rest_framework"))} == {
        "django.utils.translation",
        "django.utils.functional",  # a type
    }


@pytest.mark.parametrize(
    ("words", "both", "either", "russian"),
    [
        ([], "", "", ""),
        (["a"], "a", "a", "a"),
        (["a", "b"], "a and b", "a or b", "a и b"),
        (["a", "b", "c"], "a, b and c", "a, b or c", "a, b и c"),
    ],
)
def test_lists_are_joined_as_the_language_joins_them(words, both, either, russian):
    assert (join_and(words), join_or(words)) == (both, either)
    with translation.override("ru"):
        assert join_and(iter(words)) == russian
