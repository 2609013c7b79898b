"""The showcase as a file: small, closed, the model's numbers in 16 bits, views by rule, words in every language."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import html
import itertools
import json
import math
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from tests.seeded_release import seeded_synthesis
from tests.synth.conftest import People

from caseschemas import CaseSchema, load_schema, parse_schema
from casesynth.aggregates import aggregate
from casesynth.domain import Domain, Multi
from casesynth.intervals import ErrorScale
from casesynth.measure import Measurement
from casesynth.model import EFFORTS, FitSettings, LatentClassModel
from casesynth.notes import ReleaseNotes
from casesynth.plan import ReleasePlan
from casesynth.privacy.loss import Receipt
from casesynth.report.private_decision import SENTENCE
from casesynth.showcase import mark_showcase, showcase_html, tokens_css, translations
from casesynth.showcase.bases import spreads
from casesynth.showcase.dimensions import views_of
from casesynth.showcase.plain import private_notice
from casesynth.showcase.quantised import FLOOR, STEP, QuantisedModel, closeness
from casesynth.showcase.tokens import tokens
from casesynth.synthesis import Synthesis

NOTES = ReleaseNotes(title="Shelters of the coast", created="2025-03-01", organisations=2, consent_applied=True)
HOSTILE = '</script><script>alert(1)</script><!--"&'


def released(domain: Domain, people: People, settings: FitSettings, *, tokens: int = 1) -> Synthesis:
    """Release people of a domain, with seeded noise and a quick fit."""
    plan = ReleasePlan.make(domain, epsilon=8.0, people_cap=10_000, max_tokens_per_person=tokens)
    return seeded_synthesis(plan, people, settings=settings)


@pytest.fixture(scope="module")
def synthesis(shelter: Domain, residents: People, quick: FitSettings) -> Synthesis:
    return released(shelter, residents, quick)


@pytest.fixture(scope="module")
def page(synthesis: Synthesis) -> str:
    return showcase_html(synthesis, NOTES, None)


def data_of(page: str) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def signed(model: LatentClassModel, flags: tuple[int, ...]) -> float:
    """What the model says of a signed table of flags: people with an even number of them, less people with an odd number."""
    signs = math.prod((model.shares[flag][0] - model.shares[flag][1] for flag in flags), start=np.ones(1))
    return float(model.people * (model.weights * signs).sum())


def large(people: float, classes: int = 450) -> Synthesis:
    """The demo's size: all 27 columns, 250 countries; made-up classes, as many as the largest effort has."""
    domain = Domain.from_schema(load_schema("ctdc-global"))
    random = np.random.default_rng(11)
    model = LatentClassModel(
        people=people,
        people_sigma=13.0,
        weights=random.dirichlet(np.ones(classes)),
        shares=tuple(random.dirichlet(np.full(size, 0.05), size=classes).T for size in domain.sizes),
        stiffness=0.01,
        residual=(1.0, 1.0, 1.0),
    )
    errors = ErrorScale(
        centres=np.log(np.array([10.0, 1000.0])), half_widths=np.full((3, 2), 20.0), misfit=np.array([2.0, 3.0, 4.0])
    )
    plan = ReleasePlan.make(domain, epsilon=2.0, people_cap=50_000)
    small = [place for place, size in enumerate(domain.sizes) if size == 2]
    return Synthesis(
        plan=plan,
        receipt=Receipt(charge_id="charge-1", loss=plan.loss),
        measurements=tuple(
            Measurement(clique=flags, values=np.array(round(signed(model, flags))), nano_rho=1_000)
            for length in (0, 1, 2)
            for flags in itertools.combinations(small, length)
        ),
        model=model,
        records=(),
        aggregates=aggregate(model, domain, errors),
        errors=errors,
        settings=FitSettings(),
    )


def test_file_of_the_demo_is_below_its_limit() -> None:
    page = showcase_html(large(20_000), NOTES, load_schema("ctdc-global"))
    most = FitSettings().harder(max(effort for _, effort in EFFORTS))
    assert data_of(page)["model"]["classes"] == most.classes * most.starts == 450
    assert len(page.encode()) < 1_200_000


@pytest.mark.parametrize("people", [2_000.0, 20_000.0, 5_000_000.0])
def test_quantised_numbers_are_within_a_thousandth(people: float) -> None:
    synthesis = large(people, classes=40)
    close = closeness(QuantisedModel.of(synthesis.model), synthesis.aggregates)
    assert close.combinations == synthesis.aggregates.combinations > 1000
    assert 0 < close.relative < math.exp(3 * STEP / 2) - 1 < 0.001


