"""The whole story: three NGOs, an agreement, a withdrawal, twenty questions, a release that is approved and published, a policymaker who verifies it, and an NGO that leaves.

Through the real api, worker and browser. The waits are those of the ticks (privacy rule 24).
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest
from click.testing import CliRunner
from tests.service.api.conftest import Caller, RunningService, _has_keys, served
from tests.service.conftest import Postgres, postgres

from casehaven.cli import main
from casehaven.core.projection import published
from casehaven.generate.dialects import write_dialect
from casehaven.intake.linkage_key import create_linkage_key
from casehaven.ledger import Ledger
from casehaven.organisations.roles import Kind, Role
from caseschemas import load_schema

if TYPE_CHECKING:
    from tests.web.conftest import WindowAs

SCHEMA = "ctdc-global"
NGOS = {
    "north": ("kobo-csv", "csv", 350, 5),
    "south": ("excel-fr", "xlsx", 350, 5),
    "east": ("salesforce-csv", "csv", 300, 6),
}
"""How each exports its records, how many people it knows, and the seed of the made-up people: north and south know the same ones."""
CAP = 1_000
__all__ = ["postgres"]  # the fixture
QUESTIONS = [
    {"by": [name], "accuracy": {"within_people": within}}
    for name in ("gender", "ageBroad", "traffickMonths", "isForcedLabour", "isSexualExploit")
    for within in (150, 120, 100, 90)
]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.audit)])
def running(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningService]:
    """A service of its own: the story changes everything."""
    if request.param == "sqlite":
        with served(tmp_path / "house", "--epsilon", "30") as found:
            yield found
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    address = postgres()
    with served(tmp_path / "house", "--epsilon", "30", database=address) as found:
        yield found
    postgres.give_back(address)


def test_the_whole_story(running: RunningService, window_as: WindowAs, tmp_path: Path) -> None:
    stewards = {name: running.organisation(name) for name in NGOS}
    running.organisation("university", Kind.RESEARCH)
    researcher = running.member("university", "rosa", Role.RESEARCHER)
    officer = running.member("north", "otto", Role.PRIVACY_OFFICER)
    create_linkage_key(tmp_path / "linkage.key")
    for name, steward in stewards.items():
        bring(running, steward, name, tmp_path)

    agreement = agree(running, stewards, tmp_path, purposes=["pooled_statistics", "synthetic_release"])
    withdraw_consent(stewards["north"], tmp_path)
    with ThreadPoolExecutor(1) as beside:  # the release's tick is a minute away: questions are asked meanwhile
        drawing = beside.submit(release, stewards, officer, agreement, "All three")
        answers = ask_all(researcher, agreement)
    assert len(answers) == 20
    assert sum(found["charged_nano_rho"] or 0 for found in answers) > 0
    known = researcher.done("/v1/answers", {"agreement": agreement, "question": QUESTIONS[0]})
    assert (known["charged_nano_rho"], known["free"]) == (None, "stored")
    record = publish(running.caller("otto", "north"), drawing.result())
    first = download_and_verify(running, window_as, record, tmp_path / "first")

    # an NGO leaves: the agreement ends for all, and the two others sign one without it
    leaving = running.caller("east-steward", "east")
    assert leaving.post(f"/v1/agreements/{agreement}/revocation").status_code == 204
    refused = researcher.post("/v1/answers", {"agreement": agreement, "question": QUESTIONS[0]}, key=uuid4().hex)
    assert refused.json()["code"] == "agreement-needed"
    before = spent(running)
    stewards = {name: running.caller(f"{name}-steward", name) for name in ("north", "south")}  # signed in anew
    officer = running.caller("otto", "north")
    again = agree(running, stewards, tmp_path, purposes=["synthetic_release"])
    later = publish(officer, release(stewards, officer, again, "Two of them"))
    second = download_and_verify(running, window_as, later, tmp_path / "second")

    # north and south know the same 350 people, of whom some keep theirs to themselves; east knows 300 others
    assert first["people"]["low"] > second["people"]["high"]
    after = spent(running)
    assert after["east/cases"] == before["east/cases"]
    price = second["guarantee"]["nano_rho"]
    assert [after[f"{name}/cases"] - before[f"{name}/cases"] for name in ("north", "south")] == [price, price]
    shown = json.dumps([first, second])
    assert not any(f'"{name}' in shown or f"{name}/" in shown for name in NGOS)  # nobody is told whose they were


def bring(running: RunningService, steward: Caller, name: str, folder: Path) -> None:
    """Prepare an organisation's export at the organisation, send it, and take it in."""
    dialect, suffix, people, seed = NGOS[name]
    running.wait(partial(_has_keys, running, name), 60)
    steward.done(f"/v1/organisations/{name}/datasets", {"name": "cases", "schema": SCHEMA, "people_cap": CAP})
    export = write_dialect(dialect, load_schema(SCHEMA), people, seed, folder / f"{name}.{suffix}")
    public = folder / f"{name}.pub"
    house = running.folder
    keys = ["--vault", str(house / "vault"), "--root-key", f"file:{house / 'root.key'}"]
    run("vault", "keys", "public", name, "-o", str(public), *keys)
    fingerprint = json.loads(public.read_text(encoding="utf-8"))["fingerprint"]
    sealed = folder / f"{name}.prepared"
    run(
        "prepare", str(export), "--schema", SCHEMA, "--organisation", name, "--to", str(public), "--fingerprint", fingerprint,
        "--linkage-key", str(folder / "linkage.key"), "--person-numbers", "shared", "--yes", "-o", str(sealed),
    )  # fmt: skip
    place = f"/v1/datasets/{name}/cases/uploads"
    sent = steward.call("POST", place, content=sealed.read_bytes(), key=uuid4().hex)
    assert sent.status_code == 201, sent.text
    place = f"{place}/{sent.json()['id']}"
    assert steward.done(f"{place}/proposal", {})["kind"] == "prepared"
    steward.done(f"{place}/commit", {"leave_refused": True})


