"""The page of tokens: access for one's own programs, shown once, ended at any time."""

from __future__ import annotations

from typing import Final

from fastapi import Response

from casehaven.organisations.access import STEP_UP, Operation
from casehaven.signin.tokens import LONGEST_DAYS
from casehaven.web.desk import Desk, Signed
from casehaven.web.forms import Form
from casehaven.web.router import PageRouter

router = PageRouter()

DAYS: Final = 90
"""What is proposed."""
_NEVER: Final = {operation.value for operation in STEP_UP}


@router.get("/tokens")
async def list_tokens(desk: Signed) -> Response:
    """One's own tokens."""
    return await _list(desk, desk.blank(days=str(DAYS)))


@router.post("/tokens")
async def make_token(desk: Signed) -> Response:
    """Make a token, and show it once."""
    form = await desk.sent()
    form.needed("name")
    days = form.number("days", least=1, most=LONGEST_DAYS)
    if not form.all("operations"):
        form.fault("operations", "forms.choose")
    if form.fine:
        body = {"name": form.text("name"), "operations": form.all("operations"), "days": days}
        answer = await desk.ask("POST", "/v1/tokens", body=body)
        if answer.problem is None:
            return desk.page("tokens/made.html", made=answer.body)
        if answer.problem.code != "token-request":
            answer.checked()
        form.problem = answer.problem
    return await _list(desk, form)


@router.post("/tokens/{token_id}/end")
async def end_token(desk: Signed, token_id: str) -> Response:
    """End a token at once."""
    await desk.sent()
    (await desk.ask("DELETE", "/v1/tokens/{}", token_id)).checked()
    return desk.to("/tokens")


async def _list(desk: Desk, form: Form) -> Response:
    found = await desk.get("/v1/tokens")
    able = [one.value for one in Operation if one.value in desk.operations and one.value not in _NEVER]
    return desk.page(
        "tokens/list.html", status=200 if form.fine else 422, tokens=found, able=able, form=form, longest=LONGEST_DAYS
    )
