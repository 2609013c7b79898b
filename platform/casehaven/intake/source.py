"""A source: a file as a tool wrote it, read as text cells under named columns, before any mapping.

1. A source is read batch by batch; what is held is one batch. Its bytes are parsed in a subprocess with limits, and nothing plain is written to disk.
2. Every cell is text, cleaned by rule: no control, bidirectional or zero-width characters, no space at either end. An absent cell is empty text.
3. A column has one name, unique in its source. Other headers of the same column (a row of labels, a hidden row of field names) are its labels.
4. A column of several values is one column: its cells join the values with `;`, whatever the tool did. A cell `∅` says: answered, with none of them.
5. Rows are numbered as a person sees them in the file: 1 is its first row. A record that takes several rows has the number of its first.
6. Notes say what the reader did, by names of columns and kinds of change. They hold no cell.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["JOINED_BY", "SourceBatch", "SourceColumn", "SourceTable", "Tool"]

JOINED_BY = ";"
"""Between the values of one cell of a column of several values."""


class Tool(Enum):
    """What wrote a file, by its marks."""

    CSV = "csv"
    WORKBOOK = "workbook"
    JSON = "json"
    PARQUET = "parquet"
    KOBO = "kobo"
    ODK_CENTRAL = "odk-central"
    PRIMERO = "primero"
    SALESFORCE = "salesforce"
    HTCDS_TEMPLATE = "htcds-template"
    XLSFORM = "xlsform"


@dataclass(frozen=True, kw_only=True)
class SourceColumn:
    """One column of a source."""

    name: str
    """Unique in its source, and cleaned like a cell; a no-break space is a space."""
    labels: tuple[str, ...] = ()
    """Other headers of the same column, in any language."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Code to label where the file or its form says so; empty otherwise."""
    multiple: bool = False
    """Cells hold several values, joined with `;`."""
    role: Literal["answer", "tool"] = "answer"
    """`tool`: metadata that the tool keeps about a record (`_id`, `_submission_time`, `instanceID`)."""


@dataclass(frozen=True, kw_only=True)
class SourceBatch:
    """Some rows of a source."""

    rows: NDArray[np.int64]
    """Number of each row in its file, from 1."""
    cells: pa.RecordBatch
    """The columns asked for, as text without nulls, in the order asked for."""
    share: float | None = None
    """Part of the file that is read when this batch is; None where the reader cannot know it."""


@dataclass(frozen=True, kw_only=True)
class SourceTable:
    """A file that can be read as a table of text cells."""

    path: Path
    tool: Tool
    columns: tuple[SourceColumn, ...]
    notes: tuple[str, ...]
    """What the reader did, for a person: names of columns and kinds of change, never a cell."""
    record_key: str | None
    """Name of the column that identifies a record in its tool; None where the tool has none."""
    read: Callable[[Sequence[str]], Iterator[SourceBatch]] = field(repr=False)
    """Yields the rows of the columns named; use `batches`."""

    def column(self, name: str) -> SourceColumn:
        """Return the column of a name; KeyError when there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def batches(self, columns: Sequence[str]) -> Iterator[SourceBatch]:
        """Yield the rows batch by batch, only the columns asked for.

        Raises:
            CaseFileError: the rows cannot be read; says where, and what to do.
            KeyError: a column that the source does not have.
        """
        for name in columns:
            self.column(name)
        yield from self.read(columns)

    def digest(self) -> str:
        """Return the SHA-256 of the file as it is now, as hex."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
