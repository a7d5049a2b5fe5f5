"""The key's format: what is generated parses, and no slip of a finger does."""

from __future__ import annotations

import re
from binascii import crc32

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from apikeys import key_format
from apikeys.key_format import ALPHABET, ENVIRONMENT_TAGS, MalformedKey

PREFIXES = st.from_regex(r"[a-z][a-z0-9]{0,15}", fullmatch=True)
ENVIRONMENTS = sorted(ENVIRONMENT_TAGS)
#: Characters that people and programs put in by mistake, and look-alikes of other scripts.
STRANGERS = "0O1lIzZ9aA_-. \t\n\0é\u0430\uff21\u0661\ud800\U0001f511"


def fresh(environment: str = "production", prefix: str = "ph") -> str:
    return key_format.generate(environment, prefix=prefix).text


def assert_malformed(text: str, prefix: str = "ph") -> None:
    with pytest.raises(MalformedKey) as caught:
        key_format.parse(text, prefix=prefix)
    assert len(text) < 8 or text not in str(caught.value), "the message quotes the text"


@given(environment=st.sampled_from(ENVIRONMENTS), prefix=PREFIXES)
def test_what_is_generated_parses_to_the_same_parts(environment, prefix):
    made = key_format.generate(environment, prefix=prefix)
    assert key_format.parse(made.text, prefix=prefix) == made
    tag = {"production": "live", "staging": "stg", "development": "dev"}[environment]
    assert re.fullmatch(rf"{prefix}_{tag}_{made.selector}[0-9A-Za-z]{{49}}", made.text)
    assert len(made.selector) == 12


def test_two_keys_share_no_part():
    keys = [fresh() for _ in range(200)]
    assert len({key[8:20] for key in keys}) == 200, "a selector came twice"
    assert len({key[20:63] for key in keys}) == 200, "a secret came twice"


@pytest.mark.parametrize("prefix", ["", "PH", "1ph", "p_h", "p" * 17, "ph\n", "пх"])
def test_a_prefix_of_another_shape_makes_no_key(prefix):
    with pytest.raises(ValueError, match="prefix"):
        key_format.generate("production", prefix=prefix)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_wrong_character_in_any_place_is_refused(environment):
    key = fresh(environment)
    for place in range(len(key)):
        for stranger in ALPHABET + STRANGERS:
            if stranger != key[place]:
                assert_malformed(key[:place] + stranger + key[place + 1 :])


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_character_too_few_or_too_many_in_any_place_is_refused(environment):
    key = fresh(environment)
    for place in range(len(key) + 1):
        for stranger in "07Az" + STRANGERS:
            assert_malformed(key[:place] + stranger + key[place:])
        if place < len(key):
            assert_malformed(key[:place] + key[place + 1 :])
            assert_malformed(key[:place])
            assert_malformed(key[: place + 1] + key[place:])


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_two_swapped_neighbours_in_any_place_are_refused(environment):
    key = fresh(environment)
    swapped = 0
    for place in range(len(key) - 1):
        if key[place] != key[place + 1]:
            swapped += 1
            assert_malformed(key[:place] + key[place + 1] + key[place] + key[place + 2 :])
    assert swapped > 40


@given(first=st.integers(0, 60), second=st.integers(0, 60), letters=st.text(ALPHABET, min_size=2, max_size=2))
def test_two_wrong_characters_anywhere_are_refused(first, second, letters):
    key = "ph_live_" + "7GkQ2mZp4XbT" + "f0RrB1YwE5nHc8JdK3uLsMvNtOaPiQeUgVhWxSy6zCj"
    key += key_format.checksum(key)
    characters = list(key)
    characters[8 + first], characters[8 + second] = letters[0], letters[1]
    mistyped = "".join(characters)
    if mistyped == key:
        assert key_format.parse(mistyped, prefix="ph").text == key
    else:
        assert_malformed(mistyped)


