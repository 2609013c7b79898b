"""How good the expectations of `casehaven plan` are: releases of generated people beside what was expected of them from public facts alone.

Each release runs in a process of its own. Measured are all combinations of one and two columns, and of 600 triples of columns: for those that about so many
people have, how far off 19 of 20 estimates are at most, and which part is shown. "Left out" means that the formula was fitted to the other schemas only, and
then held against this one: that is the honest comparison for a schema of one's own.

    python benchmarks/feasibility.py
    python benchmarks/feasibility.py --fit      prints the constants of casesynth/feasibility/expected.py
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from engine import NARROW, WRITTEN, codes_of
from numpy.typing import NDArray
from rows import engine_digest

from casehaven.generate import generate_population
from caseschemas import load_schema
from casesynth.aggregates import LENGTH, MINIMUM
from casesynth.api import EACH_ROW, release
from casesynth.counting import count
from casesynth.domain import Domain, known_values
from casesynth.feasibility.expected import SIZES, expected_error, feasibility, noise_by_length, shown_from
from casesynth.plan import ReleasePlan

ROOT = Path(__file__).resolve().parents[1]
TRIPLES = 600
FEWEST = 12
"""Combinations of about one size that a quantile is taken of."""
NEAR = 1.35
"""About so many people: from the size divided by this to the size times this."""

SETTINGS = (
    ("ctdc-global, 12 columns", 1_000), ("ctdc-global, 12 columns", 5_000), ("ctdc-global, 12 columns", 50_000),
    ("ctdc-global", 2_000), ("ctdc-global", 10_000), ("ctdc-global", 50_000), ("ctdc-global", 200_000),
    ("ctdc-victim-perpetrator", 6_000), ("htcds-2.0", 4_000), ("htcds-2.0", 20_000),
    ("adult", 5_000), ("adult", 40_000), ("complaints", 3_000), ("complaints", 20_000),
)  # fmt: skip
EPSILONS = (0.5, 1.0, 2.0, 4.0, 8.0)


def domain_of(data: str) -> Domain:
    """Return the public value lists of a schema, or of its first columns."""
    name = data.partition(",")[0]
    written = WRITTEN / f"{name}.json"
    domain = Domain.from_schema(load_schema(str(written) if written.exists() else name))
    if "," not in data:
        return domain
    return Domain(attributes=tuple(domain.attribute(name) for name in NARROW), source="part of ctdc-global")


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one release made of combinations of one length and about one size."""

    data: str
    people: int
    epsilon: float
    length: int
    size: int
    error: float
    """How far off 19 of 20 estimates are at most, in people."""
    shown: float
    """Part that is shown."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One release."""

    rows: tuple[Row, ...]
    share_shown: tuple[float | None, ...]
    """Per length: of the combinations that 10 and more people have, the part that is shown."""


def measured(data: str, people: int, epsilon: float) -> Outcome:
    """Release generated people once and compare with them."""
    name = data.partition(",")[0]
    written = WRITTEN / f"{name}.json"
    domain = domain_of(data)
    frame = generate_population(people, 1, load_schema(str(written) if written.exists() else name))
    frame = frame[[attribute.name for attribute in domain.attributes]]
    codes, known = codes_of(frame, domain), known_values(domain)
    made = release(frame, domain, person=EACH_ROW, epsilon=epsilon, people_cap=2 * people).synthesis
    columns = range(len(domain.sizes))
    rows: list[Row] = []
    shares: list[float | None] = []
    for length in range(1, LENGTH + 1):
        cliques = list(itertools.combinations(columns, length))
        order = np.random.Generator(np.random.PCG64(0)).permutation(len(cliques))[:TRIPLES]
        cliques = [cliques[place] for place in sorted(order)]
        real = {m.clique: m.counts for m in count([codes], cliques, domain.sizes)}
        inside = [np.ix_(*(known[column] for column in clique)) for clique in cliques]
        truth = np.concatenate([real[clique][at].ravel() for clique, at in zip(cliques, inside, strict=True)])
        guess = np.concatenate([made.model.marginal(clique, known).ravel() for clique in cliques])
        half = made.errors.half_width(np.full(len(guess), length), guess)
        shown = (guess >= MINIMUM) & (guess - half >= 1)
        large = truth >= MINIMUM
        shares.append(float(shown[large].mean()) if large.sum() >= FEWEST else None)
        for size in SIZES:
            near = (truth >= size / NEAR) & (truth < size * NEAR)
            if near.sum() >= FEWEST:
                error = float(np.quantile(np.abs(guess - truth)[near], 0.95))
                rows.append(
                    Row(data=data, people=people, epsilon=epsilon, length=length, size=size, error=error, shown=float(shown[near].mean()))
                )  # fmt: skip
    return Outcome(rows=tuple(rows), share_shown=tuple(shares))


