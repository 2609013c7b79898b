"""How a route asks the worker: one job, an answer of 202, or what came of it where the sender waits.

1. The answer is `202` with the job and its place in `Location`. With `Prefer: wait=SECONDS` (at most 20) the answer is held until the job has ended: then it is `200` with the
   result, or the problem with its own status.
2. A private result is opened with the session's secret, for this one answer, and deleted.
3. Where api and worker are two users, a job that needs a second factor carries an assertion of a passkey over what is asked (`casehaven.signin.job_assertions`). Without it the answer is what has to be signed.
4. What carries an Idempotency-Key is one job however often it is sent (`casehaven.core.idempotency`).
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from sqlalchemy import Connection

from casehaven.core import jobs
from casehaven.core.idempotency import HEADER, known_job, parse_key, remember_job, request_digest
from casehaven.core.job_kinds import KINDS
from casehaven.core.job_seals import open_result, result_key, seal_request
from casehaven.core.problems import MEDIA_TYPE
from casehaven.core.projection import public_key_of
from casehaven.core.request_errors import BodyError
from casehaven.core.web import Service
from casehaven.organisations.access import Principal
from casehaven.signin.volume import count
from casesynth.canonical import JsonFaultError, canonical_json

WAIT_MOST: Final = 20
_PREFER: Final = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?([0-9]{1,4})\"?")
_STEPS: Final = (0.02, 0.05, 0.1, 0.2, 0.3)

JOB_PROBLEMS: Final = ("starting", "too-many-jobs", "body", "body-too-large")
"""Codes of every route that makes a job."""

KEY_PROBLEMS: Final = ("idempotency-key-needed", "idempotency-key-reused")
"""Codes where a key is needed, or may be sent."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a route asks of the worker."""

    kind: str
    organisation: str = ""
    dataset: str = ""
    request: Mapping[str, Any] = field(default_factory=dict)
    private: Mapping[str, Any] | None = field(default=None, repr=False)
    """The part with case data: it is sealed to the organisation."""


async def ask_worker(
    request: Request, service: Service, who: Principal, asked: Asked, *, keyed: bool = False
) -> Response:
    """Make a job, and answer.

    Args:
        request: the request.
        service: behind it.
        who: asks.
        asked: for what.
        keyed: whether an Idempotency-Key is needed; one that is sent counts in any case.

    Raises:
        RequestKeyNeededError, RequestKeyReusedError: the key is missing, or was used with another request.
        TooManyJobsError: too many wait.
        NoWorkerError: the organisation has no keys yet.
        BodyError: a part of the body that has no form of its own cannot be written as canonical JSON.
    """
    key = parse_key(request.headers.get(HEADER)) if keyed or HEADER in request.headers else None
    job_id = await run_in_threadpool(_enqueue, request, service, who, asked, key)
    service.wake()
    return await answer(request, service, who, job_id)


async def answer(request: Request, service: Service, who: Principal, job_id: str, *, keep: bool = False) -> Response:
    """Answer with a job: at once, or when it has ended where the sender waits for it. With `keep` a private result is left where it is."""
    until = time.monotonic() + wanted_wait(request.headers.get("prefer"))
    steps = iter(_STEPS)
    while True:
        found = await run_in_threadpool(_view, service, who, job_id)
        if found.ended or time.monotonic() >= until:
            break
        await asyncio.sleep(min(next(steps, _STEPS[-1]), max(until - time.monotonic(), 0.0)))
    return await run_in_threadpool(_answered, service, who, found, keep)


def wanted_wait(prefer: str | None) -> int:
    """Return how long the sender waits, in seconds.

    >>> wanted_wait("respond-async, wait=7"), wanted_wait("wait=900"), wanted_wait(None)
    (7, 20, 0)
    """
    found = _PREFER.search(prefer or "")
    return min(int(found[1]), WAIT_MOST) if found else 0


def private_result(service: Service, who: Principal, job_id: str, *, keep: bool = False) -> Any:
    """Open a private result and delete it; None where it is gone, or another session asked for it.

    Args:
        service: behind the request.
        who: asks.
        job_id: which.
        keep: leave it there until it expires.

    Raises:
        NotFoundError: there is no such job of this member, or it has not ended.
    """
    from casehaven.vault.errors import SealBrokenError

    with service.store.writing() as connection:
        sealed = jobs.sealed_result(connection, job_id, member_id=who.member_id, now=service.clock())
        if sealed is None:
            return None
        try:
            found = open_result(who.session_key, job_id, sealed)
        except SealBrokenError:
            return None
        if not keep:
            jobs.forget_result(connection, job_id)
    return found


