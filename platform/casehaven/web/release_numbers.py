"""What a published release says in numbers, read from its own signed files: counts by value, how far they may be off, and which pairs stand apart.

1. Everything here is in the bundle: protected numbers and public lists. Nothing is counted again, and nothing comes from the store.
2. A release is read once in a process and kept by its manifest's digest; `KEPT` releases are. Its aggregates are read from the Parquet file, which is a twentieth of the CSV. One whose files are
   larger than `MOST_BYTES`, or with more rows than `MOST_ROWS`, is not read: its report has the numbers. One is read at a time.
3. Errors are half the width of the intervals that are published, the median of each size of count.
"""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from threading import Lock
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from fastapi.concurrency import run_in_threadpool
from numpy.typing import NDArray

from casehaven.web.desk import Desk
from caseschemas import CaseSchema, UnknownSchemaError
from caseschemas.load import shipped_schema

KEPT: Final = 32
MOST_ROWS: Final = 500_000
"""Rows of the aggregates; more are not read for a page (rule 2)."""
MOST_BYTES: Final = 6 * 1024 * 1024
"""Rule 2; an answer in the process holds 8 MiB."""
SIZES: Final = (10, 20, 50, 100, 200, 500, 1_000)
"""Where the sizes of counts are divided (rule 3)."""
_READ: Final = ("aggregates.parquet", "datapackage.json", "manifest.json")

_COLUMNS: Final = ("length", "attribute_1", "value_1", "missing", "estimate", "low", "high")

Named = Callable[[str, str | None], str]
"""Writes an attribute, or a value of one, for a reader."""


@dataclass(frozen=True, kw_only=True)
class Count:
    """How many people have one value."""

    value: str
    """Its code."""
    estimate: float
    low: float
    """Lower end of the 95 % interval."""
    high: float


@dataclass(frozen=True, kw_only=True)
class AttributeCounts:
    """The counts of one attribute."""

    name: str
    counts: tuple[Count, ...]
    """Largest first."""
    listed: int
    """Values of the public list."""
    several: bool
    """Whether one person may have several of them."""


@dataclass(frozen=True, kw_only=True)
class SizeErrors:
    """How far counts of one size may be off."""

    least: int
    """The smallest count of this size."""
    below: int | None
    """The first count beyond it; None for the largest size."""
    halves: tuple[float | None, ...]
    """Half the width of a 95 % interval, for one, two and three values together; None where none of this size is shown."""


@dataclass(frozen=True, kw_only=True)
class ReleaseNumbers:
    """What a release says in numbers."""

    attributes: tuple[AttributeCounts, ...]
    shown: tuple[int, ...]
    """Combinations of one, two and three known values that are shown."""
    errors: tuple[SizeErrors, ...]
    apart: tuple[tuple[str, str], ...]
    """Pairs of columns whose numbers together are further off than others."""
    near: tuple[tuple[str, str], ...]
    """Pairs of a column and the one that it was found to follow."""

    @property
    def values_listed(self) -> int:
        """Values of all public lists."""
        return sum(each.listed for each in self.attributes)


@dataclass
class _Kept:
    """Releases that were read, the one that was used last at the end."""

    found: OrderedDict[str, ReleaseNumbers] = field(default_factory=OrderedDict)

    def get(self, digest: str) -> ReleaseNumbers | None:
        if digest in self.found:
            self.found.move_to_end(digest)
        return self.found.get(digest)

    def keep(self, digest: str, numbers: ReleaseNumbers) -> None:
        self.found[digest] = numbers
        while len(self.found) > KEPT:
            self.found.popitem(last=False)


_KEPT: Final = _Kept()
_ONE: Final = Lock()


async def numbers_of(desk: Desk, record: Mapping[str, Any]) -> ReleaseNumbers | None:
    """Return the numbers of a record of the registry; None where its tables are too large to be read for a page.

    Args:
        desk: of whoever reads.
        record: as `GET /v1/registry/{record}` returns it.

    Raises:
        ProblemError: the registry refused a file.
    """
    digest = str(record["manifest_sha256"])
    found = _KEPT.get(digest)
    if found is None:
        sizes = {str(each["name"]): int(each["size"]) for each in record["files"]}
        if any(sizes.get(name, MOST_BYTES + 1) > MOST_BYTES for name in _READ):
            return None
        files = []
        for name in _READ:
            answer = await desk.ask("GET", "/v1/registry/{}/files/{}", str(record["id"]), name)
            files.append(answer.checked().content)
        found = await run_in_threadpool(_read_once, digest, *files)
    return found


def _read_once(digest: str, aggregates: bytes, datapackage: bytes, manifest: bytes) -> ReleaseNumbers | None:
    with _ONE:  # rule 2
        found = _KEPT.get(digest)
        if found is None and pq.ParquetFile(pa.BufferReader(aggregates)).metadata.num_rows <= MOST_ROWS:
            found = read_numbers(aggregates, datapackage, manifest)
            _KEPT.keep(digest, found)
    return found


