"""Files of made-up case records appear whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pyarrow.parquet
import pytest

from casehaven.generate import ExistingFileError, OutputError, RequestError, generate_records
from casehaven.generate.files import write_records
from caseschemas import CaseSchema, load_schema

COMMAND = [sys.executable, "-c", "from casehaven.cli.generate import command; command()"]
FEW_BYTES = (
    "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000));"
    "from pathlib import Path; from caseschemas import load_schema; from casehaven.generate.files import write_records;"
    "from casehaven.generate import OutputError; import sys\n"
    "try: write_records(load_schema('ctdc-global'), 400_000, 1, Path(sys.argv[1]), organisations=2, replace=True)\n"
    "except OutputError as error: print(error)"
)


@pytest.fixture(scope="module")
def schema() -> CaseSchema:
    return load_schema("ctdc-global")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("people", [0, 1, 40, 33_000])
def test_csv_and_parquet_hold_the_same_records(schema: CaseSchema, tmp_path: Path, people: int) -> None:
    csv, parquet = (write_records(schema, people, 3, tmp_path / f"cases{suffix}")[0] for suffix in (".csv", ".parquet"))
    text = pd.read_csv(csv, dtype=str, keep_default_na=False)
    table = pyarrow.parquet.read_table(parquet).to_pandas()
    assert list(text.columns) == list(table.columns) == [attribute.name for attribute in schema.attributes]
    assert text.shape == table.shape
    assert text["personToken"].nunique() == people
    assert (text.to_numpy() == table.astype(str).to_numpy()).all()


def test_a_file_is_the_stream_of_records(schema: CaseSchema, tmp_path: Path) -> None:
    people = 300_000  # more than one group of rows
    (path,) = write_records(schema, people, 2, tmp_path / "cases.parquet")
    stored = pyarrow.parquet.ParquetFile(path)
    assert stored.num_row_groups > 1
    table = stored.read(["personToken", "citizenship", "caseReference"])
    start = 0
    for batch in generate_records(schema, people, 2):
        part = table.slice(start, batch.num_rows)
        for name in table.column_names:
            assert part.column(name).to_pylist() == batch.column(name).to_pylist()
        start += batch.num_rows
    assert start == table.num_rows


def test_a_parquet_file_says_that_its_records_are_made_up(schema: CaseSchema, tmp_path: Path) -> None:
    (path,) = write_records(schema, 5, 2, tmp_path / "cases.parquet")
    said = pyarrow.parquet.read_schema(path).metadata
    assert said[b"casehaven"] == b"made-up case records"
    assert said[b"schema"] == b"ctdc-global"


def test_organisations_write_one_file_each_with_all_people_between_them(schema: CaseSchema, tmp_path: Path) -> None:
    paths = write_records(schema, 5_000, 2, tmp_path / "cases.csv", organisations=3)
    assert names(tmp_path) == ["cases-1.csv", "cases-2.csv", "cases-3.csv"] == [path.name for path in paths]
    tokens = [set(pd.read_csv(path, usecols=["personToken"])["personToken"]) for path in paths]
    assert len(set().union(*tokens)) == 5_000
    shared = sum(len(one & other) for number, one in enumerate(tokens) for other in tokens[number + 1 :])
    assert 0.05 < shared / 5_000 < 0.10


def test_an_existing_file_is_kept_unless_it_may_be_replaced(schema: CaseSchema, tmp_path: Path) -> None:
    path = tmp_path / "cases-2.csv"
    path.write_text("real cases")
    with pytest.raises(ExistingFileError, match="cases-2.csv: exists already"):
        write_records(schema, 5, 2, tmp_path / "cases.csv", organisations=2)
    assert names(tmp_path) == ["cases-2.csv"]
    assert path.read_text() == "real cases"
    write_records(schema, 5, 2, tmp_path / "cases.csv", organisations=2, replace=True)
    assert path.read_text().startswith("caseReference,personToken,")


def test_a_suffix_that_is_not_written_is_refused(schema: CaseSchema, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"suffix '.xlsx' is not written, expected one of .csv, .parquet"):
        write_records(schema, 5, 2, tmp_path / "cases.xlsx")


@pytest.mark.parametrize("place", ["nowhere/cases.csv", "file/cases.csv", "/proc/cases.csv"])
def test_a_path_that_cannot_be_written_is_named(schema: CaseSchema, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cases.csv: could not be written: .+; nothing of it was left"):
        write_records(schema, 5, 2, tmp_path / place)
    assert names(tmp_path) == ["file"]


def test_a_folder_is_not_replaced_by_a_file(schema: CaseSchema, tmp_path: Path) -> None:
    (tmp_path / "cases.csv").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        write_records(schema, 5, 2, tmp_path / "cases.csv", replace=True)


class StopError(Exception):
    """Raised by the test in the middle of writing."""


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_an_error_in_the_middle_leaves_no_half_file_and_the_old_file(
    schema: CaseSchema, tmp_path: Path, suffix: str
) -> None:
    (path,) = write_records(schema, 10, 1, tmp_path / f"cases{suffix}")
    before, seen = path.read_bytes(), []

    def stop(people: int) -> None:
        seen.append(names(tmp_path))
        if len(seen) == 2:
            raise StopError

    with pytest.raises(StopError):
        write_records(schema, 100_000, 1, path, replace=True, progress=stop)
    assert len(seen[0]) == 2, "the file was not being written yet"
    assert names(tmp_path) == [path.name]
    assert path.read_bytes() == before


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_full_disk_leaves_no_half_file(tmp_path: Path, suffix: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FEW_BYTES, str(tmp_path / f"cases{suffix}")], capture_output=True, text=True, check=True
    )
    assert "could not be written: File too large; nothing of it was left" in done.stdout
    assert done.stderr == ""
    assert names(tmp_path) == []


def test_an_interrupt_leaves_no_half_file(tmp_path: Path) -> None:
    arguments = ["--people", "50000000", "-o", str(tmp_path / "cases.parquet"), "--organisations", "2"]
    with subprocess.Popen([*COMMAND, *arguments], stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        for _ in range(1800):
            if len(names(tmp_path)) == 2:
                break
            time.sleep(0.1)
        begun = names(tmp_path)
        time.sleep(0.3)
        os.kill(process.pid, signal.SIGINT)
        process.communicate(timeout=180)
    assert [name.endswith(".part") for name in begun] == [True, True]
    assert process.returncode != 0
    assert names(tmp_path) == []
