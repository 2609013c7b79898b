"""Drafts, approvals and decisions, budgets, raises, audit log and alarms as stewards and privacy officers see them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update
from tests.service.api.conftest import CANARY, Caller, _has_keys, take_in
from tests.web.harbour import CASES
from tests.web.pages import Reader
from tests.web.press import Press, served_press

from casehaven.drafts.document import BINDING
from casehaven.organisations import events, members
from casehaven.organisations.roles import Role
from casehaven.signin.models import session
from casehaven.signin.sessions import find_session

if TYPE_CHECKING:
    from playwright.sync_api import Page
    from tests.service.api.conftest import House
    from tests.web.conftest import WindowAs


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Press]:
    """A release that was drawn and waits for the decision."""
    with served_press(
        tmp_path_factory.mktemp("drawn") / "room", tmp_path_factory.getbasetemp(), published=False
    ) as made:
        yield made


@pytest.fixture(scope="session")
def press_house(house: House) -> tuple[Caller, Caller]:
    """An organisation of its own in the house: its steward, and its privacy officer."""
    steward = house.running.organisation("pressers")
    house.running.wait(partial(_has_keys, house.running, "pressers"), 60)
    body = {"name": "cases", "schema": "ctdc-global", "people_cap": 500}
    steward.done("/v1/organisations/pressers/datasets", body)
    take_in(steward, "cases", CASES)
    return steward, house.running.member("pressers", "priya", Role.PRIVACY_OFFICER)


def test_whoever_approves_a_draft_reads_everything_that_it_binds(drawn: Press) -> None:
    found = drawn.officer.get("/v1/release-drafts", wait=0).json()["items"][0]
    text = Reader(caller=drawn.officer).get(f"/releases/drafts/{found['draft']}").text
    document = found["document"]
    shown = {
        "epsilon_per_person": "up to epsilon <bdi>8.83</bdi>",  # 8.822, and a bound is rounded up
        "nano_rho": f"rho <bdi>{document['nano_rho'] / 1e9:.9g}</bdi>",
        "delta": "δ = 1e-06",
        "epsilon": "ε = 4,",
        "people_cap": "<bdi>2,000</bdi>",
        "max_tokens_per_person": "<bdi>2</bdi>; such a person",
        "person_tokens": "Tokens are each organisation’s own",
        "tokens_reason": "",
        "registered": "everybody",
        "left_out": "",
        "attributes": "year",
    }
    for name in BINDING:
        values = document[name] if isinstance(document[name], list) else [document[name]]
        for needed in [shown[name]] if name in shown else [str(value) for value in values]:
            assert needed in text, name
    assert document["tokens_reason"] is None and document["left_out"] == 0


def test_the_expected_error_is_that_of_numbers_which_would_be_shown_and_intervals_are_wider(drawn: Press) -> None:
    found = drawn.officer.get("/v1/release-drafts", wait=0).json()["items"][0]
    text = Reader(caller=drawn.officer).get(f"/releases/drafts/{found['draft']}").text
    assert "The intervals that are published with them are wider" in text
    lengths, kinds = found["document"]["expected"]["lengths"], set()
    for place, size in enumerate(lengths[0]["errors"]):
        row = re.search(rf'<th scope="row"><bdi>{size["count"]:,}</bdi></th>(.*?)</tr>', text)
        assert row is not None
        cells = re.findall(r'<td class="number">(.*?)</td>', row[1])
        for each, cell in zip(lengths, cells, strict=True):
            hidden = each["shown_from"] is None or size["count"] < each["shown_from"]
            kinds.add(hidden)
            assert cell == ("–" if hidden else f"<bdi>± {each['errors'][place]['error']:,.1f}</bdi>")
    assert kinds == {True, False}


DRAFT: dict[str, Any] = {"title": "A <first> release", "datasets": ["cases"], "epsilon": "3", "credit": "Pressers"}


def test_a_draft_is_made_approved_by_two_people_and_declined(press_house: tuple[Caller, Caller]) -> None:
    steward, officer = (Reader(caller=one) for one in press_house)
    wrong = steward.post("/releases/new", {**DRAFT, "epsilon": "0", "datasets": []})
    assert wrong.status_code == 422
    assert 'href="#epsilon"' in wrong.text and 'href="#datasets"' in wrong.text
    shown = steward.follow(steward.post("/releases/new", DRAFT, key="d" * 32))
    assert shown.status_code == 200, shown.text
    assert "<bdi>A &lt;first&gt; release</bdi>" in shown.text and "Expected error, in people" in shown.text
    found = press_house[0].get("/v1/release-drafts").json()["items"][0]
    path = f"/releases/drafts/{found['draft']}"
    assert found["digest"] in shown.text and "Charge and draw" not in shown.text
    assert path in officer.get("/officer").text
    assert "Privacy officer: not yet" in shown.text
    approve = {"do": "approve", "digest": found["digest"]}
    assert 'name="part" value="privacy_officer"' in officer.get(path).text
    both = steward.follow(steward.post(path, {**approve, "part": "steward"}))
    assert "approved by <bdi>pressers-steward</bdi>" in both.text and "Everybody approved" not in both.text
    both = officer.follow(officer.post(path, {**approve, "part": "privacy_officer"}))
    assert "Everybody approved" in both.text and "Charge and draw" not in both.text
    assert "Charge and draw" in steward.get(path).text
    other = officer.post(path, {**approve, "digest": "0" * 64, "part": "privacy_officer"})
    assert "Charge" not in officer.follow(other).text
    unsure = steward.post(path, {"do": "withdraw"})
    assert unsure.status_code == 303 and "Everybody approved" in steward.get(path).text
    over = officer.follow(officer.post(path, {"do": "withdraw", "sure": "yes"}))
    assert "It is over for good" in over.text and "Charge and draw" not in steward.get(path).text
    assert 'name="do"' not in officer.get(path).text


def test_a_form_without_a_fresh_second_factor_is_asked_for_one(
    press_house: tuple[Caller, Caller], house: House
) -> None:
    caller = house.running.caller("priya", "pressers", stepped_up=False)
    with house.running.store.writing() as connection:
        found = find_session(connection, int(time.time()), caller.session)
        assert found is not None
        connection.execute(update(session).where(session.c.id == found[0].id).values(stepped_up_at=None))
    answer = Reader(caller=caller).post("/officer/alarms", {"handle": "pressers-steward"})
    assert (answer.status_code, 'name="factor"' in answer.text) == (403, True)
    assert 'name="handle" value="pressers-steward"' in answer.text


def test_a_raise_is_asked_for_and_its_file_is_what_two_people_sign(press_house: tuple[Caller, Caller]) -> None:
    officer = Reader(caller=press_house[1])
    missing = officer.post("/officer/raises", {"dataset": "cases", "epsilon": "", "reason": ""})
    assert missing.status_code == 422 and 'href="#reason"' in missing.text
    asked = {"dataset": "cases", "epsilon": "40", "reason": "a <second> year"}
    shown = officer.follow(officer.post("/officer/raises", asked))
    assert shown.status_code == 200 and "a &lt;second&gt; year" in shown.text
    found = press_house[1].get("/v1/organisations/pressers/cap-raises").json()["items"][0]
    file = officer.get(f"/officer/raises/{found['id']}/file")
    assert json.loads(file.content) == found["request"]
    assert "attachment" in file.headers["content-disposition"]
    refused = officer.follow(officer.post(f"/officer/raises/{found['id']}", {"approval": "{}"}))
    assert "Nobody yet." in officer.get(f"/officer/raises/{found['id']}").text
    assert "two people whom the ledger names" in refused.text.lower() or "approval" in refused.text.lower()


def test_the_statement_is_a_table_a_picture_words_and_a_signed_file(press_house: tuple[Caller, Caller]) -> None:
    officer = Reader(caller=press_house[1])
    shown = officer.follow(officer.get("/officer/statement"))
    assert "pressers/cases" in shown.text and '<svg class="meter"' in shown.text and "<pre" in shown.text
    file = officer.follow(officer.get("/officer/statement/file"))
    assert set(json.loads(file.content)) == {"format", "statement", "public_key", "signature"}
    assert CANARY not in shown.text and CANARY.encode() not in file.content


def test_the_log_is_verified_and_a_wrong_checkpoint_is_refused(press_house: tuple[Caller, Caller]) -> None:
    officer = Reader(caller=press_house[1])
    whole = officer.follow(officer.post("/officer/audit", {"checkpoint": ""}))
    assert "The log is whole." in whole.text and "Without a checkpoint from outside" in whole.text
    wrong = officer.follow(officer.post("/officer/audit", {"checkpoint": "casehaven/0\n1\nAAAA\n\n— x AAAA"}))
    assert "The log is whole." not in wrong.text
    assert "Take it along" not in officer.follow(officer.get("/officer/audit/checkpoint")).text


def test_an_alarm_is_shown_and_somebody_else_lets_the_member_go_on(
    press_house: tuple[Caller, Caller], house: House
) -> None:
    officer = Reader(caller=press_house[1])
    assert "No alarm" in officer.get("/officer/alarms").text
    house.running.member("pressers", "carlos", Role.CASEWORKER)
    with house.running.store.writing() as connection:
        told = partial(events.record, connection, int(time.time()), actor="carlos", organisation="pressers")
        told(action="volume.alarm", object_kind="member", object_id="carlos:looks")
        for _ in range(1_001):  # more than one page of them
            told(action="session.refused", object_kind="member", object_id="carlos")
    assert "was shown many persons" in officer.get("/officer").text
    shown = officer.get("/officer/alarms").text
    assert "<bdi>carlos</bdi> was shown many persons" in shown and "A hundred persons or more" in shown
    newest = press_house[1].get(f"/v1/organisations/pressers/events?before={2**62}&limit=3").json()
    assert [one["action"] for one in newest] == ["session.refused"] * 3
    assert [one["id"] for one in newest] == sorted((one["id"] for one in newest), reverse=True)
    assert officer.post("/officer/alarms", {"handle": "carlos"}).status_code == 303
    after = officer.get("/officer/alarms").text
    assert "<bdi>carlos</bdi> was shown many persons" in after and 'name="handle"' not in after
    assert "was shown many persons" not in officer.get("/officer").text


def test_the_decision_is_asked_for_with_rule_33_and_made_once(drawn: Press) -> None:
    officer, steward = Reader(caller=drawn.officer), Reader(caller=drawn.colleague)
    path = f"/releases/{drawn.release}"
    shown = officer.get(path).text
    assert "from nothing else" in shown and "Do not compare with the true records" in shown
    assert 'value="publish"' in shown and 'value="withhold"' in shown
    assert re.search(r'href="/releases/drafts/[0-9a-f]{32}"', shown)
    assert 'value="publish"' not in steward.get(path).text
    assert steward.post(path, {"do": "publish", "sure": "yes"}).status_code == 403
    assert officer.post(path, {"do": "publish"}).headers["location"] == path
    with pytest.raises(AssertionError, match="no job"):
        drawn.asked("release.decide")
    answer = officer.post(path, {"do": "publish", "sure": "yes"})
    assert re.match(r"/jobs/[0-9a-f]{32}\?then=", answer.headers["location"])
    assert {"release": drawn.release, "decision": "publish"}.items() <= drawn.asked("release.decide").items()
    for file in re.findall(rf'href="(/v1/releases/{drawn.release}/files/[^"]+)"', shown):
        assert drawn.officer.get(file, wait=0).status_code == 200


def _officer_of(press: Press, organisation: str) -> Caller:
    """A privacy officer of another organisation of the room."""
    door, handle = press.room.table.door, f"{organisation}-otto"
    with door.store.writing() as connection:
        made = members._add(connection, door.clock(), organisation, handle, "")
        members._give(connection, door.clock(), made, organisation, handle, Role.PRIVACY_OFFICER, "")
        members.activate(connection, door.clock(), members.member_by_id(connection, made))
    return press.caller(handle)


def test_a_published_release_leads_to_its_record(tmp_path_factory: pytest.TempPathFactory) -> None:
    with served_press(tmp_path_factory.mktemp("record") / "room", tmp_path_factory.getbasetemp()) as press:
        for caller in (press.officer, press.colleague):
            shown = Reader(caller=caller).get(f"/releases/{press.release}").text
            assert f'href="/registry/{press.record}"' in shown
            assert 'value="publish"' not in shown
        assert (
            f"/releases/withdrawal/{press.record}" in Reader(caller=press.officer).get(f"/registry/{press.record}").text
        )
        other = Reader(caller=_officer_of(press, "south"))
        assert f"/releases/withdrawal/{press.record}" not in other.get(f"/registry/{press.record}").text
        steward = Reader(caller=press.colleague)
        assert f"/releases/withdrawal/{press.record}" not in steward.get(f"/registry/{press.record}").text
        assert steward.get(f"/releases/withdrawal/{press.record}").status_code == 403


LOOKS = [("en", "light", 1280), ("ar", "dark", 375)]


@pytest.mark.parametrize(("language", "scheme", "width"), LOOKS)
def test_axe_finds_no_barrier_and_a_screen_of_any_width_holds_a_page(
    drawn: Press,
    press_house: tuple[Caller, Caller],
    window_as: WindowAs,
    screenshot: Callable[[Page, str], None],
    language: str,
    scheme: str,
    width: int,
) -> None:
    draft = drawn.officer.get("/v1/release-drafts", wait=0).json()["items"][0]["draft"]
    in_room = {"officer": "/officer", "draft": f"/releases/drafts/{draft}", "decision": f"/releases/{drawn.release}"}
    in_house = {
        "statement": "/officer/statement",
        "raises": "/officer/raises",
        "audit": "/officer/audit",
        "checkpoint": "/officer/audit/checkpoint",
        "alarms": "/officer/alarms",
        "releases": "/releases",
    }
    by_steward = {"new-draft": "/releases/new"}
    for caller, pages in ((drawn.officer, in_room), (press_house[1], in_house), (press_house[0], by_steward)):
        window = window_as(caller, color_scheme=scheme, locale=language, viewport={"width": width, "height": 800})
        for name, path in pages.items():
            page = window.go(path)
            page.locator("h1").wait_for()
            assert window.barriers() == [], path
            across = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert across <= 0, f"{path} is {across} px wider than the screen"
            if language == "en":
                screenshot(page, f"officer-{name}")


def test_by_keyboard_alone_an_officer_reads_and_decides(
    tmp_path_factory: pytest.TempPathFactory, window_as: WindowAs
) -> None:
    folder = tmp_path_factory.mktemp("keys") / "room"
    with served_press(folder, tmp_path_factory.getbasetemp(), published=False) as press:
        window = window_as(press.officer)
        page = window.go("/officer")
        window.tab_to(f'a[href="/releases/{press.release}"]')
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Publish or withhold").wait_for()
        window.tab_to('input[name="sure"]')
        page.keyboard.press("Space")
        window.tab_to('button[value="withhold"]')
        page.keyboard.press("Enter")
        page.locator("#state").wait_for()
        assert press.asked("release.decide")["decision"] == "withhold"
        window.page.goto("about:blank")