def test_closeness_is_that_of_the_worst_combination(synthesis: Synthesis) -> None:
    quantised = QuantisedModel.of(synthesis.model)
    shares, table = quantised.shares(), synthesis.aggregates
    gaps = []
    for columns, values, estimate in zip(table.columns, table.values, table.estimate, strict=True):
        terms = quantised.weights * quantised.people
        for column, value in zip(columns, values, strict=True):
            terms = terms * (shares[column][value] if column >= 0 else 1)
        gaps.append(abs(terms.sum() - estimate))
    assert closeness(quantised, table).people == pytest.approx(max(gaps))


def test_shares_below_the_floor_become_zero_and_one_stays_one() -> None:
    model = LatentClassModel(
        people=10.0,
        people_sigma=1.0,
        weights=np.array([0.5, 0.5]),
        shares=(np.array([[1.0, FLOOR / 2], [0.0, 1 - FLOOR / 2]]),),
        stiffness=0.01,
        residual=(1.0, 1.0, 1.0),
    )
    (shares,) = QuantisedModel.of(model).shares()
    assert shares.tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_policy_refuses_everything_but_the_one_style_and_script(page: str) -> None:
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert found is not None
    rules = dict(rule.strip().split(" ", 1) for rule in html.unescape(found[1]).split(";"))
    assert rules.pop("default-src") == rules.pop("base-uri") == rules.pop("form-action") == "'none'"
    for name, pattern in (("style-src", r"<style>(.*?)</style>"), ("script-src", r"<script>(.*?)</script>")):
        parts = re.findall(pattern, page, re.DOTALL)
        assert len(parts) == 1
        assert rules.pop(name) == f"'sha256-{base64.b64encode(hashlib.sha256(parts[0].encode()).digest()).decode()}'"
    assert rules == {}


def test_file_names_no_other_file_and_no_address(page: str) -> None:
    class Addresses(HTMLParser):
        found: tuple[tuple[str, str | None], ...] = ()

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.found += tuple(
                (name, value) for name, value in attrs if name in ("src", "href", "action", "data", "style")
            )

    addresses = Addresses()
    addresses.feed(page)
    assert addresses.found == ()
    assert re.findall(r"@import|url\(|fetch\(|XMLHttpRequest|importScripts|\beval\(|innerHTML|new Function", page) == []
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", page) == []


def test_names_cannot_leave_the_text_that_they_stand_in(shelter: Domain, residents: People, quick: FitSettings) -> None:
    domain = dataclasses.replace(
        shelter, attributes=(dataclasses.replace(shelter.attributes[0], name=HOSTILE), *shelter.attributes[1:])
    )
    page = showcase_html(released(domain, residents, quick), dataclasses.replace(NOTES, title=HOSTILE), None)
    assert "alert(1)</script>" not in page
    assert page.count("<script") == page.count("</script>") == 2
    data = data_of(page)
    assert data["release"]["title"] == data["attributes"][0]["name"] == HOSTILE


def test_same_synthesis_gives_the_same_bytes(synthesis: Synthesis, page: str) -> None:
    assert showcase_html(synthesis, NOTES, None) == page


def test_plain_part_says_the_aggregates_numbers(synthesis: Synthesis, page: str) -> None:
    plain = page[: page.index('<script type="application/json"')]
    table, columns = synthesis.aggregates, synthesis.plan.domain.columns
    singles = [i for i in range(table.combinations) if table.lengths[i] == 1]
    assert singles
    for i in singles:
        column = columns[table.columns[i, 0]]
        name = column.value or column.values[table.values[i, 0]] or "Not known"
        if column.value is not None and table.values[i, 0] in column.missing:
            continue
        row = f'{html.escape(name)}</th><td class="n">{table.estimate[i]:,.0f}</td><td class="n">{table.low[i]:,.0f} to {table.high[i]:,.0f}'
        assert row in plain


def test_header_promises_what_the_plan_costs(shelter: Domain, residents: People, quick: FitSettings) -> None:
    alone = data_of(showcase_html(released(shelter, residents, quick), NOTES, None))["release"]
    double = data_of(showcase_html(released(shelter, residents, quick, tokens=2), NOTES, None))["release"]
    assert alone["epsilon"] == double["epsilon"] == 8.0
    assert alone["tokens"] == 1 and double["tokens"] == 2
    assert float(double["epsilonPerson"]) > 8.0
    assert alone["oneIn"] == 1_000_000


