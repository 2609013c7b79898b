"""Where the story happens: a service of its own with its vault, ledger and store, on files or on Postgres, and the three NGOs with their exports."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from tests.service.api.conftest import Caller, RunningService, served
from tests.service.conftest import Postgres

from casehaven.cli import main
from casehaven.intake.linkage_key import create_linkage_key
from casehaven.ledger import Ledger

SCHEMA = "ctdc-global"
CAP = 1_000
EPSILON = ("--epsilon", "30")
NGOS = {
    "north": ("kobo-csv", "csv", 350, 5),
    "south": ("excel-fr", "xlsx", 350, 5),
    "east": ("salesforce-csv", "csv", 300, 6),
}
"""How each exports its records, how many people it knows, and the seed of the made-up people: north and south know the same ones, east knows others."""


@dataclass(frozen=True, kw_only=True)
class World:
    """A running service, and what its operator and the NGOs keep beside it."""

    running: RunningService
    folder: Path
    """What the NGOs keep: their exports, and the linkage key of north and south."""
    vault: Path
    root: Path
    ledger: Path | str

    @property
    def origin(self) -> str:
        """What people type."""
        return self.running.origin

    @property
    def vault_options(self) -> list[str]:
        """How a command opens the vault."""
        return ["--vault", str(self.vault), "--root-key", f"file:{self.root}"]

    @property
    def linkage_key(self) -> Path:
        """The key under which north and south number the people whom they know."""
        return self.folder / "linkage.key"

    def spent(self) -> dict[str, set[int]]:
        """Nano-rho of each dataset, of every one of its accounts, as the ledger itself adds up."""
        found = defaultdict(set)
        for row in Ledger.open(self.ledger).statement().rows:
            found[row.dataset].add(row.spent_nano_rho)
        return dict(found)


@contextmanager
def on_files(folder: Path) -> Iterator[World]:
    """The service as it comes: three SQLite files."""
    house = folder / "house"
    with served(house, *EPSILON) as running:
        yield _world(running, folder, house / "vault", house / "root.key", house / "ledger.sqlite")


@contextmanager
def on_postgres(folder: Path, postgres: Postgres) -> Iterator[World]:
    """Vault, ledger and service store, each in a Postgres database of its own."""
    vault, root = folder / "cases.vault", folder / "root.key"
    store, ledger, cases = addresses = [postgres() for _ in range(3)]
    there = ["--vault", str(vault), "--root-key", f"file:{root}"]
    run("vault", "create", *there, "--database", cases)
    run("ledger", "create", "--ledger", ledger, "--anchor", str(folder / "ledger.anchor"), *EPSILON)
    with served(folder / "house", *there, "--ledger", ledger, database=store) as running:
        yield _world(running, folder, vault, root, ledger)
    for address in addresses:
        postgres.give_back(address)


def _world(running: RunningService, folder: Path, vault: Path, root: Path, ledger: Path | str) -> World:
    world = World(running=running, folder=folder / "kept", vault=vault, root=root, ledger=ledger)
    world.folder.mkdir()
    create_linkage_key(world.linkage_key)
    return world


def run(*words: str) -> str:
    """Run a command as it is typed; one at a time, because it takes the process's output."""
    done = CliRunner().invoke(main, list(words))
    assert done.exit_code == 0, done.output
    return done.output


def read(caller: Caller, path: str) -> Any:
    """Read what the worker has to find out first."""
    answer = caller.get(path)
    until = time.monotonic() + 120
    while answer.status_code == 202 and time.monotonic() < until:
        answer = caller.get(answer.headers["Location"])
    assert answer.status_code == 200, answer.text
    found = answer.json()
    return found.get("result", found)


def plain(text: str) -> str:
    """Return what a page says without the marks that keep names apart from the text around them."""
    return " ".join(text.replace("\u2068", "").replace("\u2069", "").split())
