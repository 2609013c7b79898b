"""Routes of budgets: the public statement of cumulative loss, an organisation's own ledger in the same steps, and what is left of your own fair share."""

from __future__ import annotations

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from casehaven.core.routing import GuardedRouter
from casehaven.core.web import Here, Service, Who
from casehaven.organisations.access import Operation, Principal
from casehaven.routes.asking import JOB_PROBLEMS, Asked, ask_worker
from casehaven.routes.datasets import Organisation
from casehaven.routes.reach import reached_datasets

router = GuardedRouter(tags=["budgets"])


@router.get("/v1/budgets/statement", operation=Operation.BUDGET_READ, problems=JOB_PROBLEMS, status_code=202)
async def statement(request: Request, here: Here, who: Who) -> Response:
    """Return the signed public statement: the state at the beginning of this month, in sixteenths of each budget."""
    return await ask_worker(request, here, who, Asked(kind="budget.statement"))


@router.get("/v1/budgets/allowances", operation=Operation.BUDGET_READ, problems=JOB_PROBLEMS, status_code=202)
async def allowances(request: Request, here: Here, who: Who) -> Response:
    """Return what is left of your own fair share in each dataset that you may ask about."""
    names = await run_in_threadpool(_mine, here, who)
    return await ask_worker(request, here, who, Asked(kind="budget.allowances", dataset=names))


@router.get(
    "/v1/organisations/{organisation}/ledger", operation=Operation.BUDGET_READ, problems=JOB_PROBLEMS, status_code=202
)
async def ledger(request: Request, organisation: Organisation, here: Here, who: Who) -> Response:
    """Return your organisation's own ledger: what its datasets spent by month and by purpose, in sixteenths as of the beginning of this month, and its allowances."""
    return await ask_worker(request, here, who, Asked(kind="budget.ledger", organisation=organisation))


def _mine(here: Service, who: Principal) -> str:
    with here.store.reading() as connection:
        found = reached_datasets(connection, who, Operation.QUESTION_ASK)
    return " ".join(f"{one['organisation']}/{one['name']}" for one in found)
