"""The import graph of docs/spec/architecture.md, read from the sources without running them."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import casesynth

if TYPE_CHECKING:
    from tests.conftest import MakePeople, Shelter

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"caseschemas": ROOT / "schemas", "casesynth": ROOT / "synth", "casehaven": ROOT / "platform"}

MAY_IMPORT = {
    "caseschemas": set[str](),
    "casesynth": {"caseschemas"},
    "casehaven": {"caseschemas", "casesynth"},
}
"""Of our packages, beside itself."""

AFTER_MEASURE = (
    "_features",
    "_objective",
    "aggregates",
    "answers.answer",
    "answers.conditions",
    "answers.document",
    "answers.families",
    "answers.grammar",
    "answers.grid",
    "answers.plan",
    "answers.question",
    "answers.ratios",
    "answers.reuse",
    "balance",
    "bundle",
    "contrasts",
    "estimates",
    "feasibility",
    "intervals",
    "logic",
    "manifest",
    "model",
    "notes",
    "recordfiles",
    "report",
    "showcase",
    "sample",
    "seeded",
    "signing",
    "tables",
    "threads",
    "unfinished",
)
"""Modules of casesynth that take protected numbers only."""

HOLDS_REAL_DATA = {
    "casesynth.persons": None,
    "casesynth.encode": set[str](),
    "casesynth.measure": {"Measurement"},  # what comes out of the noise
    "casesynth.answers.counted": {"NoisyTable"},  # what comes out of the noise
    "casesynth.counting": set[str](),
    "casesynth.marginals": {"Clique", "axes_of", "signs_of", "signed_shape"},  # names of columns, and sizes
    "casesynth.evaluation": None,
    "casesynth.kanonymity": None,
}
"""Module: the names that modules after the noise may take from it; None and the empty set are nothing at all."""

COUNTS_MADE_UP_PEOPLE = {
    "casesynth.intervals": {
        "casesynth.counting": {"count", "count_signed"},
        "casesynth.measure": {"Measurement", "in_two_stages"},
        "casesynth.marginals": {"Clique", "Marginal"},
    },
    "casesynth.report.agreement": {
        "casesynth.counting": {"count"},
        "casesynth.marginals": {"Clique", "Marginal"},
    },
}
"""Modules that count people drawn from the model or synthetic records, never real ones."""

BASE_OF_SCHEMAS = {"jsonschema"}
"""Beyond the standard library; imported inside the function that checks a document, never on loading."""


def _sources(package: str) -> Iterator[tuple[str, Path]]:
    root = PACKAGES[package]
    for path in sorted((root / package).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = {name: path for package in PACKAGES for name, path in _sources(package)}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}


def _imports(module: str, tree: ast.AST | None = None) -> Iterator[tuple[str, set[str] | None]]:
    """Every import, also inside functions and under TYPE_CHECKING: module, and the names taken (None: the module itself)."""
    for node in ast.walk(TREES[module] if tree is None else tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, None
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{module}: a relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield (inner, None) if inner in MODULES else (node.module, {alias.name})


def _below(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


@pytest.mark.parametrize("module", MODULES)
def test_a_package_imports_only_the_packages_below_it(module: str) -> None:
    package = module.partition(".")[0]
    used = {name.partition(".")[0] for name, _ in _imports(module)} & set(PACKAGES)
    assert used - {package} <= MAY_IMPORT[package]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_import_of_ours_is_a_module_that_is_there(package: str) -> None:
    for module, _ in _sources(package):
        for name, _ in _imports(module):
            if name.partition(".")[0] in PACKAGES:
                assert name in MODULES, (module, name)


def test_only_the_mechanisms_import_opendp() -> None:
    using = {module for module in MODULES for name, _ in _imports(module) if _below(name, "opendp")}
    assert using == {"casesynth.privacy.mechanisms"}


def test_only_measure_asks_the_mechanisms_for_noise() -> None:
    using = {
        module
        for module in MODULES
        for name, names in _imports(module)
        if _below(name, "casesynth.privacy.mechanisms") and (names is None or "add_gaussian_noise" in names)
    }
    assert using == {"casesynth.measure", "casesynth.answers.counted"}


def _after_measure() -> list[str]:
    return [module for module in MODULES if any(_below(module, f"casesynth.{name}") for name in AFTER_MEASURE)]


@pytest.mark.parametrize("module", _after_measure())
def test_nothing_after_the_noise_imports_what_holds_real_data(module: str) -> None:
    for found, names in _real(module):
        raise AssertionError(f"{module} takes {names or 'the module'} from {found}")


def _real(module: str, tree: ast.AST | None = None) -> Iterator[tuple[str, set[str] | None]]:
    """Imports of a module after the noise that it may not have."""
    made_up = COUNTS_MADE_UP_PEOPLE.get(module, {})
    for name, names in _imports(module, tree):
        for holder, free in HOLDS_REAL_DATA.items():
            allowed = (free or set()) | made_up.get(holder, set())
            if _below(name, holder) and (names is None or not names <= allowed):
                yield name, names


@pytest.mark.parametrize(
    "planted",
    [
        "from casesynth.persons import PersonTable",
        "import casesynth.persons",
        "from casesynth import persons",
        "from casesynth.encode import CodedTable",
        "from casesynth.counting import count",
        "from casesynth.evaluation.private import utility",
        "def late():\n    from casesynth.marginals import Marginal",
    ],
)
def test_a_planted_import_of_real_data_is_caught(planted: str) -> None:
    assert [*_real("casesynth.tables", ast.parse(planted))]


def test_no_exception_for_made_up_people_is_wider_than_its_use() -> None:
    for module, holders in COUNTS_MADE_UP_PEOPLE.items():
        used: dict[str, set[str]] = {}
        for name, names in _imports(module):
            if name in holders:
                used.setdefault(name, set()).update(names or ())
        assert used == holders


COMPARES_WITH_REAL_RECORDS = ("casesynth.evaluation", "casehaven.evaluation")
ONLY_COMMANDS = ("casehaven.cli.evaluate", "casehaven.cli.dpia")


@cache
def _named(module: str) -> frozenset[str]:
    return frozenset(name for name, _ in _imports(module))


def _reach(module: str) -> set[str]:
    """Every module of ours that a module can load, also late, inside functions and under TYPE_CHECKING, through others; packages run their `__init__`."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        for part in (name, *(".".join(name.split(".")[:n]) for n in range(1, name.count(".") + 1))):
            if part in MODULES and part not in seen:
                seen.add(part)
                waiting += _named(part)
    return seen


