"""Case files: every fault of a file shows before the charge, and no message shows a cell."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from casehaven.errors import outcome_of
from casehaven.intake import CaseFileError, Snapshot, open_case_file, snapshot
from casehaven.intake.errors import FileKindError, HeaderError, PersonColumnError
from casehaven.ledger import Ledger
from caseschemas import CaseSchema, load_schema
from casesynth.encode import ColumnTypeError, RepeatedColumnError
from casesynth.persons import PeopleCapError, PersonKeyError
from casesynth.privacy import PrivacyLoss, Receipt

if TYPE_CHECKING:
    from tests.conftest import MakePeople, Record, Shelter

CANARY = "canary-Amina-73"
RECEIPT = Receipt(charge_id="c1", loss=PrivacyLoss(nano_rho=1))
COLUMNS = ("token", "mayRelease", "year", "gender", "age", "means")
NEEDED = {"token", "year", "gender", "age", "means"}


@pytest.fixture
def schema(shelter: Shelter) -> CaseSchema:
    return load_schema(str(shelter.folder / "shelter.json"))


def _table(**columns: object) -> pa.Table:
    cells = {
        "token": ["p1", "p2"],
        "mayRelease": ["yes", "yes"],
        "year": ["2020", "2021"],
        "gender": ["woman", "man"],
        "age": ["22", "40"],
        "means": ["debt", ""],
    }
    return pa.table({**cells, **columns})


def _parquet(folder: Path, table: pa.Table) -> Path:
    path = folder / "north.parquet"
    pq.write_table(table, path)
    return path


def _open(*paths: Path, schema: CaseSchema, person: str | None = "token", cap: int = 1000) -> Snapshot:
    return snapshot(paths, schema, people_cap=cap, person=person)


# --- the header ------------------------------------------------------------------------------------------------------------


HEADERLESS = {
    "a person's record": f"{CANARY},,yes,2020,woman,22,debt\n",
    "the same cell twice": f"{CANARY},{CANARY},yes,2020,woman,22,{CANARY}\n",
    "one cell happens to be a column's name": f"age,{CANARY},yes,2020,woman,22,debt\n",
}


@pytest.mark.parametrize("row", HEADERLESS)
def test_a_first_row_that_is_no_header_is_refused_and_nothing_of_it_is_shown(shelter: Shelter, row: str) -> None:
    path = shelter.folder / "north.csv"
    path.write_text(HEADERLESS[row], encoding="utf-8")
    result = shelter.release(path)
    assert result.exit_code == 1
    assert "the first row is not a header of shelter; expected columns such as token, year, gender" in result.output
    for cell in (CANARY, "woman", "debt"):
        assert cell not in result.output


def test_column_names_of_a_parquet_file_that_are_a_persons_cells_are_not_shown(
    shelter: Shelter, schema: CaseSchema
) -> None:
    path = _parquet(shelter.folder, pa.table([["p2"]] * 6, names=[CANARY, "yes", "2020", "woman", "22", "debt"]))
    with pytest.raises(HeaderError, match="its columns are not those of shelter") as refusal:
        open_case_file(path, schema, needed=NEEDED)
    assert CANARY not in str(refusal.value)


@pytest.mark.parametrize("place", ["once", "twice"])
def test_a_name_in_a_header_is_shown_without_control_characters_and_cut(
    shelter: Shelter, schema: CaseSchema, place: str
) -> None:
    odd = "\x1b[31mred\u202e" + "x" * 100
    names = [*COLUMNS, odd] if place == "once" else [*COLUMNS, odd, odd]
    path = shelter.folder / "north.csv"
    path.write_text(",".join(names) + "\n", encoding="utf-8")
    with pytest.raises(CaseFileError) as refusal:
        open_case_file(path, schema, needed=NEEDED)
    said = str(refusal.value)
    assert "[31mred" in said
    assert said.isprintable()
    assert "x" * 53 in said and "x" * 54 not in said


# --- faults that must not cost a charge --------------------------------------------------------------------------------------


UNREADABLE: dict[str, Callable[[], pa.Table]] = {
    "lists": lambda: _table(gender=pa.array([[CANARY], ["man"]])),
    "structures": lambda: _table(age=pa.array([{"a": CANARY}, {"a": "b"}])),
    "bytes": lambda: _table(means=pa.array([CANARY.encode(), b"debt"])),
    "bytes in a dictionary": lambda: _table(means=pa.array([CANARY.encode(), b"debt"]).dictionary_encode()),
    "lists as person key": lambda: _table(token=pa.array([[CANARY], ["p2"]])),
    "lists as consent": lambda: _table(mayRelease=pa.array([[CANARY], ["yes"]])),
    "no UTF-8": lambda: _table(gender=pa.array([CANARY.encode() + b"\xff", b"man"]).view(pa.string())),
}


@pytest.mark.parametrize("kind", UNREADABLE)
@pytest.mark.parametrize("rows", [2, 0])
def test_a_column_that_cannot_be_read_is_refused_before_the_charge(shelter: Shelter, kind: str, rows: int) -> None:
    if kind == "no UTF-8" and rows == 0:
        rows = 1  # only cells can be that
    result = shelter.release(_parquet(shelter.folder, UNREADABLE[kind]().slice(0, rows)))
    assert result.exit_code == 1
    assert "north.parquet: column " in result.output
    assert "try: store the column as text" in result.output
    assert CANARY not in result.output
    assert _spent(shelter) == 0


def _spent(shelter: Shelter) -> int:
    return sum(row.spent_nano_rho for row in Ledger.open(shelter.folder / "ledger.sqlite").statement().rows)


def test_a_column_that_is_not_read_may_hold_anything(shelter: Shelter, schema: CaseSchema) -> None:
    path = _parquet(shelter.folder, _table(notes=pa.array([["a"], ["list"]])))
    assert _open(path, schema=schema).open(RECEIPT).people == 2


KEYS: dict[str, Callable[[], pa.Array]] = {
    "NaN": lambda: pa.array([7.0, float("nan")]),
    "null": lambda: pa.array(["p1", None]),
    "spaces": lambda: pa.array(["p1", " \u00a0"]),
    "null in a dictionary": lambda: pa.array(["p1", None]).dictionary_encode(),
    "nothing at all": lambda: pa.nulls(2),
}


@pytest.mark.parametrize("kind", KEYS)
def test_a_record_without_a_person_key_is_refused_before_the_charge(
    shelter: Shelter, schema: CaseSchema, kind: str
) -> None:
    path = _parquet(shelter.folder, _table(token=KEYS[kind]()))
    row = 2 if kind == "nothing at all" else 3
    with pytest.raises(PersonKeyError, match=rf"^north.parquet: row {row} has no person key"):
        _open(path, schema=schema)


def test_the_check_counts_the_people_that_opening_finds(shelter: Shelter, schema: CaseSchema) -> None:
    numbers = _parquet(shelter.folder, _table(token=pa.array([10_000_000.0, 8.0])))
    text = shelter.write(
        "south.csv", [{"token": " 10000000 ", "mayRelease": "yes"}, {"token": "9", "mayRelease": "yes"}]
    )
    assert _open(numbers, text, schema=schema, cap=3).open(RECEIPT).people == 3
    with pytest.raises(PeopleCapError, match="more than 2 people"):
        _open(numbers, text, schema=schema, cap=2)


def test_the_check_stops_at_the_cap_without_reading_on(shelter: Shelter, schema: CaseSchema) -> None:
    first = shelter.write("north.csv", [{"token": f"p{i}"} for i in range(11)])
    broken = shelter.folder / "south.csv"
    broken.write_text(first.read_text(encoding="utf-8") + "one cell\n", encoding="utf-8")
    with pytest.raises(PeopleCapError):
        snapshot([first, broken], schema, people_cap=10, person=None)


@pytest.mark.parametrize("place", ["data page", "footer"])
def test_a_damaged_parquet_file_is_named_as_one(shelter: Shelter, schema: CaseSchema, place: str) -> None:
    path = _parquet(shelter.folder, _table(gender=pa.array([f"{CANARY}-{i}" for i in range(2)])))
    content = bytearray(path.read_bytes())
    if place == "data page":
        start = pq.read_metadata(path).row_group(0).column(3).dictionary_page_offset
        content[start : start + 40] = b"\xff" * 40
    else:
        content[-60:-8] = b"\xff" * 52
    path.write_bytes(content)
    with pytest.raises(FileKindError, match="^north.parquet: damaged or not a Parquet file") as refusal:
        _open(path, schema=schema)
    assert outcome_of(refusal.value) != outcome_of(OSError())


def test_a_page_whose_checksum_is_wrong_is_refused(shelter: Shelter, schema: CaseSchema) -> None:
    path = shelter.folder / "north.parquet"
    table = _table(gender=["woman-abcdefgh", "woman-ijklmnop"])
    pq.write_table(
        table, path, compression="none", use_dictionary=False, write_statistics=False, write_page_checksum=True
    )
    content = path.read_bytes().replace(b"woman-ijklmnop", b"woman-ijklmnoP", 1)
    path.write_bytes(content)
    with pytest.raises(FileKindError):
        _open(path, schema=schema)


def test_faults_of_the_disk_stay_faults_of_the_disk(
    shelter: Shelter, schema: CaseSchema, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _parquet(shelter.folder, _table())

    def broken(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("casehaven.intake.files.pq.read_schema", broken)
    with pytest.raises(PermissionError):
        open_case_file(path, schema, needed=NEEDED)


@pytest.mark.parametrize("error", [ColumnTypeError, RepeatedColumnError])
def test_faults_of_columns_have_advice_of_their_own(error: type[Exception]) -> None:
    found = outcome_of(error("x"))
    assert found is not None
    assert found.exit_code == 1
    assert "column" in found.advice


# --- the person key ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gender", "mayRelease", "notes"])
def test_a_column_that_tells_nobody_apart_is_no_person_key(shelter: Shelter, people: MakePeople, name: str) -> None:
    result = shelter.release(shelter.write("north.csv", people(30)), extra=("--epsilon", "1", "--person-key", name))
    assert result.exit_code == 1
    assert f"{name} cannot be the person key" in result.output
    assert "--row-is-person" in result.output
    assert _spent(shelter) == 0


def test_identifiers_and_columns_outside_the_schema_may_be_the_person_key(shelter: Shelter) -> None:
    document = json.loads((shelter.folder / "shelter.json").read_text(encoding="utf-8"))
    document["attributes"].append(
        {"name": "file", "kind": "identifier", "role": "identifier", "labels": {"en": "File number"}}
    )
    (shelter.folder / "wide.json").write_text(json.dumps(document), encoding="utf-8")
    schema = load_schema(str(shelter.folder / "wide.json"))
    path = _parquet(shelter.folder, _table(file=["f1", "f1"], passport=["x", "y"]))
    found = {}
    for person in ("file", "passport", "token"):
        opened = snapshot([path], schema, people_cap=10, person=person, ignored=["passport"])
        found[person] = opened.open(RECEIPT).people
    assert found == {"file": 1, "passport": 2, "token": 2}
    with pytest.raises(PersonColumnError):
        snapshot([path], schema, people_cap=10, person="age", ignored=["passport"])


# --- consent -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "people"),
    [
        *(("yes", 1), ("", 1), ("  ", 1), ("no", 0), ("0", 0), ("FALSE", 0)),
        *(("withdrawn", 0), ("refused", 0), ("revoked", 0), ("?", 0), ("yes, but not abroad", 0)),
    ],
)
def test_a_consent_cell_that_the_schema_does_not_know_is_a_refusal_and_never_silence(
    shelter: Shelter, schema: CaseSchema, cell: str, people: int
) -> None:
    records: list[Record] = [{"token": "p1", "mayRelease": "yes"}, {"token": "p1", "mayRelease": cell}]
    opened = _open(shelter.write("north.csv", records), schema=schema)
    assert opened.open(RECEIPT).people == people


# --- tokens of several organisations ------------------------------------------------------------------------------------------


def test_equal_tokens_of_two_organisations_are_two_persons_where_tokens_are_their_own(
    shelter: Shelter, schema: CaseSchema
) -> None:
    def numbered(first: int) -> list[Record]:
        return [{"token": str(i), "mayRelease": "yes", "gender": "woman"} for i in range(first, first + 40)]

    paths = [shelter.write(f"{name}.csv", numbered(first)) for name, first in (("a", 1), ("b", 1), ("c", 21))]
    shared = snapshot(paths, schema, people_cap=1000, person="token")
    own = snapshot(paths, schema, people_cap=1000, person="token", organisations=["north", "south", "north"])
    assert shared.open(RECEIPT).people == 60
    assert own.open(RECEIPT).people == 100  # files of one organisation number the same people
    with pytest.raises(PeopleCapError):
        snapshot(paths, schema, people_cap=99, person="token", organisations=["north", "south", "north"])
