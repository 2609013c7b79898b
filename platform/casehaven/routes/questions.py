"""Routes of questions: a quote, an answer, and the answers that are stored."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from pydantic import Field

from casehaven.agreements.service import open_to
from casehaven.core.request_errors import BodyError
from casehaven.core.routing import GuardedRouter
from casehaven.core.web import Body, Here, Service, Who
from casehaven.organisations.access import Operation, Principal, require
from casehaven.organisations.errors import NotFoundError
from casehaven.routes.asking import JOB_PROBLEMS, Asked, ask_worker
from casehaven.routes.datasets import Dataset, Organisation
from casehaven.routes.reach import require_datasets

router = GuardedRouter(tags=["questions"])

Agreement = Annotated[str, Query(pattern=r"^[0-9a-f]{32}$")]

_AGREED = ("agreement-needed", "not-agreed", "agreement-budget", "too-few-contributors")
_PLANNED = (*_AGREED, "question", "answer-plan", "privacy-loss", "unknown-account", "unbounded", "schema-differs")
_CHARGED = ("budget-exhausted", "allowance-exhausted", "odometer-exhausted", "charged-failure", "draw-refused")


class Asking(Body):
    """A question to datasets."""

    datasets: Annotated[
        tuple[Annotated[str, Field(min_length=3, max_length=130)], ...], Field(max_length=20, strict=False)
    ] = ()
    """Of one organisation; none where an agreement is named."""
    agreement: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None
    """The agreement under which its datasets are asked about together; it names no contributor."""
    question: dict[str, Any]
    """`casehaven-question/1`."""
    person_tokens: Literal["shared", "separate"] = "separate"
    as_of: Annotated[str, Field(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$")] | None = None
    """An earlier day: what was stored on it is shown at no charge, and nothing is counted."""


@router.post(
    "/v1/quotes", operation=Operation.QUESTION_QUOTE, problems=(*JOB_PROBLEMS, *_PLANNED, "not-found"), status_code=202
)
async def quote(request: Request, body: Asking, here: Here, who: Who) -> Response:
    """Say what a question would cost, and how exact its answer would be. Reads public facts alone and charges nothing."""
    asked = await run_in_threadpool(_asked, here, who, body, "question.quote", Operation.QUESTION_QUOTE)
    return await ask_worker(request, here, who, asked)


@router.post(
    "/v1/answers",
    operation=Operation.QUESTION_ASK,
    problems=(
        *JOB_PROBLEMS,
        *_PLANNED,
        *_CHARGED,
        "not-found",
        "idempotency-key-needed",
        "idempotency-key-reused",
        "job-interrupted",
    ),
    status_code=202,
)
async def ask(request: Request, body: Asking, here: Here, who: Who) -> Response:
    """Ask a question: it is charged first, and answered at a tick. Sent again under its Idempotency-Key it is the same answer at no charge."""
    here.limits.spend("question", who.member_id, float(here.clock()))
    asked = await run_in_threadpool(_asked, here, who, body, "question.ask", Operation.QUESTION_ASK)
    return await ask_worker(request, here, who, asked, keyed=True)


@router.get(
    "/v1/datasets/{organisation}/{dataset}/answers",
    operation=Operation.ANSWER_LIST,
    problems=JOB_PROBLEMS,
    status_code=202,
)
async def answers(
    request: Request,
    organisation: Organisation,
    dataset: Dataset,
    here: Here,
    who: Who,
    every_day: Annotated[bool, Query()] = False,
) -> Response:
    """List the answers that are stored about a dataset, without who asked."""
    name = f"{organisation}/{dataset}"
    await run_in_threadpool(_there, here, who, [name], Operation.ANSWER_LIST)
    asked = Asked(kind="answer.list", organisation=organisation, dataset=name, request={"every_day": every_day})
    return await ask_worker(request, here, who, asked)


@router.get(
    "/v1/answers", operation=Operation.ANSWER_LIST, problems=(*JOB_PROBLEMS, *_AGREED, "not-found"), status_code=202
)
async def agreed_answers(
    request: Request,
    here: Here,
    who: Who,
    agreement: Agreement,
    every_day: Annotated[bool, Query()] = False,
) -> Response:
    """List the answers that are stored under an agreement that lets you ask, without who asked and without the datasets."""
    await run_in_threadpool(_open_to, here, who, agreement)
    asked = Asked(kind="answer.list", request={"every_day": every_day, "agreement": agreement})
    return await ask_worker(request, here, who, asked)


def _open_to(here: Service, who: Principal, agreement: str) -> None:
    """Return when a member may ask under an agreement now.

    Raises:
        NotFoundError: there is none in force that lets them; whether there is another is not told.
    """
    with here.store.reading() as connection:
        found = open_to(connection, here.clock(), who.handle, who.organisation)
    if agreement not in {document.agreement for document in found}:
        raise NotFoundError


def _asked(here: Service, who: Principal, body: Asking, kind: str, operation: Operation) -> Asked:
    if (body.agreement is None) != bool(body.datasets):
        raise BodyError("body.datasets: expected datasets, or an agreement")
    request = {"question": body.question, "person_tokens": body.person_tokens, "as_of": body.as_of}
    if body.agreement is not None:
        require(who, operation, None)
        return Asked(kind=kind, request={**request, "agreement": body.agreement})
    names = _there(here, who, list(body.datasets), operation)
    return Asked(kind=kind, dataset=names, request=request)


def _there(here: Service, who: Principal, names: list[str], operation: Operation) -> str:
    with here.store.reading() as connection:
        return require_datasets(connection, who, operation, names)
