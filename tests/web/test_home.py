"""Home, jobs, refusals and the language of pages, before a running service."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from tests.service.api.conftest import CANARY

if TYPE_CHECKING:
    from tests.service.api.conftest import House
    from tests.web.conftest import WindowAs
    from tests.web.pages import Reader

ReaderOf = Callable[..., "Reader"]


def test_home_leads_to_a_job_and_the_job_to_its_end(house: House, window_as: WindowAs) -> None:
    """A thin path in Chromium: home, the list of jobs, one job whose page refreshes itself until it is done."""
    window = window_as(house.north)
    page = window.go("/home")
    page.get_by_role("heading", name="Hello, north-steward").wait_for()
    assert window.barriers() == []
    job = house.north.post("/v1/audit/verification", {}, wait=0).json()["id"]
    page.get_by_role("navigation").get_by_role("link", name="Jobs").click()
    page.get_by_role("link", name="Verify the audit log").first.click()
    page.locator("#state[data-state=done]").wait_for()
    assert page.url.endswith(f"/jobs/{job}")
    assert window.barriers() == []


@pytest.mark.parametrize("role", ["steward", "caseworker", "privacy_officer", "researcher", "policymaker", "operator"])
@pytest.mark.parametrize("language", ["en", "ar"])
def test_every_role_has_a_home(house: House, reader: ReaderOf, role: str, language: str) -> None:
    answer = reader(house.everybody[role], language).get("/home")
    assert answer.status_code == 200
    assert f'<html lang="{language}" dir="{"rtl" if language == "ar" else "ltr"}">' in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert ("لم يراجع" in answer.text) == (language == "ar")


def test_a_job_that_is_done_leads_on_to_a_path_of_this_service_alone(house: House, reader: ReaderOf) -> None:
    job = house.north.post("/v1/audit/verification", {}, wait=20).json()["id"]
    north = reader(house.north)
    assert north.get(f"/jobs/{job}?then=/jobs").headers["location"] == "/jobs"
    for elsewhere in (
        "https://elsewhere.example/",
        "//elsewhere.example",
        "/\\elsewhere.example",
        "javascript:alert(1)",
    ):
        answer = north.caller.http.get(
            f"/jobs/{job}", params={"then": elsewhere, "back": elsewhere}, headers=north._headers()
        )
        assert answer.status_code == 200
        assert "elsewhere" not in answer.headers.get("location", "")
        assert 'href="https://elsewhere' not in answer.text and 'href="//elsewhere' not in answer.text
        assert "javascript:" not in answer.text.replace("then=javascript", "")


def test_a_page_of_a_job_leaves_a_private_result_where_it_is(house: House, reader: ReaderOf) -> None:
    asked = house.caseworker.post(
        "/v1/datasets/north/cases/people/find",
        {"reference": house.person.replace("-0-", "-ref-0-"), "reason": "a test"},
        wait=0,
    )
    job = asked.json()["id"]
    carla = reader(house.caseworker)
    answer = carla.follow(carla.get(f"/jobs/{job}"))
    assert 'data-state="done"' in answer.text
    assert CANARY not in answer.text
    assert house.caseworker.get(f"/v1/jobs/{job}/result").json() == {"found": True}
    assert house.caseworker.get(f"/v1/jobs/{job}/result").json()["code"] == "result-gone"


def test_the_account_says_which_ways_to_sign_in_are_set(house: House, reader: ReaderOf) -> None:
    """Before its script has asked: whoever reads the page must not think that nothing is set."""
    sets_one = house.running.organisation("keyhole")
    account = reader(sets_one)
    assert '<p id="password-state">No password is set.</p>' in account.get("/account").text
    body = {"password": "a lamp beside the seventh window"}
    assert sets_one.call("PUT", "/v1/credentials/password", body=body).status_code == 204
    page = account.get("/account").text
    assert '<p id="password-state">A password is set.</p>' in page
    assert '<p id="app-state">No app is set up.</p>' in page


def test_a_form_of_another_page_changes_nothing(house: House, reader: ReaderOf) -> None:
    north = reader(house.north)
    fields = {"page": "made-up", "key": "k"}
    for headers in ({"Origin": "https://elsewhere.example"}, {"Origin": house.running.origin}, {"Origin": "null"}, {}):
        sent = north.caller.http.post("/sign-out", data=fields, headers={**north._headers(), **headers})
        assert sent.status_code == 403
        assert "no longer valid" in sent.text
    assert north.get("/home").status_code == 200


def test_whoever_is_not_signed_in_is_led_to_sign_in_and_comes_back(house: House) -> None:
    nobody = house.running.client()
    answer = nobody.get("/jobs", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2Fjobs")


def test_a_program_gets_a_problem_and_a_reader_a_page(house: House, reader: ReaderOf) -> None:
    page = reader(house.north).get("/nothing/here")
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "<h1>This is not there</h1>" in page.text
    plain = house.north.get("/nothing/here", wait=0)
    assert (plain.status_code, plain.headers["content-type"]) == (404, "application/problem+json")


def test_without_a_script_a_job_is_followed_to_its_end(house: House, window_as: WindowAs) -> None:
    window = window_as(house.north, java_script_enabled=False)
    page = window.go("/home")
    job = house.north.post("/v1/audit/verification", {}, wait=0).json()["id"]
    page.goto(f"{window.origin}/jobs/{job}?then=/jobs")
    page.get_by_role(
        "heading", name="Your jobs"
    ).wait_for()  # the browser refreshed until the job was done, and was led on


def test_the_language_stays_where_it_was_chosen(house: House, window_as: WindowAs) -> None:
    page = window_as(house.north).go("/home")
    page.get_by_role("link", name="العربية").click()
    page.locator("html[lang=ar][dir=rtl]").wait_for()
    page.goto(page.url.partition("?")[0].replace("/home", "/jobs"))
    assert page.locator("html").get_attribute("lang") == "ar"
    page.get_by_role("link", name="English").click()
    page.locator("html[lang=en][dir=ltr]").wait_for()


def test_accept_language_chooses_where_nobody_did(house: House, reader: ReaderOf) -> None:
    for said, language in (
        ("ar-EG,en;q=0.5", "ar"),
        ("fr,en;q=0.2", "en"),
        ("fr", "en"),
        ("", "en"),
        ("en;q=x,ar", "ar"),
    ):
        assert f'<html lang="{language}"' in reader(house.north, said).get("/home").text, said
    assert '<html lang="en"' in reader(house.north, "ar").get("/home?lang=en").text
