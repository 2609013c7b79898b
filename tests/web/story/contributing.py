"""What an NGO does for its own people: prepare an export at home and send it, upload one by the page, withdraw somebody's consent."""

from __future__ import annotations

import csv
import json
import re
from functools import partial
from pathlib import Path
from uuid import uuid4

from tests.service.api.conftest import Caller, _has_keys
from tests.web.pages import Window
from tests.web.story.world import CAP, NGOS, SCHEMA, World, plain, read, run
from tests.web.test_steward_pages import DROP

from casehaven.generate.dialects import write_dialect
from caseschemas import load_schema


def export_of(world: World, name: str) -> Path:
    """What the NGO's own tool exports, written once."""
    dialect, suffix, people, seed = NGOS[name]
    path = world.folder / f"{name}.{suffix}"
    return path if path.exists() else write_dialect(dialect, load_schema(SCHEMA), people, seed, path)


def make_dataset(world: World, steward: Caller) -> None:
    """Make the NGO's dataset, once the vault has keys for it."""
    name = steward.organisation
    world.running.wait(partial(_has_keys, world.running, name), 60)
    steward.done(f"/v1/organisations/{name}/datasets", {"name": "cases", "schema": SCHEMA, "people_cap": CAP})


def bring_prepared(world: World, *stewards: Caller) -> None:
    """Prepare each NGO's export at home, under the linkage key, send what came of it, and take it in."""
    for steward in stewards:
        _bring_prepared(world, steward)


def _bring_prepared(world: World, steward: Caller) -> None:
    name = steward.organisation
    make_dataset(world, steward)
    public = world.folder / f"{name}.pub"
    run("vault", "keys", "public", name, "-o", str(public), *world.vault_options)
    fingerprint = json.loads(public.read_text(encoding="utf-8"))["fingerprint"]
    sealed = world.folder / f"{name}.prepared"
    run(
        "prepare", str(export_of(world, name)), "--schema", SCHEMA, "--organisation", name, "--to", str(public), "--fingerprint", fingerprint,
        "--linkage-key", str(world.linkage_key), "--person-numbers", "shared", "--yes", "-o", str(sealed),
    )  # fmt: skip
    place = f"/v1/datasets/{name}/cases/uploads"
    sent = steward.call("POST", place, content=sealed.read_bytes(), key=uuid4().hex)
    assert sent.status_code == 201, sent.text
    place = f"{place}/{sent.json()['id']}"
    assert steward.done(f"{place}/proposal", {})["kind"] == "prepared"
    steward.done(f"{place}/commit", {"leave_refused": True})


def upload_by_page(world: World, window: Window, steward: Caller) -> None:
    """Drop the export on the page of the dataset, read what it would become, try it, and take it in."""
    make_dataset(world, steward)
    text = export_of(world, steward.organisation).read_text(encoding="utf-8-sig")
    rows = f"{len(list(csv.DictReader(text.splitlines()))):,}"
    page = window.go("/datasets")
    page.get_by_role("link", name="cases").click()
    page.get_by_text("You can also drop the file here.").wait_for()
    page.evaluate(DROP, text)
    page.get_by_text("Chosen: cases of Maria.csv").wait_for()
    page.get_by_role("button", name="Upload").click()
    page.get_by_role("heading", name="What the file would become").wait_for()
    for box in page.get_by_label("Yes, that is right").all():
        box.check()
    page.get_by_role("button", name="Dry run with these answers").click()
    page.get_by_text("This is how you answered").wait_for()
    dry_run = page.locator("section", has=page.get_by_role("heading", name="Dry run: nothing was taken in"))
    assert _fact(dry_run.inner_text(), "Would be taken in") == rows
    page.get_by_role("button", name="Take the file in").click()
    page.get_by_role("heading", name="The file was taken in").wait_for()
    assert _fact(page.locator("main").inner_text(), "New records") == rows


def _fact(text: str, name: str) -> str:
    found = re.search(rf"^{name}\n+([^\n]+)$", text, re.MULTILINE)
    assert found is not None, text
    return plain(found[1])


def somebody(world: World) -> str:
    """Return what became of the reference of somebody at north who said yes to all that is shared."""
    with export_of(world, "north").open(encoding="utf-8-sig", newline="") as file:
        row = next(
            row
            for row in csv.DictReader(file, delimiter=";")
            if row["consent/consentPooledStatistics"] == row["consent/consentSyntheticRelease"] == "yes"
        )
    reference, key = row["person/caseReference"], str(world.linkage_key)
    return run("linkage", "reference", key, "--organisation", "north", "--case-reference", reference).split()[-1]


def withdraw_by_page(window: Window, reference: str) -> None:
    """Find the person, and write down that pooled statistics may count them no more."""
    page = window.go("/people?dataset=cases")
    page.get_by_label("Case reference or person token").fill(reference)
    page.get_by_label("Reason", exact=True).fill("asked by the person")
    page.get_by_role("button", name="Is this person here?").click()
    page.locator("summary", has_text="Record an answer about consent").click()
    page.locator("#purpose").select_option("pooled_statistics")
    page.locator("input[name=given][value=no]").check()
    page.get_by_role("button", name="Record an answer about consent").click()
    page.get_by_text("Recorded.").wait_for()
    assert "Pooled statistics: No" in plain(page.locator(".message").inner_text())


def given(steward: Caller) -> dict[str, int]:
    """How many people of the NGO's dataset say yes, by purpose. Exact: for the NGO alone."""
    found = read(steward, f"/v1/datasets/{steward.organisation}/cases/status")
    return {purpose: one["given"] for purpose, one in found["consent"].items()}
