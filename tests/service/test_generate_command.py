"""`casehaven generate` from the outside."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from casehaven.cli.generate import command
from casehaven.generate import ExistingFileError, OutputError
from caseschemas import CaseschemasError, load_schema


def run(*arguments: str) -> tuple[int, str, str, BaseException | None]:
    result = CliRunner().invoke(command, arguments)
    return result.exit_code, result.stdout, result.stderr, result.exception


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".CSV"])
def test_a_file_is_written_and_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"cases{suffix}"
    code, out, _, _ = run("--schema", "ctdc-global", "--people", "40", "--seed", "7", "-o", str(path))
    assert code == 0
    assert out == f"wrote {path}\n"
    frame = pd.read_parquet(path) if suffix == ".parquet" else pd.read_csv(path)
    assert frame["personToken"].nunique() == 40


def test_organisations_get_a_file_each(tmp_path: Path) -> None:
    code, out, _, _ = run("--people", "100", "-o", str(tmp_path / "cases.csv"), "--organisations", "2")
    assert code == 0
    assert out == f"wrote {tmp_path / 'cases-1.csv'}\nwrote {tmp_path / 'cases-2.csv'}\n"


def test_progress_goes_to_standard_error(tmp_path: Path) -> None:
    _, out, err, _ = run("--people", "10", "-o", str(tmp_path / "cases.csv"))
    assert "making people up" in err
    assert "making people up" not in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--people", "-1", "-o", "cases.csv"], "-1 is not in the range"),
        (["--people", "many", "-o", "cases.csv"], "'many' is not a valid integer"),
        (["--people", "1", "--seed", "-1", "-o", "cases.csv"], "-1 is not in the range"),
        (["--people", "1", "--organisations", "0", "-o", "cases.csv"], "0 is not in the range"),
        (["--people", "1", "-o", "cases.xlsx"], "suffix '.xlsx' is not written, expected one of .csv, .parquet"),
        (["--people", "1", "-o", "cases"], "suffix '' is not written"),
        (["-o", "cases.csv"], "Missing option '--people'"),
        (["--people", "1"], "Missing option '-o'"),
    ],
)
def test_wrong_usage_is_explained_with_exit_code_2(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err, _ = run(*arguments)
    assert (code, list(tmp_path.iterdir())) == (2, [])
    assert words in err


def test_an_unknown_schema_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    code, _, _, error = run("--schema", "no-such-schema", "--people", "1", "-o", str(tmp_path / "cases.csv"))
    assert code == 1
    assert isinstance(error, CaseschemasError)
    assert list(tmp_path.iterdir()) == []


def test_a_schema_file_of_ones_own_is_enough(tmp_path: Path) -> None:
    document = load_schema("ctdc-global").document() | {"id": "our-own"}
    document["attributes"] = [one for one in document["attributes"] if one["name"] != "traffickMonths"]
    file = tmp_path / "our-own.json"
    file.write_text(json.dumps(document), "utf-8")
    code, _, _, _ = run("--schema", str(file), "--people", "500", "-o", str(tmp_path / "cases.csv"))
    assert code == 0
    frame = pd.read_csv(tmp_path / "cases.csv", dtype=str)
    assert frame.shape[1] == 32
    assert frame["gender"].nunique() == 3


def test_a_folder_that_is_not_there_is_named_with_advice(tmp_path: Path) -> None:
    code, _, _, error = run("--people", "1", "-o", str(tmp_path / "nowhere" / "cases.csv"))
    assert code == 1
    assert isinstance(error, OutputError)
    assert error.__notes__ == ["check that the folder exists and may be written to"]


def test_an_existing_file_is_kept_and_the_way_out_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cases.csv"
    path.write_text("real cases")
    code, _, _, error = run("--people", "1", "-o", str(path))
    assert code == 1
    assert isinstance(error, ExistingFileError)
    assert error.__notes__ == ["name another file, or add --replace if the old one may go"]
    assert path.read_text() == "real cases"
    assert run("--people", "1", "-o", str(path), "--replace")[0] == 0
    assert path.read_text() != "real cases"
