"""The request to make a k-synthetic file, and its approval by two people (privacy rule 34).

1. A request states everything that is chosen: dataset, where its records are read from, k, mode, cap, ground, and why. It has a random number, so that no two are alike.
2. An approval is an Ed25519 signature over the canonical bytes of a request, with a prefix that makes it good for nothing else.
3. Two people are two names of the trust store, with two keys, over the same request. One request is good for one attempt: the ledger remembers it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from casehaven.errors import CasehavenError
from casehaven.ledger import AccountNameError
from casehaven.ledger.policy import parse_dataset_id
from casesynth._files import FileTooLargeError, NotRegularFileError, read_regular, write_whole
from casesynth.canonical import JsonFaultError, canonical_json, parse_json
from casesynth.kanonymity.synthesis import Mode
from casesynth.signing import (
    BadSignatureError,
    PublicKey,
    PublicKeyError,
    SigningKey,
    TrustedSigner,
    TrustStore,
    verify_approval,
)

REQUEST_FORMAT = "casehaven-k-request/1"
APPROVAL_FORMAT = "casehaven-k-approval/1"
APPROVERS = 2
"""People who approve."""

K_LEAST = 10
"""The smallest k that a request may name: the minimum count of every other release (privacy rule 25)."""

VAULT = "vault:"
"""What the source of a request begins with where records are read from a vault."""

_LIMIT = 65_536
_TEXT_LIMIT = 2_000


class KRequestError(CasehavenError):
    """A request for a k-synthetic file, or an approval, that is not the format or asks for what is never done."""


class TwoPeopleError(CasehavenError):
    """A request that two people who are known here have not approved."""


@dataclass(frozen=True, kw_only=True)
class KRequest:
    """Everything that is chosen about a k-synthetic file, before any record is read."""

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
            if isinstance(value, str) and (len(value) > _TEXT_LIMIT or not value.strip()):
                raise KRequestError(f"the request needs a {field.name} of at most {_TEXT_LIMIT} characters")
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

    def to_bytes(self) -> bytes:
        """The canonical bytes, which are signed."""
        try:
            return canonical_json({"format": REQUEST_FORMAT, **asdict(self)})
        except JsonFaultError as error:
            raise KRequestError(f"the request cannot be written: {error}") from None

    def digest(self) -> str:
        """SHA-256 of the canonical bytes, as hex: what the ledger remembers."""
        return hashlib.sha256(self.to_bytes()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Approval:
    """One person's signature over a request."""

    request: KRequest
    public_key: PublicKey
    signature: bytes

    def to_bytes(self) -> bytes:
        """The canonical bytes of an approval file."""
        return canonical_json(
            {
                "format": APPROVAL_FORMAT,
                "request": {"format": REQUEST_FORMAT, **asdict(self.request)},
                "public_key": self.public_key.text,
                "signature": base64.b64encode(self.signature).decode("ascii"),
            }
        )

    def verify(self) -> None:
        """Check that the key approved exactly this request.

        Raises:
            BadSignatureError: it did not.
        """
        verify_approval(self.public_key, self.signature, self.request.to_bytes())


def approve(request: KRequest, key: SigningKey) -> Approval:
    """Approve a request with one's own key."""
    return Approval(request=request, public_key=key.public_key, signature=key.sign_approval(request.to_bytes()))


def parse_request(unverified: object, what: str) -> KRequest:
    """Return the request in parsed JSON.

    Raises:
        KRequestError: it is not exactly the format.
    """
    names = {field.name for field in fields(KRequest)}
    if not isinstance(unverified, dict) or unverified.get("format") != REQUEST_FORMAT:
        raise KRequestError(f"{what}: expected the format {REQUEST_FORMAT}")
    if set(unverified) != {"format", *names}:
        raise KRequestError(f"{what}: a request has the fields format, {', '.join(sorted(names))}")
    return KRequest(**{name: unverified[name] for name in names})


def parse_approval(unverified: object, what: str) -> Approval:
    """Return the approval in parsed JSON, once its signature fits.

    Raises:
        KRequestError: it is not exactly the format.
        BadSignatureError: the signature does not fit.
    """
    expected = {"format", "request", "public_key", "signature"}
    if not isinstance(unverified, dict) or set(unverified) != expected or unverified["format"] != APPROVAL_FORMAT:
        raise KRequestError(
            f"{what}: an approval has the format {APPROVAL_FORMAT}, a request, a public key and a signature"
        )
    key, signature = unverified["public_key"], unverified["signature"]
    try:
        if not isinstance(key, str) or not isinstance(signature, str):
            raise KRequestError(f"{what}: key and signature must be text")
        approval = Approval(
            request=parse_request(unverified["request"], what),
            public_key=PublicKey.parse(key),
            signature=base64.b64decode(signature.encode("ascii"), validate=True),
        )
    except (PublicKeyError, UnicodeEncodeError, binascii.Error):
        raise KRequestError(f"{what}: key and signature must be base64") from None
    approval.verify()
    return approval


def read_request(path: Path) -> KRequest:
    """Read a request file.

    Raises:
        KRequestError: there is none, or it is not the format.
    """
    return parse_request(_read(path), path.name)


def read_approval(path: Path) -> Approval:
    """Read an approval file and check its signature.

    Raises:
        KRequestError: there is none, or it is not the format.
        BadSignatureError: the signature does not fit.
    """
    return parse_approval(_read(path), path.name)


def write_new(path: Path, data: bytes) -> None:
    """Write a request or an approval; never over a file that is there.

    Raises:
        KRequestError: the file is there, or cannot be written.
    """
    try:
        write_whole(path, data, mode=0o644, replace=False)
    except FileExistsError:
        raise KRequestError(f"{path} is there already; nothing is overwritten") from None
    except OSError as error:
        raise KRequestError(f"{path} cannot be written: {error.strerror}") from None


def two_people(approvals: Sequence[Approval], trust: TrustStore) -> tuple[TrustedSigner, ...]:
    """Return the people who approved, once they are two who are known here and approved the same request.

    Raises:
        TwoPeopleError: they are not.
        BadSignatureError: a signature does not fit.
    """
    for approval in approvals:
        approval.verify()
    if len({approval.request for approval in approvals}) != 1:
        raise TwoPeopleError(f"expected {APPROVERS} approvals of one and the same request")
    known = [trust.lookup(approval.public_key) for approval in approvals]
    for approval, signer in zip(approvals, known, strict=True):
        if signer is None:
            raise TwoPeopleError(f"{approval.public_key.fingerprint} approved, but is not in the trust store")
    people = {signer.public_key.raw: signer for signer in known if signer is not None}
    if len(approvals) != APPROVERS or len(people) != APPROVERS:
        raise TwoPeopleError(f"a k-synthetic file needs {APPROVERS} people who approve, got {len(people)}")
    return tuple(people.values())


def _read(path: Path) -> object:
    try:
        return parse_json(read_regular(path, limit=_LIMIT, follow=True), path.name)
    except FileNotFoundError:
        raise KRequestError(f"there is no file {path}") from None
    except (JsonFaultError, NotRegularFileError, FileTooLargeError, BadSignatureError) as error:
        raise KRequestError(str(error)) from None
    except OSError as error:
        raise KRequestError(f"{path} cannot be read: {error.strerror}") from None
