"""The vault on the command line: made, filled, looked at and released from; no output counts people or quotes a cell."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from casehaven.cli._root import main
from casehaven.ledger import Ledger
from casehaven.vault.rootkeys import file_key
from casehaven.vault.store import Vault
from caseschemas import CaseSchema

if TYPE_CHECKING:
    from tests.conftest import MakePeople, Record

HEADER = ("token", "notes", "mayRelease", "year", "gender", "age", "means")
CANARY = "canary-Amina-73"
NOISE = 110
"""The interval of the number of people is about 27 wide on either side: a standard deviation of 14, of which this is eight; a false alarm in 10^15 runs."""


def test_what_a_killed_creation_left_is_named_and_nothing_of_it_is_used(tmp_path: Path) -> None:
    """`vault.json` is written last: without it, all the rest may be there."""
    desk = Desk(folder=tmp_path)
    assert desk.run("vault", "create").exit_code == 0
    (tmp_path / "vault" / "vault.json").unlink()
    again = desk.run("vault", "create", "--existing-key")
    assert (again.exit_code, "cut short" in again.output) == (1, True)
    left = [tmp_path / name for name in ("vault", "vault.keys", "vault.anchor")]
    for part in left:
        assert str(part) in again.output
        shutil.rmtree(part) if part.is_dir() else part.unlink()
    assert desk.run("vault", "create", "--existing-key").exit_code == 0


@dataclass(frozen=True, kw_only=True)
class Desk:
    """A steward's folder, and the command line run in it."""

    folder: Path

    def run(self, *arguments: str | Path, vault: bool = True) -> Result:
        """Run `casehaven`; with the vault's options unless told otherwise."""
        places = ["--vault", self.folder / "vault", "--root-key", f"file:{self.folder / 'root.key'}"] if vault else []
        return CliRunner().invoke(main, [str(argument) for argument in (*arguments, *places)])

    def write(self, name: str, records: Sequence[Record]) -> Path:
        """Write a case file."""
        path = self.folder / name
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, HEADER, restval="")
            writer.writeheader()
            writer.writerows(records)
        return path

    def intake(
        self, path: Path, organisation: str = "north", *, cap: int | None = 10_000, more: Sequence[str] = ()
    ) -> Result:
        """Take a file in."""
        options = ["--people-cap", str(cap)] if cap is not None else []
        schema = ("--schema", self.folder / "house.json")
        return self.run(
            "intake", path, "--organisation", organisation, "--dataset", "cases", "--yes", *schema, *options, *more
        )

    def release(self, *sources: str, out: str = "bundle", more: Sequence[str] = ()) -> Result:
        """Release datasets of the vault."""
        named = [part for source in sources for part in ("--from", source)]
        places = ("--ledger", self.folder / "ledger.sqlite", "--key", self.folder / "key.pem")
        more = more or ("--open-accounts",)
        return self.run("release", *named, "--epsilon", "2", "--out", self.folder / out, *places, *more)

    def open(self) -> Vault:
        """Open the vault."""
        return Vault.open(self.folder / "vault", file_key(self.folder / "root.key"))


@pytest.fixture
def desk(tmp_path: Path, house_schema: CaseSchema) -> Desk:
    """A folder with an empty vault, a ledger and a key."""
    (tmp_path / "house.json").write_text(json.dumps(house_schema.document()), encoding="utf-8")
    desk = Desk(folder=tmp_path)
    made = desk.run("vault", "create")
    assert made.exit_code == 0, made.output
    desk.run("ledger", "create", "--ledger", tmp_path / "ledger.sqlite", "--epsilon", "8", vault=False)
    desk.run("keys", "create", "--key", tmp_path / "key.pem", vault=False)
    return desk


def test_a_vault_is_made_with_a_root_key_of_its_own_and_only_once(desk: Desk) -> None:
    assert (desk.folder / "root.key").stat().st_mode & 0o777 == 0o600
    again = desk.run("vault", "create", "--existing-key")
    assert again.exit_code == 1
    assert "try: use the vault that is there" in again.output


