"""Attacks on synthetic records of generated people (privacy rule 31): ours, and a k-synthetic file and broken engines that must fail, so that the attacks have power.

Singling out, linkability and inference are made twice: by `casesynth.evaluation.attacks`, and by anonymeter in an environment of its own, installed from the versions that
benchmarks/attackers names; on two of the files, because it is slow; where it does not install that is said. How many people it attacks decides what can be said:
with 20,000 people and as many control people the interval of the inference of one attribute is 2 % to each side where half of the guesses are right, with 10,000 it is 3 %; where nearly
all guesses are right because nearly everybody is alike, it is so wide that nothing can be said. anonymeter infers each column from all others; a column takes 1.1 CPU seconds with 2,500 people and
grows with the square, so all 27 take eight minutes with 10,000. Control people are another sample of the same population, who were really left out. Then membership inference on the worst outlier:
a person with values that nobody else has, and an attacker who knows everybody else. The known way into a k-synthetic file is tried, too: k - 1 people of the attacker's own making beside the outlier.

    python benchmarks/attacks.py --by ours
    python benchmarks/attacks.py --by anonymeter --people 10000
    python benchmarks/attacks.py --by membership
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from engine import codes_of, people_of
from environments import NotInstalled, environment

from casesynth.api import EACH_ROW, release
from casesynth.codes import Codes
from casesynth.counting import count_signed
from casesynth.domain import Domain
from casesynth.evaluation.attacks import RISK_LIMIT, attack_all
from casesynth.evaluation.membership import FALSE_POSITIVES, Membership, evidence, judge_scores, threshold_of
from casesynth.kanonymity import k_synthetic
from casesynth.measure import Measurement, measure
from casesynth.persons import PersonTable
from casesynth.plan import ReleasePlan
from casesynth.privacy import Receipt

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache" / "attackers"
HERE = Path(__file__).resolve().parent / "attackers"
ATTACKER = "anonymeter_attacks"
K = 10
SLOWLY_ATTACKED = {"ours, epsilon 4": 1 << 20, "broken: every second record copied": 2000}
"""Files that anonymeter attacks, too, and how many people at most: of a file that fails by far a few show it."""
LIMIT_SECONDS = 3600


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One attack on one file."""

    attack: str
    about: str
    real: float
    control: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class World:
    """People who were in the data, and people who were not."""

    domain: Domain
    frame: pd.DataFrame
    real: tuple[Codes, ...]
    control: tuple[Codes, ...]


def world(people: int, *, seed: int = 1) -> World:
    """Return generated people and control people; other people with every odd seed."""
    frame, domain = people_of(f"generated-{people}", seed=seed)
    control = codes_of(people_of(f"generated-{people}", seed=seed + 1)[0], domain)
    return World(domain=domain, frame=frame, real=codes_of(frame, domain), control=control)


def attacked_files(there: World) -> Iterator[tuple[str, tuple[Codes, ...]]]:
    """Yield every file that is attacked: ours first, then those that must fail somewhere."""
    for epsilon in (1.0, 4.0):
        made = release(there.frame, there.domain, person=EACH_ROW, epsilon=epsilon, people_cap=1 << 20)
        yield f"ours, epsilon {epsilon:g}", made.synthesis.records
    kept = k_synthetic(PersonTable(columns=there.real), there.domain, k=K, seed=bytes(32))
    yield f"k-synthetic, k {K}", kept.coded(there.domain)
    half = len(there.real[0]) // 2
    records = made.synthesis.records
    yield (
        "broken: every second record copied",
        tuple(np.concatenate([a[:half], b[half:]]) for a, b in zip(there.real, records, strict=True)),
    )
    yield "broken: all records copied", there.real


def our_verdicts(there: World, synthetic: Sequence[Codes]) -> list[Verdict]:
    """Attack a file with the attacks of the private report."""
    names = [column.name for column in there.domain.columns]
    risks = attack_all(synthetic, there.real, there.control, sizes=there.domain.sizes, names=names, seed=b"benchmark")
    return [
        Verdict(attack=r.attack, about="all" if r.attack == "inference" else "", real=r.real.value, control=r.control.value, low=r.lower, high=r.upper)
        for r in risks
        if not r.about
    ]  # fmt: skip


