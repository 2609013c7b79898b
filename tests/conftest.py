"""What tests share: a small shelter with the command line in a folder of its own, a safe house with a vault, the real files, and the rule that CI skips nothing."""

from __future__ import annotations

import copy
import csv
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result
from hypothesis import settings

from casehaven.cli._root import main
from casehaven.intake.uploads import take_in
from casehaven.people import People
from casehaven.vault.datasets import Dataset
from casehaven.vault.rootkeys import create_file_key, file_key
from casehaven.vault.store import Vault
from caseschemas import parse_schema

if TYPE_CHECKING:
    from tests.service.api.conftest import House, RunningService

collect_ignore = ["attacks/fuzz_readers.py"]
"""Runs in an environment of its own, with a package that the tests do not install."""

settings.register_profile("patient", settings(), deadline=None)
settings.load_profile("patient")  # how long an example takes says nothing where two tests run side by side

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real files; skip where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the folder of real files is absent")
    return SHARED_DATA


NO_SKIPS = "CASEHAVEN_NO_SKIPS"

AREAS = {
    "engine": (
        4,
        "tests/synth tests/schemas tests/property tests/attacks tests/test_peers.py tests/test_benchmark_tools.py synth schemas",
    ),
    "vault and intake": (5, "tests/service/vault tests/service/intake tests/service/prepare tests/service/people"),
    "ledger and service": (6, "tests/service tests/spec platform"),
    "web and story": (5, "tests/web tests/test_"),
}
"""Area of the code to its share of the time of `make test`, in minutes, and to what the names of its tests begin with."""

ELSEWHERE = {
    "engine": "rule_2 rule_34_k_mode second_accountant intervals_hold faults_of_a_peer first_bars tables_that_matter privacy_document",
    "vault and intake": (
        "keystore rootkeys escrow backup restore_crash cli_vault_keys test_intake test_mapping person_tokens blind_index ciphertexts hostile poisoned rollback "
        "vault_rows vault_swaps test_prepared test_readers test_sealed.py bring_what_you_have erasure drill vault_format canary consent casehaven/vault "
        "casehaven/intake"
    ),
    "web and story": "in_libreoffice test_showcase",
}
"""Area to parts of names of tests in another area's folder; they come first."""


def _area(nodeid: str) -> str:
    """Return the area that a test belongs to."""
    path = nodeid.partition("::")[0]
    for area, parts in ELSEWHERE.items():
        if any(part in path for part in parts.split()):
            return area
    return next((area for area, (_, starts) in AREAS.items() if path.startswith(tuple(starts.split()))), "others")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how long the tests of each area took, added up over all workers, and of how much; only where they took a minute."""
    seconds = dict.fromkeys([*AREAS, "others"], 0.0)
    for report in (report for reports in terminalreporter.stats.values() for report in reports):
        if isinstance(report, pytest.TestReport):
            seconds[_area(report.nodeid)] += report.duration
    if sum(seconds.values()) < 60:
        return
    workers = terminalreporter.config.getoption("numprocesses", None) or 1
    budgets = {area: 60 * minutes for area, (minutes, _) in AREAS.items()}
    rows = [*seconds.items(), ("all areas", sum(seconds.values()))]
    budgets["all areas"] = sum(budgets.values())
    terminalreporter.section(f"time by area, in {workers} processes")
    for area, took in rows:
        if area in budgets or took:
            of = f", {took / workers:5.0f} s by the clock (budget {budgets[area]} s)" if area in budgets else ""
            terminalreporter.line(f"{area:<20} {took:6.0f} s{of}")


def pytest_configure() -> None:
    """Take interrupts as a terminal's programs do, also where a shell started the tests in the background with interrupts ignored: processes inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


NEAR_MIDNIGHT = 90
"""Seconds. What is counted belongs to a day, and no test means to begin on one and go on in the next."""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Wait until midnight (UTC) is past where it is near: answers of a day, prices and last days change then."""
    left = 86_400 - time.time() % 86_400
    if left < NEAR_MIDNIGHT:
        time.sleep(left + 1)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Turn the skip of a whole file into a failure where CASEHAVEN_NO_SKIPS is set: a worker tells the others nothing of it."""
    if os.environ.get(NO_SKIPS) and report.skipped:
        report.outcome = "failed"


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Turn a skip into a failure where CASEHAVEN_NO_SKIPS is set."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get(NO_SKIPS) and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


Record = Mapping[str, str]

