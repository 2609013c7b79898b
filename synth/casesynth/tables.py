"""The data files of a bundle: measurements, model, synthetic records and aggregates, written and read back.

1. Only protected values are taken; nothing here accepts a `PersonTable` or a `Marginal`.
2. Every stored format carries a version. What is read back is checked before it becomes a typed value.
3. In CSV, a cell that a spreadsheet would take for a formula is prefixed with `'` (threat 20).
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from casesynth.aggregates import ABSENT, LENGTH, AggregateTable
from casesynth.apart import read_apart, stored_apart
from casesynth.codes import Codes
from casesynth.derived import derivations
from casesynth.domain import Domain
from casesynth.errors import CasesynthError
from casesynth.folds import Fold, stored_folds
from casesynth.intervals import ErrorScale
from casesynth.links import Link, LinkError, checked
from casesynth.marginals import Clique, axes_of, signed_shape
from casesynth.measure import Measurement
from casesynth.model import LatentClassModel
from casesynth.sharper import read_sharper, stored_sharper

MEASUREMENTS_FORMAT = "casesynth-measurements/4"
MODEL_FORMAT = "casesynth-model/2"
LINKED_MODEL_FORMAT = "casesynth-model/3"
"""Of a model with columns that noisy numbers link (`casesynth.near`); without one nothing differs from the format before it."""

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
            cells = [safe_cell(str(category)) for category in column.cat.categories]
            unique = len(set(cells)) == len(cells)  # guarding may make two values equal
            guarded[name] = column.cat.rename_categories(cells) if unique else column.astype(object).map(safe_cell)
        elif column.dtype == object or isinstance(column.dtype, pd.StringDtype):
            guarded[name] = column.map(safe_cell)
    guarded.columns = pd.Index([safe_cell(str(name)) for name in guarded.columns])
    guarded.to_csv(folder / f"{stem}.csv", index=False, lineterminator="\r\n")


def write_measurements(measurements: Sequence[Measurement], domain: Domain, path: Path) -> None:
    """Write the noisy tables: one row per cell, table by table, cells in row-major order of the `axes` that the header names.

    A table is a signed marginal of its `columns`: those that are no axes are binary, and are signs (`casesynth.marginals`). In a table of
    several columns an axis holds the values that no list of folded ones names, then those that are `folded_in_triples`, then one cell for those that are
    `folded`; in a table of three columns these all are one cell (`casesynth.folds`).
    """
    domain = domain.measured
    names = [column.name for column in domain.columns]
    header = {
        "format": MEASUREMENTS_FORMAT,
        "columns": [{"name": column.name, "values": list(column.values)} for column in domain.columns],
        **_folds_facts(stored_folds(measurements, domain.sizes), domain),
        "tables": [
            {
                "columns": [names[i] for i in m.clique],
                "axes": [names[i] for i in axes_of(m.clique, domain.sizes)],
                "nano_rho": m.nano_rho,
                "scale": m.scale,
            }
            for m in measurements
        ],
    }
    counts = [m.values.size for m in measurements]
    table = pa.table(
        {
            **_cell_places(counts),
            "value": pa.array(np.concatenate([m.values.ravel() for m in measurements])),
        }
    ).replace_schema_metadata({"casesynth": json.dumps(header, ensure_ascii=False)})
    pq.write_table(table, path, compression="zstd")


def read_measurements(path: Path, domain: Domain) -> tuple[Measurement, ...]:
    """Read noisy tables back.

    Raises:
        TableFormatError: the file is not the format, or is for another domain.
    """
    domain = domain.measured
    table, header = _stored(path, MEASUREMENTS_FORMAT, _MEASUREMENT_TYPES)
    listed = [{"name": column.name, "values": list(column.values)} for column in domain.columns]
    if header.get("columns") != listed:
        raise TableFormatError(f"{path.name} was made for other value lists")
    place = {column.name: position for position, column in enumerate(domain.columns)}
    values = table.column("value").to_numpy()
    measurements: list[Measurement] = []
    counts: list[int] = []
    start, folded_sizes = 0, _folded_sizes(header, domain, path)
    for entry in _listed(header, "tables", path):
        clique, nano_rho = _table_entry(entry, place, domain.sizes, path)
        shape = signed_shape(clique, domain.sizes if len(clique) < 2 else folded_sizes[len(clique)])
        size = math.prod(shape)
        part = values[start : start + size]
        if len(part) != size:
            raise TableFormatError(f"{path.name} ends in the middle of a table")
        measurements.append(Measurement(clique=clique, values=part.reshape(shape), nano_rho=nano_rho))
        counts.append(size)
        start += size
    if start != len(values):
        raise TableFormatError(f"{path.name} holds more cells than its header names")
    for name, expected in _cell_places(counts).items():
        if not table.column(name).combine_chunks().equals(expected):
            raise TableFormatError(f"{path.name}: the column {name} is not in order")
    facts = _folds_facts(stored_folds(measurements, domain.sizes), domain)
    if any(header[name] != facts[name] for name in _FOLDED):
        raise TableFormatError(f"{path.name}: the folded values are not those that its single columns tell")
    return tuple(measurements)


_FOLDED = ("folded", "folded_in_triples")


def _folds_facts(folds: Sequence[Fold], domain: Domain) -> dict[str, dict[str, list[str]]]:
    """Return, by column, the values that are counted together in all tables of several columns, and those that are so in triples only."""
    found: dict[str, dict[str, list[str]]] = {name: {} for name in _FOLDED}
    for column, fold in zip(domain.columns, folds, strict=True):
        further = fold.kept[len(fold.kept) - fold.small :]
        for name, places in zip(_FOLDED, (fold.folded, further), strict=True):
            if places:
                found[name][column.name] = [column.values[place] for place in places]
    return found


def _folded_sizes(header: Mapping[str, Any], domain: Domain, path: Path) -> dict[int, list[int]]:
    """Return how many cells the header says an axis has in tables of two and of three columns."""
    found = [header.get(name) for name in _FOLDED]
    lists: list[dict[str, list[str]]] = []
    for part in found:
        if not isinstance(part, dict) or not all(isinstance(values, list) for values in part.values()):
            raise TableFormatError(f"{path.name}: the header does not list the folded values")
        lists.append(part)
    sizes: dict[int, list[int]] = {2: [], 3: []}
    for column in domain.columns:
        folded, further = (len(part.get(column.name, ())) for part in lists)
        sizes[2].append(column.size - folded + bool(folded))
        sizes[3].append(column.size - folded - further + bool(folded or further))
    return sizes


def _table_entry(entry: object, place: Mapping[str, int], sizes: Sequence[int], path: Path) -> tuple[Clique, int]:
    """Return the clique and share of one table of the header."""
    names, axes, nano_rho = (entry.get(name) if isinstance(entry, dict) else None for name in _TABLE_FACTS)
    if isinstance(names, list) and all(isinstance(name, str) and name in place for name in names):
        clique = tuple(place[name] for name in names)
        ascending = all(a < b for a, b in itertools.pairwise(clique)) and len(clique) <= LENGTH
        if ascending and type(nano_rho) is int and nano_rho > 0:
            if axes != [name for name in names if place[name] in axes_of(clique, sizes)]:
                raise TableFormatError(f"{path.name}: the axes of a table are not its columns that are not binary")
            return clique, nano_rho
    raise TableFormatError(f"{path.name}: the header does not name a table's columns and share")


def write_model(model: LatentClassModel, errors: ErrorScale, domain: Domain, path: Path) -> None:
    """Write the model, one row per value of each column with its share in every class, and how far its estimates may be off."""
    measured = domain.measured
    links = [link for link in model.links if not link.declared]
    doubts = {
        domain.columns[link.column].name: link.doubt.tolist()
        for link in model.links
        if link.declared and link.doubt is not None
    }
    more = links or doubts or errors.apart or errors.sharper
    header = {
        "format": LINKED_MODEL_FORMAT if more else MODEL_FORMAT,
        "people": model.people,
        "people_sigma": model.people_sigma,
        "weights": model.weights.tolist(),
        "stiffness": model.stiffness,
        "residual": list(model.residual),
        "errors": {
            "centres": errors.centres.tolist(),
            "half_widths": errors.half_widths.tolist(),
            "misfit": errors.misfit.tolist(),
        },
    }
    if more:
        header["named"] = stored_sharper(errors.sharper, measured)
        header["apart"] = stored_apart(errors.apart, measured)
        header["doubts"] = doubts
        header["links"] = [
            {
                "column": measured.columns[link.column].name,
                "source": measured.columns[link.source].name,
                "shares": link.table.tolist(),
            }
            for link in links
        ]
    classes = len(model.weights)
    shares = np.concatenate(model.shares[: len(measured.columns)])
    table = pa.table(
        {
            "column": pa.array([column.name for column in measured.columns for _ in column.values]),
            "value": pa.array([value for column in measured.columns for value in column.values]),
            "shares": pa.FixedSizeListArray.from_arrays(pa.array(shares.ravel()), classes),
        }
    ).replace_schema_metadata({"casesynth": json.dumps(header)})
    pq.write_table(table, path, compression="zstd")


def read_model(path: Path, domain: Domain) -> tuple[LatentClassModel, ErrorScale]:
    """Read a model and its error scale back; the numbers are those that were written, bit by bit.

    Raises:
        TableFormatError: the file is not the format, or is for another domain.
    """
    table, header = _stored(path, MODEL_FORMAT, _MODEL_TYPES, or_else=LINKED_MODEL_FORMAT)
    measured = domain.measured
    expected = [(column.name, value) for column in measured.columns for value in column.values]
    if list(zip(table.column("column").to_pylist(), table.column("value").to_pylist(), strict=True)) != expected:
        raise TableFormatError(f"{path.name} was made for other value lists")
    weights = np.array(_numbers(header, "weights", path), dtype=np.float64)
    listed = table.column("shares").combine_chunks() if "shares" in table.column_names else pa.array([], pa.null())
    if not pa.types.is_fixed_size_list(listed.type) or listed.type.list_size != len(weights) or listed.null_count:
        raise TableFormatError(f"{path.name}: expected one share for each of {len(weights)} classes")
    flat = listed.flatten()
    if flat.type != pa.float64() or flat.null_count:
        raise TableFormatError(f"{path.name}: the shares are not numbers")
    shares = flat.to_numpy().reshape(-1, len(weights))
    edges = np.cumsum(measured.sizes)[:-1]
    people, sigma, stiffness = (_numbers({name: [header.get(name)]}, name, path)[0] for name in _MODEL_NUMBERS)
    residual = _numbers(header, "residual", path)
    if len(residual) != 3:
        raise TableFormatError(f"{path.name}: expected three residuals")
    model = LatentClassModel(
        people=people,
        people_sigma=sigma,
        weights=weights,
        shares=tuple(np.split(shares, edges)),
        stiffness=stiffness,
        residual=(residual[0], residual[1], residual[2]),
    )
    return model.linked([*_links(header, measured, path), *_declared(header, domain, path)]), _error_scale(
        header, measured, path
    )


def stored_columns(path: Path) -> dict[str, tuple[str, ...]]:
    """Return the columns that a stored model is for, with their values: what can be said without the schema.

    Raises:
        TableFormatError: the file is not the format.
    """
    table, _ = _stored(path, MODEL_FORMAT, _MODEL_TYPES, or_else=LINKED_MODEL_FORMAT)
    listed: dict[str, list[str]] = {}
    for column, value in zip(table.column("column").to_pylist(), table.column("value").to_pylist(), strict=True):
        listed.setdefault(column, []).append(value)
    return {column: tuple(values) for column, values in listed.items()}


def _links(header: Mapping[str, Any], measured: Domain, path: Path) -> list[Link]:
    """Return the links of a model's header: each of another column, with shares for every value of its source."""
    if header["format"] == MODEL_FORMAT:
        return []
    place = {column.name: position for position, column in enumerate(measured.columns)}
    links: list[Link] = []
    listed = header.get("links")
    if not isinstance(listed, list):
        raise TableFormatError(f"{path.name}: the header lists no links")
    for entry in listed:
        name, source = (entry.get(key) if isinstance(entry, dict) else None for key in ("column", "source"))
        if name not in place or source not in place:
            raise TableFormatError(f"{path.name}: a link does not name two columns")
        rows = [_numbers({"shares": row}, "shares", path) for row in _listed(entry, "shares", path)]
        if [len(row) for row in rows] != [measured.sizes[place[name]]] * measured.sizes[place[source]]:
            raise TableFormatError(f"{path.name}: a link needs shares for every value of its columns")
        try:
            links.append(Link(column=place[name], source=place[source], table=np.array(rows)))
            checked(links)
        except LinkError as fault:
            raise TableFormatError(f"{path.name}: {fault}") from fault
    return links


