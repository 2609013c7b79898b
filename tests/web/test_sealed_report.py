"""A sealed private report opens in a real browser with its passphrase, and with no other; it asks for nothing else and leaves nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from casehaven.evaluation.sealed_page import new_passphrase, sealed_report
from casesynth.report.document import document
from casesynth.report.markup import tag

PASSPHRASE = new_passphrase()
INSIDE = "613 real people"


@pytest.fixture
def sealed(browser: Browser, tmp_path: Path) -> Iterator[tuple[Page, list[str]]]:
    """The sealed page, and everything that it asked for or complained about."""
    file = tmp_path / "private.html"
    page = document("Private", tag("h1", "Private report"), tag("p", INSIDE))
    file.write_text(sealed_report(page, PASSPHRASE), encoding="utf-8")
    said: list[str] = []
    context = browser.new_context()
    opened = context.new_page()
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("request", lambda request: said.append(request.url) if not request.url.endswith("private.html") else None)
    opened.goto(file.as_uri())
    yield opened, said
    context.close()


def test_it_opens_with_its_passphrase_alone(sealed: tuple[Page, list[str]]) -> None:
    page, said = sealed
    assert INSIDE not in page.content()
    page.fill("#passphrase", "ABCDE-ABCDE-ABCDE-ABCDE-ABCDE")
    page.keyboard.press("Enter")
    expect(page.locator("#said")).to_contain_text("It does not open")  # the page's policy lets nobody evaluate text
    assert INSIDE not in page.content()
    page.fill("#passphrase", f"  {PASSPHRASE} ")
    page.keyboard.press("Enter")
    page.wait_for_selector(f"text={INSIDE}")
    assert page.title() == "Private"
    assert page.locator("form, script").count() == 0
    assert said == []


def test_a_file_that_was_changed_does_not_open(sealed: tuple[Page, list[str]]) -> None:
    page, _ = sealed
    page.evaluate(
        "() => { const s = document.getElementById('sealed'); s.textContent = 'AAAA' + s.textContent.slice(4) }"
    )
    page.fill("#passphrase", PASSPHRASE)
    page.click("button")
    expect(page.locator("#said")).to_contain_text("It does not open")  # the page's policy lets nobody evaluate text
    assert INSIDE not in page.content()
