"""The data files of a bundle: measurements, model, synthetic records and aggregates, written and read back.

1. Only protected values are taken; nothing here accepts a `PersonTable` or a `Marginal`.
2. Every stored format carries a version. What is read back is checked before it becomes a typed value.
3. In CSV, a cell that a spreadsheet would take for a formula is prefixed with `'` (threat 20).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from casesynth.aggregates import ABSENT, LENGTH, AggregateTable
from casesynth.domain import Domain
from casesynth.encode import Codes
from casesynth.errors import CasesynthError
from casesynth.measure import Measurement
from casesynth.model import LatentClassModel

MEASUREMENTS_FORMAT = "casesynth-measurements/1"
MODEL_FORMAT = "casesynth-model/1"

_FORMULA_STARTS = tuple("=+-@\t\r\0＝＋－＠")


class TableFormatError(CasesynthError):
    """A stored table that is not what its format says."""


def safe_cell(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula.

    >>> safe_cell("=1+1"), safe_cell("woman")
    ("'=1+1", 'woman')
    """
    return "'" + text if text.startswith(_FORMULA_STARTS) else text


def records_frame(records: tuple[Codes, ...], domain: Domain) -> pd.DataFrame:
    """Return synthetic records with the attributes' own codes; values of a multi-value attribute are joined with `;`."""
    columns = domain.columns
    frame: dict[str, object] = {}
    for attribute in domain.attributes:
        places = [place for place, column in enumerate(columns) if column.attribute == attribute.name]
        if not attribute.multi:
            frame[attribute.name] = pd.Categorical.from_codes(
                records[places[0]].astype(np.int32), categories=pd.Index(attribute.values, dtype="str")
            )
            continue
        cells = np.full(len(records[places[0]]), "", dtype=object)
        for place in places:
            chosen = records[place] == 1
            value = columns[place].value or ""
            cells[chosen] = [f"{cell};{value}" if cell else value for cell in cells[chosen]]
        frame[attribute.name] = cells
    return pd.DataFrame(frame)


def aggregates_frame(aggregates: AggregateTable, domain: Domain) -> pd.DataFrame:
    """Return one row per combination: attributes and values by name, estimate and 95 % interval in people."""
    columns = domain.columns
    names = np.array([column.attribute for column in columns] + [""], dtype=object)
    listed = [
        np.array([column.value if column.value is not None else value for value in column.values], dtype=object)
        for column in columns
    ]
    frame: dict[str, object] = {"length": aggregates.lengths}
    for axis in range(LENGTH):
        column, value = aggregates.columns[:, axis], aggregates.values[:, axis]
        cells = np.full(aggregates.combinations, "", dtype=object)
        for place in np.unique(column[column != ABSENT]):
            chosen = column == place
            cells[chosen] = listed[place][value[chosen]]
        frame[f"attribute_{axis + 1}"] = names[column]
        frame[f"value_{axis + 1}"] = cells
    missing = np.zeros(aggregates.combinations, dtype=bool)
    for place, spec in enumerate(columns):
        missing |= (aggregates.columns[:, 0] == place) & np.isin(aggregates.values[:, 0], list(spec.missing))
    frame["missing"] = missing & (aggregates.lengths == 1)
    for name, numbers in (("estimate", aggregates.estimate), ("low", aggregates.low), ("high", aggregates.high)):
        frame[name] = np.round(numbers, 1)
    return pd.DataFrame(frame)


