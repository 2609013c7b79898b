"""The data files of a bundle are read back as they were written, and refused when they are not what they say."""

from __future__ import annotations

import csv
import itertools
import json
import math
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from casesynth.aggregates import ABSENT, AggregateTable
from casesynth.domain import Attribute, Domain, Multi
from casesynth.intervals import ErrorScale
from casesynth.marginals import signed_shape
from casesynth.measure import Measurement
from casesynth.model import LatentClassModel
from casesynth.tables import (
    TableFormatError,
    aggregates_frame,
    read_measurements,
    read_model,
    records_frame,
    safe_cell,
    stored_columns,
    write_frame,
    write_measurements,
    write_model,
)

if TYPE_CHECKING:
    from tests.synth.conftest import Exact

DOMAIN = Domain.declare({"sex": ["f", "m"], "means": Multi(values=["threats", "debt"]), "país": ["ñ"]})
OTHER = Domain.declare({"sex": ["m", "f"], "means": Multi(values=["threats", "debt"]), "país": ["ñ"]})


def _measurements() -> tuple[Measurement, ...]:
    random = np.random.default_rng(1)
    cliques = [(0, 1), (2,), (0, 2, 3), (1, 3), (), (0,), (1, 2, 3)]
    values = [np.array(random.integers(-(2**61), 2**61, signed_shape(c, DOMAIN.sizes))) for c in cliques]
    return tuple(
        Measurement(clique=c, values=v, nano_rho=10**9 + i)
        for i, (c, v) in enumerate(zip(cliques, values, strict=True))
    )


def _model() -> LatentClassModel:
    random = np.random.default_rng(2)
    return LatentClassModel(
        people=1 / 3,
        people_sigma=0.1 + 0.2,
        weights=random.dirichlet(np.ones(7)),
        shares=tuple(random.dirichlet(np.ones(size), size=7).T for size in DOMAIN.sizes),
        stiffness=0.03,
        residual=(1.0, 1e-300, 2 / 3),
    )


def _errors() -> ErrorScale:
    return ErrorScale(
        centres=np.array([0.1 + 0.2, 5.0, 9.0]),
        half_widths=np.array([[1 / 3, 2.0, 3.0], [4.0, 5.0, 1e300], [7.0, 8.0, 9.0]]),
        misfit=np.array([0.0, 1e-300, 2 / 3]),
    )


def _rewrite(path: Path, change: Callable[[pa.Table, dict[str, Any]], pa.Table]) -> None:
    """Change a stored table; the header is changed in place."""
    table = pq.read_table(path)
    header = json.loads(table.schema.metadata[b"casesynth"])
    changed = change(table, header)
    pq.write_table(changed.replace_schema_metadata({"casesynth": json.dumps(header)}), path)


def test_measurements_come_back_bit_by_bit(tmp_path: Path) -> None:
    write_measurements(_measurements(), DOMAIN, tmp_path / "m.parquet")
    found = read_measurements(tmp_path / "m.parquet", DOMAIN)
    for one, other in zip(found, _measurements(), strict=True):
        assert (one.clique, one.nano_rho, one.scale) == (other.clique, other.nano_rho, other.scale)
        assert one.values.dtype == np.int64
        assert one.values.shape == other.values.shape
        np.testing.assert_array_equal(one.values, other.values)


def test_stored_measurements_can_be_read_without_us(tmp_path: Path) -> None:
    write_measurements(_measurements(), DOMAIN, tmp_path / "m.parquet")
    table = pq.read_table(tmp_path / "m.parquet")
    header = json.loads(table.schema.metadata[b"casesynth"])
    assert header["format"] == "casesynth-measurements/4"
    assert header["columns"][3] == {"name": "país", "values": ["", "ñ"]}
    assert [(t["columns"], t["axes"]) for t in header["tables"]] == [
        (["sex", "means=threats"], ["sex"]),
        (["means=debt"], []),
        (["sex", "means=debt", "país"], ["sex"]),
        (["means=threats", "país"], []),
        ([], []),
        (["sex"], ["sex"]),
        (["means=threats", "means=debt", "país"], []),
    ]
    rows = table.to_pandas()
    third = rows[rows["table"] == 2]
    assert third.loc[third["cell"] == 2, "value"].item() == _measurements()[2].values[2]
    assert rows["table"].value_counts().sort_index().tolist() == [3, 1, 3, 1, 1, 3, 1]


