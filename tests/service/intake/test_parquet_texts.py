"""The text of each type that Parquet has: what stands below is what the reader of the first version wrote.

The text is part of what a row says (`record_keys`): written in another way, the same export would come in twice, and a date might move to another day. `string_view` alone differs: its text
is cleaned like any other, which it was not.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from casehaven.intake.errors import FileKindError
from casehaven.intake.held import hold
from casehaven.intake.mapped_file import MappedFile
from casehaven.intake.proposal import propose
from casehaven.intake.readers import open_source
from casehaven.intake.sandbox import wall_clock
from casehaven.intake.sandbox.wall_clock import duration_text, time_text
from caseschemas import CaseSchema

AT = (1_672_520_400, None, 1_685_566_800, -946_080_000)
"""Midnight in Nairobi at the turn of 2022; a day in June; 1940."""

DAYS = {
    None: ("2022-12-31T21:00:00", "", "2023-05-31T21:00:00", "1940-01-09T00:00:00"),
    "Africa/Nairobi": ("2023-01-01T00:00:00+03:00", "", "2023-06-01T00:00:00+03:00", "1940-01-09T02:45:00+02:45"),
    "Asia/Kolkata": ("2023-01-01T02:30:00+05:30", "", "2023-06-01T02:30:00+05:30", "1940-01-09T05:30:00+05:30"),
    "America/New_York": ("2022-12-31T16:00:00-05:00", "", "2023-05-31T17:00:00-04:00", "1940-01-08T19:00:00-05:00"),
    "UTC": ("2022-12-31T21:00:00+00:00", "", "2023-05-31T21:00:00+00:00", "1940-01-09T00:00:00+00:00"),
    "-03:30": ("2022-12-31T17:30:00-03:30", "", "2023-05-31T17:30:00-03:30", "1940-01-08T20:30:00-03:30"),
}
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def texts(path: Path, columns: dict[str, pa.Array]) -> dict[str, list[str]]:
    """Write columns to a Parquet file, and return their cells as they are read."""
    pq.write_table(pa.table(columns), path)
    source = open_source(path)
    table = pa.Table.from_batches([batch.cells for batch in source.batches(list(columns))])
    return {name: table.column(name).to_pylist() for name in columns}


def stamps(unit: str, zone: str | None, more: int = 0) -> pa.Array:
    """Return the times of `AT`, and so many units more."""
    counts = [None if at is None else at * PER_SECOND[unit] + more for at in AT]
    return pa.array(counts, pa.timestamp(unit, zone))


def test_a_time_is_what_the_clocks_of_its_zone_showed(tmp_path: Path) -> None:
    columns = {f"{zone} {unit}": stamps(unit, zone) for zone in DAYS for unit in PER_SECOND}
    columns["of several"] = pa.array([[at] for at in stamps("us", "Africa/Nairobi").to_pylist()])
    found = texts(tmp_path / "a.parquet", columns)
    for zone, said in DAYS.items():
        for unit in PER_SECOND:
            assert found[f"{zone} {unit}"] == list(said), (zone, unit)
    assert found["of several"] == list(DAYS["Africa/Nairobi"])


@pytest.mark.parametrize("unit", ["us", "ns"])
def test_no_part_of_a_second_is_cut(tmp_path: Path, unit: str) -> None:
    columns = {str(zone): stamps(unit, zone, 1) for zone in (None, "Africa/Nairobi")}
    found = texts(tmp_path / "a.parquet", columns)
    part = ".000001" if unit == "us" else ".000000001"
    assert found["None"][:3] == [f"2022-12-31T21:00:00{part}", "", f"2023-05-31T21:00:00{part}"]
    assert found["Africa/Nairobi"][0] == f"2023-01-01T00:00:00{part}+03:00"


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/Bogota"])
def test_a_date_at_midnight_stays_in_its_year(tmp_path: Path, ctdc: CaseSchema, zone: str) -> None:
    there = ZoneInfo(zone)
    days = [datetime(year, 1, 1, tzinfo=there) for year in (2019, 2020)]
    days.append(datetime(2020, 12, 31, 23, 59, tzinfo=there))
    table = {"personToken": ["a", "b", "c"], "yearOfRegistration": pa.array(days, pa.timestamp("us", zone))}
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    held = hold(open_source(tmp_path / "a.parquet"))
    file = MappedFile(held=held, mapping=propose(held, ctdc).accepted(), schema=ctdc)
    (batch,) = [batch.column("yearOfRegistration").to_pylist() for batch in file.batches(["yearOfRegistration"])]
    assert batch == ["2019", "2020", "2020"]


@pytest.mark.parametrize("zone", ["Mars/Gale", "africa/nairobi", "+99:00", "../../etc/passwd"])
def test_a_zone_that_nobody_knows_is_refused_by_name(tmp_path: Path, zone: str) -> None:
    pq.write_table(pa.table({"when": pa.array([0, 1], pa.timestamp("us", zone))}), tmp_path / "a.parquet")
    with pytest.raises(FileKindError, match=r"column when has times of a zone that is not known here") as said:
        open_source(tmp_path / "a.parquet")
    assert zone in str(said.value)


OTHERS: dict[str, tuple[pa.Array, list[str]]] = {
    "text": (pa.array(["x ", "\u200by", "a\x00b", None]), ["x", "y", "ab", ""]),
    "large text": (pa.array(["x ", "y", None, ""], pa.large_string()), ["x", "y", "", ""]),
    "view": (pa.array(["x ", "y", None, "é"], pa.string_view()), ["x", "y", "", "é"]),
    "views": (pa.array([["a", "b"], [], None, ["x "]], pa.list_(pa.string_view())), ["a;b", "", "", "x"]),
    "few words": (pa.array(["p", None, "q", "p"]).dictionary_encode(), ["p", "", "q", "p"]),
    "several": (pa.array([["a", "b"], [], None, ["c", None]]), ["a;b", "", "", "c"]),
    "numbers": (pa.array([[1, 2], [], None, [3]]), ["1;2", "", "", "3"]),
    "whole": (pa.array([1, 2**60, None, -3]), ["1", "1152921504606846976", "", "-3"]),
    "large": (pa.array([1, 2**64 - 1, None, 0], pa.uint64()), ["1", "18446744073709551615", "", "0"]),
    "real": (pa.array([1.0, 1e20, float("nan"), 1e-7]), ["1", "100000000000000000000", "", "1e-07"]),
    "infinite": (pa.array([float("inf"), 0.1, None, -0.0]), ["inf", "0.1", "", "0"]),
    "single": (pa.array([0.1, 1.5, None, 3.0], pa.float32()), ["0.10000000149011612", "1.5", "", "3"]),
    "half": (pa.array(np.array([0.5, 1.5, 0.1, -2.5], np.float16)), ["0.5", "1.5", "0.0999755859375", "-2.5"]),
    "exact": (pa.array([Decimal("1.00"), Decimal("12.50"), None, Decimal("0.00")]), ["1.00", "12.50", "", "0.00"]),
    "yes": (pa.array([True, False, None, True]), ["true", "false", "", "true"]),
    "day": (pa.array([date(2023, 1, 1)] * 4), ["2023-01-01"] * 4),
    "day in ms": (pa.array([date(2023, 1, 1)] * 4, pa.date64()), ["2023-01-01"] * 4),
    "hour": (pa.array([1, 86_399, None, 0], pa.time32("s")), ["00:00:01", "23:59:59", "", "00:00:00"]),
    "hour in us": (pa.array([1, 2_000_000, None, 0], pa.time64("us")), ["00:00:00.000001", "00:00:02", "", "00:00:00"]),
    "hour in ns": (pa.array([1, 1_001, None, 0], pa.time64("ns")), ["00:00:00", "00:00:00.000001", "", "00:00:00"]),
    "span": (pa.array([1, 90_061, None, -5], pa.duration("s")), ["0:00:01", "1 day, 1:01:01", "", "-1 day, 23:59:55"]),
    "span in ns": (
        pa.array([1, 90_061_005_000_000, None, -(10**9)], pa.duration("ns")),
        ["P0DT0H0M0.000000001S", "P1DT1H1M1.005S", "", "P-1DT23H59M59S"],
    ),
    "nothing": (pa.nulls(4), ["", "", "", ""]),
}


def test_every_other_type_has_the_text_that_it_had(tmp_path: Path) -> None:
    found = texts(tmp_path / "a.parquet", {name: array for name, (array, _) in OTHERS.items()})
    assert found == {name: said for name, (_, said) in OTHERS.items()}


@given(
    at=st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2100, 1, 1)),
    zone=st.sampled_from(["Africa/Nairobi", "America/St_Johns", "Asia/Kathmandu", "Europe/Vienna", "Pacific/Apia"]),
)
def test_a_time_is_written_as_python_writes_it(at: datetime, zone: str) -> None:
    wall_clock._zones[zone] = ZoneInfo(zone)
    told = at.replace(tzinfo=UTC)
    count = (at - datetime(1970, 1, 1)) // timedelta(microseconds=1)
    assert time_text(count, "us", wall_clock.zone_of(zone)) == told.astimezone(ZoneInfo(zone)).isoformat()
    assert time_text(count, "us", None) == at.isoformat()


@given(count=st.integers(-(2**62), 2**62))
def test_a_span_is_written_as_pandas_writes_it(count: int) -> None:
    told: Any = pa.scalar(count, pa.duration("ns")).as_py()
    assert duration_text(count, "ns") == told.isoformat()


def test_hours_of_a_day_are_no_times_of_a_zone(tmp_path: Path) -> None:
    found = texts(tmp_path / "a.parquet", {"at": pa.array([time(23, 30)]), "on": pa.array([date(2023, 1, 1)])})
    assert found == {"at": ["23:30:00"], "on": ["2023-01-01"]}
