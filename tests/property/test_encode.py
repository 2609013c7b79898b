"""No cell, however odd, makes encoding fail, change another cell, or leave the public list."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from caseschemas import load_schema
from casesynth.domain import Domain, Multi
from casesynth.encode import encode

LISTED = ("a", "b", "1", "2")
DECLARED = Domain.declare({"one": LISTED, "many": Multi(values=LISTED)})
CTDC = Domain.from_schema(load_schema("ctdc-global"))

odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from((*LISTED, " a ", "1.0", "a;b")),
)


def _reference(cell: object) -> tuple[int, set[str]]:
    """Return the position in the single list, and the listed values that a multi cell holds."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return 0, set()
    text = cell if isinstance(cell, str) else str(cell).lower() if isinstance(cell, bool) else f"{cell}"
    if isinstance(cell, float) and cell.is_integer():
        text = str(int(cell))
    parts = [part.strip() for part in text.split(";")]
    single = 1 + LISTED.index(text.strip()) if text.strip() in LISTED else 0
    return single, {part for part in parts if part} if all(part in (*LISTED, "") for part in parts) else set()


@settings(deadline=None, max_examples=200)
@given(st.lists(odd, min_size=1, max_size=8))
def test_cells_of_any_kind_are_read_by_their_text_or_are_outside(cells: list[Any]) -> None:
    column = pd.Series(cells, dtype=object)
    coded = encode(pd.DataFrame({"one": column, "many": column}), DECLARED, person=None)
    for place, cell in enumerate(cells):
        single, several = _reference(cell)
        assert coded.columns[0][place] == single
        found = {value for value, flags in zip(LISTED, coded.columns[1:], strict=True) if flags[place]}
        assert found == several


@settings(deadline=None, max_examples=100)
@given(st.lists(st.none() | st.text(max_size=6), min_size=1, max_size=6))
def test_any_text_in_any_column_of_a_schema_becomes_a_listed_position(cells: list[str | None]) -> None:
    table = pa.table({attribute.name: pa.array(cells, type=pa.string()) for attribute in CTDC.attributes})
    coded = encode(table, CTDC, person=None)
    for column, size in zip(coded.columns, CTDC.sizes, strict=True):
        assert column.shape == (len(cells),)
        assert int(column.max()) < size
