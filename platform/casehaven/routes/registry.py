"""Routes of the registry: for everybody, signed in or not, unless the service was started for members alone.

1. A record has a name that can be cited, `CHV-7K3M-9QXW-2HBD.v1`; the name without its version stands for the latest version.
2. Nothing here is made at a request but JSON of what is shown, and the log as a file, from its rows as they are stored. Other files lie there since the release was published.
3. A withdrawn record stays, with its notice; its signed bundle can still be fetched and verified, the other forms cannot.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from pydantic import Field
from sqlalchemy import Connection, select

from casehaven.core.pages import LIMIT, page, parse_cursor
from casehaven.core.projection import published
from casehaven.core.routing import GuardedRouter
from casehaven.core.web import Body, Here, Service, Who
from casehaven.organisations.access import Operation, Principal, require
from casehaven.organisations.errors import NotFoundError
from casehaven.organisations.models import organisation as organisations
from casehaven.registry import rows
from casehaven.registry.datacite import datacite
from casehaven.registry.deployment import deployment_entry
from casehaven.registry.downloads import file_name
from casehaven.registry.errors import ReleaseWithdrawnError
from casehaven.registry.feed import ITEMS, MEDIA_TYPE, feed
from casehaven.registry.identifiers import RECORD
from casehaven.registry.record import citation, guarantee_words, summary
from casehaven.registry.rows import Record
from casehaven.routes.asking import JOB_PROBLEMS, Asked, ask_worker
from casehaven.routes.jobs import Cursor, Limit
from casehaven.routes.releases import FileName, Text

router = GuardedRouter(tags=["registry"])

NAME: Final = r"^CHV(-[0-9A-Z]{4}){3}(\.v[1-9][0-9]{0,3})?$"
"""Of a record, with its version or without."""
Name = Annotated[str, Path(pattern=NAME)]
PAGE: Final = "/registry"
"""Path below which people read records."""
LOG_MOST: Final = 100_000
"""Entries of the log in one file."""
_ONE: Final = "/v1/registry/{record}"
_CLOSED: Final = ("not-signed-in",)
_TYPES: Final = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "json": "application/json",
}


class Withdrawing(Body):
    """Why a release is withdrawn, for everybody to read."""

    reason: Annotated[Text, Field(max_length=1_000)]


@router.get("/v1/registry", open_to_all=True, problems=(*_CLOSED, "cursor", "body"))
def list_records(request: Request, here: Here, cursor: Cursor = None, limit: Limit = LIMIT) -> Response:
    """List every published version, newest first; withdrawn ones with their notice."""
    _opened(request, here)
    before = parse_cursor(cursor, "registry", here.key)
    with here.store.reading() as connection:
        found = rows.records(connection, before=before, limit=limit + 1)
    made = page(
        found,
        limit=limit,
        list_name="registry",
        key=here.key,
        number=lambda each: each.sequence,
        shown=lambda each: summary(each.document),
    )
    return JSONResponse(made, headers=kept(here))


@router.get("/v1/registry/feed.json", open_to_all=True, problems=_CLOSED)
def read_feed(request: Request, here: Here) -> Response:
    """Return the last entries of the log as a JSON Feed."""
    _opened(request, here)
    with here.store.reading() as connection:
        entries = rows.last_entries(connection, ITEMS)
        made = feed(entries, publisher=_publisher(connection, here), origin=here.settings.origin, page=PAGE)
    return JSONResponse(made, media_type=MEDIA_TYPE, headers=kept(here))


@router.get("/v1/registry/log", open_to_all=True, problems=(*_CLOSED, "cursor", "body"))
def read_log(request: Request, here: Here, cursor: Cursor = None, limit: Limit = LIMIT) -> Response:
    """Return the public log, oldest entry first, with the signer's key as this service says it; compare that key over another channel."""
    _opened(request, here)
    after = parse_cursor(cursor, "registry-log", here.key)
    with here.store.reading() as connection:
        found = rows.log_entries(connection, after=-1 if after is None else after, limit=limit + 1)
        signer = _signer(connection)
    made = page(
        found,
        limit=limit,
        list_name="registry-log",
        key=here.key,
        number=lambda each: int(each.entry["position"]),
        shown=lambda each: {**each.document(), "digest": each.digest},
    )
    return JSONResponse({**made, "signer": signer}, headers=kept(here))


@router.get("/v1/registry/log.jsonl", open_to_all=True, problems=_CLOSED)
def read_log_file(request: Request, here: Here) -> Response:
    """Return the public log as a file, one entry a line: what `casehaven registry verify` checks."""
    _opened(request, here)
    with here.store.reading() as connection:
        lines = rows.log_lines(connection, limit=LOG_MOST)
    return PlainTextResponse(lines, media_type="application/jsonl", headers=kept(here))


@router.get(_ONE, open_to_all=True, problems=(*_CLOSED, "body"))
def read_record(request: Request, record: Name, here: Here) -> Response:
    """Return a record: what the signed manifest says of the release, its files, its versions, and the notice where it was withdrawn."""
    found, versions = found_record(request, here, record)
    with here.store.reading() as connection:
        signer = _signer(connection)
    document = found.document
    standing = [each for each in versions if not each.withdrawn] or versions
    made = {
        **document,
        "citation": citation(document),
        "guarantee_words": guarantee_words(document),
        "latest": standing[0].name,
        "versions": [
            {
                "id": each.name,
                "version": each.version,
                "state": each.document["state"],
                "published": each.document["published"],
                "changelog": each.document["changelog"],
                "withdrawal": each.document["withdrawal"],
            }
            for each in versions
        ],
        "signer": signer,
        "release": found.release_id,
    }
    return JSONResponse(made, headers=kept(here))


