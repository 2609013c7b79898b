"""What holds for every schema and every text: property tests."""

from __future__ import annotations

import json
import pickle
import string
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caseschemas import CaseSchema, SchemaAttribute, load_schema, parse_schema, schema_faults
from caseschemas.words import normal

CTDC = load_schema("ctdc-global")

WORDS = st.text(alphabet=string.ascii_letters + string.digits + "éßİٱ中", min_size=1, max_size=8)
SPACES = st.sampled_from(["", " ", "\u00a0", "\t", "\u200b", "  \n"])
GENERATED = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def schema_documents(draw: st.DrawFn) -> dict[str, Any]:
    """Documents without faults, with every kind of attribute."""
    words = iter(draw(st.lists(WORDS, min_size=24, max_size=24, unique_by=normal)))
    blank: dict[str, Any] = {"code": "", "means": "unknown", "labels": {"en": "unknown?"}, "synonyms": ["-99"]}
    missing: list[Any] = ["blank"]
    if draw(st.booleans()):
        missing.append({"code": "not asked?", "means": "not_asked", "labels": {"en": "nobody asked?"}})
    if draw(st.booleans()):
        missing.append({"code": "no?", "means": "no", "labels": {"en": "no it is?"}})

    def values(count: int) -> list[dict[str, Any]]:
        return [{"code": next(words), "labels": {"en": next(words)}, "synonyms": [next(words)]} for _ in range(count)]

    ends = sorted(draw(st.sets(st.integers(-100, 200), min_size=1, max_size=6)))
    bands: list[dict[str, Any]] = [
        {"code": f"b{number}", "from": low, "to": high - 1} for number, (low, high) in enumerate(pairwise(ends))
    ]
    bands.append({"code": "top", "from": ends[-1]})
    granularity, first, last = draw(
        st.sampled_from(
            [("year", "1999", "2031"), ("month", "2019-11", "2021-02"), ("day", "2020-02-27", "2020-03-02")]
        )
    )
    common = {"labels": {"en": "x"}, "missing": missing}
    return {
        "format": "casehaven-schema/1",
        "id": "made-up",
        "version": "1.0.0",
        "title": {"en": "x"},
        "languages": [{"code": "en", "reviewed": draw(st.booleans())}],
        "missing": {"blank": blank},
        "attributes": [
            {"name": "id", "kind": "identifier", "role": "identifier", "labels": {"en": "x"}},
            {
                "name": "category",
                "kind": "category",
                "role": "analysis",
                **common,
                "values": values(3),
                "merge": "agree",
            },
            {
                "name": "multi",
                "kind": "multi",
                "role": "analysis",
                **common,
                "values": values(3),
                "separators": ["; "],
                "merge": "union",
            },
            {"name": "flag", "kind": "flag", "role": "analysis", **common, "values": values(1), "merge": "max"},
            {"name": "number", "kind": "number", "role": "analysis", **common, "bands": bands, "merge": "min"},
            {
                "name": "date",
                "kind": "date",
                "role": "analysis",
                **common,
                "periods": {"granularity": granularity, "from": first, "to": last},
                "merge": "min",
            },
            {
                "name": "country",
                "kind": "country",
                "role": "analysis",
                **common,
                "codelist": "iso-3166-1",
                "merge": "agree",
            },
        ],
        "block": {"attribute": "date", "granularity": "year"},
        "hierarchies": [{"name": "region", "labels": {"en": "x"}, "attribute": "country", "level": "subregion"}],
    }


def listed(schema: CaseSchema) -> list[SchemaAttribute]:
    return [attribute for attribute in schema.attributes if attribute.values]


@GENERATED
@given(schema_documents())
def test_generated_documents_have_no_faults_and_survive_a_round_trip(document: dict[str, Any]) -> None:
    assert schema_faults(document) == ()
    schema = parse_schema(document)
    again = parse_schema(schema.canonical())
    assert again == schema
    assert again.digest() == schema.digest()
    assert again.canonical() == schema.canonical()
    assert pickle.loads(pickle.dumps(schema)) == schema


@GENERATED
@given(schema_documents(), SPACES, SPACES)
def test_every_word_of_a_value_is_read_as_that_value(document: dict[str, Any], before: str, after: str) -> None:
    for attribute in listed(parse_schema(document)):
        for position, value in enumerate(attribute.values):
            for word in value.words:
                for written in (word, word.upper(), word.lower(), word.casefold()):
                    if normal(written) == normal(word):  # some letters have no way back from upper case
                        assert attribute.code_of(before + written + after) == position


def test_every_word_of_the_shipped_schema_is_read_as_its_value() -> None:
    for attribute in listed(CTDC):
        for position, value in enumerate(attribute.values):
            for word in value.words:
                assert attribute.code_of(word) == position
                assert attribute.code_of(f" {word.swapcase()} ") in {position} or normal(word.swapcase()) != normal(
                    word
                )


@settings(max_examples=500, deadline=None)
@given(st.text(max_size=40) | st.from_regex(r"[0-9./\-+>= ]{0,14}", fullmatch=True))
def test_reading_a_cell_never_raises_and_stays_in_the_list(cell: str) -> None:
    for attribute in CTDC.attributes:
        position = attribute.code_of(cell)
        assert position is None or 0 <= position < len(attribute.values)
        positions = attribute.codes_of(cell)
        assert (positions is None) == (position is None)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from(["threats", "debt", "Not asked", "", "?", "null"]), max_size=5),
    st.sampled_from([";", "|||", " ; "]),
)
def test_cell_with_several_values_is_read_as_a_sorted_set(
    example_schema: CaseSchema, parts: list[str], separator: str
) -> None:
    means = example_schema.attribute("means")
    positions = means.codes_of(separator.join(parts))
    known = sorted({means.position(part) for part in parts if part in ("threats", "debt")})
    if known:
        assert positions == tuple(known)
    elif parts and all(part == "?" for part in parts):
        assert positions is None
    else:
        assert positions is None or len(positions) == 1


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_checking_arbitrary_bytes_never_raises_and_finds_a_fault(raw: bytes) -> None:
    assert schema_faults(raw)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_checking_a_damaged_file_never_raises(example_document: dict[str, Any], data: st.DataObject) -> None:
    text = json.dumps(example_document)
    start = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 30))
    damaged = text[:start] + data.draw(st.text(alphabet='{}[]",:0a\\', max_size=4)) + text[start + length :]
    faults = schema_faults(damaged)
    if not faults:
        parse_schema(damaged)
