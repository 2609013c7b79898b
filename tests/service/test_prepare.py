"""Prepared files: what leaves an organisation, what does not, and what the vault takes in."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

from casehaven.cli import main
from casehaven.generate import generate_records
from casehaven.generate.dialects import write_dialect
from casehaven.intake.errors import PreparedFileError, PreparedForAnotherError, PreparedSchemaError
from casehaven.intake.linkage_key import create_linkage_key, read_linkage_key
from casehaven.intake.mapped_file import RECORD_KEY
from casehaven.intake.prepare import _coded
from casehaven.intake.prepare_tokens import reference_token
from casehaven.intake.public_key_file import OrganisationPublicKey, read_public_key
from casehaven.intake.sealed_upload import (
    MAGIC,
    PreparedFile,
    allowed_columns,
    is_prepared,
    open_prepared,
    seal_prepared,
)
from casehaven.intake.uploads import take_in
from casehaven.vault.envelope import new_key_pair
from casehaven.vault.rootkeys import create_file_key, file_key
from casehaven.vault.store import Vault
from caseschemas import CaseSchema, load_schema

HTCDS = "htcds-2.0"
CANARY = "Canary Xylophone"

Prepare = Callable[..., Result]


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Two organisations' keys in one vault, a linkage key, and the command line."""

    folder: Path
    vault: Vault

    def public(self, organisation: str) -> OrganisationPublicKey:
        return read_public_key(self.folder / f"{organisation}.pub")

    def run(self, *arguments: str | Path, given: str | None = None) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments], input=given)

    def prepare(
        self,
        *files: Path,
        organisation: str = "north",
        schema: str = HTCDS,
        out: str = "out.prepared",
        extra: tuple[str, ...] = (),
    ) -> Result:
        to = self.folder / f"{organisation}.pub"
        return self.run(
            "prepare", *files, "--schema", schema, "--organisation", organisation, "--to", to, "--yes", "--replace",
            "--fingerprint", self.public(organisation).fingerprint, "--linkage-key", self.folder / "agreement.key",
            "-o", self.folder / out, *extra,
        )  # fmt: skip

    def open(self, out: str = "out.prepared", *, organisation: str = "north", schema: str = HTCDS) -> PreparedFile:
        return open_prepared(self.folder / out, self.vault.keystore.organisation(organisation), load_schema(schema))


@pytest.fixture(scope="session")
def _agreed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("agreement")
    vault = Vault.create(folder / "vault", create_file_key(folder / "root.key"))
    create_linkage_key(folder / "agreement.key")
    create_linkage_key(folder / "other.key")
    for organisation in ("north", "south"):
        vault.add_dataset(organisation, "cases", load_schema(HTCDS), 1000)
        vault.add_dataset(organisation, "ctdc", load_schema("ctdc-global"), 1000)
        places = ["--vault", str(vault.folder.path), "--root-key", f"file:{folder / 'root.key'}"]
        made = CliRunner().invoke(
            main, ["vault", "keys", "public", organisation, "-o", str(folder / f"{organisation}.pub"), *places]
        )
        assert made.exit_code == 0, made.output
    return folder


@pytest.fixture
def agreement(_agreed: Path, tmp_path: Path) -> Agreement:
    for name in ("agreement.key", "other.key", "north.pub", "south.pub"):
        (tmp_path / name).write_bytes((_agreed / name).read_bytes())
        (tmp_path / name).chmod(0o600)
    for name in ("vault", "vault.keys"):
        shutil.copytree(_agreed / name, tmp_path / name)
    shutil.copy(_agreed / "vault.anchor", tmp_path / "vault.anchor")
    shutil.copy(_agreed / "root.key", tmp_path / "root.key")
    return Agreement(folder=tmp_path, vault=Vault.open(tmp_path / "vault", file_key(tmp_path / "root.key")))


def export(
    folder: Path,
    name: str = "kobo.csv",
    *,
    dialect: str = "kobo-csv",
    people: int = 40,
    seed: int = 3,
    schema: str = HTCDS,
) -> Path:
    return write_dialect(dialect, load_schema(schema), people, seed, folder / name, replace_existing=True)


def cells_of(file: PreparedFile) -> dict[str, list[str]]:
    return {
        name: [cell for batch in file.batches([name]) for cell in batch.column(0).to_pylist()] for name in file.columns
    }


