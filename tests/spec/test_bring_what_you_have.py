"""Promise: an organisation brings the file that it has, from the tool that it has, and the vault holds what the file says.

Made-up people are written down as each tool exports them, taken in with the command that a caseworker would type, and compared, cell by cell, with what was made up: answers,
who is who, and consent. IOM's own templates are filled in where they are, and taken in with their defects.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from casehaven.cli import main
from casehaven.generate import generate_records
from casehaven.generate.dialects import DIALECTS, Defect, write_dialect
from casehaven.vault import models
from casehaven.vault.datasets import Dataset
from casehaven.vault.rootkeys import create_file_key, file_key
from casehaven.vault.store import Vault
from caseschemas import CaseSchema, load_schema
from casesynth.encode import encode

PEOPLE, SEED, CAP = 60, 21, 1000
HTCDS = "htcds-2.0"
PASSWORD = "correct horse"

PersonSaid = tuple[tuple[tuple[int, ...], ...], tuple[tuple[str, bool], ...]]
"""What is known of one person: the coded rows, sorted, and the latest answer on each purpose."""


@dataclass(frozen=True, kw_only=True)
class Steward:
    """Somebody with a vault, at a terminal that asks nothing."""

    folder: Path

    def run(self, *arguments: str | Path) -> Result:
        places = ("--vault", self.folder / "vault", "--root-key", f"file:{self.folder / 'root.key'}")
        return CliRunner().invoke(main, [str(argument) for argument in (*arguments, *places)])

    def intake(self, file: Path, dataset: str, schema: str, *extra: str | Path) -> Result:
        return self.run(
            "intake",
            file,
            "--organisation",
            "north",
            "--dataset",
            dataset,
            "--schema",
            schema,
            "--people-cap",
            str(CAP),
            "--yes",
            *extra,
        )

    def held(self, dataset_name: str) -> Counter[PersonSaid]:
        """Open everything that the vault holds of a dataset."""
        vault = Vault.open(self.folder / "vault", file_key(self.folder / "root.key"))
        dataset = vault.dataset("north", dataset_name)
        keys = vault.keys_of(dataset)
        rows: dict[int, list[tuple[int, ...]]] = {}
        consents: dict[int, dict[str, bool]] = {}
        with vault.database.transaction(writes=False) as connection:
            chunks = connection.execute(
                models.chunk.select().where(models.chunk.c.dataset_id == dataset.dataset_id)
            ).all()
            persons = select(models.person.c.person_id).where(models.person.c.dataset_id == dataset.dataset_id)
            said = models.consent.c
            answers = connection.execute(
                select(said.person_id, said.purpose, said.given)
                .where(said.person_id.in_(persons))
                .order_by(said.version)
            ).all()
        for chunk in chunks:
            opened = vault.read_chunk(dataset, keys, chunk)
            for row in zip(opened.persons.tolist(), *(column.tolist() for column in opened.columns), strict=True):
                rows.setdefault(row[0], []).append(row[1:])
        for person, purpose, given in answers:
            consents.setdefault(person, {})[purpose] = bool(given)
        return Counter(
            (tuple(sorted(cells)), tuple(sorted(consents.get(person, {}).items()))) for person, cells in rows.items()
        )


@pytest.fixture(scope="module")
def steward(tmp_path_factory: pytest.TempPathFactory) -> Steward:
    folder = tmp_path_factory.mktemp("steward")
    Vault.create(folder / "vault", create_file_key(folder / "root.key"))
    return Steward(folder=folder)


def _domain(schema: CaseSchema) -> Dataset:
    return Dataset(dataset_id=1, organisation="north", name="truth", schema=schema, people_cap=CAP, version=0)


def truth(
    schema: CaseSchema,
    *,
    asked: Callable[[str], bool] = lambda name: True,
    kept: Callable[[dict[str, str]], bool] = lambda record: True,
    row_is_person: bool = False,
    unlisted: frozenset[str] = frozenset(),
) -> Counter[PersonSaid]:
    """What was made up: the same as `Steward.held`, from the generator alone.

    Args:
        schema: of the records.
        asked: whether a column is in the file; otherwise nothing is known of it.
        kept: whether a record is to be taken in.
        row_is_person: each record is a person.
        unlisted: methods of control that nobody could choose.
    """
    records = [row for batch in generate_records(schema, PEOPLE, SEED) for row in batch.to_pylist()]
    records = [{name: cell if asked(name) else "" for name, cell in row.items()} for row in records if kept(row)]
    for row in records if unlisted else []:
        chosen = row["vic_MethodsOfControl"].split(";")
        row["vic_MethodsOfControl"] = ";".join(code for code in chosen if code not in unlisted)
    key = str(schema.person_key)
    persons = [str(place) if row_is_person else row[key] for place, row in enumerate(records)]
    table = pa.table({a.name: pa.array([row[a.name] for row in records], pa.string()) for a in schema.analysis})
    coded = encode(table, _domain(schema).domain, person=None)
    rows: dict[str, list[tuple[int, ...]]] = {}
    for person, *cells in zip(persons, *(column.tolist() for column in coded.columns), strict=True):
        rows.setdefault(person, []).append(tuple(cells))
    consents: dict[str, dict[str, bool]] = {person: {} for person in rows}
    for person, record in zip(persons, records, strict=True):
        for purpose, name in schema.consent.items():
            attribute = schema.attribute(name)
            position = attribute.code_of(record[name])
            assert position is not None
            if attribute.values[position].answered:
                given = attribute.values[position].missing is None
                consents[person][purpose] = given and consents[person].get(purpose, True)  # one refusal wins
    return Counter((tuple(sorted(cells)), tuple(sorted(consents[person].items()))) for person, cells in rows.items())


def _everything(schema: CaseSchema) -> tuple[str, ...]:
    """The vault leaves people behind who are not victims; to compare every cell, it is told not to."""
    return ("--leave-out-nothing",) if schema.id == HTCDS else ("--record-key", "none")


ASKED_ALIKE = {"excel-en", "excel-es"}
"""Like `excel-fr` but for the words, which tests/service/test_dialects.py compares."""

BROUGHT = [
    (name, HTCDS) for name, one in DIALECTS.items() if one.write_with_template is None and name not in ASKED_ALIKE
]
BROUGHT += [(name, "ctdc-global") for name in ("kobo-xlsx", "odk-central", "primero-xlsx", "primero-json")]
BROUGHT += [(name, "ctdc-victim-perpetrator") for name in ("kobo-csv", "odk-central", "primero-xlsx", "excel-ar")]


@pytest.mark.parametrize(("dialect", "schema_name"), BROUGHT)
def test_an_export_is_taken_in_and_the_vault_holds_what_it_says(
    steward: Steward, tmp_path: Path, dialect: str, schema_name: str
) -> None:
    schema = load_schema(schema_name)
    locked = DIALECTS[dialect].write_with_password is not None
    file = tmp_path / f"export{DIALECTS[dialect].suffixes[0]}"
    write_dialect(dialect, schema, PEOPLE, SEED, file, password=PASSWORD if locked else None)
    (tmp_path / "password").write_text(PASSWORD + "\n", "utf-8")
    opened = ("--password-file", tmp_path / "password") if locked else ()
    name = f"{dialect}-{schema_name}".replace(".", "-")
    done = steward.intake(file, name, schema_name, *opened, *_everything(schema))
    assert done.exit_code == 0, done.output
    assert "taken in" in done.output
    assert steward.held(name) == truth(schema)


def test_the_same_file_again_adds_nothing_and_a_corrected_one_corrects(steward: Steward, tmp_path: Path) -> None:
    schema = load_schema(HTCDS)
    file = write_dialect("kobo-csv", schema, PEOPLE, SEED, tmp_path / "kobo.csv")
    for said in ("taken in", "nothing was added"):
        done = steward.intake(file, "again", HTCDS, "--leave-out-nothing")
        assert done.exit_code == 0 and said in done.output
        assert steward.held("again") == truth(schema)
    text = file.read_text("utf-8")
    file.write_text(text.replace('"Closed"', '"FollowUp"', 1), "utf-8")
    done = steward.intake(file, "again", HTCDS, "--leave-out-nothing")
    assert done.exit_code == 0 and "0 new, 1 corrected" in done.output


FAULTS = [
    ("kobo-csv", "ctdc-global", (Defect.TAG_ROW,)),
    ("kobo-xlsx", "ctdc-global", (Defect.LOCAL_DIGITS, Defect.NBSP)),
    ("kobo-csv", HTCDS, (Defect.PARTIAL_DATES, Defect.NBSP)),
    ("excel-fr", "ctdc-global", (Defect.NUMBERED_ROWS, Defect.NBSP)),
    ("excel-ar", HTCDS, (Defect.NUMBERED_ROWS, Defect.LOCAL_DIGITS)),
    ("salesforce-csv", "ctdc-global", (Defect.LATIN_1, Defect.TWO_DIGIT_YEARS)),
    ("odk-central", HTCDS, (Defect.TWO_DIGIT_YEARS, Defect.NBSP)),
]


@pytest.mark.parametrize(("dialect", "schema_name", "defects"), FAULTS)
def test_an_export_with_defects_is_understood_all_the_same(
    steward: Steward, tmp_path: Path, dialect: str, schema_name: str, defects: tuple[Defect, ...]
) -> None:
    schema = load_schema(schema_name)
    file = tmp_path / f"export{DIALECTS[dialect].suffixes[0]}"
    language = "fr" if Defect.LATIN_1 in defects else None
    write_dialect(dialect, schema, PEOPLE, SEED, file, defects=frozenset(defects), language=language)
    name = "-".join(["faults", dialect, schema_name, *defects]).replace(".", "-")
    order: tuple[str, ...] = ()
    if Defect.TWO_DIGIT_YEARS in defects:  # 01/06/15 may be 2015 and 2001: nobody else can know
        unsure = steward.intake(file, name, schema_name, *_everything(schema))
        assert unsure.exit_code == 1 and "say which with --date-order" in unsure.output, unsure.output
        order = ("--date-order", "day-first")
    done = steward.intake(file, name, schema_name, *_everything(schema), *order)
    assert done.exit_code == 0, done.output
    assert steward.held(name) == truth(schema)


def test_a_birth_date_becomes_the_age_at_registration_once_somebody_said_yes(steward: Steward, tmp_path: Path) -> None:
    schema = load_schema("ctdc-global")
    file, saved = tmp_path / "kobo.csv", tmp_path / "mapping.json"
    write_dialect("kobo-csv", schema, PEOPLE, SEED, file, defects=frozenset({Defect.BIRTH_DATES}))
    unsure = steward.intake(file, "birth", schema.id, "--save-mapping", saved)
    assert unsure.exit_code == 1 and "rest on guesses" in unsure.output
    assert saved.exists()
    done = steward.intake(file, "birth", schema.id, "--mapping", saved)
    assert done.exit_code == 0, done.output
    found = steward.held("birth")
    undated = [
        row
        for batch in generate_records(schema, PEOPLE, SEED)
        for row in batch.to_pylist()
        if row["ageBroad"] and not row["yearOfRegistration"]
    ]
    assert not undated  # every age of these people can be told from two dates
    assert found == truth(schema)


TEMPLATES = (
    "HTCDS_Excel_Spreadsheet_v2.0.xlsx",
    "HTCDS_Excel_Spreadsheet_multi_select_with_validation_v2.0.xlsm",
    "htcds_xlsform.xlsx",
)
"""IOM's own files; of them nothing is kept here."""

