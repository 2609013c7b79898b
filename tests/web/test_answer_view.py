"""How an answer is read: labels in the reader's language, numbers with intervals, nothing where something is hidden, no formula in a file."""

from __future__ import annotations

import csv
import io
from typing import Any, Final

import pytest

from casehaven.web.answer_view import BARS_MOST, csv_bytes, read
from casehaven.web.words import LANGUAGES, Words
from caseschemas import CaseSchema, shipped_schema

EN, AR = (Words(language=LANGUAGES[code]) for code in ("en", "ar"))
EVERYBODY: Final[dict[str, Any]] = {"all": []}


@pytest.fixture(scope="module")
def schema() -> CaseSchema:
    return shipped_schema("ctdc-global")


def answer(by: list[Any], rows: list[dict[str, Any]], **question: Any) -> dict[str, Any]:
    """An answer as the service writes it, of made-up numbers."""
    return {
        "question": {"by": by, "count": "people", "where": EVERYBODY, "show": "counts", "totals": False, **question},
        "snapshot": {"day": "2026-11-23"},
        "guarantee": {"nano_rho": 2_000_000},
        "rows": rows,
    }


def count(*cell: tuple[str, str], **numbers: Any) -> dict[str, Any]:
    return {"cell": [list(one) for one in cell], "kind": "count", **(numbers or {"hidden": True})}


GENDER: Final = {"attribute": "gender", "parts": [["", [0]], ["Man", [1]], ["Woman", [2]]]}


def test_parts_have_the_labels_of_the_schema_in_the_language_of_the_reader(schema: CaseSchema) -> None:
    rows = [
        count(("gender", ""), estimate=12, low=1, high=23),
        count(("gender", "Woman")),
        count(("gender", "(all)"), estimate=1234, low=1000, high=1468),
    ]
    english, arabic = (read(answer([GENDER], rows), schema, words) for words in (EN, AR))
    assert english.axes == ("Gender",)
    assert [row.parts for row in english.rows] == [("Not known",), ("Woman",), ("All",)]
    assert [row.said for row in english.rows] == ["12", "", "1,234"]
    assert [row.interval for row in english.rows] == ["1 to 23", "", "1,000 to 1,468"]
    assert [bar.label for bar in english.bars] == ["Not known", "All"]
    assert arabic.axes == ("النوع الاجتماعي",)
    assert [row.parts for row in arabic.rows] == [("غير معروف",), ("امرأة",), ("الكل",)]
    assert english.hidden == arabic.hidden == 1


def test_a_group_that_was_named_like_a_value_keeps_its_own_name(schema: CaseSchema) -> None:
    axis = {"attribute": "gender", "parts": [["Woman", [1, 2]], ["(other)", [3]]]}
    found = read(answer([axis], [count(("gender", "Woman")), count(("gender", "(other)"))]), schema, AR)
    assert [row.parts for row in found.rows] == [("Woman",), ("غير ذلك",)]


def test_a_level_is_called_by_its_own_name(schema: CaseSchema) -> None:
    level = next(one for one in schema.hierarchies if one.name == "citizenshipRegion")
    attribute = schema.attribute("citizenship")
    parts = [[one.code, [attribute.position(code) for code in one.members]] for one in level.parents]
    axis = {"attribute": "citizenship", "parts": [*parts, ["", [0]]]}
    found = read(answer([axis], [count(("citizenship", "002")), count(("citizenship", ""))]), schema, EN)
    assert found.axes == ("Region of citizenship",)
    assert [row.parts for row in found.rows] == [("Africa",), ("Not known",)]
    assert found.about == "Number of people by Region of citizenship"


