"""Time and memory of a whole release from a Parquet file, by the number of people: the file is read batch by batch, by the library and by the command.

Each row is a process of its own, so that its peak memory is its own. Every person of the file is released by the library road; the command
counts those who consented, charges a ledger and writes the signed bundle. Epsilon 1, the 27 columns of `ctdc-global`. The fit is also told in CPU
seconds, with the noisy cells, classes and steps it is made of, and measured alone on the counts of the largest file, many times as large.

    python benchmarks/scale.py --full
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from draw import Line, chart
from rows import ROOT, engine_digest, kept_row

PEOPLE = (10_000, 50_000, 200_000, 1_000_000)
FULL = (10_000_000,)
TIMES = (1, 100, 10_000)
"""The fit alone is also tried on the counts of the largest file, so many times as large."""
PLOT = ROOT / "docs" / "benchmarks-scale.svg"
STEPS = ("read and count", "noise", "fit", "intervals and aggregates", "records", "files")
FIT = STEPS.index("fit")
_PHASES = {
    "check": 0, "count": 0, "measure": 1, "fit": 2, "aggregate": 3, "sample": 4, "write": 5,
}  # fmt: skip


def library_road(path: Path, folder: Path) -> dict[str, Any]:
    """Release a Parquet file with `casesynth.release` and save the bundle; return seconds and CPU seconds per step, and the size of the fit."""
    import casesynth
    from caseschemas import load_schema
    from casesynth.bundle import write_bundle
    from casesynth.notes import ReleaseNotes
    from casesynth.signing import SigningKey

    seconds, used = ([0.0] * len(STEPS) for _ in range(2))
    step, since, used_by = 0, time.monotonic(), time.process_time()

    def progress(phase: str, share: float | None) -> None:
        nonlocal step, since, used_by
        now, used_now = time.monotonic(), time.process_time()
        seconds[step] += now - since
        used[step] += used_now - used_by
        step, since, used_by = _PHASES[phase], now, used_now

    started = time.monotonic()
    domain = casesynth.Domain.from_schema(load_schema("ctdc-global"))
    made = casesynth.release(path, domain, person="personToken", epsilon=1, people_cap=1 << 24, progress=progress)
    notes = ReleaseNotes(title="Scale", created="2026-01-01", unit="person token", legal_basis="made up")
    write_bundle(made.synthesis, notes, folder / "bundle", SigningKey.create(), progress=progress)
    progress("write", None)
    fit = [sum(measured.values.size for measured in made.synthesis.measurements), len(made.synthesis.model.weights)]
    return {
        "steps": seconds, "steps_cpu": used, "fit": [*fit, steps_of(fit[1])], "seconds": time.monotonic() - started,
        "estimate": made.people.estimate, **_used(),
    }  # fmt: skip


def steps_of(classes: int) -> int:
    """Return how many steps each start of a fit with so many classes takes."""
    from casesynth.model import EFFORTS, FitSettings

    every = [FitSettings().harder(effort) for _, effort in EFFORTS]
    return {settings.classes * settings.starts: settings.steps for settings in every}[classes]


def fit_alone(path: Path, times: int) -> dict[str, Any]:
    """Fit the counts of a file, each so many times as large, with simulated noise; return CPU seconds and the size of the fit."""
    import numpy as np

    import casesynth
    from caseschemas import load_schema
    from casesynth.contrasts import combine
    from casesynth.counting import count_signed
    from casesynth.encode import encode
    from casesynth.intervals import simulate
    from casesynth.marginals import Marginal
    from casesynth.model import fit
    from casesynth.persons import PersonTableBuilder
    from casesynth.plan import ReleasePlan
    from casesynth.seeded import measurements_digest
    from casesynth.sources import source_of
    from casesynth.threads import one_blas_thread

    domain = casesynth.Domain.from_schema(load_schema("ctdc-global"))
    plan = ReleasePlan.make(domain, epsilon=1, people_cap=1 << 24)
    builder = PersonTableBuilder(domain)
    for batch in source_of(path).batches([*(attribute.name for attribute in domain.attributes), "personToken"]):
        builder.add(encode(batch, domain, person="personToken"))
    people = builder.build(people_cap=1 << 24)
    with one_blas_thread():
        counted = count_signed(people.batches(), [table.clique for table in plan.tables], domain.sizes)
        larger = [Marginal(clique=table.clique, counts=table.counts * times) for table in counted]
        measured_tables = simulate(plan, larger, np.random.default_rng(1))
        before = time.process_time()
        model = fit(combine(measured_tables, domain.sizes), measurements_digest(measured_tables))
        used = time.process_time() - before
    classes = len(model.weights)
    return {"cpu": used, "fit": [sum(table.values.size for table in measured_tables), classes, steps_of(classes)]}


def fits_alone(people: int, digest: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Print and return fits of the counts of the largest file times `TIMES`: what more people than there are files for would take."""
    path = options.folder / f"people-{people}.parquet"
    print("\n| fit alone, people | CPU s | cells | classes | steps |\n|---|---|---|---|---|")
    found = []
    for times in TIMES:
        asked = {"what": "fit alone", "people": people, "times": times}
        row = kept_row(asked, digest, partial(fit_alone, path, times), fresh=options.fresh)
        print("| " + " | ".join([f"{people * times:,}", f"{row['cpu']:.1f}", *(f"{n:,}" for n in row["fit"])]) + " |")
        found.append(row)
    return found