NOT_ASKED = {"yearOfRegistration", "ageAtRegistration", "countryOfExploitation", "vic_RelationshipToTrafficker"} | {
    "consentOwnStatistics", "consentPooledStatistics", "consentSyntheticRelease",
}  # fmt: skip
"""What no file of IOM's asks; two of them the vault would guess from other dates, if somebody said yes."""
NOT_ON_THE_FORM = {"cas_ReasonForOutgoingReferral", "cas_OutgoingReferralDate"}
NOT_LISTED = frozenset({"RestrictsMovement", "UsesChildren"})
"""Methods of control that the standard defines and IOM's form leaves out: nobody can choose them there."""


@pytest.mark.parametrize("template", TEMPLATES)
def test_ioms_own_files_filled_in_are_taken_in(
    steward: Steward, shared_data: Path, tmp_path: Path, template: str
) -> None:
    schema, source = load_schema(HTCDS), shared_data / "htcds" / template
    form = "xlsform" in template
    file, saved = tmp_path / f"filled{source.suffix}", tmp_path / "mapping.json"
    write_dialect("htcds-xlsform" if form else "htcds-template", schema, PEOPLE, SEED, file, template=source)
    name = template.lower().split(".")[0][-30:].replace("_", "-").strip("-")
    extra = ("--row-is-person", "--leave-out-nothing", *(("--form", source, "--record-key", "none") if form else ()))

    unsure = steward.intake(file, name, HTCDS, *extra, "--save-mapping", saved)
    assert unsure.exit_code == 1 and "rest on guesses" in unsure.output  # the year of registration and the age at it
    certain = _without_guesses(saved)
    done = steward.intake(file, name, HTCDS, *extra, "--mapping", certain)
    assert done.exit_code == 0, done.output

    absent = NOT_ASKED | (NOT_ON_THE_FORM if form else set())
    assert steward.held(name) == truth(
        schema,
        asked=lambda column: column not in absent,
        row_is_person=True,
        unlisted=NOT_LISTED if form else frozenset(),
    )