def agree(running: RunningService, stewards: dict[str, Caller], folder: Path, *, purposes: list[str]) -> str:
    """Let all of them sign what may be done with their datasets together, and return its name."""
    with running.store.reading() as connection:
        schema = published(connection, "dataset", "north/cases")["schema_sha256"]
    shown = run("linkage", "show", str(folder / "linkage.key"))
    fields = {one.name: "as_is" for one in load_schema(SCHEMA).analysis}
    terms = {
        "title": "What shelters know together",
        "schema_sha256": schema,
        "contributions": [{"dataset": f"{name}/cases", "fields": fields} for name in sorted(stewards)],
        "readers": ["university"],
        "askers": {"organisations": ["university", "north"], "members": []},
        "purposes": purposes,
        "budget_nano_rho": 20 * 10**9,
        "people_cap": CAP * len(stewards),
        "minimum_count": 10,
        "max_tokens_per_person": len(stewards),
        "tokens_reason": None,
        "linkage": next(word for word in shown.split() if word.startswith("SHA256:")),
        "expires": "2099-12-31",
    }
    made = stewards["north"].post("/v1/agreements", {"terms": terms})
    assert made.status_code == 201, made.text
    name: str = made.json()["document"]["agreement"]
    for steward in stewards.values():
        steward.done(f"/v1/agreements/{name}/signatures", {"digest": made.json()["digest"]})
    assert stewards["south"].get(f"/v1/agreements/{name}").json()["in_force"] == made.json()["digest"]
    return name


def withdraw_consent(steward: Caller, folder: Path) -> None:
    """Somebody says no to north; their reference is what became of it in the prepared file."""
    with (folder / "north.csv").open(encoding="utf-8-sig", newline="") as file:
        row = next(
            row for row in csv.DictReader(file, delimiter=";") if row["consent/consentPooledStatistics"] == "yes"
        )
    key, reference = str(folder / "linkage.key"), row["person/caseReference"]
    shown = run("linkage", "reference", key, "--organisation", "north", "--case-reference", reference)
    asked = {"reference": shown.split()[-1], "reason": "asked by the person"}
    place = "/v1/datasets/north/cases/people/consent"
    said = steward.done(place, {**asked, "purpose": "pooled_statistics", "given": False})
    assert "pooled_statistics" in json.dumps(said)


