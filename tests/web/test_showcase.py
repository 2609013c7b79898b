"""The showcase in a real browser: numbers are the model's, everything works by keyboard and in four languages, and nothing leaves the file."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from caseschemas import CaseSchema, shipped_schema_ids
from casesynth.aggregates import MINIMUM, aggregate
from casesynth.domain import Domain, Multi
from casesynth.intervals import NORMAL
from casesynth.showcase.bases import answered_columns, spreads
from casesynth.showcase.dimensions import views_of
from casesynth.synthesis import Synthesis

OpenPage: TypeAlias = Callable[..., Page]
WriteShowcase: TypeAlias = Callable[..., Path]
Fact: TypeAlias = tuple[str, str]
"""An attribute's name and the code of a value."""

LANGUAGES = ("en", "ar", "fr", "es")
WOMAN = ("gender", "Woman")
LABOUR = ("isForcedLabour", "1")
THREATS = ("meansThreats", "1")


def row_of(synthesis: Synthesis, fact: Fact) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Shares of one value in every class."""
    columns = synthesis.plan.domain.columns
    place = next(i for i, column in enumerate(columns) if column.name == fact[0])
    row: np.ndarray[Any, np.dtype[np.float64]] = synthesis.model.shares[place][columns[place].values.index(fact[1])]
    return row


def people_with(synthesis: Synthesis, facts: Sequence[Fact]) -> float:
    """The model's estimate, in closed form."""
    weights = synthesis.model.weights * synthesis.model.people
    for fact in facts:
        weights = weights * row_of(synthesis, fact)
    return float(weights.sum())


def half_width(synthesis: Synthesis, length: int, estimate: float) -> float:
    return float(synthesis.errors.half_width(np.array([length]), np.array([estimate]))[0])


def answered(synthesis: Synthesis, facts: Sequence[Fact], columns: Sequence[str]) -> float:
    """People with all facts and an answer in any of the columns."""
    weights = synthesis.model.weights * synthesis.model.people
    for fact in facts:
        weights = weights * row_of(synthesis, fact)
    missing = np.ones(len(weights))
    for column in columns:
        missing = missing * row_of(synthesis, (column, ""))
    return float((weights * (1 - missing)).sum())


def base_half_width(synthesis: Synthesis, facts: Sequence[Fact], columns: Sequence[str], schema: CaseSchema) -> float:
    """Half width of the number of people who answered: the widest of all lengths, and what many questions add."""
    domain = synthesis.plan.domain
    views = views_of(domain, schema)
    names = tuple(column.name for column in domain.columns)
    places = tuple(names.index(column) for column in columns)
    spread = next(
        spread
        for dimension, spread in zip(views.dimensions, spreads(synthesis, views.dimensions), strict=True)
        if answered_columns(dimension) == places
    )
    base = answered(synthesis, facts, columns)
    widest = max(half_width(synthesis, length, base) for length in (1, 2, 3))
    assert spread > 0
    return math.hypot(widest, spread * math.comb(len(columns), 2) * people_with(synthesis, facts))


def key(synthesis: Synthesis, fact: Fact) -> str:
    """The end of the keys of a fact's bars."""
    columns = synthesis.plan.domain.columns
    place = next(i for i, column in enumerate(columns) if column.name == fact[0])
    return f":{place}:{columns[place].values.index(fact[1])}"


def bar(page: Page, synthesis: Synthesis, fact: Fact) -> Any:
    return page.locator(f'button.bar-row[data-key$="{key(synthesis, fact)}"]').first


def saved(page: Page) -> list[dict[str, str]]:
    """Press save and read the file."""
    with page.expect_download() as download:
        page.get_by_role("button", name="Save these numbers").click()
    raw = download.value.path().read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")  # spreadsheets read the file as UTF-8
    return list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"), newline="")))


def test_every_number_is_the_models(open_page: OpenPage, synthesis: Synthesis) -> None:
    page, table = open_page(), synthesis.aggregates
    columns = synthesis.plan.domain.columns
    chosen = np.random.default_rng(5).permutation(table.combinations)[:300]
    facts = [
        [
            [columns[c].name, columns[c].values[v]]
            for c, v in zip(table.columns[i], table.values[i], strict=True)
            if c >= 0
        ]
        for i in chosen
    ]
    found = page.evaluate("facts => facts.map(showcase.people)", facts)
    for i, number in zip(chosen, found, strict=True):
        assert number["shown"]
        for name, exact in (("estimate", table.estimate[i]), ("low", table.low[i]), ("high", table.high[i])):
            assert abs(number[name] - exact) <= max(0.1, 0.001 * exact)


