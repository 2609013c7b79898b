"""Marks a bundle whose decision may rest on real records: what the guarantee does not cover any more is said in the bundle itself (privacy rule 33).

1. The fact `decision_used_private_data` of the manifest becomes true; report, datasheet, showcase and data package become what they are where
   the notes of a release say so from the start; the manifest is signed anew. Nothing else changes.
2. The bundle is replaced as a whole: a marked copy is written, synced and signed beside it, and takes its place. Interrupted, the next command finishes it.
3. Releases of earlier versions are marked too: the sentence comes first in their pages, wherever their place for it would be.
4. There is no way back: nothing here makes the fact false.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from casehaven.errors import CasehavenError
from casesynth._files import sync_folder, write_whole
from casesynth.manifest import (
    MANIFEST_NAME,
    SIGNATURE_NAME,
    file_entries,
    parse_manifest,
    sign_manifest,
    write_manifest,
)
from casesynth.report.private_decision import mark_datapackage, mark_datasheet, mark_report
from casesynth.showcase import mark_showcase
from casesynth.signing import SigningKey

FACT = "decision_used_private_data"
_PACKAGE = "datapackage.json"
_TEXTS: dict[str, Callable[[str], str]] = {
    "report.html": mark_report,
    "datasheet.md": mark_datasheet,
    "showcase.html": mark_showcase,
}


class MarkError(CasehavenError):
    """A bundle that cannot be marked: it is no release with a guarantee."""


def is_marked(bundle: Path) -> bool:
    """Whether a bundle's manifest says that the decision used private data."""
    guarantee = parse_manifest((bundle / MANIFEST_NAME).read_bytes()).facts.get("guarantee")
    return isinstance(guarantee, dict) and guarantee.get(FACT) is True


def finish_marking(bundle: Path) -> None:
    """Put a marked copy in its place that an interrupted command left, and remove what it replaced."""
    marked, replaced = _beside(bundle)
    if not bundle.exists() and (marked / SIGNATURE_NAME).exists():
        os.rename(marked, bundle)
        sync_folder(bundle.absolute().parent)
    if bundle.exists():
        for left in (marked, replaced):
            shutil.rmtree(left, ignore_errors=True)


def mark_private_decision(bundle: Path, key: SigningKey) -> None:
    """Mark a bundle for good; one that is marked stays as it is.

    Args:
        bundle: verified by the caller.
        key: signs it anew.

    Raises:
        MarkError: the bundle is no release with a guarantee.
        OSError: the disk is full or the place cannot be written; the bundle is as it was.
    """
    finish_marking(bundle)
    if is_marked(bundle):
        return
    facts = dict(parse_manifest((bundle / MANIFEST_NAME).read_bytes()).facts)
    guarantee = facts.get("guarantee")
    if not isinstance(guarantee, dict):
        raise MarkError(f"the manifest of {bundle} states no guarantee, as a release does")
    marked, replaced = _beside(bundle)
    shutil.copytree(bundle, marked)
    try:
        (marked / SIGNATURE_NAME).unlink()
        _say(marked)
        write_manifest(marked, {**facts, "guarantee": {**guarantee, FACT: True}})
        sign_manifest(marked, key)
        for path in marked.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        sync_folder(marked)
    except BaseException:
        shutil.rmtree(marked, ignore_errors=True)
        raise
    os.rename(bundle, replaced)
    os.rename(marked, bundle)
    sync_folder(bundle.absolute().parent)
    shutil.rmtree(replaced, ignore_errors=True)


def _beside(bundle: Path) -> tuple[Path, Path]:
    return bundle.with_name(f".{bundle.name}.marked"), bundle.with_name(f".{bundle.name}.replaced")


def _say(folder: Path) -> None:
    """Write the sentence into the files that people read, and their new sizes and digests into the data package."""
    for name, marked in _TEXTS.items():
        if (folder / name).exists():
            _replace(folder / name, marked((folder / name).read_text(encoding="utf-8")))
    if not (folder / _PACKAGE).exists():
        return
    package = json.loads(mark_datapackage((folder / _PACKAGE).read_text(encoding="utf-8")))
    entries = {entry.name: entry for entry in file_entries(folder)}
    for resource in package["resources"]:
        entry = entries[resource["path"]]
        resource["bytes"], resource["hash"] = entry.size, f"sha256:{entry.sha256}"
    _replace(folder / _PACKAGE, json.dumps(package, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def _replace(path: Path, text: str) -> None:
    write_whole(path, text.encode(), mode=0o644, replace=True)
