"""What two people approve: the shape that every such request has, as files and as signatures (privacy rules 19 and 34).

1. A request is canonical JSON with a format, and names everything that is chosen. It has a random number, so that no two are alike.
2. An approval holds the request, a public key and an Ed25519 signature over the canonical bytes of the request, with a prefix that makes it good for nothing else.
3. Two people are two names with two keys, over one and the same request.
4. Files are written once, and read within a limit; what is not exactly the format is refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

from casehaven.errors import CasehavenError
from casesynth._files import FileTooLargeError, NotRegularFileError, read_regular, write_whole
from casesynth.canonical import JsonFaultError, JsonValue, canonical_json, parse_json
from casesynth.signing import PublicKey, PublicKeyError, SigningKey, TrustedSigner, TrustStore

APPROVERS = 2
"""People who approve."""

TEXT_LIMIT = 2_000
"""Characters of a text in a request."""

_LIMIT = 65_536


class TwoPersonRequest(ABC):
    """A request that two people approve; a frozen dataclass."""

    FORMAT: ClassVar[str]
    ERROR: ClassVar[type[CasehavenError]]
    """Of a request, or an approval, that is not the format or asks for what is never done."""

    def document(self) -> dict[str, JsonValue]:
        """The request as JSON."""
        values: dict[str, JsonValue] = asdict(self)  # type: ignore[call-overload]  # every subclass is a dataclass
        return {"format": self.FORMAT, **values}

    def to_bytes(self) -> bytes:
        """The canonical bytes, which are signed."""
        try:
            return canonical_json(self.document())
        except JsonFaultError as error:
            raise self.ERROR(f"the request cannot be written: {error}") from None

    def digest(self) -> str:
        """SHA-256 of the canonical bytes, as hex: what the ledger remembers."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @classmethod
    def of_fields(cls, values: dict[str, Any]) -> Self:
        """Return the request with these fields, in the form of the JSON.

        Raises:
            CasehavenError: one of them is not what it must be; of the class `ERROR`.
        """
        return cls(**values)

    @classmethod
    def parse(cls, unverified: object, what: str) -> Self:
        """Return the request in parsed JSON.

        Raises:
            CasehavenError: it is not exactly the format; of the class `ERROR`.
        """
        names = {field.name for field in fields(cls)}  # type: ignore[arg-type]  # every subclass is a dataclass
        if not isinstance(unverified, dict) or unverified.get("format") != cls.FORMAT:
            raise cls.ERROR(f"{what}: expected the format {cls.FORMAT}")
        if set(unverified) != {"format", *names}:
            raise cls.ERROR(f"{what}: a request has the fields format, {', '.join(sorted(names))}")
        return cls.of_fields({name: unverified[name] for name in names})

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a request file.

        Raises:
            CasehavenError: there is none, or it is not the format; of the class `ERROR`.
        """
        return cls.parse(read_document(path, cls.ERROR), path.name)


R = TypeVar("R", bound=TwoPersonRequest)


@dataclass(frozen=True, kw_only=True)
class TwoPersonApproval(ABC, Generic[R]):
    """One person's signature over a request."""

    FORMAT: ClassVar[str]

    request: R
    public_key: PublicKey
    signature: bytes

    @staticmethod
    @abstractmethod
    def sign(key: SigningKey, request: bytes) -> bytes:
        """Sign the canonical bytes of a request."""

    @abstractmethod
    def verify(self) -> None:
        """Check that the key approved exactly this request.

        Raises:
            BadSignatureError: it did not.
        """

    @classmethod
    def by(cls, request: R, key: SigningKey) -> Self:
        """Approve a request with one's own key."""
        return cls(request=request, public_key=key.public_key, signature=cls.sign(key, request.to_bytes()))

    def to_bytes(self) -> bytes:
        """The canonical bytes of an approval file."""
        return canonical_json(
            {
                "format": self.FORMAT,
                "request": self.request.document(),
                "public_key": self.public_key.text,
                "signature": base64.b64encode(self.signature).decode("ascii"),
            }
        )

    @classmethod
    def parse(cls, unverified: object, what: str, request: type[R]) -> Self:
        """Return the approval in parsed JSON, once its signature fits.

        Raises:
            CasehavenError: it is not exactly the format; of the request's class `ERROR`.
            BadSignatureError: the signature does not fit.
        """
        expected = {"format", "request", "public_key", "signature"}
        if not isinstance(unverified, dict) or set(unverified) != expected or unverified["format"] != cls.FORMAT:
            raise request.ERROR(
                f"{what}: an approval has the format {cls.FORMAT}, a request, a public key and a signature"
            )
        key, signature = unverified["public_key"], unverified["signature"]
        try:
            if not isinstance(key, str) or not isinstance(signature, str):
                raise request.ERROR(f"{what}: key and signature must be text")
            approval = cls(
                request=request.parse(unverified["request"], what),
                public_key=PublicKey.parse(key),
                signature=base64.b64decode(signature.encode("ascii"), validate=True),
            )
        except (PublicKeyError, UnicodeEncodeError, binascii.Error):
            raise request.ERROR(f"{what}: key and signature must be base64") from None
        approval.verify()
        return approval

    @classmethod
    def read(cls, path: Path, request: type[R]) -> Self:
        """Read an approval file and check its signature.

        Raises:
            CasehavenError, BadSignatureError: as for `parse`.
        """
        return cls.parse(read_document(path, request.ERROR), path.name, request)


