"""A case record as sealed bytes: JSON of its cells, padded to a step of sizes, under the key of its person.

1. Cells are kept as they came, as text; empty ones are left out. Columns that the schema calls identifiers, and free text, are left out unless they are
   asked for: both name people.
2. The JSON is filled with spaces to a power of two from 512 bytes: the length says little of what is known about a person (privacy rule 5).
3. Its context names organisation, dataset, the dataset's version, the record's number and the schema: a record that is moved does not open.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from json.encoder import encode_basestring
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from casehaven.vault.context import SealContext
from casehaven.vault.datasets import Dataset
from casehaven.vault.errors import SealBrokenError
from casehaven.vault.sealed import seal, unseal
from caseschemas import CaseSchema
from casesynth.encode import text_column

SMALLEST: Final = 512

DROPPED: Final = frozenset({"identifier", "text"})
"""Roles of attributes whose cells are not kept unless they are asked for."""


def stored_columns(schema: CaseSchema, *, keep: Collection[str] = ()) -> tuple[str, ...]:
    """Return the attributes whose cells a record holds: all but identifiers and free text, and those of them that are asked for.

    The attribute that holds the person token is kept.
    """
    return tuple(a.name for a in schema.attributes if a.role not in DROPPED or a.name in keep)


def json_texts(table: pa.Table, columns: Collection[str]) -> list[str]:
    """Return each row of a table as the JSON of its cells that are not empty; rule 1.

    Works on each distinct cell once.

    >>> json_texts(pa.table({"age": ["22", ""], "sex": ["f", None]}), ["age", "sex"])
    ['{"age":"22","sex":"f"}', '{}']
    """
    return json_texts_of(table, (columns,))[0]


def json_texts_of(table: pa.Table, several: Sequence[Collection[str]]) -> list[list[str]]:
    """`json_texts` for several choices of columns, each column read once."""
    parts: dict[str, pa.Array] = {}
    wanted = {name for columns in several for name in columns}
    for name in table.column_names:
        if name in wanted:
            encoded = text_column(table.column(name), name)
            head = f"{encode_basestring(name)}:"
            cells = [
                None if cell is None or not cell.strip() else head + encode_basestring(cell)
                for cell in encoded.dictionary.to_pylist()
            ]
            parts[name] = pa.array(cells, pa.large_string()).take(encoded.indices)
    comma = pa.scalar(",", pa.large_string())
    first = pa.repeat(pa.scalar("", pa.large_string()), table.num_rows)  # Arrow 26 loses rows in which all is null
    texts = []
    for columns in several:
        chosen = [part for name, part in parts.items() if name in columns]
        joined = pc.binary_join_element_wise(first, *chosen, comma, null_handling="skip")
        texts.append([f"{{{text[1:]}}}" for text in joined.to_pylist()])
    return texts


def padded(text: str) -> bytes:
    """Return a record's JSON in UTF-8, filled with spaces (rule 2).

    >>> [len(padded("x" * length)) for length in (0, 512, 513)]
    [512, 512, 1024]
    """
    data = text.encode("utf-8")
    return data.ljust(SMALLEST if len(data) <= SMALLEST else 1 << (len(data) - 1).bit_length())


def seal_record(dek: bytes, dataset: Dataset, version: int, record_id: int, text: str) -> bytes:
    """Seal one record's JSON under its person's key (rule 3)."""
    return seal(dek, padded(text), _context(dataset, version, record_id))


def open_record(dek: bytes, dataset: Dataset, version: int, record_id: int, sealed: bytes) -> Mapping[str, str]:
    """Return the cells of a sealed record.

    Raises:
        SealBrokenError: it is not the record that was sealed for this place.
    """
    text = unseal(dek, sealed, _context(dataset, version, record_id))
    cells = json.loads(text)
    if not isinstance(cells, dict):
        raise SealBrokenError(f"record {record_id} opens, but holds no cells")
    return cells


def random_ids(count: int) -> list[int]:
    """Return numbers of 63 random bits from the operating system, in growing order: what is new says nothing about its place.

    >>> len(random_ids(3)), random_ids(0)
    (3, [])
    """
    drawn = np.frombuffer(os.urandom(8 * count), dtype=np.uint64) >> np.uint64(1)
    return [int(number) for number in np.sort(drawn)]


def _context(dataset: Dataset, version: int, record_id: int) -> SealContext:
    return dataset.context("record", str(record_id), version=version)
