"""The document of an agreement, `casehaven-agreement/1`: what its contributors sign.

1. It is canonical JSON, so that one content is one string of bytes. Its SHA-256 is what is signed: any change is another document, which nobody has signed.
2. It holds the agreement's name, which number of it this is, and 16 random bytes. Who knows all the terms but not these bytes can try out no contributor against the digest.
3. Per dataset it says which attributes may be counted: as they are (`as_is`) or at a hierarchy of the schema, by its name. An attribute that is not named may be neither
   counted nor filtered by.
4. The rule by which a dataset is left out is fixed here, in words that everybody signs: `LEFT_OUT`. It rests on the ledger's public statement alone.
5. `people_cap` is at least the sum of the datasets' own, `max_tokens_per_person` the number of contributing organisations unless a reason says why it is lower,
   `minimum_count` no less than what every answer hides (privacy rules 2, 8 and 25).
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final, get_args

from casehaven.agreements.errors import AgreementDocumentError
from caseschemas import CaseSchema, Purpose
from casesynth.canonical import JsonFaultError, JsonValue, canonical_json, parse_json

FORMAT: Final = "casehaven-agreement/1"

SIGNATURE_CONTEXT: Final = "casehaven-agreement-signature/1"

AS_IS: Final = "as_is"
"""An attribute may be counted value by value."""

LEFT_OUT: Final = (
    "A dataset is left out of what is asked or released in a month when the ledger's public statement of that month shows an account of it that is needed as spent "
    "into its last sixteenth, or as unbounded. What is left out is not charged. With datasets of fewer than two organisations left, nothing is answered."
)
"""The public rule (rule 4)."""

PURPOSES: Final = tuple(
    purpose for purpose in get_args(Purpose) if purpose in ("pooled_statistics", "synthetic_release")
)
"""Purposes that an agreement may name: the others are an organisation's own."""

