"""`casehaven indicators`: tables that say what the model says, hide what must be hidden, and stay harmless wherever they are opened."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
import openpyxl
import pytest
from openpyxl.workbook import Workbook
from openpyxl.worksheet.worksheet import Worksheet

from casehaven.releases.indicators import RolesError, indicator_tables, parse_roles, shipped_roles, write_indicators
from casehaven.releases.published import PublishedRelease, open_release, verified_facts
from caseschemas import load_schema, shipped_schema_ids
from casesynth.signing import TrustStore
from casesynth.tables import read_model

if TYPE_CHECKING:
    from tests.service.conftest import Press

Cells = dict[tuple[str, ...], tuple[float, float, float] | None]
"""Labels of a row to people, low and high; None where hidden."""

ELEMENTS = """html head meta title style body main h1 h2 h3 p section nav ul li a div table caption thead tbody tr th td bdi span b strong
    details summary footer"""
"""Elements of a page that loads nothing and runs nothing."""

FACTS: dict[str, list[tuple[()] | tuple[str, str]]] = {
    "All": [()],
    "Woman": [("gender", "woman")],
    "Man": [("gender", "man")],
    "All ages": [()],
    "Child (under 18)": [("age", "0-8"), ("age", "9-17")],
    "Adult (18 and over)": [("age", "18-29"), ("age", "30+")],
    "All, known or not": [()],
    "Forced labour": [("isForcedLabour", "1")],
}
"""Label to the values that it stands for."""


@pytest.fixture(scope="session")
def release(refuge: Press, bundle: Path) -> PublishedRelease:
    facts = verified_facts(bundle, TrustStore.load(refuge.folder / "trust.json"))
    return open_release(facts, refuge.options[1])


@pytest.fixture(scope="session")
def folder(refuge: Press, bundle: Path) -> Path:
    """The tables of the bundle, written by the command."""
    out = refuge.folder / "tables"
    result = refuge.run("indicators", bundle, *refuge.options, *refuge.roles, "-o", out)
    assert result.exit_code == 0, result.output
    assert f"wrote      {out / 'indicators.xlsx'}" in result.stdout
    return out


@pytest.fixture(scope="session")
def book(folder: Path) -> Workbook:
    return openpyxl.load_workbook(folder / "indicators.xlsx")


@pytest.fixture(scope="session")
def page(folder: Path) -> str:
    return (folder / "indicators.html").read_text(encoding="utf-8")


def cells(sheet: Worksheet) -> Cells:
    found: Cells = {}
    for row in sheet.iter_rows(min_row=2, values_only=True):
        people = row[-3:]
        labels = tuple(str(label) for label in row[:-3])
        assert labels not in found
        if people == ("hidden", "hidden", "hidden"):
            found[labels] = None
        else:
            assert all(type(number) in (int, float) for number in people), row
            found[labels] = tuple(float(number) for number in people)  # type: ignore[arg-type,assignment]
    return found


def words(text: str) -> str:
    return " ".join(text.replace("\u00a0", " ").split())


# --- the numbers ---


def test_every_number_is_the_models_own(refuge: Press, bundle: Path, book: Workbook) -> None:
    domain = refuge.domain
    model, errors = read_model(bundle / "model.parquet", domain)
    place = {column.name: position for position, column in enumerate(domain.columns)}
    weight = model.weights * model.people
    seen = 0
    for labels, people in cells(book["Sex, age, form"]).items():
        if people is None or not set(labels) <= set(FACTS):
            continue
        estimates, lengths = [], []
        for sex in FACTS[labels[0]]:
            for age in FACTS[labels[1]]:
                for form in FACTS[labels[2]]:
                    share = weight
                    held = [fact for fact in (sex, age, form) if fact]
                    for attribute, code in held:
                        column = place[attribute]
                        share = share * model.shares[column][domain.columns[column].values.index(code)]
                    estimates.append(share.sum())
                    lengths.append(len(held))
        assert people[0] == pytest.approx(sum(estimates), abs=0.06)
        if lengths[0]:
            halves = errors.half_width(np.array(lengths), np.array(estimates))
            alone = errors.half_width(np.array(lengths[:1]), np.array([sum(estimates)]))[0]
            half = max(float(np.hypot.reduce(halves)), float(alone))
        else:
            half = 1.96 * model.people_sigma
        assert people[1] == pytest.approx(max(sum(estimates) - half, 0), abs=0.06)
        assert people[2] == pytest.approx(sum(estimates) + half, abs=0.06)
        seen += 1
    assert seen > 12


def test_lines_that_exclude_each_other_add_up_to_all(book: Workbook) -> None:
    found = cells(book["Sex, age, form"])
    everybody = found["All", "All ages", "All, known or not"]
    assert everybody is not None
    for parts in (
        [("Woman", "All ages"), ("Man", "All ages"), ("Not known", "All ages")],
        [("All", "Child (under 18)"), ("All", "Adult (18 and over)"), ("All", "Not known")],
    ):
        shown = [found[sex, age, "All, known or not"] for sex, age in parts]
        assert sum(part[0] for part in shown if part is not None) == pytest.approx(everybody[0], abs=0.5)


def test_not_known_counts_every_reason_why_a_value_is_missing(release: PublishedRelease, book: Workbook) -> None:
    estimates = release.estimates
    found = cells(book["Sex, age, form"])["Not known", "All ages", "All, known or not"]
    both = [estimates.of(estimates.facts("gender", code)).value for code in ("", "not_asked")]
    assert min(both) > 1
    assert found is not None and found[0] == pytest.approx(sum(both), abs=0.06)


def test_every_row_is_near_the_number_of_people_that_its_labels_name(refuge: Press, book: Workbook) -> None:
    """Within three half widths, which is six standard errors; that 95 % lie inside is shown for unions in `test_estimates.py`."""
    people = dict(zip([column.name for column in refuge.domain.columns], refuge.people(3000, 1), strict=True))
    place = {name: refuge.domain.attribute(name).values.index for name in people}
    judged = 0
    for labels, interval in cells(book["Sex, age, form"]).items():
        if interval is None or not set(labels) <= set(FACTS):
            continue
        chosen = np.ones(3000, dtype=bool)
        for label in labels:
            facts = [fact for fact in FACTS[label] if fact]
            if facts:
                chosen &= np.isin(people[facts[0][0]], [place[name](code) for name, code in facts])
        assert abs(chosen.sum() - interval[0]) <= 3 * (interval[2] - interval[0]), labels
        judged += 1
    assert judged > 12


# --- what is hidden ---


def test_what_rule_25_hides_is_hidden_in_every_sheet_and_nothing_else(book: Workbook) -> None:
    hidden = shown = 0
    for sheet in book.worksheets[1:]:
        for interval in cells(sheet).values():
            if interval is None:
                hidden += 1
            else:
                shown += 1
                assert interval[0] >= 10 - 0.05 and interval[1] >= 1 - 0.05
    assert hidden > 50 and shown > 100


def test_a_hidden_number_is_in_no_byte_of_the_files(
    release: PublishedRelease, folder: Path, book: Workbook, page: str
) -> None:
    tables = indicator_tables(release.estimates, release.schema, _roles(release))
    secret = {
        round(estimate.value, 1)
        for table in tables
        for _, estimate in table.rows()
        if not estimate.shown and estimate.value > 1
    }
    told = {
        value
        for sheet in book.worksheets[1:]
        for row in sheet.iter_rows(min_row=2, values_only=True)
        for value in row
        if isinstance(value, int | float)
    }
    open_numbers = {
        round(end, 1)
        for table in tables
        for _, estimate in table.rows()
        if estimate.shown
        for end in (estimate.value, estimate.low, estimate.high)
    }
    assert secret and told <= open_numbers
    assert page.count(">hidden<") == sum(table.hidden for table in tables)


def _roles(release: PublishedRelease) -> Any:
    path = Path(release.facts.folder).parent / "roles.json"
    return parse_roles(path.read_bytes(), release.schema, name="roles.json")


def test_of_a_long_list_what_is_hidden_in_every_cell_is_left_out_and_counted(book: Workbook, page: str) -> None:
    found = cells(book["Citizenship, sex, age"])
    listed = {labels[0] for labels in found}
    assert {"All"} < listed and len(listed) < 46
    for country in listed:
        assert any(interval is not None for labels, interval in found.items() if labels[0] == country)
    note = f"{46 - len(listed)} values of citizenship that are hidden in every cell."
    assert note in words(" ".join(str(row[1]) for row in book["Notes"].iter_rows(values_only=True)))
    assert note in page


# --- the workbook ---


def test_no_cell_is_a_formula_and_text_that_could_become_one_is_guarded(folder: Path, book: Workbook) -> None:
    filled = [cell for sheet in book.worksheets for row in sheet.iter_rows() for cell in row]
    texts = [str(cell.value) for cell in filled if cell.data_type == "s"]
    assert {cell.data_type for cell in filled} == {"s", "n"}
    assert not [text for text in texts if text.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert [text for text in texts if text.startswith("'=HYPERLINK(")]
    with zipfile.ZipFile(folder / "indicators.xlsx") as parts:
        for name in parts.namelist():
            content = parts.read(name).decode()
            assert not re.search(r"<f[ >]|<hyperlink|externalLink", content), name


def test_header_is_frozen_and_repeated_on_paper_and_numbers_are_numbers(book: Workbook) -> None:
    assert book.sheetnames == [
        "Notes",
        "Sex, age, form",
        "Citizenship, sex, age",
        "Citizenship, sex, form",
        "Status",
        "Year, sex, form",
        "Year, age, form",
    ]
    for sheet in book.worksheets[1:]:
        assert sheet.freeze_panes == "A2"
        assert sheet.print_title_rows == "$1:$1"
        assert sheet.page_setup.paperSize == 9 and sheet.page_setup.fitToHeight == 0
        header = [cell.value for cell in sheet[1]]
        assert header[-3:] == ["People", "95 % from", "95 % to"]
        assert sheet.auto_filter.ref is not None
        assert {cell.number_format for row in sheet.iter_rows(min_row=2) for cell in row if cell.data_type == "n"} == {
            "#,##0"
        }


def test_the_same_release_gives_the_same_bytes(release: PublishedRelease, folder: Path, tmp_path: Path) -> None:
    write_indicators(release, _roles(release), tmp_path / "again")
    for name in ("indicators.xlsx", "indicators.html"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


# --- the page ---


def test_the_page_loads_nothing_and_runs_nothing(page: str) -> None:
    tree = ElementTree.fromstring(page.partition("\n")[2])
    assert {element.tag for element in tree.iter()} <= set(ELEMENTS.split())
    for element in tree.iter():
        assert not {name for name in element.attrib if name in ("src", "srcset", "style") or name.startswith("on")}
        assert element.get("href", "#").startswith("#")
    assert "default-src &#x27;none&#x27;" in page
    assert "url(" not in page and "@import" not in page
    assert "<script" not in page and "&lt;script&gt;" in page


def test_the_page_shows_the_numbers_of_the_workbook(release: PublishedRelease, page: str) -> None:
    tree = ElementTree.fromstring(page.partition("\n")[2])
    first = next(tree.iter("table"))
    rows = [[words("".join(cell.itertext())) for cell in row] for row in first.iter("tr")]
    assert rows[0] == ["Sex", "All ages", "Child (under 18)", "Adult (18 and over)", "Not known"]
    estimates = release.estimates
    women = estimates.of(estimates.facts("gender", "woman"))
    assert rows[2][:2] == ["Woman", f"{women} ({women.interval})"]


def test_notes_name_title_date_guarantee_digest_and_what_is_not_there(
    release: PublishedRelease, bundle: Path, book: Workbook, page: str
) -> None:
    digest = hashlib.sha256((bundle / "manifest.json").read_bytes()).hexdigest()
    notes = words(" ".join(str(cell) for row in book["Notes"].iter_rows(values_only=True) for cell in row))
    text = words("".join(ElementTree.fromstring(page.partition("\n")[2]).itertext()))
    for place in (notes, text):
        for wanted in (
            "Refuges <first>",
            "2024-03-01",
            "epsilon 4, delta 1e-06 for one person token",
            digest,
            release.facts.fingerprint,
            "The registering organisation is never in a pooled release",
            "Hidden does not mean zero",
            "per 100,000 people",
            "have a status that says that they are not victims",
            "The schema records gender, not sex.",
            "CC-BY-4.0",
        ):
            assert wanted in place, wanted


# --- roles ---


@pytest.mark.parametrize("schema_id", shipped_schema_ids())
def test_every_shipped_schema_has_roles_that_fit_it(schema_id: str) -> None:
    schema = load_schema(schema_id)
    roles = shipped_roles(schema)
    assert roles.sex and roles.age and roles.forms and roles.citizenship and roles.year and roles.notes
    grouped = [code for group in roles.age_groups for code in group.codes]
    known = [value.code for value in schema.attribute(roles.age).values if value.missing is None]
    assert sorted(grouped) == sorted(known)  # every known age is in one group


def test_absent_roles_leave_their_tables_out_and_the_notes_say_so(
    refuge: Press, bundle: Path, tmp_path: Path, other_document: Callable[..., dict[str, Any]]
) -> None:
    roles = json.loads((refuge.folder / "roles.json").read_text())
    few = other_document(roles, citizenship=None, status=None, year=None, age=None, notes=None)
    (tmp_path / "few.json").write_text(json.dumps(few))
    result = refuge.run("indicators", bundle, *refuge.options, "--roles", tmp_path / "few.json", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    found = openpyxl.load_workbook(tmp_path / "out" / "indicators.xlsx")
    assert found.sheetnames == ["Notes", "Sex, age, form"]
    assert [cell.value for cell in found["Sex, age, form"][1]][:2] == ["Sex", "Form of exploitation"]
    notes = " ".join(str(row[1]) for row in found["Notes"].iter_rows(values_only=True))
    assert "does not record: age group, citizenship, year of registration, status" in notes


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "format": ({"format": "casehaven-indicator-roles/2"}, "expected the format casehaven-indicator-roles/1"),
    "schema": ({"schema": "shelter"}, "/schema is 'shelter', expected 'refuge'"),
    "unknown field": ({"gender": {}}, "unknown field 'gender'"),
    "unknown attribute": ({"sex": {"attribute": "sex"}}, "/sex/attribute: refuge has no attribute 'sex'"),
    "not counted": ({"sex": {"attribute": "token"}}, "no attribute 'token' that may be counted"),
    "not an object": ({"sex": "gender"}, "/sex must be an object with attribute"),
    "twice": ({"status": {"attribute": "gender"}}, "an attribute plays two roles"),
    "no groups": ({"age": {"attribute": "age", "groups": []}}, "/age/groups must be a list"),
    "unknown code": (
        {"age": {"attribute": "age", "groups": [{"label": "Child", "codes": ["0-17"]}]}},
        "/age/groups/0/codes: '0-17' is not a known value of age",
    ),
    "missing is no group": (
        {"age": {"attribute": "age", "groups": [{"label": "Unknown", "codes": [""]}]}},
        "'' is not a known value of age",
    ),
    "overlap": (
        {"age": {"attribute": "age", "groups": [{"label": n, "codes": ["0-8"]} for n in "ab"]}},
        "/age/groups/1 must hold at least one value, and none of another group",
    ),
    "forms": ({"form": {"attributes": ["isForcedLabour", "age"]}}, "must be flags, or one attribute alone"),
    "form twice": ({"form": {"attributes": ["isForcedLabour"] * 2}}, "names an attribute twice"),
    "not victims": ({"status": {"attribute": "status", "not_victims": ["x"]}}, "/status/not_victims: 'x'"),
    "notes": ({"notes": ["", 1]}, "/notes must be a text"),
    "nothing": (
        {"sex": None, "age": None, "form": None, "citizenship": None, "status": None},
        "there is no table to make",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_roles_that_are_wrong_are_refused_with_their_place(
    refuge: Press, release: PublishedRelease, name: str, other_document: Callable[..., dict[str, Any]]
) -> None:
    fields, message = WRONG[name]
    roles = other_document(json.loads((refuge.folder / "roles.json").read_text()), **fields)
    with pytest.raises(RolesError, match=re.escape(message)):
        parse_roles(json.dumps(roles).encode(), release.schema, name="roles.json")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 1, "format": 2}', b"\xff"])
def test_what_is_no_file_of_roles_is_refused(release: PublishedRelease, content: bytes) -> None:
    with pytest.raises(RolesError, match=r"roles\.json"):
        parse_roles(content, release.schema, name="roles.json")


# --- refusals of the command ---


def _refused(refuge: Press, out: Path, bundle: Path, options: Sequence[str | Path]) -> tuple[int, str, str]:
    result = refuge.run("indicators", bundle, *options, "-o", out)
    assert not out.exists()
    lines = result.stderr.splitlines()
    assert len(lines) == 2 and lines[0].startswith("error: ") and lines[1].startswith("try: ")
    return result.exit_code, lines[0], lines[1]


def test_a_changed_bundle_is_refused(refuge: Press, bundle: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(bundle, tmp_path / "copy")
    model = copied / "model.parquet"
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(bytes(data))
    code, error, _ = _refused(refuge, tmp_path / "out", copied, [*refuge.options, *refuge.roles])
    assert code == 1 and "changed: model.parquet" in error


def test_an_unknown_signer_is_refused_with_the_command_that_trusts_them(
    refuge: Press, bundle: Path, tmp_path: Path
) -> None:
    nobody = refuge.folder / "nobody.json"
    code, error, advice = _refused(
        refuge, tmp_path / "out", bundle, [*refuge.options[:2], "--trust", nobody, *refuge.roles]
    )
    assert code == 2 and "is not in the trust store" in error
    assert f"casehaven keys trust add --trust {nobody} NAME {bundle} --fingerprint SHA256:" in advice


def test_a_schema_that_is_not_shipped_has_to_be_named_and_to_fit(refuge: Press, bundle: Path, tmp_path: Path) -> None:
    trust = refuge.options[2:]
    code, error, advice = _refused(refuge, tmp_path / "out", bundle, [*trust, *refuge.roles])
    assert code == 1 and "'refuge 1.0.0', which does not come with Casehaven" in error and "--schema" in advice
    code, error, _ = _refused(refuge, tmp_path / "out", bundle, [*trust, "--schema", "ctdc-global"])
    assert code == 1 and "the value lists of ctdc-global 1.0.0 are others" in error


def test_a_schema_without_roles_needs_a_file_of_them(refuge: Press, bundle: Path, tmp_path: Path) -> None:
    code, error, advice = _refused(refuge, tmp_path / "out", bundle, refuge.options)
    assert code == 1 and "which attributes of refuge are sex" in error and "--roles" in advice


def test_tables_that_are_there_are_left_alone_unless_asked(refuge: Press, bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "indicators.html").write_text("mine")
    command: list[str | Path] = ["indicators", bundle, *refuge.options, *refuge.roles, "-o", out]
    refused = refuge.run(*command)
    assert refused.exit_code == 1 and "is there already" in refused.stderr
    assert [path.name for path in out.iterdir()] == ["indicators.html"]
    assert (out / "indicators.html").read_text() == "mine"
    assert refuge.run(*command, "--replace").exit_code == 0
    assert "Indicator tables" in (out / "indicators.html").read_text(encoding="utf-8")
