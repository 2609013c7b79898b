"""Two names that differ in a vowel are two names, in every script; entries of the index in scripts with added marks are as ever."""

from __future__ import annotations

import unicodedata

import pytest

from casehaven.people.matching import MatchingField, compound_of
from casehaven.people.names import name_words

FIELD = MatchingField(name="x", label="x", names=("first", "last"), dates=("born",))


def entry(first: str, last: str) -> bytes | None:
    return compound_of(FIELD, {"first": first, "last": last, "born": "2001-01-01"})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("राम", "रीमा"),  # Devanagari
        ("রাম", "রিমা"),  # Bengali
        ("ராம", "ரீமா"),  # Tamil
        ("రామ", "రీమా"),  # Telugu
        ("ਰਾਮ", "ਰੀਮਾ"),  # Gurmukhi
        ("රාම", "රීමා"),  # Sinhala
        ("အောင်", "အင်"),  # Burmese
        ("ម៉ី", "មុំ"),  # Khmer
        ("นิด", "นุด"),  # Thai
    ],
)
def test_a_vowel_sign_tells_two_names_apart(one: str, other: str) -> None:
    assert entry(one, "x") is not None and entry(one, "x") != entry(other, "x")
    assert entry(unicodedata.normalize("NFD", one), "x") == entry(unicodedata.normalize("NFC", one), "x")
    assert entry("x", one) == entry(one, "x"), "the order of names does not matter"


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (("José", "da SILVA-Souza"), b"da jose silva souza"),
        (("Łucja", "O'Neill"), "neill o łucja".encode()),
        (("Анна", "Йовкова"), "анна иовкова".encode()),
        (("محمّد", "علي"), "علي محمد".encode()),
        (("Zoë_Ann", "x"), b"ann x zoe"),
        (("Ångström", "x"), b"angstrom x"),
    ],
)
def test_an_entry_of_an_earlier_version_is_still_found(cells: tuple[str, str], words: bytes) -> None:
    """The bytes that earlier versions keyed: words without accents, in the order of code points, after their length."""
    made = entry(*cells)
    assert made is not None and made.startswith(len(words).to_bytes(4, "big") + words)


def test_a_name_without_a_letter_is_a_missing_name() -> None:
    assert entry("-", "x") is None and entry("x", "") is None
    assert name_words(["", "x"]) == ()
