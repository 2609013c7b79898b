"""Raw cells become codes of the public domain, whatever they hold and however a frame stores them."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from caseschemas import load_schema
from casesynth.domain import Attribute, Domain, Multi
from casesynth.encode import (
    ColumnTypeError,
    RepeatedColumnError,
    UnknownColumnError,
    check_columns,
    encode,
    person_tokens,
)

DOMAIN = Domain.declare({"sex": ["f", "m"], "means": Multi(values=["threats", "debt", "papers"])})
NUMBERS = Domain.declare({"rooms": ["0", "1", "2"]})


def _codes(frame: pd.DataFrame | pa.Table | pa.RecordBatch, domain: Domain = DOMAIN) -> list[list[int]]:
    return [column.tolist() for column in encode(frame, domain, person=None).columns]


def test_listed_cells_take_their_positions() -> None:
    frame = pd.DataFrame({"sex": ["m", "f", ""], "means": ["debt", "", "papers;threats"]})
    assert _codes(frame) == [[2, 1, 0], [0, 0, 1], [1, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize("cell", ["", " ", "\t", "\u00a0", None, float("nan"), pd.NA])
def test_empty_cells_nulls_and_nan_take_the_blank_value(cell: object) -> None:
    frame = pd.DataFrame({"sex": ["f", cell], "means": ["debt", cell]}, dtype=object)
    assert _codes(frame) == [[1, 0], [0, 0], [1, 0], [0, 0]]


def test_blank_and_outside_are_the_values_that_the_attribute_names() -> None:
    attribute = Attribute(
        name="sex",
        values=("f", "other", "unknown"),
        missing=frozenset({2}),
        blank=2,
        outside=1,
        read=lambda cell: (0,) if cell == "f" else None,
    )
    frame = pd.DataFrame({"sex": ["f", None, "", "x"]})
    assert _codes(frame, Domain(attributes=(attribute,))) == [[0, 2, 2, 1]]


def test_a_value_outside_the_list_changes_its_own_cell_and_nothing_else() -> None:
    cells = {"sex": ["f", "m", "f", "m"], "means": ["debt", "threats", "", "papers"]}
    before = _codes(pd.DataFrame(cells))
    after = _codes(pd.DataFrame({**cells, "sex": ["f", "m", "unheard of", "m"]}))
    assert after[0] == [1, 2, 0, 2] != before[0]
    assert after[1:] == before[1:]


def test_an_outside_cell_of_a_schema_takes_the_schemas_outside_value() -> None:
    schema = load_schema("ctdc-global")
    domain = Domain.from_schema(schema)
    cells: dict[str, list[str]] = {attribute.name: ["", "unheard of"] for attribute in domain.attributes}
    coded = encode(pd.DataFrame(cells), domain, person=None)
    for attribute, column in zip(schema.analysis, coded.columns, strict=True):
        codes = [value.code for value in attribute.values]
        assert column.tolist() == [0, codes.index(str(attribute.outside))], attribute.name


@pytest.mark.parametrize("infinity", [float("inf"), float("-inf")])
def test_infinities_are_outside_every_list(infinity: float) -> None:
    frame = pd.DataFrame({"rooms": [1.0, infinity, 2.0]})
    assert _codes(frame, NUMBERS) == [[2, 0, 3]]


def test_nan_is_blank_in_arrow_too() -> None:
    attribute = Attribute(
        name="rooms",
        values=("", "other", "1"),
        missing=frozenset({0}),
        outside=1,
        read=lambda cell: (2,) if cell == "1" else None,
    )
    table = pa.table({"rooms": [1.0, float("nan"), None, float("inf")]})
    assert _codes(table, Domain(attributes=(attribute,))) == [[2, 0, 0, 1]]


def _chunked(cells: list[Any]) -> pa.Table:
    return pa.table({"rooms": pa.chunked_array([pa.array(cells[:1]), pa.array(cells[1:])])})


ROOMS: dict[str, Callable[[], pd.DataFrame | pa.Table | pa.RecordBatch]] = {
    "text": lambda: pd.DataFrame({"rooms": ["1", "0", "2", None]}),
    "objects": lambda: pd.DataFrame({"rooms": ["1", "0", "2", None]}, dtype=object),
    "objects of mixed kinds": lambda: pd.DataFrame({"rooms": [1, "0", 2.0, None]}, dtype=object),
    "floats, as pandas reads integers with gaps": lambda: pd.DataFrame({"rooms": [1.0, 0.0, 2.0, np.nan]}),
    "nullable integers": lambda: pd.DataFrame({"rooms": pd.array([1, 0, 2, None], dtype="Int64")}),
    "categories": lambda: pd.DataFrame({"rooms": pd.Categorical(["1", "0", "2", None])}),
    "categories of integers": lambda: pd.DataFrame({"rooms": pd.Categorical([1, 0, 2, None])}),
    "arrow text": lambda: pa.table({"rooms": ["1", "0", "2", None]}),
    "arrow large text": lambda: pa.table({"rooms": pa.array(["1", "0", "2", None], type=pa.large_string())}),
    "arrow integers": lambda: pa.table({"rooms": pa.array([1, 0, 2, None], type=pa.int8())}),
    "arrow dictionary": lambda: pa.table({"rooms": pa.array(["1", "0", "2", None]).dictionary_encode()}),
    "arrow dictionary of floats": lambda: pa.table({"rooms": pa.array([1.0, 0.0, 2.0, None]).dictionary_encode()}),
    "dictionary that lists null": lambda: pa.table(
        {"rooms": pa.DictionaryArray.from_arrays(pa.array([1, 2, 3, 0]), pa.array([None, "1", "0", "2"]))}
    ),
    "chunks": lambda: _chunked(["1", "0", "2", None]),
    "chunks with dictionaries of their own": lambda: pa.table(
        {"rooms": pa.chunked_array([pa.array(x).dictionary_encode() for x in (["1"], ["0", "2", None])])}
    ),
    "record batch": lambda: pa.RecordBatch.from_pydict({"rooms": ["1", "0", "2", None]}),
}


@pytest.mark.parametrize("name", ROOMS)
def test_every_way_to_store_the_same_cells_gives_the_same_codes(name: str) -> None:
    assert _codes(ROOMS[name](), NUMBERS) == [[2, 1, 3, 0]]


def test_booleans_read_like_their_words() -> None:
    domain = Domain.declare({"minor": ["true", "false"]})
    stored: list[pd.DataFrame | pa.Table] = [
        pd.DataFrame({"minor": [True, False]}),
        pd.DataFrame({"minor": ["true", "false"]}),
        pd.DataFrame({"minor": [True, "false"]}, dtype=object),
        pa.table({"minor": [True, False]}),
    ]
    assert [_codes(frame, domain) for frame in stored] == [[[1, 2]]] * 4


def test_flags_of_a_schema_read_booleans_numbers_and_words_alike() -> None:
    domain = Domain.from_schema(load_schema("ctdc-global"))
    place = [column.name for column in domain.columns].index("isForcedLabour")
    others = {column.name: [""] * 2 for column in domain.columns}
    stored: list[list[object]] = [["1", "0"], [1, 0], [1.0, 0.0], [True, False], ["yes", "no"], ["1.0", "False"]]
    found = [
        encode(pd.DataFrame({**others, "isForcedLabour": cells}), domain, person=None).columns[place].tolist()
        for cells in stored
    ]
    assert found == [[1, 0]] * len(stored)


@pytest.mark.parametrize("form", [pa.string(), pa.null(), pa.float64(), pa.dictionary(pa.int32(), pa.string())])
@pytest.mark.parametrize("chunks", [0, 1])
def test_a_table_without_records_gives_empty_columns(form: pa.DataType, chunks: int) -> None:
    empty = pa.chunked_array([pa.array([], type=form)] * chunks, type=form)
    coded = encode(pa.table({"sex": empty, "means": empty, "id": empty}), DOMAIN, person="id")
    assert [column.shape for column in coded.columns] == [(0,)] * 4
    assert coded.records == 0
    assert coded.persons is not None and len(coded.persons) == 0


def test_columns_that_the_domain_does_not_name_are_ignored() -> None:
    frame = pd.DataFrame({"sex": ["f"], "means": [""], "surname": ["never read"], "notes": [["a", "list"]]})
    assert _codes(frame) == [[1], [0], [0], [0]]


def test_every_absent_column_is_named() -> None:
    frame = pd.DataFrame({"sex": ["f"]})
    with pytest.raises(UnknownColumnError, match="missing from the file: consent, id, means;"):
        encode(frame, DOMAIN, person="id", consent_column="consent")


@pytest.mark.parametrize("store", ["pandas", "arrow"])
def test_a_column_that_is_there_twice_is_refused_by_name(store: str) -> None:
    cells, names = ["f", "debt", "m"], ["sex", "means", "sex"]
    frame = pd.DataFrame([cells], columns=names) if store == "pandas" else pa.table([[c] for c in cells], names=names)
    with pytest.raises(RepeatedColumnError, match="named more than once: sex;"):
        encode(frame, DOMAIN, person=None)


@pytest.mark.parametrize("cells", [[["SECRET"]], [{"a": "SECRET"}], [b"SECRET\xff"]], ids=["list", "struct", "bytes"])
def test_cells_that_are_no_text_are_refused_by_column_and_never_shown(cells: list[Any]) -> None:
    with pytest.raises(ColumnTypeError, match="column sex holds") as refusal:
        encode(pa.table({"sex": cells, "means": [""]}), DOMAIN, person=None)
    told = refusal.value
    assert "SECRET" not in str(told)
    assert told.__cause__ is None and told.__context__ is None


def test_a_frame_of_odd_objects_gives_codes_and_no_message_with_a_cell_in_it() -> None:
    odd: list[object] = [1, "SECRET", datetime.date(2020, 1, 1), "\ud800", "f", ("a", 1)]
    frame = pd.DataFrame({"sex": pd.Series(odd, dtype=object), "means": [""] * len(odd)})
    assert _codes(frame)[0] == [0, 0, 0, 0, 1, 0]


def test_a_multi_cell_holds_several_values_and_one_unlisted_part_puts_it_outside() -> None:
    frame = pd.DataFrame({"sex": [""] * 4, "means": ["debt ; papers", "debt;debt", "debt;rare", "rare"]})
    assert _codes(frame)[1:] == [[0, 0, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0]]


def test_person_tokens_are_text_whatever_the_file_stores() -> None:
    stored: list[pa.Array] = [pa.array(["7", "8", None]), pa.array([7, 8, None]), pa.array([7.0, 8.0, float("nan")])]
    stored.append(stored[0].dictionary_encode())
    for tokens in stored:
        coded = encode(pa.table({"sex": ["f"] * 3, "means": [""] * 3, "id": tokens}), DOMAIN, person="id")
        assert coded.persons is not None and coded.persons.to_pylist() == ["7", "8", None]


TYPES = [
    *(
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.int8(),
        pa.uint64(),
        pa.float16(),
        pa.float32(),
        pa.float64(),
    ),
    *(pa.bool_(), pa.date32(), pa.date64(), pa.timestamp("ns"), pa.timestamp("us", tz="UTC"), pa.time32("s")),
    *(pa.time64("ns"), pa.duration("s"), pa.decimal128(5, 2), pa.decimal256(50, 2), pa.null()),
    *(pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.int32(), pa.float64())),
]
UNREADABLE = [
    *(pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(4), pa.list_(pa.string()), pa.large_list(pa.int8())),
    *(pa.struct([("SECRET", pa.int8())]), pa.map_(pa.string(), pa.int8()), pa.month_day_nano_interval(), pa.uuid()),
    *(pa.run_end_encoded(pa.int32(), pa.string()), pa.dictionary(pa.int8(), pa.binary())),
    pa.timestamp("us", tz="SECRET/Nowhere"),
]


def _cells(stored: pa.DataType) -> pa.Array:
    """A null and, where the type takes one, a value."""
    for value in (0, "a", 0.5, True):
        try:
            return pa.array([None, value], type=stored)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, TypeError):
            continue
    return pa.nulls(2, stored)


@pytest.mark.parametrize("stored", TYPES, ids=str)
def test_what_passes_the_check_of_columns_can_be_encoded(stored: pa.DataType) -> None:
    table = pa.table({"sex": _cells(stored), "means": _cells(stored), "id": _cells(stored)})
    check_columns(table, ["sex", "means", "id"])
    coded = encode(table, DOMAIN, person="id", consent_column="id")
    assert coded.records == 2
    assert coded.persons is not None and coded.persons[0].as_py() is None


@pytest.mark.parametrize("stored", UNREADABLE, ids=str)
def test_a_type_that_cannot_be_read_is_known_from_the_type_alone(stored: pa.DataType) -> None:
    table = pa.table({"sex": pa.array([], pa.string()), "means": pa.nulls(0, stored)})
    with pytest.raises(ColumnTypeError, match="column means holds") as refusal:
        check_columns(table, ["sex", "means"])
    assert "SECRET" not in str(refusal.value)


def test_text_that_is_no_utf_8_is_found_by_the_check_of_columns() -> None:
    damaged = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(np.array([0, 7], np.int32)), pa.py_buffer(b"SECRET\xff")]
    )
    with pytest.raises(ColumnTypeError, match="column sex holds text that is not UTF-8") as refusal:
        check_columns(pa.table({"sex": damaged}), ["sex"])
    assert "SECRET" not in str(refusal.value)


@pytest.mark.parametrize(
    ("cells", "tokens"),
    [
        (pa.array([7.0, float("nan"), None, 10_000_000.0, 0.5]), ["7", None, None, "10000000", "0.5"]),
        (pa.array([7, None, 10_000_000]), ["7", None, "10000000"]),
        (pa.array([" 7", "7\u00a0", "\t", "", None, "nan"]), ["7", "7", None, None, None, "nan"]),
    ],
    ids=["floats", "integers", "text"],
)
def test_a_token_is_the_same_text_however_the_file_stores_it(cells: pa.Array, tokens: list[str | None]) -> None:
    assert person_tokens(pa.chunked_array([cells]), "id").to_pylist() == tokens


def test_equal_tokens_of_two_issuers_are_two_persons() -> None:
    column = pa.chunked_array([["7", "1/7", None]])
    one, two, plain = (person_tokens(column, "id", issuer=issuer).to_pylist() for issuer in ("1", "2", ""))
    known = [token for token in (*one, *two, *plain) if token is not None]
    assert one[2] is two[2] is None
    assert len({*one[:2], *two[:2]}) == 4
    assert known == ["1/7", "1/1/7", "2/7", "2/1/7", "7", "1/7"]


def test_consent_is_what_the_reader_says_and_a_null_is_not_given() -> None:
    meaning = {"yes": 1, "no": -1}
    frame = pa.table({"sex": ["f"] * 5, "means": [""] * 5, "may": ["yes", "no", "", None, "perhaps"]})
    coded = encode(frame, DOMAIN, person=None, consent=lambda cell: meaning.get(cell, 0), consent_column="may")
    assert coded.permitted is not None and coded.permitted.tolist() == [1, -1, 0, 0, 0]


def test_a_consent_column_without_a_reader_gives_consent_to_nobody() -> None:
    frame = pa.table({"sex": ["f"], "means": [""], "may": ["yes"]})
    coded = encode(frame, DOMAIN, person=None, consent_column="may")
    assert coded.permitted is not None and coded.permitted.tolist() == [0]
