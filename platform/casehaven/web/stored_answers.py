"""Pages of answers that are stored: one's own questions, and what anybody asked about a dataset. Reading them again costs nothing.

1. A stored answer has no name of its own: it is named by the digest of what it says. Who asked is not told.
2. What is shown is read anew from the service each time; a page keeps nothing.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import Path, Query, Response

from casehaven.core.problems import Problem, ProblemError
from casehaven.organisations.errors import NotFoundError
from casehaven.web.answer_view import csv_bytes, read
from casehaven.web.asked_again import command_line, document_of, python_lines
from casehaven.web.asking_source import AGREEMENT, choices, schema_by_digest, schema_of
from casehaven.web.backend import place
from casehaven.web.desk import Desk, Signed
from casehaven.web.router import PageRouter
from caseschemas import CaseSchema
from casesynth.canonical import canonical_json

router = PageRouter()

Name = Annotated[str, Path(max_length=64)]
Digest = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
ASKED: Final = "question.ask"
WAIT_SECONDS: Final = 20
SHOWN_MOST: Final = 200
OWN_MOST: Final = 20


@router.get("/answers")
async def answers(
    desk: Signed, of: Annotated[str, Query(max_length=130)] = "", every_day: Annotated[bool, Query()] = True
) -> Response:
    """What was asked, and may be read again."""
    desk.require("answer.list")
    every = [one for one in await choices(desk) if not one.pooled]
    chosen = next((one for one in every if one.value == of), every[0] if every and not of else None)
    stored = []
    if chosen is not None:
        schema = await schema_of(desk, chosen.value)
        documents = await _stored(desk, chosen.value, every_day=every_day)
        stored = [
            {"read": read(one, schema, desk.words), "digest": digest_of(one)} for one in documents[::-1][:SHOWN_MOST]
        ]
    return desk.page(
        "asking/answers.html",
        choices=every,
        chosen=chosen,
        unknown=bool(of) and chosen is None,
        stored=stored,
        every_day=every_day,
        own=await _own(desk),
    )


@router.get("/answers/{organisation}/{dataset}/{digest}")
async def stored_answer(desk: Signed, organisation: Name, dataset: Name, digest: Digest) -> Response:
    """One stored answer, at no charge."""
    answer = await _one(desk, f"{organisation}/{dataset}", digest)
    return await answer_page(desk, answer, own=None, files=place("/answers/{}/{}/{}", organisation, dataset, digest))


@router.get("/answers/{organisation}/{dataset}/{digest}/answer.csv")
async def stored_csv(desk: Signed, organisation: Name, dataset: Name, digest: Digest) -> Response:
    """One stored answer for a spreadsheet."""
    answer = await _one(desk, f"{organisation}/{dataset}", digest)
    shown = read(answer, await schema_of_answer(desk, answer), desk.words)
    name = f"casehaven-answer-{digest[:8]}.csv"
    return desk.file(csv_bytes(answer, shown), name=name, media_type="text/csv; charset=utf-8")


@router.get("/answers/{organisation}/{dataset}/{digest}/question.json")
async def stored_question(desk: Signed, organisation: Name, dataset: Name, digest: Digest) -> Response:
    """The question of a stored answer, to be asked again by a program."""
    return await question_file(desk, await _one(desk, f"{organisation}/{dataset}", digest))


async def question_file(desk: Desk, answer: Mapping[str, Any]) -> Response:
    """Answer with the question of an answer as a file.

    Raises:
        NotFoundError: its schema is not known here.
    """
    schema = await schema_of_answer(desk, answer)
    if schema is None:
        raise NotFoundError
    text = json.dumps(document_of(answer, schema), ensure_ascii=False, indent=1)
    return desk.file(f"{text}\n".encode(), name="question.json", media_type="application/json")


def digest_of(answer: Mapping[str, Any]) -> str:
    """Return what names an answer: of what it says."""
    return hashlib.sha256(canonical_json(dict(answer))).hexdigest()[:32]


async def schema_of_answer(desk: Desk, answer: Mapping[str, Any]) -> CaseSchema | None:
    """Return the schema of what an answer is about; None where it is not known here."""
    return await schema_by_digest(desk, str(answer["snapshot"]["schema_sha256"]))


async def answer_page(desk: Desk, answer: dict[str, Any], *, own: Mapping[str, Any] | None, files: str) -> Response:
    """Show an answer.

    Args:
        desk: who reads.
        answer: `casehaven-answer/1`.
        own: what the reader's own question came back with: what was charged, and why it was free; None for a stored one.
        files: path below which its files are.
    """
    schema = await schema_of_answer(desk, answer)
    snapshot = answer["snapshot"]
    pooled = "agreement" in snapshot
    question = None if schema is None else document_of(answer, schema)
    lines = command = ""
    if question is not None:
        lines, command = python_lines(answer, question), command_line(answer, desk.origin)
    again = f"{AGREEMENT}{snapshot['agreement']}" if pooled else str(snapshot["datasets"][0])
    return desk.page(
        "asking/answer.html",
        found=read(answer, schema, desk.words),
        answer=answer,
        own=own,
        files=files,
        question=question,
        lines=lines,
        command=command,
        pooled=pooled,
        factor=math.exp(min(float(answer["guarantee"]["epsilon_per_person"]), 50.0)),
        again=place("/ask", of=again),
    )


async def _own(desk: Desk) -> list[dict[str, Any]]:
    """Return one's own questions, newest first: each job, and its answer as it is read where there is one."""
    found: list[dict[str, Any]] = []
    for job in (await desk.get("/v1/jobs", limit=100))["items"] if desk.may("job.read") else []:
        if job["kind"] != ASKED or len(found) == OWN_MOST:
            continue
        shown = None
        if job["state"] == "done":
            kept = await desk.ask("GET", "/v1/jobs/{}/result", job["id"])
            if kept.status == 200:  # otherwise it expired meanwhile
                answer = kept.body["answer"]
                shown = read(answer, await schema_of_answer(desk, answer), desk.words)
        found.append({"job": job, "read": shown})
    return found


async def _stored(desk: Desk, dataset: str, *, every_day: bool) -> list[dict[str, Any]]:
    query = {"every_day": "true"} if every_day else {}
    path = place("/v1/datasets/{}/{}/answers", *dataset.split("/", 1), **query)
    answer = (await desk.backend.call("GET", path, wait=WAIT_SECONDS)).checked()
    result = answer.body.get("result")
    if answer.status == 202 or result is None:
        raise ProblemError(Problem(status=503, code="starting", title="the service is busy", detail="", advice=""))
    found: list[dict[str, Any]] = result["answers"]
    return found


async def _one(desk: Desk, dataset: str, digest: str) -> dict[str, Any]:
    for answer in await _stored(desk, dataset, every_day=True):
        if digest_of(answer) == digest:
            return answer
    raise NotFoundError
