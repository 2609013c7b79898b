"""The other pages of a release in Debian's Chromium: the report and the codebook, light and dark, without a barrier."""

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
