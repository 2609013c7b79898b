"""How often published 95 % intervals hold the true count, by length of the combination and published estimate, and how wide they are.

Each release has noise of its own and runs in a process of its own with one thread; several run side by side. Every published combination of known
values counts, those that nobody has included. A row that was measured with the same code is not measured again.

    python benchmarks/intervals.py --runs 20
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from engine import Tables, codes_of, people_of
from rows import engine_digest, kept_row

from casesynth.aggregates import ABSENT
from casesynth.api import EACH_ROW, release
from casesynth.evaluation.private import tables
from casesynth.synthesis import Synthesis

EDGES = (10, 50, 200, 1000, math.inf)
SCRIPTS = ("intervals.py", "engine.py")


def bucket_rows(synthesis: Synthesis, real: Tables) -> list[dict[str, float]]:
    """Return, per length and size of the published estimate, how many intervals there are, how many hold the truth, and their widths."""
    table, sizes = synthesis.aggregates, synthesis.plan.domain.columns
    known = np.array(
        [
            not (a[1] == ABSENT and int(v[0]) in sizes[int(a[0])].missing)
            for a, v in zip(table.columns, table.values, strict=True)
        ],
        dtype=bool,
    )
    truth = np.zeros(table.combinations)
    for place, (columns, values) in enumerate(zip(table.columns, table.values, strict=True)):
        used = columns != ABSENT
        truth[place] = real[int(used.sum())][tuple(columns[used].tolist())][tuple(values[used].tolist())]
    held = (truth >= np.round(table.low, 1)) & (truth <= np.round(table.high, 1))
    rows = []
    for length in (1, 2, 3):
        for low, high in itertools.pairwise(EDGES):
            chosen = known & (table.lengths == length) & (table.estimate >= low) & (table.estimate < high)
            half = (table.high - table.estimate)[chosen]
            rows.append(
                {
                    "length": length,
                    "low": low,
                    "shown": int(chosen.sum()),
                    "held": int(held[chosen].sum()),
                    "small": int((truth[chosen] < 10).sum()),
                    "absent": int((truth[chosen] == 0).sum()),
                    "half_width": float(half.sum()),
                    "relative": float((half / table.estimate[chosen]).sum()),
                }
            )
    return rows


def one_run(data: str, epsilon: float) -> list[dict[str, float]]:
    """Release once and judge its intervals."""
    frame, domain = people_of(data, seed=1)
    n = len(frame)
    codes = codes_of(frame, domain)
    real = {length: tables(codes, domain.sizes, length) for length in (1, 2, 3)}
    made = release(frame, domain, person=EACH_ROW, epsilon=epsilon, people_cap=1 << 24, delta=1 / (n * math.log(n)))
    return bucket_rows(made.synthesis, real)


def measured(data: str, epsilon: float, run: int, digest: str, fresh: bool) -> list[dict[str, float]]:
    """Return the buckets of one release, from a process of its own."""

    def measure() -> dict[str, Any]:
        child = [sys.executable, __file__, "--child", data, str(epsilon)]
        quiet = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(child, check=True, stdout=subprocess.PIPE, text=True, env=quiet)
        return {"buckets": json.loads(done.stdout)}

    asked = {"what": "intervals", "data": data, "epsilon": epsilon, "run": run}
    rows: list[dict[str, float]] = kept_row(asked, digest, measure, fresh=fresh)["buckets"]
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", action="append")
    parser.add_argument("--epsilon", action="append", type=float)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--fresh", action="store_true", help="measure rows again that are known")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(one_run(options.child[0], float(options.child[1]))))
        return
    digest = engine_digest(*SCRIPTS)
    print(
        "| data | eps | length | estimate | intervals, all runs | held | in the worst run | true count below 10 | half width | of the estimate |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for data in options.data or ["generated-50000", "adult", "complaints"]:
        for epsilon in options.epsilon or [1.0, 4.0]:
            with ThreadPoolExecutor(options.processes) as pool:
                runs = list(
                    pool.map(
                        lambda run, d=data, e=epsilon: measured(d, e, run, digest, options.fresh), range(options.runs)
                    )
                )
            _print(data, epsilon, runs)


def _print(data: str, epsilon: float, runs: list[list[dict[str, float]]]) -> None:
    """Print the buckets of one dataset and epsilon, and all of them together."""
    width = len(runs[0])
    for place in [*range(width), None]:
        parts = [run[place] if place is not None else _together(run) for run in runs]
        total = _together(parts)
        if not total["shown"]:
            continue
        worst = min(part["held"] / part["shown"] for part in parts if part["shown"])
        if place is None:
            name = "| all | |"
        else:
            first = runs[0][place]
            low, high = int(first["low"]), EDGES[EDGES.index(first["low"]) + 1]
            name = (
                f"| {int(first['length'])} | {low:,} to {high:,.0f} |"
                if high < math.inf
                else f"| {int(first['length'])} | {low:,} and more |"
            )
        print(
            f"| {data} | {epsilon:g} {name} {int(total['shown']):,} | {total['held'] / total['shown']:.3f} | {worst:.3f} | "
            f"{total['small'] / total['shown']:.1%} | {total['half_width'] / total['shown']:.1f} | {total['relative'] / total['shown']:.0%} |",
            flush=True,
        )


def _together(parts: list[dict[str, float]]) -> dict[str, float]:
    return {
        name: sum(part[name] for part in parts)
        for name in ("shown", "held", "small", "absent", "half_width", "relative")
    }


if __name__ == "__main__":
    main()
