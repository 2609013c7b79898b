"""What a member asked the worker for ends with the member: it is cancelled with them, and looked at again when it begins."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest
from sqlalchemy import select, update

from casehaven.core import jobs
from casehaven.core.job_kinds import KINDS
from casehaven.core.jobs import NewJob, TakenJob
from casehaven.core.service_tables import job as table
from casehaven.organisations import members
from casehaven.organisations.errors import ForbiddenError, NotFoundError, NotSignedInError
from casehaven.organisations.roles import Role
from casehaven.signin import joining
from casehaven.worker.loop import Worker, WorkerSettings
from casehaven.worker.standing import OPERATIONS, SERVICE_KINDS, require_standing
from casehaven.worker.work import Bench, Work

if TYPE_CHECKING:
    from tests.front_door import FrontDoor, Person


def _queue(door: FrontDoor, person: Person, kind: str, *, organisation: str = "north", dataset: str = "") -> str:
    whose = door.member(person.handle)
    new = NewJob(
        kind=kind,
        now=door.clock(),
        organisation=organisation,
        dataset=dataset,
        member_id=whose.id,
        member_organisation=whose.organisation,
        request={"actor": person.handle},
    )
    with door.site.writing() as connection:
        return jobs.enqueue(connection, new)


def _states(door: FrontDoor) -> dict[str, tuple[str, int]]:
    with door.site.reading() as connection:
        return {row.kind: (row.state, row.cancelling) for row in connection.execute(select(table))}


def _taken(door: FrontDoor, kind: str) -> TakenJob:
    with door.site.writing() as connection:
        connection.execute(update(table).where(table.c.kind == "organisation.keys").values(state="done"))
        found = jobs.take(connection, lane=KINDS[kind].lane, worker="w", now=door.clock())
    assert found is not None and found.kind.name == kind
    return found


def _check(door: FrontDoor, taken: TakenJob) -> None:
    with door.site.reading() as connection:
        require_standing(connection, taken, now=door.clock())


def test_every_kind_of_job_has_an_operation_or_is_the_services_own() -> None:
    assert OPERATIONS.keys() | SERVICE_KINDS == KINDS.keys()
    assert not OPERATIONS.keys() & SERVICE_KINDS


@pytest.mark.parametrize("how", ["end", "sign_out"])
def test_what_waits_is_cancelled_and_what_runs_is_asked_to_stop(either_door: FrontDoor, how: str) -> None:
    door = either_door
    ana = door.set_up()
    ben = door.join(ana, "ben", Role.STEWARD)
    _queue(door, ben, "audit.verify")
    _queue(door, ben, "person.erase", dataset="north/cases")
    _taken(door, "audit.verify")
    _queue(door, ana, "person.show", dataset="north/cases")
    ended = joining.end_member if how == "end" else joining.sign_out_member
    ended(door.site, door.principal(ana), handle="ben")
    states = _states(door)
    assert states["person.erase"] == ("cancelled", 0)
    assert states["audit.verify"] == ("running", 1)
    assert states["person.show"] == ("queued", 0)  # somebody else's


def test_the_keys_of_an_organisation_are_made_even_when_its_first_member_is_signed_out(door: FrontDoor) -> None:
    ana = door.set_up()
    ben = door.join(ana, "ben", Role.STEWARD, Role.PRIVACY_OFFICER)
    joining.end_member(door.site, door.principal(ben), handle="ana")
    assert _states(door)["organisation.keys"] == ("queued", 0)


@pytest.mark.parametrize("kind", sorted(OPERATIONS))
def test_a_member_who_ended_or_lost_the_role_has_nothing_done(door: FrontDoor, kind: str) -> None:
    """The rows are put in behind the back of the service, as a race would leave them."""
    ana = door.set_up()
    ben = door.join(ana, "ben", Role.STEWARD, Role.PRIVACY_OFFICER)
    _queue(door, ben, kind, dataset="north/cases")
    taken = _taken(door, kind)
    _check(door, taken)
    with door.site.writing() as connection:
        for role in (Role.STEWARD, Role.PRIVACY_OFFICER):
            members.revoke_role(connection, door.clock(), door.principal(ana), handle="ben", role=role)
    with pytest.raises(ForbiddenError):
        _check(door, taken)
    with door.site.writing() as connection:
        members.end_member(connection, door.clock(), door.principal(ana), handle="ben")
    with pytest.raises(NotSignedInError):
        _check(door, taken)


def test_a_job_about_others_is_refused_even_where_a_row_says_so(door: FrontDoor) -> None:
    ana = door.set_up()
    door.found("eve", "south")
    _queue(door, ana, "person.show", organisation="south", dataset="south/cases")
    with pytest.raises(NotFoundError):
        _check(door, _taken(door, "person.show"))


@pytest.mark.parametrize("actor", ["ana", "", None])
def test_a_job_is_done_under_its_askers_own_handle_or_not_at_all(door: FrontDoor, actor: str | None) -> None:
    """A row that names somebody else, or nobody, would be written into the audit log under that name."""
    ben = door.join(door.set_up(), "ben", Role.STEWARD)
    _queue(door, ben, "person.show", dataset="north/cases")
    taken = _taken(door, "person.show")
    _check(door, taken)
    with pytest.raises(NotSignedInError):
        _check(door, replace(taken, request={} if actor is None else {"actor": actor}))


def test_the_worker_looks_before_the_handler(door: FrontDoor) -> None:
    """The bench is empty: a handler that began would fail otherwise."""
    ana = door.set_up()
    ben = door.join(ana, "ben", Role.STEWARD)
    _queue(door, ben, "person.erase", dataset="north/cases")
    taken = _taken(door, "person.erase")
    with door.site.writing() as connection:
        members.end_member(connection, door.clock(), door.principal(ana), handle="ben")
    worker = Worker(store=door.store, settings=cast(WorkerSettings, None), name="w")
    worker._do(Work(job=taken, bench=cast(Bench, None)))
    with door.site.reading() as connection:
        row = connection.execute(select(table).where(table.c.kind == "person.erase")).one()
    assert (row.outcome, row.code) == ("failed", "not-signed-in")
