"""Pages of uploads: send a file, look at what it would become, answer what is a guess, take it in.

1. A file is sent with a plain form. It is passed on to the sealing route while it arrives (`casehaven.web.multipart`): nothing of it is stored here, and no more than a piece of it is held.
2. What the file would become is shown once: it holds words of its cells. The page that shows it carries it along in its own form, packed, and nothing of it stands in an address.
3. Nothing is taken in but what the page showed: answers that change the mapping lead to another dry run, and a guess without a yes, or rows that would stay behind without a word about it, keep the file out.
4. A file can be left and gone on with for a day: the worker keeps the answers of the last dry run beside it, sealed.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import zlib
from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import Path, Query, Response
from fastapi.responses import JSONResponse

from casehaven.core.web import service_of
from casehaven.organisations.errors import CrossSiteError
from casehaven.signin.principal import check_origin
from casehaven.web.backend import place
from casehaven.web.desk import HEADERS, Desk, Signed
from casehaven.web.errors import FormError
from casehaven.web.forms import KEY, PAGE, Form
from casehaven.web.mapping_form import (
    ROW,
    SHORT_LIST,
    TOGETHER,
    age_of,
    answered,
    differ,
    givable,
    lines,
    person_of,
    unconfirmed,
)
from casehaven.web.multipart import read_file_form
from casehaven.web.router import PageRouter
from caseschemas import CaseSchema, parse_schema

router = PageRouter()

Organisation = Annotated[str, Path(max_length=64)]
Dataset = Annotated[str, Path(max_length=64)]
UploadId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
JobId = Annotated[str, Query(pattern=r"^[0-9a-f]{32}$")]

_MARK_BYTES: Final = 32
ROWS_CARRIED: Final = 200
"""Refused rows that a page carries along; the first proposal lists more."""
_PAGE: Final = "/datasets/{}/{}/uploads/{}"
_ROUTE: Final = "/v1/datasets/{}/{}/uploads/{}"
_READING: Final = ("encoding", "separator", "sheet")
SEPARATORS: Final = (",", ";", "\t", "|")
CALENDARS: Final = ("gregorian", "islamic", "solar-hijri", "ethiopian", "buddhist", "bikram-sambat")
ORDERS: Final = ("day-first", "month-first", "year-first")


@router.post("/datasets/{organisation}/{dataset}/uploads")
async def send(desk: Signed, organisation: Organisation, dataset: Dataset) -> Response:
    """Take a file from a form, seal it, and ask what it would become."""
    check_origin(desk.request)
    form = await read_file_form(desk.request.stream(), desk.request.headers.get("content-type", ""))
    assert desk.session is not None
    if not hmac.compare_digest(form.fields.get(PAGE, "").encode(), str(desk.session["page_value"]).encode()):
        raise CrossSiteError
    where = place("/v1/datasets/{}/{}/uploads", organisation, dataset)
    sent = await desk.backend.call("POST", where, content=form.pieces, key=form.fields.get(KEY, ""))
    if sent.problem is not None and sent.problem.code == "body":  # the one thing that can be wrong with a file as it is
        return desk.page("uploads/empty.html", status=422, organisation=organisation, dataset=dataset)
    upload = str(sent.checked().body["id"])
    asked = await desk.ask("POST", _ROUTE + "/proposal", organisation, dataset, upload, body={})
    onward = _to_mapping(organisation, dataset, upload, asked.job)
    if "application/json" in desk.request.headers.get("accept", ""):
        return JSONResponse({"next": onward}, 201, HEADERS)
    return desk.to(onward)


@router.get(_PAGE.format("{organisation}", "{dataset}", "{upload}"))
async def show(
    desk: Signed, organisation: Organisation, dataset: Dataset, upload: UploadId, shown: str = ""
) -> Response:
    """One upload: go on with it, or take it back."""
    found = await desk.get(_ROUTE, organisation, dataset, upload)
    return desk.page("uploads/show.html", upload=found, form=desk.blank(), separators=SEPARATORS, once=bool(shown))


@router.post(_PAGE.format("{organisation}", "{dataset}", "{upload}"))
async def go_on(desk: Signed, organisation: Organisation, dataset: Dataset, upload: UploadId) -> Response:
    """Look at the file again, or take it back."""
    form = await desk.sent()
    if form.text("do") == "destroy":
        (await desk.ask("DELETE", _ROUTE, organisation, dataset, upload)).checked()
        return desk.to(place("/datasets/{}/{}", organisation, dataset))
    body: dict[str, Any] = {name: form.text(name) for name in (*_READING, "password") if form.text(name)}
    if form.values.get("separator") == ["\t"]:
        body["separator"] = "\t"
    asked = await desk.ask("POST", _ROUTE + "/proposal", organisation, dataset, upload, body=body)
    asked.checked()
    return desk.to(_to_mapping(organisation, dataset, upload, asked.job))


@router.get(_PAGE.format("{organisation}", "{dataset}", "{upload}") + "/mapping")
async def mapping(desk: Signed, organisation: Organisation, dataset: Dataset, upload: UploadId, job: JobId) -> Response:
    """What the file would become: the mapping, and the dry run. It is shown once."""
    answer = await desk.ask("GET", "/v1/jobs/{}/result", job)
    if answer.status in (404, 410):
        return desk.to(place(_PAGE, organisation, dataset, upload, shown=1))
    found = answer.checked().body
    schema = parse_schema(await desk.get("/v1/datasets/{}/{}/schema", organisation, dataset))
    return _mapping_page(desk, organisation, dataset, upload, found, desk.blank(), schema)


@router.post(_PAGE.format("{organisation}", "{dataset}", "{upload}") + "/mapping")
async def answer(desk: Signed, organisation: Organisation, dataset: Dataset, upload: UploadId) -> Response:
    """Take the answers: another dry run, or taking the file in (rule 3)."""
    form = await desk.sent()
    found = unpacked(form.text("found"), service_of(desk.request).key, upload)
    schema = parse_schema(await desk.get("/v1/datasets/{}/{}/schema", organisation, dataset))
    prepared = found.get("kind") == "prepared"
    body: dict[str, Any] = {name: value for name, value in found.get("reading", {}).items() if value}
    if form.text("password"):
        body["password"] = form.text("password")
    made = None if prepared else answered(found, form, schema)
    if made is not None:
        body["mapping"] = made
    take = form.text("do") == "take"
    if take:
        _check_taking(found, made, form, schema)
    if not form.fine:
        return _mapping_page(desk, organisation, dataset, upload, found, form, schema, status=422)
    if not take or (made is not None and (differ(found["mapping"], made) or "report" not in found)):
        asked = await desk.ask("POST", _ROUTE + "/proposal", organisation, dataset, upload, body=body)
        asked.checked()
        return desk.to(_to_mapping(organisation, dataset, upload, asked.job))
    body |= {name: True for name in ("leave_refused", "same_people", "older_file") if form.text(name) == "yes"}
    if form.all("keep"):
        body["keep"] = form.all("keep")
    asked = await desk.ask("POST", _ROUTE + "/commit", organisation, dataset, upload, body=body, key=form.key)
    then = place(_PAGE + "/receipt", organisation, dataset, upload) + "?job={job}"
    return desk.to_job(asked, then=then, back=place(_PAGE, organisation, dataset, upload))


@router.get(_PAGE.format("{organisation}", "{dataset}", "{upload}") + "/receipt")
async def receipt(desk: Signed, organisation: Organisation, dataset: Dataset, upload: UploadId, job: JobId) -> Response:
    """What was taken in. The numbers are shown once."""
    answer = await desk.ask("GET", "/v1/jobs/{}/result", job)
    found = None if answer.status in (404, 410) else answer.checked().body
    kept = await desk.get(_ROUTE, organisation, dataset, upload)
    return desk.page("uploads/receipt.html", upload=kept, done=found)


# --- parts ---


def _to_mapping(organisation: str, dataset: str, upload: str, job: str | None) -> str:
    """Return where somebody goes while a file is looked at; the upload itself where that could not be asked for."""
    here = place(_PAGE, organisation, dataset, upload)
    if job is None:
        return here
    return place("/jobs/{}", job, then=f"{here}/mapping?job={{job}}", back=here)


def _check_taking(found: Mapping[str, Any], made: Mapping[str, Any] | None, form: Form, schema: CaseSchema) -> None:
    """Note what keeps a file from being taken in (rule 3)."""
    report = found.get("report", {})
    if made is not None:
        left = set(unconfirmed(made))
        for line in lines(found["mapping"], found.get("report"), schema):
            if line.attribute.name in left:
                form.fault(f"{line.field}.yes", "uploads.say_yes")
        if schema.person_key in left:
            form.fault("person_yes", "uploads.say_yes")
    if report.get("refused_in_all") and form.text("leave_refused") != "yes":
        form.fault("leave_refused", "uploads.say_refused")
    if report.get("held_by_others") and form.text("same_people") != "yes":
        form.fault("same_people", "uploads.say_same_people")


def _mapping_page(
    desk: Desk,
    organisation: str,
    dataset: str,
    upload: str,
    found: dict[str, Any],
    form: Form,
    schema: CaseSchema,
    *,
    status: int = 200,
) -> Response:
    shown: dict[str, Any] = {"organisation": organisation, "dataset": dataset, "upload": upload, "found": found}
    carried = (
        {**found, "report": {**found["report"], "refused": found["report"].get("refused", [])[:ROWS_CARRIED]}}
        if "report" in found
        else found
    )
    shown |= {
        "form": form,
        "packed": packed(carried, service_of(desk.request).key, upload),
        "report": found.get("report"),
    }
    if found.get("kind") == "prepared":
        return desk.page("uploads/prepared.html", status=status, schema=schema, **shown)
    mapping = found["mapping"]
    made = lines(mapping, found.get("report"), schema)
    return desk.page(
        "uploads/mapping.html",
        status=status,
        schema=schema,
        lines=made,
        person=person_of(mapping, schema),
        row=ROW,
        together=TOGETHER,
        columns=mapping["columns"],
        dropped=mapping["dropped"],
        givable=givable(schema),
        age=age_of(mapping, schema),
        guesses=len(unconfirmed(mapping)),
        short=SHORT_LIST,
        calendars=CALENDARS,
        orders=ORDERS,
        language=desk.words.language.code,
        sent=status != 200,
        identifying=[line for line in made if line.attribute.role in ("identifier", "text")],
        **shown,
    )


def packed(found: Mapping[str, Any], key: bytes, upload: str) -> str:
    """Return a proposal as the value of a hidden field that fits one upload.

    Args:
        found: the result of the proposal.
        key: of the api alone.
        upload: whose proposal it is.
    """
    data = zlib.compress(json.dumps(found).encode(), 9)
    return base64.urlsafe_b64encode(_seal(data, key, upload) + data).decode("ascii")


def unpacked(text: str, key: bytes, upload: str) -> dict[str, Any]:
    """Read a proposal that a form carried along: exactly what this api wrote there for this upload.

    Raises:
        FormError: it is anything else.

    >>> unpacked(packed({"kind": "prepared"}, b"key", "one"), b"key", "one")
    {'kind': 'prepared'}
    """
    fault = FormError("what the form carries along is not what was found in this file; look at the file again")
    try:
        raw = base64.b64decode(text, altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise fault from None
    mark, data = raw[:_MARK_BYTES], raw[_MARK_BYTES:]
    if not hmac.compare_digest(mark, _seal(data, key, upload)):
        raise fault
    found: dict[str, Any] = json.loads(zlib.decompress(data))
    return found


def _seal(data: bytes, key: bytes, upload: str) -> bytes:
    return hmac.digest(key, b"casehaven-proposal/1\0" + upload.encode() + b"\0" + data, "sha256")