SCHEMA = {
    "format": "casehaven-schema/1",
    "id": "shelter",
    "version": "1.0.0",
    "title": {"en": "Shelter"},
    "languages": [{"code": "en", "reviewed": True}],
    "missing": {
        "blank": {"code": "", "means": "unknown", "labels": {"en": "Not known"}},
        "notAsked": {"code": "not_asked", "means": "not_asked", "labels": {"en": "Not asked"}},
        "no": {"code": "no", "means": "no", "labels": {"en": "No"}},
    },
    "personKey": "token",
    "block": {"attribute": "year", "granularity": "year"},
    "consent": {"synthetic_release": "mayRelease"},
    "attributes": [
        {"name": "token", "kind": "identifier", "role": "person", "labels": {"en": "Person token"}},
        {"name": "notes", "kind": "text", "role": "text", "labels": {"en": "Notes"}},
        {
            "name": "mayRelease",
            "kind": "flag",
            "role": "consent",
            "labels": {"en": "May be used in synthetic data"},
            "values": [{"code": "yes", "labels": {"en": "Yes"}}],
            "missing": ["blank", "no"],
            "merge": "min",
        },
        {
            "name": "year",
            "kind": "date",
            "role": "analysis",
            "labels": {"en": "Year"},
            "periods": {"granularity": "year", "from": "2019", "to": "2023"},
            "missing": ["blank"],
            "merge": "min",
        },
        {
            "name": "gender",
            "kind": "category",
            "role": "analysis",
            "labels": {"en": "Gender"},
            "values": [{"code": "woman", "labels": {"en": "Woman"}}, {"code": "man", "labels": {"en": "Man"}}],
            "missing": ["blank", "notAsked"],
            "merge": "agree",
        },
        {
            "name": "age",
            "kind": "number",
            "role": "analysis",
            "labels": {"en": "Age"},
            "bands": [
                {"code": "0-17", "from": 0, "to": 17},
                {"code": "18-29", "from": 18, "to": 29},
                {"code": "30+", "from": 30},
            ],
            "missing": ["blank"],
            "merge": "earliest",
        },
        {
            "name": "means",
            "kind": "multi",
            "role": "analysis",
            "labels": {"en": "Means of control"},
            "values": [
                {"code": "threats", "labels": {"en": "Threats"}},
                {"code": "debt", "labels": {"en": "Debt"}},
                {"code": "papers", "labels": {"en": "Papers kept"}},
                {"code": "hours", "labels": {"en": "Excessive hours"}},
            ],
            "separators": [";"],
            "missing": ["blank"],
            "merge": "union",
        },
    ],
}

HEADER = ("token", "notes", "mayRelease", "year", "gender", "age", "means")


@dataclass(frozen=True, kw_only=True)
class Shelter:
    """A folder with a schema, a ledger and a signing key, and the command line run inside it."""

    folder: Path

    def write(self, name: str, records: Sequence[Record], header: Sequence[str] = HEADER) -> Path:
        """Write records as a CSV file; absent cells are empty."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, header, restval="")
            writer.writeheader()
            writer.writerows(records)
        return path

    def run(self, *arguments: str | Path) -> Result:
        """Run `casehaven` with arguments, in the terminal's way: errors become lines and an exit code."""
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    def release_arguments(self, *files: Path, out: str = "bundle", extra: Sequence[str] = ()) -> list[str]:
        """Return the arguments that release files, at epsilon 2 unless `extra` says otherwise, with a people_cap of 10,000.

        Several files have shared tokens unless `extra` says otherwise.
        """
        owners = [part for file in files for part in ("--organisation", file.stem)]
        fixed = ["--schema", self.folder / "shelter.json", "--people-cap", "10000", "--open-accounts"]
        if len(files) > 1 and "--row-is-person" not in extra:
            fixed += ["--person-tokens", "shared"]
        place = ["--out", self.folder / out, *self.places]
        return [str(part) for part in ("release", *files, *fixed, *place, *owners, *(extra or ("--epsilon", "2")))]

    def release(self, *files: Path, out: str = "bundle", extra: Sequence[str] = ()) -> Result:
        """Release files; see `release_arguments`."""
        return self.run(*self.release_arguments(*files, out=out, extra=extra))

    @property
    def places(self) -> tuple[str | Path, ...]:
        """The options that name ledger and key."""
        return ("--ledger", self.folder / "ledger.sqlite", "--key", self.folder / "key.pem")


@pytest.fixture
def make_shelter(tmp_path: Path) -> Callable[..., Shelter]:
    """Make a shelter in a folder of its own; shelters of one test share nothing."""

    def make(name: str, epsilon: str = "8") -> Shelter:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "shelter.json").write_text(json.dumps(SCHEMA), encoding="utf-8")
        shelter = Shelter(folder=folder)
        ledger = shelter.run("ledger", "create", "--ledger", folder / "ledger.sqlite", "--epsilon", epsilon)
        assert ledger.exit_code == 0, ledger.output
        keys = shelter.run("keys", "create", "--key", folder / "key.pem")
        assert keys.exit_code == 0, keys.output
        return shelter

    return make


@pytest.fixture
def shelter(make_shelter: Callable[..., Shelter]) -> Shelter:
    """One shelter."""
    return make_shelter("shelter")


MakePeople = Callable[..., list[Record]]
"""Makes records of made-up people: how many, and the number of the first."""


