"""Our error beside that of an optimal unbiased mechanism, inside subgroups, and of tables that a steward names.

1. *Alone*: the whole budget for one table, with Gaussian noise. No unbiased mechanism answers it better at the same rho; all other tables stay unasked.
2. *Together*: all tables of one length at once, each contrast with the noise that minimises the summed variance of all cells at the same rho (the closed form
   of ResidualPlanner, which is optimal for marginals among all mechanisms of linear queries and Gaussian noise).
3. Both are what such mechanisms are expected to make, by formula; ours is what releases made. Below 1 ours is closer: it may be biased.
4. A subgroup is the people who have one value; its error is that of the value crossed with every value of every other attribute
   (`casesynth.evaluation.detail`).

    python benchmarks/optimal.py --runs 3
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from engine import Tables, codes_of, exact_tables, people_of
from rows import engine_digest, kept_row

from casesynth.api import EACH_ROW, release
from casesynth.domain import known_values
from casesynth.evaluation.detail import subgroups
from casesynth.evaluation.private import tables
from casesynth.intervals import half_widths
from casesynth.marginals import Clique
from casesynth.privacy.accounting import rho_for
from casesynth.privacy.loss import NANO
from casesynth.synthesis import Synthesis

SIZES = (10, 50, 200, 1000, math.inf)
"""Real counts, from each to below the next."""
GROUPS = (50, 200, 1000, 5000, math.inf)
"""People of a subgroup."""
MEAN = math.sqrt(2 / math.pi)
"""Mean distance of a normal number of variance 1 from its mean."""
NAMED = ("gender", "ageBroad", "isForcedLabour")
SCRIPTS = ("optimal.py", "engine.py")


def alone_sigma(rho: float) -> float:
    """Return the standard deviation of each cell where the whole budget goes to one table."""
    return 1 / math.sqrt(2 * rho)


def together_sigmas(sizes: Sequence[int], length: int, rho: float) -> dict[Clique, float]:
    """Return, for every table of one length, the standard deviation of its cells where all of them are answered at once, optimally.

    With noise of variance v_S for the contrasts of columns S, the loss is sum of p_S / v_S = 2 rho with p_S = prod (n_i - 1) / n_i, and a cell of a table
    T has variance sum over S inside T of v_S p_S / prod of n_j^2 over T without S. The summed variance is least for v_S in proportion to the root of p_S over
    what v_S costs all tables.
    """
    columns = range(len(sizes))
    every = [s for n in range(length + 1) for s in itertools.combinations(columns, n)]
    p = {s: math.prod((sizes[i] - 1) / sizes[i] for i in s) for s in every}
    wanted = list(itertools.combinations(columns, length))
    cost = dict.fromkeys(every, 0.0)
    for table in wanted:
        cells = math.prod(sizes[i] for i in table)
        for part in _parts(table):
            cost[part] += cells * p[part] / math.prod(sizes[i] ** 2 for i in table if i not in part)
    scale = sum(math.sqrt(cost[s] * p[s]) for s in every) / (2 * rho)
    variance = {s: scale * math.sqrt(p[s] / cost[s]) for s in every if cost[s] > 0 and p[s] > 0}
    return {
        table: math.sqrt(
            sum(
                variance.get(part, 0.0) * p[part] / math.prod(sizes[i] ** 2 for i in table if i not in part)
                for part in _parts(table)
            )
        )
        for table in wanted
    }


def _parts(table: Clique) -> list[Clique]:
    return [part for n in range(len(table) + 1) for part in itertools.combinations(table, n)]


def size_rows(made: Synthesis, real: Tables, length: int, rho: float) -> list[dict[str, float]]:
    """Return, per size of the real count, the mean error of our estimates and that of the optimal mechanisms for the same numbers."""
    domain = made.plan.domain
    known = known_values(domain)
    sigmas = together_sigmas(domain.sizes, length, rho)
    gaps, truths, best = [], [], []
    for clique, table in real[length].items():
        truth = table[np.ix_(*(known[i] for i in clique))].ravel()
        gaps.append(np.abs(made.model.marginal(clique, known).ravel() - truth))
        truths.append(truth)
        best.append(np.full(len(truth), sigmas[clique]))
    gap, truth, sigma = (np.concatenate(parts) for parts in (gaps, truths, best))
    rows = []
    for low, high in itertools.pairwise(SIZES):
        inside = (truth >= low) & (truth < high)
        rows.append(
            {
                "count": int(inside.sum()),
                "ours": float(gap[inside].sum()),
                "alone": float(MEAN * alone_sigma(rho) * inside.sum()),
                "together": float(MEAN * sigma[inside].sum()),
            }
        )
    return rows


def group_rows(made: Synthesis, real: Tables) -> list[dict[str, float]]:
    """Return, per size of a subgroup, the mean and the worst relative error of the numbers inside it, and what is shown of them."""
    found = subgroups(real[2], made.model, made.errors, made.plan.domain)
    rows = []
    for low, high in itertools.pairwise(GROUPS):
        inside = [group for group in found if low <= group.people < high]
        rows.append(
            {
                "groups": len(inside),
                "error": sum(group.relative_error for group in inside),
                "worst": max((group.relative_error for group in inside), default=0.0),
                "shown": sum(group.shown for group in inside),
            }
        )
    return rows


def table_row(made: Synthesis, names: Sequence[str]) -> dict[str, float]:
    """Return error, half width and share of held intervals of the cells of one table."""
    domain = made.plan.domain
    columns = [column.name for column in domain.columns]
    clique = tuple(sorted(columns.index(name) for name in names))
    truth = tables(codes_of(people_of("generated-50000", seed=1)[0], domain), domain.sizes, len(clique))[clique]
    inside = np.ix_(*(known_values(domain)[i] for i in clique))
    gap = np.abs(made.model.marginal(clique) - truth)[inside].ravel()
    half = half_widths(made.model, made.errors, clique)[inside].ravel()
    return {"error": float(gap.mean()), "half": float(half.mean()), "held": float((gap <= half).mean())}


def one_run(data: str, epsilon: float, named: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Release once and measure."""
    frame, domain = people_of(data, seed=1)
    people = len(frame)
    delta = 1 / (people * math.log(people))
    made = release(
        frame, domain, person=EACH_ROW, epsilon=epsilon, people_cap=1 << 24, delta=delta, tables=named
    ).synthesis
    if named or data == "generated-50000":
        table = table_row(made, NAMED)
    else:
        table = {}
    real = exact_tables(data)[0]
    rho = rho_for(epsilon, delta) / NANO
    return {
        "sizes": [size_rows(made, real, length, rho) for length in (1, 2, 3)] if not named else [],
        "groups": group_rows(made, real) if not named else [],
        "table": table,
    }


