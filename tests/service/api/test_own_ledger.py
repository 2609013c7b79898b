"""What an organisation sees and asks about its budgets over HTTP: its ledger in coarse steps, raises that others approve, and checkpoints of the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from tests.service.api.conftest import APPROVERS

from casehaven.ledger import RaiseApproval, RaiseRequest
from casehaven.organisations.roles import Role
from casesynth.signing import SigningKey

if TYPE_CHECKING:
    from tests.service.api.conftest import House

LEDGER = "/v1/organisations/north/ledger"
RAISES = "/v1/organisations/north/cap-raises"


@pytest.mark.parametrize("role", ["north", "officer"])
def test_stewards_and_officers_see_their_organisations_ledger_as_the_public_statement_has_it(
    house: House, role: str
) -> None:
    who = getattr(house, role)
    found = who.get(LEDGER).json()["result"]
    stated = _statement(house)
    assert found["before"] == stated["before"] and found["steps"] == 16
    mine = [row for row in stated["accounts"] if row["dataset"].startswith("north/")]
    assert len(found["accounts"]) == len(mine) > 2
    for row, public in zip(found["accounts"], mine, strict=True):
        assert {name: row[name] for name in public} == public
    assert {row["dataset"].partition("/")[0] for row in found["accounts"]} == {"north"}
    shares = {(row["analyst"], row["limit_nano_rho"]) for row in found["allowances"]}
    assert ("rosa", 20_000_000) in shares
    assert [each["name"] for each in found["approvers"]] == [*APPROVERS]  # whom the first start named


def test_a_raise_is_asked_for_and_shown_and_nobody_whom_the_ledger_does_not_name_approves_it(house: House) -> None:
    made = house.north.done(RAISES, {"dataset": "cases", "epsilon": "3.5", "reason": "the second year"})
    assert (made["state"], made["proposed_by"]) == ("proposed", house.north.handle)
    assert made["request"]["dataset"] == "north/cases" and made["request"]["epsilon"] == "3.5"
    listed = house.officer.get(RAISES).json()["items"]
    assert made["id"] in [each["id"] for each in listed]
    shown = house.officer.get(f"{RAISES}/{made['id']}").json()
    assert shown["request"] == made["request"]
    request = RaiseRequest.parse(shown["request"], "the request")  # as the two people's own computers read it
    approval = {"approval": RaiseApproval.by(request, SigningKey.create()).to_bytes().decode()}
    refused = house.officer.post(f"{RAISES}/{made['id']}/approvals", approval)
    assert (refused.status_code, refused.json()["code"]) == (409, "budget-raise")
    assert "not one of those whom the ledger names" in refused.json()["detail"]
    junk = house.officer.post(f"{RAISES}/{made['id']}/approvals", {"approval": "[" * 999})
    assert junk.json()["code"] == "budget-raise"
    steward = house.running.member(
        "north", f"stella-{made['id'][:8]}", Role.STEWARD
    )  # the first one is an officer, too
    assert steward.post(f"{RAISES}/{made['id']}/approvals", approval).json()["code"] == "forbidden"
    assert not [each for each in _statement(house)["raises"] if each["dataset"] == "north/cases"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"epsilon": "1"}, 409, "budget-raise"),
        ({"epsilon": "2.5"}, 409, "budget-raise"),
        ({"epsilon": "many"}, 422, "body"),
        ({"dataset": "nothing"}, 404, "not-found"),
        ({"reason": ""}, 422, "body"),
    ],
)
def test_a_raise_that_cannot_be_is_refused(house: House, body: dict[str, str], status: int, code: str) -> None:
    asked = {"dataset": "cases", "epsilon": "3", "reason": "why", **body}
    refused = house.officer.post(RAISES, asked)
    assert (refused.status_code, refused.json()["code"]) == (status, code), refused.text


@pytest.mark.parametrize("role", ["caseworker", "researcher"])
def test_who_neither_looks_after_records_nor_watches_sees_no_ledger_and_no_raise(house: House, role: str) -> None:
    who = house.everybody[role]
    for path in (LEDGER, RAISES):
        refused = who.get(path)
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert who.post(RAISES, {"dataset": "cases", "epsilon": "3", "reason": "why"}).status_code == 403


def test_another_organisations_raise_is_not_there(house: House) -> None:
    made = house.south.done(
        "/v1/organisations/south/cap-raises", {"dataset": "cases", "epsilon": "4", "reason": "of south"}
    )
    theirs = house.officer.get(f"{RAISES}/{made['id']}")
    nobodys = house.officer.get(f"{RAISES}/{'0' * 64}")
    assert (theirs.status_code, theirs.content) == (404, nobodys.content)
    approving = {"approval": "{}"}
    for found in (made["id"], "0" * 64):
        assert house.officer.post(f"{RAISES}/{found}/approvals", approving).status_code == 404
    assert made["id"] not in house.officer.get(RAISES).text


@pytest.mark.parametrize("role", ["officer", "north"])
def test_a_checkpoint_is_fetched_by_those_who_watch_the_log(house: House, role: str) -> None:
    found = getattr(house, role).get("/v1/audit/checkpoint").json()["result"]
    assert set(found) == {"key", "checkpoint", "until"} and "+" in found["key"]
    assert found["checkpoint"] is None or found["checkpoint"].startswith(found["key"].split("+")[0])
    assert house.caseworker.get("/v1/audit/checkpoint").status_code == 403
    checked = getattr(house, role).done("/v1/audit/verification", {})
    assert checked["whole"] is True


def _statement(house: House) -> Any:
    import json

    signed = house.north.get("/v1/budgets/statement", key=uuid4().hex).json()["result"]["signed"]
    return json.loads(signed)["statement"]
