"""Routes of organisations, members, roles, grants and security events: parse, call, return. Rules are in the modules that they call.

1. A member of another organisation than the path's is not there.
2. What is shown once (the code of an invitation, a half of a recovery's code) is in no list.
"""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Depends, Query
from sqlalchemy import select

from casehaven.core.routing import GuardedRouter
from casehaven.core.web import Who
from casehaven.organisations import bodies, events, grants, members
from casehaven.organisations.access import Operation
from casehaven.organisations.errors import NotFoundError
from casehaven.organisations.members import Member
from casehaven.organisations.models import organisation as organisations
from casehaven.organisations.roles import RIGHTS, Kind, Role, may_give
from casehaven.signin import joining, recovery, volume
from casehaven.signin.principal import site_of
from casehaven.signin.site import Site

router = GuardedRouter(tags=["organisations"])

Here = Annotated[Site, Depends(site_of)]

_MEMBERS: Final = "/v1/organisations/{organisation}/members"
_ONE: Final = _MEMBERS + "/{handle}"
_GIVE: Final = ("step-up-needed", "grant-beyond-rights", "role-of-kind")


@router.get("/v1/organisations", operation=Operation.ORGANISATION_READ)
def list_organisations(who: Who, site: Here) -> list[bodies.OrganisationShown]:
    """List the organisations in reach."""
    with site.reading() as connection:
        rows = connection.execute(select(organisations).order_by(organisations.c.name)).all()
    return [
        bodies.OrganisationShown(name=row.name, title=row.title, kind=row.kind)
        for row in rows
        if who.reaches(Operation.ORGANISATION_READ, row.name)
    ]


@router.post(
    "/v1/organisations",
    operation=Operation.ORGANISATION_CREATE,
    reach="deployment",
    status_code=201,
    problems=("step-up-needed", "name-taken", "name-form", "role-of-kind"),
)
def create_organisation(body: bodies.NewOrganisation, who: Who, site: Here) -> bodies.Invited:
    """Found an organisation; its first member joins with the code."""
    made, code = joining.create_organisation(
        site, who, name=body.name, title=body.title, kind=Kind(body.kind), first=body.first_member
    )
    return bodies.Invited(member=_shown(made), code=code)


@router.get("/v1/organisations/{organisation}", operation=Operation.ORGANISATION_READ)
def show_organisation(organisation: str, site: Here) -> bodies.OrganisationShown:
    """Show an organisation."""
    with site.reading() as connection:
        row = connection.execute(select(organisations).where(organisations.c.name == organisation)).first()
    if row is None:
        raise NotFoundError
    return bodies.OrganisationShown(name=row.name, title=row.title, kind=row.kind)


@router.get(_MEMBERS, operation=Operation.MEMBER_READ)
def list_members(organisation: str, site: Here) -> list[bodies.MemberShown]:
    """List the members of an organisation who have not ended."""
    with site.reading() as connection:
        return [_shown(found) for found in members.members_of(connection, organisation)]


@router.get("/v1/organisations/{organisation}/roles", operation=Operation.MEMBER_READ)
def list_roles(organisation: str, who: Who, site: Here) -> list[bodies.RoleShown]:
    """List the roles that members of the organisation can have, and whether you could give or take each."""
    with site.reading() as connection:
        kind = members.kind_of(connection, organisation)
    return [bodies.RoleShown(role=role.value, givable=may_give(who, kind, organisation, role)) for role in RIGHTS[kind]]


@router.post(_MEMBERS, operation=Operation.MEMBER_INVITE, status_code=201, problems=(*_GIVE, "name-taken", "name-form"))
def invite_member(organisation: str, body: bodies.NewMember, who: Who, site: Here) -> bodies.Invited:
    """Invite somebody with roles; they join with the code."""
    if organisation != who.organisation:
        raise NotFoundError
    made, code = joining.invite_member(
        site, who, handle=body.handle, roles=frozenset(Role(role) for role in body.roles)
    )
    return bodies.Invited(member=_shown(made), code=code)


@router.post(_ONE + "/code", operation=Operation.MEMBER_INVITE, status_code=201, problems=("step-up-needed",))
def invite_again(organisation: str, handle: str, who: Who, site: Here) -> bodies.CodeShown:
    """Make a new code for somebody who has not joined yet."""
    _check_member(site, organisation, handle)
    return bodies.CodeShown(code=joining.invite_again(site, who, handle=handle))


