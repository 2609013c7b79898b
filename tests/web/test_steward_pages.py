"""The pages of caseworkers and stewards in Chromium: drop a file and take it in, one person, an agreement with a passkey, own numbers; by keyboard, on a small screen, in Arabic."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from tests.service.api.conftest import Caller
from tests.web.harbour import MESSY, Harbour
from tests.web.pages import Window

from casehaven.organisations.roles import Role

if TYPE_CHECKING:
    from playwright.sync_api import Page
    from tests.web.conftest import WindowAs

Screenshot = Callable[["Page", str], None]

DROP = """(text) => {
  const moved = new DataTransfer();
  moved.items.add(new File([text], "cases of Maria.csv", {type: "text/csv"}));
  const event = (name) => new DragEvent(name, {dataTransfer: moved, bubbles: true, cancelable: true});
  const place = document.getElementById("drop");
  for (const name of ["dragenter", "dragover", "drop"]) place.dispatchEvent(event(name));
}"""


def test_a_file_is_dropped_looked_at_left_and_taken_in(
    harbour: Harbour, window_as: WindowAs, screenshot: Screenshot
) -> None:
    body = {"name": "dropped", "schema": "ctdc-global", "people_cap": 500}  # how a file is understood is remembered
    harbour.steward.done("/v1/organisations/harbour/datasets", body)
    window = window_as(harbour.steward)
    page = window.go("/datasets")
    assert window.barriers() == []
    page.get_by_role("link", name="dropped").click()
    page.get_by_text("You can also drop the file here.").wait_for()
    page.evaluate(DROP, MESSY.decode().replace("A1", "W1").replace("A2", "W2"))
    page.get_by_text("Chosen: cases of Maria.csv").wait_for()
    assert window.barriers() == []
    screenshot(page, "steward-upload")
    page.get_by_role("button", name="Upload").click()
    page.get_by_role("heading", name="What the file would become").wait_for()
    assert window.barriers() == []
    assert "Maria" not in page.url and "Maria" not in page.title()
    screenshot(page, "steward-mapping")
    page.get_by_role("button", name="Take the file in").click()
    page.locator("#summary").wait_for()
    assert page.evaluate("document.activeElement.id") == "summary"
    assert window.barriers() == []
    screenshot(page, "steward-guesses")
    for box in page.get_by_label("Yes, that is right").all():
        box.check()
    page.get_by_label("Sexe", exact=True).fill("gender")
    page.get_by_role("button", name="Dry run with these answers").click()
    page.get_by_text("This is how you answered").wait_for()
    page.get_by_label("nsp").select_option("")
    page.get_by_label("h.", exact=True).select_option("Man")
    page.get_by_role("button", name="Dry run with these answers").click()
    page.get_by_role("heading", name="What the file would become").wait_for()
    window.go("/datasets/harbour/dropped")
    page.get_by_role("link", name="Go on").first.click()
    page.get_by_role("button", name="Look at the file").click()
    page.get_by_text("These are your answers of the last time").wait_for()
    assert page.get_by_label("h.", exact=True).input_value() == "Man"
    page.get_by_label("Leave these rows behind").check()
    page.get_by_role("button", name="Take the file in").click()
    page.get_by_role("heading", name="The file was taken in").wait_for()
    assert window.barriers() == []
    screenshot(page, "steward-receipt")


def test_a_refused_upload_says_why_and_can_be_tried_again(harbour: Harbour, window_as: WindowAs) -> None:
    window = window_as(harbour.steward)
    page = window.go("/datasets/harbour/drafts")
    page.set_input_files("#file", {"name": "empty.csv", "mimeType": "text/csv", "buffer": b""})
    page.get_by_role("button", name="Upload").click()
    page.locator("#upload-fault:visible").wait_for()
    assert page.get_by_role("button", name="Upload").is_enabled()
    assert window.barriers() == []


def test_one_person_by_keyboard_alone(harbour: Harbour, window_as: WindowAs, screenshot: Screenshot) -> None:
    """Find, show, and record a withdrawal, without a mouse."""
    window = window_as(harbour.steward)
    page = window.go("/people?dataset=cases")
    assert window.barriers() == []
    window.tab_to("#reference")
    page.keyboard.type("T-5")
    window.tab_to("#reason")
    page.keyboard.type("She asked what we hold about her")
    screenshot(page, "caseworker-find")
    window.tab_to("button[value=show]")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Record 1 of 1").wait_for()
    assert window.barriers() == []
    assert "T-5" not in page.url and "T-5" not in page.title()
    screenshot(page, "caseworker-person")
    window.tab_to("summary")
    page.keyboard.press("Enter")
    window.tab_to("#purpose")
    page.keyboard.type("Syn")
    window.tab_to("input[name=given]")
    page.keyboard.press("ArrowDown")
    window.tab_to("details[open] button.main")
    page.keyboard.press("Enter")
    page.get_by_text("Recorded.").wait_for()
    assert "Synthetic release: No" in page.locator(".message").inner_text().replace("\u2068", "").replace("\u2069", "")
    assert window.barriers() == []


def test_one_person_is_exported_and_erased(harbour: Harbour, window_as: WindowAs, screenshot: Screenshot) -> None:
    window = window_as(harbour.steward)
    page = window.go("/people?dataset=cases")
    page.get_by_label("Case reference or person token").fill("T-6")
    page.get_by_label("Reason", exact=True).fill("The person asked to be erased")
    page.get_by_role("button", name="Is this person here?").click()
    page.locator("summary", has_text="Export for the person").click()
    with page.expect_download() as file:
        page.get_by_role("button", name="Export for the person").click()
    assert file.value.suggested_filename == "person.txt"
    page.reload()
    page.locator("summary", has_text="Erase this person").click()
    page.get_by_label("Type ERASE to confirm").fill("ERASE")
    page.get_by_role("button", name="Erase this person").click()
    page.get_by_role("heading", name="This person was erased").wait_for()
    assert window.barriers() == []
    screenshot(page, "steward-erased")
    with page.expect_download() as receipt:
        page.get_by_role("link", name="Download the signed receipt").click()
    assert receipt.value.suggested_filename.startswith("casehaven-erasure-")


def _passkey(window: Window, caller: Caller) -> None:
    """Give a member a passkey of the browser's virtual authenticator, on the page that makes them."""
    cdp = window.context.new_cdp_session(window.page)
    cdp.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    options |= {"isUserVerified": True, "automaticPresenceSimulation": True}
    cdp.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    page = window.go("/account")
    page.locator("#passkey-name").fill("laptop")
    page.get_by_role("button", name="Add a passkey").click()
    page.get_by_role("button", name="Remove laptop").wait_for()
    assert caller.handle in page.locator("#who").inner_text()