def positions(schema: CaseSchema, name: str, cell: str) -> frozenset[int]:
    attribute = schema.attribute(name)
    return frozenset(place for place in attribute.codes_of(cell) or () if attribute.values[place].answered)


def test_what_is_opened_says_what_the_export_says_and_nothing_else(agreement: Agreement) -> None:
    done = agreement.prepare(export(agreement.folder))
    assert done.exit_code == 0, done.output
    schema, found = load_schema(HTCDS), agreement.open()
    assert set(found.columns) == set(allowed_columns(schema))
    cells = cells_of(found)
    listed = [a.name for a in schema.attributes if a.values]
    truth = {name: [] for name in listed}  # type: dict[str, list[str]]
    for batch in generate_records(schema, 40, 3):
        victims = [
            row
            for row, cell in enumerate(batch.column("vic_TraffickingStatus").to_pylist())
            if not cell.startswith("NotA")
        ]
        for name in listed:
            truth[name] += [batch.column(name).to_pylist()[row] for row in victims]

    def rows(columns: dict[str, list[str]]) -> list[tuple[frozenset[int], ...]]:
        meant = [[positions(schema, name, cell) for cell in columns[name]] for name in listed]
        return sorted(zip(*meant, strict=True), key=str)

    assert rows(cells) == rows(truth)
    assert len(cells["personToken"]) > 30
    for name in ("personToken", RECORD_KEY):
        assert all(re.fullmatch("[0-9a-f]{32}", cell) for cell in cells[name])
    assert len(set(cells[RECORD_KEY])) == len(cells[RECORD_KEY])
    assert cells[RECORD_KEY] == sorted(cells[RECORD_KEY])


@pytest.mark.parametrize("dialect", ["kobo-csv", "primero-xlsx", "excel-fr", "odk-central"])
def test_no_canary_of_the_export_is_in_the_output_even_when_it_is_opened(agreement: Agreement, dialect: str) -> None:
    suffix = {"kobo-csv": "csv", "odk-central": "zip"}.get(dialect, "xlsx")
    source = export(agreement.folder, f"c.{suffix}", dialect=dialect)
    done = agreement.prepare(source)
    assert done.exit_code == 0, done.output
    opened = "\n".join(cell for cells in cells_of(agreement.open()).values() for cell in cells)
    schema, needles = load_schema(HTCDS), set[str]()
    for batch in generate_records(schema, 40, 3):
        for attribute in schema.attributes:
            if not attribute.values:
                needles |= {cell for cell in batch.column(attribute.name).to_pylist() if cell}
    needles |= {"Fictitious Person", "+999", "Made-up story", "Nowhere Street", "example-0", "Example "}
    assert len(needles) > 500
    sealed = (agreement.folder / "out.prepared").read_bytes()
    for needle in needles:
        assert needle not in opened, needle
        assert needle.encode() not in sealed, needle
    for screen in (done.stdout, done.stderr):
        assert not [needle for needle in needles - {"Example "} if needle in screen]


def test_words_that_the_schema_does_not_list_stay_behind_and_an_unknown_word_on_consent_is_a_refusal(
    agreement: Agreement,
) -> None:
    source = agreement.folder / "hand.csv"
    header = ["personToken", "prs_Gender", "vic_MethodsOfControl", "con_Consent", "cas_Status", "prs_FirstName"]
    rows = [
        ["p1", f"{CANARY} 1", f"DebtBondage;{CANARY} 2", "TRUE", "Active", f"{CANARY} 3"],
        ["p2", "Feminine", "FalsePromises", f"{CANARY} 4", f"{CANARY} 5", ""],
    ]
    with source.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    done = agreement.prepare(source)
    assert done.exit_code == 0, done.output
    cells = cells_of(agreement.open())
    assert CANARY not in str(cells)
    assert sorted(zip(cells["con_Consent"], cells["vic_MethodsOfControl"], strict=True)) == [
        ("FALSE", "FalsePromises"), ("TRUE", "DebtBondage"),
    ]  # fmt: skip
    assert sorted(cells["cas_Status"]) == ["", "Active"]