def _declared(header: Mapping[str, Any], domain: Domain, path: Path) -> list[Link]:
    """Return the links that the domain declares, with the doubts of the model's header."""
    stored = header.get("doubts", {})
    if not isinstance(stored, dict):
        raise TableFormatError(f"{path.name}: the header holds no doubts")
    links = []
    for link in derivations(domain):
        name = domain.columns[link.column].name
        if name in stored:
            doubt = np.array(_numbers(stored, name, path))
            if len(doubt) != link.table.shape[1] or doubt.min() < 0:
                raise TableFormatError(f"{path.name}: expected a doubt from zero for each value of {name}")
            link = replace(link, doubt=doubt)
        links.append(link)
    return links


def _error_scale(header: Mapping[str, Any], measured: Domain, path: Path) -> ErrorScale:
    """Return the error scale of a model's header: positive half widths at ascending sizes, one row per length."""
    stored = header.get("errors")
    if not isinstance(stored, dict):
        raise TableFormatError(f"{path.name}: the header holds no errors")
    centres, misfit = _numbers(stored, "centres", path), _numbers(stored, "misfit", path)
    rows = [_numbers({"half_widths": row}, "half_widths", path) for row in _listed(stored, "half_widths", path)]
    if len(rows) != LENGTH or len(misfit) != LENGTH or any(len(row) != len(centres) for row in rows):
        raise TableFormatError(f"{path.name}: expected errors for each length up to {LENGTH} at each size")
    if any(a >= b for a, b in itertools.pairwise(centres)) or min(map(min, rows)) <= 0 or min(misfit) < 0:
        raise TableFormatError(
            f"{path.name}: expected sizes in ascending order, half widths above and misfits from zero"
        )
    more = header if header["format"] == LINKED_MODEL_FORMAT else {}
    apart, own = read_apart(more.get("apart", []), measured), read_sharper(more.get("named", []), measured)
    if apart is None:
        raise TableFormatError(f"{path.name}: a pair that is apart has two columns of the model and a misfit from zero")
    if own is None:
        raise TableFormatError(f"{path.name}: a named table has columns of the model and a half width for each cell")
    return ErrorScale(
        centres=np.array(centres, dtype=np.float64),
        half_widths=np.array(rows, dtype=np.float64),
        misfit=np.array(misfit, dtype=np.float64),
        apart=apart,
        sharper=own,
    )