def test_folded_values_are_named_in_the_header_and_come_back(tmp_path: Path) -> None:
    domain = Domain.declare({"place": [f"p{i}" for i in range(59)], "sex": ["f"]})
    counts = np.array([500, 400, *[0] * 58])
    measured = (
        Measurement(clique=(0,), values=counts, nano_rho=10**6),
        Measurement(clique=(1,), values=np.array(300), nano_rho=10**6),
        Measurement(clique=(0, 1), values=np.array([5, 6, 7]), nano_rho=10**6),
    )
    write_measurements(measured, domain, tmp_path / "m.parquet")
    header = json.loads(pq.read_table(tmp_path / "m.parquet").schema.metadata[b"casesynth"])
    assert header["folded"] == {"place": [f"p{i}" for i in range(1, 59)]}
    found = read_measurements(tmp_path / "m.parquet", domain)
    assert [m.values.shape for m in found] == [(60,), (), (3,)]

    def unfold_one(table: pa.Table, header: dict[str, Any]) -> pa.Table:
        header["folded"]["place"] = header["folded"]["place"][1:]
        return table

    _rewrite(tmp_path / "m.parquet", unfold_one)
    with pytest.raises(TableFormatError, match="m.parquet"):
        read_measurements(tmp_path / "m.parquet", domain)


def test_values_that_fold_in_triples_are_named_apart_and_come_back(tmp_path: Path) -> None:
    domain = Domain.declare({"place": [f"p{i}" for i in range(59)], "sex": ["f"], "minor": ["y"]})
    counts = np.array([90, 9_000, 80, 8_000, *[0] * 56])  # the scale is 22
    measured = (
        Measurement(clique=(0,), values=counts, nano_rho=10**6),
        Measurement(clique=(0, 1), values=np.arange(5), nano_rho=10**6),
        Measurement(clique=(0, 1, 2), values=np.arange(3), nano_rho=10**6),
    )
    write_measurements(measured, domain, tmp_path / "m.parquet")
    header = json.loads(pq.read_table(tmp_path / "m.parquet").schema.metadata[b"casesynth"])
    assert header["folded"] == {"place": [f"p{i}" for i in range(3, 59)]}
    assert header["folded_in_triples"] == {
        "place": ["", "p1"]
    }  # the axis of the pair: p0, p2, then these, then the rest
    found = read_measurements(tmp_path / "m.parquet", domain)
    assert [m.values.shape for m in found] == [(60,), (5,), (3,)]

    def tell_another(table: pa.Table, header: dict[str, Any]) -> pa.Table:
        header["folded_in_triples"]["place"] = ["", "p0"]
        return table

    _rewrite(tmp_path / "m.parquet", tell_another)
    with pytest.raises(TableFormatError, match="not those that its single columns tell"):
        read_measurements(tmp_path / "m.parquet", domain)


def test_cells_mean_what_the_header_says_without_us(tmp_path: Path, exact: Exact) -> None:
    """Each cell of the axes holds the people there, counted +1 or -1 for each column that is no axis."""
    random = np.random.default_rng(6)
    domain = Domain.declare({"minor": ["yes"], "age": ["15", "20", "40"], "debt": ["yes"], "sex": ["f", "m"]})
    people = tuple(random.integers(0, size, 90).astype(np.uint16) for size in domain.sizes)
    cliques = [clique for length in range(4) for clique in itertools.combinations(range(4), length)]
    write_measurements(exact(people, cliques, domain.sizes, 10**9), domain, tmp_path / "m.parquet")

    stored = pq.read_table(tmp_path / "m.parquet")
    header = json.loads(stored.schema.metadata[b"casesynth"])
    values = {column["name"]: column["values"] for column in header["columns"]}
    records = [
        dict(zip(values, (listed[code] for listed, code in zip(values.values(), person, strict=True)), strict=True))
        for person in zip(*people, strict=True)
    ]
    cells = iter(stored.column("value").to_pylist())
    for table in header["tables"]:
        signs = [name for name in table["columns"] if name not in table["axes"]]
        assert all(len(values[name]) == 2 for name in signs)
        for cell in itertools.product(*(values[name] for name in table["axes"])):
            inside = [r for r in records if tuple(r[name] for name in table["axes"]) == cell]
            total = sum(math.prod(1 if r[name] == values[name][0] else -1 for name in signs) for r in inside)
            assert next(cells) == total
    assert next(cells, None) is None


def test_a_model_comes_back_bit_by_bit(tmp_path: Path) -> None:
    write_model(_model(), _errors(), DOMAIN, tmp_path / "model.parquet")
    found, written = read_model(tmp_path / "model.parquet", DOMAIN)[0], _model()
    for field in fields(LatentClassModel):
        one, other = getattr(found, field.name), getattr(written, field.name)
        if field.name == "shares":
            for a, b in zip(one, other, strict=True):
                np.testing.assert_array_equal(a, b)
        else:
            np.testing.assert_array_equal(one, other)


