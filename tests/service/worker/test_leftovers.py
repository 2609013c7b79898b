"""What a cancelled run of a release left is removed, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

from casehaven.core.release_rows import add_release
from casehaven.core.service_store import ServiceStore
from casehaven.worker.leftovers import KEPT_DAYS, remove_leftovers

NOW = 1_800_000_000
OLD = NOW - KEPT_DAYS * 86_400 - 1


def bundle(store: ServiceStore, name: str, at: int) -> Path:
    path = store.releases / name
    path.mkdir()
    (path / "manifest.json").write_text("{}")
    os.utime(path, (at, at))
    return path


def test_old_bundles_without_a_row_go_and_everything_else_stays(tmp_path: Path) -> None:
    store = ServiceStore.create(tmp_path / "store")
    gone = bundle(store, "a" * 32, OLD)
    listed, young, other = bundle(store, "b" * 32, OLD), bundle(store, "c" * 32, OLD + 2), bundle(store, "notes", OLD)
    file = store.releases / ("d" * 32)
    file.write_text("no folder")
    os.utime(file, (OLD, OLD))
    with store.writing() as connection:
        add_release(connection, listed.name, "north", {"files": []}, now=OLD)
    remove_leftovers(store, now=NOW)
    assert not gone.exists()
    assert all(path.exists() for path in (listed, young, other, file))
