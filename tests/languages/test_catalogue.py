"""The translations are complete, fit what they translate, and are what the pages read."""

from __future__ import annotations

import ast
import re
from collections import Counter
from gettext import GNUTranslations
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.mofile import write_mo
from django.conf import settings

from languages import catalogue

PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]|%%|\{(\w*)\}")
TAG = re.compile(r"</?\w+[^>]*>")
CYRILLIC = re.compile(r"[а-яё]", re.IGNORECASE)
#: The same in both languages: nothing but names, signs and placeholders.
SAME_IN_RUSSIAN: set[str] = set()


@pytest.fixture(scope="module")
def extracted():
    return catalogue.extract_all()


@pytest.fixture(scope="module", params=sorted(catalogue.folders()))
def code(request):
    return request.param


@pytest.fixture(scope="module")
def translations(code):
    return catalogue.read(catalogue.folders()[code], code)


def of(messages):
    return [message for message in messages if message.id]


def key(message):
    return (message.context, message.id)


def forms(message):
    """Pairs of a translation, where there is one, and what it translates."""
    if isinstance(message.id, tuple):
        return [(string, message.id[1]) for string in message.string if string]
    return [(message.string, message.id)] if message.string else []


def test_the_source_says_nothing_that_the_catalogue_has_not(extracted, translations):
    missing = {key(message) for message in of(extracted)} - {key(message) for message in of(translations)}
    assert not missing, "Run make messages, and translate."


def test_the_catalogue_has_nothing_that_the_source_does_not_say(extracted, translations):
    assert not {key(message) for message in of(translations)} - {key(message) for message in of(extracted)}
    assert not translations.obsolete


def test_everything_is_translated_and_nothing_was_guessed(translations):
    assert catalogue.untranslated(translations) == []
    assert [message.id for message in of(translations) if message.fuzzy] == []


def test_a_count_has_as_many_forms_as_the_language(translations):
    counted = [message for message in of(translations) if isinstance(message.id, tuple)]
    assert counted
    for message in counted:
        assert len(message.string) == translations.num_plurals, message.id


def test_placeholders_and_markup_are_the_same(translations):
    for message in of(translations):
        for string, source in forms(message):
            assert Counter(PLACEHOLDER.findall(string)) == Counter(PLACEHOLDER.findall(source)), message.id
            assert Counter(TAG.findall(string)) == Counter(TAG.findall(source)), message.id


def test_no_translation_breaks_out_of_an_attribute(translations):
    """Templates write translations into ``title="…"``: a straight quote there would end it."""
    for message in of(translations):
        for string, _source in forms(message):
            assert '"' not in TAG.sub("", string), message.id


def test_a_translation_ends_and_begins_as_its_source_does(translations):
    for message in of(translations):
        for string, source in forms(message):
            assert string == string.strip(), message.id
            assert string.endswith(".") == source.endswith("."), message.id


def test_russian_is_written_in_russian():
    folder = catalogue.folders()["ru"]
    for message in of(catalogue.read(folder, "ru")):
        for string, source in forms(message):
            words = PLACEHOLDER.sub("", source)
            if CYRILLIC.search(string) or not re.search(r"[a-z]{2}", words) or source in SAME_IN_RUSSIAN:
                continue
            raise AssertionError(f"{source!r} is {string!r}")


def test_russian_quotes_are_angled_and_dashes_are_long():
    for message in of(catalogue.read(catalogue.folders()["ru"], "ru")):
        for string, _source in forms(message):
            text = TAG.sub("", string)
            assert not set("“”'") & set(text), message.id
            assert " - " not in text, message.id


def test_the_compiled_file_is_what_the_catalogue_says(code, translations):
    compiled = BytesIO()
    write_mo(compiled, translations)
    compiled.seek(0)
    with (catalogue.folders()[code] / "django.mo").open("rb") as file:
        shipped = GNUTranslations(file)._catalog
    fresh = GNUTranslations(compiled)._catalog
    assert {id_: text for id_, text in shipped.items() if id_} == {id_: text for id_, text in fresh.items() if id_}, (
        "Run make messages."
    )


def test_translation_functions_are_called_by_names_that_the_extraction_knows():
    """``from django.utils.translation import gettext as t`` would leave its messages untranslated."""
    unknown = []
    for path in catalogue.sources(Path(settings.BASE_DIR)):
        if path.suffix != ".py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "django.utils.translation":
                for name in node.names:
                    called = name.asname or name.name
                    if "gettext" in name.name and called not in catalogue.KEYWORDS:
                        unknown.append(f"{path}: {called}")
    assert unknown == []


def test_what_is_translated_is_no_f_string():
    """Its value is known only when it runs: no catalogue can hold it."""
    wrong = []
    for path in catalogue.sources(Path(settings.BASE_DIR)):
        if path.suffix != ".py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in catalogue.KEYWORDS
                and any(
                    not isinstance(argument, ast.Constant)
                    for argument in node.args[: 1 if node.func.id[0] != "n" else 2]
                )
            ):
                wrong.append(f"{path}:{node.lineno}")
    assert wrong == []


def test_a_new_message_and_a_changed_one_are_noticed(tmp_path, extracted):
    """The extraction reads Python and templates, with contexts, plural forms and values of attributes."""
    (tmp_path / "accounts").mkdir()
    (tmp_path / "templates").mkdir()
    (tmp_path / "accounts" / "a.py").write_text(
        "_('One %(thing)s') % {'thing': 1}\nngettext('%(n)d key', '%(n)d keys', n)\npgettext_lazy('noun', 'Key')\n"
    )
    (tmp_path / "templates" / "a.html").write_text(
        '{% load i18n %}\n  <p title="{% translate "It’s “so”" %}">\n    '
        "{% blocktranslate trimmed count n=n %}{{ n }}\n    hub{% plural %}{{ n }} hubs{% endblocktranslate %}</p>"
        '{% translate "Clone" context "noun" as here %}{# {% translate "not this" %} #}'
    )
    assert {key(message) for message in of(catalogue.extract_all(tmp_path))} == {
        (None, "One %(thing)s"),
        (None, ("%(n)d key", "%(n)d keys")),
        ("noun", "Key"),
        (None, "It’s “so”"),
        (None, ("%(n)s hub", "%(n)s hubs")),
        ("noun", "Clone"),
    }
