"""An answer as a frame and as a table of a notebook: what is hidden is missing, what is a text stays one, and no column takes the place of another."""

from __future__ import annotations

from typing import Any

import pytest

from casehaven.client import UnexpectedAnswerError
from casehaven.client.answers import read_answer
from casehaven.client.datasets import Dataset
from casehaven.client.display import ROWS_SHOWN, Listing, html_table
from casesynth.canonical import canonical_json


def document(*rows: dict[str, Any]) -> dict[str, Any]:
    return {
        "format": "casehaven-answer/1",
        "question": {"by": [], "show": "counts", "where": {"all": []}},
        "snapshot": {"day": "2026-03-01"},
        "guarantee": {
            "unit": "person token",
            "nano_rho": 1_500_000,
            "epsilon": 0.1,
            "delta": 1e-6,
            "max_tokens_per_person": 1,
            "epsilon_per_person": 0.1,
            "mechanism": "discrete Gaussian (opendp)",
            "not_protected": "facts true of a whole group",
        },
        "earlier_tables": 0,
        "within": 9.75,
        "hidden_below": {"count": 10, "standard_deviations": 2.5},
        "rows": list(rows),
    }


def count(cell: list[list[str]], estimate: float, **more: Any) -> dict[str, Any]:
    return {"cell": cell, "kind": "count", "estimate": estimate, "low": estimate - 5, "high": estimate + 5, **more}


def test_each_number_is_a_row_with_its_interval_and_the_price_of_the_whole_answer() -> None:
    answer = read_answer(
        document(
            count([["gender", "Woman"], ["year", "2021"]], 40),
            count([["gender", ""], ["year", "2021"]], 12, answered=False),
            {"cell": [["gender", "Man"], ["year", "2021"]], "kind": "count", "hidden": True},
        ),
        key="k",
    )
    frame = answer.to_pandas()
    assert list(frame.columns) == ["gender", "year", "kind", "value", "low", "high", "rho", "hidden"]
    assert frame["gender"].tolist() == ["Woman", "", "Man"]
    assert frame["value"].tolist()[:2] == [40, 12]
    assert frame[["value", "low", "high"]].isna().sum().tolist() == [1, 1, 1]
    assert frame["value"].dtype == "float64"
    assert set(frame["rho"]) == {0.0015} == {answer.rho}
    assert answer.axes == ("gender", "year")
    assert [row.answered for row in answer.rows] == [True, False, True]
    assert answer.day == "2026-03-01"
    assert answer.to_bytes() == canonical_json(answer.document)


def test_quantiles_stay_texts_with_their_level() -> None:
    row = {"cell": [], "kind": "quantile", "level": 0.5, "estimate": "18-29", "low": "9-17", "high": "30-38"}
    frame = read_answer(document(row)).to_pandas()
    assert list(frame.columns) == ["kind", "level", "value", "low", "high", "rho", "hidden"]
    assert frame.iloc[0][["level", "value", "low", "high"]].tolist() == [0.5, "18-29", "9-17", "30-38"]


def test_an_attribute_with_the_name_of_a_column_takes_its_place_nowhere() -> None:
    cell = [["value", "a"], ["rho", "b"], ["kind", "c"]]
    frame = read_answer(document(count(cell, 20))).to_pandas()
    assert frame.iloc[0].to_dict() == {
        "value (axis)": "a",
        "rho (axis)": "b",
        "kind (axis)": "c",
        "kind": "count",
        "value": 20.0,
        "low": 15.0,
        "high": 25.0,
        "rho": 0.0015,
        "hidden": False,
    }


def test_an_answer_without_rows_is_an_empty_frame() -> None:
    frame = read_answer(document()).to_pandas()
    assert list(frame.columns) == ["kind", "value", "low", "high", "rho", "hidden"]
    assert frame.empty


def test_a_notebook_shows_intervals_and_says_what_hidden_means() -> None:
    answer = read_answer(
        document(count([["sex & age", "<b>"]], 1234.5), {"cell": [["sex & age", ""]], "kind": "count", "hidden": True})
    )
    page = answer._repr_html_()
    assert "<td>&lt;b&gt;</td><td>1,234.5</td><td>1,229.5 to 1,239.5</td>" in page
    assert "<td>(not known)</td><td>hidden</td><td></td>" in page
    assert "not the same as nobody" in page
    assert "rho 0.001500000" in page


def test_a_listing_is_a_tuple_and_a_table_that_is_cut() -> None:
    datasets = [
        Dataset(organisation="north", name=f"d{number}", schema="s", schema_version="1", people_cap=1000)
        for number in range(ROWS_SHOWN + 5)
    ]
    listing = Listing(datasets)
    assert listing[0] is datasets[0]
    page = listing._repr_html_()
    assert page.count("<tr>") == ROWS_SHOWN + 1
    assert "and 5 more rows" in page
    assert "<td>1,000</td>" in page
    assert "sha256" not in page
    assert Listing[Dataset]()._repr_html_() == html_table("nothing", [], [])


def test_another_format_is_refused() -> None:
    with pytest.raises(UnexpectedAnswerError, match="another format"):
        read_answer({**document(), "format": "casehaven-answer/2"})
