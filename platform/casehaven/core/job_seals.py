"""What of a job holds case data, sealed on its way: the request to the organisation, the result to whoever asked.

1. A request is sealed to the organisation's public key before it is a row of the store. The worker opens it; the api cannot.
2. A result is sealed to a key pair that follows from the session's own secret, which only whoever presents the cookie or token brings. The store never holds it, so a copy of the
   store opens nothing. The api derives it for the time of one request: it shows the result, and so sees it (docs/spec/service.md).
3. Both are padded, so that their length says little (privacy rule 5).
"""

from __future__ import annotations

import json
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from casehaven.vault.context import SealContext
from casehaven.vault.envelope import open_with, public_key_of, seal_to

_RESULT_INFO: Final = b"casehaven-job-result/1"
_LEAST: Final = 1 << 12


def request_context(organisation: str, job_id: str) -> SealContext:
    """Where a sealed request belongs."""
    return SealContext(kind="upload", organisation=organisation, object_id=f"job-request/{job_id}")


def seal_request(public_key: bytes, organisation: str, job_id: str, request: Any) -> bytes:
    """Seal a request to an organisation."""
    return seal_to(public_key, _padded(request), request_context(organisation, job_id))


def read_request(plain: bytes) -> Any:
    """Return the request in an opened envelope."""
    return json.loads(plain)


def result_key(session_key: bytes) -> bytes:
    """Return the public key to which results of this session are sealed."""
    return public_key_of(_private(session_key))


def seal_result(public_key: bytes, job_id: str, result: Any) -> bytes:
    """Seal a result to whoever asked."""
    return seal_to(public_key, _padded(result), _result_context(job_id))


def open_result(session_key: bytes, job_id: str, sealed: bytes) -> Any:
    """Open a result.

    Raises:
        SealBrokenError: another session asked, or its bytes were changed.
    """
    return json.loads(open_with(_private(session_key), sealed, _result_context(job_id)))


def _private(session_key: bytes) -> bytes:
    return HKDFExpand(algorithm=hashes.SHA512(), length=32, info=_RESULT_INFO).derive(session_key)


def _result_context(job_id: str) -> SealContext:
    return SealContext(kind="detail", organisation="", object_id=f"job-result/{job_id}")


def _padded(document: Any) -> bytes:
    """JSON, filled with spaces to a power of two."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    return text.ljust(max(_LEAST, 1 << (len(text) - 1).bit_length()), b" ")