def interpreter() -> Path:
    """Return the interpreter of anonymeter's environment, installing it when it is not there.

    Raises:
        NotInstalled: it cannot be installed here.
    """
    return environment(HERE / f"{ATTACKER}.txt", CACHE)


def shown(codes: Sequence[Codes], domain: Domain) -> pd.DataFrame:
    """Return coded people as anonymeter gets them: one text column per column of the domain."""
    return pd.DataFrame(
        {
            column.name: np.array(column.values, dtype=object)[code]
            for column, code in zip(domain.columns, codes, strict=True)
        }
    )


def anonymeter_verdicts(
    there: World,
    synthetic: Sequence[Codes],
    *,
    attacks: int = 2000,
    queries: int = 2000,
    secrets: Sequence[str] | None = None,
) -> list[Verdict]:
    """Attack a file with anonymeter.

    Args:
        there: the people.
        synthetic: the file.
        attacks: people whom linkability and inference attack, and as many control people.
        queries: combinations that singling out tries.
        secrets: columns that are inferred from all others, one by one; None: each.

    Raises:
        NotInstalled: it cannot be installed here.
    """
    python = interpreter()
    with tempfile.TemporaryDirectory(dir=CACHE) as work:
        return _attacked(python, Path(work), there, synthetic, attacks, queries, secrets)


def _attacked(
    python: Path,
    work: Path,
    there: World,
    synthetic: Sequence[Codes],
    attacks: int,
    queries: int,
    secrets: Sequence[str] | None,
) -> list[Verdict]:
    names = [column.name for column in there.domain.columns]
    for name, codes in (("real", there.real), ("synthetic", synthetic), ("control", there.control)):
        shown(codes, there.domain).to_csv(work / f"{name}.csv", index=False)
    task = {
        "attacks": attacks, "queries": queries, "widths": [3], "halves": [names[::2], names[1::2]],
        "secrets": names if secrets is None else list(secrets), "seed": 1,
    }  # fmt: skip
    (work / "task.json").write_text(json.dumps(task), encoding="utf-8")
    files = [work / name for name in ("real.csv", "synthetic.csv", "control.csv", "task.json")]
    done = subprocess.run(
        [python, "-I", HERE / f"{ATTACKER}.py", *files],
        capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"anonymeter ended with {done.returncode}: {done.stderr[-2000:]}")
    return [
        Verdict(attack=f["attack"], about=f["about"], real=f["real"], control=f["control"], low=f["low"], high=f["high"])
        for f in json.loads(done.stdout.splitlines()[-1])
    ]  # fmt: skip


# --- membership ---


def outlier_world() -> tuple[Domain, tuple[Codes, ...], tuple[int, ...]]:
    """Return a small public domain, people with common values, and an outlier whose values nobody has."""
    domain = Domain.declare({"gender": ["woman", "man", "other"], "age": ["0-17", "18-29", "30+", "90+"]})
    random = np.random.Generator(np.random.PCG64(7))
    people = tuple(random.integers(0, size - 1, 200).astype(np.uint16) for size in domain.sizes)
    return domain, people, tuple(size - 1 for size in domain.sizes)


def joined(people: Sequence[Codes], person: Sequence[int], times: int = 1) -> tuple[Codes, ...]:
    """Return people with a person among them, so many times."""
    return tuple(
        np.concatenate([column, np.full(times, value, column.dtype)])
        for column, value in zip(people, person, strict=True)
    )


def best_attacker(epsilon: float, draws: int, *, noise: bool) -> Membership:
    """Let the best attacker guess from all measurements of a release, with and without the outlier."""
    domain, people, outlier = outlier_world()
    plan = ReleasePlan.make(domain, epsilon=epsilon, people_cap=1000)

    def scores(table: tuple[Codes, ...]) -> np.ndarray:
        return np.array([evidence(_measured(plan, table, noise=noise), outlier, domain.sizes) for _ in range(draws)])

    without = scores(people)
    half = len(without) // 2
    return judge_scores(
        scores(joined(people, outlier)),
        without[half:],
        epsilon=epsilon,
        delta=plan.delta,
        threshold=threshold_of(without[:half]),
    )