def test_what_rule_25_hides_is_hidden_whoever_asks(open_page: OpenPage, synthesis: Synthesis) -> None:
    columns = synthesis.plan.domain.columns
    place = next(i for i, column in enumerate(columns) if column.name == "citizenship")
    estimates = synthesis.model.marginal([place])
    rare = columns[place].values[int(np.argmin(estimates))]
    assert estimates.min() < MINIMUM
    assert open_page().evaluate("facts => showcase.people(facts)", [["citizenship", rare]]) == {"shown": False}


def test_click_filters_and_every_bar_follows(open_page: OpenPage, synthesis: Synthesis) -> None:
    page = open_page()
    bar(page, synthesis, WOMAN).click()
    expect(bar(page, synthesis, WOMAN)).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".chip")).to_have_text("Gender: Woman × — Remove from the filter")
    expect(page.locator(".seen b")).to_have_text(f"{people_with(synthesis, [WOMAN]):,.0f}")
    estimate = people_with(synthesis, [WOMAN, LABOUR])
    half = half_width(synthesis, 2, estimate)
    labour = bar(page, synthesis, LABOUR)
    expect(labour.locator(".number")).to_have_text(
        f"{estimate:,.0f} ({estimate - half:,.0f} to {estimate + half:,.0f})"
    )
    base = answered(synthesis, [WOMAN], ["isForcedLabour", "isSexualExploit", "isOtherExploit"])
    expect(labour.locator(".share")).to_have_text(f"{100 * estimate / base:.0f}%")
    expect(page.get_by_role("status")).to_contain_text("Gender: Woman")
    page.locator(".chip").click()
    expect(page.locator(".chip")).to_have_count(0)
    expect(page.locator(".seen b")).to_have_text("20,000")


def test_another_value_of_a_chosen_attribute_replaces_it(open_page: OpenPage, synthesis: Synthesis) -> None:
    page = open_page()
    bar(page, synthesis, WOMAN).click()
    expect(bar(page, synthesis, ("gender", "Man")).locator(".number b")).to_have_text(
        f"{people_with(synthesis, [('gender', 'Man')]):,.0f}"
    )
    bar(page, synthesis, ("gender", "Man")).click()
    expect(page.locator(".chip")).to_have_text("Gender: Man × — Remove from the filter")


def test_keyboard_alone_filters_and_keeps_its_place(open_page: OpenPage, synthesis: Synthesis) -> None:
    page = open_page()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.classList.contains('bar-row')"):
            break
    chosen = page.evaluate("document.activeElement.dataset.key")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    expect(page.locator(".chip")).to_have_count(1)
    assert page.evaluate("document.activeElement.dataset.key") == chosen
    page.keyboard.press("Space")
    expect(page.locator(".chip")).to_have_count(0)


def test_a_map_filters_by_click(open_page: OpenPage) -> None:
    page = open_page()
    page.locator("#map").scroll_into_view_if_needed()
    page.evaluate("document.getElementById('map').scrollIntoView()")
    x, y = page.evaluate("""() => {
        const shape = [...document.querySelectorAll('.map path.country')].find((each) => each.textContent.startsWith('United States: '));
        const box = shape.getBoundingClientRect();
        for (let i = 1; i < 40; i += 1) for (let j = 1; j < 40; j += 1) {
          const [x, y] = [box.left + (box.width * i) / 40, box.top + (box.height * j) / 40];
          if (document.elementFromPoint(x, y) === shape) return [x, y];
        }
        return [0, 0];
    }""")
    page.mouse.click(x, y)
    expect(page.locator(".chip")).to_contain_text("Citizenship: United States")
    expect(page.locator(".map path.chosen")).to_have_count(1)


