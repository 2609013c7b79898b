"""Recovery: two people let somebody back in who lost everything.

1. Two members approve, each with a fresh second factor and the right to (`recovery.approve`). They are two, neither is the one who is let in, and at least one belongs to
   the same organisation: the deployment's people alone open no organisation's account. That they are two people, and what they may open: `independence`.
2. Each of the two gets one half of the code, once. Neither can use it alone; both hand their half to the person, whom they know or have seen.
3. Both halves together, once, within a day: every credential, session, token and known browser of the member goes, and an enrolling session begins.
4. A member who signs in meanwhile ends the recovery: they were not locked out.
5. Every step is an event. No half is in it.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, delete, insert, select, update

from casehaven.organisations import events, members
from casehaven.organisations.access import Operation, Principal
from casehaven.organisations.errors import NotFoundError
from casehaven.organisations.members import Member
from casehaven.organisations.models import member
from casehaven.signin.credentials import destroy_credentials
from casehaven.signin.errors import BrokenCodeError, RecoveryError
from casehaven.signin.guesses import Counted, admit, counted, forgive
from casehaven.signin.independence import require_rights, require_settled, require_two_people
from casehaven.signin.models import recovery
from casehaven.signin.secrets_made import digest, new_typed_value, typed, typed_digest
from casehaven.signin.sessions import start_session
from casehaven.signin.site import Site

SECONDS: Final = 86_400

_FIRST: Final = "recovery-first"
_SECOND: Final = "recovery-second"


def approve_recovery(site: Site, principal: Principal, handle: str) -> tuple[str, bool]:
    """Approve a member's recovery; return the approver's half of the code, and whether this was the second approval.

    Args:
        site: where.
        principal: who approves.
        handle: of the member who lost everything.

    Raises:
        NotFoundError: there is no such active member in reach.
        RecoveryError: the same person approves twice or for themselves, nobody of the member's organisation approves, or the two are not independent (rule 1).
    """
    with site.writing() as connection:
        return approve(connection, site.clock(), principal, handle)


def approve(connection: Connection, now: int, principal: Principal, handle: str) -> tuple[str, bool]:
    """Do what `approve_recovery` says, within a writing transaction."""
    principal = members.as_of_now(connection, principal)
    target = members.in_reach(connection, principal, Operation.RECOVERY_APPROVE, handle)
    if not target.active:
        raise NotFoundError
    if target.id == principal.member_id:
        raise RecoveryError("nobody approves their own recovery")
    connection.execute(delete(recovery).where(recovery.c.ends_at <= now))
    row = connection.execute(select(recovery).where(recovery.c.member == target.id)).first()
    half, approver = new_typed_value(), members.member_named(connection, principal.handle)
    began = now if row is None or row.second_by is not None else row.ends_at - SECONDS
    require_settled(connection, approver, began)
    if row is None or row.second_by is not None:  # both halves were given and never used: begin again
        connection.execute(delete(recovery).where(recovery.c.member == target.id))
        connection.execute(
            insert(recovery).values(
                member=target.id,
                ends_at=now + SECONDS,
                first_by=principal.member_id,
                first_digest=digest(_FIRST, typed(half) or ""),
            )
        )
    else:
        if row.first_by == principal.member_id:
            raise RecoveryError("two different people approve a recovery")
        first = members.member_by_id(connection, row.first_by)
        if not first.active or target.organisation not in (first.organisation, principal.organisation):
            raise RecoveryError("at least one of the two belongs to the member's organisation")
        require_two_people(connection, first, approver)
        require_rights(principal, (first, approver), target)
        connection.execute(
            update(recovery)
            .where(recovery.c.member == target.id)
            .values(second_by=principal.member_id, second_digest=digest(_SECOND, typed(half) or ""))
        )
    events.record(
        connection,
        now,
        actor=principal.handle,
        action="recovery.approved",
        organisation=target.organisation,
        object_kind="member",
        object_id=handle,
    )
    return half, row is not None and row.second_by is None


def recover(site: Site, handle: str, halves: tuple[str, str], *, address: str) -> str:
    """Use both halves up, and return the value of an enrolling session (rule 3).

    Args:
        site: where.
        handle: whose account.
        halves: of the code, in either order.
        address: of the network, for the count of guesses.

    Raises:
        BrokenCodeError: the halves are not those of an open recovery of this member.
        TooManyGuessesError: too many wrong ones came from this address.
    """
    with site.writing() as connection:
        now = site.clock()
        what = counted(connection, now, site.key, account=None, address=address, device_value=None)
        admit(connection, now, what)
    with site.writing() as connection:
        now = site.clock()
        whose = select(member.c.id).where(member.c.handle == handle, member.c.state == "active").scalar_subquery()
        for one, other in (halves, reversed(halves)):
            first, second = typed_digest(_FIRST, one), typed_digest(_SECOND, other)
            used = connection.execute(
                delete(recovery).where(
                    recovery.c.member == whose,  # nobody's, where there is no such member: the same work
                    recovery.c.first_digest == (first or b""),
                    recovery.c.second_digest == (second or b""),
                    recovery.c.ends_at > now,
                )
            )
            if used.rowcount == 1:
                return _let_in(connection, now, members.member_named(connection, handle), what)
    raise BrokenCodeError


def _let_in(connection: Connection, now: int, target: Member, what: Counted) -> str:
    destroy_credentials(connection, now, target.id)
    forgive(connection, what)
    events.record(
        connection,
        now,
        actor=target.handle,
        action="recovery.used",
        organisation=target.organisation,
        object_kind="member",
        object_id=target.handle,
    )
    return start_session(connection, now, target.id, kind="enrolling")
