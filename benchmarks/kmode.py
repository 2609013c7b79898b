"""The k-synthetic mode: time, memory and what the file keeps, on generated people.

python benchmarks/kmode.py                 20,000 people, both modes
python benchmarks/kmode.py --full          200,000 people, both modes

Every run checks the file against its promises (`casesynth.kanonymity.check`), so a row that is printed kept them. pairs rel: mean relative error of
the counts of two values together that 10 people or more share; pairs gone: the share of those that the file lacks; inflation: records per person.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import subprocess
import sys
import time

import numpy as np
from numpy.typing import NDArray

from casehaven.generate.population import generate_population
from caseschemas import load_schema
from casesynth.codes import Codes
from casesynth.domain import Domain
from casesynth.encode import encode
from casesynth.kanonymity import k_synthetic
from casesynth.persons import PersonTable


def main() -> None:
    """Print one row per mode, each measured in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="200,000 people")
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--one", choices=["seeded", "unseeded"], help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    people = 200_000 if chosen.full else 20_000
    if chosen.one:
        print(json.dumps(_measured(chosen.one, people, chosen.k)))
        return
    print("| people x columns | k | mode | CPU s | wall s | peak MB | inflation | pairs rel | pairs gone |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for mode in ("seeded", "unseeded"):
        script = [sys.executable, __file__, "--one", mode, "--k", str(chosen.k), *(["--full"] if chosen.full else [])]
        found = json.loads(subprocess.run(script, check=True, stdout=subprocess.PIPE, text=True).stdout)
        print(
            f"| {people:,} x {found['columns']} | {chosen.k} | {mode} | {found['cpu']:.1f} | {found['wall']:.1f} | {found['peak']:.0f} "
            f"| {found['inflation']:.2f} | {found['relative']:.2f} | {found['gone']:.1%} |"
        )


def _measured(mode: str, people: int, k: int) -> dict[str, float]:
    domain = Domain.from_schema(load_schema("ctdc-global"))
    table = PersonTable(columns=encode(generate_population(people, 1), domain, person=None).columns)
    cpu, wall = time.process_time(), time.monotonic()
    made = k_synthetic(table, domain, k=k, mode="seeded" if mode == "seeded" else "unseeded")
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    records = made.coded(domain)
    relative, gone, large = 0.0, 0, 0
    for i, j in itertools.combinations(range(len(domain.sizes)), 2):
        true, given = _pairs(table.columns, i, j, domain), _pairs(records, i, j, domain)
        shared = true >= 10
        large += int(shared.sum())
        gone += int((given[shared] == 0).sum())
        relative += float((np.abs(given[shared] - true[shared]) / true[shared]).sum())
    return {
        "columns": len(domain.sizes),
        "cpu": cpu,
        "wall": wall,
        "peak": peak,
        "inflation": made.records / people,
        "relative": relative / large,
        "gone": gone / large,
    }


def _pairs(columns: tuple[Codes, ...], i: int, j: int, domain: Domain) -> NDArray[np.int64]:
    joined = columns[i].astype(np.int64) * domain.sizes[j] + columns[j]
    size = domain.sizes[i] * domain.sizes[j]
    return np.bincount(joined, minlength=size).reshape(domain.sizes[i], domain.sizes[j])[1:, 1:]


if __name__ == "__main__":
    main()
