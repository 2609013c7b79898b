"""A release: drafted, approved, drawn, published; and the policymaker who reads, saves and verifies it."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from tests.service.api.conftest import Caller
from tests.web.pages import Window
from tests.web.story.world import World, run

EPSILON = 3.0


def draft(steward: Caller, agreement: str, title: str) -> dict[str, Any]:
    """Draft a release of everything under an agreement."""
    place = f"/v1/organisations/{steward.organisation}/release-drafts"
    found: dict[str, Any] = steward.done(place, {"agreement": agreement, "epsilon": EPSILON, "title": title})
    return found


def ask_without_approvals(steward: Caller) -> str:
    """Ask for a draft of the NGO's own dataset to be drawn, which nobody approved; returns where the answer will be."""
    place = f"/v1/organisations/{steward.organisation}"
    body = {"datasets": ["cases"], "epsilon": EPSILON, "title": "Too soon"}
    drafted = steward.done(f"{place}/release-drafts", body)
    asked = steward.post(f"{place}/releases", _named(drafted), key=uuid4().hex, wait=0)
    assert asked.status_code == 202, asked.text
    return asked.headers["Location"]


def refused(steward: Caller, place: str) -> None:
    """Nothing is drawn before everybody approved, and it is said at a tick."""
    answer = steward.get(place)
    while answer.status_code == 202:
        answer = steward.get(answer.headers["Location"])
    assert answer.json()["code"] == "approvals-missing", answer.text


def approve(callers: Sequence[Caller], drafted: dict[str, Any], part: str) -> None:
    """Approve this very draft."""
    for caller in callers:
        body = {"digest": drafted["digest"], "part": part, "assertion": None}
        caller.done(f"/v1/release-drafts/{drafted['draft']}/approvals", body)


def approve_by_page(window: Window, title: str) -> None:
    """The privacy officer reads what waits, and approves."""
    page = window.go("/officer")
    page.locator("a", has_text=title).click()
    page.get_by_role("heading", name="What it would be worth").wait_for()
    page.get_by_role("button", name="Approve as privacy officer").click()
    page.locator("li.good", has_text="Privacy officer").wait_for()


def draw(steward: Caller, drafted: dict[str, Any]) -> str:
    """Have it charged and drawn, wait for its tick, and return its name."""
    return str(steward.done(f"/v1/organisations/{steward.organisation}/releases", _named(drafted))["release"])


def _named(drafted: dict[str, Any]) -> dict[str, Any]:
    return {"draft": drafted["draft"], "digest": drafted["digest"]}


def publish(officer: Caller, drawn: str) -> str:
    """Decide, and return the record in the registry."""
    decided = officer.done(f"/v1/releases/{drawn}/decision", {"decision": "publish"})
    assert decided["used_private_data"] is False
    return str(decided["record"])


def publish_by_page(window: Window, title: str) -> str:
    """The privacy officer decides under rule 33, and returns the record in the registry."""
    page = window.go("/officer")
    page.locator("a", has_text=title).click()
    page.get_by_label("I decided from noisy and public facts alone").check()
    page.get_by_role("button", name="Publish", exact=True).click()
    page.wait_for_url(re.compile(r"^[^?]*/registry/[^/?]+$"))
    return str(page.url).rpartition("/")[2]


def read_and_save(window: Window, record: str) -> str:
    """What a policymaker does, signed in as nobody: read the page, and save the records. Returns what the page says."""
    page = window.go(f"/registry/{record}")
    assert page.locator("h1").count() == 1
    with page.expect_download() as saved:
        page.locator("a[href$='/downloads/records.csv']").first.click()
    rows = list(csv.reader(Path(saved.value.path()).read_text(encoding="utf-8").splitlines()))
    assert len(rows) > 100
    return page.locator("main").inner_text()


def verify(world: World, record: str) -> dict[str, Any]:
    """Fetch the bundle, compare what the registry says of it, and verify it offline. Returns the record."""
    place = f"{world.origin}/v1/registry/{record}"
    found: dict[str, Any] = httpx.get(place, timeout=60).json()
    bundle = world.folder / record
    bundle.mkdir()
    for file in found["files"]:
        content = httpx.get(f"{place}/files/{file['name']}", timeout=60).content
        assert hashlib.sha256(content).hexdigest() == file["sha256"]
        (bundle / file["name"]).write_bytes(content)
    trust = str(world.folder / f"{record}.trust.json")
    run("keys", "trust", "add", "publisher", str(bundle), "--fingerprint", found["fingerprint"], "--trust", trust)
    assert "publisher" in run("verify", str(bundle), "--trust", trust)
    return found


def read_numbers(world: World, records: Sequence[str]) -> list[dict[str, Any]]:
    """What anybody reads of two releases that the worker published: their tables for official statistics, a question at no charge, the one beside the other."""
    found: list[dict[str, Any]] = []
    for record in records:
        place = f"{world.origin}/v1/registry/{record}"
        listed = {each["name"]: each for each in httpx.get(place, timeout=60).json()["indicators"]}
        assert set(listed) == {"indicators.json", "indicators.xlsx"}
        for name, each in listed.items():
            content = httpx.get(f"{place}/{name}", timeout=60).content
            assert hashlib.sha256(content).hexdigest() == each["sha256"]
        found.append(httpx.get(f"{place}/indicators.json", timeout=60).json())
        assert found[-1]["tables"]
        answered = httpx.post(f"{place}/answers", json={"question": {"by": ["gender"]}}, timeout=60).json()
        assert (answered["free"], answered["charged_nano_rho"]) == ("release", None)
        found.append(answered)
    beside = httpx.get(f"{world.origin}/v1/registry/{records[1]}/comparison?with={records[0]}", timeout=60).json()
    assert beside["records"] == list(records) and beside["people"]["real"]  # the leaver's people are gone
    return [*found, beside]
