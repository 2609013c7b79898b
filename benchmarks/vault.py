"""Speed and memory of the vault beside the floors: `python benchmarks/vault.py [--full]` prints a table in Markdown.

The floors hold the same case file in the clear: one SQLite table of text, one Parquet file. Each row is a process of its own, so that its peak memory is its own; seconds are those of the
work, without the start of Python. CPU seconds are the whole process's.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

PEOPLE = (200_000,)
FULL = (1_000_000,)

SCRIPT = r"""
import csv, json, resource, sqlite3, sys, time
from pathlib import Path

folder, step = Path(sys.argv[1]), sys.argv[2]
cases, vault_path, plain, parquet = (folder / name for name in ("cases.csv", "vault", "plain.sqlite", "plain.parquet"))


def opened():
    from casehaven.vault.rootkeys import file_key
    from casehaven.vault.store import Vault

    vault = Vault.open(vault_path, file_key(folder / "root.key"))
    return vault, vault.dataset("north", "cases")


def intake(vault, dataset):
    from casehaven.intake.check import check_file
    from casehaven.intake.held import hold
    from casehaven.intake.mapped_file import MappedFile
    from casehaven.intake.proposal import propose
    from casehaven.intake.readers import open_source
    from casehaven.intake.uploads import take_in

    def run():  # what `casehaven intake` does: read, mapped, tried, sealed
        held = hold(open_source(cases))
        file = MappedFile(held=held, mapping=propose(held, dataset.schema).accepted(), schema=dataset.schema)
        check_file(file)
        take_in(vault, dataset, file)

    return run


def snapshot(vault, dataset):
    from casehaven.vault.snapshots import snapshot
    from casesynth.privacy import PrivacyLoss, Receipt

    receipt = Receipt(charge_id="none", loss=PrivacyLoss(nano_rho=1))
    return lambda: snapshot(vault, [dataset], "synthetic_release").open(receipt)


def some_tokens(number):
    with cases.open(newline="") as file:
        rows = csv.DictReader(file)
        return [row["personToken"] for _, row in zip(range(number * 50), rows)][::50]


def read(vault, dataset):
    tokens = some_tokens(100)
    return lambda: [vault.read_records(vault.person_by_token(dataset, token), reason="benchmark") for token in tokens]


def erase(vault, dataset):
    person = vault.person_by_token(dataset, some_tokens(1)[0])

    def run():
        with vault.locked(dataset) as held:
            vault.destroy_person(held, person)

    return run


def rotate(vault, dataset):
    from casehaven.vault.rotation import rotate_epoch

    return lambda: rotate_epoch(vault, "north")


def plain_write():
    import pyarrow.csv  # loaded like the vault's, so that peaks compare

    def run():
        connection = sqlite3.connect(plain)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        with cases.open(newline="") as file:
            rows = csv.reader(file)
            header = next(rows)
            with connection:
                connection.execute(f"CREATE TABLE record ({', '.join(name + ' TEXT' for name in header)})")
                connection.executemany(f"INSERT INTO record VALUES ({', '.join('?' * len(header))})", rows)
        connection.close()

    return run


def plain_read():
    return lambda: sqlite3.connect(plain).execute("SELECT * FROM record").fetchall()


def parquet_write():
    import pyarrow.csv, pyarrow.parquet

    return lambda: pyarrow.parquet.write_table(pyarrow.csv.read_csv(cases), parquet)


def parquet_read():
    import pyarrow.parquet

    return lambda: pyarrow.parquet.read_table(parquet)


STEPS = {"intake": intake, "snapshot": snapshot, "read": read, "erase": erase, "rotate": rotate}
FLOORS = {"plain_write": plain_write, "plain_read": plain_read, "parquet_write": parquet_write, "parquet_read": parquet_read}

if step == "make":
    from casehaven.vault.rootkeys import create_file_key
    from casehaven.vault.store import Vault
    from caseschemas import load_schema

    made = Vault.create(vault_path, create_file_key(folder / "root.key"))
    made.add_dataset("north", "cases", load_schema("ctdc-global"), 2_000_000)
    work = lambda: None
else:
    work = STEPS[step](*opened()) if step in STEPS else FLOORS[step]()
started = time.perf_counter()
work()
seconds = time.perf_counter() - started
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""

ROWS = (
    ("intake", "CSV read, tried, sealed and committed", ("vault", "vault.keys", "vault.anchor")),
    ("plain_write", "floor: CSV to one plain SQLite table", ("plain.sqlite",)),
    ("parquet_write", "floor: CSV to one plain Parquet file", ("plain.parquet",)),
    ("snapshot", "snapshot opened to a person table", ()),
    ("plain_read", "floor: all rows of plain SQLite", ()),
    ("parquet_read", "floor: all columns of plain Parquet", ()),
    ("read", "100 people found and read, each with an audit entry", ()),
    ("erase", "one person erased, the chunk rewritten", ()),
    ("rotate", "a new epoch: all keys wrapped anew", ()),
)

SCALES = 6
"""So many of them are measured with a million people, too."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="also 1,000,000 people")
    print("| people | step | seconds | CPU s | peak MB | MB on disk |")
    print("|---|---|---|---|---|---|")
    for people in PEOPLE + (FULL if parser.parse_args().full else ()):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            _run("-m", "casehaven", "generate", "--people", str(people), "--seed", "1", "-o", str(folder / "cases.csv"))
            _step(folder, "make")
            for step, title, written in ROWS if people in PEOPLE else ROWS[:SCALES]:
                seconds, cpu, peak = _step(folder, step)
                size = f"{sum(_size(folder / name) for name in written):.0f}" if written else ""
                print(f"| {people:,} | {title} | {seconds:.2f} | {cpu:.1f} | {peak:.0f} | {size} |", flush=True)


def _step(folder: Path, step: str) -> tuple[float, float, float]:
    seconds, cpu, peak = json.loads(_run("-c", SCRIPT, str(folder), step).splitlines()[-1])
    return seconds, cpu, peak


def _run(*arguments: str) -> str:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True).stdout


def _size(path: Path) -> float:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file()) / 2**20


if __name__ == "__main__":
    main()
