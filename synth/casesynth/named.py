"""Which tables of a release get a part of the budget of their own: those of the schema, and those that the steward adds.

All of it is public and fixed before any record is read (privacy rule 6).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from caseschemas import CaseSchema


class NamedTables(NamedTuple):
    """Tables that matter and the part of the budget that they share."""

    tables: tuple[tuple[str, ...], ...]
    """By attribute."""
    share: float | None
    """None for the default of the plan."""


def named_tables(
    schema: CaseSchema,
    added: Sequence[Sequence[str]] = (),
    share: float | None = None,
    *,
    of_the_schema: bool = True,
) -> NamedTables:
    """Return the tables that a release names, each set of attributes once.

    Args:
        schema: may name tables and their percentage.
        added: what the steward names.
        share: the steward's word; wins over the schema's.
        of_the_schema: whether the schema's tables are among them.
    """
    listed = [*(schema.tables if of_the_schema else ()), *(tuple(table) for table in added)]
    tables: dict[tuple[str, ...], tuple[str, ...]] = {}
    for table in listed:
        tables.setdefault(tuple(sorted(table)), table)
    if share is None and of_the_schema and tables and schema.table_percent is not None:
        share = schema.table_percent / 100
    return NamedTables(tables=tuple(tables.values()), share=share)
