"""Rows of a benchmark that stay when it is stopped: the same row, of the same code, is not measured twice.

A row is kept below .cache/bench-rows under the SHA-256 of everything that decides it: what was asked, and the sources that answered. A change of the
engine, of a peer's versions or of the script makes the row new. `--fresh` in a script's arguments measures again.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache" / "bench-rows"
ENGINE = (
    *sorted((ROOT / "synth" / "casesynth").glob("*.py")),
    ROOT / "synth" / "casesynth" / "privacy",
    ROOT / "synth" / "casesynth" / "evaluation" / "private.py",
    *sorted((ROOT / "platform" / "casehaven" / "generate").glob("*.py")),
)
"""Sources that decide what our engine does with people, made-up ones included."""
VERSIONS = ("numpy", "opendp", "pandas", "pyarrow")


class NotMeasuredError(Exception):
    """A row that is not known, where only known ones are wanted."""


def sources_digest(paths: Iterable[Path]) -> str:
    """Return the SHA-256 of Python sources and of other named files, as hex."""
    digest = hashlib.sha256()
    for path in paths:
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        for file in files:
            digest.update(f"{file.relative_to(ROOT)}\0".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


def engine_digest(*scripts: str) -> str:
    """Return what decides a row of our engine: its sources, the benchmark's scripts, the versions of libraries and Python."""
    versions = "|".join([platform.python_version(), *(f"{name} {version(name)}" for name in VERSIONS)])
    scripts_of = [ROOT / "benchmarks" / script for script in scripts]
    return hashlib.sha256((sources_digest([*ENGINE, *scripts_of]) + versions).encode()).hexdigest()


def kept_row(
    asked: dict[str, Any],
    decides: str,
    measure: Callable[[], dict[str, Any]],
    *,
    fresh: bool = False,
    folder: Path = CACHE,
) -> dict[str, Any]:
    """Return the row that was measured before, or measure and keep it.

    Args:
        asked: what the row is about; JSON.
        decides: digest of the sources.
        measure: measures; what it raises is not kept.
        fresh: measure again.
        folder: where rows are kept.
    """
    name = hashlib.sha256(json.dumps([asked, decides], sort_keys=True).encode()).hexdigest()[:32]
    path = folder / f"{name}.json"
    if path.exists() and not fresh:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["row"]
        return found
    row = measure()
    folder.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(f".{os.getpid()}")
    aside.write_text(json.dumps({"asked": asked, "row": row}), encoding="utf-8")
    os.replace(aside, path)
    return row