def rows_of(data: str, epsilon: float, runs: int, *, named: bool = False, fresh: bool = False) -> list[dict[str, Any]]:
    """Return what some releases measured; a row of the same code is not measured again."""
    chosen = [NAMED] if named else []
    digest = engine_digest(*SCRIPTS)
    return [
        kept_row(
            {"what": "optimal", "data": data, "epsilon": epsilon, "run": run, "named": named},
            digest,
            lambda: one_run(data, epsilon, chosen),
            fresh=fresh,
        )
        for run in range(runs)
    ]


def total(rows: Sequence[dict[str, float]], name: str) -> float:
    """Return a sum over runs."""
    return sum(row[name] for row in rows)


def _span(low: float, high: float) -> str:
    return f"{low:,.0f} to {high:,.0f}" if high < math.inf else f"{low:,.0f} and more"


def main() -> None:
    """Measure and print three tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", action="append")
    parser.add_argument("--epsilon", action="append", type=float)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--fresh", action="store_true", help="measure rows again that are known")
    options = parser.parse_args()
    asked = list(itertools.product(options.data or ["generated-50000", "adult"], options.epsilon or [1.0, 4.0]))
    found = {key: rows_of(*key, options.runs, fresh=options.fresh) for key in asked}
    print("| data | eps | length | real count | numbers, all runs | mean error, people | over alone | over together |")
    print("|---|---|---|---|---|---|---|---|")
    for (data, epsilon), runs in found.items():
        for length, (place, (low, high)) in itertools.product((1, 2, 3), enumerate(itertools.pairwise(SIZES))):
            rows = [run["sizes"][length - 1][place] for run in runs]
            if count := total(rows, "count"):
                ours = total(rows, "ours")
                print(
                    f"| {data} | {epsilon:g} | {length} | {_span(low, high)} | {count:,.0f} | {ours / count:.1f} | "
                    f"{ours / total(rows, 'alone'):.2f} | {ours / total(rows, 'together'):.3f} |"
                )
    print(
        "\n| data | eps | people of a subgroup | subgroups, all runs | mean relative error inside | of the worst | shown |"
    )
    print("|---|---|---|---|---|---|---|")
    for (data, epsilon), runs in found.items():
        for place, (low, high) in enumerate(itertools.pairwise(GROUPS)):
            rows = [run["groups"][place] for run in runs]
            if groups := total(rows, "groups"):
                print(
                    f"| {data} | {epsilon:g} | {_span(low, high)} | {groups:,.0f} | {total(rows, 'error') / groups:.3f} | "
                    f"{max(row['worst'] for row in rows):.2f} | {total(rows, 'shown') / groups:.0%} |"
                )
    if "generated-50000" not in {data for data, _ in asked}:
        return
    print(f"\n| generated-50000, {' x '.join(NAMED)} | eps | mean error, people | half of an interval, people | held |")
    print("|---|---|---|---|---|")
    for epsilon in dict.fromkeys(epsilon for _, epsilon in asked):
        for said, named in (("as any other", False), ("named", True)):
            rows = [run["table"] for run in rows_of("generated-50000", epsilon, options.runs, named=named, fresh=options.fresh and named)]  # fmt: skip
            mean = {name: total(rows, name) / len(rows) for name in ("error", "half", "held")}
            print(f"| {said} | {epsilon:g} | {mean['error']:.1f} | {mean['half']:.1f} | {mean['held']:.0%} |")


if __name__ == "__main__":
    main()