@pytest.mark.parametrize("tag", ["live", "stg", "dev"])
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_another_environment_s_tag_breaks_the_checksum(environment, tag):
    key = fresh(environment)
    own = ENVIRONMENT_TAGS[environment]
    if tag != own:
        assert_malformed(key.replace(f"_{own}_", f"_{tag}_", 1))


def test_another_installation_s_key_is_refused():
    assert_malformed(fresh(prefix="acme"))
    assert_malformed(fresh(prefix="ph2"))
    assert_malformed(fresh(), prefix="phx")


def test_letter_case_matters():
    key = fresh()
    assert_malformed(key.upper())
    assert_malformed(key.lower())
    assert_malformed(key.swapcase())


@given(text=st.text())
@example("")
@example("\0")
@example("\ud800")
@example("ph_live_")
@example("ph_live_" + "é" * 61)
@example("ph_live_" + "\ud800" * 61)
@example("ph_live_" + "\u0661" * 61)  # digits, but not ours
@example("ph_live_" + "0" * 1_000_000)
@example("x" * 1_000_000)
def test_odd_text_is_malformed_and_nothing_worse(text):
    assert_malformed(text)


@pytest.mark.parametrize("wrapped", [" {}", "{} ", "{}\n", "\ufeff{}", "{}\0", "“{}”", "{},{}", "Bearer {}"])
def test_a_key_with_anything_around_it_is_refused(wrapped):
    key = fresh()
    assert_malformed(wrapped.format(key, key))


@given(body=st.text(ALPHABET + "_"))
def test_the_checksum_is_the_crc_in_six_base62_digits(body):
    text = key_format.checksum(body)
    assert len(text) == 6
    assert sum(ALPHABET.index(letter) * 62**power for power, letter in enumerate(text[::-1])) == crc32(body.encode())


def test_the_checksum_s_reference_value_holds():
    assert ALPHABET == "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    assert crc32(b"123456789") == 0xCBF43926
    assert key_format.checksum("123456789") == "3jZRME"


def test_a_small_checksum_is_padded_on_the_left():
    body = next(text for number in range(1_000_000) if crc32((text := f"ph_live_{number}").encode()) < 62**4)
    assert key_format.checksum("") == "000000"
    assert key_format.checksum(body).startswith("00")
    assert len(key_format.checksum(body)) == 6


@given(environment=st.sampled_from(ENVIRONMENTS), prefix=PREFIXES)
def test_a_mask_shows_half_the_selector_and_no_more(environment, prefix):
    key = key_format.generate(environment, prefix=prefix)
    head = f"{prefix}_{ENVIRONMENT_TAGS[environment]}_"
    assert key_format.mask(environment, key.selector, prefix=prefix) == f"{head}{key.text[len(head) :][:6]}••••"


def test_the_secret_stays_out_of_repr():
    key = key_format.generate("production", prefix="ph")
    assert key.text[20:] not in repr(key)
    assert key.text not in f"{key}"


@pytest.mark.parametrize(
    "around",
    [
        "{}",
        "Authorization: Bearer {}",
        "key={}&x=1",
        "Bearer%20{}",
        r"{{'body': b'one\n{}\n'}}",
        "KEY_{}",
        "x{}",
        "“{}”",
        '"{}",',
        "\x00{}\x00",
        "https://example.com/{}/x",
    ],
)
def test_a_key_is_found_whatever_stands_around_it(around):
    key = fresh()
    found = key_format.find_pattern("ph").findall(around.format(key))
    assert found == [key]
    assert key_format.parse(found[0], prefix="ph").text == key


def test_the_name_and_mask_of_a_key_are_not_found():
    text = (
        f"key_7GkQ2mZp4XbT {key_format.mask('production', '7GkQ2mZp4XbT', prefix='ph')} ph_live_ ph_test_7GkQ2mZp4XbT"
    )
    assert key_format.find_pattern("ph").findall(text) == []