def write_frame(frame: pd.DataFrame, folder: Path, stem: str) -> None:
    """Write a frame as `stem.csv` and `stem.parquet`."""
    frame.to_parquet(folder / f"{stem}.parquet", index=False, compression="zstd")
    guarded = frame.copy(deep=False)
    for name in guarded.columns:
        column = guarded[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            guarded[name] = column.cat.rename_categories([safe_cell(str(c)) for c in column.cat.categories])
        elif column.dtype == object or isinstance(column.dtype, pd.StringDtype):
            guarded[name] = column.map(safe_cell)
    guarded.columns = pd.Index([safe_cell(str(name)) for name in guarded.columns])
    guarded.to_csv(folder / f"{stem}.csv", index=False, lineterminator="\r\n")


def write_measurements(measurements: Sequence[Measurement], domain: Domain, path: Path) -> None:
    """Write the noisy tables: one row per cell, table by table, cells in row-major order of the columns named in the header."""
    names = [column.name for column in domain.columns]
    header = {
        "format": MEASUREMENTS_FORMAT,
        "columns": [{"name": column.name, "values": list(column.values)} for column in domain.columns],
        "tables": [
            {"columns": [names[i] for i in m.clique], "nano_rho": m.nano_rho, "scale": m.scale} for m in measurements
        ],
    }
    counts = [m.values.size for m in measurements]
    table = pa.table(
        {
            "table": pa.array(np.repeat(np.arange(len(measurements), dtype=np.int32), counts)),
            "cell": pa.array(np.concatenate([np.arange(count, dtype=np.int32) for count in counts])),
            "value": pa.array(np.concatenate([m.values.ravel() for m in measurements])),
        }
    ).replace_schema_metadata({"casesynth": json.dumps(header, ensure_ascii=False)})
    pq.write_table(table, path, compression="zstd")


def read_measurements(path: Path, domain: Domain) -> tuple[Measurement, ...]:
    """Read noisy tables back.

    Raises:
        TableFormatError: the file is not the format, or is for another domain.
    """
    table = pq.read_table(path)
    header = _header(table, MEASUREMENTS_FORMAT, path)
    listed = [{"name": column.name, "values": list(column.values)} for column in domain.columns]
    if header.get("columns") != listed:
        raise TableFormatError(f"{path.name} was made for other value lists")
    place = {column.name: position for position, column in enumerate(domain.columns)}
    values = table.column("value").to_numpy()
    measurements, start = [], 0
    for entry in header["tables"]:
        clique = tuple(place[name] for name in entry["columns"])
        shape = [domain.sizes[i] for i in clique]
        size = int(np.prod(shape))
        part = values[start : start + size]
        if len(part) != size:
            raise TableFormatError(f"{path.name} ends in the middle of a table")
        measurements.append(Measurement(clique=clique, values=part.reshape(shape), nano_rho=entry["nano_rho"]))
        start += size
    if start != len(values):
        raise TableFormatError(f"{path.name} holds more cells than its header names")
    return tuple(measurements)


def write_model(model: LatentClassModel, domain: Domain, path: Path) -> None:
    """Write the model: one row per value of each column, with its share in every class."""
    header = {
        "format": MODEL_FORMAT,
        "people": model.people,
        "people_sigma": model.people_sigma,
        "weights": model.weights.tolist(),
        "stiffness": model.stiffness,
        "residual": list(model.residual),
    }
    classes = len(model.weights)
    shares = np.concatenate(model.shares)
    table = pa.table(
        {
            "column": pa.array([column.name for column in domain.columns for _ in column.values]),
            "value": pa.array([value for column in domain.columns for value in column.values]),
            "shares": pa.FixedSizeListArray.from_arrays(pa.array(shares.ravel()), classes),
        }
    ).replace_schema_metadata({"casesynth": json.dumps(header)})
    pq.write_table(table, path, compression="zstd")


def read_model(path: Path, domain: Domain) -> LatentClassModel:
    """Read a model back; the numbers are those that were written, bit by bit.

    Raises:
        TableFormatError: the file is not the format, or is for another domain.
    """
    table = pq.read_table(path)
    header = _header(table, MODEL_FORMAT, path)
    expected = [(column.name, value) for column in domain.columns for value in column.values]
    if list(zip(table.column("column").to_pylist(), table.column("value").to_pylist(), strict=True)) != expected:
        raise TableFormatError(f"{path.name} was made for other value lists")
    weights = np.array(header["weights"], dtype=np.float64)
    shares = table.column("shares").combine_chunks().values.to_numpy(zero_copy_only=False).reshape(-1, len(weights))
    edges = np.cumsum(domain.sizes)[:-1]
    residual = header["residual"]
    return LatentClassModel(
        people=float(header["people"]),
        people_sigma=float(header["people_sigma"]),
        weights=weights,
        shares=tuple(np.split(shares, edges)),
        stiffness=float(header["stiffness"]),
        residual=(float(residual[0]), float(residual[1]), float(residual[2])),
    )


def _header(table: pa.Table, expected: str, path: Path) -> dict[str, Any]:
    metadata = (table.schema.metadata or {}).get(b"casesynth")
    header = json.loads(metadata) if metadata else {}
    if not isinstance(header, dict) or header.get("format") != expected:
        raise TableFormatError(f"{path.name} is not a file of the format {expected}")
    return header
