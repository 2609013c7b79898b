"""The datasheet and the data package: the plan's numbers, files as they are written, code that works as it stands."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.seeded_release import seeded_synthesis

from casesynth.domain import Domain, Multi
from casesynth.manifest import FileEntry
from casesynth.model import FitSettings
from casesynth.notes import ReleaseNotes
from casesynth.plan import ReleasePlan
from casesynth.report import datapackage_json, datasheet_md, report_html
from casesynth.report.caveats import privacy_caveats, reading_caveats
from casesynth.report.datasheet import plain, recompute_code
from casesynth.report.files import BUNDLE_FILES
from casesynth.report.guarantee import Guarantee
from casesynth.report.private_decision import SENTENCE, mark_datapackage, mark_datasheet, mark_report, report_notice
from casesynth.synthesis import Synthesis
from casesynth.tables import aggregates_frame, records_frame, write_frame, write_measurements

QUICK = FitSettings(classes=20, steps=60, starts=1, pilot_classes=10, pilot_steps=30)
NOTES = ReleaseNotes(title="Shelters of the coast", created="2025-03-01", organisations=2, consent_applied=True)
HOSTILE_TITLE = "Coast\n# Proven safe\n[read](http://x.example) <script>x</script> | `code` ```\n"
DOMAIN = Domain.declare(
    {
        "gender": ["woman", "man"],
        "=age|band": ["+0-17", "18-29", 'ﬁfty, "or" more'],
        "means": Multi(values=["threats", "debt", "=papers"]),
        "minor\n```\n# x": ["yes"],
    }
)


@pytest.fixture(scope="module")
def synthesis() -> Synthesis:
    random = np.random.default_rng(11)
    columns = tuple(random.integers(0, size, 500).astype(np.uint16) for size in DOMAIN.sizes)
    plan = ReleasePlan.make(DOMAIN, epsilon=4.0, people_cap=10_000, max_tokens_per_person=2)
    return seeded_synthesis(plan, columns, settings=QUICK)


@pytest.fixture(scope="module")
def bundle(synthesis: Synthesis, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data files of a bundle as they are really written, and one file of each other name."""
    folder = tmp_path_factory.mktemp("bundle")
    write_frame(records_frame(synthesis.records, DOMAIN), folder, "synthetic")
    write_frame(aggregates_frame(synthesis.aggregates, DOMAIN), folder, "aggregates")
    write_measurements(synthesis.measurements, DOMAIN, folder / "measurements.parquet")
    (folder / "report.html").write_text(report_html(synthesis, NOTES), encoding="utf-8")
    (folder / "Extra.bin").write_bytes(b"\x00")
    return folder


@pytest.fixture(scope="module")
def entries(bundle: Path) -> list[FileEntry]:
    return [
        FileEntry(name=p.name, size=p.stat().st_size, sha256=hashlib.sha256(p.read_bytes()).hexdigest())
        for p in sorted(bundle.iterdir())
    ]


@pytest.fixture(scope="module")
def package(synthesis: Synthesis, entries: list[FileEntry]) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(datapackage_json(synthesis, NOTES, entries))
    return result


def resource(package: dict[str, Any], path: str) -> dict[str, Any]:
    (found,) = [r for r in package["resources"] if r["path"] == path]
    assert isinstance(found, dict)
    return found


# --- datasheet ---


def test_the_datasheet_states_the_guarantee_in_numbers_and_words(synthesis: Synthesis) -> None:
    text = datasheet_md(synthesis, NOTES)
    guarantee = Guarantee.of(synthesis.plan, NOTES)
    rows = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", text, flags=re.MULTILINE))
    assert float(rows["Epsilon for one person token"]) == synthesis.plan.epsilon == 4
    assert float(rows["Epsilon for such a person, at the same delta"]) >= synthesis.plan.epsilon_per_person
    assert float(rows["Rho (zCDP) for one person token"]) == synthesis.plan.loss.nano_rho / 1e9
    assert float(rows["Delta"].split()[0]) == synthesis.plan.delta
    assert guarantee.promise in text and guarantee.promise_per_person in text


def test_the_datasheet_says_what_each_file_is_for_and_how_to_verify(synthesis: Synthesis) -> None:
    text = datasheet_md(synthesis, NOTES)
    for file in BUNDLE_FILES:
        assert f"| {file.name} | {file.title} |" in text
    assert "`casehaven verify DIR`" in text
    assert "CC-BY-4.0" in text and "if you name the source" in text


def test_report_and_datasheet_carry_the_same_caveats(synthesis: Synthesis) -> None:
    page, sheet = report_html(synthesis, NOTES), datasheet_md(synthesis, NOTES)
    caveats = (*reading_caveats(), *privacy_caveats(Guarantee.of(synthesis.plan, NOTES), NOTES))
    assert len(caveats) >= 11
    for caveat in caveats:
        assert caveat.head in page and caveat.text in page
        assert plain(caveat.head) in sheet and plain(caveat.text) in sheet
    said = " ".join(caveat.head + caveat.text for caveat in caveats)
    for words in ("random sample", "Hidden does not mean zero", "group", "Perpetrators", "staff", "shelters", "boat"):
        assert words in said


