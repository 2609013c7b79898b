"""The engine's accuracy, speed and memory on generated people and on public files, with public value lists.

Each release runs in a process of its own, so that CPU time and peak memory are its own. Measures are those of
`casesynth.evaluation.private`; F is the distance between two independent samples of the generator's population of the same size,
taken by the same code. A row that was measured with the same code is not measured again.

    python benchmarks/engine.py --data generated-50000 --epsilon 1 --epsilon 4 --runs 3
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rows import NotMeasuredError, engine_digest, kept_row

from casehaven.generate import generate_population
from caseschemas import load_schema
from casesynth.api import EACH_ROW, release
from casesynth.codes import Codes
from casesynth.domain import Domain
from casesynth.encode import encode
from casesynth.evaluation.private import tables, utility
from casesynth.marginals import Clique
from casesynth.persons import PersonTableBuilder

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"
Tables = dict[int, dict[Clique, NDArray[np.int64]]]
WRITTEN = ROOT / "tests" / "schemas" / "written"
FILES = {
    "adult": (SHARED / "adult" / "adult_binned.csv", WRITTEN / "adult.json"),
    "complaints": (SHARED / "complaints" / "complaints_prepared.csv", WRITTEN / "complaints.json"),
}


NARROW = (
    "gender",
    "ageBroad",
    "traffickMonths",
    "isForcedLabour",
    "isSexualExploit",
    "meansThreats",
    "meansDebtBondageEarnings",
    "meansAbusePsyPhySex",
    "meansDenyBasicNeeds",
    "typeOfLabourConstruction",
    "typeOfSexProstitution",
    "recruiterRelationOther",
)
"""Columns of the narrow generated files, `generated-2000x12`."""


def people_of(data: str, seed: int) -> tuple[pd.DataFrame, Domain]:
    """Return one row per person and the public domain: `generated-50000`, `generated-2000x12`, `adult` or `complaints`."""
    if data.startswith("generated-"):
        count, _, narrow = data.removeprefix("generated-").partition("x")
        domain = Domain.from_schema(load_schema("ctdc-global"))
        frame = generate_population(int(count), seed)
        if not narrow:
            return frame, domain
        kept = Domain(
            attributes=tuple(domain.attribute(name) for name in NARROW[: int(narrow)]), source="part of ctdc-global"
        )
        return frame[[attribute.name for attribute in kept.attributes]], kept
    path, schema = FILES[data]
    return pd.read_csv(path, dtype=str, keep_default_na=False), Domain.from_schema(load_schema(str(schema)))


def codes_of(frame: pd.DataFrame, domain: Domain) -> tuple[Codes, ...]:
    """Return the frame as codes, one row per person."""
    builder = PersonTableBuilder(domain)
    builder.add(encode(frame, domain, person=None))
    return builder.build(people_cap=1 << 40).columns


def one_release(data: str, epsilon: float, run: int, out: Path) -> None:
    """Release once and write the synthetic records and the cost; runs in its own process."""
    frame, domain = people_of(data, seed=1)
    n = len(frame)
    before = time.process_time()
    started = time.monotonic()
    made = release(frame, domain, person=EACH_ROW, epsilon=epsilon, people_cap=1 << 24, delta=1 / (n * math.log(n)))
    records = made.records
    aggregates = made.aggregates
    cost = {
        "seconds": time.monotonic() - started,
        "cpu": time.process_time() - before,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "rows": len(records),
        "stiffness": made.synthesis.model.stiffness,
        "residual": made.synthesis.model.residual,
    }
    out.mkdir(parents=True, exist_ok=True)
    records.to_parquet(out / "records.parquet")
    aggregates.to_parquet(out / "aggregates.parquet")
    (out / "cost.json").write_text(json.dumps(cost))


def known_of(domain: Domain) -> list[np.ndarray]:
    """Return, per column, which values are known."""
    return [np.array([place not in column.missing for place in range(column.size)]) for column in domain.columns]


def interval_coverage(aggregates: pd.DataFrame, domain: Domain, real: Tables) -> dict[str, float]:
    """Return the share of published intervals that hold the true count, overall and in the worst bucket of length and estimate."""
    places = {column.attribute: i for i, column in enumerate(domain.columns) if column.value is None}
    frame = aggregates[~aggregates["missing"]]
    inside = np.zeros(len(frame), dtype=bool)
    lists = {column.attribute: {value: k for k, value in enumerate(column.values)} for column in domain.columns}
    rows = frame.to_dict("records")
    truths = np.zeros(len(frame))
    for i, row in enumerate(rows):
        parts = [
            (places[row[f"attribute_{a}"]], lists[row[f"attribute_{a}"]][row[f"value_{a}"]])
            for a in range(1, row["length"] + 1)
        ]
        truths[i] = real[row["length"]][tuple(p for p, _ in parts)][tuple(v for _, v in parts)]
    inside = (truths >= frame["low"].to_numpy()) & (truths <= frame["high"].to_numpy())
    worst = 1.0
    edges = (10, 50, 200, 1000, math.inf)
    for length in (1, 2, 3):
        for low, high in itertools.pairwise(edges):
            chosen = (
                (frame["length"].to_numpy() == length)
                & (frame["estimate"].to_numpy() >= low)
                & (frame["estimate"].to_numpy() < high)
            )
            if chosen.sum() >= 50:
                worst = min(worst, float(inside[chosen].mean()))
    return {
        "coverage": float(inside.mean()) if len(inside) else math.nan,
        "worst_bucket": worst,
        "shown": float(len(frame)),
        "shown_absent": float((truths == 0).mean()) if len(frame) else 0.0,
    }


MEASURES = ("total_variation", "relative_error", "suppressed", "fabricated_shown", "mean_error")
"""What is compared, by the names of `casesynth.evaluation.private.Utility`."""

LENGTHS = (1, 2, 3)


def exact_tables(data: str, seed: int = 1) -> tuple[Tables, Domain, int]:
    """Return the exact tables of a dataset's people, their domain and how many people there are."""
    frame, domain = people_of(data, seed)
    codes = codes_of(frame, domain)
    return {length: tables(codes, domain.sizes, length) for length in LENGTHS}, domain, len(frame)


