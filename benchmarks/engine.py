"""The engine's accuracy, speed and memory on generated people and on public files, with public value lists.

Each release runs in a process of its own, so that CPU time and peak memory are its own. Measures are those of
`casesynth.evaluation.private`; F is the distance between two independent samples of the generator's population of the same size,
taken in the same run.

    python benchmarks/engine.py --people 50000 --epsilon 1 --epsilon 4 --runs 3
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import math
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from casehaven.generate import generate_population
from caseschemas import load_schema
from casesynth.api import EACH_ROW, release
from casesynth.domain import Domain
from casesynth.encode import Codes, encode
from casesynth.evaluation.private import Utility, tables, utility
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


def main() -> None:
    """Run the releases asked for and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", action="append", help="generated-N, adult, complaints")
    parser.add_argument("--epsilon", action="append", type=float)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--work", type=Path, default=ROOT / ".cache" / "bench-engine")
    parser.add_argument("--child", nargs=4, metavar=("DATA", "EPSILON", "RUN", "OUT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        data, epsilon, run, out = options.child
        one_release(data, float(epsilon), int(run), Path(out))
        return
    writer = csv.writer(sys.stdout, delimiter="|", lineterminator="\n")
    head = [
        "data",
        "eps",
        "len",
        "TV",
        "TV/F",
        "rel",
        "rel/F",
        "supp",
        "fab>=10",
        "mean err",
        "CPU s",
        "s",
        "MB",
        "rows/n",
    ]
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for data in options.data or ["generated-50000", "adult", "complaints"]:
        frame, domain = people_of(data, seed=1)
        codes, known = codes_of(frame, domain), known_of(domain)
        real = {length: tables(codes, domain.sizes, length) for length in (1, 2, 3)}
        floor: dict[int, Utility] = {}
        if data.startswith("generated-"):
            other = codes_of(people_of(data, seed=2)[0], domain)
            floor = {length: utility(real[length], tables(other, domain.sizes, length), known) for length in (1, 2, 3)}
        for epsilon in options.epsilon or [1.0, 4.0]:
            found: dict[int, list[Utility]] = {1: [], 2: [], 3: []}
            costs, covered = [], []
            for run in range(options.runs):
                out = options.work / f"{data}-{epsilon:g}-{run}"
                child = [sys.executable, __file__, "--child", data, str(epsilon), str(run), str(out)]
                subprocess.run(child, check=True)
                records = codes_of(pd.read_parquet(out / "records.parquet"), domain)
                for length in (1, 2, 3):
                    found[length].append(utility(real[length], tables(records, domain.sizes, length), known))
                costs.append(json.loads((out / "cost.json").read_text()))
                covered.append(interval_coverage(pd.read_parquet(out / "aggregates.parquet"), domain, real))
            mean = {key: float(np.mean([cost[key] for cost in costs])) for key in ("cpu", "seconds", "peak_mb", "rows")}
            for length in (1, 2, 3):
                score = {
                    name: float(np.mean([getattr(u, name) for u in found[length]]))
                    for name in ("total_variation", "relative_error", "suppressed", "fabricated_shown", "mean_error")
                }
                base = floor.get(length)
                ratio = [
                    f"{score['total_variation'] / base.total_variation:.2f}" if base else "-",
                    f"{score['relative_error'] / base.relative_error:.2f}" if base else "-",
                ]
                writer.writerow(
                    [
                        "",
                        f" {data} ",
                        f" {epsilon:g} ",
                        f" {length} ",
                        f" {score['total_variation']:.4f} ",
                        f" {ratio[0]} ",
                    ]
                    + [f" {score['relative_error']:.3f} ", f" {ratio[1]} ", f" {score['suppressed']:.2%} "]
                    + [f" {score['fabricated_shown']:.2%} ", f" {score['mean_error']:.2f} ", f" {mean['cpu']:.1f} "]
                    + [f" {mean['seconds']:.1f} ", f" {mean['peak_mb']:.0f} ", f" {mean['rows'] / len(frame):.4f} ", ""]
                )
                sys.stdout.flush()
            averages = {key: float(np.mean([c[key] for c in covered])) for key in covered[0]}
            print(
                f"| {data} | {epsilon:g} | intervals | coverage {averages['coverage']:.3f} | worst bucket "
                f"{averages['worst_bucket']:.3f} | shown {averages['shown']:.0f} | of them absent {averages['shown_absent']:.3%} |"
                + " |"
                * (len(head) - 7),
                flush=True,
            )


if __name__ == "__main__":
    main()