def _without_guesses(saved: Path) -> Path:
    """The mapping as somebody would leave it who strikes out what is guessed."""
    document = json.loads(saved.read_text("utf-8"))
    struck = [entry for entry in document["attributes"] if entry["status"] == "guess"]
    assert {entry["to"] for entry in struck} == {"yearOfRegistration", "ageAtRegistration"}
    document["attributes"] = [entry for entry in document["attributes"] if entry["status"] != "guess"]
    for entry in document["attributes"]:
        entry.pop("guesses", None)
    path = saved.with_name("certain.json")
    path.write_text(json.dumps(document), "utf-8")
    return path


def test_people_who_are_not_victims_are_left_behind_unless_somebody_says_otherwise(
    steward: Steward, tmp_path: Path
) -> None:
    schema = load_schema(HTCDS)
    file = write_dialect("kobo-csv", schema, PEOPLE, SEED, tmp_path / "kobo.csv")
    done = steward.intake(file, "victims", HTCDS)
    assert done.exit_code == 0, done.output
    expected = truth(schema, kept=lambda row: row["vic_TraffickingStatus"] != "NotAVictimOfTrafficking")
    assert steward.held("victims") == expected
    assert expected != truth(schema)


def test_the_schemas_own_file_a_prepared_file_and_an_export_say_the_same(steward: Steward, tmp_path: Path) -> None:
    schema = load_schema(HTCDS)
    key, public, out = tmp_path / "agreement.key", tmp_path / "north.pub", tmp_path / "north.prepared"
    export = write_dialect("primero-xlsx", schema, PEOPLE, SEED, tmp_path / "primero.xlsx")
    assert CliRunner().invoke(main, ["linkage", "create", str(key)]).exit_code == 0
    made = steward.run("vault", "keys", "public", "north", "--new", "-o", public)
    fingerprint = next(line for line in made.output.splitlines() if line.startswith("fingerprint")).split()[1]
    sealed = CliRunner().invoke(
        main,
        [
            "prepare", str(export), "--schema", HTCDS, "--organisation", "north", "--to", str(public), "--linkage-key", str(key),
            "--fingerprint", fingerprint, "--yes", "-o", str(out),
        ],
    )  # fmt: skip
    assert sealed.exit_code == 0, sealed.output
    first = steward.intake(out, "prepared", HTCDS)
    assert first.exit_code == 0, first.output
    assert "names-birth/1 under the linkage key SHA256:" in first.output
    expected = truth(schema, kept=lambda row: row["vic_TraffickingStatus"] != "NotAVictimOfTrafficking")
    assert steward.held("prepared") == expected
    again = steward.intake(out, "prepared", HTCDS)
    assert again.exit_code == 0 and "nothing was added" in again.output