def test_cells_are_written_as_codes_of_the_list_whatever_the_mapping_let_through() -> None:
    schema = load_schema(HTCDS)
    control, gender, consent = (
        schema.attribute(name) for name in ("vic_MethodsOfControl", "prs_Gender", "con_Consent")
    )
    cells = pa.chunked_array([[f"Debt bondage;{CANARY}", CANARY, None, " Other ; FalsePromises"]])
    assert _coded(control, cells).to_pylist() == ["DebtBondage", "", "", "FalsePromises;Other"]
    assert _coded(gender, pa.chunked_array([["feminine", CANARY, ""]])).to_pylist() == ["Feminine", "", ""]
    assert _coded(consent, pa.chunked_array([["yes", CANARY, ""]])).to_pylist() == ["TRUE", "FALSE", ""]
    assert _coded(gender, pa.chunked_array([[]], pa.string())).to_pylist() == []


def test_the_vault_takes_a_prepared_file_in_once_and_a_correction_updates(agreement: Agreement) -> None:
    source = export(agreement.folder)
    dataset = agreement.vault.dataset("north", "cases")
    assert agreement.prepare(source).exit_code == 0
    first = take_in(agreement.vault, dataset, agreement.open())
    assert not first.repeated and first.records > 30 and first.corrected == 0
    assert agreement.prepare(source, out="again.prepared").exit_code == 0
    assert (agreement.folder / "again.prepared").read_bytes() != (agreement.folder / "out.prepared").read_bytes()
    assert take_in(agreement.vault, dataset, agreement.open("again.prepared")).repeated

    text = source.read_text("utf-8")
    corrected = agreement.folder / "corrected.csv"
    corrected.write_text(text.replace('"Closed"', '"FollowUp"', 1), "utf-8")
    assert agreement.prepare(corrected, out="corrected.prepared").exit_code == 0
    update = take_in(agreement.vault, dataset, agreement.open("corrected.prepared"))
    assert (update.repeated, update.records, update.corrected) == (False, 1, 1)
    assert update.unchanged == first.records - 1


def test_a_person_is_found_by_what_the_case_reference_became(agreement: Agreement) -> None:
    source = export(agreement.folder)
    assert agreement.prepare(source).exit_code == 0
    take_in(agreement.vault, agreement.vault.dataset("north", "cases"), agreement.open())
    folder = agreement.folder
    said = agreement.run(
        "linkage",
        "reference",
        folder / "agreement.key",
        "--organisation",
        "north",
        "--case-reference",
        " c000001-000007 ",
    )
    assert said.exit_code == 0 and said.output.strip() in cells_of(agreement.open())["caseReference"]
    places = ("--vault", folder / "vault", "--root-key", f"file:{folder / 'root.key'}")

    def find(reference: str) -> Result:
        return agreement.run("person", "find", reference, "--dataset", "north/cases", "--reason", "a test", *places)

    assert find(said.output.strip()).exit_code == 0, find(said.output.strip()).output
    assert find("C000001-000007").exit_code != 0
    other = agreement.run(
        "linkage", "reference", folder / "other.key", "--organisation", "north", "--case-reference", "C000001-000007"
    )
    assert find(other.output.strip()).exit_code != 0


def _tokens(
    agreement: Agreement, source: Path, organisation: str = "north", schema: str = HTCDS, extra: tuple[str, ...] = ()
) -> list[str]:
    done = agreement.prepare(source, organisation=organisation, schema=schema, extra=extra)
    assert done.exit_code == 0, done.output
    return cells_of(agreement.open(organisation=organisation, schema=schema))["personToken"]


def test_partners_make_the_same_token_for_the_same_names_and_birth_date_and_for_nobody_else(
    agreement: Agreement,
) -> None:
    header = "personToken,prs_FirstName,prs_SecondName,prs_Birthdate,prs_Gender"
    north, south = agreement.folder / "n.csv", agreement.folder / "s.csv"
    north.write_text(
        f"{header}\n1,Ana,Example,1990-05-06,Feminine\n2,Bo,Sample,1991-01-02,Masculine\n3,Cy,Test,1992,Feminine\n",
        "utf-8",
    )
    south.write_text(
        f"{header}\n3,EXAMPLE,ana,1990-05-06,\n1,Dee,Else,1985-07-08,Feminine\n9,Cy,Test,1992,Feminine\n", "utf-8"
    )
    ours, theirs = _tokens(agreement, north), _tokens(agreement, south, "south")
    assert len(set(ours) & set(theirs)) == 1
    assert len(set(ours)) == len(set(theirs)) == 3
    again = _tokens(agreement, north, extra=("--person-numbers", "shared"))
    assert len(set(again) & set(ours)) == 2  # the person without a full date of birth has another kind of token
    (agreement.folder / "agreement.key").write_bytes((agreement.folder / "other.key").read_bytes())
    assert not set(_tokens(agreement, south, "south")) & {*ours, *theirs}