def all_outcomes(work: Path) -> dict[tuple[str, int, float], Outcome]:
    """Return every release, made in a process of its own where this engine has not made it yet."""
    work = work / engine_digest()[:16]
    work.mkdir(parents=True, exist_ok=True)
    found = {}
    for data, people in SETTINGS:
        for epsilon in EPSILONS:
            if people >= 200_000 and epsilon not in (1.0, 4.0):
                continue
            path = work / f"{data.replace(', ', '-').replace(' ', '-')}-{people}-{epsilon:g}.json"
            if not path.exists():
                child = [sys.executable, __file__, "--child", data, str(people), str(epsilon), str(path)]
                subprocess.run(child, check=True)
            stored = json.loads(path.read_text(encoding="utf-8"))
            found[data, people, epsilon] = Outcome(
                rows=tuple(Row(**row) for row in stored["rows"]), share_shown=tuple(stored["share_shown"])
            )
    return found


def noises(data: str, people: int, epsilon: float) -> tuple[float, ...]:
    """Return the noise of each length, as `casehaven plan` sees it."""
    return noise_by_length(ReleasePlan.make(domain_of(data), epsilon=epsilon, people_cap=2 * people))


def half_shown(rows: list[Row]) -> float | None:
    """Return the size at which half of the combinations are shown, between the sizes that were looked at; None where there is none."""
    rows = sorted(rows, key=lambda row: row.size)
    for place, row in enumerate(rows):
        if row.shown >= 0.5:
            if place == 0:
                return MINIMUM
            before = rows[place - 1]
            part = (0.5 - before.shown) / (row.shown - before.shown)
            return math.exp(math.log(before.size) * (1 - part) + math.log(row.size) * part)
    return None


Designs = dict[int, tuple[list[str], NDArray[np.float64], NDArray[np.float64]]]
"""Per length: which schema, the terms, and the logarithm of what was measured."""


def error_designs(outcomes: dict[tuple[str, int, float], Outcome]) -> Designs:
    """Return the terms of the formula of errors."""
    found: Designs = {}
    for length in range(1, LENGTH + 1):
        names, terms, logs = [], [], []
        for (data, people, epsilon), outcome in outcomes.items():
            s = math.log(noises(data, people, epsilon)[length - 1])
            for row in outcome.rows:
                if row.length == length:
                    c = math.log(row.size)
                    names.append(data)
                    terms.append((1, s, c, s * c, c * c))
                    logs.append(math.log(row.error))
        found[length] = (names, np.array(terms), np.array(logs))
    return found


def shown_designs(outcomes: dict[tuple[str, int, float], Outcome]) -> Designs:
    """Return the terms of the formula of what is shown."""
    found: Designs = {}
    for length in range(1, LENGTH + 1):
        names, terms, logs = [], [], []
        for (data, people, epsilon), outcome in outcomes.items():
            start = half_shown([row for row in outcome.rows if row.length == length])
            if start is not None:
                s = math.log(noises(data, people, epsilon)[length - 1])
                names.append(data)
                terms.append((1, s, s * s))
                logs.append(math.log(start))
        found[length] = (names, np.array(terms), np.array(logs))
    return found


