"""Whether two approvers of a recovery are two people, as far as the events can tell.

1. Whoever invited a member, invited them again or gave them a role stands behind them, and so does everybody behind that one. An approver who stands behind the other is not a second person.
   Roles that were taken away and members who ended count too: the events forget nothing.
2. Both had joined `DAYS` days before the recovery began. So an account that somebody makes for the purpose is seen for that long by all who watch the members.
   There is no exception for a new organisation: in its first days nobody of it is let back in.
3. Each role of the one who is let in could be given, by rights of now, by one and the same of the two. So a recovery opens nothing that neither approver could have given.
4. One person who makes two accounts, and waits, is not found out by this; by rule 3 they open nothing that they could not give.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from sqlalchemy import Connection, func, or_, select

from casehaven.organisations.access import Operation, Principal
from casehaven.organisations.members import Member
from casehaven.organisations.models import event
from casehaven.organisations.roles import may_give, rights_of
from casehaven.signin.errors import RecoveryError

DAYS: Final = 7
"""How long an approver has been an active member before the recovery began."""

_DAY: Final = 86_400


def require_settled(connection: Connection, approver: Member, began: int) -> None:
    """Return when an approver had joined long enough before a recovery began (rule 2).

    Args:
        connection: of a transaction.
        approver: an active member.
        began: seconds since 1970, UTC.

    Raises:
        RecoveryError: they had not.
    """
    joined = connection.scalar(
        select(func.max(event.c.at)).where(event.c.action == "member.joined", event.c.object_id == approver.handle)
    )
    if joined is None or joined > began - DAYS * _DAY:
        raise RecoveryError(f"an approver has been a member for {DAYS} days before the recovery begins")


def require_two_people(connection: Connection, first: Member, second: Member) -> None:
    """Return when neither stands behind the other (rule 1).

    Raises:
        RecoveryError: one does.
    """
    if first.handle in behind(connection, second.handle) or second.handle in behind(connection, first.handle):
        raise RecoveryError("neither approver was invited, or given a role, by the other, directly or in a chain")


def require_rights(principal: Principal, approvers: tuple[Member, Member], target: Member) -> None:
    """Return when both may approve still, and one of them could give every role of the target (rule 3).

    Args:
        principal: any; what else a principal is made of.
        approvers: as they are now.
        target: who is let in.

    Raises:
        RecoveryError: one may not approve, or neither could give every role.
    """
    now = [
        replace(
            principal,
            member_id=each.id,
            handle=each.handle,
            organisation=each.organisation,
            rights=rights_of(each.kind, each.roles),
            datasets=frozenset(),
        )
        for each in approvers
        if each.active
    ]
    able = [each for each in now if each.reaches(Operation.RECOVERY_APPROVE, target.organisation)]
    if len(able) < len(approvers):
        raise RecoveryError("both approvers may approve until the second has")
    if not any(all(may_give(each, target.kind, target.organisation, role) for role in target.roles) for each in able):
        raise RecoveryError("one of the two approvers could give every role of the member")


def behind(connection: Connection, handle: str) -> frozenset[str]:
    """Return the handles of everybody who stands behind a member (rule 1); not the member, unless they gave themselves a role."""
    found: set[str] = set()
    waiting = [handle]
    while waiting:
        one = waiting.pop()
        invited = (event.c.action == "member.invited") & (event.c.object_id == one)
        given = (event.c.action == "role.granted") & event.c.object_id.startswith(f"{one}:", autoescape=True)
        actors = connection.scalars(select(event.c.actor).where(or_(invited, given)).distinct())
        new = {actor for actor in actors if actor} - found
        found |= new
        waiting += new
    return frozenset(found)
