"""Which spellings are the same word."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caseschemas.words import normal


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("Woman", "WOMAN"),
        ("  Woman\t", "woman"),
        ("Viet\u00a0Nam", "viet nam"),
        ("Viet \n  Nam", "viet nam"),
        ("Côte d\u2019Ivoire", "CO\u0302TE D'IVOIRE"),
        ("18\u201320", "18-20"),
        ("18\u221220", "18-20"),
        ("\ufeffcase", "case"),
        ("\u200fسوريا\u200e", "سوريا"),
        ("Straße", "STRASSE"),
    ],
)
def test_two_spellings_are_one_word(written: str, same: str) -> None:
    assert normal(written) == normal(same)


@pytest.mark.parametrize(("one", "other"), [("Niger", "Nigeria"), ("Côte", "Cote"), ("a b", "ab"), ("", "0")])
def test_two_words_stay_two(one: str, other: str) -> None:
    assert normal(one) != normal(other)


@given(st.text(max_size=30))
def test_normal_form_is_its_own_normal_form(text: str) -> None:
    assert normal(normal(text)) == normal(text)


@given(st.text(max_size=30))
def test_unicode_forms_make_no_difference(text: str) -> None:
    assert normal(unicodedata.normalize("NFD", text)) == normal(unicodedata.normalize("NFC", text))
