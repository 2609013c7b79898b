"""Speed and memory of the generator: ``python benchmarks/generate.py [--full]`` prints a small table in Markdown.

Each row is a process of its own, so that its peak memory is its own; times include the start of Python and of the libraries.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROWS = ((200_000, ".parquet"), (200_000, ".csv"))
FULL = ((10_000_000, ".parquet"),)
MEASURED = """
import resource, sys, time
started = time.perf_counter()
from pathlib import Path
from caseschemas import load_schema
from casehaven.generate.files import write_records
schema = load_schema("ctdc-global")
ready = time.perf_counter()
write_records(schema, int(sys.argv[1]), 1, Path(sys.argv[2]))
done = time.perf_counter()
print(ready - started, done - ready, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def cpu_seconds() -> float:
    """Return what all finished child processes have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measured(people: int, suffix: str, folder: Path) -> str:
    """Return one row of the table."""
    path = folder / f"cases{suffix}"
    before, used_before = time.perf_counter(), cpu_seconds()
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(people), str(path)], capture_output=True, text=True, check=True
    )
    whole = time.perf_counter() - before
    _, writing, peak = (float(word) for word in done.stdout.split())
    size = path.stat().st_size / 2**20
    path.unlink()
    return (
        f"| {people:,} | {suffix[1:]} | {whole:.2f} | {writing:.2f} | {people / writing:,.0f} | {peak:.0f} "
        f"| {size:.1f} | {cpu_seconds() - used_before:.2f} |"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="also 10,000,000 people to Parquet")
    rows = ROWS + (FULL if parser.parse_args().full else ())
    print(
        "| people | format | seconds, whole process | seconds, generating and writing | people/s | peak MB | file MB | CPU s |"
    )
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for people, suffix in rows:
            print(measured(people, suffix, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
