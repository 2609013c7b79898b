"""The file with which taking records in is practised: forty made-up people, the same bytes for everybody."""

from __future__ import annotations

from functools import cache
from typing import Final

import pyarrow as pa
import pyarrow.csv

from casehaven.generate.records import generate_records
from caseschemas import load_schema

PRACTICE_PEOPLE: Final = 40
PRACTICE_SEED: Final = 20_261_123
SCHEMA: Final = "ctdc-global"


@cache
def practice_file() -> bytes:
    """Return the file, CSV."""
    table = pa.Table.from_batches(list(generate_records(load_schema(SCHEMA), PRACTICE_PEOPLE, PRACTICE_SEED)))
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(table, sink, pyarrow.csv.WriteOptions(quoting_style="needed"))
    found: bytes = sink.getvalue().to_pybytes()
    return found
