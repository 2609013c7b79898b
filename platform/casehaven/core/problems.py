"""Problems: what the service answers when it refuses, as RFC 9457 says, `application/problem+json`.

    {"type": "about:blank", "status": 404, "code": "not-found", "title": "...", "detail": "...", "advice": "..."}

1. The table in `casehaven.errors` decides: status, code, advice, and whether the message is shown. What is not in it is `internal` with one fixed sentence.
2. No value, path, count or library's message is in any of them (privacy rule 23). A fault of a body is told by its place and a fixed word, never by what stood there.
3. The code is stable; programs read it and nothing else.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from casehaven.errors import CasehavenError, Outcome, outcomes

MEDIA_TYPE: Final = "application/problem+json"
INTERNAL: Final = "internal"
_INTERNAL_TITLE: Final = (
    "the service failed; nothing of the request is shown here, and the operator's log has its number"
)
_INTERNAL_ADVICE: Final = "try again; if it lasts, tell the operator the number of the request"


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One refusal."""

    status: int
    code: str
    title: str
    detail: str = ""
    """Empty where the message is not public."""
    advice: str = ""
    retry_after_seconds: int | None = None
    members: Mapping[str, str | int] = field(default_factory=dict)
    """Beside those that every problem has: what whoever asked needs for the next step."""

    def document(self) -> dict[str, Any]:
        """Return it as RFC 9457 writes it."""
        made: dict[str, Any] = {"type": "about:blank", "status": self.status, "code": self.code, "title": self.title}
        if self.detail:
            made["detail"] = self.detail
        if self.advice:
            made["advice"] = self.advice
        return {**made, **self.members}

    def body(self) -> bytes:
        """Return it as JSON."""
        return json.dumps(self.document(), ensure_ascii=False, separators=(",", ":")).encode()

    def headers(self) -> Mapping[str, str]:
        """Headers that go with it."""
        return {} if self.retry_after_seconds is None else {"Retry-After": str(self.retry_after_seconds)}


INTERNAL_PROBLEM: Final = Problem(status=500, code=INTERNAL, title=_INTERNAL_TITLE, advice=_INTERNAL_ADVICE)


def problem_of(error: BaseException) -> Problem:
    """Return what is answered for an error.

    >>> problem_of(ZeroDivisionError("secret")).code
    'internal'
    """
    found = _row(type(error))
    if found is None or found.status is None or found.code is None:
        return INTERNAL_PROBLEM
    title = found.title or title_of(type(error))
    detail = str(error)[:1_000] if found.public else ""
    seconds = getattr(error, "retry_after_seconds", None)
    return Problem(
        status=found.status,
        code=found.code,
        title=title,
        detail=detail,
        advice=found.advice,
        retry_after_seconds=seconds if isinstance(seconds, int) else None,
        members=getattr(error, "members", {}),
    )


def problem_named(name: str) -> Problem:
    """Return what is answered for an error that is named by its module and class, without importing it; its row has status, code and title.

    >>> problem_named("casehaven.queries.errors.ChargedFailureError").code
    'charged-failure'
    """
    row = outcomes()[name]
    assert row.status is not None and row.code is not None and row.title
    return Problem(status=row.status, code=row.code, title=row.title, advice=row.advice)


def _row(kind: type[BaseException]) -> Outcome | None:
    """Return the nearest row of an error's ancestry that is meant for HTTP."""
    rows = (outcomes().get(f"{ancestor.__module__}.{ancestor.__qualname__}") for ancestor in kind.__mro__)
    return next((row for row in rows if row is not None and row.status is not None), None)


def title_of(kind: type[BaseException]) -> str:
    """Return the one fixed sentence of a class of errors: its row's title, or the first line of the nearest docstring that has a row."""
    for ancestor in kind.__mro__:
        row = outcomes().get(f"{ancestor.__module__}.{ancestor.__qualname__}")
        if row is not None and row.status is not None:
            line = (ancestor.__doc__ or "").strip().splitlines()[0]
            return row.title or line.rstrip(".")
    return _INTERNAL_TITLE


@cache
def all_problems() -> Mapping[str, Problem]:
    """Return every problem that the table knows, by its code; `internal` too."""
    found = {INTERNAL: INTERNAL_PROBLEM}
    for name, row in outcomes().items():
        if row.status is not None and row.code is not None:
            module, _, kind = name.rpartition(".")
            title = row.title or title_of(getattr(importlib.import_module(module), kind))
            found[row.code] = Problem(status=row.status, code=row.code, title=title, advice=row.advice)
    return found


_PLACE: Final = re.compile("[A-Za-z0-9_-]{1,64}")


def place_of(location: tuple[int | str, ...]) -> str:
    """Return where a fault of a body is; a name that the sender made up is not repeated.

    >>> place_of(("body", "datasets", 0, "na me"))
    'body.datasets.0.?'
    """
    return ".".join(part if _PLACE.fullmatch(part) else "?" for part in map(str, location))


class ProblemError(CasehavenError):
    """Carries the problem that another process told; for a job that failed in the worker."""

    def __init__(self, problem: Problem) -> None:
        """Carry a problem."""
        super().__init__(problem.code)
        self.problem = problem
