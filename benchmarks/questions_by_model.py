"""What earlier answers are worth to a later question, by least squares over tables and by the latent class model of releases; for ADR 0016.

    python benchmarks/questions_by_model.py [--runs 5]

A few columns of made-up people (their generator is a latent class model itself) and of real ones (Adult); long lists are cut to 40 values. Some questions are asked first, then another one that overlaps with them and is none of them. Its numbers are
estimated four ways from the same noise: by its own table, by least squares over all tables, by a latent class model fitted to its own table, and by one fitted to all tables.
Errors are root mean squares in people, over all numbers and over those that an answer shows. Intervals are those of least squares, also around the model's estimates: how often they hold the truth, over all numbers and over
the tenth of the numbers on which the model is worst (the same numbers in every run: chosen by the mean of the model's errors in the other runs).
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from engine import people_of
from numpy.typing import NDArray

from casesynth.answers import AnswerPlan, CountTable, helping, measure_answer, parse_question, plan_answer
from casesynth.answers.by_facts import ByFacts
from casesynth.answers.families import shown_families
from casesynth.answers.hiding import MINIMUM, threshold_sigmas
from casesynth.answers.plan import NORMAL, grid_of
from casesynth.contrasts import combine
from casesynth.domain import Domain
from casesynth.measure import Measurement
from casesynth.model import fit
from casesynth.persons import PersonTable
from casesynth.privacy import Receipt
from casesynth.seeded import measurements_digest

LISTED = 40
By = tuple[str, ...]
ASKED: dict[str, tuple[tuple[By, ...], tuple[By, ...]]] = {
    "generated-200000": (
        (
            ("gender", "CountryOfExploitation"),
            ("ageBroad", "yearOfRegistration"),
            ("gender", "traffickMonths"),
            ("ageBroad", "CountryOfExploitation"),
        ),
        (("gender", "ageBroad"), ("gender", "yearOfRegistration"), ("yearOfRegistration", "CountryOfExploitation")),
    ),
    "adult": (
        (
            ("education-num", "workclass"),
            ("age", "occupation"),
            ("marital-status", "occupation"),
            ("marital-status", "relationship"),
        ),
        (
            ("education-num", "occupation"),
            ("age", "marital-status"),
            ("workclass", "relationship"),
            ("education-num", "age"),
        ),
    ),
}
"""Per data set: the questions that are asked first, and those that each are asked then."""

WITHIN = 25.0

Floats = NDArray[np.float64]
Noisy = tuple[CountTable, NDArray[np.int64]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    print(
        "| data | asked then | numbers | table alone | least squares | model, own table | model, all tables | shown: least squares | shown: model | "
        "held: least squares | held: model | worst tenth: least squares | worst tenth: model | model, CPU s |"
    )
    print("|" + "---|" * 14)
    for data, (first, then) in ASKED.items():
        domain, table = _people(data, {name for by in (*first, *then) for name in by})
        for by in then:
            _compare(data, domain, table, first, by, runs)
    print(f"\nEvery question within {WITHIN:g} people; {runs} runs. Asked first:")
    for data, (first, _) in ASKED.items():
        print(f"{data}: {'; '.join(' x '.join(by) for by in first)}.")


def _compare(data: str, domain: Domain, table: PersonTable, before: tuple[By, ...], then: By, runs: int) -> None:
    places = [[column.name for column in domain.columns].index(name) for name in then]
    sizes = [domain.columns[place].size for place in places]
    exact = np.zeros(sizes)
    np.add.at(exact, tuple(table.columns[place].astype(np.int64) for place in places), 1.0)
    found: dict[str, list[Floats]] = {"alone": [], "squares": [], "own": [], "all": []}
    halves: list[Floats] = []
    seen: list[NDArray[np.bool_]] = []
    seconds: list[float] = []
    for _ in range(runs):
        first = [noisy for by in before for noisy in _asked(domain, table, by)[1]]
        plan, own = _asked(domain, table, then)
        found["alone"].append(own[0][1].astype(np.float64))
        shown = shown_families(plan.question)[0]
        estimate = grid_of(shown, ByFacts.of([*own, *helping(plan.question, first)]), plan.question.where)
        found["squares"].append(estimate.values(shown.rows))
        deviations = np.sqrt(estimate.covariance(shown.rows, shown.rows))
        halves.append(NORMAL * deviations)
        seen.append(found["squares"][-1] >= np.maximum(MINIMUM, threshold_sigmas(plan.question) * deviations))
        found["own"].append(_modelled(domain, own, places))
        started = time.process_time()
        found["all"].append(_modelled(domain, [*own, *first], places))
        seconds.append(time.process_time() - started)
    errors = {name: np.stack(values) - exact for name, values in found.items()}
    size = {name: float(np.sqrt(np.mean(np.square(gaps)))) for name, gaps in errors.items()}
    inside = {name: np.abs(errors[name]) <= np.stack(halves) for name in ("squares", "all")}
    tenth = []
    for name in ("squares", "all"):
        held = []
        for run in range(runs):
            others = np.abs(np.delete(errors["all"], run, axis=0).mean(axis=0))
            worst = others >= np.quantile(others, 0.9)
            held.append(inside[name][run][worst])
        tenth.append(float(np.concatenate(held).mean()))
    print(
        f"| {data} | {' x '.join(then)} | {exact.size} | "
        + " | ".join(f"{size[name]:.1f}" for name in ("alone", "squares", "own", "all"))
        + " | "
        + " | ".join(f"{np.sqrt(np.mean(np.square(errors[name][np.stack(seen)]))):.1f}" for name in ("squares", "all"))
        + " | "
        + " | ".join(f"{100 * share:.1f} %" for share in (inside["squares"].mean(), inside["all"].mean(), *tenth))
        + f" | {min(seconds):.1f} |",
        flush=True,
    )


def _asked(domain: Domain, table: PersonTable, by: By) -> tuple[AnswerPlan, list[Noisy]]:
    question = parse_question({"by": list(by), "accuracy": {"within_people": WITHIN}}, domain)
    plan = plan_answer(question, people_cap=1_000_000)
    tables, _ = measure_answer(
        plan, domain, charge=lambda loss: Receipt(charge_id="benchmark", loss=loss), open_rows=lambda _: table
    )
    return plan, [(found.table, found.values) for found in tables]


def _modelled(domain: Domain, tables: list[Noisy], places: list[int]) -> Floats:
    """Fit the model of releases to noisy tables over whole columns; return its numbers over some columns."""
    names = [column.name for column in domain.columns]
    used = sorted({names.index(split.attribute) for table, _ in tables for split in table.splits})
    measured = []
    for table, values in tables:
        clique = [used.index(names.index(split.attribute)) for split in table.splits]
        order = np.argsort(clique)
        measured.append(
            Measurement(clique=tuple(sorted(clique)), values=values.transpose(order), nano_rho=table.nano_rho)
        )
    contrasts = combine(measured, [domain.columns[place].size for place in used])
    model = fit(contrasts, measurements_digest(measured))
    return model.marginal([used.index(place) for place in places])


def _people(data: str, names: set[str]) -> tuple[Domain, PersonTable]:
    """Return people over few columns, long lists cut to the values that most have."""
    frame, _ = people_of(data, seed=1)
    values: dict[str, list[str]] = {}
    codes = []
    for name in sorted(names):
        cells = frame[name].astype(str)
        often = [str(value) for value in cells.value_counts().index if value][: LISTED - 2]
        values[name] = [*often, "others"]
        places = {value: number + 1 for number, value in enumerate(values[name])}
        codes.append(np.array([0 if not cell else places.get(cell, len(values[name])) for cell in cells], np.uint8))
    return Domain.declare(values), PersonTable(columns=tuple(codes))


if __name__ == "__main__":
    main()
