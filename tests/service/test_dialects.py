"""Made-up exports say, cell by cell, what the generated case records say; another program reads them."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import warnings
import zipfile
from pathlib import Path

import openpyxl
import pytest
from click.testing import CliRunner, Result

from casehaven.cli import main
from casehaven.generate import RequestError, generate_records
from casehaven.generate.dialects import DIALECTS, Defect, write_dialect
from caseschemas import CaseSchema, SchemaAttribute, load_schema

PEOPLE, SEED = 60, 11
SCHEMAS = ("ctdc-global", "ctdc-victim-perpetrator", "htcds-2.0")
PLAIN = [name for name, dialect in DIALECTS.items() if dialect.write is not None]
TEMPLATES = ("HTCDS_Excel_Spreadsheet_v2.0.xlsx", "HTCDS_Excel_Spreadsheet_multi_select_with_validation_v2.0.xlsm")

Cells = dict[str, list[str]]


def truth(schema: CaseSchema) -> Cells:
    batches = list(generate_records(schema, PEOPLE, SEED))
    return {
        name: [cell for batch in batches for cell in batch.column(name).to_pylist()] for name in batches[0].schema.names
    }


def run(*arguments: str | int | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def positions(attribute: SchemaAttribute, cell: str) -> frozenset[int]:
    """What a cell means: the positions of its values, the blank one left out."""
    found = attribute.codes_of(cell) or ()
    return frozenset(position for position in found if position != attribute.blank)


def understood(attribute: SchemaAttribute, cell: str, separator: str, *, sanitised: bool) -> frozenset[int]:
    """What a cell of an export means to a reader that knows the tool's way of writing."""
    cell = cell.replace("\u00a0", " ").split("::")[0]
    if attribute.kind == "date":
        year = re.search(r"(?:19|20)\d\d", cell)
        return positions(attribute, year[0] if year else cell)
    if attribute.kind == "flag":
        words = {
            "yes": True,
            "true": True,
            "oui": True,
            "sí": True,
            "نعم": True,
            "no": False,
            "false": False,
            "non": False,
            "لا": False,
        }
        if not cell:
            return frozenset()
        wanted = words[cell.lower()]
        return frozenset(p for p, v in enumerate(attribute.values) if v.answered and (v.missing != "no") == wanted)
    parts = cell.split(separator) if attribute.kind == "multi" else [cell]
    if sanitised:
        codes = {re.sub(r"[^\w.+-]", "_", value.code): value.code for value in attribute.values}
        parts = [codes.get(part, part) for part in parts]
    found: set[int] = set()
    for part in parts:
        found |= positions(attribute, part.strip())
    return frozenset(found)


def sheet_columns(path: Path, sheet: int = 0, head: int = 1) -> Cells:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # openpyxl does not know the template's newer validation
        book = openpyxl.load_workbook(path, read_only=True)
        rows = [[_text(cell) for cell in row] for row in book.worksheets[sheet].iter_rows(values_only=True)]
        book.close()
    names = rows[head - 1]
    width = len(names)
    padded = [row + [""] * (width - len(row)) for row in rows[head:]]
    return {name: [row[place] for row in padded] for place, name in enumerate(names) if name}


def _text(cell: object) -> str:
    return "" if cell is None else str(cell.date()) if hasattr(cell, "date") else str(cell)


def csv_columns(text: str, delimiter: str = ",") -> Cells:
    rows = list(csv.reader(io.StringIO(text), delimiter=delimiter))
    return {name: [row[place] for row in rows[1:]] for place, name in enumerate(rows[0])}


