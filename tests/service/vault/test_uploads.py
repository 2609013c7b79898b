"""Case files into the vault: what is kept, what is refused, and what a second file changes; on SQLite and on Postgres."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import Table, func, select

from casehaven.errors import CasehavenError
from casehaven.intake import files
from casehaven.intake.errors import ChangedCaseFileError, MissingColumnsError, RaggedRowError, UnknownColumnsError
from casehaven.intake.uploads import take_in
from casehaven.vault import models
from casehaven.vault.errors import SchemaDiffersError, VaultBusyError
from caseschemas import load_schema
from casesynth.persons import PeopleCapError, PersonKeyError

if TYPE_CHECKING:
    from tests.conftest import MakePeople
    from tests.service.vault.conftest import Store

CANARY = "canary-Amina-73"
PURPOSES = {
    "care": "mayCare",
    "own_statistics": "mayCount",
    "pooled_statistics": "mayPool",
    "synthetic_release": "mayRelease",
}


def _rows(store: Store, table: Table) -> int:
    with store.open().database.transaction(writes=False) as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


def _said(store: Store, token: str) -> dict[str, list[bool]]:
    """Every answer of a person, by purpose, oldest first."""
    vault = store.open()
    person = vault.person_by_token(store.dataset(), token)
    assert person is not None
    consent = models.consent.c
    query = select(consent.purpose, consent.version, consent.given).where(consent.person_id == person.person_id)
    found: dict[str, list[bool]] = {}
    with vault.database.transaction(writes=False) as connection:
        for row in connection.execute(query.order_by(consent.version)):
            found.setdefault(row.purpose, []).append(bool(row.given))
            assert row.version == len(found[row.purpose])
    return found


# --- what is kept ----------------------------------------------------------------------------------------------------------


def test_a_persons_records_of_two_files_are_under_one_key(store: Store) -> None:
    store.take_in([{"token": "p1", "gender": "woman"}, {"token": "p2"}])
    store.take_in([{"token": " p1 ", "year": "2021"}, {"token": "p3"}])
    assert (_rows(store, models.person), _rows(store, models.record)) == (3, 4)
    assert store.cells("p1") == [{"token": "p1", "gender": "woman"}, {"token": " p1 ", "year": "2021"}]
    assert store.dataset().version == 2


def test_the_same_file_twice_adds_nothing_whatever_it_is_called(store: Store) -> None:
    first = store.take_in([{"token": "p1"}])
    assert not first.repeated
    again = take_in(store.open(), store.dataset(), store.write([{"token": "p1"}]))
    assert again.repeated
    assert (again.upload_id, again.version) == (first.upload_id, first.version)
    assert (_rows(store, models.record), store.dataset().version) == (1, 1)
    other = store.take_in([{"token": "p1"}], name="archive")
    assert not other.repeated, "another dataset has not had it"


def test_how_a_file_is_known_cannot_be_guessed_from_the_file(store: Store) -> None:
    store.take_in([{"token": "p1"}])
    store.take_in([{"token": "p1"}], organisation="south")
    with store.open().database.transaction(writes=False) as connection:
        hashes = [bytes(found) for found in connection.scalars(select(models.upload.c.file_sha256_hmac))]
    assert len(set(hashes)) == 2


def test_a_parquet_file_is_taken_in_as_a_csv_file_is(store: Store, people: MakePeople) -> None:
    records = people(20)
    columns = {name: pa.array([record.get(name, "") for record in records]) for name in records[0]}
    columns["year"] = pa.array([int(record["year"]) for record in records])
    path = store.folder / "north.parquet"
    pq.write_table(pa.table(columns), path)
    take_in(store.open(), store.dataset(), path)
    assert store.cells("p00003") == [{name: cell for name, cell in records[3].items() if cell}]


def test_a_file_of_several_batches_is_one_upload(
    store: Store, people: MakePeople, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_BLOCK_BYTES", 2_000)
    monkeypatch.setattr("casehaven.intake.uploads.ROWS_FULL", 100)
    store.take_in([*people(300), *people(300)])
    assert (_rows(store, models.person), _rows(store, models.record)) == (300, 600)
    assert _rows(store, models.chunk) > 3
    assert len(store.cells("p00250")) == 2


def test_an_empty_file_is_taken_in_and_adds_nobody(store: Store) -> None:
    upload = store.take_in([])
    assert (upload.version, _rows(store, models.person), _rows(store, models.chunk)) == (1, 0, 0)


def test_identifiers_are_dropped_unless_they_are_asked_for(store: Store) -> None:
    schema = load_schema("ctdc-global")
    vault = store.open()
    dataset = vault.add_dataset("south", "cases", schema, 100)
    names = ["caseReference", "personToken", *(attribute.name for attribute in schema.analysis)]
    for number, keep in enumerate(((), ("caseReference",))):
        cells = [CANARY, f"p{number}", *("" for _ in schema.analysis)]
        path = store.folder / f"south-{number}.csv"
        path.write_text(",".join(names) + "\n" + ",".join(cells) + "\n", encoding="utf-8")
        take_in(vault, dataset, path, keep=keep)
        person = vault.person_by_token(dataset, f"p{number}")
        assert person is not None
        (record,) = vault.read_records(person, reason="look")
        assert ("caseReference" in record.cells) == bool(keep)
        assert record.cells["personToken"] == f"p{number}"
    with pytest.raises(SchemaDiffersError, match="passport"):
        take_in(vault, dataset, path, keep=["passport"])


def test_an_index_for_duplicates_is_made_of_identifiers_that_are_dropped(store: Store) -> None:
    schema = load_schema("htcds-2.0")
    vault = store.open()
    dataset = vault.add_dataset("south", "cases", schema, 100)
    names = ["personToken", "prs_FirstName", "prs_SecondName", "prs_Birthdate"]
    names += [attribute.name for attribute in schema.analysis if attribute.name not in names]
    rows = [["p1", "José", CANARY, "1999-03-04"], ["p2", CANARY, "Jose", "1999-03-04"], ["p3", "José", CANARY, "1999"]]
    path = store.folder / "south.csv"
    lines = [",".join([*row, *[""] * (len(names) - len(row))]) for row in rows]
    path.write_text("\n".join([",".join(names), *lines, ""]), encoding="utf-8")
    take_in(vault, dataset, path)
    with vault.database.transaction(writes=False) as connection:
        found = connection.execute(select(models.blind_index)).all()
    person = vault.person_by_token(dataset, "p1")
    assert person is not None
    assert len(found) == 2
    assert len({bytes(row.value) for row in found}) == 1
    path.write_text("\n".join([",".join(names), lines[2], lines[0], lines[1], ""]), encoding="utf-8")
    assert not take_in(vault, dataset, path).repeated
    assert _rows(store, models.blind_index) == 2, "what is there is not written again"
    assert CANARY not in str(vault.read_records(person, reason="look")[0].cells)


# --- consent ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("purpose", PURPOSES)
def test_consent_is_read_for_each_purpose_from_its_own_column(store: Store, purpose: str) -> None:
    store.take_in(
        [{"token": "p1", PURPOSES[purpose]: "yes"}, {"token": "p2", PURPOSES[purpose]: "no"}, {"token": "p3"}]
    )
    assert _said(store, "p1") == {purpose: [True]}
    assert _said(store, "p2") == {purpose: [False]}
    assert _said(store, "p3") == {}


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["yes", ""], [True]),
        (["yes", "no"], [False]),
        (["no", "yes"], [False]),
        (["", ""], []),
        (["yes", "withdrawn"], [False]),
        (["?"], [False]),
    ],
)
def test_one_refusal_in_a_file_wins(store: Store, cells: list[str], said: list[bool]) -> None:
    store.take_in([{"token": "p1", "mayRelease": cell} for cell in cells])
    assert _said(store, "p1").get("synthetic_release", []) == said


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("yes", "no", [True, False]),
        ("yes", "yes", [True]),
        ("yes", "", [True]),
        ("no", "yes", [False]),
        ("no", "no", [False]),
        ("", "yes", [True]),
        ("", "no", [False]),
    ],
)
def test_a_later_file_may_refuse_and_never_undoes_a_refusal(
    store: Store, first: str, second: str, said: list[bool]
) -> None:
    store.take_in([{"token": "p1", "mayRelease": first}])
    store.take_in([{"token": "p1", "mayRelease": second, "year": "2021"}])
    assert _said(store, "p1").get("synthetic_release", []) == said
    withdrawn = {purpose for _, purpose in store.open().anchor.read().withdrawn}
    assert withdrawn == ({"synthetic_release"} if (second, said[-1:]) == ("no", [False]) and first != "no" else set())


# --- what is refused -------------------------------------------------------------------------------------------------------


FAULTS: dict[str, tuple[Callable[[Path], object], type[CasehavenError]]] = {
    "a column is missing": (lambda path: _edit(path, "gender", "other"), MissingColumnsError),
    "a column is unknown": (lambda path: _edit(path, "notes", "passport"), UnknownColumnsError),
    "a row is ragged": (lambda path: path.write_text(path.read_text() + "one cell\n"), RaggedRowError),
}


def _edit(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_with_a_fault_is_refused_whole(store: Store, people: MakePeople, fault: str) -> None:
    path = store.write(people(20))
    FAULTS[fault][0](path)
    with pytest.raises(FAULTS[fault][1]):
        take_in(store.open(), store.dataset(), path)
    _nothing(store)


def _nothing(store: Store) -> None:
    tables = (models.person, models.record, models.chunk, models.consent, models.upload)
    assert [_rows(store, table) for table in tables] == [0, 0, 0, 0, 0]
    assert not [path for path in (store.path / "chunks").rglob("*") if path.is_file()]
    assert store.dataset().version == 0


def test_a_record_without_a_person_key_is_named_by_its_row(store: Store, people: MakePeople) -> None:
    path = store.write([*people(3), {"token": "  ", "notes": CANARY}])
    with pytest.raises(PersonKeyError, match=rf"^{path.name}: row 5 has no person key$"):
        take_in(store.open(), store.dataset(), path)
    _nothing(store)


def test_more_people_than_the_people_cap_are_refused_at_intake(store: Store, people: MakePeople) -> None:
    store.dataset(people_cap=10)
    with pytest.raises(PeopleCapError, match="more than 10 people"):
        store.take_in(people(11))
    _nothing(store)
    store.take_in(people(8))
    with pytest.raises(PeopleCapError):
        store.take_in(people(3, start=8))
    store.take_in(people(10))  # eight of them are there
    assert _rows(store, models.person) == 10


def test_a_file_that_changes_while_it_is_read_is_refused(store: Store, people: MakePeople) -> None:
    path = store.write(people(20))

    def change() -> None:
        path.write_text(path.read_text(encoding="utf-8") + "p99999" + "," * 9 + "\n", encoding="utf-8")

    with pytest.raises(ChangedCaseFileError):
        take_in(store.open(), store.dataset(), path, check=change)
    _nothing(store)


def test_an_intake_that_is_cancelled_leaves_nothing(store: Store, people: MakePeople) -> None:
    path = store.write(people(20))

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take_in(store.open(), store.dataset(), path, check=stop)
    _nothing(store)


def test_no_message_of_a_refusal_holds_a_cell(store: Store) -> None:
    path = store.write([{"token": CANARY, "notes": CANARY}])
    for fault, _ in FAULTS.values():
        copy = store.folder / "copy.csv"
        copy.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
        fault(copy)
        with pytest.raises(CasehavenError) as refusal:
            take_in(store.open(), store.dataset(), copy)
        assert CANARY not in str(refusal.value)


def test_while_keys_are_rotated_no_file_is_taken_in(
    store: Store, people: MakePeople, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key must not be wrapped under an epoch that is about to be destroyed."""
    path, dataset, vault = store.write(people(3)), store.dataset(), store.open()
    monkeypatch.setattr("casehaven.vault.locks.WAIT_SECONDS", 0.1)
    with vault.organisation_lock("north", alone=True), pytest.raises(VaultBusyError):
        take_in(vault, dataset, path)
    take_in(vault, dataset, path)
