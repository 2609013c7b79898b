"""Ten thousand guesses are blocked, and nobody who guesses keeps the owner out."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Connection, select

from casehaven.signin import credentials, sign_in
from casehaven.signin.errors import BrokenCodeError, TooManyGuessesError, WrongCredentialsError
from casehaven.signin.guesses import ACCOUNT, ADDRESS, DEVICE, admit, counted, forgive
from casehaven.signin.joining import join
from casehaven.signin.models import guess

if TYPE_CHECKING:
    from tests.front_door import FrontDoor

GUESSES = 10_000
FEWER = 2_000
"""Where the wait of an hour is reached all the same."""
FROM_ELSEWHERE = "198.51.100.3"


def _looked_at(
    door: FrontDoor, connection: Connection, at: int, account: str, address: str, device: str | None = None
) -> bool:
    """Whether a guess is let through. All in one transaction: ten thousand of them need not be on disk."""
    what = counted(connection, at, door.site.key, account=account, address=address, device_value=device)
    try:
        admit(connection, at, what)
    except TooManyGuessesError as error:
        assert 0 < error.retry_after_seconds <= ADDRESS.limit_seconds
        return False
    return True


def test_of_ten_thousand_guesses_at_one_account_25_are_looked_at(door: FrontDoor) -> None:
    """One a second: five are free, nine double the wait to eight and a half minutes, then there is one in a quarter of an hour."""
    with door.site.writing() as connection:
        through = [at for at in range(GUESSES) if _looked_at(door, connection, at, "ana", "192.0.2.9")]
    assert len(through) <= 25
    assert min(later - sooner for sooner, later in pairwise(through[15:])) >= 900


def test_many_addresses_make_no_difference_to_one_account(door: FrontDoor) -> None:
    with door.site.writing() as connection:
        assert sum(_looked_at(door, connection, at, "ana", f"10.1.{at >> 8}.{at & 255}") for at in range(FEWER)) <= 16


def test_many_accounts_make_no_difference_to_one_address(door: FrontDoor) -> None:
    """Twenty are free, eleven double the wait to half an hour, then there is one an hour."""
    with door.site.writing() as connection:
        assert sum(_looked_at(door, connection, at, f"m{at}", "192.0.2.9") for at in range(FEWER)) <= 35


def test_a_whole_network_of_ipv6_is_one_address(door: FrontDoor) -> None:
    with door.site.writing() as connection:
        through = sum(_looked_at(door, connection, at, f"m{at}", f"2001:db8:1:2::{at:x}") for at in range(FEWER))
        assert through <= 35
        assert _looked_at(door, connection, FEWER, "x", "2001:db8:1:3::1")


def test_an_address_of_ipv4_written_as_ipv6_and_no_address_at_all_are_one_each(door: FrontDoor) -> None:
    with door.site.writing() as connection:
        for at in range(40):
            _looked_at(door, connection, 0, f"m{at}", "192.0.2.1")
            _looked_at(door, connection, 0, f"m{at}", ("", "x" * at, "1.2.3.4.5")[at % 3])
        assert not _looked_at(door, connection, 0, "x", "::ffff:192.0.2.1")
        assert not _looked_at(door, connection, 0, "y", "unknown")


def test_the_right_password_and_code_are_not_looked_at_during_the_wait(door: FrontDoor) -> None:
    ana = door.set_up()
    door.give_password(ana)
    for _ in range(6):
        with pytest.raises(WrongCredentialsError):
            door.try_password(ana, password="wrong wrong wrong", address=FROM_ELSEWHERE)
    with pytest.raises(TooManyGuessesError) as caught:
        door.try_password(ana, address=FROM_ELSEWHERE)
    assert caught.value.retry_after_seconds == 2
    door.clock.now += 2
    assert door.try_password(ana, address=FROM_ELSEWHERE).member.handle == "ana"


def test_guessing_from_elsewhere_keeps_nobody_out_of_the_browser_they_use_or_from_their_passkey(
    door: FrontDoor,
) -> None:
    ana = door.set_up()
    door.give_password(ana)
    device = door.try_password(ana).device
    assert device is not None
    with door.site.writing() as connection:
        for second in range(2_000):
            _looked_at(door, connection, door.clock() + second, "ana", FROM_ELSEWHERE)
    door.clock.now += 2_000
    with pytest.raises(TooManyGuessesError):
        door.try_password(ana, address=FROM_ELSEWHERE)
    with pytest.raises(TooManyGuessesError):  # a new browser of the owner waits, too: at most a quarter of an hour
        door.try_password(ana)
    found = door.try_password(ana, device=device)
    assert found.member.handle == "ana"
    assert found.device is None  # known already
    door.clock.now += 60
    assert door.sign_in(ana)
    door.clock.now += 400
    assert sign_in.step_up_with_code(door.site, door.session(ana.session), ana.session, ana.code(door.clock()))


def test_a_known_browser_buys_no_endless_guesses_either(door: FrontDoor) -> None:
    ana = door.set_up()
    door.give_password(ana)
    device = door.try_password(ana).device
    with door.site.writing() as connection:
        now = door.clock()
        through = sum(_looked_at(door, connection, now + at, "ana", "192.0.2.9", device) for at in range(FEWER))
    assert through <= 30


def test_a_browser_that_another_member_used_is_like_any_other(door: FrontDoor) -> None:
    ana = door.set_up()
    door.give_password(ana)
    bob = door.found("bob", "south")
    door.give_password(bob)
    bobs = door.try_password(bob).device
    assert bobs is not None
    with door.site.reading() as connection:
        for handle, keys in (("bob", 1), ("ana", 2)):
            what = counted(
                connection, door.clock(), door.site.key, account=handle, address="192.0.2.9", device_value=bobs
            )
            assert len(what.keys) == keys


def test_new_credentials_make_every_browser_unknown(door: FrontDoor) -> None:
    ana = door.set_up()
    door.give_password(ana)
    device = door.try_password(ana).device
    session = door.session(ana.session)
    credentials.new_recovery_codes(door.site, door.member("ana"), session_id=session.id)
    with door.site.reading() as connection:
        what = counted(connection, door.clock(), door.site.key, account="ana", address="192.0.2.9", device_value=device)
    assert len(what.keys) == 2


def test_an_account_of_ones_own_buys_no_guesses_at_others(door: FrontDoor) -> None:
    """A guess at ana, then a right sign-in as eve, again and again: the address is blocked all the same."""
    with door.site.writing() as connection:
        through = 0
        for at in range(FEWER):
            through += _looked_at(door, connection, at, f"m{at}", FROM_ELSEWHERE)
            what = counted(connection, at, door.site.key, account="eve", address=FROM_ELSEWHERE, device_value=None)
            try:
                admit(connection, at, what)
            except TooManyGuessesError:
                continue
            forgive(connection, what)
    assert through <= 35


def test_one_right_sign_in_wipes_the_account_and_gives_the_address_one_back(door: FrontDoor) -> None:
    with door.site.writing() as connection:
        what = counted(connection, 0, door.site.key, account="ana", address="192.0.2.9", device_value=None)
        for _ in range(ACCOUNT.free):
            admit(connection, 0, what)
        forgive(connection, what)
        rows = connection.execute(select(guess.c.failures)).all()
    assert [row.failures for row in rows] == [ACCOUNT.free - 1]


def test_counts_are_forgotten_a_day_after_the_last_guess(door: FrontDoor) -> None:
    with door.site.writing() as connection:
        for at in range(FEWER):
            _looked_at(door, connection, at, "ana", "192.0.2.9")
        last = max(connection.scalars(select(guess.c.touched_at)))
        assert _looked_at(door, connection, last + 86_400, "eve", "192.0.2.1")
        assert len(connection.execute(select(guess)).all()) == 2
        assert all(_looked_at(door, connection, last + 86_400, "ana", "192.0.2.9") for _ in range(ACCOUNT.free))


def test_no_handle_and_no_address_stands_in_the_table(door: FrontDoor) -> None:
    with door.site.writing() as connection:
        _looked_at(door, connection, 0, "ana", "192.0.2.9")
        keys = [bytes(key) for key in connection.scalars(select(guess.c.key))]
    assert len(keys) == 2
    assert all(len(key) == 32 for key in keys)


def test_step_up_is_guessed_at_a_few_times_only_and_apart_from_sign_in(door: FrontDoor) -> None:
    ana = door.set_up()
    door.give_password(ana)
    session, looked_at = door.session(ana.session), 0
    for guessed in range(200):
        try:
            sign_in.step_up_with_code(door.site, session, ana.session, f"{guessed:06}")
        except WrongCredentialsError:
            looked_at += 1
        except TooManyGuessesError:
            pass
        door.clock.now += 1
    assert looked_at <= DEVICE.free + 8
    assert door.try_password(ana).member.handle == "ana"


def test_codes_that_name_nobody_are_counted_for_their_address(door: FrontDoor) -> None:
    looked_at = 0
    for _ in range(100):
        try:
            join(door.site, "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA", address=FROM_ELSEWHERE)
        except BrokenCodeError:
            looked_at += 1
        except TooManyGuessesError:
            pass
    assert looked_at == ADDRESS.free + 1