def read_back(name: str, path: Path, schema: CaseSchema) -> Cells:
    """Return the answers of an export by name of the attribute, as another program reads them."""
    if name == "kobo-csv":
        return {
            key.rsplit("/", 1)[-1]: cells
            for key, cells in csv_columns(path.read_text("utf-8"), ";").items()
            if key.count("/") < 2
        }
    if name == "kobo-xlsx":
        return {key.rsplit("/", 1)[-1]: cells for key, cells in sheet_columns(path).items() if key.count("/") < 2}
    if name == "salesforce-csv":
        return {key.removesuffix("__c"): cells for key, cells in csv_columns(path.read_text("utf-8-sig")).items()}
    if name.startswith("excel-"):
        language = name.removeprefix("excel-")
        found = sheet_columns(path, head=3)
        return {one.name: found[one.labels[language]] for one in schema.attributes}
    if name == "odk-central":
        package = zipfile.ZipFile(path)
        tables = {one: csv_columns(package.read(one).decode()) for one in package.namelist()}
        root = tables["made_up_cases.csv"]
        answers = {key.split("-", 1)[-1]: cells for key, cells in root.items()}
        for table in (table for one, table in tables.items() if one.endswith("_again.csv")):
            asked = next(key for key in table if "KEY" not in key)
            by_parent = {key: [] for key in root["KEY"]}  # type: dict[str, list[str]]
            for parent, answer in zip(table["PARENT_KEY"], table[asked], strict=True):
                by_parent[parent].append(answer)
            answers[asked] = [" ".join(by_parent[key]) for key in root["KEY"]]
        return answers
    fields = {re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", one.name).lower(): one for one in schema.attributes}
    if name == "primero-csv":
        return {fields[key].name: cells for key, cells in csv_columns(path.read_text("utf-8")).items() if key in fields}
    if name == "primero-json":
        cases = json.loads(path.read_text("utf-8"))
        cells = {one.name: [_json_text(case["data"].get(key, "")) for case in cases] for key, one in fields.items()}
        return cells
    assert name == "primero-xlsx"
    titles = openpyxl.load_workbook(path).sheetnames
    order = sheet_columns(path)["id"]
    sheets: Cells = {}
    for place in range(len(titles)):
        table = sheet_columns(path, place)
        for one in schema.attributes:
            if one.labels["en"] in table:
                joined: dict[str, list[str]] = {key: [] for key in order}
                for key, cell in zip(table["id"], table[one.labels["en"]], strict=True):
                    joined[key].append(cell)
                sheets[one.name] = [" ||| ".join(filter(None, joined[key])) for key in order]
    return sheets


def _json_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return " ||| ".join(value) if isinstance(value, list) else str(value)


def differences(name: str, schema: CaseSchema, answers: Cells, asked: list[str] | None = None) -> list[str]:
    dialect = DIALECTS[name]
    expected, wrong = truth(schema), []
    for attribute in schema.attributes:
        if asked is not None and attribute.name not in asked:
            continue
        for row, (cell, written) in enumerate(zip(expected[attribute.name], answers[attribute.name], strict=True)):
            if not attribute.values:
                same = cell == written
            else:
                meant = understood(attribute, written, dialect.wording.separator, sanitised=dialect.wording.plain)
                same = meant == positions(attribute, cell)
            if not same:
                wrong.append(f"{attribute.name}, row {row + 1}: {cell!r} was written {written!r}")
    return wrong


@pytest.mark.parametrize("schema_name", SCHEMAS)
@pytest.mark.parametrize("name", PLAIN)
def test_an_export_says_what_the_records_say(tmp_path: Path, name: str, schema_name: str) -> None:
    schema = load_schema(schema_name)
    path = tmp_path / f"cases{DIALECTS[name].suffixes[0]}"
    write_dialect(name, schema, PEOPLE, SEED, path)
    assert differences(name, schema, read_back(name, path, schema)) == []


def test_a_password_zip_opens_with_its_password_only_and_holds_the_csv(tmp_path: Path) -> None:
    schema = load_schema("htcds-2.0")
    write_dialect("primero-zip", schema, PEOPLE, SEED, tmp_path / "c.zip", password="made up")
    write_dialect("primero-csv", schema, PEOPLE, SEED, tmp_path / "c.csv")
    package = zipfile.ZipFile(tmp_path / "c.zip")
    assert package.read("made-up-cases.csv", b"made up") == (tmp_path / "c.csv").read_bytes()
    with pytest.raises(RuntimeError, match="password"):
        package.read("made-up-cases.csv", b"another")


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_filled_template_says_what_the_records_say_and_keeps_every_other_part(
    shared_data: Path, tmp_path: Path, template: str
) -> None:
    schema, source = load_schema("htcds-2.0"), shared_data / "htcds" / template
    path = tmp_path / f"filled{source.suffix}"
    write_dialect("htcds-template", schema, PEOPLE, SEED, path, template=source)
    old, new = zipfile.ZipFile(source), zipfile.ZipFile(path)
    assert old.namelist() == new.namelist()
    changed = [name for name in old.namelist() if old.read(name) != new.read(name)]
    assert changed == ["xl/worksheets/sheet1.xml"]

    answers, labels = {}, sheet_columns(path, head=2)
    numbered = labels["Case Owner"]
    filled = sum(bool(cell) for cell in numbered)
    by_label = {"Citizenship": "prs_Citizenship", "Methods of Control": "vic_MethodsOfControl", "Status": "cas_Status"}
    by_label |= {"Type of Exploitation": "vic_TypeOfExploitation", "Trafficking Status": "vic_TraffickingStatus"}
    by_label |= {
        "Method of Recruitment": "vic_MethodOfRecruitment",
        "Outgoing Referral Date": "cas_OutgoingReferralDate",
    }
    by_label |= {"Reason for Outgoing Referral": "cas_ReasonForOutgoingReferral", "Mailing City": "prs_MailingCity"}
    by_label |= {"First Name": "prs_FirstName", "Consent": "con_Consent", "Birthdate": "prs_Birthdate"}
    answers = {name: labels[label][:filled] for label, name in by_label.items()}
    assert len(numbered) == 1000
    wrong = differences("htcds-template", schema, answers, [*answers])
    foreign = [line for line in wrong if not line.startswith("prs_Citizenship")]
    assert foreign == []
    if source.suffix == ".xlsm":  # cells are chosen from the template's own lists, letter by letter
        lists = sheet_columns(source, sheet=2, head=3)
        for label in ("Type of Exploitation", "Trafficking Status", "Method of Recruitment"):
            chosen = {part for cell in labels[label][:filled] for part in cell.split("; ") if part}
            assert chosen and chosen <= set(lists[label]), label
    assert len(wrong) <= 3  # IOM's names of a few countries are not among the schema's words


def test_an_export_of_the_form_asks_the_forms_questions(shared_data: Path, tmp_path: Path) -> None:
    schema = load_schema("htcds-2.0")
    path = tmp_path / "form.xlsx"
    write_dialect("htcds-xlsform", schema, PEOPLE, SEED, path, template=shared_data / "htcds" / "htcds_xlsform.xlsx")
    found = sheet_columns(path)
    assert {"prs_First_Name", "vic_Methods_of_Control/DebtBondage ", "__version__", "_uuid"} <= set(found)
    answers = {
        "prs_FirstName": found["prs_First_Name"], "prs_Citizenship": found["prs_Citizenship"],
        "cas_IncomingReferralDate": found["cas_IncomingReferralDate"],
    }  # fmt: skip
    assert differences("htcds-xlsform", schema, answers, [*answers]) == []
    control = schema.attribute("vic_MethodsOfControl")
    for cell, written in zip(truth(schema)["vic_MethodsOfControl"], found["vic_Methods_of_Control"], strict=True):
        listed = {code for code in filter(None, cell.split(";")) if code not in ("RestrictsMovement", "UsesChildren")}
        assert set(written.split()) == listed
        assert control.code_of("DebtBondage") is not None


@pytest.mark.parametrize("defects", [(), (Defect.NBSP,)])
def test_columns_of_0_and_1_say_what_the_joined_cell_says(tmp_path: Path, defects: tuple[Defect, ...]) -> None:
    path = tmp_path / "k.csv"
    write_dialect("kobo-csv", load_schema("htcds-2.0"), PEOPLE, SEED, path, defects=frozenset(defects))
    found, chosen = csv_columns(path.read_text("utf-8"), ";"), 0
    joined = "methodsOfControl/vic_MethodsOfControl"
    codes = [name.rsplit("/", 1)[-1] for name in found if name.startswith(f"{joined}/")]
    assert len(codes) == 18
    for row, cell in enumerate(found[joined]):
        marks = {code: found[f"{joined}/{code}"][row] for code in codes}
        expected = {code: "1" if code in cell.split() else "0" for code in codes} if cell else dict.fromkeys(codes, "")
        assert marks == expected
        chosen += len(cell.split())
    assert chosen > 20


def test_a_kobo_form_of_ctdc_has_60_columns(tmp_path: Path) -> None:
    write_dialect("kobo-csv", load_schema("ctdc-global"), 3, 1, tmp_path / "k.csv")
    with (tmp_path / "k.csv").open(encoding="utf-8") as file:
        assert len(next(csv.reader(file, delimiter=";"))) == 60


@pytest.mark.parametrize("name", PLAIN)
def test_the_same_request_writes_the_same_bytes_and_another_seed_others(tmp_path: Path, name: str) -> None:
    suffix, schema = DIALECTS[name].suffixes[0], load_schema("ctdc-victim-perpetrator")
    digests = []
    for number, seed in enumerate((4, 4, 5)):
        path = write_dialect(name, schema, 20, seed, tmp_path / f"{number}{suffix}")
        digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("name", PLAIN)
def test_an_export_of_nobody_has_a_header(tmp_path: Path, name: str) -> None:
    path = write_dialect(name, load_schema("ctdc-global"), 0, 1, tmp_path / f"none{DIALECTS[name].suffixes[0]}")
    answers = {} if name == "primero-json" else read_back(name, path, load_schema("ctdc-global"))
    assert all(cells == [] for cells in answers.values())
    assert (len(answers) > 30) == (name != "primero-json")


def _kobo(tmp_path: Path, *defects: Defect) -> Cells:
    path = tmp_path / "defects.csv"
    write_dialect(
        "kobo-csv", load_schema("ctdc-global"), 400, SEED, path, defects=frozenset(defects), replace_existing=True
    )
    found = csv_columns(path.read_text("utf-8"), ";")
    return {key.rsplit("/", 1)[-1]: cells for key, cells in found.items()}


def test_defects_are_there_when_they_are_asked_for(tmp_path: Path) -> None:
    plain = _kobo(tmp_path)
    dates = [cell for cell in plain["yearOfRegistration"] if cell]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", cell) for cell in dates)
    partial = [cell for cell in _kobo(tmp_path, Defect.PARTIAL_DATES)["yearOfRegistration"] if cell]
    shapes = {re.sub(r"\d", "9", cell) for cell in partial}
    assert shapes == {"9999", "99/9999", "9999-99-99"}
    short = [cell for cell in _kobo(tmp_path, Defect.TWO_DIGIT_YEARS)["yearOfRegistration"] if cell]
    assert all(re.fullmatch(r"\d\d/\d\d/\d\d", cell) for cell in short)
    local = _kobo(tmp_path, Defect.LOCAL_DIGITS)
    assert not re.search(r"[0-9]", "".join(local["ageBroad"]))
    assert any("٠" <= mark <= "٩" for mark in "".join(local["ageBroad"]))
    spaced = _kobo(tmp_path, Defect.NBSP)["gender"]
    assert 0 < sum("\u00a0" in cell for cell in spaced) < len(spaced)
    tagged = _kobo(tmp_path, Defect.TAG_ROW)
    assert all(cells[0].startswith("#") for cells in tagged.values())
    assert len(tagged["_id"]) == len(plain["_id"]) + 1


def test_a_birth_date_gives_the_age_band_on_the_day_of_registration(tmp_path: Path) -> None:
    schema = load_schema("ctdc-global")
    found, plain = _kobo(tmp_path, Defect.BIRTH_DATES), _kobo(tmp_path)
    assert "ageBroad" not in found
    told = 0
    rows = zip(found["dateOfBirth"], found["yearOfRegistration"], plain["ageBroad"], strict=True)
    for born, registered, age in rows:
        if born:
            year, month, day = map(int, born.split("-"))
            on = [*map(int, registered.split("-"))]
            years = on[0] - year - ((on[1], on[2]) < (month, day))
            assert schema.attribute("ageBroad").code_of(str(years)) == schema.attribute("ageBroad").code_of(age)
            told += 1
        else:
            assert not (age and registered)
    assert told > 100


def test_a_numbered_sheet_has_a_thousand_rows_and_nothing_in_those_without_a_case(tmp_path: Path) -> None:
    path = tmp_path / "hand.xlsx"
    write_dialect("excel-fr", load_schema("ctdc-global"), 30, 2, path, defects=frozenset({Defect.NUMBERED_ROWS}))
    found = sheet_columns(path, head=3)
    assert found["N°"] == [str(number) for number in range(1, 1001)]
    assert sum(bool(cell) for cell in found["Nom complet"]) < 50


def test_old_salesforce_text_is_latin_1(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    write_dialect(
        "salesforce-csv", load_schema("ctdc-global"), 300, 2, path, language="fr", defects=frozenset({Defect.LATIN_1})
    )
    with pytest.raises(UnicodeDecodeError):
        path.read_text("utf-8")
    assert "États-Unis" in path.read_text("iso-8859-1")


@pytest.mark.parametrize(
    ("name", "schema_name", "suffix", "extra", "said"),
    [
        ("kobo", "ctdc-global", ".csv", {}, "not written"),
        ("kobo-csv", "ctdc-global", ".xlsx", {}, "is written to .csv"),
        ("htcds-template", "ctdc-global", ".xlsx", {}, "has the schema htcds-2.0"),
        ("htcds-template", "htcds-2.0", ".xlsx", {}, "needs --template"),
        ("primero-zip", "htcds-2.0", ".zip", {}, "needs --password"),
        ("kobo-csv", "htcds-2.0", ".csv", {"password": "x"}, "takes no --password"),
        ("kobo-csv", "htcds-2.0", ".csv", {"language": "fr"}, "it has none to choose"),
        ("salesforce-csv", "htcds-2.0", ".csv", {"language": "ar"}, "expected one of en, fr, es"),
        (
            "odk-central",
            "htcds-2.0",
            ".zip",
            {"defects": frozenset({Defect.TAG_ROW})},
            "do not have the defect tag-row",
        ),
    ],
)
def test_what_a_dialect_cannot_do_is_refused_and_nothing_is_written(
    tmp_path: Path, name: str, schema_name: str, suffix: str, extra: dict[str, object], said: str
) -> None:
    with pytest.raises(RequestError, match=re.escape(said)):
        write_dialect(name, load_schema(schema_name), 3, 1, tmp_path / f"c{suffix}", **extra)  # type: ignore[arg-type]  # what a caller may get wrong
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_template_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.xlsx"
    wrong.write_bytes(b"no workbook")
    with pytest.raises(RequestError, match="not a workbook"):
        write_dialect("htcds-template", load_schema("htcds-2.0"), 3, 1, tmp_path / "c.xlsx", template=wrong)
    other = write_dialect("kobo-xlsx", load_schema("htcds-2.0"), 3, 1, tmp_path / "kobo.xlsx")
    with pytest.raises(RequestError, match="labels of the HTCDS workbook"):
        write_dialect("htcds-template", load_schema("htcds-2.0"), 3, 1, tmp_path / "c.xlsx", template=other)
    assert not (tmp_path / "c.xlsx").exists()


def test_the_command_writes_a_dialect_and_never_over_an_old_file(tmp_path: Path) -> None:
    out = tmp_path / "k.csv"
    common = ("generate", "--people", 5, "--dialect", "kobo-csv", "-o", out)
    first = run(*common)
    assert first.exit_code == 0 and first.output == f"wrote {out}\n"
    before = out.read_bytes()
    again = run(*common)
    assert again.exit_code == 1 and "--replace" in again.output
    assert out.read_bytes() == before
    assert run(*common, "--replace").exit_code == 0
    assert run("generate", "--people", 5, "--defect", "nbsp", "-o", tmp_path / "x.csv").exit_code == 1
    assert run(*common, "--replace", "--organisations", 2).exit_code == 1
    assert run("generate", "--people", 5, "--dialect", "kobo-csv", "-o", tmp_path / "k.xlsx").exit_code == 2
