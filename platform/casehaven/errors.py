"""The root of every error that casehaven raises, and the one table from an error to its exit code, its HTTP status and advice.

1. A message says what failed, where, what was expected and what came; it carries identifiers and limits, never case values or counts of people.
2. The table names classes by their full name, so that telling an exit code loads no package that the command did not need. The nearest
   class in the error's ancestry decides; a family's root is the fallback.
3. Exit codes: 0 fine; 1 refused, changed or failed; 2 unknown signer, and wrong usage; 3 budget exhausted; 130 interrupted.
4. Over HTTP an error has a status and a stable code. One without them is `internal`, 500, and says one fixed sentence. A message is shown only where the row says that it
   is public: it then holds nothing but what whoever asked had written, and fixed words (privacy rule 23).
"""

from __future__ import annotations

import errno
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


class CasehavenError(Exception):
    """Root of casehaven's errors. Messages name files, datasets, fields and limits, never case values or counts of people."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a command does about an error."""

    exit_code: int
    """Of the process."""
    advice: str
    """One sentence that begins with a verb: what the person can do now."""
    status: int | None = None
    """Over HTTP (rule 4); None: 500, `internal`."""
    code: str | None = None
    """Stable name over HTTP, such as `not-found`; None where the status is."""
    public: bool = False
    """Whether the message may be shown over HTTP."""
    title: str = ""
    """One fixed sentence over HTTP; by default the first line of the class's docstring."""


EXIT_REFUSED = 1
EXIT_USAGE = 2
EXIT_UNKNOWN_SIGNER = 2
EXIT_BUDGET = 3
EXIT_INTERRUPTED = 130


@cache
def outcomes() -> dict[str, Outcome]:
    """Return the table of `outcomes.toml`, full class name to outcome; read when a first error needs it."""
    rows = tomllib.loads(files("casehaven").joinpath("outcomes.toml").read_text(encoding="utf-8"))
    return {
        f"{module}.{name}": Outcome(**{"exit_code": EXIT_REFUSED, **row})
        for module, classes in rows.items()
        for name, row in classes.items()
    }


@cache
def _by_code() -> dict[str, Outcome]:
    return {row.code: row for row in outcomes().values() if row.code is not None}


_FULL_DISK = Outcome(exit_code=EXIT_REFUSED, advice="free some space on the disk and run the same command again")
_FILE_ACCESS = Outcome(exit_code=EXIT_REFUSED, advice="check the path and its permissions")


def outcome_of(error: BaseException) -> Outcome | None:
    """Return what to do about an error, or None when it is a fault of the program.

    >>> outcome_of(CasehavenError("refused")).exit_code
    1
    >>> outcome_of(ZeroDivisionError()) is None
    True
    """
    code = getattr(error, "problem_code", None)
    if isinstance(code, str) and code in _by_code():  # a server's refusal ends as the same error does here
        return _by_code()[code]
    for ancestor in type(error).__mro__:
        found = outcomes().get(f"{ancestor.__module__}.{ancestor.__qualname__}")
        if found is not None:
            return found
    if isinstance(error, OSError):
        return _FULL_DISK if error.errno in (errno.ENOSPC, errno.EDQUOT) else _FILE_ACCESS
    return None
