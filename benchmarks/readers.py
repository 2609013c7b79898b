"""How long files from outside take to be read, by kind of file: the parsing process with all that it joins and cleans.

    python benchmarks/readers.py            20,000 people
    python benchmarks/readers.py --full     200,000 people
    python benchmarks/readers.py --hostile  every hostile file of the tests: what became of it, how long it took by the clock, and memory

The files are exports of KoboToolbox as `casehaven generate` writes them, with about 120 columns as exported, 70 once questions of several answers are one column.
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

from click.testing import CliRunner

from casehaven.cli import main
from casehaven.intake.readers import open_source

DIALECTS = {"kobo-csv": ".csv", "kobo-xlsx": ".xlsx"}


def _cpu() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def run(people: int) -> None:
    """Write, describe and read one file of each kind; print a table."""
    print("| file | MB | records | columns | described in CPU s | read in CPU s | wall s |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for dialect, suffix in DIALECTS.items():
            path = Path(folder) / f"cases{suffix}"
            arguments = [
                "generate",
                "--schema",
                "htcds-2.0",
                "--people",
                str(people),
                "--dialect",
                dialect,
                "-o",
                str(path),
            ]
            written = CliRunner().invoke(main, arguments)
            if written.exit_code:
                raise SystemExit(written.output)
            began, before = time.perf_counter(), _cpu()
            source = open_source(path)
            described = _cpu()
            rows = sum(len(batch.rows) for batch in source.batches([column.name for column in source.columns]))
            read, ended = _cpu(), time.perf_counter()
            print(
                f"| {dialect} | {path.stat().st_size / 1e6:.0f} | {rows:,} | {len(source.columns)} "
                f"| {described - before:.1f} | {read - described:.1f} | {ended - began:.1f} |",
                flush=True,
            )


_ONE = """
import json, resource, sys, time
from pathlib import Path
from casehaven.errors import CasehavenError
from casehaven.intake.readers import open_source

path = Path(sys.argv[1])
password = "canary" if "password" in path.name and not path.name.startswith("no-") else None
began, said, rows = time.perf_counter(), "read", 0
try:
    source = open_source(path, password=password)
    for batch in source.batches([column.name for column in source.columns]):
        rows += batch.cells.num_rows
except CasehavenError as error:
    said = type(error).__name__
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([said, time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""
"""Opens one file in a process of its own, so that the peak of memory is that of its parser."""


def hostile(chosen: str) -> None:
    """Open each file of the corpus; print a table, the slowest first."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from tests.attacks.test_hostile_files import CORPUS

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for file, make, _, _ in CORPUS.values():
            if chosen not in file:
                continue
            path = Path(folder) / file
            path.write_bytes(make())
            size = path.stat().st_size
            done = subprocess.run([sys.executable, "-c", _ONE, path], check=True, stdout=subprocess.PIPE, text=True)
            said, wall, cpu, peak = json.loads(done.stdout)
            rows.append((wall, file, size, said, cpu, peak))
            path.unlink()
    print(
        f"{len(rows)} hostile files. By the clock the slowest took {max(rows)[0]:.2f} s; the largest parser held {max(row[5] for row in rows):.0f} MB.\n"
    )
    print("| file | kB | what became of it | wall s | parser's CPU s | parser's peak MB |")
    print("| --- | --- | --- | --- | --- | --- |")
    for wall, file, size, said, cpu, peak in sorted(rows, reverse=True):
        print(f"| {file} | {size / 1e3:,.0f} | {said} | {wall:.2f} | {cpu:.2f} | {peak:.0f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="200,000 people")
    parser.add_argument("--hostile", metavar="PART", nargs="?", const="", help="hostile files whose name holds PART")
    asked = parser.parse_args()
    if asked.hostile is not None:
        hostile(asked.hostile)
    else:
        run(200_000 if asked.full else 20_000)