def test_status_names_datasets_and_epochs_and_counts_nobody(desk: Desk, people: MakePeople) -> None:
    """The same words, but for the version, whether there are 30 people or 31."""
    desk.intake(desk.write("a.csv", people(30)))
    first = desk.run("vault", "status", "--check")
    assert first.exit_code == 0, first.output
    assert "north/cases: house 1.0.0, version 1, people cap 10,000" in first.output
    desk.intake(desk.write("b.csv", people(1, start=30)), cap=None)
    second = desk.run("vault", "status", "--check")
    assert second.output.replace("version 2, people", "version 1, people") == first.output


def test_status_check_finds_a_damaged_chunk(desk: Desk, people: MakePeople) -> None:
    desk.intake(desk.write("a.csv", people(30)))
    (chunk,) = (path for path in (desk.folder / "vault" / "chunks").rglob("*") if path.is_file())
    chunk.write_bytes(chunk.read_bytes()[:-1])
    result = desk.run("vault", "status", "--check")
    assert (result.exit_code, "not the one that was written" in result.output) == (1, True)


def test_without_the_root_key_nothing_opens(desk: Desk) -> None:
    (desk.folder / "root.key").rename(desk.folder / "elsewhere.key")
    result = desk.run("vault", "status")
    assert result.exit_code == 1
    assert "there is no root key" in result.output


def test_a_cap_that_was_too_small_for_the_first_file_can_be_declared_anew_until_something_is_in(
    desk: Desk, people: MakePeople
) -> None:
    path = desk.write("a.csv", people(30))
    small = desk.intake(path, cap=12)
    assert (small.exit_code, "declare a larger --people-cap" in small.output) == (1, True)
    assert desk.intake(path, cap=40).exit_code == 0
    full = desk.intake(desk.write("b.csv", people(30, start=30)), cap=None)
    assert (full.exit_code, "make another dataset" in full.output) == (1, True)
    later = desk.intake(desk.write("c.csv", people(1)), cap=400)
    assert (later.exit_code, "declared for good" in later.output) == (1, True)
    assert desk.run("audit", "verify").exit_code == 0


def test_an_intake_shows_the_dry_run_and_ends_with_what_it_did(desk: Desk, people: MakePeople) -> None:
    path = desk.write("a.csv", people(31))
    first = desk.intake(path)
    assert first.exit_code == 0, first.output
    assert "rows       31 read, 31 to be taken in\n" in first.stdout
    assert first.stdout.endswith("taken in   a.csv: north/cases, version 1\n")
    again = desk.intake(path, cap=None)
    assert again.stdout == "there      a.csv: north/cases has this file already; nothing was added\n"


def test_a_dataset_is_new_only_where_its_people_cap_is_named(desk: Desk, people: MakePeople) -> None:
    result = desk.intake(desk.write("a.csv", people(3)), cap=None)
    assert result.exit_code == 1
    assert "if the dataset is new, add --people-cap" in result.output
    assert desk.open().datasets() == ()


def test_a_dataset_keeps_its_schema_and_its_people_cap(desk: Desk, people: MakePeople) -> None:
    path = desk.write("a.csv", people(3))
    desk.intake(path)
    other = desk.run("intake", path, "--organisation", "north", "--dataset", "cases", "--schema", "ctdc-global")
    assert (other.exit_code, "is another one" in other.output) == (1, True)
    raised = desk.intake(path, cap=20_000)
    assert (raised.exit_code, "declared for good" in raised.output) == (1, True)


@pytest.mark.parametrize("fault", ["no person key", "too many people", "a cell too many"])
def test_a_refused_file_quotes_no_cell(desk: Desk, people: MakePeople, fault: str) -> None:
    records = [*people(12), {"token": "" if fault == "no person key" else CANARY, "notes": CANARY}]
    path = desk.write("a.csv", records)
    if fault == "a cell too many":
        path.write_text(path.read_text(encoding="utf-8").rstrip() + f",{CANARY}\n", encoding="utf-8")
    result = desk.intake(path, cap=12 if fault == "too many people" else 100)
    assert result.exit_code == 1
    assert "error: " in result.output and "try: " in result.output
    assert CANARY not in result.output


# --- releasing -------------------------------------------------------------------------------------------------------------