def test_views_of_the_world_schema_follow_its_kinds_groups_and_logic() -> None:
    schema = load_schema("ctdc-global")
    views = views_of(Domain.from_schema(schema), schema)
    names = [dimension.attribute or dimension.group for dimension in views.dimensions]
    assert views.trend is not None and names[views.trend] == "yearOfRegistration"
    assert [names[place] for place in views.countries] == ["citizenship", "CountryOfExploitation"]
    assert views.flow == views.countries
    assert views.matrix is not None and [names[place] for place in views.matrix] == ["meansOfControl", "exploitation"]
    assert [names[place] for place in views.panels] == [
        "gender",
        "ageBroad",
        "traffickMonths",
        "meansOfControl",
        "exploitation",
        "labourSector",
        "sexualExploitationType",
        "recruiterRelation",
    ]


def test_declared_domain_has_no_view_that_needs_a_kind(shelter: Domain) -> None:
    views = views_of(shelter, None)
    assert (views.trend, views.countries, views.flow) == (None, (), None)
    kinds = {dimension.attribute: dimension.kind for dimension in views.dimensions}
    assert kinds == {"gender": "category", "age": "category", "means": "multi", "country": "category", None: "flags"}
    assert views.matrix is not None
    assert [views.dimensions[place].attribute for place in views.matrix] == ["country", "means"]


def test_one_attribute_alone_has_no_matrix() -> None:
    views = views_of(Domain.declare({"sex": ["female", "male"]}), None)
    assert views.matrix is None and len(views.panels) == 1


def test_percentages_of_a_flag_alone_are_over_everyone() -> None:
    views = views_of(
        Domain.declare({"late": ["yes"], "sex": ["female", "male"], "means": Multi(values=["a", "b"])}), None
    )
    answered = {dimension.attribute: dimension.answered for dimension in views.dimensions}
    assert answered[None] is None
    assert answered["sex"] is not None and answered["sex"].sets == ((1,),)
    assert answered["means"] is not None and answered["means"].sets == ((2, 3),)


def flags_synthesis(synthesis: Synthesis, off: float) -> tuple[Synthesis, float]:
    """Four flags that depend on a source; tables that say that people without any of some flags are `off` more for each pair of them."""
    domain = Domain.declare({"means": Multi(values=["a", "b", "c", "d"])})
    yes = np.array([[0.05, 0.6]])
    model = dataclasses.replace(
        synthesis.model,
        people=10_000.0,
        weights=np.array([0.5, 0.5]),
        shares=(np.concatenate([1 - yes, yes]),) * 4,
    )
    measurements = []
    # the cell without any flag is the sum of a number of people and of all signed tables inside, over 4 for a pair and over 8 for a triple:
    # 4 more for a pair are 1 there; 12 more for a triple and 4 for each of its pairs are 3
    for length, more in ((0, 0), (1, 0), (2, 4), (3, 12)):
        for flags in itertools.combinations(range(4), length):
            values = np.array(round(signed(model, flags) + more * off))
            measurements.append(Measurement(clique=flags, values=values, nano_rho=1_000_000))
    plan = ReleasePlan.make(domain, epsilon=2.0, people_cap=50_000)
    return dataclasses.replace(synthesis, plan=plan, model=model, measurements=tuple(measurements)), model.people


@pytest.mark.parametrize(("off", "least", "most"), [(0.0, 0.0, 1.0), (40.0, 39.0, 41.0), (-40.0, 39.0, 41.0)])
def test_number_who_answered_is_widened_by_what_the_tables_say(
    synthesis: Synthesis, off: float, least: float, most: float
) -> None:
    released, people = flags_synthesis(synthesis, off)
    (spread,) = spreads(released, views_of(released.plan.domain, None).dimensions)
    assert least <= spread * people <= most


def test_number_who_answered_one_question_needs_no_widening(synthesis: Synthesis) -> None:
    views = views_of(Domain.declare({"sex": ["female", "male"]}), None)
    assert spreads(synthesis, views.dimensions) == (0.0,)


def test_a_group_of_all_its_members_keeps_each_member_apart(group_schema: CaseSchema) -> None:
    views = views_of(Domain.from_schema(group_schema), group_schema)
    group = next(dimension for dimension in views.dimensions if dimension.group == "both")
    assert group.answered is not None and group.answered.every
    assert group.answered.sets == ((0,), (1,))
    colour = views.dimensions[1]
    assert len(views.dimensions) == 2 and colour.attribute == "colour"
    assert colour.answered == group.answered