def test_conditions_and_years_are_said(schema: CaseSchema) -> None:
    region = next(one for one in schema.hierarchies if one.name == "citizenshipRegion").parents[0]
    where = {
        "all": [
            {"attribute": "citizenship", "in": list(region.members)},
            {"any": [{"attribute": "gender", "in": ["", "Man"]}, {"attribute": "isForcedLabour", "in": ["1"]}]},
        ]
    }
    found = read(answer([], [count()], where=where, registered=["", "2021"]), schema, EN)
    assert found.only == (
        "Citizenship: Africa",
        "Gender: Not known, Man or Forced labour: Yes",
        "First registered in Not known, 2021",
    )
    many = {"attribute": "citizenship", "in": [value.code for value in schema.attribute("citizenship").values[1:12]]}
    assert read(answer([], [count()], where=many), schema, EN).only[0].endswith(" and 3 more")


@pytest.mark.parametrize(
    ("show", "of", "row", "said", "about"),
    [
        ("percentages", [], {"estimate": 48.12, "low": 31.2, "high": 69.37}, "48.1 %", "Percentages of those who answered"),
        ({"mean": "ageBroad", "bounds": []}, ["ageBroad"], {"estimate": 24.25, "low": 9.0, "high": 30.0}, "24.2", "Mean of Age at registration"),
        ({"quantiles": [0.5], "of": "ageBroad"}, ["ageBroad"], {"estimate": "18-20", "low": "9-17", "high": "24-26", "level": 0.5}, "18-20", "Quantiles of Age at registration"),
    ],
)  # fmt: skip
def test_each_kind_of_number_is_written_in_its_way(
    schema: CaseSchema, show: Any, of: list[str], row: dict[str, Any], said: str, about: str
) -> None:
    kind = show if isinstance(show, str) else next(iter(show))
    by = [GENDER, *({"attribute": name, "parts": []} for name in of)]
    rows = [{"cell": [["gender", "Man"]], "kind": kind.removesuffix("s").replace("percentages", "percentage"), **row}]
    found = read(answer(by, rows, show=show), schema, EN)
    assert found.rows[0].said == said
    assert found.about == f"{about} by Gender"
    assert bool(found.bars) == (not isinstance(row["estimate"], str))
    assert found.levels == ("level" in row)


def test_an_answer_without_a_known_schema_stands_as_it_is_written() -> None:
    found = read(answer([GENDER], [count(("gender", "Woman"))]), None, EN)
    assert (found.axes, found.rows[0].parts) == (("gender",), ("Woman",))


def test_records_are_not_called_people(schema: CaseSchema) -> None:
    found = read(answer([], [count()], count={"records": {"at_most": 2}}), schema, EN)
    assert found.about == "Number of case records"


def test_a_long_answer_has_no_picture(schema: CaseSchema) -> None:
    rows = [count(("gender", "Man"), estimate=20, low=10, high=30)] * (BARS_MOST + 1)
    assert read(answer([GENDER], rows), schema, EN).bars == ()
    assert len(read(answer([GENDER], rows[:-1]), schema, EN).bars) == BARS_MOST


@pytest.mark.parametrize("evil", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "＝1"])
def test_no_cell_of_the_file_is_a_formula(schema: CaseSchema, evil: str) -> None:
    axis = {"facts": evil, "parts": [[evil, ["gender", [1, 2]]]]}
    document = answer([axis], [count((evil, evil), estimate=20, low=10, high=30), count((evil, evil))])
    content = csv_bytes(document, read(document, schema, EN)).decode("utf-8-sig")
    heads, first, second = csv.reader(io.StringIO(content, newline=""))
    assert heads[:2] == [f"'{evil}", f"'{evil} (label)"]
    assert first[:2] == second[:2] == [f"'{evil}", f"'{evil}"]
    assert first[2:7] == ["count", "", "20", "10", "30"]
    assert second[2:8] == ["count", "", "", "", "", "yes"]
    assert first[-1] == "0.002000000"
    median = {
        "cell": [["gender", "Man"]],
        "kind": "quantile",
        "level": 0.5,
        **dict.fromkeys(("estimate", "low", "high"), evil),
    }
    document = answer([GENDER, GENDER], [median], show={"quantiles": [0.5], "of": "gender"})
    content = csv_bytes(document, read(document, schema, EN)).decode("utf-8-sig")
    assert list(csv.reader(io.StringIO(content, newline="")))[1][4:7] == [f"'{evil}"] * 3
