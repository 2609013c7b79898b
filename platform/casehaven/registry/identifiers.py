"""Citable names of releases: `CHV-7K3M-9QXW-2HBD` for all versions of one, with `.v1`, `.v2` for each.

1. The name of a first version follows from its measurements alone: whoever has a bundle can work it out, and no counter tells how many releases there are.
2. 60 bits in Crockford's base 32, which has no letters that are mistaken for digits. It is a name, not a proof: what holds is the manifest's digest in the signed log.
3. A later version has the name of the first and the next number; the log binds it to its manifest.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

PATTERN: Final = r"CHV-[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}"
RECORD: Final = re.compile(rf"({PATTERN})\.v([1-9][0-9]{{0,3}})")

_DIGITS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CONTEXT: Final = "casehaven-registry-name/1\n"


def concept_name(measurements_sha256: str) -> str:
    """Return the name of a release and all its later versions (rules 1 and 2).

    >>> concept_name("00" * 32)
    'CHV-E1XZ-CT9E-GGVW'
    """
    number = int.from_bytes(hashlib.sha256(f"{_CONTEXT}{measurements_sha256}".encode()).digest()[:8], "big") >> 4
    letters = "".join(_DIGITS[number >> shift & 31] for shift in range(55, -1, -5))
    return f"CHV-{letters[:4]}-{letters[4:8]}-{letters[8:]}"


def record_name(concept: str, version: int) -> str:
    """Return the name of one version.

    >>> record_name("CHV-0000-0000-0000", 2)
    'CHV-0000-0000-0000.v2'
    """
    return f"{concept}.v{version}"