@pytest.fixture
def group_schema() -> CaseSchema:
    def attribute(name: str, *codes: str) -> dict[str, object]:
        values = [{"code": code, "labels": {"en": code.title()}} for code in codes]
        return {
            "name": name,
            "kind": "flag" if len(codes) == 1 else "category",
            "role": "analysis",
            "labels": {"en": name.title()},
            "values": values,
            "missing": ["blank"],
            "merge": "max" if len(codes) == 1 else "agree",
        }

    return parse_schema(
        {
            "format": "casehaven-schema/1",
            "id": "pair",
            "version": "1.0.0",
            "title": {"en": "Pair"},
            "languages": [{"code": "en", "reviewed": True}],
            "missing": {"blank": {"code": "", "means": "unknown", "labels": {"en": "Not known"}}},
            "groups": [{"name": "both", "labels": {"en": "Both"}, "members": ["late", "colour"], "answered": "all"}],
            "attributes": [attribute("late", "1"), attribute("colour", "red", "blue")],
        }
    )


def test_labels_fall_back_to_the_languages_that_a_schema_has(group_schema: CaseSchema, quick: FitSettings) -> None:
    random = np.random.default_rng(2)
    people = tuple(random.integers(0, size, 900).astype(np.uint16) for size in (2, 3))
    synthesis = released(Domain.from_schema(group_schema), people, quick)
    data = data_of(showcase_html(synthesis, NOTES, group_schema))
    assert data["attributes"][1]["labels"] == dict.fromkeys(("en", "ar", "fr", "es"), "Colour")
    assert data["lists"][data["attributes"][1]["list"]]["labels"]["ar"] == ["Not known", "Red", "Blue"]


def test_every_language_has_every_word_and_fills_the_same_places() -> None:
    english, *others = translations()
    assert english.code == "en"
    for other in others:
        assert other.words.keys() == english.words.keys()
        assert not other.reviewed  # until a speaker has
        for key, text in english.words.items():
            assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", other.words[key])), key
    assert [t.code for t in translations() if t.direction == "rtl"] == ["ar"]


def test_translations_are_translated() -> None:
    english, *others = translations()
    for other in others:
        same = {key for key, text in english.words.items() if other.words[key] == text}
        assert same <= {"range", "fact", "nameAndPeople", "pairShort", "language", "interval", "share", "domestic"}


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", ["light", "dark", "paper"])
def test_tokens_have_enough_contrast(theme: str) -> None:
    colours = tokens()[theme]

    def contrast(a: str, b: str) -> float:
        light, dark = sorted((luminance(colours[a]), luminance(colours[b])), reverse=True)
        return (light + 0.05) / (dark + 0.05)

    for text in ("ink", "quiet", "accent", "more", "less"):  # WCAG 1.4.3
        for ground in ("page", "panel", "notice"):
            assert contrast(text, ground) >= 4.5, (text, ground)
    assert contrast("on-accent", "accent") >= 4.5
    for part in ("whisker", "focus", "bar-chosen", "heat"):  # WCAG 1.4.11
        assert contrast(part, "panel") >= (3 if theme != "paper" else 2), part
    assert contrast("whisker", "bar") >= 3


def test_every_theme_has_every_token() -> None:
    assert tokens()["light"].keys() == tokens()["dark"].keys() == tokens()["paper"].keys()
    used = set(re.findall(r"var\(--([a-z-]+)\)", showcase_css()))
    assert used - {"v", "low", "high", "at", "level", "tone"} == set(tokens()["light"])
    assert tokens_css().count("--page:") == 4


def showcase_css() -> str:
    from casesynth.showcase._assets import asset_text

    return asset_text("showcase.css")


# --- the decision (privacy rule 33)


@pytest.mark.parametrize("title", [NOTES.title, '"privateDecision":false <header class="plain">'])
def test_a_showcase_that_is_marked_later_is_the_one_that_was_marked_from_the_start(
    synthesis: Synthesis, title: str
) -> None:
    notes = dataclasses.replace(NOTES, title=title)
    written = showcase_html(synthesis, dataclasses.replace(notes, decision_used_private_data=True), None)
    assert mark_showcase(showcase_html(synthesis, notes, None)) == written
    assert data_of(written)["release"]["privateDecision"] is True
    plain = written.partition('<script type="application/json"')[0]
    assert plain.count(SENTENCE) == 1
    assert plain.index(SENTENCE) < plain.index("<h1>")  # before anything else


def test_a_showcase_of_an_earlier_version_gets_the_sentence_in_front_of_its_page(page: str) -> None:
    earlier = page.replace('"privateDecision":false,', "")
    assert earlier != page
    marked = mark_showcase(earlier)
    assert marked.index("<body>") < marked.index(SENTENCE) < marked.index('<div id="page">')
    assert marked.replace(private_notice(translations()[0]), "") == earlier
