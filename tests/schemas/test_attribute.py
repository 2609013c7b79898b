"""How cells are read, kind by kind, and what an attribute refuses to be."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from caseschemas import (
    Band,
    CaseSchema,
    InvalidModelError,
    Labels,
    Periods,
    SchemaAttribute,
    Value,
    load_schema,
    parse_schema,
)

CTDC = load_schema("ctdc-global")


def code(attribute: SchemaAttribute, cell: str) -> str | None:
    """The code of the value that a cell is read as."""
    position = attribute.code_of(cell)
    return None if position is None else attribute.values[position].code


@pytest.mark.parametrize(
    ("name", "cell", "expected"),
    [
        # flags without a no of their own
        ("isForcedLabour", "1", "1"),
        ("isForcedLabour", "1.0", "1"),
        ("isForcedLabour", "TRUE", "1"),
        ("isForcedLabour", "oui", "1"),
        ("isForcedLabour", "0", ""),
        ("isForcedLabour", "0.0", ""),
        ("isForcedLabour", "False", ""),
        ("isForcedLabour", "no", ""),
        ("isForcedLabour", "", ""),
        ("isForcedLabour", "NULL", ""),
        ("isForcedLabour", "-99", ""),
        ("isForcedLabour", "2", None),
        # consent: only yes is yes
        ("consentPooledStatistics", "yes", "yes"),
        ("consentPooledStatistics", "1", "yes"),
        ("consentPooledStatistics", "no", "no"),
        ("consentPooledStatistics", "0", "no"),
        ("consentPooledStatistics", "", ""),
        ("consentPooledStatistics", "perhaps", None),
        # bands
        ("ageBroad", "0--8", "0-8"),
        ("ageBroad", "09--17", "9-17"),
        ("ageBroad", "48", "48+"),
        ("ageBroad", "48+", "48+"),
        ("ageBroad", ">=48", "48+"),
        ("ageBroad", "17", "9-17"),
        ("ageBroad", "17.9", "9-17"),
        ("ageBroad", "18", "18-20"),
        ("ageBroad", "0", "0-8"),
        ("ageBroad", "30-35", "30-38"),
        ("ageBroad", "17-18", None),
        ("ageBroad", "39+", None),
        ("ageBroad", "-1", None),
        ("ageBroad", "-0.5", None),
        ("ageBroad", "-99", ""),
        ("ageBroad", "١٧", "9-17"),
        ("ageBroad", "9" * 400, None),
        ("traffickMonths", "13-24", "13-24"),
        ("traffickMonths", "25", "25+"),
        # years
        ("yearOfRegistration", "2002", "2002"),
        ("yearOfRegistration", "2023", "2023"),
        ("yearOfRegistration", "2019.0", "2019"),
        ("yearOfRegistration", "2019-03-15", "2019"),
        ("yearOfRegistration", "2019-03-15T10:00:00Z", "2019"),
        ("yearOfRegistration", "15/03/2019", "2019"),
        ("yearOfRegistration", "03/04/2019", "2019"),
        ("yearOfRegistration", "2001", None),
        ("yearOfRegistration", "2024", None),
        ("yearOfRegistration", "2019-02-30", None),
        ("yearOfRegistration", "19", None),
        ("yearOfRegistration", "0000", None),
        # countries
        ("citizenship", "USA", "USA"),
        ("citizenship", "us", "USA"),
        ("citizenship", "NA", "NAM"),
        ("citizenship", "Turkey", "TUR"),
        ("citizenship", "Türkiye", "TUR"),
        ("citizenship", "Ivory Coast", "CIV"),
        ("citizenship", "Côte d'Ivoire", "CIV"),
        ("citizenship", "Viet Nam", "VNM"),
        ("citizenship", "États-Unis", "USA"),
        ("citizenship", "Estados Unidos", "USA"),
        ("citizenship", "الولايات المتحدة", "USA"),
        ("citizenship", "XKX", None),
        # categories
        ("gender", "Female", "Woman"),
        ("gender", "femme", "Woman"),
        ("gender", "M", "Man"),
        ("gender", "", ""),
        ("gender", "x", None),
    ],
)
def test_cell_is_read(name: str, cell: str, expected: str | None) -> None:
    assert code(CTDC.attribute(name), cell) == expected


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("2019-03", "2019-03"),
        ("2019/3", "2019-03"),
        ("03/2019", "2019-03"),
        ("15.03.2019", "2019-03"),
        ("03/15/2019", "2019-03"),
        ("03/03/2019", "2019-03"),
        ("03/04/2019", None),
        ("2019", None),
        ("2018-12", None),
        ("2030-12-31", "2030-12"),
        ("2031-01", None),
    ],
)
def test_month_is_read_only_where_nothing_has_to_be_guessed(
    example_schema: CaseSchema, cell: str, expected: str | None
) -> None:
    assert code(example_schema.attribute("arrived"), cell) == expected


def test_unknown_not_asked_and_no_are_told_apart(example_schema: CaseSchema) -> None:
    worked = example_schema.attribute("worked")
    read = [worked.values[position or 0] for position in map(worked.code_of, ("-99", "not asked", "no", "yes"))]
    assert [value.missing for value in read] == ["unknown", "not_asked", "no", None]
    assert [value.answered for value in read] == [False, False, True, True]
    assert worked.first_known == 3


def test_blank_value_is_the_first_and_what_an_empty_cell_becomes() -> None:
    for attribute in CTDC.attributes:
        if attribute.values:
            assert attribute.code_of("") == attribute.code_of(" \t\u00a0") == attribute.blank == 0


@pytest.mark.parametrize(
    ("cell", "codes"),
    [
        ("threats", ["threats"]),
        ("Debt; Threats", ["threats", "debt"]),
        ("debt|||threats|||debt", ["threats", "debt"]),
        ("", [""]),
        (";", [""]),
        ("not asked", ["not_asked"]),
        ("not asked;debt", ["debt"]),
        ("NULL;not asked", ["not_asked"]),
        ("debt;?", ["debt"]),
        ("not asked;?", ["not_asked"]),
        ("?;!", None),
    ],
)
def test_cell_with_several_values_is_read(example_schema: CaseSchema, cell: str, codes: list[str] | None) -> None:
    means = example_schema.attribute("means")
    positions = means.codes_of(cell)
    assert (None if positions is None else [means.values[position].code for position in positions]) == codes


def test_part_outside_the_list_becomes_the_outside_value(example: dict[str, Any]) -> None:
    means = example["attributes"][8]
    means["values"].append({"code": "other", "labels": {"en": "Other"}})
    means["outside"] = "other"
    attribute = parse_schema(example).attribute("means")
    assert attribute.codes_of("debt;?") == (attribute.position("debt"), attribute.position("other"))


def test_longer_separator_is_tried_first(example: dict[str, Any]) -> None:
    example["attributes"][8]["separators"] = ["|", "|||"]
    assert parse_schema(example).attribute("means").parts("a|||b|c") == ("a", "b", "c")


def test_label_that_holds_a_separator_is_one_value(example: dict[str, Any]) -> None:
    example["attributes"][8]["values"][0]["labels"]["en"] = "Threats; of any kind"
    assert parse_schema(example).attribute("means").codes_of("threats; of any kind") == (2,)


def test_missing_word_wins_over_a_number(example: dict[str, Any]) -> None:
    example["missing"]["unknown"]["synonyms"] = ["99"]
    age = parse_schema(example).attribute("age")
    assert (code(age, "99"), code(age, "98")) == ("", "60+")


def test_words_of_the_schema_win_over_the_words_of_yes_and_no(example: dict[str, Any]) -> None:
    example["missing"]["notAsked"]["synonyms"] = ["0.0"]
    assert code(parse_schema(example).attribute("worked"), "0.0") == "not_asked"


def test_identifiers_and_free_text_have_no_codes() -> None:
    reference = CTDC.attribute("caseReference")
    assert (reference.values, reference.code_of("anything"), reference.code_of(""), reference.codes_of("a")) == (
        (),
        None,
        None,
        None,
    )


GENDER = CTDC.attribute("gender")
AGE = CTDC.attribute("ageBroad")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"role": "identifier"}, "role 'identifier' does not fit"),
        ({"kind": "identifier", "role": "analysis"}, "role 'analysis' does not fit"),
        ({"kind": "text", "role": "text"}, "has no values"),
        ({"merge": "union"}, "merge rule 'union' does not fit"),
        ({"merge": None}, "merge rule None does not fit"),
        ({"values": ()}, "missing ones"),
        ({"values": GENDER.values[1:]}, "missing ones"),
        ({"values": GENDER.values[:1]}, "missing ones"),
        ({"values": GENDER.values[::-1]}, "missing ones"),
        ({"outside": "?"}, "outside value '\\?'"),
        ({"separators": (";",)}, "separators"),
        ({"bands": AGE.bands}, "bands"),
        ({"periods": CTDC.attribute("yearOfRegistration").periods}, "periods"),
        ({"values": (*GENDER.values, replace(GENDER.values[1], code="x"))}, "share the word"),
    ],
)
def test_attribute_that_contradicts_itself_cannot_be_made(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidModelError, match=message):
        replace(GENDER, **changes)


def test_only_the_first_value_may_have_an_empty_code() -> None:
    named = replace(GENDER.values[0], code="unknown", synonyms=())
    empty = Value(code="", labels=Labels({"en": "Not asked"}), missing="not_asked")
    with pytest.raises(InvalidModelError, match="empty code"):
        replace(GENDER, values=(named, empty, *GENDER.values[1:]))


def test_band_cannot_end_before_it_starts() -> None:
    with pytest.raises(InvalidModelError, match="must not be above"):
        Band(low=2, high=1)


@pytest.mark.parametrize(
    ("granularity", "first", "last", "codes"),
    [
        ("year", date(2019, 1, 1), date(2021, 1, 1), ("2019", "2020", "2021")),
        ("month", date(2019, 12, 1), date(2020, 2, 1), ("2019-12", "2020-01", "2020-02")),
        ("day", date(2020, 2, 28), date(2020, 3, 1), ("2020-02-28", "2020-02-29", "2020-03-01")),
    ],
)
def test_periods_run_over_the_ends_of_years_and_leap_days(
    granularity: Any, first: date, last: date, codes: tuple[str, ...]
) -> None:
    periods = Periods(granularity=granularity, first=first, last=last)
    assert periods.codes() == codes
    assert [periods.position(*map(int, code.split("-")), *[None] * (2 - code.count("-"))) for code in codes] == [
        0,
        1,
        2,
    ]


def test_every_day_of_a_leap_year_has_its_own_period() -> None:
    days = Periods(granularity="day", first=date(2020, 1, 1), last=date(2020, 12, 31))
    assert [days.position(*map(int, code.split("-"))) for code in days.codes()] == list(range(366))