def ask_all(researcher: Caller, agreement: str) -> list[dict[str, Any]]:
    """Ask twenty questions at once, as somebody with a list of tables does."""
    asking = [{"agreement": agreement, "question": question} for question in QUESTIONS]
    with ThreadPoolExecutor(5) as pool:
        return list(pool.map(lambda body: researcher.done("/v1/answers", body), asking))


def release(stewards: dict[str, Caller], officer: Caller, agreement: str, title: str) -> str:
    """Draft a release, let everybody approve, draw it, wait for its tick, and return its name."""
    steward = stewards["north"]
    draft = steward.done(
        "/v1/organisations/north/release-drafts", {"agreement": agreement, "epsilon": 3.0, "title": title}
    )
    place = f"/v1/release-drafts/{draft['draft']}"
    early = steward.post("/v1/organisations/north/releases", _of(draft), key=uuid4().hex)
    while early.status_code == 202:
        early = steward.get(early.headers["Location"])
    assert early.json()["code"] == "approvals-missing", early.text
    for caller in stewards.values():
        caller.done(f"{place}/approvals", {**_of(draft, place=False), "part": "steward", "assertion": None})
    officer.done(f"{place}/approvals", {**_of(draft, place=False), "part": "privacy_officer", "assertion": None})
    return str(steward.done("/v1/organisations/north/releases", _of(draft))["release"])


def _of(draft: dict[str, Any], *, place: bool = True) -> dict[str, Any]:
    return {**({"draft": draft["draft"]} if place else {}), "digest": draft["digest"]}


def publish(officer: Caller, drawn: str) -> str:
    """Decide, and return the record in the registry."""
    decided = officer.done(f"/v1/releases/{drawn}/decision", {"decision": "publish"})
    assert decided["used_private_data"] is False
    return str(decided["record"])


def download_and_verify(running: RunningService, window_as: WindowAs, record: str, folder: Path) -> dict[str, Any]:
    """What a policymaker does, signed in as nobody: read the page, save the records, fetch the bundle, verify it offline."""
    window = window_as(None, origin=running.origin)
    page = window.go(f"/registry/{record}")
    assert page.locator("h1").count() == 1
    with page.expect_download() as saved:
        page.locator("a[href$='/downloads/records.csv']").first.click()
    rows = list(csv.reader(Path(saved.value.path()).read_text(encoding="utf-8").splitlines()))
    assert len(rows) > 100
    found: dict[str, Any] = httpx.get(f"{running.origin}/v1/registry/{record}", timeout=60).json()
    bundle = folder / "bundle"
    bundle.mkdir(parents=True)
    for file in found["files"]:
        content = httpx.get(f"{running.origin}/v1/registry/{record}/files/{file['name']}", timeout=60).content
        assert hashlib.sha256(content).hexdigest() == file["sha256"]
        (bundle / file["name"]).write_bytes(content)
    trust = str(folder / "trust.json")
    run("keys", "trust", "add", "publisher", str(bundle), "--fingerprint", found["fingerprint"], "--trust", trust)
    assert "publisher" in run("verify", str(bundle), "--trust", trust)
    return found


def spent(running: RunningService) -> dict[str, int]:
    """Nano-rho of each dataset, over all its accounts, as the ledger itself adds up."""
    found: dict[str, int] = {}
    for row in Ledger.open(running.folder / "ledger.sqlite").statement().rows:
        found[row.dataset] = max(found.get(row.dataset, 0), row.spent_nano_rho)
    return found


def run(*words: str) -> str:
    """Run a command as it is typed."""
    done = CliRunner().invoke(main, list(words))
    assert done.exit_code == 0, done.output
    return done.output
