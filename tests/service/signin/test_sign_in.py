"""Signing in, stepping up and out, on a real store with a clock that stands still."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from casehaven.organisations.errors import NotSignedInError
from casehaven.organisations.roles import Role
from casehaven.signin import sign_in
from casehaven.signin.errors import WrongCredentialsError
from casehaven.signin.sessions import find_session

if TYPE_CHECKING:
    from tests.front_door import FrontDoor


def test_password_and_code_let_the_member_in(either_door: FrontDoor) -> None:
    ana = either_door.set_up()
    either_door.give_password(ana)
    found = either_door.try_password(ana)
    assert found.member.handle == "ana"
    assert either_door.session(found.session).kind == "full"


def test_a_passkey_alone_lets_the_member_in_without_a_handle(either_door: FrontDoor) -> None:
    ana = either_door.set_up()
    before = ana.session
    assert either_door.sign_in(ana) != before
    assert either_door.principal(ana).handle == "ana"


def _answers(door: FrontDoor) -> dict[str, BaseException]:
    ana = door.set_up()
    door.give_password(ana)
    bob = door.join(ana, "bob", Role.CASEWORKER)  # has a passkey and no password
    tried: dict[str, Callable[[], object]] = {
        "wrong password": lambda: door.try_password(ana, password="another lamp, another window"),
        "wrong code": lambda: door.try_password(ana, code=f"{(int(ana.code(door.clock())) + 1) % 10**6:06}"),
        "both wrong": lambda: door.try_password(ana, password="wrong wrong wrong", code="000000"),
        "no code at all": lambda: door.try_password(ana, code="?"),
        "no such recovery code": lambda: door.try_password(ana, code="AAAA-AAAA-AAAA-AAAA-AAAA-AAAA"),
        "unknown handle": lambda: sign_in.sign_in_with_password(
            door.site, handle="nobody", password="a", code="000000", address="192.0.2.9", device=None
        ),
        "member without a password": lambda: door.try_password(bob, code="000000"),
        "half a character": lambda: door.try_password(ana, password="\ud800"),
    }
    answers: dict[str, BaseException] = {}
    for name, attempt in tried.items():
        with pytest.raises(WrongCredentialsError) as caught:
            attempt()
        answers[name] = caught.value
        door.clock.now += 86_400  # what was counted is forgotten
    return answers


def test_whatever_is_wrong_is_answered_alike(door: FrontDoor) -> None:
    answers = _answers(door)
    assert len({(type(error), str(error), error.__cause__) for error in answers.values()}) == 1


def test_an_unknown_handle_costs_the_same_work_as_a_wrong_password(door: FrontDoor) -> None:
    """Processor time, the least of five each: one hash of a password dominates both. A shortcut would make one of them more than ten times as fast."""
    ana = door.set_up()
    door.give_password(ana)

    def least(handle: str) -> float:
        took = []
        for _ in range(5):
            door.clock.now += 86_400
            begin = time.process_time()
            with pytest.raises(WrongCredentialsError):
                sign_in.sign_in_with_password(
                    door.site, handle=handle, password="no", code="000000", address="192.0.2.9", device=None
                )
            took.append(time.process_time() - begin)
        return min(took)

    assert 1 / 3 < least("nobody") / least("ana") < 3


def test_the_same_is_written_for_an_unknown_handle_as_for_a_wrong_password(door: FrontDoor) -> None:
    """Writing takes time too: both write one event and the same counts."""
    ana = door.set_up()
    door.give_password(ana)
    before = len(door.actions())
    for handle in ("ana", "nobody"):
        with pytest.raises(WrongCredentialsError):
            sign_in.sign_in_with_password(
                door.site, handle=handle, password="no", code="000000", address="192.0.2.9", device=None
            )
    assert door.actions()[before:] == ["session.refused"] * 2


def test_a_member_who_ended_or_has_not_joined_gets_in_with_nothing(door: FrontDoor) -> None:
    from casehaven.signin.joining import end_member

    ana = door.set_up()
    bob = door.join(ana, "bob", Role.CASEWORKER)
    door.give_password(bob)
    end_member(door.site, door.principal(ana), handle="bob")
    with pytest.raises(WrongCredentialsError):
        door.try_password(bob)
    with pytest.raises(WrongCredentialsError):
        door.sign_in(bob)
    with pytest.raises(NotSignedInError):
        door.principal(bob)


def test_step_up_is_fresh_for_five_minutes_and_changes_the_cookie(door: FrontDoor) -> None:
    ana = door.set_up()
    door.give_password(ana)
    assert door.principal(ana).stepped_up
    door.clock.now += 300
    assert not door.principal(ana).stepped_up
    old, session = ana.session, door.session(ana.session)
    ana.session = sign_in.step_up_with_code(door.site, session, old, ana.code(door.clock()))
    assert door.principal(ana).stepped_up
    assert door.session(ana.session).id == session.id
    with door.site.reading() as connection:
        assert find_session(connection, door.clock(), old) is None


def test_step_up_takes_an_unused_code_of_the_app_and_no_recovery_code(door: FrontDoor) -> None:
    ana = door.set_up()
    door.give_password(ana)
    session = door.session(ana.session)
    code = ana.code(door.clock())
    ana.session = sign_in.step_up_with_code(door.site, session, ana.session, code)
    for wrong in (code, ana.recovery_codes[0], "000000"):
        with pytest.raises(WrongCredentialsError):
            sign_in.step_up_with_code(door.site, session, ana.session, wrong)


def test_step_up_with_a_passkey_takes_the_members_own_and_a_challenge_of_this_session(door: FrontDoor) -> None:
    ana = door.set_up()
    bob = door.join(ana, "bob", Role.CASEWORKER)
    session = door.session(ana.session)
    for answer in (
        bob.passkey.sign(sign_in.step_up_options(door.site, session)),
        ana.passkey.sign(sign_in.passkey_options(door.site)),
        ana.passkey.sign(sign_in.step_up_options(door.site, door.session(bob.session))),
    ):
        with pytest.raises(WrongCredentialsError):
            sign_in.step_up_with_passkey(door.site, session, ana.session, answer)
    right = ana.passkey.sign(sign_in.step_up_options(door.site, session))
    ana.session = sign_in.step_up_with_passkey(door.site, session, ana.session, right)
    assert door.principal(ana).stepped_up


def test_a_session_that_ended_meanwhile_steps_up_no_more(door: FrontDoor) -> None:
    ana = door.set_up()
    door.give_password(ana)
    session = door.session(ana.session)
    sign_in.sign_out(door.site, session, ana.session, everywhere=False)
    with pytest.raises(NotSignedInError):
        sign_in.step_up_with_code(door.site, session, ana.session, ana.code(door.clock()))


def test_signing_out_everywhere_ends_every_session(door: FrontDoor) -> None:
    ana = door.set_up()
    first = ana.session
    second = door.sign_in(ana)
    sign_in.sign_out(door.site, door.session(second), second, everywhere=True)
    with door.site.reading() as connection:
        assert [find_session(connection, door.clock(), value) for value in (first, second)] == [None, None]


def test_signing_out_here_leaves_other_sessions(door: FrontDoor) -> None:
    ana = door.set_up()
    first = ana.session
    second = door.sign_in(ana)
    sign_in.sign_out(door.site, door.session(first), first, everywhere=False)
    with door.site.reading() as connection:
        assert find_session(connection, door.clock(), first) is None
        assert find_session(connection, door.clock(), second) is not None


def test_a_recovery_code_lets_in_once_and_is_an_event(door: FrontDoor) -> None:
    ana = door.set_up()
    door.give_password(ana)
    typed = ana.recovery_codes[3].lower().replace("-", " ")
    assert door.try_password(ana, code=typed).member.handle == "ana"
    assert "recovery_code.used" in door.actions()
    with pytest.raises(WrongCredentialsError):
        door.try_password(ana, code=typed)


def test_a_wrong_password_uses_no_code_up(door: FrontDoor) -> None:
    ana = door.set_up()
    door.give_password(ana)
    for code in (ana.recovery_codes[0], ana.code(door.clock())):
        with pytest.raises(WrongCredentialsError):
            door.try_password(ana, password="wrong wrong wrong", code=code)
        assert door.try_password(ana, code=code).member.handle == "ana"
