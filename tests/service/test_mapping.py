"""Mapping frames and files: the same as record by record, whole or not at all, readable by the owner only, silent about the records."""

from __future__ import annotations

import stat
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from casehaven.cli import main
from casehaven.generate.files import write_records
from casehaven.intake.errors import CaseFileError, ExistingMappedFileError, FileKindError, MissingColumnsError
from casehaven.intake.mapping import map_file, map_frame
from caseschemas import load_mapping, load_schema
from casesynth.encode import ColumnTypeError

MAPPING = load_mapping("htcds-2.0", "ctdc-global")
NAMES = [attribute.name for attribute in MAPPING.source.attributes]
COLUMNS = [attribute.name for attribute in MAPPING.target.attributes]
CELLS = {
    "con_Consent": ["TRUE", "FALSE", "", "yes"],
    "consentSyntheticRelease": ["yes", "no", ""],
    "yearOfRegistration": ["2002", "2019-05-02", "2024", ""],
    "prs_Birthdate": ["1990-01-01", "1998", "2001-07", "", "no date"],
    "prs_Gender": ["Feminine", "Homme", "NonConforming", "NonSpecifiedUnknown", "", "???"],
    "ageAtRegistration": ["", "9-17", "48", "nonsense"],
    "prs_Citizenship": ["UKR", "PH", "UKR;RUS", ""],
    "vic_TraffickingStatus": ["", "NotAVictimOfTrafficking", "ActualVictimOfTrafficking"],
    "vic_MethodsOfControl": ["", "DebtBondage ;UsesChildren", "FalsePromises|||Other", "x"],
    "vic_TypeOfExploitation": ["", "ForcedLabour", "Servitude;SexualExploitation", "Other"],
    "vic_ForcedLabourIndustry": ["", "F_Construction", "T_ActivitiesOfHouseholdsAsEmployers"],
    "vic_TypeOfSexExploitation": ["", "Prostitution;Pornography", "PrivateSexualServices"],
    "vic_RelationshipToTrafficker": ["", "Familial", "Unacquainted"],
    "caseReference": ["", "A, \"quoted\"\nreference", "ref-1"],
    "personToken": ["p1", "p2"],
    "cas_IncomingReferralDetails": ["canary"],
}  # fmt: skip
"""What cells may hold; all other columns are empty."""


def random_frame(rows: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {name: random.choice(np.array(CELLS.get(name, [""]), object), rows) for name in NAMES}, dtype=str
    )


def by_record(frame: pd.DataFrame) -> list[dict[str, str]]:
    """Map record by record, slowly."""
    records = (MAPPING.record({str(k): str(v) for k, v in row.items()}) for row in frame.to_dict("records"))
    return [record for record in records if record]


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(0, 60), seed=st.integers(0, 2**32))
def test_a_frame_is_mapped_as_its_records_are(rows: int, seed: int) -> None:
    frame = random_frame(rows, seed)
    mapped = map_frame(frame, MAPPING)
    assert list(mapped.columns) == COLUMNS
    assert mapped.to_dict("records") == by_record(frame)


def test_a_table_a_batch_and_a_frame_give_the_same() -> None:
    frame = random_frame(500, 1)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    expected = map_frame(frame, MAPPING).to_dict("list")
    mapped = map_frame(table, MAPPING)
    assert isinstance(mapped, pa.Table)
    assert mapped.to_pydict() == expected
    (batch,) = table.combine_chunks().to_batches()
    mapped_batch = map_frame(batch, MAPPING)
    assert isinstance(mapped_batch, pa.RecordBatch)
    assert mapped_batch.to_pydict() == expected
    assert map_frame(batch.slice(0, 0), MAPPING).num_rows == 0


def test_numbers_nulls_and_categories_are_read_as_files_write_them() -> None:
    frame = random_frame(3, 2).astype(object)
    frame["yearOfRegistration"] = [2019.0, None, 2020]
    frame["ageAtRegistration"] = pd.array([17, 30, None], "Int64")
    frame["prs_Gender"] = pd.Categorical(["Feminine", None, "Masculine"])
    frame["vic_TraffickingStatus"] = None
    frame["prs_Birthdate"] = ""
    mapped = map_frame(frame, MAPPING)
    assert list(mapped["yearOfRegistration"]) == ["2019", "", "2020"]
    assert list(mapped["ageBroad"]) == ["9-17", "30-38", ""]
    assert list(mapped["gender"]) == ["Woman", "", "Man"]


def test_identifiers_may_be_absent_and_other_columns_may_not() -> None:
    frame = random_frame(50, 3)
    mapped = map_frame(frame.drop(columns=["caseReference", "prs_Birthdate", "prs_FirstName"]), MAPPING)
    assert (mapped["caseReference"] == "").all()
    with pytest.raises(MissingColumnsError, match="prs_Gender, vic_MethodsOfControl"):
        map_frame(frame.drop(columns=["prs_Gender", "vic_MethodsOfControl"]), MAPPING)


def test_a_column_that_is_no_text_is_refused_by_name() -> None:
    table = pa.Table.from_pandas(random_frame(2, 4), preserve_index=False)
    place = table.column_names.index("prs_Gender")
    table = table.set_column(place, "prs_Gender", pa.array([["canary"], ["canary"]]))
    with pytest.raises(ColumnTypeError, match="prs_Gender") as caught:
        map_frame(table, MAPPING)
    assert "canary" not in str(caught.value)


