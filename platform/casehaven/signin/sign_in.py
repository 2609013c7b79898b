"""Signing in, stepping up, signing out.

1. Password and code come together, in one request, and are refused together. Nobody learns which of handle, password and code was wrong, neither from the answer nor from how
   long it took: every guess costs one hash of a password and one look at a code.
2. A guess is counted before it is looked at (`guesses`); a passkey is no guess.
3. The code is used up, the guess forgiven and the session begun in one transaction.
4. Step-up asks the member who is signed in for a passkey or a code. It gives a new cookie value, and counts for five minutes.
5. What was refused is an event; it names the account when there is one, and never what somebody typed. Both are written, because writing takes time too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from casehaven.organisations import events, members
from casehaven.organisations.errors import NotFoundError, NotSignedInError
from casehaven.organisations.members import Member
from casehaven.signin import codes, passkeys
from casehaven.signin.errors import BrokenPasskeyError, WeakPasswordError, WrongCredentialsError
from casehaven.signin.guesses import Counted, admit, counted, counted_step_up, forgive, remember_device
from casehaven.signin.joining import begin
from casehaven.signin.passwords import nobodys_password, normal, stored_password
from casehaven.signin.sessions import Session, end_session, end_sessions, step_up_session
from casehaven.signin.site import Site


@dataclass(frozen=True, kw_only=True)
class SignedIn:
    """Somebody who got in."""

    member: Member
    session: str
    """Value of the session's cookie."""
    device: str | None
    """Value of the cookie that tells this browser later; None where one is known already, or a passkey was used."""


def sign_in_with_password(
    site: Site, *, handle: str, password: str, code: str, address: str, device: str | None
) -> SignedIn:
    """Let somebody in with a password and a code of the app, or a recovery code.

    Args:
        site: where.
        handle: as it was typed.
        password: as it was typed.
        code: as it was typed.
        address: of the network.
        device: value of the cookie of a browser that was used before.

    Raises:
        WrongCredentialsError: something of it is wrong.
        TooManyGuessesError: guesses came too fast; nothing was looked at.
        SignInBusyError: too many people are signing in at this moment.
    """
    what = _admitted(site, handle, address, device)
    with site.reading() as connection:
        member = _active(connection, handle)
        stored = None if member is None else stored_password(connection, member.id)
    whose = "" if member is None else member.id
    right = (stored or nobodys_password()).matches(site, whose, _typed(password))
    with site.writing() as connection:
        now = site.clock()
        still = member is not None and stored is not None and stored_password(connection, whose) == stored
        took = codes.take_code(connection, now, site.key, whose if right and still else "", code)
        if member is not None and took is not None and _active(connection, handle) is not None:
            forgive(connection, what)
            if took == "recovery":
                _tell(connection, now, member, "recovery_code.used")
            known = len(what.keys) == 1
            return SignedIn(
                member=member,
                session=begin(connection, now, member),
                device=None if known else remember_device(connection, now, member.id),
            )
        _tell_refused(connection, now, member)
    raise WrongCredentialsError


def passkey_options(site: Site) -> dict[str, Any]:
    """Return what a browser needs to sign in with a passkey."""
    with site.writing() as connection:
        return passkeys.authentication_options(connection, site)


def sign_in_with_passkey(site: Site, unverified: dict[str, Any]) -> SignedIn:
    """Let somebody in with a passkey.

    Raises:
        WrongCredentialsError: it is not a passkey of an active member, or not an answer to a challenge of this site.
    """
    with site.writing() as connection:
        now = site.clock()
        try:
            found = passkeys.verify_passkey(connection, site, unverified)
            member = members.member_by_id(connection, found.member)
        except (BrokenPasskeyError, NotFoundError):
            member = None
        if member is not None and member.active:
            return SignedIn(member=member, session=begin(connection, now, member), device=None)
    raise WrongCredentialsError


def step_up_options(site: Site, session: Session) -> dict[str, Any]:
    """Return what a browser needs to step up with a passkey."""
    with site.writing() as connection:
        return passkeys.authentication_options(connection, site, f"step-up:{session.id}")


def step_up_with_passkey(site: Site, session: Session, value: str, unverified: dict[str, Any]) -> str:
    """Step up with a passkey of the member who is signed in; return the new value of the cookie.

    Raises:
        WrongCredentialsError: it is no such passkey.
        NotSignedInError: the session ended meanwhile.
    """
    new: str | None = None
    with site.writing() as connection:
        try:
            right = (
                passkeys.verify_passkey(connection, site, unverified, f"step-up:{session.id}").member == session.member
            )
        except BrokenPasskeyError:
            right = False
        if right:
            new = step_up_session(connection, site.clock(), value)
    return _stepped(right, new)


def step_up_with_code(site: Site, session: Session, value: str, code: str) -> str:
    """Step up with a code of the app; return the new value of the cookie. A recovery code does not do: it is for getting in.

    Raises:
        WrongCredentialsError: it is no code of theirs, or was used.
        TooManyGuessesError: guesses came too fast; nothing was looked at.
        NotSignedInError: the session ended meanwhile.
    """
    with site.reading() as connection:
        member = members.member_by_id(connection, session.member)
    what = counted_step_up(site.key, member.id)
    with site.writing() as connection:
        admit(connection, site.clock(), what)
    new: str | None = None
    with site.writing() as connection:
        now = site.clock()
        right = codes.take_app_code(connection, now, site.key, member.id, code)
        if right:
            forgive(connection, what)
            new = step_up_session(connection, now, value)
        else:
            _tell(connection, now, member, "step_up.refused")
    return _stepped(right, new)


def sign_out(site: Site, session: Session, value: str, *, everywhere: bool) -> None:
    """End a session, or all sessions of its member."""
    with site.writing() as connection:
        end_session(connection, value)
        if everywhere:
            end_sessions(connection, session.member)
            member = members.member_by_id(connection, session.member)
            _tell(connection, site.clock(), member, "session.ended_everywhere")


def _admitted(site: Site, handle: str, address: str, device: str | None) -> Counted:
    with site.writing() as connection:
        now = site.clock()
        what = counted(connection, now, site.key, account=handle, address=address, device_value=device)
        admit(connection, now, what)
        return what


def _active(connection: Connection, handle: str) -> Member | None:
    try:
        found = members.member_named(connection, handle)
    except NotFoundError:
        return None
    return found if found.active else None


def _typed(password: str) -> str:
    """What was typed, in the form that was hashed; what cannot be a password is tried like any other wrong one."""
    try:
        return normal(password)
    except WeakPasswordError:
        return ""


def _stepped(right: bool, new: str | None) -> str:
    if not right:
        raise WrongCredentialsError
    if new is None:
        raise NotSignedInError
    return new


def _tell(connection: Connection, now: int, member: Member, action: str) -> None:
    events.record(
        connection,
        now,
        actor=member.handle,
        action=action,
        organisation=member.organisation,
        object_kind="member",
        object_id=member.handle,
    )


def _tell_refused(connection: Connection, now: int, member: Member | None) -> None:
    events.record(
        connection,
        now,
        actor="",
        action="session.refused",
        organisation="" if member is None else member.organisation,
        object_kind="member",
        object_id="" if member is None else member.handle,
    )
