"""What a privacy officer does by keyboard alone, in Chromium: approve a draft with a passkey, verify the audit log, publish, withdraw. And a raise of a cap from the request to its end, through the pages."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from tests.service.api.conftest import APPROVERS, Caller, _has_keys, take_in
from tests.web.harbour import CASES, FreshReader
from tests.web.pages import Reader
from tests.web.press import served_press
from tests.web.test_steward_keyboard import Keys
from tests.web.test_steward_pages import _passkey

from casehaven.cli import main
from casehaven.organisations.roles import Role

if TYPE_CHECKING:
    from tests.service.api.conftest import House
    from tests.web.conftest import WindowAs

NAME = "lantern"
"""An organisation of this file's own."""


@pytest.fixture(scope="session")
def lantern(house: House) -> tuple[Caller, Caller]:
    """Its steward, with a dataset, and its privacy officer."""
    steward = house.running.organisation(NAME)
    house.running.wait(partial(_has_keys, house.running, NAME), 60)
    steward.done(f"/v1/organisations/{NAME}/datasets", {"name": "cases", "schema": "ctdc-global", "people_cap": 500})
    take_in(steward, "cases", CASES)
    return steward, house.running.member(NAME, f"{NAME}-officer", Role.PRIVACY_OFFICER)


def test_a_draft_is_approved_with_a_passkey_and_the_audit_log_verified(
    lantern: tuple[Caller, Caller], window_as: WindowAs
) -> None:
    steward, officer = lantern
    asked = {"datasets": ["cases"], "epsilon": 3.0, "title": "By lantern light"}
    made = steward.done(f"/v1/organisations/{NAME}/release-drafts", asked)
    window = window_as(officer)
    _passkey(window, officer)
    keys, page = Keys(window=window), window.go("/officer")
    keys.enter(f'a[href="/releases/drafts/{made["draft"]}"]')
    keys.title("By lantern light")
    keys.enter("#sign button")
    page.get_by_text(f"approved by {officer.handle}").wait_for()
    page.get_by_text("with a passkey").wait_for()
    assert page.locator("#sign").count() == 0
    (approval,) = steward.get(f"/v1/release-drafts/{made['draft']}").json()["approvals"]
    assert (approval["handle"], approval["part"], approval["method"]) == (officer.handle, "privacy_officer", "passkey")
    window.go("/officer")
    keys.enter('main a[href="/officer/audit"]')
    keys.title("Audit log")
    keys.enter("form[action='/officer/audit'] button")
    page.get_by_text("The log is whole.").wait_for()


def test_a_release_is_published(tmp_path_factory: pytest.TempPathFactory, window_as: WindowAs) -> None:
    folder = tmp_path_factory.mktemp("publish") / "room"
    with served_press(folder, tmp_path_factory.getbasetemp(), published=False) as press:
        window = window_as(press.officer)
        keys, page = Keys(window=window), window.go("/officer")
        keys.enter(f'a[href="/releases/{press.release}"]')
        page.get_by_role("heading", name="Publish or withhold").wait_for()
        keys.to('input[name="sure"]')
        keys.press("Space")
        keys.enter('button[value="publish"]')
        page.locator("#state").wait_for()
        assert press.asked("release.decide")["decision"] == "publish"
        page.goto("about:blank")


def test_a_published_release_is_withdrawn(tmp_path_factory: pytest.TempPathFactory, window_as: WindowAs) -> None:
    folder = tmp_path_factory.mktemp("withdraw") / "room"
    with served_press(folder, tmp_path_factory.getbasetemp()) as press:
        window = window_as(press.officer)
        keys, page = Keys(window=window), window.go(f"/registry/{press.record}")
        keys.enter(f'a[href="/releases/withdrawal/{press.record}"]')
        page.get_by_role("heading", level=1).filter(has_text="Who is threatened").wait_for()
        keys.write("#reason", "a column was mapped wrongly")
        keys.to('input[name="sure"]')
        keys.press("Space")
        keys.enter("main form button.danger")
        page.locator("#state").wait_for()
        assert press.asked("release.withdraw")["reason"] == "a column was mapped wrongly"
        page.goto("about:blank")


def test_a_raise_is_asked_for_signed_by_two_people_and_carried_out(
    lantern: tuple[Caller, Caller], house: House, window_as: WindowAs, tmp_path: Path
) -> None:
    steward, officer = FreshReader(caller=lantern[0]), FreshReader(caller=lantern[1])
    form = {"dataset": "cases", "epsilon": "3.75", "reason": "a second year of reports"}
    shown = steward.follow(steward.post("/officer/raises", form))
    assert "Nothing is raised before two people have signed." in shown.text and "SHA256:" in shown.text
    (asked,) = lantern[0].get(f"/v1/organisations/{NAME}/cap-raises").json()["items"]
    path = f"/officer/raises/{asked['id']}"
    assert path in officer.get("/officer").text
    request = tmp_path / "raise.json"
    request.write_bytes(officer.get(f"{path}/file").content)
    signed = []
    for name in APPROVERS:
        out = tmp_path / f"{name}.json"
        words = ["budget", "approve-raise", request, "--key", house.running.approver_key(name), "--yes", "-o", out]
        done = CliRunner().invoke(main, [str(word) for word in words])
        assert done.exit_code == 0, done.output
        signed.append(out)
    after = officer.follow(officer.post(path, {"approval": signed[0].read_text(encoding="utf-8")}))
    assert "Nothing is raised before two people have signed." in after.text
    again = officer.follow(officer.post(path, {"approval": signed[0].read_text(encoding="utf-8")}))
    assert "Nothing is raised before two people have signed." in again.text  # one person twice is one person
    window = window_as(lantern[1])
    page = window.go(path)
    page.locator("#file").set_input_files(signed[1])
    page.wait_for_function("document.getElementById('approval').value.length > 100")
    assert json.loads(page.locator("#approval").input_value()) == json.loads(signed[1].read_text(encoding="utf-8"))
    assert window.barriers() == []
    page.get_by_role("button", name="Hand it in").click()
    page.get_by_text("The ledger raised the budget for good.").wait_for()
    statement = json.loads(lantern[0].get("/v1/budgets/statement").json()["result"]["signed"])["statement"]
    (raised,) = [each for each in statement["raises"] if each["dataset"] == f"{NAME}/cases"]
    assert (raised["epsilon"], raised["reason"]) == ("3.75", "a second year of reports")
    assert path not in Reader(caller=lantern[1]).get("/officer").text