def _reaches_comparison(reach: set[str]) -> bool:
    return any(_below(name, package) for name in reach for package in COMPARES_WITH_REAL_RECORDS)


@pytest.mark.parametrize("module", MODULES)
def test_only_the_private_report_reaches_the_comparison_with_real_records(module: str) -> None:
    """Privacy rule 33: what makes, publishes, decides about or shows a release cannot import it, directly or through others."""
    allowed = module in ONLY_COMMANDS or any(_below(module, package) for package in COMPARES_WITH_REAL_RECORDS)
    assert _reaches_comparison(_reach(module)) == allowed


def test_a_planted_way_to_the_comparison_is_found() -> None:
    planted = {
        name for name, _ in _imports("planted", ast.parse("def late():\n    from casehaven.cli import evaluate"))
    }
    assert _reaches_comparison({found for name in planted for found in _reach(name)})


def test_a_whole_release_loads_no_comparison_with_real_records(shelter: Shelter, people: MakePeople) -> None:
    """The same, by running one in a process of its own."""
    file = shelter.write("north.csv", people(60))
    command = (
        "import sys; from casehaven.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "print('LOADED', sorted(m for m in sys.modules if 'evaluation' in m), 'casehaven.releases.service' in sys.modules)"
    )
    arguments = shelter.release_arguments(file)
    done = subprocess.run([sys.executable, "-c", command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == "LOADED [] True"


def test_loading_a_schema_needs_the_standard_library_only() -> None:
    for module in (name for name in MODULES if _below(name, "caseschemas")):
        for node in TREES[module].body:
            for name, _ in _imports(module, node) if isinstance(node, ast.Import | ast.ImportFrom) else ():
                top = name.partition(".")[0]
                assert top in sys.stdlib_module_names or top == "caseschemas", (module, name)
        late = {name.partition(".")[0] for name, _ in _imports(module)}
        assert late - set(sys.stdlib_module_names) - {"caseschemas"} <= BASE_OF_SCHEMAS


def test_casesynth_needs_the_base_dependencies_only() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    base = {requirement.partition(">")[0] for requirement in project["dependencies"]}
    used = {name.partition(".")[0] for module in MODULES if _below(module, "casesynth") for name, _ in _imports(module)}
    assert used - set(sys.stdlib_module_names) - set(PACKAGES) == base


def test_every_exported_name_is_the_thing_itself_and_no_module() -> None:
    for name in casesynth.__all__:
        assert not isinstance(getattr(casesynth, name), type(sys)), name
        assert importlib.util.find_spec(f"casesynth.{name}") is None, f"a module has the name of the export {name}"


OF_THE_CLIENT = ("casehaven.client", "casehaven.errors")
"""Of casehaven, what the client may import."""


def test_the_client_imports_none_of_the_server() -> None:
    for module in (name for name in MODULES if _below(name, "casehaven.client")):
        for name, _ in _imports(module):
            assert not _below(name, "casehaven") or any(_below(name, part) for part in OF_THE_CLIENT), (module, name)
            assert not _below(name, "caseschemas"), (module, name)


def test_a_client_that_asks_and_shows_loads_neither_the_server_nor_its_libraries(tmp_path: Path) -> None:
    """The same, by running one in a process of its own, and the command line with `--server` as well."""
    code = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in {'sqlalchemy', 'alembic', 'fastapi', 'starlette', 'uvicorn', 'webauthn', 'jinja2', 'jsonschema', 'xlsxwriter'}:\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "from casehaven.client import Client\n"
        "client = Client('http://localhost:1', 'chv_' + 'x' * 43)\n"
        "ours = sorted(m for m in sys.modules if m.startswith('casehaven.') and not m.startswith('casehaven.client'))\n"
        "print('LOADED', ours, 'opendp' in sys.modules)\n"
        "from casehaven.cli import main\n"
        "for words in (['quote', '--from', 'n/c', '--by', 'x', '--within', '9'], ['ask', '--from', 'n/c', '--by', 'x', '--within', '9'],\n"
        "              ['answers', '--from', 'n/c'], ['releases', 'list'], ['quote', '--from', 'n/c', '--saved', 'sdg-16.2.2', '--within', '9']):\n"
        "    try:\n        main([*words, '--server', 'http://localhost:1'])\n"
        "    except SystemExit as end:\n        print('ENDED', end.code)\n"
    )
    environment = {"PATH": ""}  # without a token nothing is sent
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path, env=environment
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith(("LOADED", "ENDED"))]
    assert lines == ["LOADED ['casehaven.errors'] False", *["ENDED 1"] * 5], (done.stdout, done.stderr)
    assert done.stderr.count("error: no token") == 5, done.stderr