def scores_of(real: Tables, codes: tuple[Codes, ...], domain: Domain) -> dict[str, dict[str, float]]:
    """Return the measures of some records against the exact tables, per length."""
    known = known_of(domain)
    found = {n: utility(real[n], tables(codes, domain.sizes, n), known) for n in LENGTHS}
    return {str(n): {name: float(getattr(u, name)) for name in MEASURES} for n, u in found.items()}


def floor_row(data: str) -> dict[str, dict[str, float]]:
    """Return the measures of another sample of the generator's population; empty where there is no generator."""
    if not data.startswith("generated-"):
        return {}

    def measure() -> dict[str, Any]:
        real, domain, _ = exact_tables(data)
        return scores_of(real, codes_of(people_of(data, seed=2)[0], domain), domain)

    return kept_row({"what": "floor", "data": data}, engine_digest("engine.py"), measure)


def engine_row(data: str, epsilon: float, run: int, *, fresh: bool = False, known_only: bool = False) -> dict[str, Any]:
    """Return what one release scored and cost, from a process of its own.

    Raises:
        NotMeasuredError: only known rows are wanted, and this one is not known.
    """

    def measure() -> dict[str, Any]:
        if known_only:
            raise NotMeasuredError("not measured")
        with tempfile.TemporaryDirectory() as place:
            out = Path(place) / "release"
            subprocess.run([sys.executable, __file__, "--child", data, str(epsilon), str(run), str(out)], check=True)
            cost = json.loads((out / "cost.json").read_text())
            records, aggregates = (pd.read_parquet(out / f"{name}.parquet") for name in ("records", "aggregates"))
        real, domain, people = exact_tables(data)
        covered = interval_coverage(aggregates, domain, real)
        return {**cost, "people": people, "scores": scores_of(real, codes_of(records, domain), domain), **covered}

    asked = {"what": "engine", "data": data, "epsilon": epsilon, "run": run}
    return kept_row(asked, engine_digest("engine.py"), measure, fresh=fresh)


def mean_of(rows: Sequence[dict[str, Any]], length: int, name: str) -> float:
    """Return the mean of a measure over runs."""
    return float(np.mean([row["scores"][str(length)][name] for row in rows]))


HEAD = (
    "data", "eps", "len", "TV", "sd of TV", "TV/F", "rel", "rel/F", "supp", "fab>=10", "mean err", "CPU s", "s", "MB", "rows/n",
)  # fmt: skip


def main() -> None:
    """Run the releases asked for and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", action="append", help="generated-N, adult, complaints")
    parser.add_argument("--epsilon", action="append", type=float)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--fresh", action="store_true", help="measure rows again that are known")
    parser.add_argument("--child", nargs=4, metavar=("DATA", "EPSILON", "RUN", "OUT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        data, epsilon, run, out = options.child
        one_release(data, float(epsilon), int(run), Path(out))
        return
    print("| " + " | ".join(HEAD) + " |")
    print("|" + "---|" * len(HEAD))
    for data in options.data or ["generated-50000", "adult", "complaints"]:
        floor = floor_row(data)
        for epsilon in options.epsilon or [1.0, 4.0]:
            rows = [engine_row(data, epsilon, run, fresh=options.fresh) for run in range(options.runs)]
            _print(data, epsilon, rows, floor)


def _print(data: str, epsilon: float, rows: Sequence[dict[str, Any]], floor: dict[str, dict[str, float]]) -> None:
    """Print the means of some runs: one line per length, and one for the intervals."""
    cost = {name: float(np.mean([row[name] for row in rows])) for name in ("cpu", "seconds", "peak_mb", "rows")}
    for length in LENGTHS:
        score = {name: mean_of(rows, length, name) for name in MEASURES}
        base = floor.get(str(length))
        spread = (
            float(np.std([row["scores"][str(length)]["total_variation"] for row in rows], ddof=1))
            if len(rows) > 1
            else 0.0
        )
        cells = [
            data, f"{epsilon:g}", f"{length}", f"{score['total_variation']:.4f}", f"{spread:.4f}",
            f"{score['total_variation'] / base['total_variation']:.2f}" if base else "-",
            f"{score['relative_error']:.3f}", f"{score['relative_error'] / base['relative_error']:.2f}" if base else "-",
            f"{score['suppressed']:.2%}", f"{score['fabricated_shown']:.2%}", f"{score['mean_error']:.2f}", f"{cost['cpu']:.1f}",
            f"{cost['seconds']:.1f}", f"{cost['peak_mb']:.0f}", f"{cost['rows'] / rows[0]['people']:.4f}",
        ]  # fmt: skip
        print("| " + " | ".join(cells) + " |", flush=True)
    shown = {
        name: float(np.mean([row[name] for row in rows]))
        for name in ("coverage", "worst_bucket", "shown", "shown_absent")
    }
    said = [
        data, f"{epsilon:g}", "intervals", f"coverage {shown['coverage']:.3f}", f"worst bucket {shown['worst_bucket']:.3f}",
        f"shown {shown['shown']:.0f}", f"of them absent {shown['shown_absent']:.3%}",
    ]  # fmt: skip
    print("| " + " | ".join([*said, *[""] * (len(HEAD) - len(said))]) + " |", flush=True)


if __name__ == "__main__":
    main()
