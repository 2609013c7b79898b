"""What an approval is made with: a passkey's assertion over the digest of a draft, or a fresh second factor (`casehaven.agreements.signing`).

1. The challenge is a hash of the draft's digest, the member's organisation and handle, and the part in which they approve. It fits no other draft, member or part, and no agreement.
2. So an assertion that was seen once is of no use for anything else, and the worker checks it without trusting the api that brought it.
"""

from __future__ import annotations

import hashlib
from typing import Final, Literal

from casesynth.canonical import canonical_json

CONTEXT: Final = "casehaven-release-approval/1"

Part = Literal["steward", "privacy_officer"]
"""As what somebody approves."""


def approval_challenge(digest: str, organisation: str, handle: str, part: str) -> bytes:
    """Return what a passkey signs (rule 1).

    >>> approval_challenge("0" * 64, "north", "nora", "steward").hex()[:16]
    'e2a9ce1585d14d4c'
    """
    said = {"context": CONTEXT, "digest": digest, "organisation": organisation, "handle": handle, "part": part}
    return hashlib.sha256(canonical_json(said)).digest()
