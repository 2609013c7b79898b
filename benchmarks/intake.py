"""Speed and memory of intake: ``python benchmarks/intake.py [--people N] [--seal]`` prints a small table in Markdown.

A Kobo export of made-up people is written as CSV and as XLSX, then read, mapped and checked as `casehaven intake --dry-run` does it. Each row is a process of its own; the
processes that parse the file are its children, and their time and memory are told apart. With ``--seal`` the CSV is also taken into a vault.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

DIALECTS = ("kobo-csv", "kobo-xlsx")
SCHEMAS = ("ctdc-global", "htcds-2.0")
MEASURED = """
import json, resource, sys, time
from pathlib import Path
from caseschemas import load_schema
from casehaven.intake.check import check_file
from casehaven.intake.held import hold
from casehaven.intake.mapped_file import MappedFile
from casehaven.intake.proposal import propose
from casehaven.intake.readers import open_source

def cpu():
    mine, theirs = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return mine.ru_utime + mine.ru_stime + theirs.ru_utime + theirs.ru_stime

def lap(name):
    said[name] = (time.perf_counter() - last[0], cpu() - last[1])
    last[:] = time.perf_counter(), cpu()

said, last = {}, [time.perf_counter(), cpu()]
schema = load_schema(sys.argv[1])
held = hold(open_source(Path(sys.argv[2])))
lap("read")
mapping = propose(held, schema)
lap("map")
file = MappedFile(held=held, mapping=mapping.accepted(), schema=schema)
report = check_file(file)
lap("check")
if len(sys.argv) > 3:
    from casehaven.intake.uploads import take_in
    from casehaven.vault.rootkeys import HeldKey
    from casehaven.vault.sealed import new_key
    from casehaven.vault.store import Vault
    vault = Vault.create(Path(sys.argv[3]), HeldKey(key=new_key()))
    take_in(vault, vault.add_dataset("north", "cases", schema, 10_000_000), file)
    lap("seal")
said["rows"] = report.rows
said["memory"] = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(json.dumps(said))
"""


def columns_of(path: Path) -> int:
    """Return how many columns a CSV of Kobo has."""
    with path.open(encoding="utf-8-sig") as file:
        return file.readline().count(";") + 1


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=175_000)
    parser.add_argument("--seal", action="store_true", help="also take the CSV into a vault")
    chosen = parser.parse_args()
    print("| columns | rows | file | read s | map s | check s | all s | CPU s | peak MB | parser's peak MB |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    sealed = ""
    with tempfile.TemporaryDirectory() as place:
        for schema in SCHEMAS:
            columns = 0
            for dialect in DIALECTS:
                path = Path(place) / f"cases.{dialect.removeprefix('kobo-')}"
                made = ["generate", "--schema", schema, "--people", str(chosen.people), "--dialect", dialect]
                subprocess.run(
                    [sys.executable, "-m", "casehaven", *made, "-o", path], check=True, stdout=subprocess.DEVNULL
                )
                columns = columns or columns_of(path)
                more = [str(Path(place) / "vault")] if chosen.seal and not sealed else []
                done = subprocess.run(
                    [sys.executable, "-c", MEASURED, schema, path, *more], check=True, stdout=subprocess.PIPE, text=True
                )
                said = json.loads(done.stdout)
                laps = [said[name] for name in ("read", "map", "check")]
                wall, cpu = (sum(lap[number] for lap in laps) for number in (0, 1))
                cells = " | ".join(f"{lap[0]:.1f}" for lap in laps)
                memory = " | ".join(f"{peak:.0f}" for peak in said["memory"])
                print(
                    f"| {columns} | {said['rows']:,} | {path.suffix[1:]} | {cells} | {wall:.1f} | {cpu:.1f} | {memory} |"
                )
                if more:
                    sealed = (
                        f"Sealing the first file into a vault: {said['seal'][0]:.1f} s, {said['seal'][1]:.1f} CPU s."
                    )
                path.unlink()
    if sealed:
        print(f"\n{sealed}")


if __name__ == "__main__":
    main()