def _measured(plan: ReleasePlan, people: tuple[Codes, ...], *, noise: bool) -> Sequence[Measurement]:
    if noise:
        return measure(
            plan,
            charge=lambda loss: Receipt(charge_id="attacks", loss=loss),
            open_people=lambda receipt: PersonTable(columns=people),
        )[0]
    marginals = count_signed([people], [table.clique for table in plan.tables], plan.domain.sizes)
    return [
        Measurement(clique=table.clique, values=m.counts, nano_rho=table.nano_rho)
        for table, m in zip(plan.tables, marginals, strict=True)
    ]


def insider(draws: int, epsilon: float) -> Membership:
    """Let somebody who made k - 1 people like the outlier look for records like it in a k-synthetic file."""
    domain, people, outlier = outlier_world()
    worlds = [joined(people, outlier, times) for times in (K, K - 1)]

    def score(table: tuple[Codes, ...], draw: int) -> float:
        records = k_synthetic(PersonTable(columns=table), domain, k=K, seed=draw.to_bytes(32, "big")).coded(domain)
        return float(np.all([column == value for column, value in zip(records, outlier, strict=True)], axis=0).sum())

    one, other = (np.array([score(table, draw) for draw in range(draws)]) for table in worlds)
    return judge_scores(one, other, epsilon=epsilon, delta=1e-6, threshold=0.5)


def main() -> None:
    """Make the attacks asked for and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--by", choices=("ours", "anonymeter", "membership"), required=True, help="which attacks")
    parser.add_argument("--people", type=int, default=6000)
    parser.add_argument("--draws", type=int, default=1500, help="releases with and without the outlier")
    options = parser.parse_args()
    if options.by == "membership":
        _membership(options.draws)
        return
    there = world(options.people)
    if options.by == "anonymeter":
        few = min(options.people, *SLOWLY_ATTACKED.values())
        print(
            f"{options.people:,} people. Of our file all are attacked by linkability and inference, and as many control people; of the copied one {few:,}.\n"
        )
    print("| file | attack | on real people | on control people | risk, 95 % interval | within 5 % |")
    print("|---|---|---|---|---|---|")
    for name, synthetic in attacked_files(there):
        if options.by == "anonymeter" and name not in SLOWLY_ATTACKED:
            continue
        try:
            if options.by == "ours":
                found = our_verdicts(there, synthetic)
            else:
                found = anonymeter_verdicts(there, synthetic, attacks=SLOWLY_ATTACKED[name])
        except NotInstalled as why:
            print(f"| {name} | {why} | | | | |", flush=True)
            continue
        for v in found:
            passes = "yes" if v.high <= RISK_LIMIT else "no" if v.low > RISK_LIMIT else "cannot be said"
            print(
                f"| {name} | {' '.join(filter(None, (v.attack, v.about)))} | {v.real:.1%} | {v.control:.1%} | "
                f"{v.low:.1%} to {v.high:.1%} | {passes} |",
                flush=True,
            )


def _membership(draws: int) -> None:
    print(
        f"| membership of the worst outlier | releases | true positives at {FALSE_POSITIVES:.0%} false positives | allowed | withstands |"
    )
    print("|---|---|---|---|---|")
    for epsilon in (1.0, 4.0):
        _print_membership(f"ours, epsilon {epsilon:g}, all measurements", best_attacker(epsilon, draws, noise=True))
    _print_membership("broken: noise off, said to be epsilon 1", best_attacker(1.0, 200, noise=False))
    _print_membership(f"k-synthetic, k {K}, an insider; epsilon 1 for comparison", insider(200, 1.0))


def _print_membership(name: str, found: Membership) -> None:
    print(
        f"| {name} | {found.with_person:,} | {found.rate:.2%} at {found.false_rate:.2%} | {found.bound:.2%} | {'no' if found.broken else 'yes'} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
