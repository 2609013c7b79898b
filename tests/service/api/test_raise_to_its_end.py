"""A raise from the first word to the signed statement: asked for over HTTP, approved by two people with keys of their own, handed in by those whose role it is (privacy rule 19)."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from click.testing import CliRunner
from tests.service.api.conftest import APPROVERS, _has_keys

from casehaven.cli import main
from casehaven.organisations.roles import Role
from casesynth.canonical import canonical_json

if TYPE_CHECKING:
    from tests.service.api.conftest import Caller, RunningService

NAME = "upland"
"""An organisation of this file's own: what is raised here is nobody else's."""
RAISES = f"/v1/organisations/{NAME}/cap-raises"


def test_two_people_raise_a_cap_through_the_service_and_the_statement_shows_it(
    service: RunningService, tmp_path: Path
) -> None:
    steward = service.organisation(NAME)
    service.wait(partial(_has_keys, service, NAME), 60)
    steward.done(f"/v1/organisations/{NAME}/datasets", {"name": "cases", "schema": "ctdc-global", "people_cap": 2_000})
    proposer = service.member(NAME, f"{NAME}-second", Role.STEWARD)
    officer = service.member(NAME, f"{NAME}-officer", Role.PRIVACY_OFFICER)
    assert caps(steward) == {"2.5"}
    made = proposer.done(RAISES, {"dataset": "cases", "epsilon": "3.25", "reason": "a second year of reports"})
    assert [each["name"] for each in made["approvers"]] == [*APPROVERS]
    place = f"{RAISES}/{made['id']}/approvals"

    first, second = (signed(service, name, made["request"], tmp_path) for name in APPROVERS)
    after_one = officer.done(place, {"approval": first})
    assert (after_one["state"], caps(steward)) == ("proposed", {"2.5"})
    again = officer.done(place, {"approval": first})
    assert (again["state"], caps(steward)) == ("proposed", {"2.5"})  # one person twice is one person
    refused = proposer.post(place, {"approval": second}, key=uuid4().hex)
    assert (refused.status_code, refused.json()["code"], caps(steward)) == (403, "forbidden", {"2.5"})
    raised = officer.done(place, {"approval": second})
    assert raised["state"] == "raised" and caps(steward) == {"3.25"}

    own = steward.get(f"/v1/organisations/{NAME}/ledger").json()["result"]
    assert {row["epsilon_cap"] for row in own["accounts"]} == {"3.25"}
    for _ in range(2):  # handed in once more, it is the same raise
        (stated,) = raises(steward)
        assert (stated["reason"], stated["epsilon"]) == ("a second year of reports", "3.25")
        assert set(stated["approved_by"]) == {each["fingerprint"] for each in made["approvers"]}
        assert officer.done(place, {"approval": second})["state"] == "raised"
    words = steward.get("/v1/budgets/statement").json()["result"]["words"]
    assert "a second year of reports" in words


def signed(service: RunningService, name: str, request: dict[str, Any], folder: Path) -> str:
    """Approve as one of the two does on a computer of their own, and return the file that is handed in."""
    asked, out = folder / f"request for {name}.json", folder / f"by {name}.json"
    asked.write_bytes(canonical_json(request))
    words = ["budget", "approve-raise", asked, "--key", service.approver_key(name), "--yes", "-o", out]
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    assert f"{NAME}/cases: from epsilon 2.5 to 3.25" in done.output and "a second year of reports" in done.output
    return out.read_text(encoding="utf-8")


def statement(who: Caller) -> Any:
    return json.loads(who.get("/v1/budgets/statement").json()["result"]["signed"])["statement"]


def caps(who: Caller) -> set[str]:
    """What every account of the dataset may spend, as the public is told."""
    return {row["epsilon_cap"] for row in statement(who)["accounts"] if row["dataset"] == f"{NAME}/cases"}


def raises(who: Caller) -> list[Any]:
    return [each for each in statement(who)["raises"] if each["dataset"] == f"{NAME}/cases"]