def test_a_combination_beyond_the_known_errors_is_refused_in_words(
    open_page: OpenPage, synthesis: Synthesis, longer: Synthesis, write_showcase: WriteShowcase
) -> None:
    page = open_page()
    for fact in (WOMAN, THREATS, LABOUR):
        bar(page, synthesis, fact).click()
    expect(page.locator("#trend .notice")).to_contain_text("combinations of 4 values")
    expect(page.locator("#flow .notice")).to_contain_text("combinations of 5 values")
    expect(bar(page, synthesis, WOMAN)).to_be_visible()  # three values can still be exchanged
    page.evaluate("document.querySelector('.chip').click()")
    assert page.evaluate("""() => { try { showcase.people([["gender","Woman"],["meansThreats","1"],["isForcedLabour","1"],
        ["ageBroad","9-17"]]); return null } catch (error) { return error.message } }""").startswith("These would be")
    other = open_page(write_showcase(longer))
    facts = [["gender", "Woman"], ["meansThreats", "1"], ["isForcedLabour", "1"], ["isSexualExploit", "1"]]
    number = other.evaluate("facts => showcase.people(facts)", facts)
    exact = people_with(longer, [(name, code) for name, code in facts])
    assert not number["shown"] or abs(number["estimate"] - exact) < max(0.1, 0.001 * exact)
    assert number["shown"] == (exact >= MINIMUM and exact - half_width(longer, 4, exact) >= 1)


def test_hidden_is_said_and_never_zero(open_page: OpenPage, synthesis: Synthesis) -> None:
    page = open_page()
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    expect(page.locator("#map .panel").first).to_contain_text("Hidden values: ")
    bar(page, synthesis, ("gender", "Trans/Transgender/NonConforming")).click()
    expect(page.locator(".hidden-word").first).to_have_text("hidden")
    cells = page.locator("main tbody td, main .number").all_text_contents()
    assert cells and not [cell for cell in cells if cell.strip() in ("", "0", "NaN")]


def test_saved_table_holds_every_value_and_the_models_numbers(
    open_page: OpenPage, synthesis: Synthesis, schema: CaseSchema
) -> None:
    page = open_page()
    bar(page, synthesis, WOMAN).click()
    rows = saved(page)
    known = sum(column.size - len(column.missing) for column in synthesis.plan.domain.columns)
    assert len(rows) == known + 1
    assert {row["filter"] for row in rows} == {"gender=Woman"}
    assert {row["status"] for row in rows} == {"shown", "hidden"}
    for row in rows[1:]:
        if row["attribute"] == "gender":
            continue
        exact = people_with(synthesis, [WOMAN, (row["attribute"], row["value"])])
        half = half_width(synthesis, 2, exact)
        if row["status"] == "hidden":
            assert exact < MINIMUM + 0.1 or exact - half < 1.1
            assert row["people"] == row["share"] == ""
        else:
            assert float(row["people"]) == pytest.approx(exact, rel=0.001, abs=0.1)
            assert float(row["people_low"]) == pytest.approx(max(exact - half, 0), rel=0.001, abs=0.15)
    threats = next(row for row in rows if row["attribute"] == "meansThreats")
    means = [column.name for column in synthesis.plan.domain.columns if column.name.startswith("means")]
    base = answered(synthesis, [WOMAN], means)
    part = people_with(synthesis, [WOMAN, THREATS])
    widest = base_half_width(synthesis, [WOMAN], means, schema)
    half = math.hypot(half_width(synthesis, 2, part), part / base * widest) / base
    assert float(threats["answered"]) == pytest.approx(base, rel=0.001)
    assert float(threats["share"]) == pytest.approx(part / base, abs=0.001)
    assert float(threats["share_high"]) == pytest.approx(part / base + half, abs=0.001)


HOSTILE = Domain.declare(
    {"=1+1": ["-2+3", "@a", "<img src=x onerror=alert(1)>", '","'], "means": Multi(values=["a", "b"])}
)


@pytest.mark.parametrize("plain", [HOSTILE], indirect=True)
def test_hostile_names_stay_text_and_no_cell_is_a_formula(
    plain: Synthesis, open_page: OpenPage, write_showcase: WriteShowcase
) -> None:
    page = open_page(write_showcase(plain))
    expect(page.locator("main")).to_contain_text("<img src=x onerror=alert(1)>")
    assert page.locator("img").count() == 0
    cells = [cell for row in saved(page) for cell in row.values()]
    assert "'=1+1" in cells and "'-2+3" in cells and '","' in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]


ONE = Domain.declare({"sex": ["female", "male"]})
FLAGS_ONLY = Domain.declare({"late": ["yes"], "broken": ["yes"], "lost": ["yes"]})


@pytest.mark.parametrize("plain", [ONE, FLAGS_ONLY], indirect=True)
def test_views_that_do_not_apply_are_left_out(
    plain: Synthesis, open_page: OpenPage, write_showcase: WriteShowcase
) -> None:
    page = open_page(write_showcase(plain))
    expect(page.locator("#facts .bar-row").first).to_be_visible()
    for absent in ("trend", "map", "flow", "sheet", "matrix"):
        expect(page.locator(f"#{absent}")).to_have_count(0)
    page.locator(".bar-row").first.click()
    expect(page.locator(".chip")).to_have_count(1)


