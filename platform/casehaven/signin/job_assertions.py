"""What a member signs a job with: a passkey's assertion over the job's hash, which the worker checks without trusting the api that brought it.

1. Jobs that decrypt, export, approve or change for good carry one where api and worker are two users (*split mode*), of every member who has a passkey. The hash covers kind, organisation, datasets, everything
   that is asked (also what is sealed), who asks, to which key the result goes, a nonce and the time. It fits no other job.
2. An assertion is good for `SECONDS` after its challenge was made, and for one job: the worker remembers what it took.
3. The nonce travels with the sealed part where there is one: a hash of a reference without it could be tried out by whoever reads the store.
4. Who has no passkey, and everybody where api and worker are one user: the session that asked had given a second factor within five minutes. The worker finds that in the store, and takes the store's word for it.
5. A token can do none of this. Only its SHA-256 is stored, so it has no secret that the worker could check a MAC with, and one that the worker held could be used by whoever took over the worker. So there is no token's assertion.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection

from casehaven.signin.errors import AssertionNeededError, BrokenPasskeyError, JobAssertionError
from casehaven.signin.passkeys import check_assertion
from casesynth.canonical import JsonFaultError, canonical_json

CONTEXT: Final = "casehaven-job/1"
HEADER: Final = "X-Casehaven-Assertion"
FIELD: Final = "assertion"
"""Of a request: where the worker finds what came with it."""
SECONDS: Final = 600
"""How long an assertion is good: a member signs, and the job waits its turn."""
_LATER: Final = 30
"""Seconds that the clock of the api may be ahead of the worker's."""
_LONGEST: Final = 8_192
OWN_SIGNATURE: Final = frozenset({"agreement.sign", "release.approve"})
"""Kinds that are themselves a signature, over what is signed."""
AROUND: Final = frozenset({"actor", "session", "token", "origin", FIELD})
"""Fields of a request that say who brought it, not what is asked."""


@dataclass(frozen=True, kw_only=True)
class Signed:
    """What is asked, as it is signed."""

    kind: str
    organisation: str
    dataset: str
    handle: str
    request: Mapping[str, Any]
    private: Mapping[str, Any] | None = field(repr=False)
    result_key: bytes | None

    def challenge(self, nonce: str, at: int) -> bytes:
        """Return what a passkey signs (rule 1).

        Raises:
            JsonFaultError: what is asked cannot be written as canonical JSON.
        """
        said = {
            "context": CONTEXT,
            "kind": self.kind,
            "organisation": self.organisation,
            "datasets": self.dataset,
            "handle": self.handle,
            "request": {name: value for name, value in self.request.items() if name not in AROUND},
            "private": None
            if self.private is None
            else {name: value for name, value in self.private.items() if name != FIELD},
            "result_key": None if self.result_key is None else self.result_key.hex(),
            "nonce": nonce,
            "at": at,
        }
        return hashlib.sha256(canonical_json(json.loads(json.dumps(said)))).digest()


def new_challenge(signed: Signed, now: int) -> AssertionNeededError:
    """Return the refusal that says what is to be signed.

    Args:
        signed: what is asked.
        now: seconds since 1970.
    """
    nonce = secrets.token_hex(16)
    try:
        made = signed.challenge(nonce, now)
    except JsonFaultError:
        raise JobAssertionError from None
    text = base64.urlsafe_b64encode(made).rstrip(b"=").decode("ascii")
    return AssertionNeededError({"challenge": text, "nonce": nonce, "at": now, "header": HEADER})


def parse_header(unverified: str) -> dict[str, Any]:
    """Return what a header carries: `nonce`, `at` and `assertion`, of the right kinds and nothing verified.

    Raises:
        JobAssertionError: it has another form.
    """
    try:
        if len(unverified) > _LONGEST:
            raise JobAssertionError
        found = json.loads(base64.urlsafe_b64decode(unverified + "=" * (-len(unverified) % 4)))
        assertion = found["assertion"]
        response = assertion["response"]
        kept = ("clientDataJSON", "authenticatorData", "signature", "userHandle")
        return {
            "nonce": _text(found["nonce"]),
            "at": int(found["at"]),
            "assertion": {
                **{name: _text(assertion[name]) for name in ("id", "rawId", "type")},
                "response": {name: _text(response[name]) for name in kept if response.get(name) is not None},
            },
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise JobAssertionError from None


def _text(found: object) -> str:
    if not isinstance(found, str):
        raise JobAssertionError
    return found


@dataclass
class Taken:
    """The nonces of assertions that were good, in the worker's memory, as long as they would be good again."""

    _jobs: dict[str, tuple[str, int]] = field(default_factory=dict)

    def take(self, nonce: str, job_id: str, at: int, now: int) -> None:
        """Note that an assertion is of this job.

        Raises:
            JobAssertionError: it was of another one.
        """
        self._jobs = {key: value for key, value in self._jobs.items() if now - value[1] <= SECONDS}
        if self._jobs.setdefault(nonce, (job_id, at))[0] != job_id:
            raise JobAssertionError


def check_signed(
    connection: Connection,
    signed: Signed,
    carried: object,
    *,
    member_id: str,
    job_id: str,
    origin: str,
    now: int,
    taken: Taken,
) -> None:
    """Return when a passkey of the member signed this job (rules 1 and 2).

    Args:
        connection: reads the service store.
        signed: the job as the worker has it.
        carried: what came with it; from `parse_header`, and not believed.
        member_id: who asked.
        job_id: of the job.
        origin: the service's address.
        now: seconds since 1970.
        taken: what was taken before.

    Raises:
        JobAssertionError: it is anything else.
    """
    if not isinstance(carried, dict):
        raise JobAssertionError
    try:
        nonce, at, assertion = str(carried["nonce"]), int(carried["at"]), dict(carried["assertion"])
        challenge = signed.challenge(nonce, at)
    except (KeyError, TypeError, ValueError, JsonFaultError):
        raise JobAssertionError from None
    if not -_LATER <= now - at <= SECONDS:
        raise JobAssertionError
    try:
        check_assertion(connection, assertion, member=member_id, challenge=challenge, origin=origin)
    except BrokenPasskeyError:
        raise JobAssertionError from None
    taken.take(nonce, job_id, at, now)