_MEASUREMENT_TYPES = {"table": pa.int32(), "cell": pa.int32(), "value": pa.int64()}
_TABLE_FACTS = ("columns", "axes", "nano_rho")
_MODEL_TYPES = {"column": pa.string(), "value": pa.string()}
_MODEL_NUMBERS = ("people", "people_sigma", "stiffness")


def _cell_places(counts: Sequence[int]) -> dict[str, pa.Array]:
    """Return the columns that say where each stored cell belongs: its table, and its place in row-major order."""
    return {
        "table": pa.array(np.repeat(np.arange(len(counts), dtype=np.int32), counts)),
        "cell": pa.array(np.concatenate([np.arange(count, dtype=np.int32) for count in counts])),
    }


def _listed(header: Mapping[str, Any], name: str, path: Path) -> list[Any]:
    found = header.get(name)
    if not isinstance(found, list) or not found:
        raise TableFormatError(f"{path.name}: the header lists no {name}")
    return found


def _numbers(header: Mapping[str, Any], name: str, path: Path) -> list[float]:
    found = _listed(header, name, path)
    if not all(type(number) in (int, float) and math.isfinite(number) for number in found):
        raise TableFormatError(f"{path.name}: {name} must be finite numbers")
    return [float(number) for number in found]


def _stored(
    path: Path, expected: str, types: Mapping[str, pa.DataType], *, or_else: str | None = None
) -> tuple[pa.Table, dict[str, Any]]:
    """Read a file of ours: its table, whose columns have these types and no nulls, and its header."""
    with path.open("rb") as file:
        try:
            table = pq.read_table(file)
            metadata = (table.schema.metadata or {}).get(b"casesynth")
            header = json.loads(metadata) if metadata else {}
        except (pa.ArrowException, ValueError, OSError) as fault:  # Arrow calls some damage an OSError
            raise TableFormatError(f"{path.name} is not a file of the format {expected}") from fault
    if not isinstance(header, dict) or header.get("format") not in (expected, or_else or expected):
        raise TableFormatError(f"{path.name} is not a file of the format {expected}")
    for name, kind in types.items():
        if name not in table.column_names or table.schema.field(name).type != kind or table.column(name).null_count:
            raise TableFormatError(f"{path.name}: expected a column {name} of {kind} without gaps")
    return table, header
