"""ODK Central's export: a ZIP file with one CSV file for the form and one for each repeat.

1. Columns stand below `group-question`; several answers have spaces between them, in the order in which they were chosen.
2. A repeat has one row per answer and names its parent by `PARENT_KEY`. The last question with several answers is asked in a repeat; the form also has a
   repeat of visits, which the schema does not know.
3. Dates that ask for a month and a year are the first day of the month.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from typing import BinaryIO, cast

import numpy as np
import pyarrow as pa

from casehaven.generate.dialects.columns import Column, constant, stamps, uuids
from casehaven.generate.dialects.csv_text import write_csv
from casehaven.generate.dialects.export import Batch, Export, group_of
from casehaven.generate.dialects.workbook import entry

__all__ = ["write_odk_central"]

_FORM = "made_up_cases"


def write_odk_central(export: Export, sink: BinaryIO) -> None:
    """Write the ZIP file."""
    repeated = _repeated(export)
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as package:
        _write(package, f"{_FORM}.csv", (_root(export, batch, repeated) for batch in export.batches()))
        if repeated is not None:
            name = f"{_FORM}-{repeated}_again.csv"
            _write(package, name, (_repeat(export, batch, repeated) for batch in export.batches()))
        _write(package, f"{_FORM}-visit.csv", (_visits(export, batch) for batch in export.batches()))


def _write(package: zipfile.ZipFile, name: str, parts: Iterator[list[Column]]) -> None:
    first = next(parts)

    def all_parts() -> Iterator[list[Column]]:
        yield first
        yield from parts

    with package.open(entry(name), "w", force_zip64=True) as sink:
        write_csv(cast(BinaryIO, sink), [column.name for column in first], all_parts())


def _repeated(export: Export) -> str | None:
    """The attribute that is asked in a repeat."""
    several = [one.name for one in export.attributes if one.kind == "multi"]
    return several[-1] if several else None


def _root(export: Export, batch: Batch, repeated: str | None) -> list[Column]:
    count = len(batch)
    answers = [
        answer.named(f"{group_of(export.schema, name)}-{name}")
        for name, answer in batch.answers.items()
        if name != repeated
    ]
    key = _keys(export, batch)
    return [
        stamps("SubmissionDate", batch.days, batch.rows + 60, zone=".000Z"),
        stamps("start", batch.days, batch.rows, zone=".000+01:00"),
        *answers,
        batch.made_up["fullName"].named("person-full_name"),
        batch.made_up["phone"].named("person-phone"),
        batch.made_up["story"].named("notes-story"),
        key.named("meta-instanceID"),
        key.named("KEY"),
        constant("SubmitterID", "7", count),
        constant("SubmitterName", "Example worker", count),
        constant("AttachmentsPresent", "0", count),
        constant("AttachmentsExpected", "0", count),
        constant("Status", "", count),
        constant("ReviewState", "approved", count),
        constant("DeviceID", "collect:MadeUpDevice0001", count),
        constant("Edits", "0", count),
        constant("FormVersion", "1", count),
    ]


def _keys(export: Export, batch: Batch) -> Column:
    return uuids("KEY", batch.rows, export.seed, before="uuid:")


def _repeat(export: Export, batch: Batch, name: str) -> list[Column]:
    """One row per answer (rule 2)."""
    parents = _keys(export, batch).cells.to_pylist()
    rows = [
        (answer, parent, number)
        for cell, parent in zip(batch.answers[name].cells.to_pylist(), parents, strict=True)
        for number, answer in enumerate(cell.split(export.wording.separator), start=1)
        if answer
    ]
    repeat = f"{name}_again"
    return [
        Column(name=name, cells=pa.array([answer for answer, _, _ in rows], pa.string())),
        Column(name="PARENT_KEY", cells=pa.array([parent for _, parent, _ in rows], pa.string())),
        Column(name="KEY", cells=pa.array([f"{parent}/{repeat}[{number}]" for _, parent, number in rows], pa.string())),
    ]


def _visits(export: Export, batch: Batch) -> list[Column]:
    """A repeat with nothing that the schema knows: every third case has a visit."""
    chosen = np.flatnonzero(batch.rows % 3 == 0)
    parents = _keys(export, batch).cells.take(pa.array(chosen))
    keys = pa.compute.binary_join_element_wise(parents, pa.scalar("/visit[1]"), "")
    return [
        Column(name="visit_story", cells=batch.made_up["story"].cells.take(pa.array(chosen))),
        Column(name="PARENT_KEY", cells=parents),
        Column(name="KEY", cells=keys),
    ]
