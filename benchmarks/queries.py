"""Questions to 200,000 people: what a quote and an answer take, beside the Context of OpenDP over Polars; and what earlier answers are worth.

    python benchmarks/queries.py [--people 200000]

The vault is made anew, with made-up people. Seconds are by the clock and of the work, without the start of Python; the least and the median of some runs.
*Held*: the people are in memory, as in a service's worker; *cold*: a process opens vault, ledger and snapshot for one question.
The peer gets the same people as a Parquet file without encryption or ledger, the same keys and the same rho, in an environment of its own.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from environments import NotInstalled, environment
from peers import CACHE, HERE, ROOT, LeftOut, run_within

BY = ("citizenship", "gender")
EPSILON = 0.5
RUNS = 7

SCRIPT = r"""
import json, resource, sys, time
from pathlib import Path

folder, step, people = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
started, ready = time.perf_counter(), time.process_time()
from casehaven.ledger import BudgetPolicy, IdempotencyKey, Ledger, LedgerPolicy
from casehaven.queries import HeldPeople, Queries
from casehaven.vault.rootkeys import create_file_key, file_key
from casehaven.vault.store import Vault
from caseschemas import load_schema

vault_path, ledger_path = folder / "vault", folder / "ledger.sqlite"
if step == "make":
    from casehaven.intake.uploads import take_in

    vault = Vault.create(vault_path, create_file_key(folder / "root.key"))
    schema = load_schema("ctdc-global")
    take_in(vault, vault.add_dataset("north", "cases", schema, 2 * people), folder / "cases.csv")
    ledger = Ledger.create(ledger_path, LedgerPolicy(account=BudgetPolicy.of("100", "1e-7")))
    ledger.open_dataset("north/cases", ["", *(v.code for v in schema.attribute("yearOfRegistration").values if v.missing is None)])
    raise SystemExit

imported = time.perf_counter(), time.process_time()
vault = Vault.open(vault_path, file_key(folder / "root.key"))
queries = Queries(vault=vault, ledger=Ledger.open(ledger_path), datasets=[vault.dataset("north", "cases")], held=HeldPeople())
opened = time.perf_counter(), time.process_time()
documents = json.loads(sys.argv[4])
if step in ("gain", "frame"):
    import numpy as np
    import pandas as pd
    from casehaven.ledger import ANSWER_PURPOSE
    from casehaven.queries.public_facts import PURPOSE
    from casehaven.vault.snapshots import snapshot
    from casesynth.answers import answer_rows, helping, measure_answer, parse_question, plan_answer
    from casesynth.privacy import PrivacyLoss, Receipt

    paid = queries.ledger.charge(  # the vault refuses a ledger that misses a charge it was opened under
        key=IdempotencyKey.create(), body={"opened": step}, datasets=["north/cases"], blocks=[""], loss=PrivacyLoss(nano_rho=1), purpose=ANSWER_PURPOSE
    )
    table = snapshot(vault, queries.datasets, PURPOSE).open(paid)
    domain = queries.datasets[0].domain
    if step == "frame":
        columns = {c.name: np.array(c.values, object)[codes] for c, codes in zip(domain.columns, table.columns) if c.name in documents}
        pd.DataFrame(columns).to_parquet(folder / "people.parquet")
        lists = [next(c.values for c in domain.columns if c.name == name) for name in documents]
        pd.MultiIndex.from_product(lists, names=documents).to_frame(index=False).to_parquet(folder / "keys.parquet")
        raise SystemExit
    first, then = ({**document, "accuracy": accuracy} for document, accuracy in documents)
    codes = next(codes for c, codes in zip(domain.columns, table.columns) if c.name == then["by"][0])
    values = domain.attribute(then["by"][0]).values
    exact = dict(zip(values, np.bincount(codes, minlength=len(values)).tolist()))

    def answered(document, earlier):
        question = parse_question(document, domain)
        plan = plan_answer(question, people_cap=2 * people, paid=[t for t, _ in helping(question, earlier)])
        tables, _ = measure_answer(plan, domain, charge=lambda loss: Receipt(charge_id="benchmark", loss=loss), open_rows=lambda _: table)
        own = [(t.table, t.values) for t in tables]
        rows = answer_rows(question, [*own, *helping(question, earlier)])
        gaps = [row.estimate - exact[row.cell[0][1]] for row in rows if row.estimate is not None] if len(question.by) == 1 else []
        return own, gaps, plan

    errors = {"alone": [], "after": []}
    for _ in range(40):
        earlier, _, _ = answered(first, [])
        errors["alone"] += answered(then, [])[1]
        errors["after"] += answered(then, earlier)[1]
    sharp = {**then, "accuracy": {"within_people": 12}}
    prices = [
        plan_answer(parse_question(sharp, domain), people_cap=2 * people, paid=[t for t, _ in paid]).nano_rho / 1e9
        for paid in ([], helping(parse_question(sharp, domain), earlier))
    ]
    print(json.dumps([float(np.sqrt(np.mean(np.square(errors[k])))) for k in ("alone", "after")] + prices))
    raise SystemExit
