"""The worker is killed in the middle of questions and uploads: the api stays, the ledger is right, each job ends (threat 25, privacy rule 14). On SQLite and on Postgres.

Where the kill falls is left to chance; what is asserted holds wherever it falls.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from tests.service.api.conftest import Caller, House, RunningService, furnish, made_up_cases, served
from tests.service.api.test_thin_path import asking

from casehaven.ledger import IdempotencyKey, Ledger

if TYPE_CHECKING:
    from tests.service.conftest import Postgres


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.audit)])
def own(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A service of these tests' own; each has a dataset of its own in it."""
    tmp_path = tmp_path_factory.mktemp("abort")
    if request.param == "sqlite":
        with served(tmp_path / "house") as running:
            yield furnish(running)
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    address = postgres()
    with served(tmp_path / "house", database=address) as running:
        yield furnish(running)
    postgres.give_back(address)


def kill_worker(running: RunningService, how: signal.Signals) -> int:
    """End the worker's process as a fault would, and return its number."""
    running.wait(lambda: running.worker_pid() > 0, 60)
    pid = running.worker_pid()
    os.kill(pid, how)
    return pid


def ended(who: Caller, place: str) -> tuple[int, dict[str, Any]]:
    """Wait for the end of a job."""
    until = time.monotonic() + 150
    while time.monotonic() < until:
        answer = who.get(place)
        if answer.status_code != 202:
            return answer.status_code, answer.json()
    raise AssertionError("the job did not end")


def test_a_killed_worker_takes_nothing_with_it(own: House) -> None:
    running, who = own.running, own.north
    ledger_path = running.folder / "ledger.sqlite"
    kills = ((signal.SIGKILL, 0.0), (signal.SIGABRT, 0.15), (signal.SIGKILL, 0.4))
    prices = 0
    for number, (how, pause) in enumerate(kills):
        question = {"by": ["gender"], "accuracy": {"within_people": 90 - number}}
        key = uuid4().hex
        price = who.done("/v1/quotes", asking(question))["nano_rho"]
        prices += price
        started = who.post("/v1/answers", asking(question), key=key, wait=0)
        place = started.headers["Location"]
        time.sleep(pause)
        old = kill_worker(running, how)
        assert running.client().get("/v1").status_code == 200  # the api never went away
        assert who.get(place, wait=0).status_code in (200, 202)
        status, job = ended(who, place)
        running.wait(partial(_another_worker, running, old))
        ledger, charged_as = Ledger.open(ledger_path), IdempotencyKey(text=f"job-{job.get('id', job.get('job'))}")
        if status != 200:  # the tick came before the next worker was through: what it stores is found by asking again
            assert (status, job["code"]) == (409, "charged-failure"), job
            running.wait(partial(_is_shown, ledger, charged_as))
        charge = ledger.find(charged_as)
        assert charge is not None and charge.receipt.loss.nano_rho == price  # charged, and charged once
        again = who.done("/v1/answers", asking(question))
        assert (again["free"], again["charged_nano_rho"]) == ("stored", None)
        repeated = who.post("/v1/answers", asking(question), key=key)
        assert repeated.status_code == status
        if status == 200:
            assert repeated.json()["result"] == job["result"]
            assert again["answer"] == job["result"]["answer"]
    spent = {row.spent_nano_rho for row in Ledger.open(ledger_path).statement().rows if row.dataset == "north/cases"}
    assert spent == {prices}


def _another_worker(running: RunningService, old: int) -> bool:
    return running.worker_pid() not in (0, old)


def _is_shown(ledger: Ledger, key: IdempotencyKey) -> bool:
    """Whether the answer to a charge is stored, and its tick has come."""
    charge = ledger.find(key)
    stored = None if charge is None else ledger.answer_of(charge.receipt)
    return stored is not None and stored.visible_at <= time.time()


def test_an_upload_that_was_cut_off_is_taken_in_once(own: House) -> None:
    running, who = own.running, own.north
    who.done("/v1/organisations/north/datasets", {"name": "more", "schema": "ctdc-global", "people_cap": 3_000})
    place = "/v1/datasets/north/more/uploads"
    sent = who.call("POST", place, content=made_up_cases(1_500, 7), key=uuid4().hex).json()
    mapping = who.done(f"{place}/{sent['id']}/proposal", {})["mapping"]
    started = who.post(f"{place}/{sent['id']}/commit", {"mapping": mapping}, key=uuid4().hex, wait=0)
    time.sleep(0.3)
    kill_worker(running, signal.SIGKILL)
    status, job = ended(who, started.headers["Location"])
    assert status == 200, job
    assert who.get(f"{place}/{sent['id']}", wait=0).json()["state"] == "committed"
    again = who.call("POST", place, content=made_up_cases(1_500, 7), key=uuid4().hex).json()
    assert who.done(f"{place}/{again['id']}/commit", {"mapping": mapping})["repeated"] is True
    assert not list((running.folder / "uploads").iterdir())


def test_a_worker_ends_when_its_supervisor_is_killed_and_the_next_one_takes_up_its_jobs(tmp_path: Path) -> None:
    with served(tmp_path / "house") as running:
        north = running.organisation("north")
        worker = running.worker_pid()
        running.process.kill()
        running.process.wait()
        until = time.monotonic() + 120
        while Path(f"/proc/{worker}").exists():
            assert time.monotonic() < until, "the worker went on alone"
            time.sleep(0.1)
    with served(tmp_path / "house") as again:
        who = again.caller(north.handle, "north")
        made = {"name": "cases", "schema": "ctdc-global", "people_cap": 50}
        assert who.done("/v1/organisations/north/datasets", made)["name"] == "cases"
        worker = again.worker_pid()
    assert not Path(f"/proc/{worker}").exists()  # a signal to the supervisor ends both
