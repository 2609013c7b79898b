"""Threat 7: whoever holds the blind index, and knows how common every name and date is, learns from it whose row is whose no better than by a guess.

The attacker is given more than a thief has: the exact frequency of every compound in the population that was indexed, and all rows. They match values by
frequency, as frequency analysis does. The same attack on an index over one name alone succeeds, so the simulation can fail.
"""

from __future__ import annotations

import hmac
import itertools
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from casehaven.people.matching import INDEX_BYTES, blind_values, compound_of, matching_columns, matching_fields
from caseschemas import CaseSchema, load_schema

PEOPLE = 20_000
ALLOWED = 0.02
"""How much better than a guess an attack may do."""


class Keys:
    """Index keys of one organisation, derived like the keystore's: one per field."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def index_key(self, field: str) -> bytes:
        return hmac.digest(self._secret, field.encode(), "sha256")


Person = dict[str, str]


def _population(seed: int) -> list[Person]:
    """People with names as uneven as real ones: the commonest first name is shared by about one in twelve."""
    random = np.random.default_rng(seed)
    weights = 1 / np.arange(1, 2_001)
    firsts = random.choice(2_000, PEOPLE, p=weights / weights.sum())
    lasts = random.choice(2_000, PEOPLE, p=weights / weights.sum())
    days = random.integers(0, 365 * 40, PEOPLE)
    start = np.datetime64("1970-01-01")
    return [
        {
            "prs_FirstName": f"First{_letters(int(first))}",
            "prs_SecondName": f"Last{_letters(int(last))}",
            "prs_Birthdate": str(start + np.timedelta64(int(day), "D")),
            "prs_MobilePhone": f"+44 7{number:09d}",
        }
        for first, last, day, number in zip(firsts, lasts, days, random.integers(0, 10**9, PEOPLE), strict=True)
    ]


def _letters(number: int) -> str:
    return "".join(chr(97 + int(digit)) for digit in str(number))


def _success(known: Sequence[bytes | str], stored: Sequence[bytes]) -> float:
    """Share of people whose compound the attacker names rightly by pairing the frequencies of known compounds with those of stored values."""
    ranked = _by_frequency(known)
    seen = _by_frequency(stored)
    guess = dict(zip(seen, ranked, strict=True))
    return sum(guess[value] == compound for value, compound in zip(stored, known, strict=True)) / len(stored)


def _by_frequency(values: Sequence[bytes | str]) -> list[bytes | str]:
    """Return the distinct values, commonest first; ties by value, which says nothing of the order of people."""
    return [value for value, _ in sorted(Counter(values).items(), key=lambda item: (-item[1], item[0]))]


def _baseline(known: Sequence[bytes | str]) -> float:
    """Share that a guess without the index gets: the commonest compound for everybody."""
    return Counter(known).most_common(1)[0][1] / len(known)


@pytest.fixture(scope="module")
def schema() -> CaseSchema:
    return load_schema("htcds-2.0")


@pytest.fixture(scope="module")
def population() -> list[Person]:
    return _population(11)


@pytest.mark.parametrize("field", matching_fields(load_schema("htcds-2.0")), ids=lambda field: field.name)
def test_frequency_analysis_of_the_index_is_no_better_than_a_guess(
    schema: CaseSchema, population: list[Person], field: object
) -> None:
    keys = Keys(b"s" * 32)
    found = next(each for each in matching_fields(schema) if each == field)
    known = [compound_of(found, person) or b"" for person in population]
    stored = [blind_values(keys, schema, person)[found.name] for person in population]
    assert _success(known, stored) <= _baseline(known) + ALLOWED


def test_the_same_attack_succeeds_on_an_index_over_one_name(population: list[Person]) -> None:
    names = [person["prs_FirstName"] for person in population]
    stored = [hmac.digest(b"k" * 32, name.encode(), "sha256")[:INDEX_BYTES] for name in names]
    assert _success(names, stored) > _baseline(names) + 5 * ALLOWED


def test_two_organisations_index_one_person_differently(schema: CaseSchema, population: list[Person]) -> None:
    north, south = (blind_values(Keys(secret * 32), schema, population[0]) for secret in (b"n", b"s"))
    assert north.keys() == south.keys() == {field.name for field in matching_fields(schema)}
    assert not set(north.values()) & set(south.values())
    assert len({*north.values()}) == len(north)  # one field's value says nothing of another's


def test_every_field_is_a_compound_of_two_parts_that_tell_people_apart(schema: CaseSchema) -> None:
    for field in matching_fields(schema):
        parts = (bool(field.names), len(field.dates), len(field.numbers))
        assert sum(map(int, parts)) >= 2, field.name
        for column in field.columns:
            assert schema.attribute(column).role == "identifier", column
    assert set(matching_columns(schema)) <= {attribute.name for attribute in schema.attributes}


@pytest.mark.parametrize("left_out", ["prs_FirstName", "prs_SecondName", "prs_Birthdate", "prs_MobilePhone"])
def test_a_blank_part_matches_nobody(schema: CaseSchema, population: list[Person], left_out: str) -> None:
    for blank in ("", "   ", "-"):
        values = blind_values(Keys(b"s" * 32), schema, {**population[0], left_out: blank})
        assert set(values) == {field.name for field in matching_fields(schema) if left_out not in field.columns}


def test_half_a_date_of_birth_matches_nobody(schema: CaseSchema, population: list[Person]) -> None:
    for half in ("1990", "1990-02", "03/04/1990"):
        assert set(blind_values(Keys(b"s" * 32), schema, {**population[0], "prs_Birthdate": half})) == {"name-phone"}


def test_unlike_people_do_not_meet_in_the_index(schema: CaseSchema, population: list[Person]) -> None:
    keys = Keys(b"s" * 32)
    by_value: dict[tuple[str, bytes], set[bytes]] = {}
    for person, field in itertools.product(population[:2_000], matching_fields(schema)):
        value = blind_values(keys, schema, person)[field.name]
        by_value.setdefault((field.name, value), set()).add(compound_of(field, person) or b"")
    assert all(len(compounds) == 1 for compounds in by_value.values())