@router.get(_ONE + "/metadata.json", open_to_all=True, problems=(*_CLOSED, "body"))
def read_metadata(request: Request, record: Name, here: Here) -> Response:
    """Return a record as DataCite metadata."""
    found, versions = found_record(request, here, record)
    with here.store.reading() as connection:
        publisher = _publisher(connection, here)
    made = datacite(
        found.document,
        publisher=publisher,
        address=_address(here, found),
        versions=[each.name for each in versions],
    )
    return JSONResponse(made, headers=kept(here))


@router.get(_ONE + "/deployment.json", open_to_all=True, problems=(*_CLOSED, "body"))
def read_deployment(request: Request, record: Name, here: Here) -> Response:
    """Return a record in the form of the public registries of differential privacy deployments."""
    found, _ = found_record(request, here, record)
    with here.store.reading() as connection:
        publisher = _publisher(connection, here)
    made = deployment_entry(found.document, publisher=publisher, address=_address(here, found))
    return JSONResponse(made, headers=kept(here))


@router.get(_ONE + "/files/{name}", open_to_all=True, problems=(*_CLOSED, "body"))
def read_file(request: Request, record: Name, name: FileName, here: Here) -> Response:
    """Return a file of the signed bundle, of a withdrawn release too."""
    found, _ = found_record(request, here, record)
    if name not in {each["name"] for each in found.document["files"]}:
        raise NotFoundError
    path = here.store.releases / found.release_id / name
    if not path.is_file():
        raise NotFoundError
    # a page of a release is opened as a file, never on this origin
    kind = _TYPES.get(path.suffix[1:], "application/octet-stream")
    return FileResponse(path, media_type=kind, filename=name, headers=kept(here))


@router.get(_ONE + "/downloads/{table}.{form}", open_to_all=True, problems=(*_CLOSED, "body", "release-withdrawn"))
def read_download(
    request: Request,
    record: Name,
    table: Literal["records", "aggregates"],
    form: Literal["csv", "parquet", "xlsx", "json"],
    here: Here,
    hxl: Annotated[bool, Query()] = False,
) -> Response:
    """Return a table of a release in one of its forms; with `hxl=1` with a row of HXL tags."""
    found, _ = found_record(request, here, record)
    if found.withdrawn:
        raise ReleaseWithdrawnError
    name = file_name(table, form, hxl=hxl)
    if name not in {each["name"] for each in found.document["downloads"]}:
        raise NotFoundError
    path = here.store.releases / f"{found.release_id}.downloads" / name
    if not path.is_file():
        raise NotFoundError
    return FileResponse(path, media_type=_TYPES[form], filename=f"{found.name}-{name}", headers=kept(here))


@router.post(
    _ONE + "/withdrawal",
    operation=Operation.RELEASE_APPROVE,
    problems=(*JOB_PROBLEMS, "decision", "registry-log", "step-up-needed"),
    status_code=202,
)
async def withdraw(request: Request, record: Name, body: Withdrawing, here: Here, who: Who) -> Response:
    """Withdraw a published version of your organisation, for good, with a notice that everybody reads."""
    if not RECORD.fullmatch(record):
        raise NotFoundError
    organisation = (await run_in_threadpool(_own, here, who, record)).organisation
    require(who, Operation.RELEASE_APPROVE, organisation)
    asked = Asked(kind="release.withdraw", organisation=organisation, request={"record": record, "reason": body.reason})
    return await ask_worker(request, here, who, asked)


def kept(here: Service) -> dict[str, str]:
    """Say who may keep an answer: everybody a minute, or nobody but the reader."""
    return {"Cache-Control": "public, max-age=60" if here.settings.registry_public else "private, no-cache"}


def _own(here: Service, who: Principal, record: str) -> Record:
    with here.store.reading() as connection:
        return rows.record_of(connection, record, organisation=who.organisation)


def _opened(request: Request, here: Service) -> None:
    """Return when this registry is for everybody, or whoever asks is signed in.

    Raises:
        NotSignedInError: it is for members, and they are not.
    """
    from casehaven.signin.principal import current_principal

    if not here.settings.registry_public:
        current_principal(request)


def found_record(request: Request, here: Service, name: str) -> tuple[Record, list[Record]]:
    """Return a record and all versions of it, latest first, for whoever may read the registry.

    Raises:
        NotSignedInError: it is for members, and they are not.
        NotFoundError: there is none.
    """
    _opened(request, here)
    concept = name.partition(".")[0]
    with here.store.reading() as connection:
        versions = rows.versions_of(connection, concept)
    standing = [each for each in versions if not each.withdrawn] or versions
    named = [each for each in versions if each.name == name] if name != concept else standing
    if not named:
        raise NotFoundError
    return named[0], versions


def _publisher(connection: Connection, here: Service) -> str:
    """Return the title of whoever runs the service; its address where nobody set that up."""
    title = connection.scalar(select(organisations.c.title).where(organisations.c.kind == "deployment"))
    return str(title) if title is not None else here.settings.origin


def _signer(connection: Connection) -> dict[str, Any] | None:
    try:
        return published(connection, "signer", "signer")
    except NotFoundError:
        return None


def _address(here: Service, record: Record) -> str:
    return f"{here.settings.origin}{PAGE}/{record.name}"
