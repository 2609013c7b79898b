"""A person's block is fixed when the person comes in, and nothing moves it; a snapshot opens the people of the blocks that are named. On SQLite and on Postgres."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from sqlalchemy import select, update

from casehaven.blocks import UnknownBlockError, parse_blocks, schema_blocks
from casehaven.core.audit import read_entries
from casehaven.core.audit_models import audit
from casehaven.intake.uploads import take_in
from casehaven.people import People
from casehaven.vault import models
from casehaven.vault.backup import write_backup
from casehaven.vault.errors import SealBrokenError
from casehaven.vault.restore import restore
from casehaven.vault.rotation import rotate_epoch
from casehaven.vault.snapshots import Tokens, snapshot
from casehaven.vault.store import Vault
from caseschemas import CaseSchema, load_schema, parse_schema

if TYPE_CHECKING:
    from tests.conftest import MakePeople, Record
    from tests.service.vault.conftest import MakeStore, Store

    from casesynth.persons import PersonTable
    from casesynth.privacy import Receipt

BLOCKS = ("", "2019", "2020", "2021", "2022", "2023")


@dataclass(frozen=True, kw_only=True)
class Rows:
    """A file in memory that is read in batches of one record."""

    rows: Sequence[Mapping[str, str]]

    @property
    def path(self) -> Path:
        """Where it would be."""
        return Path("rows")

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return ("token", "mayRelease", "year", "gender", "age", "means")

    def digest(self) -> str:
        """What it is known by."""
        return hashlib.sha256(json.dumps([dict(row) for row in self.rows]).encode()).hexdigest()

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The records."""
        for row in self.rows:
            cells = [pa.array([row.get(name, "")], pa.string()) for name in columns]
            yield pa.RecordBatch.from_arrays(cells, names=list(columns))


def _block(store: Store, token: str, organisation: str = "north") -> str:
    vault = store.open()
    dataset = vault.dataset(organisation, "cases")
    person = vault.person_by_token(dataset, token)
    assert person is not None
    return vault.block_of(dataset, person)


def _record(token: str, year: str, **more: str) -> Record:
    return {"token": token, "mayRelease": "yes", "year": year, "gender": "woman", **more}


def _profiles(table: PersonTable) -> list[bytes]:
    return sorted(bytes(row) for row in np.stack(table.columns, axis=1))


# --- which block ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("years", "block"),
    [
        (["2021"], "2021"),
        (["2023", "2020", "2022"], "2020"),
        (["", "2022"], "2022"),
        ([""], ""),
        (["1850"], ""),
        (["2024"], ""),
        (["2031", "2023"], "2023"),
        (["last spring"], ""),
    ],
)
def test_the_earliest_year_that_the_schema_lists_is_the_block(
    sqlite_store: Store, years: list[str], block: str
) -> None:
    """Whatever the order of the rows; a year that the schema does not list opens no block of its own."""
    orders = list(itertools.permutations(years))
    sqlite_store.take_in([_record(f"p{place}", year) for place, order in enumerate(orders) for year in order])
    assert {_block(sqlite_store, f"p{place}") for place in range(len(orders))} == {block}


def test_the_blocks_are_the_schemas_whatever_is_in_the_files(store: Store) -> None:
    assert schema_blocks(store.schema) == BLOCKS
    store.take_in([_record("p", "1850"), _record("q", "2099")])
    assert schema_blocks(store.dataset().schema) == BLOCKS
    for name in ("ctdc-global", "htcds-2.0", "ctdc-victim-perpetrator"):
        schema = load_schema(name)
        assert schema.block is not None
        known = [v.code for v in schema.attribute(schema.block.attribute).values if v.missing is None]
        assert schema_blocks(schema) == ("", *sorted(known))