def test_numbers_meet_only_where_the_partners_say_that_they_share_them(agreement: Agreement) -> None:
    source = export(agreement.folder, schema="ctdc-global")
    own = [set(_tokens(agreement, source, one, "ctdc-global")) for one in ("north", "south")]
    assert not own[0] & own[1]
    shared = [
        set(_tokens(agreement, source, one, "ctdc-global", ("--person-numbers", "shared")))
        for one in ("north", "south")
    ]
    assert shared[0] == shared[1] and len(shared[0]) > 30


def test_all_records_of_a_person_key_have_one_token(agreement: Agreement) -> None:
    source = export(agreement.folder, people=200)
    found = dict[str, set[str]]()
    assert agreement.prepare(source).exit_code == 0
    with source.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    cells = cells_of(agreement.open())
    by_reference = dict(zip(cells["caseReference"], cells["personToken"], strict=True))
    key = read_linkage_key(agreement.folder / "agreement.key")
    for row in rows:
        token = by_reference.get(reference_token(key, "north", row["person/caseReference"]))
        if token is not None:
            found.setdefault(row["person/personToken"], set()).add(token)
    assert len(found) > 150
    assert max(map(len, found.values())) == 1
    assert len({token for tokens in found.values() for token in tokens}) == len(found)


def test_every_bit_and_every_cut_is_refused(agreement: Agreement) -> None:
    assert agreement.prepare(export(agreement.folder, people=4)).exit_code == 0
    path = agreement.folder / "out.prepared"
    whole = path.read_bytes()
    head = 25 + 98 + 74
    places = [*range(head), *range(head, len(whole), 997), len(whole) - 1]
    for place in places:
        broken = bytearray(whole)
        broken[place] ^= 1 << (place % 8)
        path.write_bytes(bytes(broken))
        with pytest.raises(PreparedFileError):
            agreement.open()
    for length in [*range(0, head, 3), head, len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(PreparedFileError):
            agreement.open()
    path.write_bytes(whole + b"\0")
    with pytest.raises(PreparedFileError):
        agreement.open()
    path.write_bytes(whole)
    assert agreement.open().columns


def test_another_organisation_another_name_and_another_schema_are_refused(agreement: Agreement) -> None:
    assert agreement.prepare(export(agreement.folder, people=4)).exit_code == 0
    with pytest.raises(PreparedForAnotherError, match="not sealed to a key that south has"):
        agreement.open(organisation="south")
    with pytest.raises(PreparedSchemaError, match="another schema than ctdc-global"):
        agreement.open(schema="ctdc-global")
    renamed = replace(agreement.public("north"), organisation="south")  # north's key below south's name
    document = {
        "format": "casehaven-organisation-key/1",
        "organisation": "south",
        "public_key": renamed.public_key.hex(),
        "fingerprint": renamed.fingerprint,
    }
    (agreement.folder / "south.pub").write_text(json.dumps(document), "utf-8")
    assert agreement.prepare(export(agreement.folder, people=4), organisation="south").exit_code == 0
    with pytest.raises(PreparedFileError, match="changed, cut short, or prepared for another one"):
        agreement.open()


def test_a_key_that_was_renewed_still_opens_and_a_forgotten_one_does_not(agreement: Agreement) -> None:
    assert agreement.prepare(export(agreement.folder, people=4)).exit_code == 0
    keys = agreement.vault.keystore.organisation("north")
    keys.renew_upload_key()
    assert agreement.open().columns
    keys.forget_upload_keys()
    with pytest.raises(PreparedForAnotherError):
        agreement.open()


def test_a_forged_file_with_text_where_hashes_belong_is_refused(agreement: Agreement) -> None:
    schema, to = load_schema(HTCDS), agreement.public("north")
    good = {name: [""] for name in allowed_columns(schema)} | {"personToken": ["0" * 32], RECORD_KEY: ["1" * 32]}
    path = agreement.folder / "forged.prepared"

    def forged(columns: dict[str, list[str]]) -> None:
        path.write_bytes(seal_prepared(pa.table(columns), schema, "names-birth/1", "x", to))

    forged(good)
    assert agreement.open("forged.prepared").columns
    for name, cell in (
        ("personToken", "Ana Example"),
        (RECORD_KEY, "7"),
        ("caseReference", "C-1"),
        ("personToken", ""),
    ):
        forged(good | {name: [cell]})
        with pytest.raises(PreparedFileError, match="not a keyed hash"):
            agreement.open("forged.prepared")
    forged(good | {"prs_FirstName": ["Ana"]})
    with pytest.raises(PreparedFileError, match="does not write"):
        agreement.open("forged.prepared")
    forged({name: cells for name, cells in good.items() if name != "prs_Gender"})
    with pytest.raises(PreparedFileError, match="does not write"):
        agreement.open("forged.prepared")


def test_the_length_says_little_of_how_many_records_there_are(agreement: Agreement) -> None:
    sizes = []
    for people in (1, 20, 60):
        assert agreement.prepare(export(agreement.folder, people=people)).exit_code == 0
        sizes.append((agreement.folder / "out.prepared").stat().st_size)
    assert sizes[0] == sizes[1] == sizes[2]


def test_the_command_refuses_what_is_not_sure(agreement: Agreement) -> None:
    source, folder = export(agreement.folder, people=4), agreement.folder
    wrong = agreement.run(
        "prepare", source, "--schema", HTCDS, "--organisation", "north", "--to", folder / "north.pub", "--fingerprint", "SHA256:x",
        "--linkage-key", folder / "agreement.key", "-o", folder / "x.prepared",
    )  # fmt: skip
    assert wrong.exit_code == 1 and "not the one that was given" in wrong.output
    common = (
        "prepare",
        source,
        "--schema",
        HTCDS,
        "--linkage-key",
        folder / "agreement.key",
        "-o",
        folder / "x.prepared",
    )
    unsure = agreement.run(*common, "--organisation", "north", "--to", folder / "north.pub", given="n\n")
    assert unsure.exit_code == 1 and "nobody compared it" in unsure.output
    theirs = agreement.run(*common, "--organisation", "south", "--to", folder / "north.pub")
    assert theirs.exit_code == 1 and "the public key is that of north, not of south" in theirs.output
    assert not (folder / "x.prepared").exists()
    sure = agreement.run(*common, "--organisation", "north", "--to", folder / "north.pub", given="y\ny\n")
    assert sure.exit_code == 0, sure.output
    before = (folder / "x.prepared").read_bytes()
    assert (folder / "x.prepared").stat().st_mode & 0o077 == 0
    again = agreement.run(*common, "--organisation", "north", "--to", folder / "north.pub", given="y\ny\n")
    assert again.exit_code == 1 and "exists already" in again.output
    assert (folder / "x.prepared").read_bytes() == before


def test_guesses_need_a_yes_to_a_mapping_that_somebody_saw(agreement: Agreement) -> None:
    source, saved = agreement.folder / "guess.csv", agreement.folder / "mapping.json"
    source.write_text("personToken,Genders\n1,Feminine\n2,Masculine\n", "utf-8")
    unsure = agreement.prepare(source, out="g.prepared", extra=("--save-mapping", str(saved)))
    assert unsure.exit_code == 1 and "rest on guesses" in unsure.output
    assert not (agreement.folder / "g.prepared").exists()
    sure = agreement.prepare(source, out="g.prepared", extra=("--mapping", str(saved)))
    assert sure.exit_code == 0, sure.output
    assert sorted(cells_of(agreement.open("g.prepared"))["prs_Gender"]) == ["Feminine", "Masculine"]


def test_nobody_is_taken_for_a_person_of_their_own_unless_somebody_says_so(agreement: Agreement) -> None:
    source = agreement.folder / "nobody.csv"
    header = "prs_Gender,prs_FirstName,prs_SecondName,prs_Birthdate"
    rows = ("Feminine,Ana,Example,04/03/1990", "Feminine,ana,EXAMPLE,1990-03-04", "Masculine,Bo,Example,25/12/1985")
    source.write_text("\n".join([header, *rows]) + "\n", "utf-8")
    unsure = agreement.prepare(source)
    assert unsure.exit_code == 1 and "tell people apart" in unsure.output
    sure = agreement.prepare(source, extra=("--row-is-person",))
    assert sure.exit_code == 0, sure.output
    tokens = cells_of(agreement.open())["personToken"]
    assert len(tokens) == 3 and len(set(tokens)) == 2  # names and a full date are the person; one date proves the order


def test_a_linkage_key_that_others_can_read_or_that_is_none_is_refused(agreement: Agreement) -> None:
    source, key = export(agreement.folder, people=4), agreement.folder / "agreement.key"
    key.chmod(0o644)
    assert "chmod 600" in agreement.prepare(source).output
    key.chmod(0o600)
    key.write_text("casehaven-root-key/1:" + "0" * 64, "utf-8")
    assert "holds no linkage key" in agreement.prepare(source).output
    key.unlink()
    assert agreement.prepare(source).exit_code == 1
    assert not (agreement.folder / "out.prepared").exists()


def test_a_linkage_key_is_never_overwritten_and_never_shown(agreement: Agreement) -> None:
    path = agreement.folder / "new.key"
    made = agreement.run("linkage", "create", path)
    assert made.exit_code == 0 and path.stat().st_mode & 0o077 == 0
    secret = path.read_text("ascii").strip().removeprefix("casehaven-linkage-key/1:")
    assert len(secret) == 64
    assert agreement.run("linkage", "create", path).exit_code == 1
    shown = agreement.run("linkage", "show", path)
    assert secret in path.read_text("ascii") and secret not in made.output + shown.output
    assert shown.output.strip() in made.output


@pytest.mark.parametrize(
    "change",
    [
        {"organisation": "south"},
        {"public_key": new_key_pair()[1].hex()},
        {"format": "x"},
        {"public_key": "zz"},
        {"organisation": 7},
    ],
)
def test_a_changed_public_key_file_is_refused(agreement: Agreement, change: dict[str, object]) -> None:
    path = agreement.folder / "north.pub"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | change), "utf-8")
    done = agreement.run(
        "prepare", export(agreement.folder, people=2), "--schema", HTCDS, "--organisation", "north", "--to", path,
        "--linkage-key", agreement.folder / "agreement.key", "-o", agreement.folder / "x", given="y\n",
    )  # fmt: skip
    assert done.exit_code == 1 and not (agreement.folder / "x").exists()


