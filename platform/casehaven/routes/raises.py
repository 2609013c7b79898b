"""Routes of raises of a cap: ask for one, see who approved, and hand in an approval (privacy rule 19).

1. A request names a dataset of the organisation, the new epsilon and a reason that is published. It raises nothing.
2. Two of the people whom the ledger names approve it, each with a key of their own and away from this service: `casehaven budget approve-raise`. A privacy officer hands the approvals in.
3. With the second one the cap is raised for good, and the public statement says so with the reason and the two keys. A lower cap, and the cap for one person, are not asked for here.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from pydantic import Field

from casehaven.budgets import raises
from casehaven.core.pages import LIMIT, page, parse_cursor
from casehaven.core.routing import GuardedRouter
from casehaven.core.web import Body, Here, Service, Who
from casehaven.organisations.access import Operation
from casehaven.routes.asking import JOB_PROBLEMS, Asked, ask_worker
from casehaven.routes.datasets import Name, Organisation
from casehaven.routes.jobs import Cursor, Limit
from casehaven.routes.reach import require_there

router = GuardedRouter(tags=["budgets"])

RaiseId = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]
_PLACE = "/v1/organisations/{organisation}/cap-raises"


class Asking(Body):
    """What is to be raised, and why."""

    dataset: Name
    """Its name within the organisation."""
    epsilon: Annotated[str, Field(pattern=r"^[0-9]{1,4}(\.[0-9]{1,6})?$")]
    """The new one, as decimal text."""
    reason: Annotated[str, Field(min_length=1, max_length=2_000)]
    """It is published."""


class Approving(Body):
    """One person's approval."""

    approval: Annotated[str, Field(max_length=65_536)]
    """The text of the file that `casehaven budget approve-raise` wrote."""


@router.post(
    _PLACE,
    operation=Operation.BUDGET_PROPOSE,
    problems=(*JOB_PROBLEMS, "not-found", "budget-raise", "unknown-account"),
    status_code=202,
)
async def propose(request: Request, organisation: Organisation, body: Asking, here: Here, who: Who) -> Response:
    """Draw up a request to raise the cap of a dataset. Nothing is raised until two people have approved it."""
    name = f"{organisation}/{body.dataset}"
    await run_in_threadpool(require_there, here, name)
    asked = {"epsilon": body.epsilon, "reason": body.reason}
    return await ask_worker(
        request, here, who, Asked(kind="budget.propose-raise", organisation=organisation, dataset=name, request=asked)
    )


@router.get(_PLACE, operation=Operation.BUDGET_READ, problems=("cursor", "body"))
def list_raises(organisation: Organisation, here: Here, cursor: Cursor = None, limit: Limit = LIMIT) -> dict[str, Any]:
    """List the raises that were asked for, newest first, with who approved."""
    name = f"cap-raises:{organisation}"
    before = parse_cursor(cursor, name, here.key)
    with here.store.reading() as connection:
        found = raises.raises_of(connection, organisation, before=before, limit=limit + 1)
    return page(found, limit=limit, list_name=name, key=here.key, number=lambda row: row[0], shown=lambda row: row[1])


@router.get(_PLACE + "/{cap_raise}", operation=Operation.BUDGET_READ, problems=("body",))
def read_raise(organisation: Organisation, cap_raise: RaiseId, here: Here) -> dict[str, Any]:
    """Return one; its `request` is what the two people sign, as `casehaven budget approve-raise` reads it."""
    with here.store.reading() as connection:
        return raises.raise_of(connection, cap_raise, organisation)


@router.post(
    _PLACE + "/{cap_raise}/approvals",
    operation=Operation.BUDGET_APPROVE,
    problems=(*JOB_PROBLEMS, "step-up-needed", "budget-raise"),
    status_code=202,
)
async def approve(
    request: Request, organisation: Organisation, cap_raise: RaiseId, body: Approving, here: Here, who: Who
) -> Response:
    """Hand in one person's approval. With the second one the cap is raised, for good."""
    await run_in_threadpool(_known, here, cap_raise, organisation)
    asked = {"raise": cap_raise, "approval": body.approval}
    return await ask_worker(
        request, here, who, Asked(kind="budget.approve-raise", organisation=organisation, request=asked)
    )


def _known(here: Service, digest: str, organisation: str) -> None:
    with here.store.reading() as connection:
        raises.raise_of(connection, digest, organisation)