def test_two_datasets_are_released_and_each_account_pays(desk: Desk, people: MakePeople) -> None:
    desk.intake(desk.write("a.csv", people(300)))
    desk.intake(desk.write("b.csv", people(300, start=100)), "south")
    result = desk.release("north/cases", "south/cases", more=("--open-accounts", "--person-tokens", "shared"))
    assert result.exit_code == 0, result.output
    spent = {row.dataset for row in Ledger.open(desk.folder / "ledger.sqlite").statement().rows if row.spent_nano_rho}
    assert spent == {"north/cases", "south/cases"}
    manifest = json.loads((desk.folder / "bundle" / "manifest.json").read_text(encoding="utf-8"))
    assert "20000" in json.dumps(manifest), "people cap: the sum of the datasets'"
    assert abs(_people(result) - 400) < NOISE


def _people(result: Result) -> int:
    found = re.search(r"^people +about ([\d,]+) ", result.output, re.MULTILINE)
    assert found is not None
    return int(found[1].replace(",", ""))


def test_people_who_did_not_consent_are_not_in_a_release(desk: Desk, people: MakePeople) -> None:
    records = [{**record, "mayRelease": "yes" if i % 2 else ""} for i, record in enumerate(people(600))]
    desk.intake(desk.write("a.csv", records))
    result = desk.release("north/cases")
    assert result.exit_code == 0, result.output
    assert abs(_people(result) - 300) < NOISE


def test_whether_tokens_are_shared_has_to_be_said(desk: Desk, people: MakePeople) -> None:
    desk.intake(desk.write("a.csv", people(30)))
    desk.intake(desk.write("b.csv", people(30)), "south")
    result = desk.release("north/cases", "south/cases")
    assert result.exit_code == 1
    assert "--person-tokens shared" in result.output


REFUSED: dict[str, tuple[tuple[str, ...], int]] = {
    "a legal basis": (("--legal-basis", "because"), 1),
    "one row is one person": (("--row-is-person",), 1),
    "another person key": (("--person-key", "notes"), 1),
    "a schema": (("--schema", "ctdc-global"), 2),
    "a people cap below the datasets' own": (("--people-cap", "9999"), 1),
    "a file beside it": (("a.csv",), 2),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_does_not_fit_a_release_from_the_vault_is_refused_before_the_charge(
    desk: Desk, people: MakePeople, what: str
) -> None:
    desk.intake(desk.write("a.csv", people(30)))
    options, code = REFUSED[what]
    result = desk.release("north/cases", more=("--open-accounts", *options))
    assert result.exit_code == code, result.output
    assert not any(row.spent_nano_rho for row in Ledger.open(desk.folder / "ledger.sqlite").statement().rows)


def test_a_release_of_nothing_is_refused(desk: Desk) -> None:
    result = desk.release()
    assert (result.exit_code, "name case FILEs, or datasets" in result.output) == (2, True)
    missing = desk.release("north/none")
    assert (missing.exit_code, "no dataset north/none" in missing.output) == (1, True)


def test_the_same_request_again_is_the_same_bundle_and_another_dataset_is_another_request(
    desk: Desk, people: MakePeople
) -> None:
    desk.intake(desk.write("a.csv", people(300)))
    desk.intake(desk.write("b.csv", people(300)), "south")
    key = ("--open-accounts", "--idempotency-key", "one-request")
    assert desk.release("north/cases", more=key).exit_code == 0
    again = desk.release("north/cases", more=key)
    assert again.exit_code == 0, again.output
    assert "charge     none" in again.output
    other = desk.release("south/cases", out="other", more=key)
    assert other.exit_code == 1
    spent = {row.dataset for row in Ledger.open(desk.folder / "ledger.sqlite").statement().rows if row.spent_nano_rho}
    assert spent == {"north/cases"}


def test_one_person_more_in_the_vault_changes_no_word_before_the_noise(desk: Desk, people: MakePeople) -> None:
    """What a release prints up to its noisy numbers, and what it leaves in the ledger, with 300 people and with 301."""
    said = []
    for number, records in enumerate((people(300), people(301))):
        organisation = f"shelter-{number}"
        desk.intake(desk.write(f"{organisation}.csv", records), organisation)
        result = desk.release(f"{organisation}/cases", out=organisation)
        assert result.exit_code == 0, result.output
        noisy = r"[0-9a-f]{32}|^(people|error|shown|time) .*$"
        said.append(re.sub(noisy, "", result.output.replace(organisation, "shelter"), flags=re.MULTILINE))
    assert said[0] == said[1]