@pytest.mark.parametrize("shipped", shipped_schema_ids(), indirect=True)
def test_every_shipped_schema_gets_its_views(
    shipped: tuple[Synthesis, CaseSchema], open_page: OpenPage, write_showcase: WriteShowcase
) -> None:
    synthesis, schema = shipped
    page = open_page(write_showcase(synthesis, schema))
    countries = sum(attribute.kind == "country" for attribute in schema.analysis)
    expect(page.locator("#map .map")).to_have_count(countries)
    expect(page.locator("#flow")).to_have_count(1 if countries > 1 else 0)
    expect(page.locator("#trend .columns")).to_have_count(1)
    expect(page.locator("#matrix table.matrix")).to_have_count(1)
    titles = page.locator("#facts h3").all_text_contents()
    assert len(titles) == len(set(titles)) > 5
    page.locator("#facts .bar-row").first.click()
    page.locator("#facts .bar-row").last.click()
    expect(page.locator(".chip")).to_have_count(2)
    for place in range(page.locator('[data-key="contrast"] option').count()):
        page.locator('[data-key="contrast"]').select_option(index=place)
        expect(page.locator("#compare table.compare tbody")).to_have_count(1)


@pytest.mark.parametrize("people", [-3.0, 4.0, 60.0])
def test_release_of_almost_nobody_shows_nothing_and_breaks_nothing(
    people: float, synthesis: Synthesis, schema: CaseSchema, open_page: OpenPage, write_showcase: WriteShowcase
) -> None:
    model = dataclasses.replace(synthesis.model, people=people)
    domain = synthesis.plan.domain
    few = dataclasses.replace(synthesis, model=model, aggregates=aggregate(model, domain, synthesis.errors))
    page = open_page(write_showcase(few, schema))
    expect(page.locator("h1")).to_be_visible()
    expect(page.locator("#about")).to_be_visible()
    if people < MINIMUM:
        expect(page.locator(".seen")).to_contain_text("Everyone: hidden.")
        expect(page.locator(".bar-row")).to_have_count(0)
    rows = saved(page)
    assert {row["status"] for row in rows[1:]} == ({"hidden"} if people < MINIMUM else {"hidden", "shown"})


def test_without_a_schema_codes_stand_in_for_labels(
    synthesis: Synthesis, open_page: OpenPage, write_showcase: WriteShowcase
) -> None:
    page = open_page(write_showcase(synthesis))
    expect(page.locator("#facts")).to_contain_text("CountryOfExploitation")
    expect(page.locator("#facts")).to_contain_text("UKR")
    expect(page.locator("#map")).to_have_count(0)


def test_every_chart_has_a_table_behind_it(open_page: OpenPage) -> None:
    page = open_page()
    holders = page.locator("[data-panel], #trend .panel, #flow .panel, #matrix .panel, #compare .panel")
    assert holders.count() >= 8 + 2 + 4 - 1
    for place in range(holders.count()):
        disclosure = holders.nth(place).locator("details").first
        disclosure.locator("summary").click()
        expect(disclosure.locator("tbody tr").first).to_be_visible()
    flow = page.locator("#flow details tbody tr")
    assert flow.count() > 10


def test_largest_pair_of_the_flow_is_the_models(open_page: OpenPage, synthesis: Synthesis) -> None:
    page = open_page()
    page.locator("#flow summary").click()
    columns = synthesis.plan.domain.columns
    place = [i for i, column in enumerate(columns) if column.name in ("citizenship", "CountryOfExploitation")]
    pairs = synthesis.model.marginal(place)[1:, 1:].copy()
    first = page.locator("#flow details tbody tr").first.locator("td").nth(1)
    apart = pairs.copy()
    np.fill_diagonal(apart, 0)
    expect(first).to_have_text(f"{apart.max():,.0f}")
    page.get_by_label("Also people for whom both countries are the same").check()
    expect(first).to_have_text(f"{pairs.max():,.0f}")


