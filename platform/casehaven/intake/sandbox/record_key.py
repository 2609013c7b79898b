"""Which column identifies a record in its tool.

1. It must outlast an edit of the record: `meta/rootUuid` of Kobo, else `_id`; `KEY` of ODK Central; the ids of Primero and Salesforce.
2. `_uuid` of Kobo and `meta-instanceID` of ODK Central belong to one edit. They are taken only where nothing else is there, and a note says so.
3. Older versions of Kobo give the root to edited records alone: it is taken only where every record has it.
"""

from __future__ import annotations

from collections.abc import Sequence

from casehaven.intake.sandbox.columns import PlanColumn
from casehaven.intake.sandbox.headers import Laid

_KEYS = {
    "kobo": ("meta/rootUuid", "rootUuid", "_id", "_uuid"),
    "odk-central": ("KEY", "meta-instanceID"),
    "primero": ("id", "ID", "case_id", "short_id"),
    "salesforce": ("Id",),
}
ROOTS = frozenset(("meta/rootUuid", "rootUuid"))
"""Kobo: the first `_uuid` of a record."""

_OF_AN_EDIT = frozenset(("_uuid", "meta-instanceID"))


def record_key(tool: str, planned: Sequence[PlanColumn], laid: Laid) -> str | None:
    """Return the column that identifies a record in its tool; a note says where it does not outlast an edit."""
    names = {column.name for column in planned}
    key = next((name for name in _KEYS.get(tool, ()) if name in names and _everywhere(name, laid)), None)
    if key in _OF_AN_EDIT:
        laid.notes.append(
            f"only {key} identifies a record, and the tool gives another one with every edit: an edited record comes in beside the earlier one"
        )
    return key


def _everywhere(name: str, laid: Laid) -> bool:
    """Tell whether every record has its root: older versions of the tool give it to edited records alone."""
    if name not in ROOTS:
        return True
    position = laid.position(name)
    return position is not None and all(cells[position].strip() for _, cells in laid.sample)
