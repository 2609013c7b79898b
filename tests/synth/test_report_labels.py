"""The report and the datasheet in words: labels of the schema, codes beside them, groups together, and plain words where noise drowns all."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

import numpy as np
import pytest
from tests.seeded_release import seeded_synthesis

from caseschemas import CaseSchema, parse_schema
from casesynth.aggregates import AggregateTable
from casesynth.domain import Domain
from casesynth.intervals import ErrorScale
from casesynth.model import FitSettings
from casesynth.notes import ReleaseNotes
from casesynth.plan import ReleasePlan
from casesynth.report import datasheet_md, report_html
from casesynth.report.attributes import MARKS, AttributeValues, attribute_values
from casesynth.report.labels import ReportLabels
from casesynth.report.precision import shown_by_length, typical
from casesynth.report.words import Estimate
from casesynth.synthesis import Synthesis

QUICK = FitSettings(classes=20, steps=60, starts=1, pilot_classes=10, pilot_steps=30)
NOTES = ReleaseNotes(title="Shelters of the coast", created="2025-03-01", organisations=2, consent_applied=True)
HOSTILE = '<img src="x" onerror="a()">|**`'


def attribute(name: str, label: str, values: Mapping[str, str], kind: str = "category") -> dict[str, object]:
    several: dict[str, object] = {"merge": "union", "separators": [";"]} if kind == "multi" else {"merge": "agree"}
    return several | {
        "name": name,
        "kind": kind,
        "role": "analysis",
        "labels": {"en": label},
        "values": [{"code": code, "labels": {"en": text}} for code, text in values.items()],
        "missing": ["blank"],
    }


def schema_of(attributes: Sequence[Mapping[str, object]], groups: Sequence[Mapping[str, object]] = ()) -> CaseSchema:
    return parse_schema(
        {
            "format": "casehaven-schema/1",
            "id": "coast",
            "version": "1.0.0",
            "title": {"en": "Coast"},
            "languages": [{"code": "en", "reviewed": True}],
            "missing": {"blank": {"code": "", "means": "unknown", "labels": {"en": "Not known"}}},
            "groups": list(groups),
            "attributes": list(attributes),
        }
    )


YES = {"1": "Yes"}
SCHEMA = schema_of(
    [
        attribute("isForced", "Forced labour", YES, "flag"),
        attribute("isMinor", "Under age", YES, "flag"),
        attribute("sexOfPerson", "Gender", {"F": "Woman", "M": "Man & boy"}),
        attribute("cThreats", "Means of control: threats", YES, "flag"),
        attribute("cDebt", "Means of control: debt bondage", YES, "flag"),
        attribute("ctry", "Country", {f"K{place:02d}": f"Land number {place}" for place in range(20)}),
        attribute("isSold", "Sale of organs", YES, "flag"),
        attribute("help", "Help given", {"SH": "Shelter", "LG": "Legal aid"}, "multi"),
        attribute("odd", HOSTILE, {"<b>": "<script>", "plain": "Plain"}),
    ],
    [
        {"name": "form", "labels": {"en": "Form of exploitation"}, "members": ["isForced", "isSold", "sexOfPerson"]},
        {"name": "control", "labels": {"en": "Means of control"}, "members": ["cThreats", "cDebt"]},
    ],
)


def synthesis_of(schema: CaseSchema, people: int, *, epsilon: float = 8.0) -> Synthesis:
    """Release made-up people, with seeded noise; the first values of a list are the common ones."""
    domain, random = Domain.from_schema(schema), np.random.default_rng(7)
    columns = tuple(
        np.minimum(random.geometric(0.4 if size < 5 else 0.12, people) - 1, size - 1).astype(np.uint16)
        for size in domain.sizes
    )
    plan = ReleasePlan.make(domain, epsilon=epsilon, people_cap=10_000)
    return seeded_synthesis(plan, columns, settings=QUICK)


@pytest.fixture(scope="module")
def synthesis() -> Synthesis:
    return synthesis_of(SCHEMA, 1500)


@pytest.fixture(scope="module")
def tree(synthesis: Synthesis) -> ElementTree.Element:
    return parsed(report_html(synthesis, NOTES, SCHEMA))


def parsed(page: str) -> ElementTree.Element:
    return ElementTree.fromstring(page.partition("\n")[2])


def words(element: ElementTree.Element) -> str:
    return " ".join("".join(element.itertext()).replace("\u00a0", " ").split())


def table(tree: ElementTree.Element, caption: str) -> list[list[str]]:
    """Header and body of the one table with this caption, in words."""
    (found,) = [t for t in tree.iter("table") if words(next(t.iter("caption"))) == caption]
    return [[words(cell) for cell in row] for row in found.iter("tr")]


def rows_of(sheet: str, heading: str) -> list[list[str]]:
    """Header and body of the first Markdown table below a heading."""
    lines = sheet.partition(f"## {heading}\n\n")[2].partition("\n\n")[0].splitlines()
    assert all(line.startswith("| ") and line.endswith(" |") for line in lines)
    return [re.split(r"(?<!\\) \| ", line[2:-2]) for line in (lines[0], *lines[2:])]


# --- labels, with the codes beside them ---


def test_charts_and_their_tables_speak_in_labels_with_the_code_beside(tree: ElementTree.Element) -> None:
    headings = {words(next(h.iter("bdi"))): [c.text for c in h.iter("code")] for h in tree.iter("h3")}
    assert headings["Gender"] == ["sexOfPerson"] and headings["Country"] == ["ctry"]
    drawn = {words(text) for text in tree.iter("text")}
    assert {"Woman", "Man & boy", "Land number 0", "Shelter", "Legal aid"} <= drawn
    assert not {"F", "M", "K00", "SH", "ctry", "cDebt"} & drawn
    header, *rows = table(tree, "Number of people: Gender")
    assert header[:2] == ["Value", "Code"] and len({len(row) for row in rows} | {len(header)}) == 1
    assert {row[0]: row[1] for row in rows} == {"Woman": "F", "Man & boy": "M"}
    assert {row[0]: row[1] for row in table(tree, "Number of people: Help given")[1:]} == {
        "Shelter": "SH",
        "Legal aid": "LG",
    }


def test_without_a_schema_the_codes_are_shown_and_only_once(synthesis: Synthesis) -> None:
    tree = parsed(report_html(synthesis, NOTES))
    assert not list(tree.iter("code"))
    assert {"sexOfPerson", "ctry", "help", "odd"} <= {words(heading) for heading in tree.iter("h3")}
    assert table(tree, "Number of people: sexOfPerson")[0] == ["Value", "People", "95 % interval"]
    assert "Woman" not in words(tree) and "Woman" not in datasheet_md(synthesis, NOTES)
    assert ["sexOfPerson", "2", "F; M"] in rows_of(datasheet_md(synthesis, NOTES), "The attributes")


def test_labels_change_names_and_no_number(synthesis: Synthesis) -> None:
    labelled, left_out = attribute_values(synthesis, SCHEMA)
    coded, _ = attribute_values(synthesis)
    assert left_out == ()

    def numbers(charts: Sequence[AttributeValues]) -> dict[str, Estimate]:
        return {value.code: value.estimate for chart in charts for value in chart.values}

    assert numbers(labelled) == numbers(coded)
    for count in ("listed", "hidden"):
        assert sum(getattr(chart, count) for chart in labelled) == sum(getattr(chart, count) for chart in coded)


def test_the_datasheet_lists_attributes_and_values_with_their_codes(synthesis: Synthesis) -> None:
    header, *rows = rows_of(datasheet_md(synthesis, NOTES, SCHEMA), "The attributes")
    assert header == ["Attribute", "In the files", "Known values", "Which they are"]
    assert [row[1] for row in rows] == [a.name for a in SCHEMA.analysis]
    assert ["Gender", "sexOfPerson", "2", "Woman (F); Man \\& boy (M)"] in rows
    assert ["Country", "ctry", "20", "Land number 0 (K00) … Land number 19 (K19)"] in rows


def test_labels_are_text_and_nothing_else(synthesis: Synthesis, tree: ElementTree.Element) -> None:
    assert HOSTILE in {words(next(heading.iter("bdi"))) for heading in tree.iter("h3")}
    assert "<script>" in {words(text) for text in tree.iter("text")}
    assert not [e for e in tree.iter() if e.tag in ("img", "script") or "onerror" in e.attrib]
    sheet = datasheet_md(synthesis, NOTES, SCHEMA).partition("```python")[0]
    assert "\\<script\\> (\\<b\\>)" in sheet
    assert not re.search(r"(?<!\\)<(?!https://creativecommons\.org/)", sheet)


def test_pairs_that_stand_out_are_named_in_words_and_found_by_code(synthesis: Synthesis) -> None:
    shuffled = np.sort(synthesis.records[2]), *(np.sort(synthesis.records[place]) for place in (3, 4))
    records = (*synthesis.records[:2], *shuffled, *synthesis.records[5:])  # sorted together: strongly dependent
    spoilt = dataclasses.replace(synthesis, records=records)
    rows = table(parsed(report_html(spoilt, NOTES, SCHEMA)), "Pairs that stand out")
    assert rows[0] == ["Pair", "In the files", "Root mean square, in units of the noise"]
    assert "Gender and Means of control: threats" in {row[0] for row in rows[1:]}
    assert {row[0]: row[1] for row in rows}["Gender and Means of control: threats"] == "sexOfPerson, cThreats"
    assert "Gender" not in report_html(spoilt, NOTES) and "sexOfPerson and cThreats" in report_html(spoilt, NOTES)


def test_what_the_schema_does_not_know_keeps_its_code(synthesis: Synthesis) -> None:
    other = schema_of([attribute("sexOfPerson", "Gender", {"F": "Woman"}), attribute("elsewhere", "Elsewhere", YES)])
    tree = parsed(report_html(synthesis, NOTES, other))
    assert {"Gender sexOfPerson", "ctry"} <= {words(heading) for heading in tree.iter("h3")}
    assert {row[0]: row[1] for row in table(tree, "Number of people: Gender")[1:]} == {"Woman": "F", "M": "M"}


def test_two_attributes_with_one_label_are_told_apart() -> None:
    twins = schema_of([attribute("born", "Country", {"A": "Aland"}), attribute("found", "Country", {"A": "Aland"})])
    labels = ReportLabels(schema=twins)
    assert [labels.attribute("born"), labels.with_code("found")] == ["Country (born)", "Country (found)"]


def test_a_wide_schema_with_long_labels_stays_small() -> None:
    long = "label & <of> 'many' words " * 8
    schema = schema_of(
        [
            attribute(f"{'n.' * 30}{place}", f"{long}{place}", {f"{'c<' * 60}{v}": f"{v} {long}" for v in range(16)})
            for place in range(24)
        ]
    )
    made = synthesis_of(schema, 2000, epsilon=50.0)
    assert len(report_html(made, NOTES, schema).encode()) < 300_000
    assert len(datasheet_md(made, NOTES, schema).encode()) < 300_000
    assert "There is no room here for: " in report_html(made, NOTES, schema)


# --- groups ---


def test_flags_of_a_group_stand_together_where_its_first_one_stands(synthesis: Synthesis) -> None:
    charts, _ = attribute_values(synthesis, SCHEMA)
    assert [chart.name for chart in charts] == [
        "Form of exploitation",
        "Gender",
        "Means of control",
        "Country",
        "Help given",
        HOSTILE,
        MARKS,
    ]
    form, gender, control, *_, rest = charts
    assert sorted((value.name, value.code) for value in form.values) == [
        ("Forced labour", "isForced"),
        ("Sale of organs", "isSold"),
    ]
    assert gender.code == "sexOfPerson" and form.code is None  # a list of values keeps a chart of its own
    assert [value.code for value in rest.values] == ["isMinor"] and rest.values[0].name == "Under age"
    assert (control.listed, control.hidden, control.several) == (2, 0, True)


def test_words_that_a_whole_group_shares_are_said_once(tree: ElementTree.Element) -> None:
    header, *rows = table(tree, "Number of people: Means of control")
    assert header[:2] == ["Attribute", "Code"]
    assert {row[0]: row[1] for row in rows} == {"Threats": "cThreats", "Debt bondage": "cDebt"}


# --- the number of combinations ---


def test_report_and_datasheet_give_the_number_of_combinations_of_the_aggregates(
    synthesis: Synthesis, tree: ElementTree.Element
) -> None:
    known = synthesis.aggregates.known
    assert 0 < known < synthesis.aggregates.combinations  # some missing values are shown, and not counted here
    assert sum(row.shown for row in shown_by_length(synthesis)) == known
    assert f"{known:,} combinations of up to three values are shown." in words(tree)
    assert sum(int(row[1].replace(",", "")) for row in table(tree, "Combinations of known values")[1:]) == known
    assert f"*Aggregates*: {known:,} combinations of up to three values" in datasheet_md(synthesis, NOTES, SCHEMA)


# --- where the noise drowns everything ---


def lead(page: str) -> list[str]:
    (box,) = [section for section in parsed(page).iter("section") if section.get("class") == "lead"]
    return [words(line) for line in box]


def headline(sheet: str) -> list[str]:
    """What stands between the title and the first section, in words."""
    return sheet.partition("\n\n## ")[0].replace("\u00a0", " ").replace("\\", "").split("\n\n")[2:]


def showing(synthesis: Synthesis, known: int, missing: int) -> Synthesis:
    """The same release with so few combinations left; the noise is larger than any of them."""
    table, errors = synthesis.aggregates, synthesis.errors
    single = np.flatnonzero(table.lengths == 1)
    rows = np.concatenate([single[:known], single[len(single) - missing :]])
    few = AggregateTable(
        columns=table.columns[rows],
        values=table.values[rows],
        estimate=table.estimate[rows],
        low=table.low[rows],
        high=table.high[rows],
        missing_values=missing,
    )
    wide = ErrorScale(
        centres=errors.centres, half_widths=np.full_like(errors.half_widths, 2_000.0), misfit=errors.misfit
    )
    return dataclasses.replace(synthesis, aggregates=few, errors=wide)


def test_a_release_that_the_noise_drowns_says_so_first_and_promises_no_distance(synthesis: Synthesis) -> None:
    drowned = showing(synthesis, 0, 0)
    page, sheet = report_html(drowned, NOTES, SCHEMA), datasheet_md(drowned, NOTES, SCHEMA)
    assert lead(page) == headline(sheet)
    assert lead(page)[1].startswith("The noise drowns everything else: no other number can be shown,")
    assert "in 19 of 20 cases" not in " ".join(lead(page))
    assert "0 combinations of up to three values are shown." in words(parsed(page))
    assert "no combination of values can be shown" in sheet and "that follow little but noise" in sheet


@pytest.mark.parametrize(
    ("known", "missing", "says"),
    [
        (0, 0, "The noise drowns everything else: no other number can be shown, and"),
        (
            0,
            2,
            "The noise drowns everything else: no other number can be shown but for how many a value is missing, and",
        ),
        (1, 2, "The noise drowns most of the rest: only 1 combination of up to three values can be shown."),
        (3, 0, "The noise drowns most of the rest: only 3 combinations of up to three values can be shown."),
    ],
)
def test_what_can_still_be_shown_is_named(synthesis: Synthesis, known: int, missing: int, says: str) -> None:
    made = showing(synthesis, known, missing)
    assert lead(report_html(made, NOTES, SCHEMA))[1].startswith(says)
    assert headline(datasheet_md(made, NOTES))[1].startswith(says)


def test_a_distance_is_stated_for_the_first_usual_size_that_is_larger_than_it(synthesis: Synthesis) -> None:
    errors = synthesis.errors

    def sizes(half_width: float, people: float) -> list[int]:
        scale = ErrorScale(
            centres=errors.centres,
            half_widths=np.full_like(errors.half_widths, half_width),
            misfit=np.zeros_like(errors.misfit),
        )
        model = dataclasses.replace(synthesis.model, people=people)
        return [count.size for count in typical(dataclasses.replace(synthesis, errors=scale, model=model))]

    assert sizes(20.0, 5_000.0) == [100, 1_000]
    assert sizes(200.0, 5_000.0) == [1_000]
    assert sizes(20.0, 999.0) == [100]
    assert sizes(20.0, 99.0) == [50]
    assert sizes(2_000.0, 5_000.0) == []
    assert sizes(2_000.0, -3.0) == []


def test_a_release_that_shows_numbers_states_the_distance(synthesis: Synthesis) -> None:
    first = typical(synthesis)[0]
    said = f"a count of about {first.size:,} people with two values in common is within {first.half_widths[1]:,.0f} "
    assert said in lead(report_html(synthesis, NOTES, SCHEMA))[2]
    assert "drowns" not in report_html(synthesis, NOTES, SCHEMA)