def test_the_error_scale_comes_back_bit_by_bit_and_gives_the_same_intervals(tmp_path: Path) -> None:
    write_model(_model(), _errors(), DOMAIN, tmp_path / "model.parquet")
    found, written = read_model(tmp_path / "model.parquet", DOMAIN)[1], _errors()
    for field in fields(ErrorScale):
        np.testing.assert_array_equal(getattr(found, field.name), getattr(written, field.name))
    lengths, estimates = np.array([1, 2, 3, 3]), np.array([0.0, 12.5, 400.0, 1e9])
    np.testing.assert_array_equal(found.half_width(lengths, estimates), written.half_width(lengths, estimates))


def test_the_columns_of_a_stored_model_can_be_named_without_its_schema(tmp_path: Path) -> None:
    write_model(_model(), _errors(), DOMAIN, tmp_path / "model.parquet")
    assert stored_columns(tmp_path / "model.parquet") == {
        "sex": ("", "f", "m"),
        "means=threats": ("", "1"),
        "means=debt": ("", "1"),
        "país": ("", "ñ"),
    }


def test_files_for_other_value_lists_are_refused(tmp_path: Path) -> None:
    write_measurements(_measurements(), DOMAIN, tmp_path / "m.parquet")
    write_model(_model(), _errors(), DOMAIN, tmp_path / "model.parquet")
    with pytest.raises(TableFormatError, match="m.parquet was made for other value lists"):
        read_measurements(tmp_path / "m.parquet", OTHER)
    with pytest.raises(TableFormatError, match="model.parquet was made for other value lists"):
        read_model(tmp_path / "model.parquet", OTHER)


def test_one_file_is_not_taken_for_the_other(tmp_path: Path) -> None:
    write_measurements(_measurements(), DOMAIN, tmp_path / "m.parquet")
    write_model(_model(), _errors(), DOMAIN, tmp_path / "model.parquet")
    with pytest.raises(TableFormatError, match="not a file of the format casesynth-model/2"):
        read_model(tmp_path / "m.parquet", DOMAIN)
    with pytest.raises(TableFormatError, match="not a file of the format casesynth-measurements/4"):
        read_measurements(tmp_path / "model.parquet", DOMAIN)


@pytest.mark.parametrize(
    "content",
    [b"", b"PAR1", b"not a table at all" * 50, b"PAR1" + b"\0" * 100 + b"PAR1"],
    ids=["empty", "stub", "text", "zeros"],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.parquet").write_bytes(content)
    for read in (read_measurements, read_model):
        with pytest.raises(TableFormatError, match="m.parquet is not a file of the format"):
            read(tmp_path / "m.parquet", DOMAIN)


@pytest.mark.parametrize("header", [None, b"{", b"[]", b"7", b'{"format": "casesynth-measurements/1"}', b"\xff"])
def test_a_damaged_header_is_refused(tmp_path: Path, header: bytes | None) -> None:
    write_measurements(_measurements(), DOMAIN, tmp_path / "measurements.parquet")
    write_model(_model(), _errors(), DOMAIN, tmp_path / "model.parquet")
    for path in tmp_path.iterdir():
        pq.write_table(
            pq.read_table(path).replace_schema_metadata(None if header is None else {b"casesynth": header}), path
        )
        for read in (read_measurements, read_model):
            with pytest.raises(TableFormatError, match="not a file of the format"):
                read(path, DOMAIN)


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    for read in (read_measurements, read_model):
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "absent.parquet", DOMAIN)


def _set(*keys: Any, to: Any) -> Callable[[pa.Table, dict[str, Any]], pa.Table]:
    def change(table: pa.Table, header: dict[str, Any]) -> pa.Table:
        inside: Any = header
        for key in keys[:-1]:
            inside = inside[key]
        inside[keys[-1]] = to
        return table

    return change