def test_a_schema_without_a_year_of_registration_has_one_block(
    house_schema: CaseSchema, sqlite_store: Store, receipt: Receipt
) -> None:
    document = json.loads(house_schema.canonical())
    del document["block"]
    for attribute in document["attributes"]:
        attribute["merge"] = "agree" if attribute.get("merge") == "earliest" else attribute.get("merge")
    attributes = [{k: v for k, v in one.items() if v is not None} for one in document["attributes"]]
    schema = parse_schema({**document, "id": "plain", "attributes": attributes})
    assert schema_blocks(schema) == ("",)
    dataset = sqlite_store.open().add_dataset("north", "plain", schema, 100)
    sqlite_store.take_in([_record("p", "2021")], name="plain")
    vault = sqlite_store.open()
    person = vault.person_by_token(dataset, "p")
    assert person is not None
    assert vault.block_of(dataset, person) == ""
    found = snapshot(vault, [vault.dataset("north", "plain")], "synthetic_release", blocks=[""])
    assert found.open(receipt).people == 1


@pytest.mark.parametrize("named", [["2018"], ["2021", "2o21"], [], ["2021 "], ["unknown"]])
def test_a_block_that_the_schema_does_not_list_is_refused_before_anything_is_read(
    sqlite_store: Store, named: list[str]
) -> None:
    with pytest.raises(UnknownBlockError, match="2019 to 2023, and unknown"):
        snapshot(sqlite_store.open(), [sqlite_store.dataset()], "synthetic_release", blocks=named)
    with pytest.raises(UnknownBlockError):
        parse_blocks(sqlite_store.schema, named)


# --- nothing moves it -----------------------------------------------------------------------------------------------------------


def test_neither_a_later_file_nor_a_correction_consent_or_epoch_moves_a_person(store: Store, receipt: Receipt) -> None:
    store.take_in([_record("p", "2021"), _record("unknown", "")])
    store.take_in([_record("p", "2019", age="20"), _record("p", "2023"), _record("unknown", "2020")])
    vault = store.open()
    people = People(vault, vault.dataset("north", "cases"))
    people.correct("p", {"year": "2022"}, record=1, reason="an error")
    people.correct("unknown", {"year": "2022"}, record=1, reason="an error")
    people.record_consent("p", "synthetic_release", given=False, reason="a test")
    people.record_consent("p", "synthetic_release", given=True, language="en", reason="a test")
    people.keep_until("p", None, reason="a test")
    rotate_epoch(vault, "north", "2027-01")
    store.take_in([_record("p", "2020", age="40")])
    assert (_block(store, "p"), _block(store, "unknown")) == ("2021", "")
    dataset = store.dataset()
    counted = {
        block: snapshot(store.open(), [dataset], "synthetic_release", blocks=[block]).open(receipt).people
        for block in BLOCKS
    }
    assert counted == {**dict.fromkeys(BLOCKS, 0), "2021": 1, "": 1}


def test_a_backup_carries_blocks(make_store: MakeStore, people: MakePeople) -> None:
    store = make_store()
    store.take_in([_record("p", "2021"), *people(20)])
    store.take_in([_record("p", "2019")])
    write_backup(store.open(), store.folder / "backup")
    vault = restore(
        store.folder / "backup",
        store.folder / "restored",
        store.root,
        keystore=store.open().folder.keystore_path,
        anchor=store.open().folder.anchor_path,
        reason="a test",
    )
    dataset = vault.dataset("north", "cases")
    person = vault.person_by_token(dataset, "p")
    assert person is not None
    assert vault.block_of(dataset, person) == "2021"


def test_who_was_erased_and_comes_in_again_is_a_new_person_in_whatever_block_the_file_says(store: Store) -> None:
    """The vault knows nothing any more that could tell it who that was: `docs/spec/people.md` says so."""
    store.take_in([_record("p", "2021")])
    vault = store.open()
    People(vault, vault.dataset("north", "cases")).erase("p", reason="asked for")
    store.take_in([_record("p", "2023")])
    assert _block(store, "p") == "2023"


