"""The organisation's ledger as a picture: what of each dataset's privacy budget is spent, by month and by purpose, and which allowances it gave.

It shows what the route gives and no more: coarse steps, as of the beginning of this month (privacy rule 18).
"""

from __future__ import annotations

from typing import Any, Final

from fastapi import Response

from casehaven.core.problems import ProblemError
from casehaven.web.backend import place
from casehaven.web.desk import Signed
from casehaven.web.router import PageRouter

router = PageRouter()

WAIT_SECONDS: Final = 15


@router.get("/ledger")
async def ledger(desk: Signed) -> Response:
    """The organisation's own ledger."""
    answer = await desk.backend.call("GET", place("/v1/organisations/{}/ledger", desk.organisation), wait=WAIT_SECONDS)
    if answer.problem is not None:
        raise ProblemError(answer.problem)
    if answer.status != 200:
        return desk.to_job(answer, then="/ledger", back="/home")
    return desk.page("ledger/show.html", form=desk.blank(), **shown(answer.body["result"]))


def shown(found: dict[str, Any]) -> dict[str, Any]:
    """Return what the page shows of an own ledger: the accounts by dataset, and those of them that anything was spent of."""
    datasets: dict[str, list[dict[str, Any]]] = {}
    for account in found["accounts"]:
        datasets.setdefault(str(account["dataset"]), []).append(account)
    used = {name: [one for one in accounts if one["spent_parts"] != 0] for name, accounts in datasets.items()}
    return {"found": found, "datasets": datasets, "used": used}
