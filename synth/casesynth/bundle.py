"""The release bundle: one folder that holds everything a release says, signed, and checked without a network.

1. A bundle is written beside its final place and renamed into it whole. Interrupted at any moment, there is no half bundle.
2. Whoever keeps the ledger is told of three stages, so that no second draw can follow once somebody may have seen the first (privacy
   rule 14): before the first byte is written, when every byte was removed again, and before the folder gets its name. The result is
   known by the digest of its measurements: everything else follows from them, so a bundle whose writing was cut short is finished
   from the measurements that it left.
3. The manifest states unit, epsilon, delta and rho, per token and per person, mechanisms and scales (privacy rule 26).
"""

from __future__ import annotations

import contextlib
import os
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from caseschemas import CaseSchema
from casesynth._files import sync_folder, write_whole
from casesynth.aggregates import MINIMUM
from casesynth.canonical import JsonValue
from casesynth.errors import CasesynthError
from casesynth.manifest import MANIFEST_NAME, Manifest, file_entries, parse_manifest, sign_manifest, write_manifest
from casesynth.near import near_pairs
from casesynth.notes import ReleaseNotes
from casesynth.progress import Progress, silent
from casesynth.recordfiles import write_records
from casesynth.report import datapackage_json, datasheet_md, report_html
from casesynth.seeded import measurements_digest
from casesynth.showcase import showcase_html
from casesynth.signing import SigningKey
from casesynth.synthesis import Synthesis
from casesynth.tables import (
    aggregates_frame,
    write_frame,
    write_measurements,
    write_model,
)
from casesynth.unfinished import (
    BUNDLE_NAME,
    NO_STAGES,
    Stages,
    make_work_folder,
    nothing_left,
    remove_work_folders,
)

NORMAL_95 = 1.96


class BundleExistsError(CasesynthError):
    """The folder for the bundle is there already."""


@dataclass(frozen=True, kw_only=True)
class ReleaseBundle:
    """A written bundle."""

    folder: Path
    manifest: Manifest


def software() -> dict[str, JsonValue]:
    """Return the versions of what made a release."""
    return {
        "casehaven": version("casehaven"),
        "opendp": version("opendp"),
        "numpy": version("numpy"),
        "python": platform.python_version(),
    }


def stated_measurements(folder: Path) -> str | None:
    """Return the SHA-256 of the measurements that a bundle's manifest states; None when there is no such manifest."""
    try:
        manifest = parse_manifest((folder / MANIFEST_NAME).read_bytes())
    except (CasesynthError, OSError):
        return None
    stated = manifest.facts.get("measurements_sha256")
    return stated if isinstance(stated, str) else None


class People(NamedTuple):
    """A noisy number of people and the ends of its 95 % interval."""

    estimate: int
    low: int
    high: int


def people_interval(synthesis: Synthesis) -> People:
    """Return the noisy number of people with the ends of its 95 % interval, in whole people."""
    half = NORMAL_95 * synthesis.model.people_sigma
    people = synthesis.model.people
    return People(max(round(people), 0), max(round(people - half), 0), max(round(people + half), 0))


def manifest_facts(synthesis: Synthesis, notes: ReleaseNotes) -> dict[str, JsonValue]:
    """Return what the manifest states; public facts and noisy numbers only."""
    plan = synthesis.plan
    person = plan.loss.scaled(plan.max_tokens_per_person)
    scales = [table.scale for table in plan.tables]
    estimate, low, high = people_interval(synthesis)
    return {
        "title": notes.title,
        "created": notes.created,
        "software": software(),
        "guarantee": {
            "neighbours": f"one {notes.unit} added or removed, with all of its records",
            "unit": notes.unit,
            "epsilon": plan.epsilon,
            "delta": plan.delta,
            "nano_rho": plan.loss.nano_rho,
            "definition": "zero-concentrated differential privacy, converted to (epsilon, delta)",
            "max_tokens_per_person": plan.max_tokens_per_person,
            "max_tokens_reason": notes.tokens_reason,
            "person_tokens": notes.person_tokens,
            "epsilon_per_person": plan.epsilon_per_person,
            "nano_rho_per_person": person.nano_rho,
            "decision_used_private_data": notes.decision_used_private_data,
            **({"registered": list(notes.registered)} if notes.registered else {}),
        },
        "mechanisms": [
            {
                "name": "discrete Gaussian on integer counts",
                "sensitivity_l2": 1,
                "tables": len(plan.tables),
                "cells": sum(m.values.size for m in synthesis.measurements),
                "scale_min": min(scales),
                "scale_max": max(scales),
            }
        ],
        **({"named_tables": [list(t) for t in plan.named], "table_share": plan.table_share} if plan.named else {}),
        "fit": asdict(synthesis.settings),
        **(
            {"near_pairs": [asdict(pair) for pair in near]}
            if (near := near_pairs(synthesis.model, plan.domain))
            else {}
        ),
        **(
            {"apart_pairs": [[plan.domain.columns[c].name for c in pair.columns] for pair in apart]}
            if (apart := synthesis.errors.apart)
            else {}
        ),
        "people_cap": plan.people_cap,
        "people": {"estimate": estimate, "low": low, "high": high},
        "minimum_count": int(MINIMUM),
        "organisations": notes.organisations,
        "consent_applied": notes.consent_applied,
        "legal_basis": notes.legal_basis,
        "licence": notes.licence,
        "domain": {"source": plan.domain.source, "sha256": plan.domain.digest()},
        "measurements_sha256": measurements_digest(synthesis.measurements).hex(),
        "charge": synthesis.receipt.charge_id,
    }