def test_the_group_on_one_boat_is_told_its_own_epsilon(synthesis: Synthesis) -> None:
    guarantee = Guarantee.of(synthesis.plan, NOTES)
    assert guarantee.group_epsilon(1) == 4 and guarantee.group_epsilon(40) > 40 * 4
    assert f"epsilon {guarantee.group_epsilon(40)} at the same delta: no protection" in datasheet_md(synthesis, NOTES)


def test_text_from_outside_cannot_become_markdown(synthesis: Synthesis) -> None:
    notes = dataclasses.replace(NOTES, title=HOSTILE_TITLE, consent_applied=False, legal_basis="law\n\n# Chapter <b>")
    before, _, code = datasheet_md(synthesis, notes).partition("```python\n")
    headings = [line for line in before.splitlines() if line.startswith("#")]
    assert [line for line in headings if "Proven" in line] == [headings[0]]
    assert len([line for line in headings if line.startswith("# ")]) == 1
    assert not re.search(r"(?<!\\)<(?!https://creativecommons\.org/)|(?<!\\)\]\(|(?<!\\)```", before)
    assert code.count("\n```\n") == 1  # a name with a fence in it closes nothing


def test_the_code_of_the_datasheet_recomputes_the_release(
    synthesis: Synthesis, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheet = datasheet_md(synthesis, NOTES)
    code = sheet.partition("```python\n")[2].partition("```\n\nIt reveals")[0]
    assert code == recompute_code(synthesis.plan)
    quick = code.replace("measurements)\n", "measurements, settings=QUICK)\n")  # as quick as this release was fitted
    assert quick != code
    program = tmp_path / "recompute.py"
    program.write_text(quick, encoding="utf-8")
    monkeypatch.chdir(bundle)
    again = runpy.run_path(str(program), init_globals={"QUICK": QUICK})["synthesis"]
    assert again.plan == synthesis.plan
    assert all(np.array_equal(a, b) for a, b in zip(again.records, synthesis.records, strict=True))
    assert datasheet_md(again, NOTES) == sheet


def test_the_code_for_a_schema_names_the_schema(synthesis: Synthesis) -> None:
    plan = dataclasses.replace(synthesis.plan, domain=dataclasses.replace(DOMAIN, source='we"ird 1.2.0'))
    code = recompute_code(plan)
    compile(code, "datasheet", "exec")
    assert "load_schema('we\"ird')" in code and "1.2.0" in code


# --- data package ---


def test_the_package_is_a_data_package_of_version_2(package: dict[str, Any]) -> None:
    assert package["$schema"] == "https://datapackage.org/profiles/2.0/datapackage.json"
    assert package["title"] == "Shelters of the coast" and package["created"] == "2025-03-01T00:00:00Z"
    assert package["licenses"] == [
        {
            "name": "CC-BY-4.0",
            "title": "Creative Commons Attribution 4.0 International",
            "path": "https://creativecommons.org/licenses/by/4.0/",
        }
    ]


def test_every_file_is_described_as_it_is(package: dict[str, Any], entries: list[FileEntry]) -> None:
    assert [r["path"] for r in package["resources"]] == [entry.name for entry in entries]
    names = [r["name"] for r in package["resources"]]
    assert len(set(names)) == len(names) and all(re.fullmatch(r"[-a-z0-9._]+", name) for name in names)
    for described, entry in zip(package["resources"], entries, strict=True):
        assert described["bytes"] == entry.size and described["hash"] == f"sha256:{entry.sha256}"
        assert re.fullmatch(r".+/.+", described["mediatype"])
    assert resource(package, "report.html")["mediatype"] == "text/html"
    assert resource(package, "Extra.bin")["mediatype"] == "application/octet-stream"


def test_the_package_does_not_list_itself(synthesis: Synthesis, entries: list[FileEntry]) -> None:
    itself = FileEntry(name="datapackage.json", size=1, sha256="0" * 64)
    assert datapackage_json(synthesis, NOTES, [*entries, itself]) == datapackage_json(synthesis, NOTES, entries)


def test_the_package_states_the_guarantee(package: dict[str, Any], synthesis: Synthesis) -> None:
    plan, stated = synthesis.plan, package["privacy"]
    assert (stated["epsilon"], stated["delta"], stated["nano_rho"]) == (4.0, plan.delta, plan.loss.nano_rho)
    assert stated["max_tokens_per_person"] == 2 and stated["epsilon_per_person"] == plan.epsilon_per_person
    assert stated["nano_rho_per_person"] == 4 * plan.loss.nano_rho
    assert (stated["unit"], stated["scale_min"]) == ("person token", min(m.scale for m in synthesis.measurements))


def read(path: Path) -> tuple[list[str], list[list[str]]]:
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file))
    return header, rows