def test_a_file_of_several_chunks_gives_each_person_one_block(
    sqlite_store: Store, receipt: Receipt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person's records may be far apart in a large file; the block is known when all of it was read."""
    monkeypatch.setattr("casehaven.intake.uploads.ROWS_FULL", 3)
    vault, dataset = sqlite_store.open(), sqlite_store.dataset()
    years = ("2023", "2022", "", "2020", "2021")
    rows = [{"token": f"p{i}", "year": year, "mayRelease": "yes"} for year in years for i in range(4)]
    rows += [{"token": "late", "year": "", "mayRelease": "yes"}]
    take_in(vault, dataset, Rows(rows=rows))
    with vault.database.transaction(writes=False) as connection:
        chunks = connection.execute(select(models.chunk)).all()
    assert len(chunks) == 7
    keys = vault.keys_of(dataset)
    assert {b for row in chunks for b in vault.read_chunk(dataset, keys, row).blocks.tolist()} == {0, 2}
    assert [_block(sqlite_store, token) for token in ("p0", "p3", "late")] == ["2020", "2020", ""]
    opened = snapshot(vault, [sqlite_store.dataset()], "synthetic_release", blocks=["2020"]).open(receipt)
    assert opened.people == 4


# --- who is opened --------------------------------------------------------------------------------------------------------------


def _two_houses(store: Store, people: MakePeople) -> None:
    """People whom both organisations know, some under another year, some of whom refuse in one of them."""
    north = people(40)
    south: list[Record] = [
        {**record, "year": str(2019 + i % 3), "mayRelease": ("yes", "yes", "no", "")[i % 4], "age": "22"}
        for i, record in enumerate(people(40, start=20))
    ]
    store.take_in([*north, *({**record, "year": "2023"} for record in north[::3])], organisation="north")
    store.take_in(south, organisation="south")


def test_people_of_the_named_blocks_are_opened_and_nobody_else(
    store: Store, people: MakePeople, receipt: Receipt
) -> None:
    store.take_in([*people(60), _record("x", "")])
    vault, dataset = store.open(), store.dataset()
    whole = snapshot(vault, [dataset], "synthetic_release").open(receipt)
    parts = [snapshot(vault, [dataset], "synthetic_release", blocks=[block]).open(receipt) for block in BLOCKS]
    assert [part.people for part in parts] == [1, 12, 12, 12, 12, 12]
    assert sorted(itertools.chain(*map(_profiles, parts))) == _profiles(whole)
    some = snapshot(vault, [dataset], "synthetic_release", blocks={"2021", ""}).open(receipt)
    assert _profiles(some) == sorted(_profiles(parts[0]) + _profiles(parts[3]))
    records = snapshot(vault, [dataset], "synthetic_release", blocks={"2021", ""}).open_records(receipt, at_most=3)
    assert len(records.columns[0]) == 13


def test_a_refusal_in_a_block_that_is_not_read_keeps_a_shared_token_out(store: Store, receipt: Receipt) -> None:
    store.take_in([_record("p", "2021"), _record("q", "2021")], organisation="north")
    store.take_in([{**_record("p", "2019"), "mayRelease": "no"}], organisation="south")
    vault = store.open()
    both = [vault.dataset("north", "cases"), vault.dataset("south", "cases")]
    shared = snapshot(vault, both, "synthetic_release", tokens_are="shared", blocks=["2021"]).open(receipt)
    separate = snapshot(vault, both, "synthetic_release", tokens_are="separate", blocks=["2021"]).open(receipt)
    assert (shared.people, separate.people) == (1, 2)


@pytest.mark.parametrize("tokens", ["shared", "separate"])
def test_people_held_by_block_are_those_that_opening_the_blocks_gives(
    sqlite_store: Store, people: MakePeople, receipt: Receipt, tokens: Tokens
) -> None:
    """Every subset of the blocks, with tokens that are in another block in each of two datasets."""
    _two_houses(sqlite_store, people)
    vault = sqlite_store.open()
    both = [vault.dataset("north", "cases"), vault.dataset("south", "cases")]
    held = snapshot(vault, both, "synthetic_release", tokens_are=tokens).open_by_block(receipt)
    assert (len(held.several_in) > 0) == (tokens == "shared")
    assert _profiles(held.only(None)) == _profiles(
        snapshot(vault, both, "synthetic_release", tokens_are=tokens).open(receipt)
    )
    for length in (1, 2, 5):
        for named in itertools.combinations(BLOCKS, length):
            opened = snapshot(vault, both, "synthetic_release", tokens_are=tokens, blocks=named).open(receipt)
            assert _profiles(held.only(named)) == _profiles(opened), named


def test_nobody_held_by_block_is_nobody(sqlite_store: Store, receipt: Receipt) -> None:
    held = snapshot(sqlite_store.open(), [sqlite_store.dataset()], "synthetic_release").open_by_block(receipt)
    assert held.only(None).people == held.only(["2021"]).people == 0


def test_the_audit_log_says_whose_records_were_opened(sqlite_store: Store, receipt: Receipt) -> None:
    vault, dataset = sqlite_store.open(), sqlite_store.dataset()
    snapshot(vault, [dataset], "synthetic_release", blocks=["2021", ""]).open(receipt)
    with vault.database.transaction(writes=False) as connection:
        opened = select(audit).where(audit.c.action == "snapshot.open")
        said = [vault.audit.reason(entry) for entry in read_entries(connection, opened)]
    assert said == ["synthetic_release of people first registered in 2021 or an unknown year, charge c1"]


# --- who holds the disk ---------------------------------------------------------------------------------------------------------


def test_the_database_does_not_say_who_is_in_which_block_or_how_many(sqlite_store: Store) -> None:
    sqlite_store.take_in([_record(f"p{i}", "2021") for i in range(40)])
    vault = sqlite_store.open()
    with vault.database.transaction(writes=False) as connection:
        codes = connection.scalars(select(models.person.c.block_code)).all()
    assert len({bytes(code) for code in codes if code is not None}) == 40


Change = Callable[[Vault, int, int], None]


def _set(vault: Vault, number: int, code: bytes | None) -> None:
    with vault.database.transaction(writes=True) as connection:
        connection.execute(update(models.person).where(models.person.c.person_id == number).values(block_code=code))


def _code(vault: Vault, number: int) -> bytes:
    with vault.database.transaction(writes=False) as connection:
        found = connection.scalar(select(models.person.c.block_code).where(models.person.c.person_id == number))
    assert found is not None
    return bytes(found)


@pytest.mark.parametrize(
    "change",
    [
        lambda vault, one, other: _set(vault, one, _code(vault, other)),
        lambda vault, one, other: _set(vault, one, bytes(16)),
        lambda vault, one, other: _set(vault, one, None),
        lambda vault, one, other: _set(vault, one, b""),
    ],
    ids=["another person's", "zeros", "none", "empty"],
)
def test_a_person_whose_block_was_changed_in_the_database_is_not_shown_and_takes_no_file(
    sqlite_store: Store, change: Change
) -> None:
    sqlite_store.take_in([_record("p", "2021"), _record("q", "2022")])
    vault, dataset = sqlite_store.open(), sqlite_store.dataset()
    one, other = vault.person_by_token(dataset, "p"), vault.person_by_token(dataset, "q")
    assert one is not None
    assert other is not None
    change(vault, one.person_id, other.person_id)
    with pytest.raises(SealBrokenError, match="block"):
        vault.person_by_token(dataset, "p")
    with pytest.raises(SealBrokenError, match="block"):
        sqlite_store.take_in([_record("p", "2022")])
    assert vault.person_by_token(dataset, "q") is not None
