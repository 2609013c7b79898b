"""The rows that a made-up export is written from: answers in a tool's wording, batch by batch, and what every tool knows of a submission.

1. Answers are those of `generate_records` with the same schema, people and seed, in the same order. What they say is therefore known cell by cell.
2. Beside the schema's own columns there are some that a form has and a schema has not: a name, a telephone number, a place, a story. They are obviously
   made up and numbered by the row, and nothing of them may leave the organisation.
3. A batch can be made again: draws depend on seed, chunk and batch alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from casehaven.generate.dialects.columns import Column, serials
from casehaven.generate.dialects.defects import Defect
from casehaven.generate.dialects.wording import Wording, birth_days, days_in, drawn_numbers
from casehaven.generate.errors import RequestError
from casehaven.generate.records import LARGEST_PEOPLE, RecordMaker, chunk_sizes
from casehaven.generate.registry import model_for
from caseschemas import CaseSchema, SchemaAttribute

__all__ = ["BIRTH_DATE", "Batch", "Export", "group_of"]

BIRTH_DATE = "dateOfBirth"
"""Name of the question that stands for an age where files have birth dates instead."""
_ROWS = 8192
_KEPT = 10_000  # people whose rows are kept, for tools that write several tables


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Some rows of an export."""

    rows: NDArray[np.int64]
    """Number of each row in the export, from 1."""
    days: NDArray[Any]
    """Day of each submission."""
    answers: dict[str, Column]
    """By name of the attribute, in the schema's order; `BIRTH_DATE` in place of an age where that defect is asked for."""
    made_up: dict[str, Column]
    """Identifiers and a story that the schema does not know: fullName, phone, place, story."""

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, kw_only=True)
class Export:
    """What is to be written."""

    schema: CaseSchema
    """What a case record holds."""
    people: int
    """Number of people."""
    seed: int
    """The same seed gives the same export."""
    wording: Wording
    """How the tool writes answers down."""
    only: tuple[str, ...] | None = None
    """Attributes that the export has; None for all of them."""

    def __post_init__(self) -> None:
        if not 0 <= self.people <= LARGEST_PEOPLE:
            raise RequestError(f"people ({self.people}) must be 0 to {LARGEST_PEOPLE}")

    @property
    def attributes(self) -> tuple[SchemaAttribute, ...]:
        """The attributes that the export has, in the schema's order."""
        return tuple(one for one in self.schema.attributes if self.only is None or one.name in self.only)

    def names(self) -> tuple[str, ...]:
        """The names of the answers, as `Batch.answers` has them."""
        age = self._age()
        return tuple(BIRTH_DATE if one.name == age else one.name for one in self.attributes)

    def batches(self) -> Iterator[Batch]:
        """Yield all rows; of no people, one batch without rows, so that there is always a header."""
        yield from self._few if self.people <= _KEPT else self._made()

    @cached_property
    def _few(self) -> tuple[Batch, ...]:
        """The batches of an export that is small enough to keep them."""
        return tuple(self._made())

    def _made(self) -> Iterator[Batch]:
        maker, done = RecordMaker(self.schema, self.seed), 0
        for chunk, size in [*chunk_sizes(self.people)] or [(0, 0)]:
            (whole,) = maker.batches(chunk, size)
            for part, start in enumerate(range(0, max(len(whole), 1), _ROWS)):
                random = np.random.Generator(
                    np.random.PCG64(np.random.SeedSequence(entropy=self.seed, spawn_key=(chunk, 2, part)))
                )
                batch = whole.slice(start, _ROWS)
                yield self._batch(batch, np.arange(done + 1, done + len(batch) + 1), random)
                done += len(batch)

    def _age(self) -> str | None:
        """The attribute that a birth date stands for, if that is asked for."""
        if Defect.BIRTH_DATES not in self.wording.defects or self.schema.block is None:
            return None
        ages = model_for(self.schema).ageing
        found = (one.name for one in self.attributes if one.kind == "number" and one.name in ages)
        return next(found, None)

    def _batch(self, batch: pa.RecordBatch, rows: NDArray[np.int64], random: np.random.Generator) -> Batch:
        block = None if self.schema.block is None else self.schema.block.attribute
        registered = np.full(len(rows), np.datetime64("NaT", "D"))
        if block is not None:
            registered = days_in(batch.column(block), random)
        age = self._age()
        answers: dict[str, Column] = {}
        for attribute in self.attributes:
            cells = batch.column(attribute.name)
            if attribute.name == block and self.wording.whole_dates:
                answers[block] = self.wording.date_column(block, registered, random)
            elif attribute.name == age:
                born = birth_days(registered, drawn_numbers(attribute, cells, random), random)
                answers[BIRTH_DATE] = self.wording.date_column(BIRTH_DATE, born, random)
            else:
                answers[attribute.name] = self.wording.column(attribute, cells, random)
        made_up = {
            "fullName": serials("fullName", "Fictitious Person ", rows),
            "phone": serials("phone", "+999 ", rows),
            "place": serials("place", "Nowhere Street ", rows),
            "story": serials("story", "Made-up story number ", rows, ", told by nobody; it says = nothing"),
        }
        days = np.where(np.isnat(registered), np.datetime64("2020-01-01", "D"), registered)
        return Batch(rows=rows, days=days, answers=answers, made_up=made_up)


def group_of(schema: CaseSchema, name: str) -> str:
    """Return the group of questions that a form would put an attribute into.

    >>> from caseschemas import load_schema
    >>> [group_of(load_schema("htcds-2.0"), name) for name in ("prs_FirstName", "con_Consent", "vic_MethodsOfControl", "cas_Status")]
    ['person', 'consent', 'methodsOfControl', 'case']
    """
    if name == BIRTH_DATE:
        return "person"
    attribute = schema.attribute(name)
    if attribute.role in ("identifier", "person"):
        return "person"
    if attribute.role == "consent":
        return "consent"
    if attribute.role == "text":
        return "notes"
    return next((group.name for group in schema.groups if name in group.members), "case")
