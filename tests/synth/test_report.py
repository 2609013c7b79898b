"""The report: one page, nothing to load, the plan's own numbers, intervals, and nothing that a name can break."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
import time
from collections import Counter
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from tests.seeded_release import seeded_synthesis

from casesynth.aggregates import AggregateTable
from casesynth.domain import Domain, Multi
from casesynth.model import FitSettings
from casesynth.notes import ReleaseNotes
from casesynth.plan import ReleasePlan
from casesynth.privacy.accounting import epsilon_for
from casesynth.report import report_html
from casesynth.report.attributes import MARKS, VALUES_MOST, attribute_values
from casesynth.report.method import method_steps
from casesynth.report.precision import half_widths, shown_by_length, widths
from casesynth.report.words import whole
from casesynth.synthesis import Synthesis

QUICK = FitSettings(classes=20, steps=60, starts=1, pilot_classes=10, pilot_steps=30)
NOTES = ReleaseNotes(title="Shelters of the coast", created="2025-03-01", organisations=2, consent_applied=True)
HOSTILE = '<script src="http://x.example/a.js">alert(1)</script>'
QUOTES = "\" onload='x' \x00\u202egnp"
DOMAIN = Domain.declare(
    {
        "gender": ["woman", "man"],
        "age": ["0-17", "18-29", "30+"],
        "country": [f"C{place:02d}" for place in range(25)],
        HOSTILE: ["a<b", "&amp;", "</svg>"],
        QUOTES: ["yes"],
        "means": Multi(values=["threats", "debt", "]]>"]),
    }
)


def synthesis_of(
    domain: Domain, people: int, *, tokens: int = 2, seed: int = 7, epsilon: float = 8.0, noise: int = 1
) -> Synthesis:
    """Release made-up people: the first value is common, later ones rarer; the second column leans on the first."""
    random = np.random.default_rng(seed)
    columns = [
        np.minimum(random.geometric(0.5 if size < 5 else 0.12, people) - 1, size - 1).astype(np.uint16)
        for size in domain.sizes
    ]
    if len(columns) > 1:
        columns[1] = np.where(random.random(people) < 0.5, columns[0] % domain.sizes[1], columns[1]).astype(np.uint16)
    plan = ReleasePlan.make(domain, epsilon=epsilon, people_cap=10_000, max_tokens_per_person=tokens)
    return seeded_synthesis(plan, columns, seed=noise, settings=QUICK)


@pytest.fixture(scope="module")
def synthesis() -> Synthesis:
    return synthesis_of(DOMAIN, 800)


@pytest.fixture(scope="module")
def page(synthesis: Synthesis) -> str:
    return report_html(synthesis, NOTES)


@pytest.fixture(scope="module")
def tree(page: str) -> ElementTree.Element:
    """The page as a tree; parsing fails unless every element is closed and every character is allowed."""
    doctype, _, rest = page.partition("\n")
    assert doctype == "<!doctype html>"
    return ElementTree.fromstring(rest)


def words(element: ElementTree.Element) -> str:
    return " ".join("".join(element.itertext()).replace("\u00a0", " ").split())


def table(tree: ElementTree.Element, caption: str) -> list[list[ElementTree.Element]]:
    """The body cells of the one table whose caption starts so."""
    (found,) = [t for t in tree.iter("table") if words(next(t.iter("caption"))).startswith(caption)]
    return [list(row) for row in next(found.iter("tbody"))]


# --- the method in words ---


def test_the_method_names_every_kind_of_table_and_says_what_a_sign_is(synthesis: Synthesis) -> None:
    steps = " ".join(method_steps(synthesis, NOTES))
    kinds = Counter(len(t.clique) for t in synthesis.plan.tables)
    assert f"the number of people, {kinds[1]} single columns, {kinds[2]} pairs of columns, {kinds[3]} triples." in steps
    assert "people with its first value were added, people with its second taken away" in steps
    assert f"Each of the {whole(synthesis.plan.cells)} cells" in steps


def test_without_a_column_of_two_values_the_method_knows_no_signs() -> None:
    domain = Domain.declare({"gender": ["woman", "man"], "age": ["0-17", "18-29", "30+"]})
    steps = " ".join(method_steps(synthesis_of(domain, 100), NOTES))
    assert "public facts: 2 single columns, 1 pair of columns." in steps
    assert "taken away" not in steps and "number of people" not in steps


# --- one file that loads nothing ---


def test_the_page_loads_nothing_and_runs_nothing(page: str, tree: ElementTree.Element) -> None:
    allowed = {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "main",
        "h1",
        "h2",
        "h3",
        "p",
        "section",
        "nav",
        "ul",
        "ol",
        "li",
        "a",
    }
    allowed |= {
        "div",
        "table",
        "caption",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "bdi",
        "data",
        "strong",
        "footer",
        "figure",
        "figcaption",
    }
    allowed |= {"details", "summary", "svg", "desc", "text", "line", "rect", "polyline", "circle", "path"}
    assert {element.tag for element in tree.iter()} <= allowed
    for element in tree.iter():
        assert not {name for name in element.attrib if name.startswith("on") or name in ("src", "style", "xlink:href")}
        assert element.get("href", "#").startswith("#")
    markup = re.sub(r">[^<]*<", "><", re.sub(r'"[^"]*"', '""', page.replace(next(tree.iter("style")).text or "", "")))
    assert "http" not in markup.replace("http-equiv", "") and "src=" not in markup
    style = next(tree.iter("style")).text or ""
    assert not re.search(r"url\(|@import|http|expression", style)


def test_no_address_stands_in_a_page_without_hostile_names() -> None:
    domain = Domain.declare({"gender": ["woman", "man"], "age": ["0-17", "18+"]})
    text = report_html(synthesis_of(domain, 300), NOTES)
    assert not re.search(r"https?:|src=|url\(|//", text)


def test_the_policy_of_the_page_forbids_what_it_does_not_use(tree: ElementTree.Element) -> None:
    head = list(next(tree.iter("head")))
    policies = [e.get("content", "") for e in head if e.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"]
    assert [e.get("http-equiv") for e in head[:2]] == [None, "Content-Security-Policy"]  # right after the charset


def test_hostile_names_are_text_and_nothing_else(page: str, tree: ElementTree.Element) -> None:
    found: set[str] = set()

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.add(tag)

    parser = Tags()
    parser.feed(page)
    assert "svg" in found and "script" not in found
    headings = [words(h) for h in tree.iter("h3")]
    assert HOSTILE in headings
    labels = [words(text) for text in tree.iter("text")]
    assert {"a<b", "&amp;"} <= set(labels)
    assert "\u202e" not in page and "\x00" not in page
    assert any("onload='x' \ufffd\ufffdgnp" in label for label in labels)


def test_notes_are_text_and_nothing_else(synthesis: Synthesis) -> None:
    notes = ReleaseNotes(title="<img src=x>\ud800", created="2026-01-31", legal_basis="<i>law</i>", licence="<u>")
    text = report_html(synthesis, notes)
    assert not re.search(r"<(img|b|i|u)[ >]", text)
    assert "&lt;i&gt;law&lt;/i&gt;" in text
    text.encode()


# --- accessible ---


def test_headings_tables_and_plots_can_be_read_by_a_screen_reader(tree: ElementTree.Element) -> None:
    assert tree.get("lang") == "en"
    levels = [int(e.tag[1]) for e in tree.iter() if re.fullmatch(r"h\d", e.tag)]
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    idents = [e.attrib["id"] for e in tree.iter() if "id" in e.attrib]
    assert len(idents) == len(set(idents))
    targets = [t for e in tree.iter() for t in e.get("aria-labelledby", "").split()]
    targets += [e.attrib["href"][1:] for e in tree.iter("a")]
    assert set(targets) <= set(idents)
    for found in tree.iter("table"):
        assert words(found[0]) and found[0].tag == "caption"
        assert all(th.get("scope") == "col" and words(th) for th in found[1].iter("th"))
        assert all(row[0].tag == "th" and row[0].get("scope") == "row" for row in found[2])
        assert len({len(row) for row in [*found[1], *found[2]]}) == 1
    for box in (e for e in tree.iter("div") if e.get("class") == "scroll"):
        assert box.get("tabindex") == "0" and box.get("role") == "region" and box.get("aria-label")


def test_each_plot_has_a_title_a_description_and_a_table_behind_it(tree: ElementTree.Element) -> None:
    figures = list(tree.iter("figure"))
    assert len(figures) == len(list(tree.iter("svg"))) >= 5
    for figure in figures:
        (svg,) = figure.iter("svg")
        assert svg.get("role") == "img" and svg[0].tag == "title" and svg[1].tag == "desc"
        assert words(svg[0]) and words(svg[1])
        assert len(list(figure.iter("table"))) == 1


def test_what_is_drawn_lies_inside_the_plot(tree: ElementTree.Element) -> None:
    for svg in tree.iter("svg"):
        _, _, width, height = map(float, svg.attrib["viewBox"].split())
        for rect in svg.iter("rect"):
            assert 0 <= float(rect.attrib["x"]) <= float(rect.attrib["x"]) + float(rect.attrib["width"]) <= width
            assert 0 <= float(rect.attrib["y"]) <= float(rect.attrib["y"]) + float(rect.attrib["height"]) <= height
        for text in svg.iter("text"):
            assert 0 <= float(text.attrib["x"]) <= width and 0 < float(text.attrib["y"]) <= height


# --- the guarantee ---


def test_every_number_of_the_guarantee_is_the_plans(synthesis: Synthesis, tree: ElementTree.Element) -> None:
    plan = synthesis.plan
    scales = [m.scale for m in synthesis.measurements]
    person = plan.loss.nano_rho * 4  # two tokens: rho grows with the square
    expected = {
        "Epsilon for one person token": plan.epsilon,
        "Delta": plan.delta,
        "Rho (zCDP) for one person token": plan.loss.nano_rho / 1e9,
        "Most person tokens of one person": 2,
        "Epsilon for such a person, at the same delta": epsilon_for(person, plan.delta),
        "Rho (zCDP) for such a person": person / 1e9,
        "Tables measured": len(synthesis.measurements),
        "Cells with noise, at most": sum(m.values.size for m in synthesis.measurements),
        "Smallest noise scale, in people": min(scales),
        "Largest noise scale, in people": max(scales),
        "Public cap on the number of people": 10_000,
    }
    rows = table(tree, "The guarantee in numbers")
    stated = {words(row[0]): float(row[1][0].attrib["value"]) for row in rows if len(row[1])}
    assert stated == expected
    in_words = {words(row[0]): words(row[1]) for row in rows if not len(row[1])}
    assert in_words == {"Privacy unit": "person token", "Mechanism": "discrete Gaussian noise on 64-bit integers"}


def test_a_promise_is_rounded_towards_the_weaker_one(synthesis: Synthesis, tree: ElementTree.Element) -> None:
    shown = {words(row[0]): words(row[1]) for row in table(tree, "The guarantee in numbers")}
    assert float(shown["Epsilon for such a person, at the same delta"]) >= synthesis.plan.epsilon_per_person
    assert float(shown["Rho (zCDP) for such a person"]) == synthesis.plan.loss.scaled(2).nano_rho / 1e9
    factor = re.search(r"at most ([\d,.]+) times as likely", words(tree))
    assert factor and float(factor[1].replace(",", "")) >= math.exp(synthesis.plan.epsilon)


def test_the_unit_and_fewer_tokens_than_organisations_are_said() -> None:
    domain = Domain.declare({"gender": ["woman", "man"], "age": ["0-17", "18+"]})
    made = synthesis_of(domain, 300, tokens=1)
    notes = ReleaseNotes(
        title="t",
        created="2025-01-31",
        organisations=3,
        unit="record",
        legal_basis="Art. 9 (2) j",
        tokens_reason="Areas apart.",
    )
    text = words(ElementTree.fromstring(report_html(made, notes).partition("\n")[2]))
    assert "one record in the data" in text and "The steward declared that one record is one person." in text
    assert (
        "3 organisations contributed, and the guarantee is stated for up to 1 record of one person. The reason given: Areas apart."
        in text
    )
    assert "in the words of the people who publish: Art. 9 (2) j" in text
    assert "Only people who consented" not in text


# --- the numbers ---


def test_the_number_of_people_stands_with_its_interval(synthesis: Synthesis, tree: ElementTree.Element) -> None:
    said = re.search(
        r"About ([\d,]+) people, 95 % interval ([\d,]+) to ([\d,]+), in the records of 2 organisations", words(tree)
    )
    assert said
    people, low, high = (int(number.replace(",", "")) for number in said.groups())
    half = 1.96 * synthesis.model.people_sigma
    assert abs(people - synthesis.model.people) <= half / 2
    assert low <= synthesis.model.people - half and high >= synthesis.model.people + half
    assert high - low <= 4 * half


def test_the_table_of_errors_is_the_error_scale(synthesis: Synthesis, tree: ElementTree.Element) -> None:
    rows = table(tree, "Half of the 95 % interval")
    sizes = [int(words(row[0]).replace(",", "")) for row in rows]
    assert sizes[0] == 10 and sizes == sorted(sizes) and sizes[-1] <= synthesis.model.people
    for length, expected in enumerate(half_widths(synthesis.errors, sizes), start=1):
        direct = synthesis.errors.half_width(np.full(len(sizes), length), np.array(sizes, dtype=float))
        assert expected == [float(width) for width in direct]
        shown = [float(words(row[length]).split()[1]) for row in rows]
        assert shown == pytest.approx(expected, abs=0.5)


def test_what_is_shown_and_hidden_adds_up(synthesis: Synthesis, tree: ElementTree.Element) -> None:
    shown = shown_by_length(synthesis)
    known = [2, 3, 25, 3, 1, 1, 1, 1]
    assert [row.possible for row in shown[:2]] == [sum(known), (sum(known) ** 2 - sum(k * k for k in known)) // 2]
    assert sum(row.shown + row.missing_shown for row in shown) == synthesis.aggregates.combinations
    assert sum(row.combinations for row in widths(synthesis)) == synthesis.aggregates.combinations
    cells = [[int(words(cell).replace(",", "")) for cell in row[1:]] for row in table(tree, "Combinations of known")]
    assert cells == [[row.shown, row.possible, row.possible - row.shown] for row in shown]
    assert "Hidden does not mean zero" in words(tree)


def test_charts_show_published_estimates_and_count_what_is_hidden(
    synthesis: Synthesis, tree: ElementTree.Element
) -> None:
    charts, left_out = attribute_values(synthesis)
    assert left_out == ()
    assert [chart.name for chart in charts] == ["gender", "age", "country", HOSTILE, "means", MARKS]
    published = synthesis.aggregates
    for chart in charts[:4]:
        place = [column.name for column in synthesis.plan.domain.columns].index(chart.name)
        column = synthesis.plan.domain.columns[place]
        alone = (published.columns[:, 1] == -1) & (published.columns[:, 0] == place) & (published.values[:, 0] != 0)
        assert len(chart.values) == min(int(alone.sum()), VALUES_MOST)
        assert chart.hidden == column.size - 1 - int(alone.sum())
        for value in chart.values:
            row = np.flatnonzero(alone & (published.values[:, 0] == column.values.index(value.name)))
            assert (value.estimate.value, value.estimate.low, value.estimate.high) == (
                published.estimate[row[0]],
                published.low[row[0]],
                published.high[row[0]],
            )
    country = charts[2]
    assert country.hidden > 0
    assert (
        f"{country.hidden} of 25 values in the public list {'is' if country.hidden == 1 else 'are'} hidden, which does not mean zero"
        in words(tree)
    )
    assert [value.name for value in charts[1].values] == ["0-17", "18-29", "30+"][
        : len(charts[1].values)
    ]  # public order


def test_a_report_of_a_wide_schema_stays_small_and_says_what_it_leaves_out() -> None:
    names = [f"{'long & wide <name> ' * 4}{place}" for place in range(24)]
    domain = Domain.declare({name: [f"{'value & ' * 12}{value}" for value in range(20)] for name in names})
    made = synthesis_of(domain, 2_000, epsilon=50.0)
    start = time.process_time()
    text = report_html(made, NOTES)
    assert time.process_time() - start < 2
    assert len(text.encode()) < 300_000
    assert "There is no room here for: " in text


# --- always a report, always the same ---


def hollow(synthesis: Synthesis, people: float) -> Synthesis:
    """The same release of next to nobody."""
    none = np.zeros((0, 3), dtype=np.int32)
    empty = np.zeros(0)
    return dataclasses.replace(
        synthesis,
        model=dataclasses.replace(synthesis.model, people=people),
        records=tuple(np.zeros(0, dtype=np.uint16) for _ in synthesis.records),
        aggregates=AggregateTable(columns=none, values=none, estimate=empty, low=empty, high=empty),
    )


@pytest.mark.parametrize("people", [-12.4, 0.0, 1.0])
def test_next_to_nobody_makes_a_report_that_says_so(synthesis: Synthesis, people: float) -> None:
    text = report_html(hollow(synthesis, people), NOTES)
    tree = ElementTree.fromstring(text.partition("\n")[2])
    assert "The interval reaches down to zero" in words(tree)
    assert not {"nan", "inf"} & set(re.findall(r"[a-z]+", words(tree)))


SMALLEST = [
    Domain.declare({"gender": ["woman", "man"]}),
    Domain.declare({"gender": ["woman", "man"], "minor": ["yes"]}),
]


@pytest.mark.parametrize("domain", SMALLEST, ids=["one column", "two columns"])
def test_the_smallest_domains_make_a_report(domain: Domain) -> None:
    text = report_html(synthesis_of(domain, 200), NOTES)
    ElementTree.fromstring(text.partition("\n")[2])
    assert "woman" in text


def test_the_same_release_makes_the_same_bytes(page: str, synthesis: Synthesis) -> None:
    assert report_html(synthesis, NOTES) == page
    again = synthesis_of(DOMAIN, 800, noise=2)  # other noise, other numbers
    assert report_html(again, NOTES) != page
