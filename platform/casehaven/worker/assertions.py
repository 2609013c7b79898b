"""Whether a job that needs a second factor was signed by whoever asked: looked at before its handler, with the worker's own eyes.

1. In split mode a member with a passkey signs (`casehaven.signin.job_assertions`). An api that was taken over can ask for what somebody signed within the last minutes, once, and for nothing else in that member's name.
2. Of everybody else the session's second factor is looked up in the store.
"""

from __future__ import annotations

from casehaven.signin.errors import JobAssertionError
from casehaven.signin.job_assertions import FIELD, Signed, Taken, check_signed
from casehaven.signin.passkeys import has_passkey
from casehaven.signin.sessions import gave_second_factor
from casehaven.worker.standing import is_signed
from casehaven.worker.work import Work


def require_signed(work: Work, taken: Taken, *, demanded: bool) -> None:
    """Return when a job carries what its kind needs.

    Args:
        work: about to be done.
        taken: assertions of before.
        demanded: members with a passkey sign.

    Raises:
        JobAssertionError: it does not hold; nothing was done.
    """
    job = work.job
    if not is_signed(job.kind.name):
        return
    with work.bench.store.reading() as connection:
        if not (demanded and has_passkey(connection, job.member_id)):
            if not gave_second_factor(connection, job.member_id, job.request.get("session"), asked_at=job.queued_at):
                raise JobAssertionError
            return
        private = None if job.sealed_request is None else work.private_request()
        carried = (job.request if private is None else private).get(FIELD)
        signed = Signed(
            kind=job.kind.name,
            organisation=job.organisation,
            dataset=job.dataset,
            handle=work.actor,
            request=job.request,
            private=private,
            result_key=job.result_key,
        )
        check_signed(
            connection,
            signed,
            carried,
            member_id=job.member_id,
            job_id=job.job_id,
            origin=str(carried.get("origin")) if isinstance(carried, dict) else "",
            now=work.bench.clock(),
            taken=taken,
        )
