"""Grants: a dataset's steward lets a member of another organisation ask about it.

1. A grant names one member and one dataset. It gives nothing by itself: the member's roles say what they may do with datasets that are granted to them.
2. Whoever makes it may make grants for the dataset's organisation, and may ask about the dataset themselves: nobody grants more than they hold.
3. A grant may carry an allowance: the most of the dataset's budget that this member may spend. The ledger enforces it.
4. A grant is ended by whoever could make it. What was answered stays answered.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Delete, delete, insert, select

from casehaven.organisations import events, names
from casehaven.organisations.access import Operation, Principal, require
from casehaven.organisations.errors import GrantBeyondRightsError, NotFoundError
from casehaven.organisations.members import as_of_now, member_named
from casehaven.organisations.models import dataset_grant, member


@dataclass(frozen=True, kw_only=True)
class DatasetGrant:
    """One member may ask about one dataset."""

    handle: str
    organisation: str
    """The dataset's."""
    dataset: str
    allowance_nano_rho: int | None
    """None: no limit of the member's own."""
    granted_by: str
    granted_at: int


def grant_dataset(
    connection: Connection,
    now: int,
    principal: Principal,
    *,
    handle: str,
    organisation: str,
    dataset: str,
    allowance_nano_rho: int | None,
) -> DatasetGrant:
    """Let a member ask about a dataset; a second grant takes the place of the first, with its allowance.

    Args:
        connection: of a writing transaction.
        now: seconds since 1970, UTC.
        principal: who grants.
        handle: of the member.
        organisation: the dataset's.
        dataset: its name; whether there is such a dataset is for the caller to know.
        allowance_nano_rho: at most this much of the dataset's budget.

    Raises:
        NotFoundError: the organisation is out of reach, or there is no such member.
        GrantBeyondRightsError: the principal may not ask about the dataset (rule 2).
    """
    principal = as_of_now(connection, principal)
    require(principal, Operation.DATASET_GRANT, organisation, dataset=dataset)
    if not principal.reaches(Operation.QUESTION_ASK, organisation, dataset):
        raise GrantBeyondRightsError("nobody can grant a dataset that they may not ask about")
    target = member_named(connection, handle)
    if target.state == "ended":
        raise NotFoundError
    made = DatasetGrant(
        handle=handle,
        organisation=organisation,
        dataset=names.dataset_name(dataset),
        allowance_nano_rho=allowance_nano_rho,
        granted_by=principal.handle,
        granted_at=now,
    )
    connection.execute(_of(target.id, organisation, dataset))
    connection.execute(
        insert(dataset_grant).values(
            member=target.id,
            organisation=organisation,
            dataset=dataset,
            allowance_nano_rho=allowance_nano_rho,
            granted_by=principal.handle,
            granted_at=now,
        )
    )
    _tell(connection, now, principal, "dataset.granted", organisation, f"{organisation}/{dataset}:{handle}")
    return made


def end_grant(
    connection: Connection, now: int, principal: Principal, *, handle: str, organisation: str, dataset: str
) -> None:
    """End a grant (rule 4).

    Raises:
        NotFoundError: there is no such grant, or the organisation is out of reach.
    """
    principal = as_of_now(connection, principal)
    require(principal, Operation.DATASET_GRANT, organisation, dataset=dataset)
    target = member_named(connection, handle)
    if connection.execute(_of(target.id, organisation, dataset)).rowcount == 0:
        raise NotFoundError
    _tell(connection, now, principal, "dataset.grant_ended", organisation, f"{organisation}/{dataset}:{handle}")


def grants_of(connection: Connection, organisation: str) -> list[DatasetGrant]:
    """Return the grants for an organisation's datasets, by dataset and handle."""
    rows = connection.execute(
        select(
            member.c.handle,
            dataset_grant.c.organisation,
            dataset_grant.c.dataset,
            dataset_grant.c.allowance_nano_rho,
            dataset_grant.c.granted_by,
            dataset_grant.c.granted_at,
        )
        .join(member, member.c.id == dataset_grant.c.member)
        .where(dataset_grant.c.organisation == organisation)
        .order_by(dataset_grant.c.dataset, member.c.handle)
    )
    return [DatasetGrant(**row._mapping) for row in rows]


def _of(member_id: str, organisation: str, dataset: str) -> Delete:
    return delete(dataset_grant).where(
        dataset_grant.c.member == member_id,
        dataset_grant.c.organisation == organisation,
        dataset_grant.c.dataset == dataset,
    )


def _tell(connection: Connection, now: int, by: Principal, action: str, organisation: str, object_id: str) -> None:
    events.record(
        connection,
        now,
        actor=by.handle,
        action=action,
        organisation=organisation,
        object_kind="dataset",
        object_id=object_id,
    )
