"""The other pages of a release in Debian's Chromium: the report and the codebook, light and dark, without a barrier; and a showcase whose decision used private data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from caseschemas.codebook import codebook as blocks_of
from caseschemas.codebook_page import page as codebook_page
from casesynth.notes import ReleaseNotes
from casesynth.report import report_html
from casesynth.sample import sample_records
from casesynth.showcase import mark_showcase, translations

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from caseschemas import CaseSchema
    from casesynth.synthesis import Synthesis

RUN = "async () => (await axe.run(document, {resultTypes: ['violations']})).violations.map((each) => [each.id, each.nodes[0].html.slice(0, 200)])"


@pytest.fixture(scope="module")
def report(synthesis: Synthesis, schema: CaseSchema, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pages") / "report.html"
    notes = ReleaseNotes(title="Made-up people", created="2026-01-31", legal_basis="made-up people")
    made = replace(synthesis, records=sample_records(synthesis.model, b"report"))
    path.write_text(report_html(made, notes, schema), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def codebook(schema: CaseSchema, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pages") / "codebook.html"
    path.write_text(codebook_page(blocks_of(schema)), encoding="utf-8")
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["report", "codebook"])
def test_axe_finds_no_barrier(
    browser: Browser, axe: str, request: pytest.FixtureRequest, name: str, scheme: str
) -> None:
    path: Path = request.getfixturevalue(name)
    context = browser.new_context(color_scheme=scheme, bypass_csp=True)  # type: ignore[arg-type]  # one of its literals
    try:
        page = context.new_page()
        page.goto(path.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
        page.evaluate(axe)
        assert page.evaluate(RUN) == []
    finally:
        context.close()


@pytest.mark.parametrize("scripted", [True, False])
@pytest.mark.parametrize("place", range(4), ids=["en", "ar", "fr", "es"])
def test_a_marked_showcase_says_so_before_its_first_number_and_on_the_fact_sheet(
    browser: Browser, showcase: Path, tmp_path: Path, place: int, scripted: bool
) -> None:
    """Privacy rule 33; without JavaScript there is one language."""
    language = translations()[place if scripted else 0]
    marked = tmp_path / "marked.html"
    marked.write_text(mark_showcase(showcase.read_text(encoding="utf-8")), encoding="utf-8")
    context = browser.new_context(locale=language.code, java_script_enabled=scripted)
    try:
        page = context.new_page()
        for path, said in ((showcase, 0), (marked, 2 if scripted else 1)):
            page.goto(path.as_uri())
            sentence = page.get_by_text(language.words["privateDecision"], exact=True)
            assert sentence.count() == said
            for found in sentence.all():
                assert found.is_visible()
        header, sheet = page.locator("header"), page.locator("#fact-sheet")
        assert language.words["privateDecision"] in header.inner_text()
        assert header.inner_text().index(language.words["privateDecision"]) < header.inner_text().index("95")
        assert not scripted or language.words["privateDecision"] in sheet.inner_text()
    finally:
        context.close()


def test_a_marked_showcase_of_an_earlier_version_says_so_in_front_of_its_page(
    browser: Browser, showcase: Path, tmp_path: Path
) -> None:
    """Its script does not know the fact and does not take the sentence away."""
    marked = tmp_path / "marked.html"
    earlier = showcase.read_text(encoding="utf-8").replace('"privateDecision":false,', "")
    marked.write_text(mark_showcase(earlier), encoding="utf-8")
    page = browser.new_page()
    try:
        page.goto(marked.as_uri())
        sentence = page.get_by_text(translations()[0].words["privateDecision"], exact=True)
        assert sentence.count() == 1 and sentence.is_visible()
        assert page.locator("#main").is_visible()  # the script ran
        above, below = sentence.bounding_box(), page.locator("h1").bounding_box()
        assert above is not None and below is not None and above["y"] < below["y"]
    finally:
        page.close()
