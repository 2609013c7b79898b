"""Routes of the numbers of a published release: a question to it, a comparison with another, and its tables for official statistics.

1. They are for whoever may read the registry. Nothing is charged, no account is opened, and nothing is stored: what is published was paid for when it was made.
2. What is worked out at a request is bounded, few wait for it, and an address has a limit of its own (`casehaven.registry.reading`). The tables for official statistics lie there since the release was published.
3. Of a withdrawn release nothing is answered.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse, Response

from casehaven.core.addresses import network_of
from casehaven.core.problems import ProblemError, problem_of
from casehaven.core.projection import all_published
from casehaven.core.routing import GuardedRouter
from casehaven.core.web import Body, Here, Service
from casehaven.organisations.errors import NotFoundError
from casehaven.registry.errors import ReleaseWithdrawnError
from casehaven.registry.indicators import INDICATORS
from casehaven.registry.reading import FREE, SHELF, Published
from casehaven.registry.rows import Record
from casehaven.routes.registry import NAME, Name, found_record, kept
from caseschemas import parse_schema, shipped_schema_ids
from casesynth.answers.fields import QuestionError

router = GuardedRouter(tags=["registry"])

_ONE: Final = "/v1/registry/{record}"
_CLOSED: Final = ("not-signed-in", "body", "release-withdrawn")
_WORKED: Final = (*_CLOSED, "release-not-read", "registry-busy")
_TYPES: Final = {
    "json": "application/json",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


class Asking(Body):
    """A question to a release."""

    question: dict[str, Any]
    """`casehaven-question/1`; its accuracy may be left away."""


@router.post(_ONE + "/answers", open_to_all=True, problems=(*_WORKED, "question", "release-question"))
async def ask(request: Request, record: Name, body: Asking, here: Here) -> Response:
    """Answer a question from a published release, with the release's own intervals. It costs nothing: `free` says why."""
    return await run_in_threadpool(_answer, request, record, body, here)


@router.get(_ONE + "/comparison", open_to_all=True, problems=(*_WORKED, "not-comparable"))
async def read_comparison(
    request: Request, record: Name, here: Here, other: Annotated[str, Query(alias="with", pattern=NAME)]
) -> Response:
    """Set a release beside another, `with`, which is the first of the two: what changed, with intervals, and which changes are real."""
    return await run_in_threadpool(_compare, request, record, other, here)


@router.get(_ONE + "/indicators.{form}", open_to_all=True, problems=_CLOSED)
def read_indicators(request: Request, record: Name, form: Literal["json", "xlsx"], here: Here) -> Response:
    """Return the tables that official statistics ask for, where the release's schema has what they need."""
    found = _standing(request, here, record)
    name = f"{INDICATORS}.{form}"
    if name not in {each["name"] for each in found.document.get("indicators") or ()}:
        raise NotFoundError
    path = here.store.releases / f"{found.release_id}.downloads" / name
    if not path.is_file():
        raise NotFoundError
    return FileResponse(path, media_type=_TYPES[form], filename=f"{found.name}-{name}", headers=kept(here))


def _answer(request: Request, record: str, body: Asking, here: Service) -> Response:
    published = _published(here, _standing(request, here, record))
    address = _spent(request, here)
    try:
        answer = SHELF.answer(published, body.question, address=address)
    except QuestionError as error:
        raise ProblemError(problem_of(error)) from None
    made = {"answer": answer, "charged_nano_rho": None, "free": FREE}
    return JSONResponse(made, headers={"Cache-Control": "no-store"})


def _compare(request: Request, record: str, other: str, here: Service) -> Response:
    first, second = (_published(here, _standing(request, here, name)) for name in (other, record))
    address = "" if SHELF.compared(first, second) else _spent(request, here)
    return JSONResponse(SHELF.compare(first, second, address=address), headers=kept(here))


def _spent(request: Request, here: Service) -> str:
    """Count a request that takes work, signed in or not, and return the address that it came from.

    Raises:
        RateLimitedError: there were too many.
    """
    address = network_of(request.client.host if request.client is not None else "")
    here.limits.spend("released", address, here.monotonic())
    return address


def _standing(request: Request, here: Service, name: str) -> Record:
    """Return a record that was not withdrawn.

    Raises:
        ReleaseWithdrawnError: it was.
    """
    found, _ = found_record(request, here, name)
    if found.withdrawn:
        raise ReleaseWithdrawnError
    return found


def _published(here: Service, record: Record) -> Published:
    name = str(record.document["schema"])
    named = []
    if name.partition(" ")[0] not in shipped_schema_ids():
        with here.store.reading() as connection:
            found = all_published(connection, "schema")
        named = [parse_schema(each) for each in found if f"{each.get('id')} {each.get('version')}" == name]
    folder = here.store.releases / record.release_id
    return Published(folder=folder, document=record.document, schemas=tuple(named))
