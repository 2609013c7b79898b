"""Shows four known cases of OpenDP's Polars part (privacy rule 9): what it says of two neighbouring tables, and what it does. JSON on standard output.

Started by tests/attacks/test_opendp_polars.py with the interpreter of an environment of its own; it imports nothing of ours. The cases are known upstream as opendp/opendp
issues 2936 (fill_null), 2944 (cut), 2945 (max_length) and 2949 (columns redefined after truncation).
"""

import json
import math

import opendp.prelude as dp
import polars as pl

dp.enable_features("contrib")
DRAWS = 300


def main() -> None:
    """Print one record for each case."""
    print(json.dumps({"cut": cut(), "fill_null": fill_null(), "max_length": max_length(), "redefined": redefined()}))


def cut() -> dict[str, object]:
    """Codes of bins are numbered as they first occur: one row in front changes the code of every row behind it."""
    people, noise = 200, 2.0
    ages = [30.0] * people
    counted = pl.LazyFrame(schema={"age": pl.Float64}).select(
        pl.col("age").cut([50.0]).to_physical().dp.sum((0, 1), scale=noise)
    )
    domain = dp.with_margin(
        dp.lazyframe_domain([dp.series_domain("age", dp.atom_domain(T=float, nan=False))]),
        dp.polars.Margin(max_length=people + 1),
    )
    release = dp.m.make_private_lazyframe(
        domain, dp.frame_distance(dp.symmetric_distance()), dp.max_divergence(), counted
    )
    return {
        "epsilon": release.map([dp.polars.Bound(per_group=1)]),
        "noise": noise,
        "without": _drawn(release, pl.LazyFrame({"age": ages})),
        "with": _drawn(release, pl.LazyFrame({"age": [70.0, *ages]})),
    }


def fill_null() -> dict[str, object]:
    """A null that is filled with NaN makes a sum of numbers that are said to hold no NaN one."""
    filled = pl.LazyFrame(schema={"months": pl.Float64}).select(
        pl.col("months").fill_null(math.nan).clip(0.0, 12.0).sum().dp.noise(scale=50.0)
    )
    domain = dp.with_margin(
        dp.lazyframe_domain([dp.series_domain("months", dp.option_domain(dp.atom_domain(T=float, nan=False)))]),
        dp.polars.Margin(max_length=50),
    )
    release = dp.m.make_private_lazyframe(
        domain, dp.frame_distance(dp.symmetric_distance()), dp.max_divergence(), filled, global_scale=1.0
    )
    known = [6.0] * 49
    tables = {"without": [*known, 6.0], "with": [*known, None]}
    return {
        "epsilon": release.map([dp.polars.Bound(per_group=2)]),  # one row out, one in
        **{name: [str(drawn) for drawn in _drawn(release, pl.LazyFrame({"months": rows}))] for name, rows in tables.items()},
    }  # fmt: skip


def max_length() -> dict[str, object]:
    """A group of at most four rows can change by eight: four out, four in."""
    rows, most, noise = 4, 5, 40.0
    schema = {"place": pl.String, "score": pl.Int64}
    summed = pl.LazyFrame(schema=schema).group_by("place").agg(pl.col("score").dp.sum((-most, most), scale=noise))
    domain = dp.with_margin(
        dp.lazyframe_domain(
            [dp.series_domain("place", dp.atom_domain(T=str)), dp.series_domain("score", dp.atom_domain(T="i64"))]
        ),
        dp.polars.Margin(by=["place"], max_length=rows, max_groups=1, invariant="keys"),
    )
    release = dp.m.make_private_lazyframe(domain, dp.symmetric_distance(), dp.max_divergence(), summed)
    return {"epsilon": release.map(2 * rows), "sums_differ_by": 2 * rows * most, "noise": noise}


def redefined() -> dict[str, object]:
    """A column that bounds each person to one row in each of many groups is replaced by one value: all rows of the person fall into one group."""
    groups, noise = 50, 1.0
    schema = {"person": pl.Int64, "place": pl.Int64}
    counts = (
        pl.LazyFrame(schema=schema)
        .filter(pl.int_range(pl.len()).over("person", "place") < 1)
        .filter(pl.struct("place").rank("dense").over("person") < groups + 1)
        .with_columns(place=pl.lit(7, dtype=pl.Int64))
        .group_by("place")
        .agg(dp.len(scale=noise))
    )
    query = pl.LazyFrame({"place": [7]}).join(counts, on="place", how="left")
    release = dp.m.make_private_lazyframe(
        dp.lazyframe_domain(
            [dp.series_domain("person", dp.atom_domain(T="i64")), dp.series_domain("place", dp.atom_domain(T="i64"))]
        ),
        dp.symmetric_id_distance(identifier=pl.col("person")),
        dp.zero_concentrated_divergence(),
        query,
    )
    places = list(range(groups))
    one = pl.LazyFrame({"person": [1] * groups, "place": places}, schema=schema)
    two = pl.LazyFrame({"person": [1] * groups + [2] * groups, "place": places * 2}, schema=schema)
    return {
        "rho": release.map(1),
        "noise": noise,
        "without": [row["len"] for row in _frames(release, one)],
        "with": [row["len"] for row in _frames(release, two)],
    }


def _drawn(release: object, table: pl.LazyFrame) -> list[float]:
    return [release(table).collect().item() for _ in range(DRAWS)]


def _frames(release: object, table: pl.LazyFrame) -> list[dict[str, float]]:
    return [release(table).collect().row(0, named=True) for _ in range(DRAWS)]


if __name__ == "__main__":
    main()
