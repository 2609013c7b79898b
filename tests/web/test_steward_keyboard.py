"""By keyboard alone, in Chromium: a file from choosing it to its receipt, an agreement signed and revoked, everybody's last day, and inviting a colleague. Not one click.

Finding a person and recording consent by keyboard are in `test_steward_pages.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from tests.service.api.conftest import take_in
from tests.web.harbour import CASES, MESSY, FreshReader, Harbour
from tests.web.pages import Window

from casehaven.organisations.roles import Role

if TYPE_CHECKING:
    from playwright.sync_api import Page
    from tests.web.conftest import WindowAs

Screenshot = Callable[["Page", str], None]
AT = "(wanted) => document.activeElement?.matches(wanted)"
RING = """() => {
  const found = getComputedStyle(document.activeElement);
  return found.outlineStyle !== "none" && parseFloat(found.outlineWidth) >= 2;
}"""
MOST = 150
"""Steps until something counts as out of reach."""


@dataclass(frozen=True, kw_only=True)
class Keys:
    """Somebody at a keyboard, without anything to point with."""

    window: Window

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            self.window.page.keyboard.press(key)

    def to(self, selector: str, *, back: bool = False) -> None:
        """Press Tab, or Shift and Tab, until something has the focus, and see that it shows."""
        page = self.window.page
        for _ in range(MOST):
            self.press("Shift+Tab" if back else "Tab")
            if page.evaluate(AT, selector):
                assert page.evaluate(RING), f"the focus on {selector} cannot be seen"
                return
        raise AssertionError(f"{selector} cannot be reached by keyboard")

    def write(self, selector: str, text: str) -> None:
        """Go to a field and type."""
        self.to(selector)
        self.window.page.keyboard.type(text)

    def enter(self, selector: str) -> None:
        """Go to a button or link, and press Enter."""
        self.to(selector)
        self.press("Enter")

    def title(self, words: str) -> None:
        """Wait for a page with this heading."""
        self.window.page.get_by_role("heading", level=1, name=words).wait_for()


def test_a_file_is_chosen_answered_and_taken_in_by_keyboard(
    harbour: Harbour, window_as: WindowAs, screenshot: Screenshot
) -> None:
    harbour.steward.done(
        "/v1/organisations/harbour/datasets", {"name": "typed", "schema": "ctdc-global", "people_cap": 500}
    )
    window = window_as(harbour.steward)
    keys, page = Keys(window=window), window.go("/datasets/harbour/typed")
    with page.expect_file_chooser() as chooser:
        keys.enter("#file")
    chooser.value.set_files({"name": "x.csv", "mimeType": "text/csv", "buffer": MESSY.replace(b"A1", b"K1")})
    page.get_by_text("Chosen: x.csv").wait_for()
    keys.enter("#upload button")
    keys.title("What the file would become")
    keys.enter("button[value=take]")
    page.locator("#summary").wait_for()
    assert page.evaluate("document.activeElement.id") == "summary", "what is wrong takes the focus"
    boxes = page.get_by_label("Yes, that is right").count()
    assert boxes > 0
    for _ in range(boxes):
        keys.to("input[type=checkbox][name$=yes]:not(:checked):not([name=leave_refused])")
        keys.press("Space")
    keys.to("input[name=leave_refused]")
    keys.press("Space")
    keys.enter("button[value=try]")
    page.get_by_text("This is how you answered").wait_for()
    keys.to("input[name=leave_refused]")
    keys.press("Space")
    keys.enter("button[value=take]")
    keys.title("The file was taken in")
    keys.enter("main a[href='/datasets/harbour/typed']")
    keys.title("typed")
    keys.enter("form[action$='/intakes'] button")
    keys.title("Files that were taken in")
    page.locator("a[download='casehaven-receipt-1.txt']").wait_for()
    assert window.barriers() == []
    screenshot(page, "steward-intakes")
    with page.expect_download() as kept:
        keys.enter("a[download='casehaven-receipt-1.txt']")
    assert kept.value.suggested_filename == "casehaven-receipt-1.txt"


def test_an_agreement_is_signed_and_revoked_by_keyboard(harbour: Harbour, window_as: WindowAs) -> None:
    terms = {
        "dataset": "cases",
        "title": "Read aloud",
        "datasets": "island/cases",
        "ask_organisations": "harbour",
        "level.gender": "as_is",
        "purposes": "pooled_statistics",
        "budget": "0.5",
        "people_cap": "1000",
        "minimum_count": "10",
        "expires": "2030-01-01",
    }
    place = harbour.reader.post("/agreements/new", terms).headers["location"]
    signer = harbour.running.member("harbour", "kira", Role.STEWARD)
    window = window_as(signer)
    keys, page = Keys(window=window), window.go("/agreements")
    assert window.barriers() == []
    keys.enter(f"a[href='{place}']")
    keys.title("Read aloud")
    page.get_by_text("epsilon").first.wait_for()
    keys.enter("#sign button")
    page.get_by_text("with a second factor").wait_for()
    assert page.locator("#sign").count() == 0
    keys.enter("details.panel:has(button[value=revoke]) summary")
    keys.to("input[name=sure]")
    keys.to("button[value=revoke]")
    keys.to("input[name=sure]", back=True)
    keys.press("Space")
    keys.enter("button[value=revoke]")
    page.get_by_text("Revoked by").wait_for()
    assert window.barriers() == []


def test_lists_of_people_are_read_and_everybody_gets_a_last_day_by_keyboard(
    harbour: Harbour, window_as: WindowAs, screenshot: Screenshot
) -> None:
    lister = harbour.running.member("harbour", "kamil", Role.STEWARD)
    lister.done("/v1/organisations/harbour/datasets", {"name": "walked", "schema": "ctdc-global", "people_cap": 500})
    twice = CASES.replace(b"R-2,", b"R-1,").replace(b",T-", b",W-")  # two people under one reference
    take_in(lister, "walked", twice)
    window = window_as(lister)
    keys, page = Keys(window=window), window.go("/datasets/harbour/walked")
    keys.enter("main a[href$='/duplicates']")
    keys.title("Possible duplicates")
    keys.write("#reason", "yearly clean-up")
    keys.to("#most")
    keys.press("ArrowDown")
    assert page.locator("#most").input_value() == "50"
    keys.enter("main form button")
    page.get_by_role("heading", name="What to do about a pair").wait_for()
    assert window.barriers() == []
    screenshot(page, "steward-duplicates")
    with page.context.expect_page() as opened:
        keys.enter("main li button[name=reference]")
    opened.value.get_by_role("heading", name="Record 1 of 1").wait_for()
    assert re.search("[WT]-[12]", opened.value.url) is None
    opened.value.close()
    page.bring_to_front()
    assert page.get_by_role("heading", name="What to do about a pair").is_visible(), "the list stays"
    window.go("/datasets/harbour/walked")
    keys.enter("main a[href$='/retention']")
    keys.title("Whose last day is past")
    keys.write("#reason", "monthly check")
    keys.enter("main form button")
    page.get_by_role("heading", name="Nobody's last day is past").wait_for()
    assert window.barriers() == []
    keys.enter("main a[href$='/everybody']")
    keys.title("A last day for everybody without one")
    keys.write("#months", "24")
    keys.write("#reason", "our rule, two years")
    keys.enter("main form button")
    page.get_by_text("It cannot be taken back for everybody").wait_for()
    assert window.barriers() == []
    screenshot(page, "steward-everybody")
    keys.enter("main form button")
    keys.title("Everybody has a last day now")
    assert window.barriers() == []


def test_a_colleague_is_invited_by_keyboard(harbour: Harbour, window_as: WindowAs) -> None:
    handle = f"kit-{uuid4().hex[:6]}"
    window = window_as(harbour.steward)
    keys, page = Keys(window=window), window.go("/members")
    keys.write("#handle", handle)
    keys.to("input[name=roles][value=caseworker]")
    keys.press("Space")
    keys.enter("main form[action='/members'] button")
    page.locator(".once code").wait_for()
    assert handle in page.locator("main").inner_text()
    assert window.barriers() == []
    assert f">{handle}<" in FreshReader(caller=harbour.steward).get("/members").text