@pytest.fixture(scope="session")
def people() -> MakePeople:
    """Return a maker of one consenting record per made-up person; different, and the same at every call."""
    return _people


def _people(count: int, *, start: int = 0) -> list[Record]:
    return [
        {
            "token": f"p{i:05d}",
            "mayRelease": "yes",
            "year": str(2019 + i % 5),
            "gender": ("woman", "woman", "man", "")[i % 4],
            "age": ("15", "22", "40", "")[(i // 2) % 4],
            "means": (";".join(("threats", "debt", "papers", "hours")[: i % 5])),
        }
        for i in range(start, start + count)
    ]


# --- a vault with people in it ---

HOUSE_CONSENT = {
    "care": "mayCare",
    "own_statistics": "mayCount",
    "pooled_statistics": "mayPool",
    "synthetic_release": "mayRelease",
}
"""Purpose to the column of the safe house's files."""


def _house_schema() -> dict[str, object]:
    """The shelter's schema with a consent column for every purpose, and a group."""
    document: dict[str, object] = copy.deepcopy({**SCHEMA, "id": "house", "consent": HOUSE_CONSENT})
    attributes = [attribute for attribute in copy.deepcopy(SCHEMA["attributes"]) if isinstance(attribute, dict)]
    asked = next(attribute for attribute in attributes if attribute["name"] == "mayRelease")
    for name in ("mayCare", "mayCount", "mayPool"):
        attributes.append({**copy.deepcopy(asked), "name": name, "labels": {"en": name}})
    document["attributes"] = attributes
    document["groups"] = [{"name": "means", "labels": {"en": "Means"}, "members": ["means"], "answered": "any"}]
    return document


HOUSE_HEADER = (*HEADER, "mayCare", "mayCount", "mayPool")


@dataclass(frozen=True, kw_only=True)
class SafeHouse:
    """A vault in a folder of its own: one organisation with one dataset, `north/cases`, of the schema `house`."""

    folder: Path

    @property
    def path(self) -> Path:
        """The vault's folder; keystore and anchor are beside it."""
        return self.folder / "vault"

    def open(self) -> Vault:
        """Open the vault anew, as a later command does."""
        return Vault.open(self.path, file_key(self.folder / "root.key"))

    def people(self, vault: Vault | None = None, *, name: str = "cases") -> People:
        """Return the people of a dataset of the organisation."""
        vault = self.open() if vault is None else vault
        return People(vault, vault.dataset("north", name))

    def add_dataset(self, name: str, organisation: str = "north") -> Dataset:
        """Add an empty dataset of the same schema."""
        return self.open().add_dataset(organisation, name, parse_schema(_house_schema()), 10_000)

    def take_in(self, records: Sequence[Record], *, name: str = "cases", organisation: str = "north") -> None:
        """Take records into a dataset."""
        file = self.folder / f"upload-{len(list(self.folder.glob('upload-*')))}.csv"
        with file.open("w", newline="", encoding="utf-8") as opened:
            writer = csv.DictWriter(opened, HOUSE_HEADER, restval="")
            writer.writeheader()
            writer.writerows(records)
        vault = self.open()
        dataset = vault.dataset(organisation, name)
        free_text = [attribute.name for attribute in dataset.schema.attributes if attribute.role == "text"]
        take_in(vault, dataset, file, keep=free_text)
        file.rename(file.with_suffix(".done"))

    def run(self, *arguments: str | Path, given: str | None = None) -> Result:
        """Run `casehaven` on this vault, in the terminal's way."""
        places = ["--vault", str(self.path), "--root-key", f"file:{self.folder / 'root.key'}"]
        return CliRunner().invoke(main, [*(str(argument) for argument in arguments), *places], input=given)


@pytest.fixture(scope="session")
def _empty_house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("house")
    vault = Vault.create(folder / "vault", create_file_key(folder / "root.key"))
    vault.add_dataset("north", "cases", parse_schema(_house_schema()), 10_000)
    return folder


@pytest.fixture
def make_house(tmp_path: Path, _empty_house: Path) -> Callable[[str], SafeHouse]:
    """Make a safe house in a folder of its own. Making keys anew for every test takes longer than copying."""

    def make(name: str) -> SafeHouse:
        shutil.copytree(_empty_house, tmp_path / name)
        return SafeHouse(folder=tmp_path / name)

    return make


@pytest.fixture
def house(make_house: Callable[[str], SafeHouse]) -> SafeHouse:
    """One safe house."""
    return make_house("house")


@pytest.fixture(scope="session")
def running_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """One service as two processes, for every test of this process that asks one: of the api and of pages."""
    from tests.service.api.conftest import named_approvers, served

    folder = tmp_path_factory.mktemp("service")
    with served(folder / "house", *named_approvers(folder / "approvers")) as running:
        yield running


@pytest.fixture(scope="session")
def served_house(running_service: RunningService) -> House:
    """The same with people in it; tests leave what they find."""
    from tests.service.api.conftest import furnish

    return furnish(running_service)
