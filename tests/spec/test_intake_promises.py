"""What `docs/spec/intake.md` promises to an organisation that brings its own file.

A shelter brings the table that it has always kept, in French, with semicolons. The words `canary-...` stand for what must not be seen: names, notes, and cells of columns that the
schema has no place for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from casehaven.cli import main
from casehaven.intake.mapping_document import parse_intake_mapping
from casehaven.vault.rootkeys import create_file_key, file_key
from casehaven.vault.store import Vault
from caseschemas import load_schema

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "spec" / "intake.md").read_text(encoding="utf-8")
SHAPE = json.loads(
    (ROOT / "platform" / "casehaven" / "intake" / "intake-mapping.schema.json").read_text(encoding="utf-8")
)

HEADER = "Jeton de la personne;Sexe;Prénom;Nationalité;Année d’enregistrement;Consentement;Motif de clôture;Remarques du soir\n"
ROWS = (
    "T-1;Femme;canary-Amina;Ukraine;12/2021;oui;canary-left;canary-story\n"
    "T-2;H;canary-Carl;Côte d'Ivoire;2020;retiré;canary-died;canary-night\n"
)


class Shelter:
    """A shelter with a vault, and everything that was ever on its screen."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.screen = ""
        Vault.create(folder / "vault", create_file_key(folder / "root.key"))

    def intake(self, text: str, *more: str, name: str = "registre.csv") -> Result:
        """Write a file and take it in."""
        path = self.folder / name
        path.write_bytes(text.encode("cp1252"))  # as a spreadsheet in French saves it
        vault = ["--vault", str(self.folder / "vault"), "--root-key", f"file:{self.folder / 'root.key'}"]
        named = ["--organisation", "north", "--dataset", "cases", "--schema", "htcds-2.0", "--people-cap", "100"]
        result = CliRunner().invoke(main, ["intake", str(path), *named, *more, *vault])
        self.screen += result.output
        path.unlink()
        return result

    def cells(self, token: str, *, history: bool = False) -> list[dict[str, str]]:
        """What counts of a person."""
        vault = Vault.open(self.folder / "vault", file_key(self.folder / "root.key"))
        person = vault.person_by_token(vault.dataset("north", "cases"), token)
        found = [] if person is None else vault.read_records(person, reason="a test")
        return [dict(one.cells) for one in found if history or one.superseded_by is None]

    def left(self) -> Iterator[tuple[Path, bytes]]:
        """Every file of the shelter, and its bytes."""
        for path in self.folder.rglob("*"):
            if path.is_file():
                yield path, path.read_bytes()


@pytest.fixture
def shelter(tmp_path: Path) -> Shelter:
    """A shelter that begins."""
    return Shelter(tmp_path)


def test_a_guess_is_refused_then_looked_at_then_used_and_remembered(shelter: Shelter) -> None:
    mapping = shelter.folder / "mapping.json"
    refused = shelter.intake(HEADER + ROWS, "--yes", "--save-mapping", str(mapping))
    assert (refused.exit_code, shelter.cells("T-1")) == (1, [])
    document = json.loads(mapping.read_text(encoding="utf-8"))
    (guess,) = [entry for entry in document["attributes"] if entry["status"] == "guess"]
    assert (guess["to"], guess["from"]) == ("prs_Gender", ["Sexe"])
    guess["status"] = "decided"
    guess["codes"] = {"H": "Masculine"}  # the shelter knows what its H means
    assert "notUnderstood" not in guess, "one row is somebody's own"
    mapping.write_text(json.dumps(document), encoding="utf-8")
    assert shelter.intake(HEADER + ROWS, "--yes", "--mapping", str(mapping)).exit_code == 0
    assert shelter.cells("T-1")[0]["prs_Gender"] == "Feminine"
    assert shelter.cells("T-2")[0]["prs_Gender"] == "Masculine"
    later = shelter.intake(HEADER + ROWS + "T-3;H;x;PHL;2022;non;;\n", "--yes", name="mars.csv")
    assert later.exit_code == 0, later.output
    assert shelter.cells("T-3")[0]["prs_Gender"] == "Masculine", "the mapping was remembered"
    assert len(shelter.cells("T-1", history=True)) == 1, "the same row adds nothing"


