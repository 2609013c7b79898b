"""A member's credentials together: whether they are a way in, and taking all of them away.

1. A way in is a passkey, or a password with an app that is confirmed. One without the other is none.
2. A member who can sign in stays able to: the last way in cannot be removed, it can be replaced.
3. Whoever changes credentials is signed out everywhere else, browsers that were known are known no more, and tokens end: one that somebody else made meanwhile would outlive the change.
4. Each change is an event; what was set is not in it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete

from casehaven.core.job_cancelling import cancel_of_member
from casehaven.organisations import events
from casehaven.organisations.errors import NotFoundError
from casehaven.organisations.members import Member
from casehaven.signin import codes, guesses, passkeys
from casehaven.signin.errors import BrokenCodeError, BrokenPasskeyError, NoWayInError
from casehaven.signin.models import passkey, password, recovery, recovery_code, token, totp
from casehaven.signin.passwords import check_new_password, hash_password, store_password, stored_password
from casehaven.signin.sessions import end_sessions
from casehaven.signin.site import Site
from casehaven.signin.tokens import end_tokens


def has_way_in(connection: Connection, member: str) -> bool:
    """Tell whether a member can sign in (rule 1)."""
    return bool(passkeys.passkeys_of(connection, member)) or (
        stored_password(connection, member) is not None and codes.has_app(connection, member)
    )


def set_new_password(site: Site, member: Member, unverified: str, *, session_id: str) -> None:
    """Set a member's password.

    Raises:
        WeakPasswordError: it is none that is taken.
        SignInBusyError: too many people are signing in.
    """
    text = check_new_password(unverified, member.handle, member.organisation)
    hashed = hash_password(site, member.id, text)
    with site.writing() as connection:
        store_password(connection, site.clock(), member.id, hashed)
        _changed(connection, site.clock(), member, "password", session_id)


def begin_app(site: Site, member: Member) -> str:
    """Return the `otpauth` address of a new app that is to be confirmed."""
    with site.writing() as connection:
        return codes.begin_app(connection, site.clock(), site.key, member.id, member.handle)


def confirm_app(site: Site, member: Member, code: str, *, session_id: str) -> tuple[str, ...]:
    """Take a new app into use, and return ten new recovery codes.

    Raises:
        BrokenCodeError: the code does not prove that the app has the secret.
    """
    with site.writing() as connection:
        if not codes.confirm_app(connection, site.clock(), site.key, member.id, code):
            raise BrokenCodeError
        _changed(connection, site.clock(), member, "app", session_id)
        return codes.new_recovery_codes(connection, member.id)


def new_recovery_codes(site: Site, member: Member, *, session_id: str) -> tuple[str, ...]:
    """Return ten new recovery codes; those before are worth nothing."""
    with site.writing() as connection:
        _changed(connection, site.clock(), member, "recovery_codes", session_id)
        return codes.new_recovery_codes(connection, member.id)


def begin_passkey(site: Site, member: Member) -> dict[str, Any]:
    """Return what a browser needs to make a passkey."""
    with site.writing() as connection:
        return passkeys.registration_options(connection, site, member)


def add_passkey(
    site: Site, member: Member, unverified: dict[str, Any], *, name: str, session_id: str
) -> passkeys.Passkey:
    """Store the passkey that a browser made.

    Raises:
        BrokenPasskeyError: it is no answer to a challenge of this member.
    """
    made = None
    with site.writing() as connection:
        try:
            made = passkeys.add_passkey(connection, site, member, unverified, name=name)
        except BrokenPasskeyError:
            pass  # the transaction ends well, so that the challenge is used up
        else:
            _changed(connection, site.clock(), member, "passkey", session_id)
    if made is None:
        raise BrokenPasskeyError
    return made


def remove_passkey(site: Site, member: Member, passkey_id: str, *, session_id: str) -> None:
    """Remove one of a member's passkeys.

    Raises:
        NotFoundError: they have no such passkey.
        NoWayInError: it is the last way in (rule 2).
    """
    with site.writing() as connection:
        gone = connection.execute(
            delete(passkey).where(passkey.c.id == passkey_id, passkey.c.member == member.id)
        ).rowcount
        if gone == 0:
            raise NotFoundError
        if not has_way_in(connection, member.id):
            raise NoWayInError("this is the last way to sign in; add another one first")
        _changed(connection, site.clock(), member, "passkey", session_id)


def destroy_credentials(connection: Connection, now: int, member: str) -> None:
    """Take away every credential, session, token and known browser of a member, and cancel what they asked the worker for."""
    cancel_of_member(connection, member, now=now)
    end_sessions(connection, member)
    guesses.forget_devices(connection, member)
    for table in (password, totp, recovery_code, passkey, token, recovery):
        connection.execute(delete(table).where(table.c.member == member))


def _changed(connection: Connection, now: int, member: Member, what: str, session_id: str) -> None:
    """Sign out everywhere else, forget browsers, and tell of it (rules 3 and 4)."""
    end_sessions(connection, member.id, but=session_id)
    end_tokens(connection, member.id)
    guesses.forget_devices(connection, member.id)
    events.record(
        connection,
        now,
        actor=member.handle,
        action="credential.changed",
        organisation=member.organisation,
        object_kind=what,
        object_id=member.handle,
    )