def test_preparing_opens_no_connection_and_needs_no_vault(agreement: Agreement, tmp_path: Path) -> None:
    source = export(agreement.folder, people=4)
    script = (
        "import sys\n"
        "def watch(event, arguments):\n"
        "    if event in ('socket.connect', 'socket.bind', 'socket.getaddrinfo', 'socket.sendto'):\n"
        "        raise SystemExit(f'network: {event}')\n"
        "    if event == 'open' and 'vault' in str(arguments[0]) and '.py' not in str(arguments[0]):\n"
        "        raise SystemExit(f'vault: {arguments[0]}')\n"
        "sys.addaudithook(watch)\n"
        "from casehaven.cli import main\n"
        "main(sys.argv[1:])\n"
    )
    lonely = tmp_path / "lonely"
    lonely.mkdir()
    for name in ("agreement.key", "north.pub", source.name):
        (lonely / name).write_bytes((agreement.folder / name).read_bytes())
    (lonely / "agreement.key").chmod(0o600)
    arguments = [
        "prepare", source.name, "--schema", HTCDS, "--organisation", "north", "--to", "north.pub", "--linkage-key", "agreement.key",
        "--fingerprint", agreement.public("north").fingerprint, "-o", "out.prepared", "--yes",
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=lonely, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in lonely.iterdir()) == sorted(
        ["agreement.key", "north.pub", "out.prepared", source.name]
    )
    assert (lonely / "out.prepared").read_bytes().startswith(MAGIC) and is_prepared(lonely / "out.prepared")
    assert not is_prepared(source) and not is_prepared(lonely / "absent")


def test_an_organisation_that_is_new_to_the_vault_gets_its_keys_only_when_asked(agreement: Agreement) -> None:
    places = ("--vault", agreement.folder / "vault", "--root-key", f"file:{agreement.folder / 'root.key'}")
    refused = agreement.run("vault", "keys", "public", "west", "-o", agreement.folder / "west.pub", *places)
    assert refused.exit_code == 1 and not (agreement.folder / "west.pub").exists()
    made = agreement.run("vault", "keys", "public", "west", "--new", "-o", agreement.folder / "west.pub", *places)
    assert made.exit_code == 0 and agreement.public("west").fingerprint in made.output
    again = agreement.run("vault", "keys", "public", "west", "--new", "-o", agreement.folder / "west2.pub", *places)
    assert again.exit_code == 0 and agreement.public("west2") == agreement.public("west")
