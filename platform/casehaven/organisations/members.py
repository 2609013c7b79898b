"""Organisations and their members: founding, inviting, roles, ending.

1. An organisation is founded with its first member, in one transaction. That is the only source of rights on it: every other right was given by somebody
   who held it (`roles.may_give`) and may grant roles there.
2. Whoever gives, takes or ends is looked up anew in the transaction that does it: rights of a moment ago do not count.
3. Whoever may not give a role may not take it away, and may not end a member who has it.
4. The last active steward, privacy officer or operator of an organisation keeps the role and stays.
5. A member who ended has no role and no grant. Their handle is never given again.
6. Members of other organisations cannot be told from members who do not exist.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from casehaven.organisations import events, names
from casehaven.organisations.access import DEPLOYMENT, Operation, Principal, require
from casehaven.organisations.errors import (
    GrantBeyondRightsError,
    LastHolderError,
    NameTakenError,
    NotFoundError,
    NotSignedInError,
    RoleOfKindError,
)
from casehaven.organisations.models import dataset_grant, member, member_role, organisation
from casehaven.organisations.roles import KEPT, RIGHTS, Kind, Role, founding_roles, may_give, rights_of


@dataclass(frozen=True, kw_only=True)
class Member:
    """A member as others of the organisation see them."""

    id: str
    handle: str
    organisation: str
    kind: Kind
    """Of the organisation."""
    state: str
    """`invited`, `active` or `ended`."""
    roles: frozenset[Role]

    @property
    def active(self) -> bool:
        """Whether they may sign in."""
        return self.state == "active"


def found(connection: Connection, now: int, *, name: str, title: str, kind: Kind, first: str, by: str = "") -> Member:
    """Found an organisation with its first member, who is invited and has the founding roles (rule 1).

    Args:
        connection: of a writing transaction.
        now: seconds since 1970, UTC.
        name: of the organisation.
        title: as people write it.
        kind: what it is here for.
        first: the handle of its first member.
        by: who founds it; empty at the first run.

    Raises:
        NameTakenError: the organisation or the handle is there already, or a second deployment is founded.
        NameFormError: a name is not written as names are.
    """
    name, title = names.organisation_name(name), names.title(title)
    one = organisation.c.kind == Kind.DEPLOYMENT.value if kind is Kind.DEPLOYMENT else organisation.c.name == name
    if connection.execute(select(organisation.c.name).where(one | (organisation.c.name == name))).first() is not None:
        raise NameTakenError("an organisation of this name is there already, or a second deployment was to be made")
    connection.execute(insert(organisation).values(name=name, title=title, kind=kind.value, created_at=now))
    events.record(
        connection,
        now,
        actor=by,
        action="organisation.created",
        organisation=name,
        object_kind="organisation",
        object_id=name,
    )
    founder = _add(connection, now, name, first, by)
    for role in sorted(founding_roles(kind)):
        _give(connection, now, founder, name, first, role, by)
    return member_named(connection, first)


def create_organisation(
    connection: Connection, now: int, principal: Principal, *, name: str, title: str, kind: Kind, first: str
) -> Member:
    """Found an organisation on behalf of an operator.

    Raises:
        ForbiddenError: the principal may not.
        RoleOfKindError: nobody founds a second deployment.
    """
    principal = as_of_now(connection, principal)
    require(principal, Operation.ORGANISATION_CREATE, DEPLOYMENT)
    if kind is Kind.DEPLOYMENT:
        raise RoleOfKindError("there is one deployment; it is made by the first run")
    return found(connection, now, name=name, title=title, kind=kind, first=first, by=principal.handle)


def invite(connection: Connection, now: int, principal: Principal, *, handle: str, roles: frozenset[Role]) -> Member:
    """Add a member to the principal's organisation, with roles; they are active when they have signed up.

    Raises:
        ForbiddenError: the principal may not invite.
        GrantBeyondRightsError: the principal does not hold what a role gives.
        NameTakenError: the handle is, or was, somebody's.
    """
    principal = as_of_now(connection, principal)
    require(principal, Operation.MEMBER_INVITE, principal.organisation)
    kind = kind_of(connection, principal.organisation)
    for role in roles:
        _require_may_give(principal, kind, principal.organisation, role)
    made = _add(connection, now, principal.organisation, handle, principal.handle)
    for role in sorted(roles):
        _give(connection, now, made, principal.organisation, handle, role, principal.handle)
    return member_named(connection, handle)


def invite_again(connection: Connection, now: int, principal: Principal, *, handle: str) -> Member:
    """Invite a member anew who has not joined: whoever does it could have given all that waits for them, and stands behind them from now on.

    Raises:
        NotFoundError: there is no such member in reach, or they have joined.
        GrantBeyondRightsError: the principal does not hold what one of their roles gives.
    """
    principal, target = _target(connection, principal, Operation.MEMBER_INVITE, handle)
    if target.state != "invited":
        raise NotFoundError
    for role in target.roles:
        _require_may_give(principal, target.kind, target.organisation, role)
    _tell(connection, now, principal, "member.invited", target, handle)
    return target


def grant_role(connection: Connection, now: int, principal: Principal, *, handle: str, role: Role) -> None:
    """Give a role to a member; nothing happens when they have it.

    Raises:
        NotFoundError: there is no such member, or not in reach.
        GrantBeyondRightsError: the principal does not hold what the role gives.
        RoleOfKindError: organisations of this kind have no such role.
    """
    principal, target = _target(connection, principal, Operation.ROLE_GRANT, handle)
    _require_may_give(principal, target.kind, target.organisation, role)
    if role not in target.roles:
        _give(connection, now, target.id, target.organisation, handle, role, principal.handle)


def revoke_role(connection: Connection, now: int, principal: Principal, *, handle: str, role: Role) -> None:
    """Take a role from a member; nothing happens when they do not have it.

    Raises:
        NotFoundError: there is no such member, or not in reach.
        GrantBeyondRightsError: the principal could not give the role (rule 3).
        LastHolderError: nobody else who is active has it (rule 4).
    """
    principal, target = _target(connection, principal, Operation.ROLE_GRANT, handle)
    _require_may_give(principal, target.kind, target.organisation, role)
    if role not in target.roles:
        return
    _keep_last(connection, target, frozenset({role}))
    connection.execute(delete(member_role).where(member_role.c.member == target.id, member_role.c.role == role.value))
    _tell(connection, now, principal, "role.revoked", target, f"{handle}:{role.value}")


def end_member(connection: Connection, now: int, principal: Principal, *, handle: str) -> None:
    """End a member for good: no role, no grant, no way in (rule 5).

    Raises:
        NotFoundError: there is no such member, or not in reach.
        GrantBeyondRightsError: they have a role that the principal could not give (rule 3).
        LastHolderError: they are the last one who is active and has a role that an organisation keeps (rule 4).
    """
    principal, target = _target(connection, principal, Operation.MEMBER_END, handle)
    for role in target.roles:
        _require_may_give(principal, target.kind, target.organisation, role)
    _keep_last(connection, target, target.roles)
    connection.execute(delete(member_role).where(member_role.c.member == target.id))
    connection.execute(delete(dataset_grant).where(dataset_grant.c.member == target.id))
    connection.execute(update(member).where(member.c.id == target.id).values(state="ended"))
    _tell(connection, now, principal, "member.ended", target, handle)


def activate(connection: Connection, now: int, joined: Member) -> None:
    """Let a member in who has made credentials."""
    connection.execute(update(member).where(member.c.id == joined.id).values(state="active"))
    events.record(
        connection,
        now,
        actor=joined.handle,
        action="member.joined",
        organisation=joined.organisation,
        object_kind="member",
        object_id=joined.handle,
    )


def members_of(connection: Connection, name: str) -> list[Member]:
    """Return the members of an organisation who have not ended, by handle."""
    handles = select(member.c.handle).where(member.c.organisation == name, member.c.state != "ended")
    return [member_named(connection, handle) for handle in connection.scalars(handles.order_by(member.c.handle))]


def kind_of(connection: Connection, name: str) -> Kind:
    """Return what an organisation is here for.

    Raises:
        NotFoundError: there is no such organisation.
    """
    kind = connection.scalar(select(organisation.c.kind).where(organisation.c.name == name))
    if kind is None:
        raise NotFoundError
    return Kind(kind)


def member_named(connection: Connection, handle: str) -> Member:
    """Return a member by handle, also one who ended.

    Raises:
        NotFoundError: there is none.
    """
    return _member(connection, member.c.handle == handle)


def member_by_id(connection: Connection, member_id: str) -> Member:
    """Return a member by the number of their row.

    Raises:
        NotFoundError: there is none.
    """
    return _member(connection, member.c.id == member_id)


def granted_datasets(connection: Connection, member_id: str) -> frozenset[str]:
    """Return the datasets that were granted to a member, as `organisation/dataset`."""
    rows = connection.execute(
        select(dataset_grant.c.organisation, dataset_grant.c.dataset).where(dataset_grant.c.member == member_id)
    )
    return frozenset(f"{row.organisation}/{row.dataset}" for row in rows)


def as_of_now(connection: Connection, principal: Principal) -> Principal:
    """Return the principal with no more than the rights and datasets that the database gives them in this transaction (rule 2).

    Raises:
        NotSignedInError: they are no longer an active member.
    """
    try:
        found_member = member_named(connection, principal.handle)
    except NotFoundError:
        raise NotSignedInError from None
    if not found_member.active:
        raise NotSignedInError
    return replace(
        principal,
        rights=principal.rights & rights_of(found_member.kind, found_member.roles),
        datasets=principal.datasets & granted_datasets(connection, found_member.id),
    )


def in_reach(connection: Connection, principal: Principal, operation: Operation, handle: str) -> Member:
    """Return a member whom the principal may do this to; members of others are like members who do not exist (rule 6).

    Raises:
        NotFoundError: there is no such member, they ended, or they are in an organisation out of reach.
        ForbiddenError: they are in the principal's organisation, and no right covers this.
        StepUpNeededError: a fresh second factor is missing.
    """
    target = member_named(connection, handle)
    if target.state == "ended":
        raise NotFoundError
    require(principal, operation, target.organisation)
    return target


def _target(
    connection: Connection, principal: Principal, operation: Operation, handle: str
) -> tuple[Principal, Member]:
    principal = as_of_now(connection, principal)
    return principal, in_reach(connection, principal, operation, handle)


def _member(connection: Connection, which: ColumnElement[bool]) -> Member:
    row = connection.execute(select(member, organisation.c.kind).join(organisation).where(which)).first()
    if row is None:
        raise NotFoundError
    roles = connection.scalars(select(member_role.c.role).where(member_role.c.member == row.id))
    return Member(
        id=row.id,
        handle=row.handle,
        organisation=row.organisation,
        kind=Kind(row.kind),
        state=row.state,
        roles=frozenset(Role(role) for role in roles),
    )


def _add(connection: Connection, now: int, name: str, handle: str, by: str) -> str:
    handle = names.handle(handle)
    if connection.execute(select(member.c.id).where(member.c.handle == handle)).first() is not None:
        raise NameTakenError("this handle is, or was, somebody's")
    made = secrets.token_hex(16)
    connection.execute(
        insert(member).values(id=made, handle=handle, organisation=name, state="invited", created_at=now)
    )
    events.record(
        connection, now, actor=by, action="member.invited", organisation=name, object_kind="member", object_id=handle
    )
    return made


def _give(connection: Connection, now: int, member_id: str, name: str, handle: str, role: Role, by: str) -> None:
    connection.execute(insert(member_role).values(member=member_id, role=role.value, granted_by=by, granted_at=now))
    events.record(
        connection,
        now,
        actor=by,
        action="role.granted",
        organisation=name,
        object_kind="role",
        object_id=f"{handle}:{role.value}",
    )


def _tell(connection: Connection, now: int, by: Principal, action: str, target: Member, object_id: str) -> None:
    events.record(
        connection,
        now,
        actor=by.handle,
        action=action,
        organisation=target.organisation,
        object_kind=action.partition(".")[0],
        object_id=object_id,
    )


def _require_may_give(giver: Principal, kind: Kind, name: str, role: Role) -> None:
    if role not in RIGHTS[kind]:
        raise RoleOfKindError(f"members of an organisation of the kind {kind.value} cannot be {role.value}")
    if not may_give(giver, kind, name, role):
        raise GrantBeyondRightsError("nobody can give or take a role with rights that they do not hold")


def _keep_last(connection: Connection, target: Member, roles: frozenset[Role]) -> None:
    """Refuse when the target is the last active holder of a role that organisations keep (rule 4)."""
    if not target.active:
        return
    others = (
        select(member_role.c.role)
        .join(member, member.c.id == member_role.c.member)
        .where(member.c.organisation == target.organisation, member.c.state == "active", member.c.id != target.id)
    )
    held = set(connection.scalars(others))
    for role in roles & KEPT:
        if role.value not in held:
            raise LastHolderError(f"this is the organisation's last active {role.value}")
