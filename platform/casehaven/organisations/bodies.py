"""What the routes of organisations and members take and give."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from casehaven.core.web import Body

Name = Annotated[str, Field(min_length=1, max_length=64)]
Kind = Annotated[str, Field(pattern="^(ngo|research|policy|deployment)$")]
Role = Annotated[str, Field(pattern="^(caseworker|steward|researcher|policymaker|privacy_officer|operator)$")]


class NewOrganisation(Body):
    """An organisation to be, with its first member."""

    name: Name
    title: Annotated[str, Field(min_length=1, max_length=120)]
    kind: Kind
    first_member: Name


class NewMember(Body):
    """Somebody to be invited."""

    handle: Name
    roles: Annotated[list[Role], Field(max_length=6)]


class OrganisationShown(Body):
    """An organisation."""

    name: str
    title: str
    kind: str


class MemberShown(Body):
    """A member, to others of the organisation."""

    handle: str
    organisation: str
    state: str
    roles: list[str]


class RoleShown(Body):
    """A role that members of an organisation can have."""

    role: str
    givable: bool
    """Whether whoever asks could give it or take it away."""


class Invited(Body):
    """A member with the code that they join with, shown once."""

    member: MemberShown
    code: str


class CodeShown(Body):
    """A code, shown once."""

    code: str


class HalfShown(Body):
    """The approver's half of the code of a recovery, shown once."""

    half: str
    complete: bool
    """Whether this was the second approval."""


class GrantShown(Body):
    """Somebody may ask about a dataset."""

    handle: str
    organisation: str
    dataset: str
    allowance_nano_rho: int | None
    granted_by: str
    granted_at: int


class EventShown(Body):
    """One security event."""

    id: int
    at: int
    actor: str
    action: str
    organisation: str
    object_kind: str
    object_id: str
