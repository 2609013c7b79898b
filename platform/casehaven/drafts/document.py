"""The document of a draft, `casehaven-release-draft/1`: what the people who have to approve it approve.

1. It is canonical JSON, so that one content is one string of bytes. Its SHA-256 is what is approved: any change is another document, which nobody has approved.
2. It is made by the worker, from public facts alone: what is to be drawn, from which datasets, what each of them would be charged, and how far the numbers may be off (privacy rule 6).
3. It holds 16 random bytes. Who is not shown which datasets take part cannot try them out against the digest.
4. It is over 14 days after it was made, and a release that was drawn from it and about which nobody decided is over 14 days after it is seen (privacy rule 35).
5. What it says of what is drawn (`BINDING`) has to be so when it is drawn: it is found out anew then, and compared.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from casehaven.core.release_rows import DRAFT_SECONDS
from casehaven.drafts.errors import DraftDocumentError
from casesynth.canonical import JsonFaultError, JsonValue, canonical_json, parse_json

__all__ = ["BINDING", "DRAFT_SECONDS", "FIELDS", "FORMAT", "DraftDocument", "Part", "approval_challenge", "parse_draft"]

FORMAT: Final = "casehaven-release-draft/1"

APPROVAL_CONTEXT: Final = "casehaven-release-approval/1"

Part = Literal["steward", "privacy_officer"]
"""As what somebody approves."""

BYTES_MOST: Final = 200_000

BINDING: Final = (
    "agreement",
    "agreement_digest",
    "datasets",
    "left_out",
    "schema",
    "schema_sha256",
    "attributes",
    "registered",
    "epsilon",
    "delta",
    "people_cap",
    "max_tokens_per_person",
    "tokens_reason",
    "person_tokens",
    "nano_rho",
    "epsilon_per_person",
)
"""Fields that are found out anew when the release is drawn (rule 5)."""

FIELDS: Final = frozenset(
    {
        *BINDING,
        "format",
        "draft",
        "number",
        "nonce",
        "organisation",
        "proposed_by",
        "title",
        "credit",
        "changelog",
        "succeeds",
        "expected",
        "drafted_at",
        "expires_at",
    }
)

_HEX: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, kw_only=True)
class DraftDocument:
    """What is to be approved."""

    fields: Mapping[str, Any]
    """As JSON has them; `docs/spec/registry.md` says what each is."""

    def __post_init__(self) -> None:
        """Check the form."""
        found = self.fields
        if set(found) != FIELDS or found["format"] != FORMAT:
            raise DraftDocumentError(f"the document is not {FORMAT}: a field is missing, or one too many is there")
        for name in ("draft", "nonce"):
            if not isinstance(found[name], str) or not _HEX.fullmatch(found[name]):
                raise DraftDocumentError(f"/{name}: expected 32 hexadecimal digits")
        for name in ("number", "nano_rho", "people_cap", "max_tokens_per_person", "drafted_at", "expires_at"):
            if type(found[name]) is not int or found[name] < 1:
                raise DraftDocumentError(f"/{name}: expected a whole number from 1")
        if not found["datasets"] or not all(isinstance(name, str) and "/" in name for name in found["datasets"]):
            raise DraftDocumentError("/datasets: expected organisation/dataset")
        if found["credit"] is not None and found["agreement"] is not None:
            raise DraftDocumentError("/credit: a release under an agreement names no contributor")

    @property
    def draft(self) -> str:
        """The draft's name, the same in every document of it."""
        return str(self.fields["draft"])

    @property
    def number(self) -> int:
        """1 for the first document; each change has the next number."""
        return int(self.fields["number"])

    @property
    def organisation(self) -> str:
        """Of whoever drafted it."""
        return str(self.fields["organisation"])

    @property
    def datasets(self) -> tuple[str, ...]:
        """Datasets that would be charged."""
        return tuple(self.fields["datasets"])

    @property
    def contributors(self) -> tuple[str, ...]:
        """Their organisations, in order: a steward of each has to approve."""
        return tuple(sorted({name.partition("/")[0] for name in self.datasets}))

    @property
    def agreement(self) -> str | None:
        """Under which they take part; None: datasets of one organisation."""
        found = self.fields["agreement"]
        return None if found is None else str(found)

    @property
    def expires_at(self) -> int:
        """Seconds since 1970, UTC."""
        return int(self.fields["expires_at"])

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical bytes: what is approved (rule 1)."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @property
    def release(self) -> str:
        """The name of the release that is drawn from it: one draft, one release."""
        return self.digest[:32]

    def to_bytes(self) -> bytes:
        """The canonical bytes: what is hashed."""
        return canonical_json(dict(self.fields))

    def binding(self) -> dict[str, JsonValue]:
        """Return what has to be so when it is drawn (rule 5)."""
        return {name: self.fields[name] for name in BINDING}

    def shown_to(self, organisation: str, *, everywhere: bool = False) -> dict[str, Any]:
        """Return the document as a reader sees it.

        Args:
            organisation: the reader's.
            everywhere: the reader watches over the whole deployment.

        Contributors and the deployment's officers see all of it. Whoever drafted it under an agreement without contributing sees no contributor, and none of the random bytes (rule 3).
        """
        shown = dict(self.fields)
        if not everywhere and organisation not in self.contributors:
            shown["datasets"] = []
            shown.pop("nonce")
        return shown


def approval_challenge(digest: str, organisation: str, handle: str, part: str) -> bytes:
    """Return what a passkey signs: it fits no other document, member or part, and no agreement.

    >>> approval_challenge("0" * 64, "north", "nora", "steward").hex()[:16]
    'e2a9ce1585d14d4c'
    """
    said = {"context": APPROVAL_CONTEXT, "digest": digest, "organisation": organisation, "handle": handle, "part": part}
    return hashlib.sha256(canonical_json(said)).digest()


def parse_draft(unverified: bytes) -> DraftDocument:
    """Read a document: exactly the format, in its one canonical form.

    Raises:
        DraftDocumentError: it is anything else; names the place.
    """
    if len(unverified) > BYTES_MOST:
        raise DraftDocumentError(f"the document has more than {BYTES_MOST} bytes")
    try:
        fields = parse_json(unverified, "the draft")
    except JsonFaultError:
        raise DraftDocumentError("the document is not JSON with one meaning") from None
    if not isinstance(fields, dict):
        raise DraftDocumentError(f"the document is not {FORMAT}")
    found = DraftDocument(fields=fields)
    if found.to_bytes() != unverified:
        raise DraftDocumentError("the document is not in its canonical form")
    return found
