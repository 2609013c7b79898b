"""A published release without a draft behind it, for tests of what is read from one: a bundle that is signed, its record, its downloads and its tables, all made by the real code."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tests.publishing import draft_document

from casehaven.core.service_store import ServiceStore
from casehaven.registry import rows
from casehaven.registry.downloads import make_downloads
from casehaven.registry.identifiers import concept_name, record_name
from casehaven.registry.indicators import make_indicators
from casehaven.registry.reading import Published, opened
from casehaven.registry.record import moment, record_document
from casehaven.worker.registry import downloads_folder
from caseschemas import CaseSchema
from casesynth.bundle import write_bundle
from casesynth.manifest import MANIFEST_NAME, SIGNATURE_NAME, verify_bundle
from casesynth.notes import ReleaseNotes
from casesynth.signing import SigningKey, TrustStore
from casesynth.synthesis import Synthesis


def record_of_bundle(
    folder: Path, key: SigningKey, schema: CaseSchema, *, version: int = 1, concept: str = "", at: int = 0
) -> dict[str, Any]:
    """Return the record of a signed bundle, without other forms."""
    manifest = verify_bundle(folder, TrustStore().add("publisher", key.public_key)).manifest
    assert manifest is not None
    named = concept or concept_name(str(manifest.facts["measurements_sha256"]))
    names = [attribute.name for attribute in schema.analysis]
    return record_document(
        name=record_name(named, version),
        concept=named,
        version=version,
        draft=draft_document("north/cases", schema=f"{schema.id} {schema.version}", attributes=names),
        manifest=manifest,
        manifest_sha256=hashlib.sha256((folder / MANIFEST_NAME).read_bytes()).hexdigest(),
        signed_files=[
            {
                "name": name,
                "size": (folder / name).stat().st_size,
                "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest(),
            }
            for name in (MANIFEST_NAME, SIGNATURE_NAME)
        ],
        fingerprint=key.public_key.fingerprint,
        downloads=(),
        published_at=at,
    )


def shelve(
    store: ServiceStore,
    key: SigningKey,
    synthesis: Synthesis,
    schema: CaseSchema,
    *,
    title: str,
    created: str,
    version: int = 1,
    concept: str = "",
    at: int = 0,
) -> Mapping[str, Any]:
    """Publish a synthesis in a service's store, and return its record.

    Args:
        store: of the service; a row is added, and the files beside it.
        key: that signs the service's releases.
        synthesis: what is released; a few records are made up for it.
        schema: of its domain.
        title: of the release.
        created: its day, ISO 8601.
        version: of the concept.
        concept: of the first version; empty: its own.
        at: when it was published, seconds since 1970.
    """
    release_id = secrets.token_hex(16)
    folder = store.releases / release_id
    records = tuple(np.zeros(20, dtype=np.uint16) for _ in synthesis.plan.domain.columns)
    notes = ReleaseNotes(title=title, created=created, organisations=2, consent_applied=True)
    write_bundle(replace(synthesis, records=records), notes, folder, key, schema=schema)
    document = record_of_bundle(folder, key, schema, version=version, concept=concept, at=at)
    tables: list[dict[str, Any]] = []
    downloads = make_downloads(
        folder,
        downloads_folder(store.releases, release_id),
        [("title", title)],
        lambda: None,
        xlsx_cells=10_000,  # a workbook of all aggregates takes longer than everything else together
        also=lambda inside: tables.extend(make_indicators(opened(Published(folder=folder, document=document)), inside)),
    )
    document = {**document, "downloads": [each.document() for each in downloads], "indicators": tables}
    with store.writing() as connection:
        rows.add_record(
            connection,
            name=document["id"],
            concept=document["concept"],
            version=version,
            release_id=release_id,
            organisation="north",
            document=document,
            now=at,
        )
    assert document["published"] == moment(at)
    return document