def test_matrix_shares_are_of_those_who_answered_in_the_column(open_page: OpenPage, synthesis: Synthesis) -> None:
    page = open_page()
    means = [column.name for column in synthesis.plan.domain.columns if column.name.startswith("means")]
    table = page.locator("#matrix table.matrix")
    row = table.locator("tbody tr").nth(means.index("meansThreats"))
    share = people_with(synthesis, [LABOUR, THREATS]) / answered(synthesis, [LABOUR], means)
    expect(row.locator("td").first.locator("b")).to_have_text(f"{100 * share:.0f}%")
    page.locator('[data-key="matrix-down"]').select_option(label="Age at registration")
    expect(table.locator("tbody tr").first.locator("th")).to_have_text("0-8")


def test_comparison_says_which_differences_are_real(
    open_page: OpenPage, synthesis: Synthesis, schema: CaseSchema
) -> None:
    page = open_page()
    places = [0, 1]
    for which, fact in zip(places, (WOMAN, ("gender", "Man")), strict=True):
        page.locator(f'[data-key="group:{which}:0"]').select_option(key(synthesis, fact)[1:])
    page.locator('[data-key="contrast"]').select_option(label="Form of exploitation")
    forms = ["isForcedLabour", "isSexualExploit", "isOtherExploit"]
    rows = page.locator("#compare table.compare tbody tr")
    expect(rows).to_have_count(3)
    verdicts = []
    for place, form in enumerate(forms):
        shares, halves = [], []
        for gender in (WOMAN, ("gender", "Man")):
            part = people_with(synthesis, [gender, (form, "1")])
            base = answered(synthesis, [gender], forms)
            widest = base_half_width(synthesis, [gender], forms, schema)
            shares.append(part / base)
            halves.append(math.hypot(half_width(synthesis, 2, part), part / base * widest) / base)
        gap, half = shares[0] - shares[1], math.hypot(*halves)
        clear = "Not clear" if abs(gap) <= half else "Yes: higher in A" if gap > 0 else "Yes: higher in B"
        verdicts.append(clear)
        expect(rows.nth(place).locator("td").nth(1).locator("b")).to_have_text(f"{100 * gap:+.1f}")
        expect(rows.nth(place).locator("td").nth(2)).to_have_text(clear)
    assert len(set(verdicts)) > 1
    expect(page.get_by_role("status")).to_contain_text("Clear differences")
    page.locator('[data-key="group:1:0"]').select_option(key(synthesis, WOMAN)[1:])
    expect(page.locator("#compare .notice")).to_contain_text("The two groups are the same")


@pytest.mark.parametrize("language", LANGUAGES)
def test_language_switch_keeps_what_was_chosen(open_page: OpenPage, synthesis: Synthesis, language: str) -> None:
    page = open_page()
    bar(page, synthesis, ("citizenship", "UKR")).click()
    page.locator('[data-key="language"]').focus()
    page.locator('[data-key="language"]').select_option(language)
    root = page.locator("html")
    expect(root).to_have_attribute("lang", language)
    expect(root).to_have_attribute("dir", "rtl" if language == "ar" else "ltr")
    name = {"en": "Ukraine", "ar": "أوكرانيا", "fr": "Ukraine", "es": "Ucrania"}[language]
    expect(page.locator(".chip")).to_contain_text(name)
    expect(page.locator(".seen b")).to_have_count(1)
    expect(page.locator(".top .notice")).to_have_count(0 if language == "en" else 1)
    assert page.evaluate("document.activeElement.dataset.key") == "language"


def test_arabic_is_mirrored_as_a_whole(open_page: OpenPage) -> None:
    page = open_page(locale="ar")
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    edges = page.evaluate("""() => {
        const box = (query) => document.querySelector(query).getBoundingClientRect();
        const years = [...document.querySelectorAll('.columns li')].map((each) => each.getBoundingClientRect().left);
        const [from, to] = [...document.querySelectorAll('#flow rect')].map((each) => each.getBoundingClientRect().left)
          .reduce(([most, least], x) => [Math.max(most, x), Math.min(least, x)], [0, 9999]);
        return { title: box('h1').right, controls: box('.bar-top .controls').left, bar: box('#facts .bar').right,
                 track: box('#facts .track').right, first: years[0], last: years.at(-1), from, to };
    }""")
    assert edges["title"] > edges["controls"]
    assert edges["bar"] == pytest.approx(edges["track"], abs=1)
    assert edges["first"] > edges["last"]
    assert edges["from"] > edges["to"]