def test_no_name_no_note_and_no_unread_cell_is_anywhere_after_intake(shelter: Shelter) -> None:
    mapping = str(shelter.folder / "mapping.json")
    shelter.intake(HEADER + ROWS, "--dry-run", "--save-mapping", mapping)
    assert shelter.intake(HEADER + ROWS, "--yes", "--mapping", mapping).exit_code == 0
    assert "T-1" not in shelter.screen and "canary" not in shelter.screen
    for path, data in shelter.left():
        assert b"canary" not in data, path.name
        assert "canary".encode("utf-16-le") not in data, path.name
    for token in ("T-1", "T-2"):
        assert "canary" not in json.dumps(shelter.cells(token, history=True))


def test_an_unclear_consent_is_a_refusal(shelter: Shelter) -> None:
    mapping = str(shelter.folder / "mapping.json")
    shelter.intake(HEADER + ROWS, "--dry-run", "--save-mapping", mapping)
    shelter.intake(HEADER + ROWS, "--yes", "--mapping", mapping)
    assert [shelter.cells(token)[0]["con_Consent"] for token in ("T-1", "T-2")] == ["TRUE", "FALSE"]


def test_what_the_dry_run_tells_is_what_happens(shelter: Shelter) -> None:
    mapping = str(shelter.folder / "mapping.json")
    tried = shelter.intake(HEADER + ROWS + ";Femme;x;PHL;2022;;;\n", "--dry-run", "--save-mapping", mapping)
    done = shelter.intake(HEADER + ROWS + ";Femme;x;PHL;2022;;;\n", "--yes", "--mapping", mapping)
    table = re.compile(r"^(?:attribute|[a-z]+_|rows|refused|personToken|yearOf).*$", re.MULTILINE)
    assert table.findall(tried.output) == table.findall(done.output)
    assert done.exit_code == 1, "a refused row has no place yet"
    assert "refused    row 4: no person key" in done.output
    assert shelter.cells("T-1") == []


# --- the document ----------------------------------------------------------------------------------------------------------------


def test_the_mapping_in_the_document_is_one() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)
    mapping = parse_intake_mapping(example.encode(), load_schema("htcds-2.0"))
    assert len(mapping.attributes) == 4


def test_every_field_of_a_mapping_is_in_the_document() -> None:
    fields = {*SHAPE["properties"], *SHAPE["properties"]["attributes"]["items"]["properties"]} - {"$schema"}
    assert fields <= {
        name for row in re.findall(r"^\| (`.*?) \|", DOCUMENT, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    }


def test_a_list_that_counts_its_records_like_another_one_is_told_in_the_dry_run_and_refused(shelter: Shelter) -> None:
    header = "No;Jeton de la personne;Nationalité;Année d’enregistrement;Consentement\n"
    first, second = (
        header + "1;T-1;Ukraine;2021;oui\n2;T-2;Ukraine;2020;oui\n",
        header + "2;T-8;Ukraine;2022;oui\n3;T-9;Ukraine;2022;oui\n",
    )
    assert shelter.intake(first, "--yes", "--record-key", "No").exit_code == 0
    told = shelter.intake(second, "--dry-run", "--record-key", "No")
    assert told.exit_code == 0 and "others     1 row holds" in told.output and "row 2\n" in told.output
    refused = shelter.intake(second, "--yes", "--record-key", "No")
    assert refused.exit_code == 1 and "held by other people" in refused.output and "--record-key" in refused.output
    assert (shelter.cells("T-8"), shelter.cells("T-9")) == ([], [])
    assert len(shelter.cells("T-2")) == 1, "nobody's record gives way to a stranger's"
    own = shelter.intake(second, "--yes", "--record-key", "none")
    assert own.exit_code == 0 and "others " not in own.output
    assert len(shelter.cells("T-8")) == len(shelter.cells("T-2")) == 1
