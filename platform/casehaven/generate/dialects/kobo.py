"""KoboToolbox's export: CSV with semicolons, or a workbook.

1. Questions stand below `group/question`. A question with several answers is written twice, as KoboToolbox does by default: its codes with spaces
   between them, and one column of 0 and 1 per code, empty where the question was not answered.
2. Beside the questions: times and device, a place with its coordinates, a photograph, a question of an older version of the form, and the tool's own
   columns from `_id` to `_index`. A form of the `ctdc-global` schema has 60 columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from casehaven.generate.dialects.columns import Column, constant, numbers, serials, stamps, uuids
from casehaven.generate.dialects.csv_text import write_csv
from casehaven.generate.dialects.defects import Defect
from casehaven.generate.dialects.export import Batch, Export, group_of
from casehaven.generate.dialects.workbook import Workbook
from caseschemas import SchemaAttribute

__all__ = ["write_kobo_csv", "write_kobo_xlsx"]

_VERSION = "vMadeUpVersion000000001"


def write_kobo_csv(export: Export, sink: BinaryIO) -> None:
    """Write a CSV file: semicolons, every cell in quotation marks."""
    parts = _parts(export)
    first = next(parts, [])
    names = [column.name for column in first]
    tagged = [[Column(name=column.name, cells=pa.array([_tag(column.name)])) for column in first]]
    before = tagged if Defect.TAG_ROW in export.wording.defects else []
    write_csv(sink, names, _chained([*before, first], parts), delimiter=";", quoted=True)


def write_kobo_xlsx(export: Export, sink: BinaryIO) -> None:
    """Write a workbook of one sheet."""
    parts = _parts(export)
    first = next(parts, [])
    names = [column.name for column in first]
    heads = [names, [_tag(name) for name in names]] if Defect.TAG_ROW in export.wording.defects else [names]
    with Workbook(sink) as book:
        book.sheet("Made-up case form", heads, _chained([first], parts))


def _chained(first: list[list[Column]], rest: Iterator[list[Column]]) -> Iterator[list[Column]]:
    yield from first
    yield from rest


def _tag(name: str) -> str:
    return "#" + "".join(mark for mark in name.rsplit("/", 1)[-1].lower() if mark.isalnum())


def _parts(export: Export) -> Iterator[list[Column]]:
    """The columns of each batch."""
    return (_columns(export, batch) for batch in export.batches())


def _columns(export: Export, batch: Batch) -> list[Column]:
    count, seed = len(batch), export.seed
    columns = [
        stamps("start", batch.days, batch.rows, zone=".000+01:00"),
        stamps("end", batch.days, batch.rows + 1, zone=".000+01:00"),
        Column(name="today", cells=pa.array(np.datetime_as_string(batch.days), pa.string()), kind="date"),
        constant("username", "example_worker", count),
        constant("deviceid", "collect:MadeUpDevice0001", count),
    ]
    for name, answer in batch.answers.items():
        path = f"{group_of(export.schema, name)}/{name}"
        columns.append(answer.named(path))
        attribute = next((one for one in export.attributes if one.name == name), None)
        if attribute is not None and attribute.kind == "multi":
            columns += _split(export, attribute, answer, path)
    degrees = 0.0001 * (batch.rows % 1000)
    texts = [f"{degree:.4f}" for degree in degrees]
    columns += [
        batch.made_up["fullName"].named("person/full_name"),
        batch.made_up["phone"].named("person/phone"),
        Column(name="place/point", cells=pa.array([f"{text} {text} 0 0" for text in texts], pa.string())),
        *(
            Column(name=f"place/_point_{part}", cells=pa.array(texts, pa.string()))
            for part in ("latitude", "longitude")
        ),
        *(constant(f"place/_point_{part}", "0", count) for part in ("altitude", "precision")),
        serials("photo", "example-", batch.rows, ".jpg"),
        serials("photo_URL", "https://kobo.example.org/media/", batch.rows, ".jpg"),
        batch.made_up["story"].named("notes/story"),
        constant("old_version/other_specify", "", count),
        constant("old_version/district", "", count),
        numbers("_id", 100_000_000 + batch.rows),
        uuids("_uuid", batch.rows, seed),
        stamps("_submission_time", batch.days, batch.rows + 60),
        constant("_validation_status", "", count),
        constant("_notes", "", count),
        constant("_status", "submitted_via_web", count),
        constant("_submitted_by", "example_worker", count),
        constant("__version__", _VERSION, count),
        constant("_tags", "", count),
        numbers("_index", batch.rows),
    ]
    return columns


def _split(export: Export, attribute: SchemaAttribute, answer: Column, path: str) -> Iterator[Column]:
    """One column of 0 and 1 per code (rule 1)."""
    answered = pc.not_equal(answer.cells, "")
    around = pc.binary_join_element_wise(
        pa.scalar(" "), pc.replace_substring(answer.cells, "\u00a0", " "), pa.scalar(" "), ""
    )
    for value in attribute.values[attribute.first_known :]:
        written = export.wording.value(attribute, value)
        there = pc.if_else(pc.match_substring(around, f" {written} "), "1", "0")
        yield Column(name=f"{path}/{written}", cells=pc.if_else(answered, there, ""), kind="number")
