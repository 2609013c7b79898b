"""The dry run: what taking a file in would do, before anything is sealed.

1. Per attribute: how many rows were understood, were not, and say nothing. Per column: what is dropped, and why. Per row that is refused: its number and the reason.
2. It is for the screen of the organisation whose file it is, and nothing else: exact numbers and words of cells stand in it (privacy rule 5). It is not
   logged, and no error quotes it.
3. It counts what `MappedFile` does, so what is told is what happens.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
import pyarrow.compute as pc

from casehaven.intake.cell_reading import BLANK, NOT_UNDERSTOOD, UNDERSTOOD
from casehaven.intake.intake_mapping import Dropped
from casehaven.intake.mapped_file import EMPTY, LEFT_OUT, MINOR, REFUSED, REPEATED, TAKEN, MappedFile
from casehaven.intake.sealed_upload import PreparedFile
from casehaven.intake.value_proposal import LETTERS_MOST, WORDS_MOST
from caseschemas import CaseSchema, SchemaAttribute

_PLACED = frozenset({"category", "multi", "flag", "country"})


@dataclass(frozen=True, kw_only=True)
class AttributeFinding:
    """What became of one attribute, over the rows that are not empty."""

    to: str
    source: tuple[str, ...]
    understood: int
    not_understood: int
    blank: int
    kept: bool
    """False: an identifier or free text, which is dropped."""
    words: tuple[str, ...] = ()
    """Words that were not understood, most frequent first; only of attributes with a public list, and only where they are short and few."""


@dataclass(frozen=True, kw_only=True)
class RefusedRow:
    """A row that cannot be taken in."""

    row: int
    """Number in the file."""
    reason: str


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """What taking a file in would do."""

    rows: int
    taken: int
    empty: int
    repeated: int
    left_out: int
    minors: int
    """Left behind, by the rule for minors."""
    refused: tuple[RefusedRow, ...] = field(repr=False)
    attributes: tuple[AttributeFinding, ...]
    unfilled: tuple[str, ...]
    """Attributes for analysis that nothing fills."""
    dropped: tuple[Dropped, ...]
    new_columns: tuple[str, ...]
    """Columns that the mapping does not know: they are not read."""
    notes: tuple[str, ...]
    """What the reader did, and what somebody should know."""


def check_file(file: MappedFile, *, keep: Collection[str] = ()) -> CheckReport:
    """Look at every row; nothing is written.

    Args:
        file: the file under its mapping.
        keep: identifiers and columns of free text whose cells are kept.
    """
    schema, mapping, fates = file.schema, file.mapping, file.fates
    there = fates != EMPTY
    findings = []
    for entry in mapping.attributes:
        attribute, column = schema.attribute(entry.to), file.mapped[entry.to]
        counts = np.bincount(column.row_states()[there], minlength=3)
        words = sorted(column.unknown, key=lambda word: (-column.unknown[word], word))
        listed = attribute.kind in _PLACED and len(words) <= WORDS_MOST
        findings.append(
            AttributeFinding(
                to=entry.to,
                source=entry.source if entry.at is None else (*entry.source, entry.at),
                understood=int(counts[UNDERSTOOD]),
                not_understood=int(counts[NOT_UNDERSTOOD]),
                blank=int(counts[BLANK]),
                kept=attribute.role not in ("identifier", "text") or entry.to in keep,
                words=tuple(word for word in words if len(word) <= LETTERS_MOST) if listed else (),
            )
        )
    filled = {entry.to for entry in mapping.attributes}
    known = {*mapping.columns, *mapping.read}
    return CheckReport(
        rows=len(fates),
        taken=int(np.count_nonzero(fates == TAKEN)),
        empty=int(np.count_nonzero(fates == EMPTY)),
        repeated=int(np.count_nonzero(fates == REPEATED)),
        left_out=int(np.count_nonzero(fates == LEFT_OUT)),
        minors=int(np.count_nonzero(fates == MINOR)),
        refused=tuple(
            RefusedRow(row=int(file.held.rows[place]), reason=REFUSED[int(fates[place])])
            for place in np.flatnonzero(np.isin(fates, list(REFUSED)))
        ),
        attributes=tuple(findings),
        unfilled=tuple(a.name for a in schema.recorded if a.name not in filled),
        dropped=mapping.dropped,
        new_columns=tuple(column.name for column in file.held.columns if column.name not in known),
        notes=(*file.held.source.notes, *_warnings(file)),
    )


def check_prepared(file: PreparedFile, schema: CaseSchema) -> tuple[AttributeFinding, ...]:
    """Look at every record of a prepared file: its cells are codes already, or what was not understood where it was prepared."""
    findings = []
    for attribute in schema.attributes:
        if attribute.name not in file.columns or not attribute.values:
            continue
        counts = {BLANK: 0, UNDERSTOOD: 0, NOT_UNDERSTOOD: 0}
        said = pc.value_counts(file.table.column(attribute.name).combine_chunks())
        for cell, count in zip(said.field("values").to_pylist(), said.field("counts").to_pylist(), strict=True):
            counts[_state(attribute, cell)] += count
        findings.append(
            AttributeFinding(
                to=attribute.name,
                source=(attribute.name,),
                understood=counts[UNDERSTOOD],
                not_understood=counts[NOT_UNDERSTOOD],
                blank=counts[BLANK],
                kept=True,
            )
        )
    return tuple(findings)


def _state(attribute: SchemaAttribute, cell: str) -> int:
    found = attribute.codes_of(cell) if attribute.kind == "multi" else attribute.code_of(cell)
    if found is None or (attribute.outside and cell == attribute.outside):
        return NOT_UNDERSTOOD
    return BLANK if found in (attribute.blank, (attribute.blank,)) else UNDERSTOOD


def _warnings(file: MappedFile) -> list[str]:
    mapping, said = file.mapping, list[str]()
    if mapping.record_key is None:
        what = "is another person" if mapping.row_is_person else "comes in beside the earlier one"
        said.append(
            f"no column identifies a record: the same row again adds nothing, but a row that was changed {what}"
        )
    block = file.schema.block
    if block is not None and mapping.attribute(block.attribute) is None:
        said.append(f"nothing fills {block.attribute}: without a year of registration nobody is counted by year")
    silent = [purpose for purpose, name in file.schema.consent.items() if mapping.attribute(name) is None]
    if silent:
        named = ", ".join(purpose.replace("_", " ") for purpose in silent)
        said.append(
            f"the file says nothing about consent to {named}: nobody counts there until `casehaven person consent` says so"
        )
    return said