@pytest.fixture
def made_up(tmp_path: Path) -> Path:
    """A made-up case file of 400 people."""
    path = tmp_path / "htcds.csv"
    write_records(load_schema("htcds-2.0"), 400, 7, path)
    return path


@pytest.mark.parametrize("source", [".csv", ".parquet"])
@pytest.mark.parametrize("target", [".csv", ".parquet"])
def test_a_file_of_either_kind_becomes_a_file_of_either_kind(tmp_path: Path, source: str, target: str) -> None:
    path, out = tmp_path / f"in{source}", tmp_path / f"out{target}"
    write_records(load_schema("htcds-2.0"), 400, 7, path)
    map_file(path, MAPPING, out)
    read = pd.read_csv(out, dtype=str, keep_default_na=False) if target == ".csv" else pq.read_table(out).to_pandas()
    frame = pd.read_csv(path, dtype=str, keep_default_na=False) if source == ".csv" else pq.read_table(path).to_pandas()
    assert read.to_dict("list") == map_frame(frame, MAPPING).to_dict("list")


def test_cells_with_commas_quotes_and_line_breaks_survive_a_file(tmp_path: Path) -> None:
    frame = random_frame(40, 5)
    frame.to_csv(tmp_path / "in.csv", index=False)
    map_file(tmp_path / "in.csv", MAPPING, tmp_path / "out.csv")
    read = pd.read_csv(tmp_path / "out.csv", dtype=str, keep_default_na=False)
    assert read.to_dict("records") == by_record(frame)


def test_only_the_owner_may_read_a_mapped_file(made_up: Path, tmp_path: Path) -> None:
    map_file(made_up, MAPPING, tmp_path / "out.csv")
    assert stat.S_IMODE((tmp_path / "out.csv").stat().st_mode) == 0o600


def test_an_existing_file_stays_unless_asked_and_the_source_always(made_up: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("mine", "utf-8")
    with pytest.raises(ExistingMappedFileError):
        map_file(made_up, MAPPING, out)
    assert out.read_text("utf-8") == "mine"
    map_file(made_up, MAPPING, out, replace=True)
    assert out.read_text("utf-8") != "mine"
    before = made_up.read_bytes()
    with pytest.raises(ExistingMappedFileError):
        map_file(made_up, MAPPING, made_up, replace=True)
    assert made_up.read_bytes() == before


@pytest.mark.parametrize("broken", ["ragged", "latin"])
def test_nothing_is_left_of_a_file_that_breaks_off(made_up: Path, tmp_path: Path, broken: str) -> None:
    lines = made_up.read_bytes().splitlines(keepends=True)
    made_up.write_bytes(b"".join([*lines, b"one,two\n" if broken == "ragged" else b"\xff\xfe" + lines[-1]]))
    with pytest.raises(CaseFileError):
        map_file(made_up, MAPPING, tmp_path / "out.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["htcds.csv"]


def test_an_unknown_column_or_suffix_is_refused_before_anything_is_written(made_up: Path, tmp_path: Path) -> None:
    with pytest.raises(FileKindError):
        map_file(made_up, MAPPING, tmp_path / "out.xlsx")
    made_up.write_text(made_up.read_text("utf-8").replace("prs_Gender", "prs_Sex", 1), "utf-8")
    with pytest.raises(MissingColumnsError, match="prs_Gender"):
        map_file(made_up, MAPPING, tmp_path / "out.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["htcds.csv"]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_command_maps_a_file_and_says_by_which_mapping_but_nothing_of_the_records(
    made_up: Path, tmp_path: Path
) -> None:
    out = tmp_path / "ctdc.csv"
    result = run("schema", "map", made_up, "--from", "htcds-2.0", "--to", "ctdc-global", "-o", out)
    assert (result.exit_code, result.output) == (
        0,
        f"wrote {out} (ctdc-global 1.0.0, by mapping htcds-2.0_to_ctdc-global 1.0.0)\n",
    )
    expected = tmp_path / "expected.csv"
    map_file(made_up, MAPPING, expected)
    assert out.read_bytes() == expected.read_bytes()


def test_command_takes_a_mapping_of_your_own(made_up: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.json"
    own.write_bytes(
        Path(__file__).parents[2].joinpath("schemas/caseschemas/mappings/htcds-2.0_to_ctdc-global.json").read_bytes()
    )
    assert run("schema", "map", made_up, "--mapping", own, "-o", tmp_path / "out.csv").exit_code == 0
    own.write_text("{}", "utf-8")
    refused = run("schema", "map", made_up, "--mapping", own, "-o", tmp_path / "other.csv")
    assert refused.exit_code == 1
    assert "own.json: 7 faults" in refused.output
    assert "try: correct the mapping" in refused.output


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--from", "htcds-2.0"), 2, "give --from and --to, or --mapping alone"),
        (("--from", "a", "--to", "b", "--mapping", "c.json"), 2, "give --from and --to, or --mapping alone"),
        (("--from", "ctdc-global", "--to", "htcds-2.0"), 1, "no mapping from 'ctdc-global' to 'htcds-2.0'"),
        (("--mapping", "absent.json"), 1, "cannot read 'absent.json'"),
    ],
)
def test_command_refuses_and_says_what_to_do(
    made_up: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    result = run("schema", "map", made_up, *arguments, "-o", tmp_path / "out.csv")
    assert result.exit_code == code
    assert said in result.output
    assert "try: " in result.output
    assert not (tmp_path / "out.csv").exists()
