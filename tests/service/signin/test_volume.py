"""How many persons one member is shown or exports in a day before others hear of it, and before a second person has to say yes (threat 17)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, update

from casehaven.core import jobs
from casehaven.core.service_tables import job
from casehaven.organisations.errors import ForbiddenError, NotFoundError, StepUpNeededError
from casehaven.organisations.models import event
from casehaven.organisations.roles import Role
from casehaven.signin.errors import SecondPersonError, VolumeApprovalError
from casehaven.signin.volume import ALARM, APPROVED, BOUNDS, approve, count

if TYPE_CHECKING:
    from tests.front_door import FrontDoor, Person

EXPORTS, LOOKS, LISTS = BOUNDS


def ask(door: FrontDoor, person: Person, kind: str, times: int) -> int:
    """Ask so many times, as a route does, and return how often it was let through."""
    member = door.member(person.handle)
    for done in range(times):
        with door.site.writing() as connection:
            try:
                count(
                    connection,
                    door.clock(),
                    member_id=member.id,
                    handle=member.handle,
                    organisation=member.organisation,
                    kind=kind,
                )
            except SecondPersonError:
                return done
            jobs.enqueue(connection, jobs.NewJob(kind=kind, now=door.clock(), member_id=member.id))
            connection.execute(update(job).where(job.c.state == "queued").values(state="cancelled"))
    return times


def told(door: FrontDoor, action: str) -> list[tuple[str, str]]:
    with door.site.reading() as connection:
        rows = connection.execute(select(event.c.actor, event.c.object_id).where(event.c.action == action))
        return [(row.actor, row.object_id) for row in rows]


def approved(door: FrontDoor, by: Person, handle: str) -> None:
    principal = door.principal(by)  # reads the store itself
    with door.site.writing() as connection:
        approve(connection, door.clock(), principal, handle=handle)


@pytest.fixture
def ana(door: FrontDoor) -> Person:
    return door.set_up()


def test_an_alarm_is_told_once_a_day_and_the_bound_holds_until_a_second_person_approves(
    door: FrontDoor, ana: Person
) -> None:
    ben = door.join(ana, "ben", Role.STEWARD)
    assert ask(door, ben, "person.export", EXPORTS.alarm) == EXPORTS.alarm
    assert told(door, ALARM) == []
    assert ask(door, ben, "person.export", 100) == EXPORTS.most - EXPORTS.alarm
    assert told(door, ALARM) == [("ben", "ben:exports")]
    assert ask(door, ben, "person.export", 1) == 0
    assert ask(door, ben, "person.show", 3) == 3  # looks have a bound of their own
    approved(door, ana, "ben")
    assert told(door, APPROVED) == [("ana", "ben")]
    assert ask(door, ben, "person.export", 100) == EXPORTS.most
    assert told(door, ALARM) == [("ben", "ben:exports")]


def test_lists_of_persons_are_told_of_and_take_a_second_person(door: FrontDoor, ana: Person) -> None:
    ben = door.join(ana, "ben", Role.STEWARD)
    assert ask(door, ben, "person.due", LISTS.alarm) == LISTS.alarm
    assert told(door, ALARM) == []
    assert ask(door, ben, "person.duplicates", 100) == LISTS.most - LISTS.alarm
    assert told(door, ALARM) == [("ben", "ben:lists")]
    assert ask(door, ben, "person.due", 1) == 0
    assert ask(door, ben, "person.show", 3) == 3
    approved(door, ana, "ben")
    assert ask(door, ben, "person.due", 100) == LISTS.most


def test_an_export_is_a_look_as_well(door: FrontDoor, ana: Person) -> None:
    assert ask(door, ana, "person.export", 15) == 15
    assert ask(door, ana, "person.show", 1_000) == LOOKS.most - 15
    assert ask(door, ana, "person.export", 1) == 0
    assert ask(door, ana, "person.find", 1) == 1
    assert {about for _, about in told(door, ALARM)} == {"ana:exports", "ana:looks"}


def test_the_next_day_begins_anew_and_an_approval_ends_with_its_day(door: FrontDoor, ana: Person) -> None:
    ben = door.join(ana, "ben", Role.STEWARD)
    door.clock.now = 1_800_057_600  # a midnight, UTC
    door.sign_in(ana)
    approved(door, ana, "ben")
    assert ask(door, ben, "person.export", 100) == 2 * EXPORTS.most
    door.clock.now += 86_399
    assert ask(door, ben, "person.export", 1) == 0
    door.clock.now += 1
    assert ask(door, ben, "person.export", 100) == EXPORTS.most


def test_one_member_uses_up_nothing_of_another(door: FrontDoor, ana: Person) -> None:
    ben = door.join(ana, "ben", Role.STEWARD)
    ask(door, ana, "person.export", 100)
    assert ask(door, ben, "person.export", EXPORTS.most) == EXPORTS.most


def test_nobody_approves_for_themselves_or_is_approved_by_somebody_they_let_in(door: FrontDoor, ana: Person) -> None:
    ben = door.join(ana, "ben", Role.STEWARD)
    eve = door.join(ben, "eve", Role.STEWARD)
    for approver, member in ((ana, "ana"), (ben, "ana"), (eve, "ana"), (eve, "ben")):
        with pytest.raises(VolumeApprovalError):
            approved(door, approver, member)
    approved(door, ben, "eve")
    approved(door, ana, "eve")


def test_who_may_approve(door: FrontDoor, ana: Person) -> None:
    carla = door.join(ana, "carla", Role.CASEWORKER)
    otto = door.join(ana, "otto", Role.PRIVACY_OFFICER)
    eve = door.found("eve", "south")
    approved(door, otto, "carla")
    with pytest.raises(ForbiddenError):
        approved(door, carla, "otto")
    with pytest.raises(NotFoundError):
        approved(door, eve, "carla")
    with pytest.raises(NotFoundError):
        approved(door, ana, "nobody")
    door.clock.now += 300
    with pytest.raises(StepUpNeededError):
        approved(door, otto, "carla")
