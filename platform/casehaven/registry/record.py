"""What the registry says of a published release: the record's document, made once from the signed manifest and the approved draft.

1. Every number is a fact of the signed manifest: public, or noisy. Nothing is counted here.
2. No contributor is named. Of a release of one organisation the draft may name it as the creator (`credit`), in words that everybody approved; under an agreement it may not.
3. The document does not change afterwards but for the notice of withdrawal, and the manifest's digest where the withdrawal marked the bundle (privacy rule 33).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from typing import Any, Final

from casehaven.drafts.document import DraftDocument
from casehaven.registry.downloads import Download
from casesynth.manifest import Manifest

FORMAT: Final = "casehaven-registry-record/1"

_FACTS: Final = (
    "title",
    "created",
    "licence",
    "software",
    "guarantee",
    "mechanisms",
    "people_cap",
    "people",
    "minimum_count",
    "organisations",
    "consent_applied",
    "domain",
    "measurements_sha256",
)
"""Facts of the manifest that the record repeats."""


def moment(seconds: int) -> str:
    """Write a time as the registry has it.

    >>> moment(0)
    '1970-01-01T00:00:00Z'
    """
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def record_document(
    *,
    name: str,
    concept: str,
    version: int,
    draft: DraftDocument,
    manifest: Manifest,
    manifest_sha256: str,
    signed_files: Sequence[Mapping[str, Any]],
    fingerprint: str,
    downloads: Sequence[Download],
    published_at: int,
) -> dict[str, Any]:
    """Return the document of a new record.

    Args:
        name: of the version.
        concept: of all versions.
        version: from 1.
        draft: that was approved.
        manifest: of the verified bundle.
        manifest_sha256: of its bytes.
        signed_files: manifest and signature, as `files` has them.
        fingerprint: of the key that signed.
        downloads: the forms that were made.
        published_at: seconds since 1970.
    """
    fields = draft.fields
    files = [{"name": each.name, "size": each.size, "sha256": each.sha256} for each in manifest.files]
    return {
        "format": FORMAT,
        "id": name,
        "concept": concept,
        "version": version,
        "state": "published",
        "published": moment(published_at),
        "creator": fields["credit"],
        "changelog": fields["changelog"],
        "succeeds": fields["succeeds"],
        "left_out": fields["left_out"],
        "pooled": draft.agreement is not None,
        "schema": fields["schema"],
        "attributes": list(fields["attributes"]),
        **{fact: manifest.facts.get(fact) for fact in _FACTS},
        "manifest_sha256": manifest_sha256,
        "fingerprint": fingerprint,
        "files": [*files, *(dict(each) for each in signed_files)],
        "downloads": [each.document() for each in downloads],
        "indicators": [],
        "withdrawal": None,
    }


def up(loss: float) -> str:
    """Write an epsilon or a delta with three digits, rounded up: a loss is never said smaller than it is.

    >>> up(7.334), up(3.999999875), up(1e-06), up(5.8123e-06)
    ('7.34', '4', '1e-06', '5.82e-06')
    """
    exact = Decimal(repr(loss))
    step = Decimal(1).scaleb(exact.adjusted() - 2)
    return f"{float(exact.quantize(step, rounding=ROUND_CEILING)):.3g}"


def citation(document: Mapping[str, Any]) -> str:
    """Return how to cite a version: who, when, what, where, and what tells it apart from every other."""
    who = document["creator"] or "Contributors to Casehaven"
    said = f"{who} ({document['published'][:4]}). {document['title']}. Version {document['version']}. {document['id']}."
    said += f" Manifest SHA-256 {document['manifest_sha256']}."
    return f"{said} Withdrawn on {document['withdrawal']['at'][:10]}." if document["withdrawal"] else said


def guarantee_words(document: Mapping[str, Any]) -> str:
    """Return the guarantee in plain words."""
    found = document["guarantee"]
    said = f"Protected by differential privacy: epsilon {up(found['epsilon'])}, delta {up(found['delta'])} for one {found['unit']}"
    if found["max_tokens_per_person"] > 1:
        said += (
            f", epsilon {up(found['epsilon_per_person'])} for a person with {found['max_tokens_per_person']} of them"
        )
    said += ". What this release shows would be nearly as likely had any one person's records not been there. It does not protect facts that are true of a whole group."
    if found["decision_used_private_data"]:
        said += " The decision to publish or to withdraw it used private data: that is not covered."
    return said


def summary(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a list shows of a record."""
    guarantee = document["guarantee"]
    return {
        **{
            name: document[name]
            for name in (
                "id",
                "concept",
                "version",
                "title",
                "state",
                "published",
                "creator",
                "schema",
                "licence",
                "pooled",
                "organisations",
                "people",
                "withdrawal",
            )
        },
        "epsilon": guarantee["epsilon"],
        "delta": guarantee["delta"],
        "epsilon_per_person": guarantee["epsilon_per_person"],
    }