def _enqueue(request: Request, service: Service, who: Principal, asked: Asked, key: str | None) -> str:
    now, kind = service.clock(), KINDS[asked.kind]
    new = jobs.NewJob(
        kind=asked.kind,
        now=now,
        organisation=asked.organisation,
        dataset=asked.dataset,
        member_id=who.member_id,
        member_organisation=who.organisation,
        request={**asked.request, **_brought_by(who)},
        result_key=result_key(who.session_key) if kind.private else None,
    )
    about = {"kind": asked.kind, "organisation": asked.organisation, "datasets": asked.dataset}
    try:
        body = canonical_json({**about, "request": dict(asked.request), "private": dict(asked.private or {})})
    except JsonFaultError:
        raise BodyError("body: expected finite numbers, whole characters and few levels") from None
    digest = request_digest(service.key, request.method.encode(), request.url.path.encode(), body)
    with service.store.writing() as connection:
        if key is not None:
            known = known_job(connection, member_id=who.member_id, key=key, digest=digest)
            if known is not None:
                return known
        count(
            connection,
            now,
            member_id=who.member_id,
            handle=who.handle,
            organisation=who.organisation,
            kind=asked.kind,
        )
        carried = _carried(request, connection, service, who, asked, new)
        if asked.private is None:
            new = jobs.NewJob(**{**vars(new), "request": {**new.request, **carried}})
        else:
            public = public_key_of(connection, asked.organisation)
            sealed = seal_request(public, asked.organisation, new.job_id, {**asked.private, **carried})
            new = jobs.NewJob(**{**vars(new), "sealed_request": sealed})
        jobs.enqueue(connection, new)
        if key is not None:
            remember_job(connection, member_id=who.member_id, key=key, digest=digest, job_id=new.job_id, now=now)
    return new.job_id


def _brought_by(who: Principal) -> dict[str, str]:
    """Return who asks, for the worker, which looks them up again: the member's handle, and the session or token that brought the request."""
    made = {"actor": who.handle, "session": who.session_id, "token": who.token_id}
    return {name: value for name, value in made.items() if value is not None}


def _carried(
    request: Request, connection: Connection, service: Service, who: Principal, asked: Asked, new: jobs.NewJob
) -> dict[str, Any]:
    """Return the assertion that came with a request that has to be signed; nothing for any other (rule 3).

    Raises:
        AssertionNeededError: it has to be signed, and is not.
        JobAssertionError: what came is no assertion.
    """
    from casehaven.signin.job_assertions import FIELD, HEADER, Signed, new_challenge, parse_header
    from casehaven.signin.passkeys import has_passkey
    from casehaven.worker.standing import is_signed

    if not service.settings.assertions or not is_signed(asked.kind) or not has_passkey(connection, who.member_id):
        return {}
    given = request.headers.get(HEADER)
    if given is not None:
        return {FIELD: {**parse_header(given), "origin": service.settings.origin}}
    signed = Signed(
        kind=asked.kind,
        organisation=asked.organisation,
        dataset=asked.dataset,
        handle=who.handle,
        request=asked.request,
        private=asked.private,
        result_key=new.result_key,
    )
    raise new_challenge(signed, new.now)


def _view(service: Service, who: Principal, job_id: str) -> jobs.JobView:
    with service.store.reading() as connection:
        return jobs.view(connection, job_id, member_id=who.member_id, now=service.clock())


def _answered(service: Service, who: Principal, found: jobs.JobView, keep: bool) -> Response:
    place = {"Location": f"/v1/jobs/{found.job_id}"}
    if not found.ended:
        return JSONResponse(found.document(), status_code=202, headers=place)
    if found.problem is not None:
        detail = private_result(service, who, found.job_id, keep=True) if found.private else None
        problem = {**found.problem, **(detail or {}), "job": found.job_id}
        return Response(json.dumps(problem, ensure_ascii=False), int(problem["status"]), place, media_type=MEDIA_TYPE)
    shown = found.document()
    if found.private and found.state == "done" and not keep:
        shown["result"] = private_result(service, who, found.job_id)
    return JSONResponse(shown, headers=place)