@pytest.mark.parametrize("name", ["synthetic.csv", "aggregates.csv"])
def test_every_written_cell_fits_its_field(package: dict[str, Any], bundle: Path, name: str) -> None:
    described = resource(package, name)
    assert described["type"] == "table" and described["schema"]["missingValues"] == [""]
    fields = described["schema"]["fields"]
    header, rows = read(bundle / name)
    assert [field["name"] for field in fields] == header
    assert len(rows) > 20
    for field, cells in zip(fields, zip(*rows, strict=True), strict=True):
        rules = field.get("constraints", {})
        for cell in set(cells):
            if cell == "":
                assert not rules.get("required")
            elif field["type"] == "string":
                assert cell in rules.get("enum", [cell])
                assert cell in field.get("categories", [cell])
            elif field["type"] == "boolean":
                assert cell in field["trueValues"] + field["falseValues"]
            elif field["type"] == "list":
                assert set(cell.removeprefix("'").split(field["delimiter"])) <= {"threats", "debt", "=papers"}
            else:
                assert field["type"] in ("integer", "number")
                assert rules["minimum"] <= float(cell) <= rules.get("maximum", float(cell))
                assert field["type"] == "number" or cell.isdigit()


def test_value_lists_are_complete_and_public(package: dict[str, Any]) -> None:
    fields = resource(package, "synthetic.csv")["schema"]["fields"]
    assert fields[0] == {
        "name": "gender",
        "type": "string",
        "constraints": {"required": False, "enum": ["woman", "man"]},
        "categories": ["woman", "man"],
    }
    assert fields[1]["name"] == "'=age|band"  # as it stands in the file, guarded against formulas
    assert fields[1]["constraints"]["enum"] == ["'+0-17", "18-29", 'ﬁfty, "or" more']
    assert (fields[2]["type"], fields[2]["delimiter"]) == ("list", ";")


def test_kinds_of_missing_that_a_schema_tells_apart_stay_values() -> None:
    attribute = dataclasses.replace(
        DOMAIN.attributes[0], values=("", "not_asked", "woman"), missing=frozenset({0, 1}), outside=1
    )
    domain = Domain(attributes=(attribute, DOMAIN.attributes[1]))
    plan = ReleasePlan.make(domain, epsilon=4.0, people_cap=100)
    columns = tuple(np.arange(60, dtype=np.uint16) % 3 for _ in domain.sizes)
    made = seeded_synthesis(plan, columns, settings=QUICK)
    entry = FileEntry(name="synthetic.csv", size=1, sha256="0" * 64)
    field = json.loads(datapackage_json(made, NOTES, [entry]))["resources"][0]["schema"]["fields"][0]
    assert field["constraints"]["enum"] == ["not_asked", "woman"]
    assert "not_asked" in field["description"]


def test_the_date_is_a_date_time(synthesis: Synthesis) -> None:
    package = json.loads(datapackage_json(synthesis, dataclasses.replace(NOTES, created="2025-03-01"), []))
    assert package["created"] == "2025-03-01T00:00:00Z"


def test_the_licence_name_is_one_that_a_package_allows(synthesis: Synthesis) -> None:
    notes = dataclasses.replace(NOTES, licence="Our terms (2025)")
    (licence,) = json.loads(datapackage_json(synthesis, notes, []))["licenses"]
    assert licence == {"name": "Our-terms-2025", "title": "Our terms (2025)"}


def test_the_same_release_makes_the_same_text(synthesis: Synthesis, entries: list[FileEntry]) -> None:
    assert datasheet_md(synthesis, NOTES) == datasheet_md(synthesis, NOTES)
    assert datapackage_json(synthesis, NOTES, entries) == datapackage_json(synthesis, NOTES, entries)


# --- the decision (privacy rule 33)


def test_a_text_that_is_marked_later_is_the_text_that_was_marked_from_the_start(
    synthesis: Synthesis, entries: list[FileEntry]
) -> None:
    stated = dataclasses.replace(NOTES, decision_used_private_data=True)
    pairs = [
        (mark_report(report_html(synthesis, NOTES)), report_html(synthesis, stated)),
        (mark_datasheet(datasheet_md(synthesis, NOTES)), datasheet_md(synthesis, stated)),
        (
            mark_datapackage(datapackage_json(synthesis, NOTES, entries)),
            datapackage_json(synthesis, stated, entries),
        ),
    ]
    for marked, written in pairs:
        assert marked == written
        assert written.count(SENTENCE) == 1
    assert not any(SENTENCE in text for text in (report_html(synthesis, NOTES), datasheet_md(synthesis, NOTES)))


@pytest.mark.parametrize("page", ["", "no page", "<body><p>a</p></body>", '<body class="x">', "<main><main>"])
def test_a_page_of_another_version_gets_the_sentence_once_and_keeps_all_else(page: str) -> None:
    """The ledger is marked by then: marking does not fail for want of a place."""
    marked = mark_report(page)
    assert marked.count(SENTENCE) == 1
    assert marked.replace(str(report_notice()), "") == page
    assert marked.index(SENTENCE) < len(page) + 80 and "<p>a" not in marked[: marked.index(SENTENCE)]


def test_a_package_of_another_version_gets_a_description() -> None:
    assert json.loads(mark_datapackage('{"resources": []}')) == {"resources": [], "description": SENTENCE}
