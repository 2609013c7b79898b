"""Files and streams are released like frames: read batch by batch, checked before the charge, refused when they change after it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import casesynth
from casesynth.domain import Domain
from casesynth.encode import ColumnTypeError, UnknownColumnError
from casesynth.measure import Charge
from casesynth.model import FitSettings
from casesynth.persons import PeopleCapError, PersonKeyError
from casesynth.privacy import PrivacyLoss, Receipt
from casesynth.sources import BATCH_ROWS, Records, RecordsFileError, check_records, source_of

DOMAIN = Domain.declare({"sex": ["f", "m"], "age": ["young", "old"]})
NAMES = ["sex", "age", "id"]
QUICK = FitSettings(classes=4, steps=20, starts=1, pilot_classes=3, pilot_steps=10)
PEOPLE = 150
TABLE = pa.table(
    {
        "id": [str(number % PEOPLE) for number in range(300)],  # two records of each person
        "sex": ["f", "m", "f"] * 100,
        "age": ["young", "old", ""] * 100,
        "note": ["not read"] * 300,
    }
)


def _file(folder: Path, table: pa.Table = TABLE, **options: int) -> Path:
    pq.write_table(table, folder / "cases.parquet", **options)
    return folder / "cases.parquet"


KINDS: dict[str, Callable[[Path], Records]] = {
    "a table": lambda folder: TABLE,
    "a pandas frame": lambda folder: TABLE.to_pandas(),
    "a batch": lambda folder: TABLE.combine_chunks().to_batches()[0],
    "a path": _file,
    "a path as text, in several row groups": lambda folder: str(_file(folder, row_group_size=70)),
    "a function of batches": lambda folder: lambda: TABLE.to_batches(max_chunksize=37),
    "a dataset of files": lambda folder: ds.dataset(_file(folder)).to_batches,
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_people_are_counted_whatever_the_records_come_in(kind: str, tmp_path: Path) -> None:
    made = casesynth.release(
        KINDS[kind](tmp_path), DOMAIN, person="id", epsilon=80, people_cap=1000, settings=QUICK
    )  # noise of about a third of a person
    assert abs(made.people.estimate - PEOPLE) <= 5
    women = made.aggregates.query("attribute_1 == 'sex' and value_1 == 'f' and length == 1")["estimate"]
    assert abs(float(women.iloc[0]) - 100) < 15


def test_a_source_is_read_in_batches_of_bounded_size() -> None:
    long = pa.table({"id": pa.array(range(2 * BATCH_ROWS + 5))})
    sizes = [batch.num_rows for batch in source_of(long).batches(["id"])]
    assert sizes == [BATCH_ROWS, BATCH_ROWS, 5]
    assert [batch.num_rows for batch in source_of(lambda: long.to_batches()).batches(["id"])] == sizes


def test_a_file_gives_the_columns_asked_for_and_no_others(tmp_path: Path) -> None:
    batches = list(source_of(_file(tmp_path)).batches(["sex", "id"]))
    assert {tuple(batch.column_names) for batch in batches[1:]} == {("id", "sex")}
    assert sum(batch.num_rows for batch in batches) == 300


def _never(loss: PrivacyLoss) -> Receipt:
    raise AssertionError("charged")


FAULTS: dict[str, tuple[pa.Table, type[Exception], str]] = {
    "a column is missing": (TABLE.drop_columns(["sex"]), UnknownColumnError, "sex"),
    "a column of lists": (TABLE.set_column(1, "sex", pa.array([["f"]] * 300)), ColumnTypeError, "sex"),
    "a record without a person": (
        TABLE.set_column(0, "id", pa.array([*map(str, range(299)), None])), PersonKeyError, "record 300"
    ),
    "too many people": (TABLE.set_column(0, "id", pa.array(range(300))), PeopleCapError, "more than 200"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", ["file", "stream"])
def test_faults_of_files_and_streams_are_found_before_the_charge(fault: str, kind: str, tmp_path: Path) -> None:
    table, error, said = FAULTS[fault]
    records: Records = _file(tmp_path, table) if kind == "file" else lambda: table.to_batches(max_chunksize=64)
    with pytest.raises(error, match=said):
        casesynth.release(records, DOMAIN, person="id", epsilon=1, people_cap=200, charge=_never)


def test_more_rows_than_the_cap_are_refused_without_reading_on() -> None:
    read = []

    def stream() -> Iterator[pa.RecordBatch]:
        for batch in TABLE.to_batches(max_chunksize=50):
            read.append(batch.num_rows)
            yield batch

    with pytest.raises(PeopleCapError):
        check_records(source_of(stream), ["sex", "age"], person=None, people_cap=60)
    assert sum(read) == 100


@pytest.mark.parametrize("content", [None, b"", b"PAR1 not really", b"id,sex,age\n1,f,old\n"])
def test_what_is_no_parquet_file_is_refused_before_the_charge(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "cases.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RecordsFileError, match=r"cases.parquet: (there is no such file|damaged or not a Parquet file)"):
        casesynth.release(path, DOMAIN, person="id", epsilon=1, people_cap=1000, charge=_never)


def test_a_file_that_changes_after_the_check_is_refused_and_the_charge_stands(tmp_path: Path) -> None:
    path, charged = _file(tmp_path), []

    def charge(loss: PrivacyLoss) -> Receipt:
        charged.append(loss)
        pq.write_table(TABLE.slice(0, 299), tmp_path / "other.parquet")
        os.replace(tmp_path / "other.parquet", path)
        return Receipt(charge_id="c", loss=loss)

    kept: Charge = charge
    with pytest.raises(RecordsFileError, match="changed while"):
        casesynth.release(path, DOMAIN, person="id", epsilon=1, people_cap=1000, charge=kept, settings=QUICK)
    assert len(charged) == 1


def test_an_iterator_that_runs_once_is_refused_for_what_it_is() -> None:
    once: Iterable[pa.RecordBatch] = iter(TABLE.to_batches())
    with pytest.raises(TypeError, match="a function that starts a stream"):
        casesynth.release(once, DOMAIN, person="id", epsilon=1, people_cap=1000)


def test_an_empty_stream_is_a_release_of_nobody() -> None:
    made = casesynth.release(lambda: iter(()), DOMAIN, person="id", epsilon=50, people_cap=1000, settings=QUICK)
    assert made.people.estimate <= 5
    assert isinstance(made.records, pd.DataFrame)
