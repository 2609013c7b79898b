"""Sixteen at once: what works once works once, on SQLite and on Postgres."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from casehaven.organisations import members
from casehaven.organisations.errors import LastHolderError, NotFoundError, NotSignedInError
from casehaven.organisations.roles import Role
from casehaven.signin import codes, guesses, joining, recovery, sign_in
from casehaven.signin.errors import BrokenCodeError, SignInError, TooManyGuessesError
from casehaven.signin.models import recovery_code, session
from casehaven.signin.sessions import step_up_session

if TYPE_CHECKING:
    from tests.front_door import FrontDoor

THREADS = 16


def _at_once(work: Callable[[int], object], *refusals: type[Exception]) -> list[object]:
    """Results of those who were not refused; they all start together."""
    start = threading.Barrier(THREADS)

    def run(number: int) -> object:
        start.wait(60)
        return work(number)

    with ThreadPoolExecutor(THREADS) as pool:
        done = [pool.submit(run, number) for number in range(THREADS)]
    return [each.result() for each in done if not isinstance(each.exception(), refusals)]


def test_one_recovery_code_lets_one_in(either_door: FrontDoor) -> None:
    door = either_door
    ana = door.set_up()
    door.give_password(ana)
    whose, code = door.member("ana").id, ana.recovery_codes[0]

    def use(_: int) -> str | None:
        with door.site.writing() as connection:
            return codes.take_code(connection, door.clock(), door.site.key, whose, code)

    assert sorted(str(found) for found in _at_once(use)) == ["None"] * (THREADS - 1) + ["recovery"]
    with door.site.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(recovery_code)) == 9


def test_one_code_of_the_app_lets_one_in(either_door: FrontDoor) -> None:
    door = either_door
    ana = door.set_up()
    door.give_password(ana)
    whose, code = door.member("ana").id, ana.code(door.clock())

    def use(_: int) -> bool:
        with door.site.writing() as connection:
            return codes.take_app_code(connection, door.clock(), door.site.key, whose, code)

    assert sum(bool(found) for found in _at_once(use)) == 1


def test_one_answer_of_a_passkey_lets_one_in(either_door: FrontDoor) -> None:
    door = either_door
    ana = door.set_up()
    ana.passkey.count = -1  # a passkey that never counts: only the challenge stands against a replay
    answer = ana.passkey.sign(sign_in.passkey_options(door.site))
    assert len(_at_once(lambda _: sign_in.sign_in_with_passkey(door.site, answer), SignInError)) == 1


def test_one_invitation_and_one_recovery_begin_one_session(either_door: FrontDoor) -> None:
    door = either_door
    ana = door.set_up()
    ben = door.join(ana, "ben", Role.STEWARD)
    _, code = joining.invite_member(door.site, door.principal(ana), handle="eve", roles=frozenset())
    refused = (BrokenCodeError, TooManyGuessesError)
    began = _at_once(lambda number: joining.join(door.site, code, address=f"192.0.2.{number}"), *refused)
    assert len(began) == 1
    door.enrol("eve", str(began[0]))
    zoe = door.join(ana, "zoe", Role.STEWARD)
    door.settle(ben, zoe)
    halves = [recovery.approve_recovery(door.site, door.principal(one), "eve")[0] for one in (ben, zoe)]
    pair = (halves[0], halves[1])
    again = _at_once(lambda number: recovery.recover(door.site, "eve", pair, address=f"192.0.2.{number}"), *refused)
    assert len(again) == 1


def test_guesses_at_the_same_moment_are_counted_one_by_one(either_door: FrontDoor) -> None:
    door = either_door

    def guess(number: int) -> None:
        with door.site.writing() as connection:
            what = guesses.counted(
                connection, 0, door.site.key, account="ana", address=f"192.0.2.{number}", device_value=None
            )
            guesses.admit(connection, 0, what)

    assert len(_at_once(guess, TooManyGuessesError)) == guesses.ACCOUNT.free + 1


def test_of_two_stewards_who_end_each_other_one_stays(either_door: FrontDoor) -> None:
    door = either_door
    ana = door.set_up()
    ben = door.join(ana, "ben", Role.STEWARD)
    with door.site.writing() as connection:
        members.grant_role(connection, 0, door.principal(ana), handle="ben", role=Role.PRIVACY_OFFICER)
    principals = [door.principal(ana), door.principal(ben)]

    def end(number: int) -> None:
        joining.end_member(door.site, principals[number % 2], handle=("ben", "ana")[number % 2])

    _at_once(end, LastHolderError, NotSignedInError, NotFoundError)
    with door.site.reading() as connection:
        assert len([found for found in members.members_of(connection, "north") if found.active]) == 1


def test_a_session_steps_up_once_per_value(either_door: FrontDoor) -> None:
    door = either_door
    ana = door.set_up()

    def rotate(_: int) -> str | None:
        with door.site.writing() as connection:
            return step_up_session(connection, door.clock(), ana.session)

    assert sum(found is not None for found in _at_once(rotate)) == 1
    with door.site.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(session)) == 1