@router.delete(
    _ONE,
    operation=Operation.MEMBER_END,
    status_code=204,
    problems=("step-up-needed", "grant-beyond-rights", "last-holder"),
)
def end_member(organisation: str, handle: str, who: Who, site: Here) -> None:
    """End a member for good, with credentials, sessions and tokens."""
    _check_member(site, organisation, handle)
    joining.end_member(site, who, handle=handle)


@router.delete(_ONE + "/sessions", operation=Operation.MEMBER_END, status_code=204, problems=("step-up-needed",))
def sign_out_member(organisation: str, handle: str, who: Who, site: Here) -> None:
    """Sign a member out everywhere."""
    _check_member(site, organisation, handle)
    joining.sign_out_member(site, who, handle=handle)


@router.put(_ONE + "/roles/{role}", operation=Operation.ROLE_GRANT, status_code=204, problems=_GIVE)
def grant_role(organisation: str, handle: str, role: Role, who: Who, site: Here) -> None:
    """Give a role to a member."""
    _check_member(site, organisation, handle)
    with site.writing() as connection:
        members.grant_role(connection, site.clock(), who, handle=handle, role=role)


@router.delete(
    _ONE + "/roles/{role}", operation=Operation.ROLE_GRANT, status_code=204, problems=(*_GIVE, "last-holder")
)
def revoke_role(organisation: str, handle: str, role: Role, who: Who, site: Here) -> None:
    """Take a role from a member."""
    _check_member(site, organisation, handle)
    with site.writing() as connection:
        members.revoke_role(connection, site.clock(), who, handle=handle, role=role)


@router.post(
    _ONE + "/recovery",
    operation=Operation.RECOVERY_APPROVE,
    status_code=201,
    problems=("step-up-needed", "recovery-refused"),
)
def approve_recovery(organisation: str, handle: str, who: Who, site: Here) -> bodies.HalfShown:
    """Approve that a member who lost everything is let back in; two members do, and each gets one half of the code."""
    _check_member(site, organisation, handle)
    half, complete = recovery.approve_recovery(site, who, handle)
    return bodies.HalfShown(half=half, complete=complete)


@router.post(
    _ONE + "/volume",
    operation=Operation.VOLUME_APPROVE,
    status_code=204,
    problems=("step-up-needed", "volume-approval"),
)
def approve_volume(organisation: str, handle: str, who: Who, site: Here) -> None:
    """Approve that a member is shown and exports more persons today than one person decides about alone."""
    _check_member(site, organisation, handle)
    with site.writing() as connection:
        volume.approve(connection, site.clock(), who, handle=handle)


@router.get("/v1/organisations/{organisation}/grants", operation=Operation.GRANT_LIST)
def list_grants(organisation: str, site: Here) -> list[bodies.GrantShown]:
    """List who may ask about the organisation's datasets."""
    with site.reading() as connection:
        return [bodies.GrantShown(**vars(found)) for found in grants.grants_of(connection, organisation)]


@router.get("/v1/organisations/{organisation}/events", operation=Operation.EVENT_READ)
def list_events(
    organisation: str,
    site: Here,
    after: Annotated[int, Query(ge=0, le=2**62)] = 0,
    before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 200,
) -> list[bodies.EventShown]:
    """List security events of an organisation after a number, in order; with `before` those before a number, the newest first."""
    with site.reading() as connection:
        if before is not None:
            found = events.events_before(connection, before, organisation=organisation, limit=limit)
        else:
            found = events.events_after(connection, after, organisation=organisation, limit=limit)
    return [bodies.EventShown(**vars(one)) for one in found]


def _check_member(site: Site, organisation: str, handle: str) -> None:
    """Refuse a member of another organisation than the path's, like one who is not there."""
    with site.reading() as connection:
        if members.member_named(connection, handle).organisation != organisation:
            raise NotFoundError


def _shown(found: Member) -> bodies.MemberShown:
    return bodies.MemberShown(
        handle=found.handle, organisation=found.organisation, state=found.state, roles=sorted(found.roles)
    )
