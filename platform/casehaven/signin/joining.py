"""Joining: from a one-time code to a member who can sign in.

1. Whoever invites gets a code for the person, once, and hands it over in person or by a way that both trust.
2. The code opens an enrolling session. In it one makes a passkey, or a password with an app. Then one is signed in: the enrolling session ends, a full one begins.
3. Whoever never finished is invited again: a new code takes the place of the old one. A member who is active is never given one; for them there is recovery.
"""

from __future__ import annotations

from sqlalchemy import Connection

from casehaven.core.job_cancelling import cancel_of_member
from casehaven.core.jobs import NewJob, enqueue
from casehaven.organisations import events, members
from casehaven.organisations.access import Operation, Principal
from casehaven.organisations.members import Member
from casehaven.organisations.roles import Kind, Role
from casehaven.signin.credentials import destroy_credentials, has_way_in
from casehaven.signin.errors import BrokenCodeError, NoWayInError
from casehaven.signin.guesses import admit, counted, forget_devices, forgive
from casehaven.signin.models import recovery
from casehaven.signin.one_time_codes import end_codes, new_code, take_code
from casehaven.signin.sessions import end_session, end_sessions, start_session
from casehaven.signin.site import Site


def invite_member(site: Site, principal: Principal, *, handle: str, roles: frozenset[Role]) -> tuple[Member, str]:
    """Add a member with roles, and return them with the code that they join with.

    Raises:
        OrganisationsError: see `members.invite`.
    """
    with site.writing() as connection:
        now = site.clock()
        made = members.invite(connection, now, principal, handle=handle, roles=roles)
        return made, new_code(connection, now, "join", made.id)


def invite_again(site: Site, principal: Principal, *, handle: str) -> str:
    """Return a new code for a member who has not joined yet (rule 3).

    Raises:
        OrganisationsError: see `members.invite_again`.
    """
    with site.writing() as connection:
        now = site.clock()
        target = members.invite_again(connection, now, principal, handle=handle)
        destroy_credentials(connection, now, target.id)
        return new_code(connection, now, "join", target.id)


def end_member(site: Site, principal: Principal, *, handle: str) -> None:
    """End a member with all their credentials, sessions and tokens.

    Raises:
        OrganisationsError: see `members.end_member`.
    """
    with site.writing() as connection:
        members.end_member(connection, site.clock(), principal, handle=handle)
        ended = members.member_named(connection, handle)
        destroy_credentials(connection, site.clock(), ended.id)
        end_codes(connection, ended.id)


def sign_out_member(site: Site, principal: Principal, *, handle: str) -> None:
    """Sign a member out everywhere, such as when a device was lost; known browsers are known no more, and what they asked the worker for is cancelled.

    Raises:
        OrganisationsError: see `members.in_reach`.
    """
    with site.writing() as connection:
        now = site.clock()
        principal = members.as_of_now(connection, principal)
        target = members.in_reach(connection, principal, Operation.MEMBER_END, handle)
        end_sessions(connection, target.id)
        forget_devices(connection, target.id)
        cancel_of_member(connection, target.id, now=now)
        events.record(
            connection,
            now,
            actor=principal.handle,
            action="session.ended_by_another",
            organisation=target.organisation,
            object_kind="member",
            object_id=handle,
        )


def create_organisation(
    site: Site, principal: Principal, *, name: str, title: str, kind: Kind, first: str
) -> tuple[Member, str]:
    """Found an organisation, and return its first member with the code that they join with.

    Raises:
        OrganisationsError: see `members.create_organisation`.
    """
    with site.writing() as connection:
        now = site.clock()
        made = members.create_organisation(connection, now, principal, name=name, title=title, kind=kind, first=first)
        return made, new_code(connection, now, "join", made.id)


def join(site: Site, code: str, *, address: str) -> str:
    """Use a code up, and return the value of an enrolling session.

    Raises:
        BrokenCodeError: the code is wrong, was used, or has expired.
        TooManyGuessesError: too many wrong ones came from this address.
    """
    with site.writing() as connection:
        now = site.clock()
        what = counted(connection, now, site.key, account=None, address=address, device_value=None)
        admit(connection, now, what)
    with site.writing() as connection:
        now = site.clock()
        right, member_id = take_code(connection, now, "join", code)
        if not right or member_id is None:
            raise BrokenCodeError
        joining = members.member_by_id(connection, member_id)
        if joining.state != "invited":
            raise BrokenCodeError
        forgive(connection, what)
        end_sessions(connection, member_id)
        return start_session(connection, now, member_id, kind="enrolling")


def finish(site: Site, member: Member, value: str) -> str:
    """End an enrolling session, and return the value of a full one.

    Raises:
        NoWayInError: there is no complete way to sign in yet.
    """
    with site.writing() as connection:
        if not has_way_in(connection, member.id):
            raise NoWayInError("make a passkey, or a password with an authenticator app, first")
        end_session(connection, value)
        end_codes(connection, member.id)
        if member.state == "invited":
            _ask_for_keys(connection, site.clock(), member)
            members.activate(connection, site.clock(), member)
        return begin(connection, site.clock(), member)


def begin(connection: Connection, now: int, member: Member) -> str:
    """Begin a full session; whoever can sign in needs no recovery, so an open one ends."""
    ended = connection.execute(recovery.delete().where(recovery.c.member == member.id)).rowcount
    if ended:
        _tell(connection, now, member, "recovery.ended")
    _tell(connection, now, member, "session.began")
    return start_session(connection, now, member.id, kind="full")


def _ask_for_keys(connection: Connection, now: int, first: Member) -> None:
    """When the first member of an organisation with datasets joins, have the worker make its keys."""
    if first.kind is Kind.NGO and not any(found.active for found in members.members_of(connection, first.organisation)):
        enqueue(
            connection,
            NewJob(
                kind="organisation.keys",
                now=now,
                organisation=first.organisation,
                member_id=first.id,
                member_organisation=first.organisation,
            ),
        )


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
