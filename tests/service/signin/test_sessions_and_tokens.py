"""How long sessions and tokens live, and what ends them."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, update

from casehaven.organisations import members
from casehaven.organisations.access import STEP_UP, Operation, require
from casehaven.organisations.errors import ForbiddenError, NotFoundError, NotSignedInError, StepUpNeededError
from casehaven.organisations.roles import Role
from casehaven.signin import credentials, sessions, tokens
from casehaven.signin.errors import TokenRequestError
from casehaven.signin.joining import end_member
from casehaven.signin.models import session, token
from casehaven.signin.tokens import make_token, revoke_token, tokens_of

if TYPE_CHECKING:
    from tests.front_door import FrontDoor, Person

HALF_HOUR, DAY = 1_800, 86_400


def _lives(door: FrontDoor, person: Person) -> bool:
    try:
        door.principal(person)
    except NotSignedInError:
        return False
    return True


def test_a_session_ends_half_an_hour_after_its_last_use(door: FrontDoor) -> None:
    ana = door.set_up()
    for _ in range(4):
        door.clock.now += HALF_HOUR - 60
        assert _lives(door, ana)
    door.clock.now += HALF_HOUR
    assert not _lives(door, ana)


def test_a_session_ends_twelve_hours_after_it_began_however_busy(door: FrontDoor) -> None:
    ana = door.set_up()
    for _ in range(24 * 3 - 1):
        door.clock.now += 600
        assert _lives(door, ana)
    door.clock.now += 600
    assert not _lives(door, ana)


def test_the_second_factor_of_a_signature_is_of_a_full_session_and_no_older_than_five_minutes(door: FrontDoor) -> None:
    door.set_up()
    ana, now = door.member("ana").id, door.clock()
    with door.site.writing() as connection:
        for kind in ("full", "enrolling"):
            value = sessions.start_session(connection, now, ana, kind=kind)
            found = sessions.find_session(connection, now, value)
            assert found is not None
            mine = found[0].id
            connection.execute(update(session).where(session.c.id == mine).values(stepped_up_at=now))
            for later, fresh in ((0, kind == "full"), (299, kind == "full"), (300, False)):
                given = sessions.gave_second_factor(connection, ana, mine, asked_at=now + later)
                assert given is fresh, (kind, later)
            assert not sessions.gave_second_factor(connection, "somebody else", mine, asked_at=now)


def test_an_enrolling_session_is_nobody_and_ends_after_fifteen_minutes(door: FrontDoor) -> None:
    ana = door.set_up()
    with door.site.writing() as connection:
        value = sessions.start_session(connection, door.clock(), door.member("ana").id, kind="enrolling")
    ana.session = value
    assert not _lives(door, ana)
    with door.site.reading() as connection:
        assert sessions.find_session(connection, door.clock() + 899, value) is not None
        assert sessions.find_session(connection, door.clock() + 900, value) is None


def test_the_last_use_is_written_once_a_minute(door: FrontDoor) -> None:
    ana = door.set_up()

    def seen() -> int:
        with door.site.reading() as connection:
            return int(connection.scalar(select(session.c.seen_at).order_by(session.c.started_at.desc())) or 0)

    first = seen()
    door.clock.now += 59
    door.principal(ana)
    assert seen() == first
    door.clock.now += 1
    door.principal(ana)
    assert seen() == first + 60


def test_a_cookies_value_has_twice_256_bits_and_the_database_has_its_hash_alone(door: FrontDoor) -> None:
    ana = door.set_up()
    parts = [base64.urlsafe_b64decode(part + "=") for part in ana.session.split(".")]
    assert [len(part) for part in parts] == [32, 32]
    with door.site.reading() as connection:
        rows = connection.execute(select(session)).all()
    stored = b"".join(part if isinstance(part, bytes) else str(part).encode() for row in rows for part in row)
    assert ana.session.encode() not in stored
    for part, text in zip(parts, ana.session.split("."), strict=True):
        assert part not in stored
        assert text.encode() not in stored
        assert part.hex().encode() not in stored


def test_a_step_up_changes_the_cookie_and_private_results_stay_readable(door: FrontDoor) -> None:
    ana = door.set_up()
    with door.site.writing() as connection:
        value = sessions.step_up_session(connection, door.clock(), ana.session)
        assert value is not None and value != ana.session
        assert sessions.find_session(connection, door.clock(), ana.session) is None
        assert sessions.find_session(connection, door.clock(), value) is not None
        other = sessions.start_session(connection, door.clock(), door.member("ana").id, kind="full")
        moved = f"{other.partition('.')[0]}.{value.partition('.')[2]}"
        assert sessions.find_session(connection, door.clock(), moved) is None  # both parts are one secret
    assert sessions.key_of(value) == sessions.key_of(ana.session) != sessions.key_of(other)


def test_tokens_end_when_credentials_change(door: FrontDoor) -> None:
    ana = door.set_up()
    session_id = door.principal(ana).session_id
    assert session_id is not None
    _make(door, ana, Operation.RELEASE_LIST)
    credentials.new_recovery_codes(door.site, door.member("ana"), session_id=session_id)
    with door.site.reading() as connection:
        assert tokens_of(connection, door.member("ana").id) == []


def test_old_sessions_are_cleared_away_when_a_new_one_begins(door: FrontDoor) -> None:
    ana = door.set_up()
    door.clock.now += DAY
    door.sign_in(ana)
    with door.site.reading() as connection:
        assert len(connection.execute(select(session)).all()) == 1


def test_the_page_value_and_the_key_of_a_session_belong_to_its_cookie(door: FrontDoor) -> None:
    ana = door.set_up()
    assert sessions.page_value(ana.session) != sessions.page_value(ana.session[::-1])
    principal = door.principal(ana)
    assert principal.session_key == sessions.key_of(ana.session)
    assert len(principal.session_key) == 32
    assert principal.session_key.hex() not in repr(principal)
    assert repr(principal.session_key) not in repr(principal)


def _make(door: FrontDoor, person: Person, *operations: Operation, days: int = 30) -> tuple[tokens.Token, str]:
    principal = door.principal(person)
    with door.site.writing() as connection:
        return make_token(
            connection, door.clock(), principal, name="nightly", operations=frozenset(operations), days=days
        )


def test_a_token_does_what_it_was_made_for_and_nothing_else(either_door: FrontDoor) -> None:
    ana = either_door.set_up()
    made, value = _make(either_door, ana, Operation.UPLOAD_CREATE)
    assert re.fullmatch(r"chv_[A-Za-z0-9_-]{43}", value)
    principal = either_door.bearer(value)
    assert (principal.handle, principal.token_id, principal.session_id) == ("ana", made.id, None)
    require(principal, Operation.UPLOAD_CREATE, "north")
    for operation in set(Operation) - {Operation.UPLOAD_CREATE}:
        with pytest.raises(ForbiddenError):
            require(principal, operation, "north")
    with pytest.raises(NotFoundError):
        require(principal, Operation.UPLOAD_CREATE, "south")


def test_a_token_follows_its_holders_rights_of_today(door: FrontDoor) -> None:
    ana = door.set_up()
    bob = door.join(ana, "bob", Role.CASEWORKER)
    _, value = _make(door, bob, Operation.UPLOAD_CREATE)
    assert door.bearer(value).reaches(Operation.UPLOAD_CREATE, "north")
    with door.site.writing() as connection:
        members.revoke_role(connection, door.clock(), door.principal(ana), handle="bob", role=Role.CASEWORKER)
    assert not door.bearer(value).rights
    end_member(door.site, door.principal(ana), handle="bob")
    with pytest.raises(NotSignedInError):
        door.bearer(value)


@pytest.mark.parametrize("operation", sorted(STEP_UP))
def test_no_token_does_what_needs_a_second_factor(door: FrontDoor, operation: Operation) -> None:
    with pytest.raises(TokenRequestError):
        _make(door, door.set_up(), operation)


def test_a_token_is_made_for_what_the_holder_may_do_with_a_fresh_second_factor(door: FrontDoor) -> None:
    ana = door.set_up()
    bob = door.join(ana, "bob", Role.CASEWORKER)
    for wrong in ((Operation.BUDGET_READ,), (Operation.UPLOAD_CREATE, Operation.AUDIT_REPORT), ()):
        with pytest.raises(TokenRequestError):
            _make(door, bob, *wrong)
    for days in (0, 367, -1):
        with pytest.raises(TokenRequestError):
            _make(door, bob, Operation.UPLOAD_CREATE, days=days)
    door.clock.now += 300
    with pytest.raises(StepUpNeededError):
        _make(door, bob, Operation.UPLOAD_CREATE)


def test_no_token_makes_a_token(door: FrontDoor) -> None:
    _, value = _make(door, door.set_up(), Operation.UPLOAD_CREATE, Operation.TOKEN_LIST)
    principal = door.bearer(value)
    with door.site.writing() as connection, pytest.raises(ForbiddenError):
        make_token(
            connection, door.clock(), principal, name="x", operations=frozenset({Operation.UPLOAD_CREATE}), days=1
        )


def test_a_token_ends_on_its_day(door: FrontDoor) -> None:
    _, value = _make(door, door.set_up(), Operation.UPLOAD_CREATE, days=2)
    door.clock.now += 2 * DAY - 1
    door.bearer(value)
    door.clock.now += 1
    with pytest.raises(NotSignedInError):
        door.bearer(value)


def test_a_revoked_token_is_nothing_at_the_next_request(door: FrontDoor) -> None:
    ana = door.set_up()
    made, value = _make(door, ana, Operation.UPLOAD_CREATE)
    with door.site.writing() as connection:
        revoke_token(connection, door.clock(), door.principal(ana), made.id)
    with pytest.raises(NotSignedInError):
        door.bearer(value)
    assert [action for action in door.actions() if action.startswith("token")] == ["token.made", "token.revoked"]


def test_who_could_end_the_holder_may_revoke_and_others_see_nothing(door: FrontDoor) -> None:
    ana = door.set_up()
    bob = door.join(ana, "bob", Role.CASEWORKER)
    eve = door.found("eve", "south")
    made, _ = _make(door, bob, Operation.UPLOAD_CREATE)
    fay = door.join(ana, "fay", Role.CASEWORKER)
    for other in (eve, fay):
        with door.site.writing() as connection, pytest.raises(NotFoundError):
            revoke_token(connection, door.clock(), door.principal(other), made.id)
    with door.site.writing() as connection:
        revoke_token(connection, door.clock(), door.principal(ana), made.id)
        assert tokens_of(connection, door.member("bob").id) == []


def test_the_day_of_the_last_use_is_kept_and_not_the_moment(door: FrontDoor) -> None:
    _, value = _make(door, door.set_up(), Operation.UPLOAD_CREATE)

    def used() -> int | None:
        with door.site.reading() as connection:
            found: int | None = connection.scalar(select(token.c.used_day))
            return found

    assert used() is None
    door.bearer(value)
    assert used() == door.clock() // DAY
    door.clock.now += DAY
    door.bearer(value)
    assert used() == door.clock() // DAY
