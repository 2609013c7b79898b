"""What stands in records, and what somebody types about a person, is nowhere but sealed: not in answers to others, logs, metrics, addresses or the service's own store (privacy rules 23 and 32)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from sqlalchemy import select, update
from tests.service.api.conftest import CANARY, made_up_cases

from casehaven.core.logs import FIELDS
from casehaven.core.service_tables import projection

if TYPE_CHECKING:
    import httpx
    from tests.service.api.conftest import House

TYPED = "Qwvtyped"
"""Planted where a sender may write what they like: names of fields, paths, queries, headers."""

PEOPLE = "/v1/datasets/north/cases/people"


def _bytes_left(house: House) -> dict[str, bytes]:
    """Every byte that the service left: the whole folder, the log, the metrics."""
    found = {str(path): path.read_bytes() for path in house.running.folder.rglob("*") if path.is_file()}
    assert len(found) > 10
    return {**found, "log": house.running.log.read_bytes(), "metrics": house.running.metrics().encode()}


def _look_at_people(house: House) -> list[httpx.Response]:
    """Do everything that can be done about a person, right and wrong."""
    who, reason = house.north, f"{CANARY} asked for it"
    base = {"reference": house.person, "reason": reason}
    missing = {"reference": f"{CANARY}-nobody", "reason": reason}
    return [
        who.post(f"{PEOPLE}/find", base),
        who.post(f"{PEOPLE}/find", missing),
        who.post(f"{PEOPLE}/show", base),
        who.post(f"{PEOPLE}/export", {**base, "kind": "csv"}),
        who.post(f"{PEOPLE}/correct", {**base, "changes": {"gender": CANARY}}),
        who.post(f"{PEOPLE}/correct", {**base, "changes": {CANARY: "Man"}}),
        who.post(f"{PEOPLE}/consent", {**base, "purpose": "care", "given": True, "language": CANARY}),
        who.post(f"{PEOPLE}/find", {"reference": house.person, "reason": ""}),
    ]


def test_records_references_and_reasons_are_nowhere_but_sealed(house: House) -> None:
    answers = _look_at_people(house)
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 422, 422, 422, 422]
    assert CANARY in answers[2].text and CANARY in answers[3].text  # it is there to be found
    for bad in (b"caseReference," + CANARY.encode() + b"\n1,2\n", made_up_cases(3, 9)[:-40], b"\x00" + CANARY.encode()):
        place = "/v1/datasets/north/cases/uploads"
        sent = house.north.call("POST", place, content=bad, key=uuid4().hex).json()
        house.north.post(f"{place}/{sent['id']}/proposal", {})
        house.north.post(f"{place}/{sent['id']}/commit", {}, key=uuid4().hex)
    for name, data in _bytes_left(house).items():
        assert CANARY.encode() not in data, name


def test_what_others_are_answered_holds_nothing_of_a_record(house: House) -> None:
    question = {"by": ["gender"], "accuracy": {"within_people": 66}}
    body = {"datasets": ["north/cases"], "question": question}
    answers = [
        house.researcher.post("/v1/answers", body, key=uuid4().hex),
        house.researcher.post("/v1/quotes", body),
        house.researcher.get("/v1/jobs"),
        house.researcher.get("/v1/datasets"),
        house.researcher.get("/v1/budgets/statement"),
        house.officer.get("/v1/datasets"),
        house.policymaker.get("/v1/releases"),
        house.operator.get("/v1/organisations"),
    ]
    for answer in answers:
        assert answer.status_code == 200, answer.text
        assert CANARY not in answer.text


def test_a_private_result_is_read_once_by_the_session_that_asked(house: House) -> None:
    who = house.north
    asked = who.post(f"{PEOPLE}/show", {"reference": house.person, "reason": "follow-up call"}, wait=0)
    place = asked.headers["Location"]
    house.running.wait(lambda: "done" in _states(house, place))
    other_session = house.running.caller(who.handle, "north")
    gone = other_session.get(f"{place}/result")
    assert (gone.status_code, gone.json()["code"]) == (410, "result-gone")
    first = who.get(f"{place}/result")
    assert first.status_code == 200 and first.json()["found"] is True
    second = who.get(f"{place}/result")
    assert (second.status_code, second.json()["code"]) == (410, "result-gone")


def _states(house: House, place: str) -> str:
    listed = house.north.get("/v1/jobs", wait=0).json()["items"]
    return str(next(job["state"] for job in listed if place.endswith(job["id"])))


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/quotes", {TYPED: 1}),
        ("POST", "/v1/quotes", {"datasets": [TYPED * 20], "question": {}}),
        ("POST", "/v1/quotes", {"datasets": {TYPED: 1}, "question": TYPED}),
        ("POST", f"{PEOPLE}/find", {"reference": [TYPED], "reason": 3}),
        ("GET", f"/v1/{TYPED}", None),
        ("GET", f"/v1/datasets/{TYPED}/{TYPED}", None),
        ("GET", f"/v1/jobs?cursor={TYPED}", None),
        ("GET", f"/v1/jobs?limit={TYPED}", None),
        ("GET", f"/v1/jobs/{TYPED}", None),
        (TYPED[:7].upper(), "/v1/jobs", None),
    ],
)
def test_a_refusal_does_not_repeat_what_was_sent(house: House, method: str, path: str, body: object) -> None:
    refused = house.north.call(method, path, body=body, wait=0, headers={"User-Agent": TYPED, "X-Forwarded-For": TYPED})
    assert 400 <= refused.status_code < 500
    assert refused.headers["content-type"] == "application/problem+json"
    assert TYPED.lower() not in refused.text.lower()
    assert set(refused.json()) <= {"type", "status", "code", "title", "detail", "advice"}
    for name in ("log", "metrics"):
        assert TYPED.lower().encode() not in _bytes_left(house)[name].lower()


def test_a_fault_of_the_program_says_one_fixed_sentence(house: House) -> None:
    this = (projection.c.kind == "signer", projection.c.name == "signer")
    with house.running.store.writing() as connection:
        whole = connection.scalar(select(projection.c.document).where(*this))
        connection.execute(update(projection).where(*this).values(document="{" + TYPED))
    try:
        release = _any_release(house)
        failed = house.north.get(f"/v1/releases/{release}/verification", wait=0)
    finally:
        with house.running.store.writing() as connection:
            connection.execute(update(projection).where(*this).values(document=whole))
    assert failed.status_code == 500
    found = failed.json()
    assert (found["code"], "detail" in found) == ("internal", False)
    assert TYPED not in failed.text
    log = house.running.log.read_text(encoding="utf-8")
    assert '"kind":"JSONDecodeError"' in log and TYPED not in log and "Traceback" not in log


def _any_release(house: House) -> str:
    from casehaven.core.release_rows import add_release

    release_id = uuid4().hex
    with house.running.store.writing() as connection:
        add_release(connection, release_id, "north", {"organisation": "north", "files": []}, now=1)
    return release_id


def test_every_line_of_the_log_has_fields_of_the_list_alone(house: House) -> None:
    _look_at_people(house)
    lines = [line for line in house.running.log.read_text(encoding="utf-8").splitlines() if line.startswith("{")]
    assert len(lines) > 10
    for line in lines:
        found = json.loads(line)
        assert set(found) <= {"at", *FIELDS}
        for name, value in found.items():
            assert name == "at" or FIELDS[name].fullmatch(value), line
    others = [line for line in house.running.log.read_text().splitlines() if not line.startswith("{")]
    assert all(line.startswith(("raises ", "service ", "set up ")) for line in others), others
