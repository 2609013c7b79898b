"""What a job that needs a second factor is signed with, and that nothing else is taken in its place."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete
from tests.front_door import SoftPasskey

from casehaven.core import jobs
from casehaven.core.job_kinds import KINDS
from casehaven.organisations.access import STEP_UP, Operation
from casehaven.organisations.errors import NotSignedInError
from casehaven.organisations.roles import Role
from casehaven.signin.errors import AssertionNeededError, JobAssertionError
from casehaven.signin.job_assertions import FIELD, SECONDS, Signed, Taken, check_signed, new_challenge, parse_header
from casehaven.signin.models import passkey as passkeys
from casehaven.signin.sessions import step_up_session
from casehaven.signin.tokens import make_token, revoke_token
from casehaven.worker.assertions import require_signed
from casehaven.worker.standing import OPERATIONS, SERVICE_KINDS, is_signed, require_standing
from casehaven.worker.work import Bench, Work

if TYPE_CHECKING:
    from tests.front_door import FrontDoor, Person

SHOW = Signed(
    kind="person.show",
    organisation="north",
    dataset="north/cases",
    handle="ana",
    request={},
    private={"reference": "r-1", "reason": "a call"},
    result_key=bytes(32),
)


def carried(passkey: SoftPasskey, signed: Signed, now: int) -> dict[str, Any]:
    """Sign what is asked, as a browser does, and return what the worker finds."""
    needed = new_challenge(signed, now).members
    answer = passkey.sign({"challenge": needed["challenge"]})
    text = json.dumps({"nonce": needed["nonce"], "at": needed["at"], "assertion": answer})
    return parse_header(base64.urlsafe_b64encode(text.encode()).decode().rstrip("="))


def checked(door: FrontDoor, found: object, signed: Signed = SHOW, *, later: int = 0, **other: Any) -> None:
    named = {"member_id": door.member("ana").id, "job_id": "j1", "taken": Taken(), **other}
    with door.site.reading() as connection:
        check_signed(connection, signed, found, origin=door.site.origin, now=door.clock() + later, **named)


@pytest.fixture
def ana(door: FrontDoor) -> Person:
    return door.set_up()


def test_what_was_signed_is_taken(door: FrontDoor, ana: Person) -> None:
    checked(door, carried(ana.passkey, SHOW, door.clock()), later=SECONDS)


@pytest.mark.parametrize(
    "other",
    [
        replace(SHOW, kind="person.export"),
        replace(SHOW, organisation="south"),
        replace(SHOW, dataset="north/other"),
        replace(SHOW, handle="ben"),
        replace(SHOW, request={"decision": "publish"}),
        replace(SHOW, private={"reference": "r-2", "reason": "a call"}),
        replace(SHOW, private={"reference": "r-1", "reason": "a call", "origin": "x"}),
        replace(SHOW, private=None),
        replace(SHOW, result_key=bytes(31) + b"1"),
        replace(SHOW, result_key=None),
    ],
    ids=lambda signed: next(name for name, value in vars(signed).items() if value != getattr(SHOW, name)),
)
def test_a_signature_fits_no_other_job(door: FrontDoor, ana: Person, other: Signed) -> None:
    found = carried(ana.passkey, SHOW, door.clock())
    with pytest.raises(JobAssertionError):
        checked(door, found, other)


def test_who_brought_it_is_not_part_of_what_is_signed(door: FrontDoor, ana: Person) -> None:
    found = carried(ana.passkey, SHOW, door.clock())
    request = {"actor": "ana", "session": "s", FIELD: {"a": 1}}
    private = {**(SHOW.private or {}), FIELD: {"b": 2}}
    checked(door, found, replace(SHOW, request=request, private=private))


def test_an_old_one_one_from_the_future_and_one_of_another_job_are_refused(door: FrontDoor, ana: Person) -> None:
    found, taken = carried(ana.passkey, SHOW, door.clock()), Taken()
    for later in (SECONDS + 1, -31):
        with pytest.raises(JobAssertionError):
            checked(door, found, later=later)
    checked(door, found, taken=taken)
    checked(door, found, taken=taken, later=9)  # a second attempt at the same job
    with pytest.raises(JobAssertionError):
        checked(door, found, taken=taken, job_id="j2", later=SECONDS)


def test_a_passkey_of_somebody_else_or_of_nobody_does_not_sign(door: FrontDoor, ana: Person) -> None:
    ben = door.join(ana, "ben", Role.STEWARD)
    for passkey in (ben.passkey, SoftPasskey(), SoftPasskey(credential=ana.passkey.credential)):
        with pytest.raises(JobAssertionError):
            checked(door, carried(passkey, SHOW, door.clock()))
    with pytest.raises(JobAssertionError):
        checked(door, carried(ben.passkey, SHOW, door.clock()), member_id=ana.handle)


def test_a_passkey_that_did_not_verify_the_person_or_answers_elsewhere_does_not_sign(
    door: FrontDoor, ana: Person
) -> None:
    for change in ({"flags": 0b0100_0001}, {"origin": "http://localhost:1"}, {"rp_id": "elsewhere"}):
        with pytest.raises(JobAssertionError):
            checked(door, carried(replace(ana.passkey, **change), SHOW, door.clock()))


def test_nonce_and_time_are_signed(door: FrontDoor, ana: Person) -> None:
    found = carried(ana.passkey, SHOW, door.clock())
    for change in ({"nonce": "00" * 16}, {"at": found["at"] + 1}):
        with pytest.raises(JobAssertionError):
            checked(door, {**found, **change})


@pytest.mark.parametrize("text", ["", "x", "e30", "W10", base64.urlsafe_b64encode(b"[" * 5_000).decode(), "A" * 9_000])
def test_what_is_no_assertion_is_refused_by_its_form(text: str) -> None:
    with pytest.raises(JobAssertionError):
        parse_header(text)


@pytest.mark.parametrize("found", [None, {}, [], {"nonce": 1}, {"nonce": "a", "at": "b", "assertion": {}}])
def test_a_job_without_one_is_refused(door: FrontDoor, ana: Person, found: Any) -> None:
    with pytest.raises(JobAssertionError):
        checked(door, found)


# --- the worker -----------------------------------------------------------------------------------------------------------------


def work(door: FrontDoor, person: Person, request: dict[str, Any], kind: str = "release.decide") -> Work:
    member = door.member(person.handle)
    new = jobs.NewJob(
        kind=kind,
        now=door.clock(),
        organisation="north",
        member_id=member.id,
        request={"release": "r", "decision": "publish", "actor": person.handle, **request},
    )
    with door.site.writing() as connection:
        jobs.enqueue(connection, new)
        taken = jobs.take(connection, lane=KINDS[kind].lane, worker="w", now=door.clock())
        while taken is not None and taken.job_id != new.job_id:
            taken = jobs.take(connection, lane=KINDS[kind].lane, worker="w", now=door.clock())
    assert taken is not None
    nothing: Any = None
    bench = Bench(
        store=door.store, vault=nothing, ledger=nothing, held=nothing, signing_key=Path("none"), clock=door.clock
    )
    return Work(job=taken, bench=bench)


DECIDE = Signed(
    kind="release.decide",
    organisation="north",
    dataset="",
    handle="ana",
    request={"release": "r", "decision": "publish"},
    private=None,
    result_key=None,
)


def test_in_split_mode_a_member_with_a_passkey_signs_and_a_second_factor_alone_is_not_enough(
    door: FrontDoor, ana: Person
) -> None:
    session = door.principal(ana).session_id
    with pytest.raises(JobAssertionError):
        require_signed(work(door, ana, {"session": session}), Taken(), demanded=True)
    signed = {**carried(ana.passkey, DECIDE, door.clock()), "origin": door.site.origin}
    require_signed(work(door, ana, {FIELD: signed}), Taken(), demanded=True)
    with pytest.raises(JobAssertionError):  # an api that asks for something else with it
        require_signed(work(door, ana, {FIELD: signed, "decision": "withhold"}), Taken(), demanded=True)


def test_where_nothing_is_signed_the_session_has_a_fresh_second_factor(door: FrontDoor, ana: Person) -> None:
    session = door.principal(ana).session_id
    require_signed(work(door, ana, {"session": session}), Taken(), demanded=False)
    for wrong in (
        {},
        {"session": "nobody"},
        {"session": door.principal(door.join(ana, "ben", Role.STEWARD)).session_id},
    ):
        with pytest.raises(JobAssertionError):
            require_signed(work(door, ana, wrong), Taken(), demanded=False)
    door.clock.now += 300
    late = work(door, ana, {"session": session})
    with pytest.raises(JobAssertionError):
        require_signed(late, Taken(), demanded=False)
    with door.site.writing() as connection:
        assert step_up_session(connection, door.clock(), ana.session) is not None
    require_signed(late, Taken(), demanded=False)


def test_in_split_mode_a_member_without_a_passkey_gives_a_second_factor(door: FrontDoor, ana: Person) -> None:
    session = door.principal(ana).session_id
    with door.site.writing() as connection:
        connection.execute(delete(passkeys))
    require_signed(work(door, ana, {"session": session}), Taken(), demanded=True)
    with pytest.raises(JobAssertionError):
        require_signed(work(door, ana, {}), Taken(), demanded=True)


def test_kinds_that_need_a_second_factor_are_signed_but_those_that_are_a_signature_themselves() -> None:
    signed = {kind for kind in KINDS if is_signed(kind)}
    assert {"person.show", "person.correct", "person.export", "person.erase", "release.run", "release.decide"} <= signed
    assert {"audit.report", "statistics.tables"} <= signed
    own = {kind for kind in OPERATIONS if OPERATIONS[kind] in STEP_UP} - signed
    assert own <= {"agreement.sign", "release.approve"}
    assert not signed & SERVICE_KINDS


def test_what_a_token_asked_for_is_not_done_when_it_was_revoked_or_has_ended(door: FrontDoor, ana: Person) -> None:
    with door.site.writing() as connection:
        made, _ = make_token(
            connection,
            door.clock(),
            door.principal(ana),
            name="nightly",
            operations=frozenset({Operation.AUDIT_VERIFY}),
            days=1,
        )
    queued = work(door, ana, {"token": made.id}, "audit.verify")
    other = work(door, ana, {"token": made.id}, "release.plan")

    def check(one: Work, now: int) -> None:
        with door.site.reading() as connection:
            require_standing(connection, one.job, now=now)

    check(queued, door.clock())
    for one, now in ((queued, door.clock() + 86_400), (other, door.clock())):
        with pytest.raises(NotSignedInError):
            check(one, now)
    with door.site.writing() as connection:
        revoke_token(connection, door.clock(), door.principal(ana), made.id)
    with pytest.raises(NotSignedInError):
        check(queued, door.clock())


def test_the_refusal_says_what_is_to_be_signed() -> None:
    needed = new_challenge(SHOW, 100)
    assert isinstance(needed, AssertionNeededError)
    assert set(needed.members) == {"challenge", "nonce", "at", "header"}
    assert new_challenge(SHOW, 100).members["challenge"] != needed.members["challenge"]