found = {"imports": [imported[0] - started, imported[1] - ready], "open": [a - b for a, b in zip(opened, imported)], "seconds": [], "quotes": [], "cells": 0}
for number, document in enumerate(documents):
    before, busy = time.perf_counter(), time.process_time()
    question = queries.parse(document)
    quote = queries.quote(question)
    found["quotes"].append([time.perf_counter() - before, time.process_time() - busy])
    if step != "quote":
        before, busy = time.perf_counter(), time.process_time()
        asked = queries.ask(question, IdempotencyKey(text=f"{step}-{number}-of-the-benchmark"))
        found["seconds"].append([time.perf_counter() - before, time.process_time() - busy])
        assert asked.charged is not None
        found["cells"], found["rho"] = quote.plan.cells, quote.plan.nano_rho / 1e9
        found["rows_shown"] = len(asked.answer["rows"])
used = resource.getrusage(resource.RUSAGE_SELF)
found |= {"cpu": used.ru_utime + used.ru_stime, "mb": used.ru_maxrss / 1024}
print(json.dumps(found))
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=200_000)
    people = parser.parse_args().people
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        command = [
            "-m",
            "casehaven",
            "generate",
            "--people",
            str(people),
            "--seed",
            "1",
            "-o",
            str(folder / "cases.csv"),
        ]
        _python(*command)
        _step(folder, "make", people, [])
        speed(folder, people)
        longest(folder, people)
        gain(folder, people)


def speed(folder: Path, people: int) -> None:
    """Print what a quote and an answer of a thousand cells take."""
    asked = [{"by": list(BY), "accuracy": {"epsilon": EPSILON}, "where": _part(number)} for number in range(RUNS + 1)]
    quotes = _step(folder, "quote", people, asked[:1] * (RUNS + 1))
    held = _step(folder, "held", people, asked)
    later = _step(folder, "quote", people, [{**document, "accuracy": {"epsilon": 0.4}} for document in asked])
    late = [{"attribute": "yearOfRegistration", "between": [str(2003 + number), "2023"]} for number in range(3)]
    cold = [_step(folder, f"cold{n}", people, [{**asked[0], "where": where}]) for n, where in enumerate(late)]
    print(f"{people:,} people; a table by {' and '.join(BY)}: {held['cells']:,} cells at epsilon {EPSILON:g}\n")
    print("| step | least s | median s | least CPU s | bar s |")
    print("|---|---|---|---|---|")
    _row("quote, nothing stored", quotes["quotes"][1:], 0.02)
    _row(f"quote, {RUNS + 1} answers stored", later["quotes"][1:], 0.02)
    _row("answer, people held", held["seconds"][1:], 0.3)
    whole = [[sum(parts) for parts in zip(run["open"], run["seconds"][0], strict=True)] for run in cold]
    _row("answer, cold: vault, ledger and snapshot opened", whole, 1.3)
    with_python = [
        [sum(parts) for parts in zip(run["imports"], one, strict=True)] for run, one in zip(cold, whole, strict=True)
    ]
    _row("the same with Python's imports", with_python, None)
    try:
        peer = _peer(folder, held["rho"])
    except (LeftOut, NotInstalled) as error:
        print(f"| OpenDP Context (Polars) | left out: {error} | | | |")
        return
    _row("OpenDP Context (Polars), same keys and rho, plain file", [[one] for one in peer["seconds"][1:]], None)
    print(
        f"\nNoise of a cell at that rho: ours {1 / (2 * held['rho']) ** 0.5:.1f} people, theirs {peer['error']:.1f} (root mean square over cells of 100 people and more). "
        f"Peak memory: ours held {held['mb']:.0f} MB, cold {cold[0]['mb']:.0f} MB, theirs {peer['mb']:.0f} MB."
    )


