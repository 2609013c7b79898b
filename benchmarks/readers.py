"""How long files from outside take to be read, by kind of file: the parsing process with all that it joins and cleans.

    python benchmarks/readers.py            20,000 people
    python benchmarks/readers.py --full     200,000 people

The files are exports of KoboToolbox as `casehaven generate` writes them, with about 120 columns as exported, 70 once questions of several answers are one column.
"""

from __future__ import annotations

import argparse
import resource
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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="200,000 people")
    run(200_000 if parser.parse_args().full else 20_000)
