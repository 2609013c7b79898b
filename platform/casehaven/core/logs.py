"""Log lines of the service: JSON, one object a line, with fields of a short list and no others.

1. What may be in a line is listed in `FIELDS`: templates of routes, methods, statuses, kinds of jobs, codes, names of classes, milliseconds in steps, the number of a request. There is no
   field for a path as it was called, a query, a body, an address, a name or a count of people (privacy rule 23).
2. A value that is not of its field's form is not written.
3. Lines go to standard error in one write each, so that two processes never mix theirs.
"""

from __future__ import annotations

import json
import os
import re
import time
from typing import Final

FIELDS: Final = {
    "event": re.compile(r"[a-z]+(\.[a-z_]+)*"),
    "route": re.compile(r"/[A-Za-z0-9_{}./-]{0,120}"),
    "method": re.compile(r"[A-Z]{3,7}"),
    "status": re.compile(r"[1-5][0-9]{2}"),
    "request": re.compile(r"[0-9a-f]{16}"),
    "job": re.compile(r"[a-z]+\.[a-z_]+"),
    "outcome": re.compile(r"[a-z-]{1,60}"),
    "kind": re.compile(r"[A-Za-z]{1,60}"),
    "milliseconds": re.compile(r"[0-9]{1,9}"),
}
"""Name of a field: the form of its value."""

_STEPS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 60_000)


def log_line(event: str, **fields: str | int) -> None:
    """Write a line; fields that are not of the list are left out."""
    data = (json.dumps(line(event, **fields), separators=(",", ":")) + "\n").encode()
    os.write(2, data)


def line(event: str, **fields: str | int) -> dict[str, str]:
    """Return what a line says.

    >>> found = line("job.ended", job="question.ask", milliseconds=133, person="Amina", kind="a/path")
    >>> del found["at"]; found
    {'event': 'job.ended', 'job': 'question.ask', 'milliseconds': '200'}
    """
    said = {"event": event, **{name: str(value) for name, value in fields.items()}}
    if "milliseconds" in said:
        said["milliseconds"] = str(step(int(said["milliseconds"])))
    shown = {name: value for name, value in said.items() if name in FIELDS and FIELDS[name].fullmatch(value)}
    return {"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **shown}


def step(milliseconds: int) -> int:
    """Return the step that a duration falls into: never its own length.

    >>> step(3), step(0), step(10**9)
    (5, 1, 60000)
    """
    return next((bound for bound in _STEPS if milliseconds <= bound), _STEPS[-1])
