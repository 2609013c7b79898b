"""What can go wrong between a client and a server.

1. A refusal of the server is one class per family of problems, with its stable `code`. Programs decide by class and code, never by words.
2. Words of the server are shown in one line, cut, and without anything that steers a terminal. No message holds the token.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from casehaven.client.plain_text import one_line
from casehaven.errors import CasehavenError

_CODE: Final = re.compile("[a-z0-9-]{1,64}")
_MOST: Final = 1_000


class ClientError(CasehavenError):
    """A server could not be used."""


class ServerAddressError(ClientError):
    """The address of the server is missing, or is not one that a token may be sent to."""


class TokenError(ClientError):
    """The token is missing, has another form, or lies in a file that others may read."""


class UnreachableError(ClientError):
    """The server did not answer."""


class UnexpectedAnswerError(ClientError):
    """The server answered with something that the service never sends: nothing of it was used."""


class StillRunningError(ClientError):
    """The job did not end while the client waited; it goes on."""

    def __init__(self, job_id: str) -> None:
        """Name the job.

        Args:
            job_id: of the job.
        """
        super().__init__(f"the job {job_id} has not ended yet; it goes on without you")
        self.job_id = job_id


class JobStoppedError(ClientError):
    """The job was cancelled."""


class ResultReadError(ClientError):
    """The job is done, and its private result was read before, by another token, or is too old."""


class SentFileError(ClientError):
    """The file that is sent changed meanwhile, or is empty."""


class ExistingDownloadError(ClientError):
    """Something stands where a download should go."""


class RefusedError(ClientError):
    """The server refused: the root of the families of problems."""

    def __init__(
        self,
        *,
        status: int,
        code: str,
        title: str,
        detail: str = "",
        advice: str = "",
        retry_after_seconds: int | None = None,
        job_id: str | None = None,
    ) -> None:
        """Carry a problem; its words are cleaned here.

        Args:
            status: of the HTTP answer.
            code: the problem's stable name.
            title: what it is.
            detail: what was wrong in this case.
            advice: what to do.
            retry_after_seconds: when to come again.
            job_id: of the job that ended with it.
        """
        self.status = status
        self.code = code if _CODE.fullmatch(code) else "unknown"
        self.title, self.detail, self.advice = (one_line(text, _MOST) for text in (title, detail, advice))
        self.retry_after_seconds = retry_after_seconds
        self.job_id = job_id
        super().__init__(self.detail or self.title or f"the server refused with status {status}")

    @property
    def problem_code(self) -> str:
        """The code, by which `casehaven.errors` finds the exit code."""
        return self.code


class SignInNeededError(RefusedError):
    """The server does not know the token: it is wrong, has ended or was revoked."""


class NotAllowedError(RefusedError):
    """The token may not do this."""


class NotThereError(RefusedError):
    """There is no such thing, or it belongs to others."""


class ConflictError(RefusedError):
    """It contradicts what was done before."""


class BudgetRefusedError(RefusedError):
    """A budget or an allowance is exhausted; no balance changed."""


class BadRequestError(RefusedError):
    """The request cannot be used as it is."""


class TooManyRequestsError(RefusedError):
    """Too many requests, or too many jobs that wait."""


class ServiceFailedError(RefusedError):
    """The service failed, or is not ready."""


_BUDGETS: Final = frozenset({"budget-exhausted", "allowance-exhausted", "odometer-exhausted"})
_FAMILIES: Final[Mapping[int, type[RefusedError]]] = {
    401: SignInNeededError,
    403: NotAllowedError,
    404: NotThereError,
    409: ConflictError,
    410: NotThereError,
    429: TooManyRequestsError,
}
_NOTES: Final = {
    "not-signed-in": "make a new token on the account page of the service, and put it into the file that CASEHAVEN_TOKEN_FILE names",
    "forbidden": "with a token: make one that may do this, on the account page; what opens, erases or approves takes no token, so sign in for it, with `--sign-in HANDLE` or `Client.sign_in`; else ask a steward of your organisation for the role",
    "step-up-needed": "sign in for it, with `--sign-in HANDLE` or `Client.sign_in`, or do it on the page of the service: it needs a second factor, which a token never has",
}
"""Advice to the holder of a token, in the place of advice to a browser's user."""


def refusal(status: int, problem: Mapping[str, Any], retry_after_seconds: int | None = None) -> RefusedError:
    """Return the error for a problem of the server.

    >>> refusal(429, {"code": "rate-limited", "title": "Too many requests"}, 7)
    TooManyRequestsError('Too many requests')

    Args:
        status: of the HTTP answer.
        problem: RFC 9457, unverified.
        retry_after_seconds: from the header.
    """

    def text(name: str) -> str:
        found = problem.get(name)
        return found if isinstance(found, str) else ""

    code, job = text("code") or "unknown", text("job")
    family = BudgetRefusedError if code in _BUDGETS else _FAMILIES.get(status)
    if family is None:
        family = ServiceFailedError if status >= 500 else BadRequestError
    made = family(
        status=status,
        code=code,
        title=text("title"),
        detail=text("detail"),
        advice=text("advice"),
        retry_after_seconds=retry_after_seconds,
        job_id=job if re.fullmatch("[0-9a-f]{32}", job) else None,
    )
    if code in _NOTES:
        made.add_note(_NOTES[code])
    return made
