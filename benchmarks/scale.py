"""Time and memory of a whole release from a Parquet file, by the number of people: the file is read batch by batch, by the library and by the command.

Each row is a process of its own, so that its peak memory is its own. Every person of the file is released by the library road; the command
counts those who consented, charges a ledger and writes the signed bundle. Epsilon 1, the 27 columns of `ctdc-global`.

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
from pathlib import Path
from typing import Any

from draw import Line, chart
from rows import ROOT, engine_digest, kept_row

PEOPLE = (10_000, 50_000, 200_000, 1_000_000)
FULL = (10_000_000,)
PLOT = ROOT / "docs" / "benchmarks-scale.svg"
STEPS = ("read and count", "noise", "fit", "intervals and aggregates", "records", "files")
_PHASES = {
    "check": 0, "count": 0, "measure": 1, "fit": 2, "aggregate": 3, "sample": 4, "write": 5,
}  # fmt: skip


def library_road(path: Path, people: int, folder: Path) -> dict[str, Any]:
    """Release a Parquet file with `casesynth.release` and save the bundle; return seconds per step."""
    import casesynth
    from caseschemas import load_schema
    from casesynth.bundle import write_bundle
    from casesynth.notes import ReleaseNotes
    from casesynth.signing import SigningKey

    seconds = [0.0] * len(STEPS)
    state = {"step": 0, "since": time.monotonic()}

    def progress(phase: str, share: float | None) -> None:
        now = time.monotonic()
        seconds[int(state["step"])] += now - state["since"]
        state.update(step=_PHASES[phase], since=now)

    started = time.monotonic()
    domain = casesynth.Domain.from_schema(load_schema("ctdc-global"))
    made = casesynth.release(path, domain, person="personToken", epsilon=1, people_cap=1 << 24, progress=progress)
    notes = ReleaseNotes(title="Scale", created="2026-01-01", unit="person token", legal_basis="made up")
    write_bundle(made.synthesis, notes, folder / "bundle", SigningKey.create(), progress=progress)
    progress("write", None)
    return {"steps": seconds, "seconds": time.monotonic() - started, "estimate": made.people.estimate, **_used()}


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
        child = [sys.executable, __file__, "--child", road, str(people), str(path), place]
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
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        road, count, path, place = options.child
        made = (
            library_road(Path(path), int(count), Path(place))
            if road == "library"
            else command_road(Path(path), Path(place))
        )
        print(json.dumps(made))
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    digest = engine_digest("scale.py")
    print(
        "| people | road | seconds | CPU s | peak MB | file MB | " + " | ".join(f"{step}, s" for step in STEPS) + " |"
    )
    print("|---" * (6 + len(STEPS)) + "|")
    found = {}
    for people in options.people or (PEOPLE + (FULL if options.full else ())):
        for road in ("library", "command"):
            asked = {"what": "scale", "road": road, "people": people}
            row = kept_row(asked, digest, lambda r=road, p=people: measured(r, p, options.folder), fresh=options.fresh)  # type: ignore[misc]  # mypy infers no lambda with defaults
            steps = [f"{second:.1f}" for second in row.get("steps", [])] or [""] * len(STEPS)
            cells = [
                f"{people:,}",
                road,
                f"{row['seconds']:.1f}",
                f"{row['cpu']:.1f}",
                f"{row['peak_mb']:.0f}",
                f"{row['file_mb']:.1f}",
            ]
            print("| " + " | ".join([*cells, *steps]) + " |", flush=True)
            found[people, road] = row
    people_of = sorted({people for people, _ in found})
    if len(people_of) > 1:
        lines = [Line(name="whole release", points=[(p, found[p, "library"]["seconds"]) for p in people_of])]
        for name in ("read and count", "fit", "records", "files"):
            place = STEPS.index(name)
            lines.append(
                Line(name=name, points=[(p, max(found[p, "library"]["steps"][place], 0.01)) for p in people_of])
            )
        PLOT.write_text(
            chart(lines, title="Seconds of a release by the number of people", x_name="people", y_name="seconds")
        )
        print(f"\n![Seconds of a release by the number of people]({PLOT.name})")


if __name__ == "__main__":
    main()
