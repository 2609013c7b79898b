"""Routes of uploads: a file in, what it would become, and taking it in.

1. The file is the body, as it is. It is sealed to the organisation's public key while it arrives: no more than 4 MiB of it is ever plain here, and nothing plain is written.
2. What came whole gets a row; what broke off is removed at once. More than the limit is refused, whatever the header says.
3. A raw upload is opened for whoever sent it. A colleague who takes uploads in may have it opened with a fresh second factor.
4. No upload takes more of the disk than `casehaven.core.upload_room` leaves to its organisation, and to everybody.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Any, Literal

from fastapi import Path, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from pydantic import Field
from sqlalchemy import Connection

from casehaven.core.idempotency import HEADER, known_job, parse_key, remember_job, request_digest
from casehaven.core.pages import LIMIT, page, parse_cursor
from casehaven.core.projection import public_key_of, published
from casehaven.core.request_errors import BodyError, BodyTooLargeError
from casehaven.core.routing import GuardedRouter
from casehaven.core.upload_files import (
    UploadRow,
    add_upload,
    mark_upload,
    upload_context,
    upload_of,
    upload_path,
    uploads_of,
)
from casehaven.core.upload_room import Arrival
from casehaven.core.web import Body, Here, Service, Who
from casehaven.organisations.access import Operation, Principal
from casehaven.organisations.errors import ForbiddenError, StepUpNeededError
from casehaven.organisations.members import member_by_id
from casehaven.routes.asking import JOB_PROBLEMS, Asked, ask_worker
from casehaven.routes.datasets import Dataset, Organisation
from casehaven.routes.jobs import Cursor, Limit
from casehaven.vault.sealing_stream import SealingStream

router = GuardedRouter(tags=["uploads"])

UploadId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
Short = Annotated[str, Field(max_length=200)]
_PLACE = "/v1/datasets/{organisation}/{dataset}/uploads"
_FILE = ("case-file", "upload-key", "mapping-faults", "result-gone")


class Reading(Body):
    """How a file is read, where that cannot be told from the file."""

    password: Short | None = None
    encoding: Short | None = None
    separator: Literal[",", ";", "\t", "|"] | None = None
    sheet: Short | None = None
    mapping: dict[str, Any] | None = None
    """`casehaven-intake-mapping/1`, as it was proposed and then looked at."""


class Committing(Reading):
    """How a file is taken in."""

    leave_refused: bool = False
    """Rows that cannot be taken in may stay behind."""
    keep: Annotated[tuple[Short, ...], Field(max_length=100, strict=False)] = ()
    again: bool = False
    same_people: bool = False
    older_file: bool = False


@router.post(
    _PLACE,
    operation=Operation.UPLOAD_CREATE,
    problems=(
        "body-too-large",
        "body",
        "starting",
        "idempotency-key-needed",
        "idempotency-key-reused",
        "uploads-waiting",
        "disk-full",
    ),
    status_code=201,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def send(request: Request, organisation: Organisation, dataset: Dataset, here: Here, who: Who) -> Response:
    """Send a case file. It is sealed while it arrives, kept for a day at most, and destroyed when it is taken in."""
    here.limits.spend("upload", who.member_id, float(here.clock()))
    key = parse_key(request.headers.get(HEADER))
    public = await run_in_threadpool(_public_key, here, organisation, dataset)
    with here.room.arriving(here.store, organisation) as arrival:
        found = await _taken(request, organisation, dataset, here, who, key, public, arrival)
    place = {"Location": f"/v1/datasets/{organisation}/{dataset}/uploads/{found.upload_id}"}
    return JSONResponse(found.document(), status_code=201, headers=place)


async def _taken(
    request: Request,
    organisation: str,
    dataset: str,
    here: Service,
    who: Principal,
    key: str,
    public: bytes,
    arrival: Arrival,
) -> UploadRow:
    """Seal a body into a file while it arrives, and give it its row; a file without a row does not stay."""
    await run_in_threadpool(arrival.look)
    upload_id = secrets.token_hex(16)
    path = upload_path(here.store, upload_id)
    stream = SealingStream(public, upload_context(organisation, dataset, upload_id))
    digest = hashlib.sha256()
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o660), "wb") as file:
            async for piece in _limited(request.stream(), here.settings.upload_bytes):
                digest.update(piece)
                if arrival.took(len(piece)):
                    await run_in_threadpool(arrival.look)
                await run_in_threadpool(file.write, stream.update(piece))
            file.write(stream.finish())
            file.flush()
            await run_in_threadpool(os.fsync, file.fileno())
        known = request_digest(here.key, organisation.encode(), dataset.encode(), digest.digest())
        found = await run_in_threadpool(_received, here, who, organisation, dataset, upload_id, key, known, arrival)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    if found.upload_id != upload_id:
        path.unlink(missing_ok=True)
    return found


@router.get(_PLACE, operation=Operation.UPLOAD_READ, problems=("cursor", "body"))
def list_uploads(
    organisation: Organisation, dataset: Dataset, here: Here, cursor: Cursor = None, limit: Limit = LIMIT
) -> dict[str, Any]:
    """List the raw uploads of a dataset, newest first."""
    name = f"uploads:{organisation}/{dataset}"
    before = parse_cursor(cursor, name, here.key)
    with here.store.reading() as connection:
        published(connection, "dataset", f"{organisation}/{dataset}")
        rows = uploads_of(connection, organisation, dataset, before=before, limit=limit + 1)
        found = [(row.sequence, _shown(here, connection, row)) for row in rows]
    return page(
        found,
        limit=limit,
        list_name=name,
        key=here.key,
        number=lambda row: row[0],
        shown=lambda row: row[1],
    )


@router.get(_PLACE + "/{upload}", operation=Operation.UPLOAD_READ, problems=("body",))
def read_upload(organisation: Organisation, dataset: Dataset, upload: UploadId, here: Here) -> dict[str, Any]:
    """Return a raw upload: when it came, and what became of it."""
    with here.store.reading() as connection:
        return _shown(here, connection, upload_of(connection, organisation, dataset, upload))


@router.delete(_PLACE + "/{upload}", operation=Operation.UPLOAD_COMMIT, problems=("body",), status_code=204)
def destroy_upload(organisation: Organisation, dataset: Dataset, upload: UploadId, here: Here) -> None:
    """Destroy a raw upload. What was taken in stays."""
    with here.store.reading() as connection:
        found = upload_of(connection, organisation, dataset, upload)
    if found.state == "received":
        mark_upload(here.store, upload, "destroyed")


@router.post(
    _PLACE + "/{upload}/proposal",
    operation=Operation.UPLOAD_READ,
    problems=(*JOB_PROBLEMS, *_FILE, "step-up-needed"),
    status_code=202,
)
async def propose(
    request: Request,
    organisation: Organisation,
    dataset: Dataset,
    upload: UploadId,
    body: Reading,
    here: Here,
    who: Who,
) -> Response:
    """Say how each column would be understood, and what would become of each row. Nothing is taken in."""
    return await _ask(request, here, who, organisation, dataset, upload, "upload.propose", body)


@router.post(
    _PLACE + "/{upload}/commit",
    operation=Operation.UPLOAD_COMMIT,
    problems=(
        *JOB_PROBLEMS,
        *_FILE,
        "step-up-needed",
        "unconfirmed-mapping",
        "person-undecided",
        "refused-rows",
        "people-cap",
        "record-of-another",
        "idempotency-key-needed",
        "idempotency-key-reused",
    ),
    status_code=202,
)
async def commit(
    request: Request,
    organisation: Organisation,
    dataset: Dataset,
    upload: UploadId,
    body: Committing,
    here: Here,
    who: Who,
) -> Response:
    """Take the file in, whole or not at all, under a mapping that somebody looked at. The raw upload is destroyed."""
    return await _ask(request, here, who, organisation, dataset, upload, "upload.commit", body, keyed=True)


async def _ask(
    request: Request,
    here: Service,
    who: Principal,
    organisation: str,
    dataset: str,
    upload: str,
    kind: str,
    body: Reading,
    *,
    keyed: bool = False,
) -> Response:
    await run_in_threadpool(_openable, here, who, organisation, dataset, upload)
    asked = Asked(
        kind=kind,
        organisation=organisation,
        dataset=f"{organisation}/{dataset}",
        request={"upload": upload},
        private=body.model_dump(exclude_unset=True),
    )
    return await ask_worker(request, here, who, asked, keyed=keyed)


def _shown(here: Service, connection: Connection, row: UploadRow) -> dict[str, Any]:
    """Return an upload with who sent it and, while it waits, the size of its sealed file in bytes: so that its own organisation knows one from another."""
    size = None
    if row.state == "received":
        with suppress(FileNotFoundError):  # it ends just now
            size = upload_path(here.store, row.upload_id).stat().st_size
    return {**row.document(), "sent_by": member_by_id(connection, row.member_id).handle, "sealed_bytes": size}


def _openable(here: Service, who: Principal, organisation: str, dataset: str, upload: str) -> None:
    """Return when somebody may have a raw upload opened: whoever sent it; with a fresh second factor also whoever takes uploads in.

    Raises:
        NotFoundError: there is none.
        ForbiddenError: somebody else sent it, and only those who take uploads in look at files of others.
        StepUpNeededError: a second factor is missing for that.
    """
    with here.store.reading() as connection:
        found = upload_of(connection, organisation, dataset, upload)
    if found.member_id == who.member_id:
        return
    if not who.reaches(Operation.UPLOAD_COMMIT, organisation, dataset):
        raise ForbiddenError
    if not who.stepped_up:
        raise StepUpNeededError


def _public_key(here: Service, organisation: str, dataset: str) -> bytes:
    with here.store.reading() as connection:
        published(connection, "dataset", f"{organisation}/{dataset}")
        return public_key_of(connection, organisation)


async def _limited(pieces: AsyncIterator[bytes], most: int) -> AsyncIterator[bytes]:
    """Yield a body, up to a bound.

    Raises:
        BodyTooLargeError: it is larger.
        BodyError: it is empty.
    """
    size = 0
    async for piece in pieces:
        size += len(piece)
        if size > most:
            raise BodyTooLargeError(f"the file is larger than {most} bytes")
        if piece:
            yield piece
    if size == 0:
        raise BodyError("the body is empty; the file is the body")


def _received(
    here: Service,
    who: Principal,
    organisation: str,
    dataset: str,
    upload_id: str,
    key: str,
    digest: str,
    arrival: Arrival,
) -> UploadRow:
    now = here.clock()
    with here.store.writing() as connection:
        known = known_job(connection, member_id=who.member_id, key=key, digest=digest)
        if known is None:
            arrival.keep(connection)
            add_upload(
                connection,
                upload_id=upload_id,
                organisation=organisation,
                dataset=dataset,
                member_id=who.member_id,
                now=now,
            )
            remember_job(connection, member_id=who.member_id, key=key, digest=digest, job_id=upload_id, now=now)
        return upload_of(connection, organisation, dataset, upload_id if known is None else known)
