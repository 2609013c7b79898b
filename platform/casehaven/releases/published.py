"""A release that somebody published, opened for reading: verified first, then its facts, its schema and its model.

1. Nothing of a bundle is used before its signature, its files and its signer have been checked, as `casehaven verify` does.
2. The schema is the one that the manifest names, or the one that was given; either way its value lists must have the digest that the
   manifest states.
3. Everything here is public: a release holds protected numbers only, and reading it costs nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from casehaven.errors import CasehavenError
from caseschemas import CaseSchema, load_schema, shipped_schema_ids
from casesynth.canonical import JsonValue
from casesynth.domain import Domain
from casesynth.estimates import Estimates
from casesynth.manifest import MANIFEST_NAME, verify_bundle
from casesynth.signing import TrustStore
from casesynth.tables import read_model

MODEL_FILE = "model.parquet"

T = TypeVar("T")


class ReleaseFactsError(CasehavenError):
    """A signed manifest that does not state what every release states."""


class SchemaNeededError(CasehavenError):
    """The release was made with a schema that does not come with Casehaven, and none was given."""


class SchemaMismatchError(CasehavenError):
    """The schema has other value lists than the release."""


@dataclass(frozen=True, kw_only=True)
class ReleaseFacts:
    """What a verified manifest states, as far as a reader of numbers needs it."""

    folder: Path
    title: str
    created: str
    """Date, ISO 8601."""
    organisations: int
    unit: str
    epsilon: float
    """For one unit."""
    delta: float
    max_tokens_per_person: int
    epsilon_per_person: float
    licence: str
    source: str
    """Id and version of the schema, or `declared`."""
    domain_sha256: str
    measurements_sha256: str
    manifest_sha256: str
    fingerprint: str
    """Of the key that signed."""
    signer: str
    """The name of that key in the reader's trust store."""

    @property
    def model_path(self) -> Path:
        """The file that holds the model."""
        return self.folder / MODEL_FILE

    @property
    def protection(self) -> str:
        """The guarantee in one line."""
        line = f"epsilon {self.epsilon:g}, delta {self.delta:.2g} for one {self.unit}"
        if self.max_tokens_per_person > 1:
            line += (
                f"; epsilon {self.epsilon_per_person:.2f} for a person behind {self.max_tokens_per_person} {self.unit}s"
            )
        return line

    @property
    def citation(self) -> str:
        """How to cite the release: title, date, guarantee, and what tells it apart from every other."""
        return (
            f"{self.title}. Protected release of {self.created}; {self.protection}. Manifest SHA-256 "
            f"{self.manifest_sha256}, signed with the key {self.fingerprint}."
        )


@dataclass(frozen=True, kw_only=True)
class PublishedRelease:
    """A verified release with its schema and its one best estimate of everything."""

    facts: ReleaseFacts
    schema: CaseSchema
    estimates: Estimates


def verified_facts(bundle: Path, trust: TrustStore) -> ReleaseFacts:
    """Verify a bundle and return what it states.

    Raises:
        BadSignatureError, ManifestError, ChangedFileError, UnknownSignerError: see `casesynth.manifest.verify_bundle`.
        ReleaseFactsError: it is whole and its signer is known, but it is not a release as this version writes them.
    """
    found = verify_bundle(bundle, trust)
    if found.signer is None or found.manifest is None or found.fingerprint is None:
        raise AssertionError("verify_bundle returns only trusted bundles")
    if MODEL_FILE not in {entry.name for entry in found.manifest.files}:
        raise ReleaseFactsError(f"{bundle} is signed but holds no {MODEL_FILE}")
    facts = found.manifest.facts
    guarantee, domain = _fact(facts, "guarantee", dict), _fact(facts, "domain", dict)
    return ReleaseFacts(
        folder=bundle,
        title=_fact(facts, "title", str),
        created=_fact(facts, "created", str),
        organisations=_fact(facts, "organisations", int),
        unit=_fact(guarantee, "unit", str),
        epsilon=_number(guarantee, "epsilon"),
        delta=_number(guarantee, "delta"),
        max_tokens_per_person=_fact(guarantee, "max_tokens_per_person", int),
        epsilon_per_person=_number(guarantee, "epsilon_per_person"),
        licence=_fact(facts, "licence", str),
        source=_fact(domain, "source", str),
        domain_sha256=_fact(domain, "sha256", str),
        measurements_sha256=_fact(facts, "measurements_sha256", str),
        manifest_sha256=hashlib.sha256((bundle / MANIFEST_NAME).read_bytes()).hexdigest(),
        fingerprint=found.fingerprint,
        signer=found.signer.name,
    )


def open_release(facts: ReleaseFacts, schema: str | None) -> PublishedRelease:
    """Read the model of a verified release.

    Args:
        facts: from `verified_facts`.
        schema: id of a shipped schema or a file; None: the one that the release names.

    Raises:
        SchemaNeededError: none was given and the release names none that is shipped.
        SchemaMismatchError: the schema has other value lists than the release.
        CaseschemasError: the schema cannot be read.
        TableFormatError: the model is of another version.
    """
    named = facts.source.partition(" ")[0]
    if schema is None and named not in shipped_schema_ids():
        raise SchemaNeededError(
            f"{facts.folder} was made with the schema {facts.source!r}, which does not come with Casehaven"
        )
    loaded = load_schema(schema if schema is not None else named)
    domain = Domain.from_schema(loaded)
    if domain.digest() != facts.domain_sha256:
        raise SchemaMismatchError(
            f"{facts.folder} was made with the schema {facts.source!r}; the value lists of {loaded.id} {loaded.version} are others"
        )
    model, errors = read_model(facts.model_path, domain)
    return PublishedRelease(facts=facts, schema=loaded, estimates=Estimates(domain=domain, model=model, errors=errors))


def _fact(facts: Mapping[str, JsonValue], name: str, kind: type[T]) -> T:
    found = facts.get(name)
    if not isinstance(found, kind) or isinstance(found, bool):
        raise ReleaseFactsError(f"the manifest does not state {name!r} as a release does")
    return found


def _number(facts: Mapping[str, JsonValue], name: str) -> float:
    found = facts.get(name)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise ReleaseFactsError(f"the manifest does not state {name!r} as a release does")
    return float(found)