@pytest.mark.parametrize(
    "change",
    [
        _set("tables", to=None),
        _set("tables", to=[]),
        _set("tables", 0, to="sex"),
        _set("tables", 0, "columns", to=["sex", "unknown"]),
        _set("tables", 0, "columns", to=["means=threats", "sex"]),
        _set("tables", 0, "columns", to=["sex", "sex"]),
        _set("tables", 0, "columns", to=[]),
        _set("tables", 0, "columns", to=7),
        _set("tables", 1, "columns", to=["sex"]),
        _set("tables", 6, "columns", to=["sex", "means=threats", "means=debt", "país"]),
        _set(
            "tables", 6, to={"columns": ["sex", "means=threats", "means=debt", "país"], "axes": ["sex"], "nano_rho": 7}
        ),
        _set("tables", 0, "axes", to=[]),
        _set("tables", 0, "axes", to=None),
        _set("tables", 0, "axes", to=["sex", "means=threats"]),
        _set("tables", 0, "axes", to=["means=threats"]),
        _set("tables", 1, "axes", to=["means=debt"]),
        _set("tables", 0, "nano_rho", to=0),
        _set("tables", 0, "nano_rho", to=1.5),
        _set("tables", 0, "nano_rho", to=True),
        _set("tables", 0, "nano_rho", to=None),
        _set("folded", to=None),
        _set("folded", to={"sex": None}),
        _set("folded", to={"sex": ["f"]}),
        _set("folded", to={"sex": ["f", "m"]}),
        lambda table, header: table.slice(0, len(table) - 1),
        lambda table, header: pa.concat_tables([table, table.slice(0, 1)]),
        lambda table, header: table.take(pa.array([1, 0, *range(2, len(table))])),
        lambda table, header: table.drop_columns(["value"]),
        lambda table, header: table.set_column(2, "value", table.column("value").cast(pa.float64(), safe=False)),
        lambda table, header: table.set_column(2, "value", pa.array([None] * len(table), pa.int64())),
        lambda table, header: table.set_column(0, "table", pa.array([0] * len(table), pa.int32())),
    ],
)
def test_measurements_that_contradict_their_header_are_refused(
    tmp_path: Path, change: Callable[[pa.Table, dict[str, Any]], pa.Table]
) -> None:
    write_measurements(_measurements(), DOMAIN, tmp_path / "m.parquet")
    _rewrite(tmp_path / "m.parquet", change)
    with pytest.raises(TableFormatError, match="m.parquet"):
        read_measurements(tmp_path / "m.parquet", DOMAIN)


@pytest.mark.parametrize(
    "change",
    [
        _set("weights", to=None),
        _set("weights", to=[0.5, 0.5]),
        _set("weights", 0, to="1"),
        _set("weights", 0, to=float("nan")),
        _set("people", to=None),
        _set("people", to=float("inf")),
        _set("people_sigma", to="0.1"),
        _set("stiffness", to=[0.1]),
        _set("residual", to=[1.0, 1.0]),
        _set("residual", to=None),
        _set("errors", to=None),
        _set("errors", "centres", to=[]),
        _set("errors", "centres", to=[1.0, 1.0, 2.0]),
        _set("errors", "centres", to=[1.0, 2.0]),
        _set("errors", "half_widths", to=[[1.0, 2.0, 3.0]]),
        _set("errors", "half_widths", 1, to=None),
        _set("errors", "half_widths", 2, to=[1.0, 2.0]),
        _set("errors", "half_widths", 0, 0, to=0.0),
        _set("errors", "half_widths", 0, 0, to=float("inf")),
        _set("errors", "misfit", to=[0.0, 0.0]),
        _set("errors", "misfit", 0, to=-1.0),
        lambda table, header: table.drop_columns(["shares"]),
        lambda table, header: table.drop_columns(["column"]),
        lambda table, header: table.slice(1),
        lambda table, header: table.set_column(2, "shares", pa.array([1.0] * len(table))),
        lambda table, header: table.set_column(
            2, "shares", pa.array([["a"] * 7] * len(table), pa.list_(pa.string(), 7))
        ),
        lambda table, header: table.set_column(2, "shares", pa.array([None] * len(table), pa.list_(pa.float64(), 7))),
    ],
)
def test_a_model_that_contradicts_its_header_is_refused(
    tmp_path: Path, change: Callable[[pa.Table, dict[str, Any]], pa.Table]
) -> None:
    write_model(_model(), _errors(), DOMAIN, tmp_path / "model.parquet")
    _rewrite(tmp_path / "model.parquet", change)
    with pytest.raises(TableFormatError, match="model.parquet"):
        read_model(tmp_path / "model.parquet", DOMAIN)


def test_rewriting_without_a_change_is_accepted(tmp_path: Path) -> None:
    write_measurements(_measurements(), DOMAIN, tmp_path / "m.parquet")
    write_model(_model(), _errors(), DOMAIN, tmp_path / "model.parquet")
    for name in ("m.parquet", "model.parquet"):
        _rewrite(tmp_path / name, lambda table, header: table)
    assert len(read_measurements(tmp_path / "m.parquet", DOMAIN)) == 7
    assert read_model(tmp_path / "model.parquet", DOMAIN)[0].people == 1 / 3


