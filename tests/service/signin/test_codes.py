"""Codes of an authenticator app and recovery codes."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert, select, update

from casehaven.serving.api_process import Listening, service_of
from casehaven.signin import codes, credentials
from casehaven.signin.errors import BrokenCodeError, SignInKeyError
from casehaven.signin.models import totp
from casehaven.signin.sign_in_key import SignInKey

if TYPE_CHECKING:
    from pathlib import Path

    from tests.front_door import FrontDoor, Person

# RFC 6238, appendix B, SHA-1: the last six of its eight digits
VECTORS = {
    59: "287082",
    1_111_111_109: "081804",
    1_111_111_111: "050471",
    1_234_567_890: "005924",
    2_000_000_000: "279037",
    20_000_000_000: "353130",
}
SECRET = b"12345678901234567890"


def _with_app(door: FrontDoor, secret: bytes = SECRET) -> Person:
    ana = door.set_up()
    member = door.member("ana").id
    with door.site.writing() as connection:
        connection.execute(
            insert(totp).values(
                member=member, confirmed=True, sealed_secret=door.site.key.seal(member, secret), last_step=0, made_at=0
            )
        )
    ana.secret = secret
    return ana


def _take(door: FrontDoor, code: str, now: int | None = None) -> str | None:
    with door.site.writing() as connection:
        at = door.clock() if now is None else now
        return codes.take_code(connection, at, door.site.key, door.member("ana").id, code)


@pytest.mark.parametrize("now", VECTORS)
def test_codes_are_those_of_rfc_6238(door: FrontDoor, now: int) -> None:
    _with_app(door)
    assert _take(door, VECTORS[now], now) == "app"


@pytest.mark.parametrize(("steps", "taken"), [(-2, None), (-1, "app"), (0, "app"), (1, "app"), (2, None)])
def test_one_step_of_drift_is_taken_on_either_side(door: FrontDoor, steps: int, taken: str | None) -> None:
    ana = _with_app(door)
    assert _take(door, ana.code(door.clock() + 30 * steps)) == taken


def test_a_used_code_and_every_earlier_one_are_refused(either_door: FrontDoor) -> None:
    ana = _with_app(either_door)
    now = either_door.clock()
    before, used, after = (ana.code(now + 30 * step) for step in (-1, 0, 1))
    assert _take(either_door, used) == "app"
    assert [_take(either_door, code) for code in (used, before)] == [None, None]
    assert _take(either_door, after) == "app"


def test_a_code_is_six_digits_and_spaces_do_not_count(door: FrontDoor) -> None:
    ana = _with_app(door)
    code = ana.code(door.clock())
    for wrong in ("", code[:5], code + "0", "١٢٣٤٥٦", f"-{code[1:]}", "x" * 64):
        assert _take(door, wrong) is None
    assert _take(door, f" {code[:3]} {code[3:]} ") == "app"


def test_a_secret_is_sealed_for_its_member_under_a_key_outside_the_database(door: FrontDoor) -> None:
    _with_app(door)
    with door.site.reading() as connection:
        sealed = bytes(connection.scalars(select(totp.c.sealed_secret)).one())
    assert SECRET not in sealed
    assert base64.b32encode(SECRET) not in sealed
    member = door.member("ana").id
    assert door.site.key.open(member, sealed) == SECRET
    flipped = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for key, whose, data in (
        (SignInKey.create(), member, sealed),
        (door.site.key, "another", sealed),
        (door.site.key, member, flipped),
        (door.site.key, member, b""),
    ):
        with pytest.raises(SignInKeyError):
            key.open(whose, data)


def test_a_secret_moved_to_another_members_row_opens_nothing(door: FrontDoor) -> None:
    ana = _with_app(door)
    door.found("bob", "south")
    with door.site.writing() as connection:
        connection.execute(update(totp).values(member=door.member("bob").id))
        with pytest.raises(SignInKeyError):
            codes.take_code(connection, door.clock(), door.site.key, door.member("bob").id, ana.code(door.clock()))


def test_an_app_opens_nothing_until_a_code_confirms_it(door: FrontDoor) -> None:
    ana = _with_app(door)
    old = ana.secret
    uri = credentials.begin_app(door.site, door.member("ana"))
    ana.secret = base64.b32decode(codes.secret_of(uri))
    assert len(ana.secret) == 20
    assert _take(door, ana.code(door.clock())) is None
    session = door.session(ana.session)
    with pytest.raises(BrokenCodeError):
        credentials.confirm_app(door.site, door.member("ana"), "000000", session_id=session.id)
    credentials.confirm_app(door.site, door.member("ana"), ana.code(door.clock()), session_id=session.id)
    assert _take(door, ana.code(door.clock())) is None  # the code that confirmed is used up
    door.clock.now += 60
    assert _take(door, ana.code(door.clock())) == "app"
    door.clock.now += 60
    ana.secret = old
    assert _take(door, ana.code(door.clock())) is None


def test_ten_recovery_codes_work_once_each_and_new_ones_end_the_old(either_door: FrontDoor) -> None:
    ana = either_door.set_up()
    either_door.give_password(ana)
    first = ana.recovery_codes
    assert len(set(first)) == 10
    assert all(re.fullmatch(r"[A-Z2-7]{4}(-[A-Z2-7]{4}){5}", code) for code in first)
    assert [_take(either_door, code) for code in (first[0], first[0])] == ["recovery", None]
    session = either_door.session(ana.session)
    again = credentials.new_recovery_codes(either_door.site, either_door.member("ana"), session_id=session.id)
    assert not set(again) & set(first)
    assert [_take(either_door, code) for code in first] == [None] * 10
    assert [_take(either_door, code) for code in again] == ["recovery"] * 10


def test_a_recovery_code_of_another_member_opens_nothing(door: FrontDoor) -> None:
    door.give_password(door.set_up())
    bob = door.found("bob", "south")
    door.give_password(bob)
    assert [_take(door, code) for code in bob.recovery_codes] == [None] * 10


def test_the_key_is_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    path = tmp_path / "signin.key"
    made = SignInKey.load_or_create(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert SignInKey.load_or_create(path) == made
    assert made.key.hex() not in repr(made)
    path.chmod(0o640)
    with pytest.raises(SignInKeyError):
        SignInKey.load_or_create(path)
    path.chmod(0o600)
    path.write_text("casehaven-sign-in-key/1:1234", encoding="ascii")
    with pytest.raises(SignInKeyError):
        SignInKey.load_or_create(path)
    for missing in (tmp_path / "gone.key",):
        with pytest.raises(SignInKeyError, match="missing"):
            SignInKey.load_or_create(missing, create=False)
        assert not missing.exists()
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(SignInKeyError):
        SignInKey.load_or_create(link)
    with pytest.raises(SignInKeyError):
        SignInKey.load_or_create(tmp_path / "no" / "folder")


def test_a_service_with_members_does_not_start_without_its_key(door: FrontDoor) -> None:
    listening = Listening()
    key = door.store.folder / "signin.key"
    kept = key.read_bytes()
    key.unlink()
    service_of(door.store, listening)  # nobody is there yet
    assert key.read_bytes() != kept
    key.write_bytes(kept)
    door.set_up()
    assert service_of(door.store, listening)[1].key == door.site.key
    key.unlink()
    with pytest.raises(SignInKeyError, match="missing"):
        service_of(door.store, listening)
    assert not key.exists()