def longest(folder: Path, people: int) -> None:
    """Print what the longest questions of each class of the ticks take, cold, beside what their schedule reckons with (`casehaven.queries.ticks`)."""
    from casehaven.queries.ticks import JobClass, schedule

    countries = [{"label": code, "attribute": "citizenship", "codes": [code]} for code in _CODES]
    elsewhere = [{**fact, "attribute": "CountryOfExploitation"} for fact in countries]
    asked: dict[JobClass, list[dict[str, object]]] = {
        JobClass.QUESTION: [
            {"by": list(BY), "count": {"records": {"at_most": 3}}},
            {"by": ["gender", {"label": "from", "facts": countries[:15]}]},
        ],
        JobClass.LARGE_QUESTION: [
            {"by": [{"label": "from", "facts": countries}, {"label": "in", "facts": elsewhere}]},
            {"by": ["citizenship", "yearOfRegistration"], "where": {"attribute": "gender", "in": ["Man", "Woman"]}},
        ],
    }
    print("\n| class of the ticks | question | least CPU s, cold | reckoned with, s | period, s |")
    print("|---|---|---|---|---|")
    for number, (job, documents) in enumerate(asked.items()):
        reckoned = job.longest(2 * people, 27), schedule(job, people_cap=2 * people, columns=27).period
        for place, document in enumerate(documents):
            took = []
            for run in range(2):
                accuracy = {"epsilon": 1 + run / 10}
                found = _step(folder, f"longest{number}{place}{run}", people, [{**document, "accuracy": accuracy}])
                took.append(found["open"][1] + found["seconds"][0][1])
            name = f"{found['cells']:,} cells, {found['rows_shown']:,} numbers"
            print(f"| {job.name.lower()} | {name} | {min(took):.2f} | {reckoned[0]:.2f} | {reckoned[1]} |", flush=True)


_CODES = (
    *("AFG", "ALB", "ARG", "AUT", "BEL", "BGD", "BGR", "BRA", "CAN", "CHE", "CHN", "COL", "CZE", "DEU", "DNK", "EGY"),
    *("ESP", "ETH", "FRA", "GBR", "GHA", "GRC", "HUN", "IDN", "IND", "ITA", "KEN", "KHM", "MEX", "MMR"),
)


def _part(number: int) -> dict[str, object]:
    """Return a condition of its own for each run, so that no answer follows from another: an upper end of the years."""
    return {"attribute": "yearOfRegistration", "between": ["2002", str(2023 - number)]}


def gain(folder: Path, people: int) -> None:
    """Print how much an earlier answer sharpens a later one, by the errors that both make, and what it takes off the price."""
    print("\n| asked first | asked then | error alone | error after | price alone, rho | price after, rho |")
    print("|---|---|---|---|---|---|")
    crossed = ["ageBroad", "traffickMonths"]
    for name, first, accuracy in (
        ("ageBroad", {"by": crossed}, {"epsilon": 0.5}),
        ("traffickMonths", {"by": crossed}, {"epsilon": 0.5}),
        ("ageBroad", {"by": ["ageBroad"]}, {"epsilon": 0.2}),
    ):
        alone, after, price, less = _step(
            folder, "gain", people, [[first, accuracy], [{"by": [name]}, {"epsilon": 0.2}]]
        )
        print(
            f"| {' x '.join(first['by'])} at epsilon {accuracy['epsilon']:g} | {name} at epsilon .2 | {alone:.1f} | {after:.1f} | {price:.6f} | {less:.6f} |"
        )
    print(
        "\nErrors are root mean squares in people over all values and 40 runs; prices are for every count within 12 people."
    )


def _peer(folder: Path, rho: float) -> dict[str, Any]:
    """Return what the peer needs for the same table."""
    python = environment(HERE / "opendp_context.txt", CACHE)
    _step(folder, "frame", 0, list(BY))
    task = {
        "people": str(folder / "people.parquet"),
        "keys": str(folder / "keys.parquet"),
        "by": BY,
        "rho": rho,
        "runs": 4,
    }
    (folder / "task.json").write_text(json.dumps(task), encoding="utf-8")
    script = ROOT / "benchmarks" / "peers" / "opendp_context.py"
    found: dict[str, Any] = json.loads(
        run_within([python, script, folder / "task.json"], cpu=300, clock=1200).splitlines()[-1]
    )
    return found


def _row(title: str, took: list[list[float]], bar: float | None) -> None:
    seconds = [one[0] for one in took]
    least = f"{min(one[1] for one in took):.3f}" if len(took[0]) > 1 else ""
    print(
        f"| {title} | {min(seconds):.3f} | {statistics.median(seconds):.3f} | {least} | {'' if bar is None else f'{bar:g}'} |",
        flush=True,
    )


def _step(folder: Path, step: str, people: int, documents: list[Any]) -> Any:
    printed = _python("-c", SCRIPT, str(folder), step, str(people), json.dumps(documents))
    return json.loads(printed.splitlines()[-1]) if printed.strip() else {}


def _python(*arguments: str) -> str:
    return subprocess.run([sys.executable, *arguments], stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    main()