def read_numbers(aggregates: bytes, datapackage: bytes, manifest: bytes) -> ReleaseNumbers:
    """Return the numbers of a release.

    Args:
        aggregates: `aggregates.parquet`.
        datapackage: `datapackage.json`.
        manifest: `manifest.json`.
    """
    rows = pq.read_table(pa.BufferReader(aggregates), columns=list(_COLUMNS))
    rows = rows.filter(pc.invert(rows["missing"]))
    length, estimate, high = (rows[name].to_numpy() for name in ("length", "estimate", "high"))
    size = np.searchsorted(SIZES, estimate, side="right") - 1
    halves = {
        (place, of): (high - estimate)[(np.maximum(size, 0) == place) & (length == of)]
        for place in range(len(SIZES))
        for of in (1, 2, 3)
    }
    counts: dict[str, list[Count]] = {}
    for row in rows.filter(pc.equal(rows["length"], 1)).to_pylist():
        count = Count(value=row["value_1"], estimate=row["estimate"], low=row["low"], high=row["high"])
        counts.setdefault(row["attribute_1"], []).append(count)
    shown = [int((length == of).sum()) for of in (1, 2, 3)]
    facts = json.loads(manifest)["facts"]
    near = {(str(each["column"]), str(each["source"])) for each in facts.get("near_pairs") or ()}
    return ReleaseNumbers(
        attributes=tuple(
            AttributeCounts(
                name=name,
                counts=tuple(sorted(counts.get(name, ()), key=lambda one: -one.estimate)),
                listed=listed,
                several=several,
            )
            for name, listed, several in _lists(json.loads(datapackage))
        ),
        shown=tuple(shown),
        errors=tuple(_errors(halves)),
        apart=tuple((str(first), str(second)) for first, second in facts.get("apart_pairs") or ()),
        near=tuple(sorted(near)),
    )


def names_of(schema: str, language: str) -> Named:
    """Return what writes attributes and values for a reader: by the labels of the shipped schema where it is one, as they stand in the files otherwise.

    Args:
        schema: name and version, such as `ctdc-global 1.0.0`.
        language: tag.
    """
    found = schema_named(schema)

    def named(attribute: str, value: str | None) -> str:
        known = found is not None and attribute in {each.name for each in found.attributes}
        if found is None or not known:
            return attribute if value is None else value
        of = found.attribute(attribute)
        if value is None:
            return of.labels.text(language) or attribute
        return next((each.labels.text(language) or value for each in of.values if each.code == value), value)

    return named


def fact_names_of(schema: str, language: str) -> Callable[[str, str, str], str]:
    """Return what writes one fact, such as "Gender: Woman": by the labels of the shipped schema where it is one, else as it was written.

    Args:
        schema: name and version.
        language: tag.
    """
    found = schema_named(schema)
    named = names_of(schema, language)

    def fact(attribute: str, value: str, written: str) -> str:
        known = {} if found is None else {each.name: each for each in found.attributes}
        if language == "en" or attribute not in known:
            return written
        of = next((each for each in known[attribute].values if each.code == value), None)
        if known[attribute].kind == "flag" and of is not None and of.missing is None:
            return named(attribute, None)
        return f"{named(attribute, None)}: {named(attribute, value)}"

    return fact


def rounded_up(value: float, places: int) -> float:
    """Return a bound with so many places, never less than it is.

    >>> rounded_up(8.82205, 2)
    8.83
    """
    scale = 10.0**places
    return math.ceil(round(value * scale, 6)) / scale


@cache
def schema_named(name: str) -> CaseSchema | None:
    """Return the shipped schema of this name and version, such as `ctdc-global 1.0.0`; None where there is none."""
    schema_id, _, version = name.partition(" ")
    try:
        found = shipped_schema(schema_id)
    except UnknownSchemaError:
        return None
    return found if str(found.version) == version else None


def _errors(halves: Mapping[tuple[int, int], NDArray[np.float64]]) -> list[SizeErrors]:
    made = []
    for place, least in enumerate(SIZES):
        of = [halves[place, length] for length in (1, 2, 3)]
        found = tuple(float(np.median(each)) if len(each) else None for each in of)
        if any(half is not None for half in found):
            below = SIZES[place + 1] if place + 1 < len(SIZES) else None
            made.append(SizeErrors(least=least, below=below, halves=found))
    return made


def _lists(package: Mapping[str, Any]) -> list[tuple[str, int, bool]]:
    """Return each attribute with the length of its public list, and whether one person may have several of its values."""
    fields = next(each["schema"]["fields"] for each in package["resources"] if each["path"] == "synthetic.csv")
    made = []
    for one in fields:
        if one["type"] == "list":
            made.append((str(one["name"]), len(str(one["description"]).partition("any of: ")[2].split("; ")), True))
        else:
            made.append((str(one["name"]), len(one.get("categories", ())), False))
    return made
