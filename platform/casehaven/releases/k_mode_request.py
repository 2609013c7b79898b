"""The request to make a k-synthetic file, and its approval by two people (privacy rule 34).

1. A request states everything that is chosen: dataset, where its records are read from, k, mode, cap, ground, and why. It has a random number, so that no two are alike.
2. An approval is an Ed25519 signature over the canonical bytes of a request, with a prefix that makes it good for nothing else.
3. Two people are two names of the trust store, with two keys, over the same request. One request is good for one attempt: the ledger remembers it.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import ClassVar, get_args

from casehaven.errors import CasehavenError
from casehaven.ledger import AccountNameError
from casehaven.ledger.policy import parse_dataset_id
from casehaven.ledger.two_people import TEXT_LIMIT, TwoPersonApproval, TwoPersonRequest
from casehaven.ledger.two_people import two_people as ledger_two_people
from casesynth.kanonymity.synthesis import Mode
from casesynth.signing import SigningKey, TrustedSigner, TrustStore, verify_approval

K_LEAST = 10
"""The smallest k that a request may name: the minimum count of every other release (privacy rule 25)."""

VAULT = "vault:"
"""What the source of a request begins with where records are read from a vault."""


class KRequestError(CasehavenError):
    """A request for a k-synthetic file, or an approval, that is not the format or asks for what is never done."""


class TwoPeopleError(CasehavenError):
    """A request that two people who are known here have not approved."""


@dataclass(frozen=True, kw_only=True)
class KRequest(TwoPersonRequest):
    """Everything that is chosen about a k-synthetic file, before any record is read."""

    FORMAT: ClassVar = "casehaven-k-request/1"
    ERROR: ClassVar = KRequestError

    number: str
    """Random, 32 hexadecimal digits."""
    created: str
    """Day, ISO 8601."""
    ledger: str
    """Id of the ledger that will hold the mark."""
    dataset: str
    """`organisation/dataset`: one, of one organisation."""
    source: str
    """`vault:` and the vault's id, or the name of the case files in the steward's words; published, so it holds no count and nothing of a record. A digest of
    case files would let somebody who knows all records but one confirm a guess of that one."""
    schema_sha256: str
    k: int
    mode: Mode
    people_cap: int
    reason: str
    """Why a protected release does not serve; it is published."""
    title: str
    person_key: str | None
    """Column with the person token; None when one row is one person."""
    legal_basis: str | None

    def __post_init__(self) -> None:
        wanted: dict[str, type | tuple[type, ...]] = {
            "k": int,
            "people_cap": int,
            "person_key": (str, type(None)),
            "legal_basis": (str, type(None)),
        }
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, wanted.get(field.name, str)):
                raise KRequestError(f"the request's {field.name} has the type {type(value).__name__}")
            if isinstance(value, str) and (len(value) > TEXT_LIMIT or not value.strip()):
                raise KRequestError(f"the request needs a {field.name} of at most {TEXT_LIMIT} characters")
        try:
            parse_dataset_id(self.dataset)
        except AccountNameError as error:
            raise KRequestError(str(error)) from None
        if self.k < K_LEAST:
            raise KRequestError(f"k must be at least {K_LEAST}, got {self.k}")
        if self.mode not in get_args(Mode):
            raise KRequestError(f"the mode must be one of {', '.join(get_args(Mode))}")
        if not 1 <= self.people_cap < 1 << 40:
            raise KRequestError("people_cap must be a whole number from 1 to 2^40")

    @staticmethod
    def draw_up(
        *,
        ledger: str,
        dataset: str,
        source: str,
        schema_sha256: str,
        k: int,
        mode: Mode,
        people_cap: int,
        reason: str,
        title: str,
        person_key: str | None,
        legal_basis: str | None,
    ) -> KRequest:
        """Return a request of today with a number of its own.

        Raises:
            KRequestError: it asks for what is never done.
        """
        return KRequest(
            number=secrets.token_hex(16),
            created=datetime.now(UTC).date().isoformat(),
            ledger=ledger,
            dataset=dataset,
            source=source,
            schema_sha256=schema_sha256,
            k=k,
            mode=mode,
            people_cap=people_cap,
            reason=reason,
            title=title,
            person_key=person_key,
            legal_basis=legal_basis,
        )


class Approval(TwoPersonApproval[KRequest]):
    """One person's signature over a request."""

    FORMAT: ClassVar = "casehaven-k-approval/1"

    @staticmethod
    def sign(key: SigningKey, request: bytes) -> bytes:
        """Sign with the prefix of these requests."""
        return key.sign_approval(request)

    def verify(self) -> None:
        """Check the signature."""
        verify_approval(self.public_key, self.signature, self.request.to_bytes())


def two_people(approvals: Sequence[Approval], trust: TrustStore) -> tuple[TrustedSigner, ...]:
    """Return the people who approved, once they are two who are known here and approved the same request.

    Raises:
        TwoPeopleError: they are not.
        BadSignatureError: a signature does not fit.
    """
    _, people = ledger_two_people(
        approvals, trust, TwoPeopleError, what="a k-synthetic file", unknown="in the trust store"
    )
    return people