def test_a_dry_run_of_a_prepared_file_takes_nothing_in(steward: Steward, tmp_path: Path) -> None:
    file = write_dialect("kobo-csv", load_schema(HTCDS), 5, SEED, tmp_path / "kobo.csv")
    assert steward.intake(file, "dry", HTCDS).exit_code == 0
    before = steward.held("dry")
    key, public, out = tmp_path / "agreement.key", tmp_path / "north.pub", tmp_path / "north.prepared"
    CliRunner().invoke(main, ["linkage", "create", str(key)])
    made = steward.run("vault", "keys", "public", "north", "-o", public)
    fingerprint = next(line for line in made.output.splitlines() if line.startswith("fingerprint")).split()[1]
    arguments = [
        "prepare",
        file,
        "--schema",
        HTCDS,
        "--organisation",
        "north",
        "--to",
        public,
        "--linkage-key",
        key,
        "-o",
        out,
    ]
    sealed = CliRunner().invoke(main, [*map(str, arguments), "--fingerprint", fingerprint, "--yes"])
    assert sealed.exit_code == 0, sealed.output
    dry = steward.run("intake", out, "--organisation", "north", "--dataset", "dry", "--schema", HTCDS, "--dry-run")
    assert dry.exit_code == 0 and "nothing was taken in" in dry.output
    assert steward.held("dry") == before