def most_of_a_fit() -> tuple[int, int, int]:
    """Return the most cells, classes and steps that a fit of these columns can have, with any number of people."""
    import casesynth
    from caseschemas import load_schema
    from casesynth.model import EFFORTS, FitSettings
    from casesynth.plan import ReleasePlan

    hardest = FitSettings().harder(EFFORTS[-1][1])
    plan = ReleasePlan.make(casesynth.Domain.from_schema(load_schema("ctdc-global")), epsilon=1, people_cap=1 << 24)
    return plan.cells, hardest.classes * hardest.starts, hardest.steps


def command_road(path: Path, folder: Path) -> dict[str, Any]:
    """Run `casehaven release` on a Parquet file in this process; return what it took."""
    from casehaven.cli import main

    def run(*arguments: str) -> None:
        try:
            main(list(arguments))
        except SystemExit as ended:
            if ended.code:
                raise

    ledger, key = folder / "ledger.sqlite", folder / "signing.key"
    run("ledger", "create", "--ledger", str(ledger), "--epsilon", "10")
    run("keys", "create", "--key", str(key))
    started = time.monotonic()
    run(
        "release", str(path), "--schema", "ctdc-global", "--epsilon", "1", "--people-cap", str(1 << 24), "--out", str(folder / "bundle"),
        "--organisation", "north", "--open-accounts", "--ledger", str(ledger), "--key", str(key),
    )  # fmt: skip
    return {"seconds": time.monotonic() - started, **_used()}


def _used() -> dict[str, float]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {"cpu": used.ru_utime + used.ru_stime, "peak_mb": used.ru_maxrss / 1024}


def measured(road: str, people: int, folder: Path) -> dict[str, Any]:
    """Return the row of one road and number of people, from a process of its own."""
    path = folder / f"people-{people}.parquet"
    if not path.exists():
        command = ["-m", "casehaven", "generate", "--schema", "ctdc-global", "--people", str(people), "-o", str(path)]
        subprocess.run([sys.executable, *command], check=True, capture_output=True)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        child = [sys.executable, __file__, "--child", road, str(path), place]
        done = subprocess.run(child, check=True, stdout=subprocess.PIPE, text=True)
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {**row, "file_mb": path.stat().st_size / 2**20}


def main() -> None:
    """Measure, print a table and draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="also 10,000,000 people")
    parser.add_argument("--people", action="append", type=int, help="only so many")
    parser.add_argument("--folder", type=Path, default=ROOT / ".cache" / "bench-scale", help="where the files are kept")
    parser.add_argument("--fresh", action="store_true", help="measure rows again that are known")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        road, path, place = options.child
        print(json.dumps({"library": library_road, "command": command_road}[road](Path(path), Path(place))))
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    digest = engine_digest("scale.py")
    print(
        "| people | road | seconds | CPU s | peak MB | file MB | "
        + " | ".join(f"{step}, s" for step in STEPS)
        + " | fit, CPU s | of the fit: cells | classes | steps |"
    )
    print("|---" * (10 + len(STEPS)) + "|")
    found = {}
    for people in options.people or (PEOPLE + (FULL if options.full else ())):
        for road in ("library", "command"):
            asked = {"what": "scale", "road": road, "people": people}
            row = kept_row(asked, digest, partial(measured, road, people, options.folder), fresh=options.fresh)
            steps = [""] * (len(STEPS) + 4)
            if "fit" in row:
                steps = [f"{second:.1f}" for second in row["steps"]]
                steps += [f"{row['steps_cpu'][FIT]:.1f}", *(f"{size:,}" for size in row["fit"])]
            row_cells = [
                f"{people:,}",
                road,
                f"{row['seconds']:.1f}",
                f"{row['cpu']:.1f}",
                f"{row['peak_mb']:.0f}",
                f"{row['file_mb']:.1f}",
            ]
            print("| " + " | ".join([*row_cells, *steps]) + " |", flush=True)
            found[people, road] = row
    people_of = sorted({people for people, _ in found})
    alone = fits_alone(people_of[-1], digest, options)
    cells, classes, steps_most = most_of_a_fit()
    print(
        f"\nWith any number of people a fit of these columns has at most {cells:,} cells, {classes} classes and {steps_most} steps of each start."
    )
    if len(people_of) > 1:
        beyond = [(people_of[-1] * times, fit["cpu"]) for times, fit in zip(TIMES, alone, strict=True)]
        lines = [Line(name="whole release", points=[(p, found[p, "library"]["cpu"]) for p in people_of])]
        for place, name in enumerate(STEPS):
            points = [(p, max(found[p, "library"]["steps_cpu"][place], 0.01)) for p in people_of]
            points += beyond if place == FIT else []
            lines.append(Line(name=name, points=points))
        title = "CPU seconds of a release by the number of people"
        PLOT.write_text(chart(lines, title=title, x_name="people", y_name="CPU seconds"), encoding="utf-8")
        print(f"\n![{title}]({PLOT.name})")


if __name__ == "__main__":
    main()