def test_an_agreement_is_proposed_and_signed_with_a_passkey(
    harbour: Harbour, window_as: WindowAs, screenshot: Screenshot
) -> None:
    signer = harbour.running.member("harbour", "sara", Role.STEWARD)
    window = window_as(signer)
    _passkey(window, signer)
    page = window.go("/agreements")
    assert window.barriers() == []
    page.get_by_role("link", name="Propose an agreement").click()
    assert window.barriers() == []
    page.get_by_role("link", name="cases").click()
    page.get_by_label("Title", exact=True).fill("Regional picture")
    page.get_by_label("Datasets of others").fill("island/cases")
    page.get_by_label("Gender", exact=True).select_option("as_is")
    page.get_by_label("Citizenship", exact=True).select_option("citizenshipRegion")
    page.get_by_label("Budget").fill("0.5")
    page.get_by_label("Public bound on the people").fill("2000")
    page.get_by_label("Last day").fill("2030-12-31")
    assert window.barriers() == []
    page.get_by_role("button", name="Propose these terms").click()
    page.get_by_role("heading", name="Regional picture").wait_for()
    assert window.barriers() == []
    page.get_by_role("button", name="Sign with your passkey").click()
    page.get_by_text("with a passkey").wait_for()
    assert page.get_by_role("button", name="Sign with your passkey").count() == 0
    assert window.barriers() == []
    screenshot(page, "steward-agreement")


def test_own_numbers_and_the_ledger(harbour: Harbour, window_as: WindowAs, screenshot: Screenshot) -> None:
    window = window_as(harbour.running.member("harbour", "noor", Role.STEWARD))
    page = window.go("/statistics?dataset=cases")
    assert window.barriers() == []
    page.get_by_label("Reason", exact=True).fill("Donor report")
    page.get_by_role("button", name="Show tables").click()
    page.get_by_text("People counted").wait_for()
    assert page.get_by_text("NOT FOR RELEASE.").count() > 0
    assert window.barriers() == []
    screenshot(page, "steward-statistics")
    window.go("/ledger")
    page.get_by_role("heading", name="harbour/cases").wait_for()
    assert window.barriers() == []
    screenshot(page, "steward-ledger")
    window.go("/datasets/harbour/cases")
    page.get_by_role("button", name="How this dataset stands").click()
    page.get_by_role("heading", name="How cases stands").wait_for()
    assert window.barriers() == []


@pytest.mark.parametrize(("locale", "scheme"), [("ar", "dark"), ("en", "light")])
def test_small_screens_in_arabic_and_english(
    harbour: Harbour, window_as: WindowAs, screenshot: Screenshot, locale: str, scheme: str
) -> None:
    """320 pixels wide nothing is cut off and nothing has to be moved sideways but tables of their own."""
    window = window_as(harbour.steward, locale=locale, color_scheme=scheme, viewport={"width": 320, "height": 640})
    page = window.page
    page.context.set_extra_http_headers({"Accept-Language": locale})
    paths = [
        "/datasets",
        "/datasets/harbour/cases",
        "/people",
        "/statistics",
        "/agreements/new?dataset=cases",
        "/ledger",
        "/datasets/harbour/cases/duplicates",
        "/datasets/harbour/cases/retention",
        "/datasets/harbour/cases/retention/everybody",
        "/datasets/harbour/cases/retention/receipts",
        "/datasets/harbour/cases/intakes",
    ]
    for path in paths:
        window.go(path)
        assert page.evaluate("[document.documentElement.lang, document.documentElement.scrollWidth]") == [
            locale,
            320,
        ], path
        assert window.barriers() == [], path
    menu = page.locator("header.top nav ul")
    assert not menu.is_visible(), "on a phone the menu is folded"
    window.tab_to("header.top nav summary")
    page.keyboard.press("Enter")
    menu.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    assert window.barriers() == []
    page.set_viewport_size({"width": 1280, "height": 900})
    window.go("/people")
    assert menu.is_visible() and not page.locator("header.top nav summary").is_visible()
    page.set_viewport_size({"width": 320, "height": 640})
    window.go("/datasets/harbour/drafts")
    page.set_input_files(
        "#file", {"name": "x.csv", "mimeType": "text/csv", "buffer": MESSY.replace(b"A1", locale.encode())}
    )
    page.locator("#upload button").click()
    page.locator("input[name=found]").wait_for(state="attached")
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    assert window.barriers() == []
    if locale == "ar":
        screenshot(page, "steward-mapping-ar")
    window.go("/people?dataset=cases")
    page.locator("#reference").fill("T-4")
    page.locator("#reason").fill("a small screen")
    page.locator("button[value=show]").click()
    page.locator("#record1").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    assert window.barriers() == []
