"""What lets a member ask about datasets of their own organisation, read from the rows as they are when a job is done, and not as they were when it was queued.

1. A right on the organisation's own datasets, or a steward's grant of each dataset by name, with a right on what is granted. Without either a dataset is not there for them.
2. It is asked when the job begins and again just before the charge: a grant that was ended meanwhile lets nothing more be charged.
3. The allowance of a grant is set in the ledger before the charge, where the ledger has another one. So it holds from the moment of the grant, whether or not the job that sets it was done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, select

from casehaven.ledger import AnalystId, Ledger
from casehaven.organisations.access import Operation, Reach, Right
from casehaven.organisations.errors import NotFoundError
from casehaven.organisations.members import Member
from casehaven.organisations.models import dataset_grant
from casehaven.organisations.roles import rights_of


def granted_limits(
    connection: Connection, asker: Member, operation: Operation, datasets: Sequence[str]
) -> Mapping[str, int | None]:
    """Return the allowances of a member's grants for datasets of their organisation, in nano-rho; None: no limit. A dataset without a grant is not in it.

    Args:
        connection: reads.
        asker: as they are now.
        operation: what they do.
        datasets: `organisation/dataset`.

    Raises:
        NotFoundError: one is out of their reach (rule 1).
    """
    rights = rights_of(asker.kind, asker.roles)
    rows = connection.execute(select(dataset_grant).where(dataset_grant.c.member == asker.id))
    found = {f"{row.organisation}/{row.dataset}": row.allowance_nano_rho for row in rows}
    own = Right(operation=operation, reach=Reach.OWN) in rights
    granted = Right(operation=operation, reach=Reach.GRANTED) in rights
    for name in datasets:
        if not (own and name.partition("/")[0] == asker.organisation) and not (granted and name in found):
            raise NotFoundError
    return {name: found[name] for name in datasets if name in found}


def set_limits(ledger: Ledger, analyst: AnalystId, limits: Mapping[str, int | None]) -> None:
    """Set allowances where the ledger has other ones (rule 3). One without a limit is left to the job that lifts it."""
    for dataset, limit in limits.items():
        if limit is not None and ledger.allowance(analyst, dataset).limit_nano_rho != limit:
            ledger.set_allowance(analyst, dataset, limit)