def write_bundle(
    synthesis: Synthesis,
    notes: ReleaseNotes,
    folder: Path,
    key: SigningKey,
    *,
    schema: CaseSchema | None = None,
    stages: Stages = NO_STAGES,
    progress: Progress = silent,
) -> ReleaseBundle:
    """Write, sign and place a bundle.

    Args:
        synthesis: what is released.
        notes: what people say about it.
        folder: where the bundle goes; must not exist yet.
        key: signs the manifest.
        schema: gives showcase, report and datasheet their labels and groups; without it they show codes.
        stages: told before the first byte is written, when all were removed again, and before the folder gets its name.
        progress: called per file; raising from it cancels.

    Raises:
        BundleExistsError: the folder is there already; it is left as it was.
        OSError: the disk is full or the place cannot be written; nothing is left behind.
    """
    if folder.exists() or folder.is_symlink():
        raise BundleExistsError(f"{folder} is there already; a bundle is never overwritten")
    digest = measurements_digest(synthesis.measurements).hex()
    charge_id = synthesis.receipt.charge_id
    stages.writing(digest)
    work = None
    try:
        work = make_work_folder(folder, charge_id, notes)
        inside = work / BUNDLE_NAME
        manifest = _fill(inside, synthesis, notes, key, schema, progress)
        for path in inside.iterdir():
            _sync(path)
        sync_folder(inside)
        sync_folder(work)
    except BaseException:
        if nothing_left(folder, charge_id, work):
            stages.withdrawn()
        raise
    stages.revealed(digest)
    os.rename(inside, folder)  # from here on the folder is kept, whatever happens: it cannot be drawn again
    with contextlib.suppress(OSError):  # the bundle is in place; only its name's durability is at stake
        sync_folder(folder.parent)
    remove_work_folders(folder, charge_id)
    return ReleaseBundle(folder=folder, manifest=manifest)


def _fill(
    folder: Path,
    synthesis: Synthesis,
    notes: ReleaseNotes,
    key: SigningKey,
    schema: CaseSchema | None,
    progress: Progress,
) -> Manifest:
    domain = synthesis.plan.domain
    progress("write", 0.0)
    write_measurements(synthesis.measurements, domain, folder / "measurements.parquet")
    write_model(synthesis.model, synthesis.errors, domain, folder / "model.parquet")
    progress("write", 0.3)
    write_records(synthesis.records, domain, folder, "synthetic", check=lambda: progress("write", None))
    progress("write", 0.6)
    write_frame(aggregates_frame(synthesis.aggregates, domain), folder, "aggregates")
    progress("write", 0.8)
    _write_text(folder / "showcase.html", showcase_html(synthesis, notes, schema))
    _write_text(folder / "report.html", report_html(synthesis, notes, schema))
    _write_text(folder / "datasheet.md", datasheet_md(synthesis, notes, schema))
    _write_text(folder / "datapackage.json", datapackage_json(synthesis, notes, file_entries(folder)))
    for path in folder.iterdir():
        os.chmod(path, 0o644)
    manifest = write_manifest(folder, manifest_facts(synthesis, notes))
    sign_manifest(folder, key)
    progress("write", 1.0)
    return manifest


def _write_text(path: Path, text: str) -> None:
    write_whole(path, text.encode(), mode=0o644, replace=False)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
