"""Drafts when several people act at the same moment, on SQLite and on Postgres."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier, Event, Thread
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select
from tests.publishing import PressRoom, shared_room
from tests.round_table import RoundTable

from casehaven.core.audit_models import audit
from casehaven.core.job_kinds import KINDS
from casehaven.drafts.errors import DraftOverError
from casehaven.drafts.models import release_approval, release_draft_end
from casehaven.organisations.roles import Role
from casehaven.worker import drafts
from casehaven.worker.drafts import APPROVED, approved_release
from casehaven.worker.loop import LANES
from casesynth.privacy import PrivacyLoss

if TYPE_CHECKING:
    from tests.service.conftest import Postgres


@pytest.fixture(params=["sqlite", "postgresql"])
def room(
    request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PressRoom]:
    """A room on each database."""
    shared = shared_room(tmp_path_factory.getbasetemp())
    if request.param == "sqlite":
        yield shared.again(tmp_path / "room")
        return
    server: Postgres = request.getfixturevalue("postgres")
    store, ledger = server(), server()
    cases = tmp_path_factory.getbasetemp() / "round-table-cases"
    table = RoundTable.at(tmp_path, cases=cases, database=store, ledger=ledger)
    yield PressRoom(table=table, officer=table.door.join(table.stewards["north"], "otto", Role.PRIVACY_OFFICER))
    for address in (store, ledger):
        server.give_back(address)


def test_two_stewards_who_approve_at_once_are_one_approval(room: PressRoom) -> None:
    nora = room.table.stewards["north"]
    room.table.step_up(nora)
    nils = room.table.door.join(nora, "nils", Role.STEWARD)
    draft = room.draft()
    works = [room.approval(draft, person) for person in (nora, nils, nora, nils)]
    gate, said = Barrier(len(works)), list[str]()

    def one(place: int) -> None:
        gate.wait()
        drafts.approve(works[place])
        said.append("done")

    threads = [Thread(target=one, args=(place,)) for place in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == ["done"] * len(works)
    with room.table.bench.vault.database.transaction(writes=False) as connection:
        logged = connection.scalar(select(func.count()).select_from(audit).where(audit.c.action == APPROVED))
    with room.table.door.store.reading() as connection:
        stored = connection.scalar(select(func.count()).select_from(release_approval))
    assert (logged, stored) == (1, 1)
    assert room.stored(draft.document.digest).missing == (("privacy_officer", ""),)


def test_a_withdrawal_is_before_the_charge_and_refuses_it_or_after_it(room: PressRoom) -> None:
    draft = room.approve_all(room.draft())
    _, permitted, _ = approved_release(room.running(draft))
    loss, looking, nora = PrivacyLoss(nano_rho=1_000), Event(), room.table.stewards["north"]
    ended = list[int | None]()

    def withdrawing() -> None:
        looking.wait(30)
        room.withdraw_draft(draft, nora)

    thread = Thread(target=withdrawing)
    thread.start()
    with permitted.permit(loss):
        looking.set()
        until = time.monotonic() + 1.5
        while time.monotonic() < until and thread.is_alive():
            with room.table.door.store.reading() as connection:
                ended.append(connection.scalar(select(release_draft_end.c.ended_at)))
            time.sleep(0.05)
    thread.join()
    assert ended and set(ended) == {None}, "a draft was withdrawn between the last look and the charge"
    with pytest.raises(DraftOverError), permitted.permit(loss):
        pytest.fail("charged after the withdrawal")


def test_decisions_and_withdrawals_are_made_one_at_a_time() -> None:
    assert {KINDS[name].lane for name in ("release.decide", "release.withdraw")} == {"long"}
    assert LANES.count("long") == 1
