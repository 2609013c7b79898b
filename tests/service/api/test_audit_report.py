"""Who gets which part of the audit log over HTTP: the own organisation its entries with reasons, the deployment's privacy officer without, and a token nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from casehaven.organisations.roles import Role

if TYPE_CHECKING:
    from tests.service.api.conftest import Caller, House

REPORT = "/v1/organisations/north/audit-report"
PLACE = "/v1/datasets/north/cases/uploads"


@pytest.fixture(scope="session")
def written(house: House) -> str:
    """Look at somebody with a reason, and return the reason."""
    reason = f"room {uuid4().hex}"
    found = house.caseworker.post("/v1/datasets/north/cases/people/show", {"reference": house.person, "reason": reason})
    assert found.status_code == 200, found.text
    return reason


@pytest.fixture(scope="session")
def watcher(house: House) -> Caller:
    """The deployment's privacy officer."""
    return house.running.member("hosts", f"w{uuid4().hex[:8]}", Role.PRIVACY_OFFICER)


def _report(who: Caller) -> dict[str, Any]:
    answer = who.post(REPORT, {"reason": "a quarterly look"})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["result"]
    return found


@pytest.mark.parametrize("role", ["north", "officer"])
def test_the_own_organisation_reads_entries_with_their_reasons(house: House, written: str, role: str) -> None:
    found = _report(getattr(house, role))
    assert found["reasons"] is True
    assert [entry["action"] for entry in found["entries"] if entry["reason"] == written] == ["person.read"]


def test_the_deployments_officer_reads_entries_and_no_reason(watcher: Caller, written: str) -> None:
    found = _report(watcher)
    assert found["reasons"] is False
    assert written not in str(found)
    assert {entry["reason"] for entry in found["entries"]} == {""}
    assert "person.read" in {entry["action"] for entry in found["entries"]}


@pytest.mark.parametrize("role", ["north", "officer"])
def test_a_report_needs_a_fresh_second_factor(house: House, role: str) -> None:
    who = getattr(house, role)
    tired = house.running.caller(who.handle, "north", stepped_up=False)
    with house.running.store.writing() as connection:  # a new session begins with a second factor: make it an old one
        from sqlalchemy import update

        from casehaven.signin.models import session
        from casehaven.signin.secrets_made import digest

        mine = session.c.digest == digest("session", tired.session)
        connection.execute(update(session).where(mine).values(stepped_up_at=1))
    refused = tired.post(REPORT, {"reason": "a quarterly look"})
    assert (refused.status_code, refused.json()["code"]) == (403, "step-up-needed")
    events = tired.get("/v1/organisations/north/events")
    assert events.status_code == 200, events.text


def test_no_token_can_be_made_for_a_report(house: House) -> None:
    refused = house.officer.post("/v1/tokens", {"name": "reports", "operations": ["audit.report"], "days": 1})
    assert refused.status_code == 422, refused.text


def test_a_raw_upload_is_opened_for_its_sender_and_with_a_second_factor_for_a_steward(house: House) -> None:
    sent = house.caseworker.call("POST", PLACE, content=b"a,b\n1,2\n", key=uuid4().hex).json()["id"]
    other = house.running.member("north", f"c{uuid4().hex[:8]}", Role.CASEWORKER)
    assert house.caseworker.post(f"{PLACE}/{sent}/proposal", {}).status_code == 200
    refused = other.post(f"{PLACE}/{sent}/proposal", {})
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert house.north.post(f"{PLACE}/{sent}/proposal", {}).status_code == 200
    made = house.north.post(
        "/v1/tokens", {"name": "intake", "operations": ["upload.read", "upload.commit", "job.read"], "days": 1}
    )
    headers = {"Authorization": f"Bearer {made.json()['value']}", "Prefer": "wait=20"}
    by_token = house.north.http.post(f"{PLACE}/{sent}/proposal", json={}, headers=headers)
    assert (by_token.status_code, by_token.json()["code"]) == (403, "step-up-needed")
    assert house.north.call("DELETE", f"{PLACE}/{sent}").status_code == 204
