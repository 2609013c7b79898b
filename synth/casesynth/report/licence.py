"""What a licence means for a reader, for the licences that releases usually carry."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Licence:
    """One licence in plain words."""

    name: str
    """SPDX identifier, reduced to the characters that a data package allows."""
    title: str
    path: str | None
    """Address of its text; None where it is not known here."""
    meaning: str


_KNOWN = {
    "CC-BY-4.0": Licence(
        name="CC-BY-4.0",
        title="Creative Commons Attribution 4.0 International",
        path="https://creativecommons.org/licenses/by/4.0/",
        meaning=(
            "You may copy, share and adapt the files, also for money, if you name the source and say what you changed."
        ),
    ),
    "CC0-1.0": Licence(
        name="CC0-1.0",
        title="Creative Commons Zero 1.0 Universal",
        path="https://creativecommons.org/publicdomain/zero/1.0/",
        meaning="You may do anything with the files. Naming the source is good practice.",
    ),
}


def licence_of(identifier: str) -> Licence:
    """Return what is known of a licence.

    >>> licence_of("CC-BY-4.0").title
    'Creative Commons Attribution 4.0 International'
    >>> licence_of("My terms, 2").name
    'My-terms-2'
    """
    other = Licence(
        name=re.sub(r"[^-a-zA-Z0-9._]+", "-", identifier).strip("-") or "other",
        title=identifier,
        path=None,
        meaning="The text of this licence says what you may do.",
    )
    return _KNOWN.get(identifier, other)
