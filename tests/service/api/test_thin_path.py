"""The whole way over HTTP, with a real api, a real worker, real encryption and real noise: a file in, a question, an answer with its interval, the budget."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from sqlalchemy import select

from casehaven.core.service_tables import job

if TYPE_CHECKING:
    from tests.service.api.conftest import House

QUESTION = {"by": ["gender"], "accuracy": {"within_people": 60}}


def asking(question: dict[str, Any] = QUESTION, *datasets: str) -> dict[str, Any]:
    """Return the body of a question."""
    return {"datasets": list(datasets) or ["north/cases"], "question": question}


def test_a_question_is_quoted_charged_answered_with_intervals_and_free_the_second_time(house: House) -> None:
    who, question = house.researcher, {"by": ["gender"], "accuracy": {"within_people": 21}}
    quote = who.done("/v1/quotes", asking(question))
    assert quote["nano_rho"] > 0
    key = uuid4().hex
    first = who.done("/v1/answers", asking(question), key=key)
    assert first["charged_nano_rho"] == quote["nano_rho"]
    rows = [row for row in first["answer"]["rows"] if not row.get("hidden")]
    assert rows
    for row in rows:
        assert row["low"] <= row["estimate"] <= row["high"]
        assert row["high"] - row["low"] >= 20
    assert who.done("/v1/answers", asking(question), key=key) == first
    again = who.done("/v1/answers", asking(question))
    assert (again["free"], again["charged_nano_rho"]) == ("stored", None)
    assert again["answer"] == first["answer"]


def test_the_same_key_with_another_question_is_refused(house: House) -> None:
    key = uuid4().hex
    house.researcher.done("/v1/answers", asking(), key=key)
    other = house.researcher.post("/v1/answers", asking({**QUESTION, "accuracy": {"within_people": 80}}), key=key)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency-key-reused")
    elsewhere = house.north.post("/v1/answers", asking(), key=key)
    assert elsewhere.status_code in (200, 202)  # of another member: another key
    made = {"name": "other", "schema": "ctdc-global", "people_cap": 50}
    house.north.done("/v1/organisations/north/datasets", made)
    key = uuid4().hex
    house.north.done("/v1/answers", asking(), key=key)
    for datasets in (["north/other"], ["north/cases", "north/other"]):
        moved = house.north.post("/v1/answers", {**asking(), "datasets": datasets}, key=key)
        assert (moved.status_code, moved.json()["code"]) == (409, "idempotency-key-reused")
    without = house.researcher.post("/v1/answers", asking())
    assert (without.status_code, without.json()["code"]) == (400, "idempotency-key-needed")


def test_an_answer_is_running_until_its_tick_and_nothing_of_it_is_shown(house: House) -> None:
    question = {
        "by": ["typeOfSexPornography"],
        "accuracy": {"within_people": 75},
    }  # that no other test of this house asks
    started = house.researcher.post("/v1/answers", asking(question), key=uuid4().hex, wait=0)
    assert started.status_code == 202
    place = started.headers["Location"]
    shown = started.json()
    while shown["state"] in ("queued", "running"):
        assert "result" not in shown and "problem" not in shown
        assert shown["progress"] is None
        time.sleep(0.1)
        answer = house.researcher.get(place, wait=0)
        assert answer.status_code in (200, 202), answer.text
        shown = answer.json()
    assert shown["state"] == "done"
    with house.running.store.reading() as connection:
        row = connection.execute(select(job).where(job.c.job_id == shown["id"])).one()
    assert shown["ended_at"] == row.visible_at
    assert row.visible_at >= row.ended_at
    assert row.visible_at - row.queued_at >= 2  # a whole period of the schedule


def test_the_budget_statement_is_signed_and_names_the_dataset(house: House) -> None:
    found = house.north.get("/v1/budgets/statement").json()["result"]
    assert "north/cases" in found["words"]
    assert '"signature"' in found["signed"]
    allowances = house.researcher.get("/v1/budgets/allowances").json()["result"]["allowances"]
    assert [one["dataset"] for one in allowances] == ["north/cases"]
    assert 0 <= allowances[0]["left_nano_rho"] <= 20_000_000


def test_a_researcher_without_a_grant_does_not_see_that_a_dataset_is_there(house: House) -> None:
    assert [one["organisation"] for one in house.researcher.get("/v1/datasets").json()["items"]] == ["north"]
    for names in (["south/cases"], ["south/nothing"], ["nobody/cases"], ["north/cases", "south/cases"]):
        refused = house.researcher.post("/v1/quotes", {"datasets": names, "question": QUESTION})
        assert (refused.status_code, refused.json()["code"]) == (404, "not-found")