def test_dark_follows_the_system_and_the_switch(open_page: OpenPage) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    light, dark = open_page(color_scheme="light"), open_page(color_scheme="dark")
    assert light.evaluate(background) == "rgb(244, 246, 248)"
    assert dark.evaluate(background) == "rgb(16, 21, 26)"
    dark.locator('[data-key="theme"]').select_option("light")
    light.locator('[data-key="theme"]').select_option("dark")
    assert dark.evaluate(background) == "rgb(244, 246, 248)"
    assert light.evaluate(background) == "rgb(16, 21, 26)"


@pytest.mark.parametrize("language", LANGUAGES)
def test_axe_finds_no_barrier_in_light_or_dark(open_page: OpenPage, axe: str, language: str) -> None:
    page = open_page(locale=language, color_scheme="light")
    page.locator("#facts .bar-row").first.click()
    opened = "#facts details, #trend details, #matrix details, #compare details"
    page.evaluate("query => document.querySelectorAll(query).forEach(each => { each.open = true })", opened)
    page.evaluate(axe)
    for scheme, rules in (
        ("light", None),
        ("dark", ["color-contrast", "link-in-text-block"]),
    ):  # the rest has no colour
        page.locator('[data-key="theme"]').select_option(scheme)
        found = page.evaluate(
            """async (rules) => (await axe.run(document, {resultTypes: ['violations'],
               ...(rules ? {runOnly: rules} : {})})).violations.map((each) => [each.id, each.nodes[0].html.slice(0, 200)])""",
            rules,
        )
        assert found == []


@pytest.mark.parametrize(("language", "width"), [("en", 360), ("ar", 360), ("fr", 360), ("es", 360), ("en", 640)])
def test_narrow_screens_and_double_zoom_need_no_sideways_scrolling(
    open_page: OpenPage, language: str, width: int
) -> None:
    page = open_page(locale=language, viewport={"width": width, "height": 740})
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    small = page.evaluate("""[...document.querySelectorAll('main button, main select, summary')].map((each) =>
        each.getBoundingClientRect()).filter((box) => box.width < 24 || box.height < 24).length""")
    assert small == 0


def test_fact_sheet_prints_alone(open_page: OpenPage, synthesis: Synthesis) -> None:
    page = open_page()
    page.evaluate("window.print = () => { window.printed = true }")
    page.locator('[data-key="sheet-country"]').select_option(label="Philippines")
    expect(page.locator("#fact-sheet h3")).to_have_text("Citizenship: Philippines")
    people = people_with(synthesis, [("citizenship", "PHL")])
    expect(page.locator("#fact-sheet .lead-line")).to_contain_text(f"{people:,.0f} people")
    page.get_by_role("button", name="Print this fact sheet").click()
    assert page.evaluate("window.printed")
    page.emulate_media(media="print")
    expect(page.locator("#fact-sheet")).to_be_visible()
    for absent in ("h1", "#map", ".filter", "#about", "footer"):
        expect(page.locator(absent)).to_be_hidden()
    document = page.pdf(prefer_css_page_size=True)
    assert document.startswith(b"%PDF")
    assert document.count(b"/Type /Page\n") <= 3
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    expect(page.locator("h1")).to_be_visible()


def test_page_prints_light_without_controls(open_page: OpenPage) -> None:
    page = open_page(color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    expect(page.locator(".top .controls")).to_be_hidden()
    expect(page.locator("#about")).to_be_visible()
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")


def test_without_javascript_the_main_numbers_are_there(open_page: OpenPage, synthesis: Synthesis) -> None:
    page = open_page(java_script_enabled=False)
    expect(page.locator("h1")).to_have_text("Made-up people")
    expect(page.locator("header")).to_contain_text("at most 7.4 times as likely")
    expect(page.locator("main")).to_contain_text("Not a random sample.")
    estimate = people_with(synthesis, [WOMAN])
    half = half_width(synthesis, 1, estimate)
    woman = page.locator("tr", has_text="Woman")
    expect(woman).to_have_text(f"Woman{estimate:,.0f}{estimate - half:,.0f} to {estimate + half:,.0f}")
    assert "Hidden values: " in page.locator("main").inner_text()


def test_the_file_says_how_close_its_numbers_are(open_page: OpenPage) -> None:
    expect(open_page().locator("#closeness")).to_contain_text("differ from that file by at most")


def test_people_in_the_header_have_the_interval_of_the_noisy_total(open_page: OpenPage, synthesis: Synthesis) -> None:
    half = NORMAL * synthesis.model.people_sigma
    expect(open_page().locator(".big")).to_contain_text(f"20,000 people ({20_000 - half:,.0f} to {20_000 + half:,.0f})")