MINIMUM_COUNT: Final = 10
BYTES_MOST: Final = 200_000
DATASETS_MOST: Final = 20
NAMES_MOST: Final = 500
TEXT_MOST: Final = 500
LARGEST: Final = (1 << 62) - 1

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_HEX: Final = re.compile(r"[0-9a-f]{32}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_FINGERPRINT: Final = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_DAY: Final = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, kw_only=True)
class Contribution:
    """One dataset, and what of it may be counted."""

    dataset: str
    """`organisation/dataset`."""
    fields: Mapping[str, str]
    """By attribute: `as_is`, or a hierarchy of the schema."""

    @property
    def organisation(self) -> str:
        """Whose dataset it is."""
        return self.dataset.partition("/")[0]


@dataclass(frozen=True, kw_only=True)
class AgreementDocument:
    """What is agreed."""

    agreement: str
    """The agreement's name: 32 hexadecimal digits, the same in every document of it."""
    number: int
    """1 for the first document; each change has the next number."""
    nonce: str
    """32 hexadecimal digits (rule 2)."""
    title: str
    schema_sha256: str
    """Of the one schema of all datasets."""
    contributions: tuple[Contribution, ...]
    """By the datasets' names."""
    readers: tuple[str, ...]
    """Organisations without a dataset here whose members may be among the askers."""
    asking_organisations: tuple[str, ...]
    """Any researcher of these may ask."""
    asking_members: tuple[str, ...]
    """Handles of members of a party who may ask."""
    purposes: tuple[str, ...]
    budget_nano_rho: int
    """The most that everything under this agreement may charge to each dataset, beside each account's own cap, for one person token."""
    people_cap: int
    minimum_count: int
    max_tokens_per_person: int
    tokens_reason: str | None
    """Why it is lower than the number of contributing organisations; None where it is not."""
    linkage: str | None
    """Fingerprint of the linkage key under which all person tokens were made; None: tokens of two organisations never meet."""
    expires: str
    """The last day, UTC."""

    def __post_init__(self) -> None:
        """Check what can be checked without schema and datasets."""
        _check(self)

    @property
    def contributors(self) -> tuple[str, ...]:
        """The organisations that have to sign, in order."""
        return tuple(sorted({each.organisation for each in self.contributions}))

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of the datasets, in order."""
        return tuple(each.dataset for each in self.contributions)

    @property
    def parties(self) -> frozenset[str]:
        """Contributors and readers."""
        return frozenset(self.contributors) | frozenset(self.readers)

    def expired(self, now: int) -> bool:
        """Whether its last day is over, at so many seconds since 1970."""
        return datetime.fromtimestamp(now, UTC).date() > date.fromisoformat(self.expires)

    def lets_ask(self, handle: str, organisation: str) -> bool:
        """Whether a member of an organisation is among those who may ask."""
        named = organisation in self.asking_organisations or handle in self.asking_members
        return named and organisation in self.parties

    def agreed(self, attribute: str) -> frozenset[str]:
        """Return the levels at which an attribute may be counted in every dataset together; empty where one of them keeps it back."""
        return frozenset(each.fields.get(attribute, "") for each in self.contributions) - {AS_IS}

    def allows(self, attribute: str) -> bool:
        """Whether an attribute may be counted in every dataset, at whatever level."""
        return all(attribute in each.fields for each in self.contributions)

    def to_bytes(self) -> bytes:
        """The canonical bytes: what is hashed."""
        return canonical_json(self.written())

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical bytes: what is signed (rule 1)."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def written(self) -> dict[str, JsonValue]:
        """Return it as JSON."""
        return {
            "format": FORMAT,
            "agreement": self.agreement,
            "number": self.number,
            "nonce": self.nonce,
            "title": self.title,
            "schema_sha256": self.schema_sha256,
            "contributions": [{"dataset": each.dataset, "fields": dict(each.fields)} for each in self.contributions],
            "readers": list(self.readers),
            "askers": {"organisations": list(self.asking_organisations), "members": list(self.asking_members)},
            "purposes": list(self.purposes),
            "budget_nano_rho": self.budget_nano_rho,
            "people_cap": self.people_cap,
            "minimum_count": self.minimum_count,
            "max_tokens_per_person": self.max_tokens_per_person,
            "tokens_reason": self.tokens_reason,
            "linkage": self.linkage,
            "left_out": LEFT_OUT,
            "expires": self.expires,
        }


def signing_challenge(digest: str, organisation: str, handle: str) -> bytes:
    """Return what a steward's passkey signs: it fits no other document, organisation or member.

    >>> signing_challenge("0" * 64, "north", "nora").hex()[:16]
    '34c721a0e9b0b6b5'
    """
    said = {"context": SIGNATURE_CONTEXT, "digest": digest, "organisation": organisation, "handle": handle}
    return hashlib.sha256(canonical_json(said)).digest()


def parse_agreement(unverified: bytes) -> AgreementDocument:
    """Read a document: exactly the format, in its one canonical form.

    Raises:
        AgreementDocumentError: it is anything else; names the place.
    """
    if len(unverified) > BYTES_MOST:
        raise AgreementDocumentError(f"the document has more than {BYTES_MOST} bytes")
    try:
        fields = parse_json(unverified, "the agreement")
    except JsonFaultError:
        raise AgreementDocumentError("the document is not JSON with one meaning") from None
    if not isinstance(fields, dict) or fields.get("format") != FORMAT or fields.get("left_out") != LEFT_OUT:
        raise AgreementDocumentError(
            f"the document is not {FORMAT}, or its rule for leaving datasets out is another one"
        )
    try:
        found = _read(fields)
        if found.to_bytes() != unverified:  # another key, another order, a number in another form
            raise AgreementDocumentError(
                "the document is not in its canonical form, or says more than the format knows"
            )
    except (KeyError, TypeError, AttributeError, JsonFaultError):
        raise AgreementDocumentError("a part of the document is missing, or of another kind than expected") from None
    return found


def new_document(terms: Mapping[str, Any]) -> AgreementDocument:
    """Return the first document of a new agreement.

    Args:
        terms: every field of the format but format, agreement, number, nonce and left_out.

    Raises:
        AgreementDocumentError: the terms are not complete, or contradict each other.
    """
    return _of_terms(terms, secrets.token_hex(16), 1)


def next_document(terms: Mapping[str, Any], last: AgreementDocument) -> AgreementDocument:
    """Return the document of a change: of the same agreement, with the next number and new random bytes.

    Raises:
        AgreementDocumentError: see `new_document`.
    """
    return _of_terms(terms, last.agreement, last.number + 1)


def check_against_schema(document: AgreementDocument, schema: CaseSchema, people_caps: Mapping[str, int]) -> None:
    """Check a document against the public facts of its datasets.

    Args:
        document: to be proposed, or about to be used.
        schema: the one schema of all its datasets.
        people_caps: by dataset.

    Raises:
        AgreementDocumentError: another schema, an attribute or level that it has not, or people_cap below the sum.
    """
    if schema.digest() != document.schema_sha256 or set(people_caps) != set(document.datasets):
        raise AgreementDocumentError("/schema_sha256: a dataset is not there, or has another schema")
    counted = {attribute.name for attribute in schema.analysis}
    levels = {hierarchy.name: hierarchy.attribute for hierarchy in schema.hierarchies}
    for place, each in enumerate(document.contributions):
        for attribute, level in each.fields.items():
            if attribute not in counted:
                raise AgreementDocumentError(f"/contributions/{place}/fields: expected attributes that may be counted")
            if level != AS_IS and levels.get(level) != attribute:
                raise AgreementDocumentError(
                    f"/contributions/{place}/fields/{attribute}: expected {AS_IS!r} or a hierarchy of this attribute"
                )
    if document.people_cap < sum(people_caps.values()):
        raise AgreementDocumentError("/people_cap: expected at least the sum of the datasets' own")


def _of_terms(terms: Mapping[str, Any], agreement: str, number: int) -> AgreementDocument:
    try:
        found = _read({**terms, "agreement": agreement, "number": number, "nonce": secrets.token_hex(16)})
    except (KeyError, TypeError, AttributeError):
        raise AgreementDocumentError("a part of the terms is missing, or of another kind than expected") from None
    expected = set(found.written()) - {"format", "agreement", "number", "nonce", "left_out"}
    if set(terms) != expected:
        raise AgreementDocumentError("the terms say more than the format knows")
    return found


def _read(fields: Mapping[str, Any]) -> AgreementDocument:
    askers = fields["askers"]
    if set(askers) != {"organisations", "members"}:
        raise AgreementDocumentError("/askers: expected organisations and members")
    contributions = []
    for place, each in enumerate(_list(fields["contributions"], "/contributions", DATASETS_MOST)):
        if not isinstance(each, Mapping) or set(each) != {"dataset", "fields"}:
            raise AgreementDocumentError(f"/contributions/{place}: expected a dataset and its fields")
        contributions.append(Contribution(dataset=each["dataset"], fields=dict(sorted(each["fields"].items()))))
    contributions.sort(key=lambda each: each.dataset)
    return AgreementDocument(
        agreement=fields["agreement"],
        number=fields["number"],
        nonce=fields["nonce"],
        title=fields["title"],
        schema_sha256=fields["schema_sha256"],
        contributions=tuple(contributions),
        readers=_names(fields["readers"], "/readers"),
        asking_organisations=_names(askers["organisations"], "/askers/organisations"),
        asking_members=_names(askers["members"], "/askers/members"),
        purposes=_names(fields["purposes"], "/purposes"),
        budget_nano_rho=fields["budget_nano_rho"],
        people_cap=fields["people_cap"],
        minimum_count=fields["minimum_count"],
        max_tokens_per_person=fields["max_tokens_per_person"],
        tokens_reason=fields["tokens_reason"],
        linkage=fields["linkage"],
        expires=fields["expires"],
    )


def _list(raw: object, place: str, most: int) -> list[Any]:
    if not isinstance(raw, list | tuple) or len(raw) > most:
        raise AgreementDocumentError(f"{place}: expected a list of at most {most}")
    return list(raw)


def _names(raw: object, place: str) -> tuple[str, ...]:
    """Return names in order, each once."""
    names = _list(raw, place, NAMES_MOST)
    if not all(isinstance(name, str) and _NAME.fullmatch(name) for name in names) or len(set(names)) != len(names):
        raise AgreementDocumentError(f"{place}: expected names, each once")
    return tuple(sorted(names))


def _check(document: AgreementDocument) -> None:
    for place, text, form in (
        ("/agreement", document.agreement, _HEX),
        ("/nonce", document.nonce, _HEX),
        ("/schema_sha256", document.schema_sha256, _DIGEST),
        ("/expires", document.expires, _DAY),
        *((("/linkage", document.linkage, _FINGERPRINT),) if document.linkage is not None else ()),
    ):
        if not isinstance(text, str) or not form.fullmatch(text):
            raise AgreementDocumentError(f"{place}: is not written as it must be")
    try:
        date.fromisoformat(document.expires)
    except ValueError:
        raise AgreementDocumentError("/expires: expected a day") from None
    _check_text(document.title, "/title")
    if not document.contributions or len({each.dataset for each in document.contributions}) != len(
        document.contributions
    ):
        raise AgreementDocumentError("/contributions: expected at least one dataset, each once")
    for place, each in enumerate(document.contributions):
        _check_contribution(each, f"/contributions/{place}")
    if set(document.readers) & set(document.contributors):
        raise AgreementDocumentError("/readers: an organisation is contributor or reader, not both")
    if not set(document.asking_organisations) <= document.parties:
        raise AgreementDocumentError("/askers/organisations: expected parties")
    if not document.asking_organisations and not document.asking_members:
        raise AgreementDocumentError("/askers: expected somebody")
    if not document.purposes or not set(document.purposes) <= set(PURPOSES):
        raise AgreementDocumentError(f"/purposes: expected some of {', '.join(PURPOSES)}")
    for place, number, least, most in (
        ("/number", document.number, 1, 1_000_000),
        ("/budget_nano_rho", document.budget_nano_rho, 1, LARGEST),
        ("/people_cap", document.people_cap, 1, 10**10),
        ("/minimum_count", document.minimum_count, MINIMUM_COUNT, 10**6),
        ("/max_tokens_per_person", document.max_tokens_per_person, 1, len(document.contributors)),
    ):
        if type(number) is not int or not least <= number <= most:
            raise AgreementDocumentError(f"{place}: expected a whole number from {least} to {most}")
    lowered = document.max_tokens_per_person < len(document.contributors)
    if lowered != (document.tokens_reason is not None):
        raise AgreementDocumentError(
            "/tokens_reason: expected where max_tokens_per_person is below the number of organisations, and nowhere else"
        )
    if document.tokens_reason is not None:
        _check_text(document.tokens_reason, "/tokens_reason")


def _check_contribution(each: Contribution, place: str) -> None:
    organisation, slash, name = each.dataset.partition("/") if isinstance(each.dataset, str) else ("", "", "")
    if not slash or not _NAME.fullmatch(organisation) or not _NAME.fullmatch(name):
        raise AgreementDocumentError(f"{place}/dataset: expected organisation/dataset")
    for attribute, level in each.fields.items():
        if not all(isinstance(word, str) and _WORD.fullmatch(word) for word in (attribute, level)):
            raise AgreementDocumentError(f"{place}/fields: expected attributes with {AS_IS!r} or a hierarchy's name")


def _check_text(text: object, place: str) -> None:
    if not isinstance(text, str) or not text.isprintable() or text != text.strip() or not 0 < len(text) <= TEXT_MOST:
        raise AgreementDocumentError(f"{place}: expected 1 to {TEXT_MOST} printable characters")