def fitted(terms: NDArray[np.float64], logs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the constants of a formula, by least squares on logarithms."""
    constants: NDArray[np.float64] = np.linalg.lstsq(terms, logs, rcond=None)[0].astype(np.float64)
    return constants


def left_out(designs: Designs, floor: float = 0.0) -> dict[int, NDArray[np.float64]]:
    """Return, per length, the logarithm of measured over expected, each schema held against the formula of the others."""
    found: dict[int, NDArray[np.float64]] = {}
    for length, (names, terms, logs) in designs.items():
        schemas = np.array([name.partition(",")[0] for name in names])
        gaps: NDArray[np.float64] = np.zeros(len(logs))
        for schema in sorted(set(schemas)):
            here = schemas == schema
            expected: NDArray[np.float64] = np.maximum(terms[here] @ fitted(terms[~here], logs[~here]), floor)
            gaps[here] = logs[here] - expected
        found[length] = gaps
    return found


def print_constants(outcomes: dict[tuple[str, int, float], Outcome]) -> None:
    """Print the constants of the formulas, fitted to everything."""
    for name, designs in (("_ERROR", error_designs(outcomes)), ("_SHOWN_FROM", shown_designs(outcomes))):
        for length, (_, terms, logs) in designs.items():
            print(name, length, [round(float(number), 3) for number in fitted(terms, logs)])
    for length in range(1, LENGTH + 1):
        powers = []
        for outcome in outcomes.values():
            start, share = half_shown([r for r in outcome.rows if r.length == length]), outcome.share_shown[length - 1]
            if start is not None and start > 1.05 * MINIMUM and share:
                powers.append(math.log(share) / math.log(MINIMUM / start))
        print("_TAIL", length, round(float(np.median(powers)), 2))


def print_tables(outcomes: dict[tuple[str, int, float], Outcome]) -> None:
    """Print how far off the expectations are, and some of them beside what was measured."""
    print(
        "| what is expected | values | comparisons | within 1.5 | within 2 | left out: within 1.5 | left out: within 2 |"
    )
    print("|---|---|---|---|---|---|---|")
    cases = (
        ("error", error_designs(outcomes), 0.0),
        ("shown from", shown_designs(outcomes), math.log(MINIMUM)),
    )
    for name, designs, floor in cases:
        out = left_out(designs, floor)
        for length, (_, terms, logs) in designs.items():
            own = [_expectation(name, length, term) for term in terms]
            gaps = np.abs(logs - np.log(own))
            cells = [float((part < math.log(f)).mean()) for part in (gaps, np.abs(out[length])) for f in (1.5, 2)]
            print(f"| {name} | {length} | {len(logs)} | " + " | ".join(f"{cell:.0%}" for cell in cells) + " |")
    off: list[float] = []
    for (data, people, epsilon), outcome in outcomes.items():
        expected = feasibility(ReleasePlan.make(domain_of(data), epsilon=epsilon, people_cap=2 * people), people)
        off += [abs(a - b.share_shown) for a, b in zip(outcome.share_shown, expected.lengths, strict=True) if a is not None]  # fmt: skip
    print(f"\nShare shown, of combinations that 10 and more people have: {len(off)} comparisons, "
          f"off by {np.median(off):.2f} in the middle one and by {np.quantile(off, 0.9):.2f} at most in nine of ten.\n")  # fmt: skip
    print("| generated people | epsilon | values | count | error expected | measured | shown expected | measured |")
    print("|---|---|---|---|---|---|---|---|")
    for (data, people, epsilon), outcome in outcomes.items():
        if epsilon not in (1.0, 4.0):
            continue
        noise = noises(data, people, epsilon)
        for length in (2, 3):
            start = half_shown([row for row in outcome.rows if row.length == length])
            for size in (100, 1000):
                row = next((row for row in outcome.rows if (row.length, row.size) == (length, size)), None)
                if row is not None:
                    seen = "-" if start is None else f"{start:.0f}"
                    print(f"| {people:,}, {data} | {epsilon:g} | {length} | {size:,} | "
                          f"{expected_error(length, noise[length - 1], size):.0f} | {row.error:.0f} | "
                          f"{shown_from(length, noise[length - 1])} | {seen} |")  # fmt: skip


def _expectation(name: str, length: int, term: NDArray[np.float64]) -> float:
    noise = math.exp(term[1])
    return expected_error(length, noise, math.exp(term[2])) if name == "error" else shown_from(length, noise)


def main() -> None:
    """Run what is not stored, and print the tables, or the constants."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fit", action="store_true", help="print the constants instead of the tables")
    parser.add_argument("--work", type=Path, default=ROOT / ".cache" / "bench-feasibility")
    parser.add_argument("--child", nargs=4, metavar=("DATA", "PEOPLE", "EPSILON", "OUT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        data, people, epsilon, out = options.child
        Path(out).write_text(json.dumps(asdict(measured(data, int(people), float(epsilon)))), encoding="utf-8")
        return
    outcomes = all_outcomes(options.work)
    (print_constants if options.fit else print_tables)(outcomes)


if __name__ == "__main__":
    main()