SEALING = {f"casehaven.vault.{name}" for name in ("context", "envelope", "errors", "sealed", "sealing_stream")}
"""Of the vault, what the api may load: functions of bytes, which seal to a public key or open with a key that is handed to them."""
KEYLESS = {"casehaven.vault", *SEALING, "casehaven.worker", "casehaven.worker.standing"}
"""Of vault, ledger and worker, what the api may load at all; `standing` says which kinds of jobs are signed, and loads none of the worker's work."""
HOLD_KEYS = ("casehaven.vault", "casehaven.ledger", "casehaven.worker", "casehaven.people", "casehaven.queries")


def _with_keys(modules: Iterable[str]) -> set[str]:
    return {name for name in modules if any(_below(name, package) for package in HOLD_KEYS)} - KEYLESS


def _routers() -> tuple[str, ...]:
    """The modules of routes, as `casehaven.api` lists them."""
    for node in ast.walk(TREES["casehaven.api"]):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "ROUTERS":
            assert isinstance(node.value, ast.Tuple)
            return tuple(str(each.value) for each in node.value.elts if isinstance(each, ast.Constant))
    raise AssertionError("casehaven.api lists no routers")


@pytest.mark.parametrize("module", ["casehaven.api", *_routers()])
def test_the_api_imports_nothing_that_holds_a_key_also_not_late(module: str) -> None:
    assert not _with_keys(_reach(module))


@pytest.mark.parametrize(
    "planted",
    [
        "def late():\n    from casehaven.vault.keystore import OrganisationKeys",
        "from casehaven.vault.rootkeys import parse_root",
        "from casehaven.ledger import Ledger",
        "from casehaven.worker.work import Bench",
        "def late():\n    from casehaven.people import People",
    ],
)
def test_a_planted_way_to_the_keys_is_found(planted: str) -> None:
    reached = {name for found, _ in _imports("planted", ast.parse(planted)) for name in _reach(found)}
    assert _with_keys(reached)


@pytest.mark.parametrize("module", sorted(SEALING))
def test_what_seals_for_the_api_works_on_bytes_alone(module: str) -> None:
    """It imports no file, no database and no module with keys, and opens nothing."""
    for name, _ in _imports(module):
        top = name.partition(".")[0]
        assert name in SEALING | {"casehaven.errors"} or top == "cryptography" or top in sys.stdlib_module_names, name
        assert top not in {"pathlib", "io", "shutil", "socket", "sqlite3", "subprocess", "tempfile", "ctypes"}, name
    called = [node.func for node in ast.walk(TREES[module]) if isinstance(node, ast.Call)]
    names = {func.id if isinstance(func, ast.Name) else getattr(func, "attr", "") for func in called}
    assert not names & {"open", "fdopen", "read_bytes", "getenv"}


def test_a_process_of_the_api_has_loaded_nothing_that_holds_a_key() -> None:
    """The same, by starting one."""
    code = (
        "import importlib, sys\n"
        "import casehaven.cli.serve, casehaven.serving.api_process\n"
        "from casehaven.api import ROUTERS\n"
        "for name in ROUTERS: importlib.import_module(name)\n"
        "print(*sorted(name for name in sys.modules if name.startswith('casehaven.')))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "casehaven.routes.uploads" in loaded and not _with_keys(loaded)
    assert {name for name in loaded if _below(name, "casehaven.vault")} == {"casehaven.vault", *SEALING}