def _codes(*rows: tuple[int, ...]) -> tuple[np.ndarray[Any, np.dtype[np.uint16]], ...]:
    return tuple(np.array(column, dtype=np.uint16) for column in zip(*rows, strict=True))


def test_records_show_codes_and_join_several_values() -> None:
    frame = records_frame(_codes((1, 1, 1, 0), (0, 0, 1, 1), (2, 0, 0, 0)), DOMAIN)
    assert frame.columns.tolist() == ["sex", "means", "país"]
    assert frame["sex"].tolist() == ["f", "", "m"]
    assert frame["means"].tolist() == ["threats;debt", "debt", ""]
    assert frame["país"].tolist() == ["", "ñ", ""]


def test_no_records_give_a_frame_with_the_public_columns() -> None:
    frame = records_frame(tuple(np.zeros(0, dtype=np.uint16) for _ in DOMAIN.sizes), DOMAIN)
    assert frame.columns.tolist() == ["sex", "means", "país"] and len(frame) == 0


def test_aggregates_show_attributes_values_and_which_are_missing() -> None:
    rows = [((0,), (1,)), ((0,), (0,)), ((1,), (1,)), ((0, 2), (2, 1)), ((0, 1, 3), (1, 1, 1))]
    table = AggregateTable(
        columns=np.array([[*c, *[ABSENT] * (3 - len(c))] for c, _ in rows], dtype=np.int32),
        values=np.array([[*v, *[ABSENT] * (3 - len(v))] for _, v in rows], dtype=np.int32),
        estimate=np.array([50.04, 40.0, 30.0, 20.06, 10.0]),
        low=np.array([45.0, 35.0, 25.0, 15.0, 1.0]),
        high=np.array([55.0, 45.0, 35.0, 25.0, 19.0]),
    )
    frame = aggregates_frame(table, DOMAIN)
    named = [
        [(row[f"attribute_{i}"], row[f"value_{i}"]) for i in (1, 2, 3) if row[f"attribute_{i}"]]
        for row in frame.to_dict("records")
    ]
    assert named == [
        [("sex", "f")],
        [("sex", "")],
        [("means", "threats")],
        [("sex", "m"), ("means", "debt")],
        [("sex", "f"), ("means", "threats"), ("país", "ñ")],
    ]
    assert frame["length"].tolist() == [1, 1, 1, 2, 3]
    assert frame["missing"].tolist() == [False, True, False, False, False]
    assert frame["estimate"].tolist() == [50.0, 40.0, 30.0, 20.1, 10.0]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "\0x", "＝x", "＋x", "－x", "＠x"])
def test_what_a_spreadsheet_takes_for_a_formula_is_guarded(text: str) -> None:
    assert safe_cell(text) == "'" + text


@pytest.mark.parametrize("text", ["", "woman", "1-2", "a=b", "'quoted", " =x"])
def test_other_cells_are_left_alone(text: str) -> None:
    assert safe_cell(text) == text


def test_csv_cells_and_names_are_guarded_and_parquet_keeps_the_values(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "=name": pd.Categorical(["=SUM(A1)", "plain", "=SUM(A1)"]),
            "means": pd.Series(["@a;b", "", "-x"], dtype=object),
            "estimate": [-1.5, 0.0, 2.0],
        }
    )
    write_frame(frame, tmp_path, "t")
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["'=name", "means", "estimate"],
        ["'=SUM(A1)", "'@a;b", "-1.5"],
        ["plain", "", "0.0"],
        ["'=SUM(A1)", "'-x", "2.0"],
    ]
    assert b"\r\n" in (tmp_path / "t.csv").read_bytes()
    kept = pq.read_table(tmp_path / "t.parquet").to_pydict()
    assert kept["=name"] == ["=SUM(A1)", "plain", "=SUM(A1)"]
    assert kept["means"] == ["@a;b", "", "-x"]


def test_values_that_guarding_makes_equal_are_written_all_the_same(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": pd.Categorical(["=x", "'=x", "=x"])})
    write_frame(frame, tmp_path, "t")
    assert pd.read_csv(tmp_path / "t.csv")["a"].tolist() == ["'=x"] * 3


def test_an_attribute_of_a_schema_with_its_own_blank_code_keeps_it_in_records() -> None:
    attribute = Attribute(name="sex", values=("NA", "f"), missing=frozenset({0}), read=lambda cell: None)
    frame = records_frame(_codes((0,), (1,)), Domain(attributes=(attribute,)))
    assert frame["sex"].tolist() == ["NA", "f"]
