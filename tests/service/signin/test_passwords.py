"""Which passwords are taken, how they are stored, and how many are hashed at once."""

from __future__ import annotations

import threading
import time
import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casehaven.signin.errors import SignInBusyError, WeakPasswordError
from casehaven.signin.password_gate import PasswordGate
from casehaven.signin.passwords import (
    check_new_password,
    hash_password,
    nobodys_password,
    normal,
    store_password,
    stored_password,
)
from casehaven.signin.sign_in_key import SignInKey

if TYPE_CHECKING:
    from tests.front_door import FrontDoor

WEAK = (
    "password1234",
    "Passw0rd2026!!",
    "qwertyuiop12",
    "aaaaaaaaaaaaaaaa",
    "abcabcabcabcabc",
    "123456789012",
    "anaanaanaana",
    "northsteward1",
    "Summer2026!Summer",
    "C@sehaven C@sehaven",
    "............",
)
GOOD = (
    "correct horse battery staple",
    "kX9#mQ2vLp7w",
    "ваш пароль тут",
    "日本語のパスワードです長い",
    " spaces count too ",
    "🦉🦉 watch the gate",
)


@pytest.mark.parametrize("text", WEAK)
def test_what_anybody_would_try_first_is_refused(text: str) -> None:
    with pytest.raises(WeakPasswordError):
        check_new_password(text, "ana", "north")


@pytest.mark.parametrize("text", GOOD)
def test_a_password_of_ones_own_is_taken_as_it_is(text: str) -> None:
    assert check_new_password(text, "ana", "north") == text


def test_the_words_of_the_member_count_for_that_member_only() -> None:
    assert check_new_password("zebedee-okavango", "ana", "north")
    with pytest.raises(WeakPasswordError):
        check_new_password("zebedee-okavango", "zebedee", "okavango")


@pytest.mark.parametrize(("length", "taken"), [(11, False), (12, True), (256, True), (257, False)])
def test_a_password_has_12_to_256_characters_and_every_character_counts_as_one(length: int, taken: bool) -> None:
    text = "".join(chr(0x4E00 + 3 * place) for place in range(length))
    if taken:
        assert check_new_password(text) == text
    else:
        with pytest.raises(WeakPasswordError):
            check_new_password(text)


def test_no_message_holds_the_password() -> None:
    for text in (*WEAK, "short", "\ud800" * 20):
        with pytest.raises(WeakPasswordError) as caught:
            check_new_password(text, "ana", "north")
        assert text not in str(caught.value)


@given(st.text(max_size=40).filter(lambda text: not any("\ud800" <= c <= "\udfff" for c in text)))
def test_the_same_password_from_every_keyboard(text: str) -> None:
    assert normal(unicodedata.normalize("NFD", text)) == normal(text)


def test_a_stored_password_matches_itself_and_nothing_near_it(door: FrontDoor) -> None:
    stored = hash_password(door.site, "m", "a lamp beside the window")
    assert stored.matches(door.site, "m", "a lamp beside the window")
    for near in ("a lamp beside the windoW", "a lamp beside the window ", "a lamp beside the windo", ""):
        assert not stored.matches(door.site, "m", near)


def test_a_hash_needs_the_key_of_sign_in_and_the_member(door: FrontDoor) -> None:
    stored = hash_password(door.site, "m", "a lamp beside the window")
    assert not stored.matches(replace(door.site, key=SignInKey.create()), "m", "a lamp beside the window")
    assert not stored.matches(door.site, "n", "a lamp beside the window")


def test_parameters_are_stored_and_a_hash_of_earlier_ones_still_matches(either_door: FrontDoor) -> None:
    ana = either_door.member(either_door.set_up().handle)
    fresh = hash_password(either_door.site, ana.id, "a lamp beside the window")
    assert (fresh.memory_kib, fresh.iterations, fresh.lanes, len(fresh.salt), len(fresh.hash)) == (65_536, 3, 1, 16, 32)
    weak = replace(fresh, memory_kib=8_192, iterations=2, lanes=2)
    earlier = replace(weak, hash=weak._derived(either_door.site, ana.id, "a lamp beside the window"))
    with either_door.site.writing() as connection:
        store_password(connection, 1, ana.id, earlier)
        found = stored_password(connection, ana.id)
    assert found == earlier
    assert found.matches(either_door.site, ana.id, "a lamp beside the window")


def test_every_hash_has_its_own_salt(door: FrontDoor) -> None:
    one, other = (hash_password(door.site, "m", "a lamp beside the window") for _ in range(2))
    assert one.salt != other.salt
    assert one.hash != other.hash


def test_nobodys_password_has_todays_parameters_and_matches_nothing(door: FrontDoor) -> None:
    nobody = nobodys_password()
    assert (nobody.memory_kib, nobody.iterations, nobody.lanes) == (65_536, 3, 1)
    assert not nobody.matches(door.site, "", "")


def test_four_hash_at_once_eight_wait_and_the_next_is_told_to_come_back() -> None:
    gate = PasswordGate(wait_seconds=60)
    release, inside, most = threading.Event(), [0], [0]
    count = threading.Lock()

    def hash_slowly() -> None:
        with gate.entered():
            with count:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            release.wait(60)
            with count:
                inside[0] -= 1

    threads = [threading.Thread(target=hash_slowly) for _ in range(12)]
    for thread in threads:
        thread.start()
    while gate.known < 12:
        time.sleep(0.001)
    with pytest.raises(SignInBusyError), gate.entered():
        raise AssertionError("a thirteenth came in")
    release.set()
    for thread in threads:
        thread.join()
    assert most == [4]
    assert gate.known == 0


def test_nobody_waits_longer_than_the_limit() -> None:
    gate = PasswordGate(at_once=1, waiting=1, wait_seconds=0.01)
    with gate.entered():
        with pytest.raises(SignInBusyError) as caught, gate.entered():
            raise AssertionError("two at once")
        assert caught.value.retry_after_seconds == 5
    with gate.entered():
        pass


def test_a_refused_password_leaves_the_gate_open() -> None:
    gate = PasswordGate(at_once=1, waiting=0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), gate.entered():
            raise ZeroDivisionError
    with gate.entered():
        pass
