"""Bundles that no release lists: what a run left that was cancelled, failed or revoked before its row was written.

1. A folder without a row is removed when it has been there for `KEPT_DAYS`: longer than a draft's approvals stand, so nothing that could still be finished under its charge is touched.
2. Only what has a release's name is looked at; whatever else somebody put there stays. Bundles hold protected numbers alone.
"""

from __future__ import annotations

import re
import shutil
from typing import Final

from sqlalchemy import select

from casehaven.core.service_store import ServiceStore
from casehaven.core.service_tables import release

KEPT_DAYS: Final = 30
_NAME: Final = re.compile("[0-9a-f]{32}")


def remove_leftovers(store: ServiceStore, *, now: int) -> None:
    """Remove bundles that no release lists (rule 1).

    Args:
        store: with the folder of releases.
        now: seconds since 1970.
    """
    old = [
        path
        for path in store.releases.iterdir()
        if _NAME.fullmatch(path.name) and path.is_dir() and path.stat().st_mtime < now - KEPT_DAYS * 86_400
    ]
    if not old:
        return
    with store.reading() as connection:
        listed = set(connection.scalars(select(release.c.release_id)))
    for path in old:
        if path.name not in listed:
            shutil.rmtree(path)