def two_people(
    approvals: Sequence[TwoPersonApproval[R]],
    known: TrustStore,
    refused: Callable[[str], CasehavenError],
    *,
    what: str,
    unknown: str,
) -> tuple[R, tuple[TrustedSigner, ...]]:
    """Return the request and the people who approved it, once they are two of those who are known and approved the same request (rule 3).

    Args:
        approvals: one of each person.
        known: names and keys of those who may approve.
        refused: makes the error of a refusal.
        what: needs two people, in words.
        unknown: what is said of a key that is not known.

    Raises:
        CasehavenError: they are not; of `refused`.
        BadSignatureError: a signature does not fit.
    """
    for approval in approvals:
        approval.verify()
    if len({approval.request.to_bytes() for approval in approvals}) != 1:
        raise refused(f"expected {APPROVERS} approvals of one and the same request")
    people = {}
    for approval in approvals:
        signer = known.lookup(approval.public_key)
        if signer is None:
            raise refused(f"{approval.public_key.fingerprint} approved, but is not {unknown}")
        people[signer.public_key.raw] = signer
    names = {signer.name for signer in people.values()}
    if len(approvals) != APPROVERS or len(people) != APPROVERS or len(names) != APPROVERS:
        raise refused(f"{what} needs {APPROVERS} people who approve, got {min(len(people), len(names))}")
    return approvals[0].request, tuple(people.values())


def read_document(path: Path, error: type[CasehavenError]) -> object:
    """Read the JSON of a request or an approval.

    Raises:
        CasehavenError: there is none, or it is no JSON; of the class `error`.
    """
    try:
        return parse_json(read_regular(path, limit=_LIMIT, follow=True), path.name)
    except FileNotFoundError:
        raise error(f"there is no file {path}") from None
    except (JsonFaultError, NotRegularFileError, FileTooLargeError) as fault:
        raise error(str(fault)) from None
    except OSError as fault:
        raise error(f"{path} cannot be read: {fault.strerror}") from None


def write_new(path: Path, data: bytes, error: type[CasehavenError]) -> None:
    """Write a request or an approval; never over a file that is there.

    Raises:
        CasehavenError: the file is there, or cannot be written; of the class `error`.
    """
    try:
        write_whole(path, data, mode=0o644, replace=False)
    except FileExistsError:
        raise error(f"{path} is there already; nothing is overwritten") from None
    except OSError as fault:
        raise error(f"{path} cannot be written: {fault.strerror}") from None
