"""The repository is laid out as docs/spec/architecture.md says, and what is tracked carries no machine's traces."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE_ROOTS = ("schemas", "synth", "platform")
PACKAGES = {"schemas": "caseschemas", "synth": "casesynth", "platform": "casehaven"}
LOCKS = ("run.lock", "test.lock")

TOP = {
    *SOURCE_ROOTS,
    "tests",
    "benchmarks",
    "docs",
    "requirements",
    ".ci",
    "README.md",
    "GLOSSARY.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "LICENSE",
    "Makefile",
    "pyproject.toml",
    ".gitignore",
}
LATER = {"notebooks"}
"""In the architecture, but empty so far."""

MACHINE_PATH = re.compile(r"(?<![\w.~:/-])/(?:home|Users|root|work|mnt|srv|private|tmp)/\w")


def _tracked() -> list[str]:
    """Every file that git knows, or would take in."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return sorted(name for name in set(listed.split("\0")) if name and (ROOT / name).is_file())


def test_platform_is_the_standard_librarys_seen_from_the_repository() -> None:
    found = subprocess.run(
        [sys.executable, "-c", "import platform; print(platform.__file__)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert Path(found).resolve().parent == Path(sysconfig.get_path("stdlib")).resolve()


@pytest.mark.parametrize("root", SOURCE_ROOTS)
def test_a_source_root_holds_one_package_and_no_loose_python(root: str) -> None:
    assert not [*(ROOT / root).glob("*.py"), *(ROOT / root).glob("*.pyi")]
    inside = {Path(name).parts[1] for name in _tracked() if Path(name).parts[0] == root}
    assert inside == {PACKAGES[root]}
    assert (ROOT / root / PACKAGES[root] / "py.typed").is_file()


@pytest.mark.parametrize("package", PACKAGES.values())
def test_each_package_is_imported_from_its_source_root(package: str) -> None:
    code = f"import {package}; print({package}.__file__)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    root = next(root for root, name in PACKAGES.items() if name == package)
    assert Path(run.stdout.strip()).parent == ROOT / root / package


def test_tests_are_no_package() -> None:
    assert not [*(ROOT / "tests").rglob("__init__.py")]


def test_the_top_level_holds_what_the_architecture_lists_and_nothing_else() -> None:
    there = {Path(name).parts[0] for name in _tracked()}
    assert there - LATER == TOP


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_requirement_has_one_version_and_its_hashes_and_no_address(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    assert "://" not in text
    assert "index-url" not in text
    entries = text.replace("\\\n", " ").splitlines()
    assert entries
    for entry in entries:
        assert re.fullmatch(r"[\w.\[\]-]+==[\w.+!]+( ; [^#]+?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*", entry), entry[:80]


def test_what_runs_is_locked_alike_for_running_and_for_testing() -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^\S+==\S+", (ROOT / "requirements" / name).read_text(encoding="utf-8"), re.MULTILINE))

    differ = {pin.partition("==")[0] for pin in pins("run.lock") - pins("test.lock")}
    assert differ <= {"attrs"}  # dp-accounting, a tool of the tests, takes an older one


def test_no_file_carries_a_path_of_somebodys_machine() -> None:
    for name in _tracked():
        text = (ROOT / name).read_bytes().decode("utf-8", "replace")
        found = MACHINE_PATH.search(text)
        assert found is None, f"{name}: {found.group() if found else ''}"


def test_a_path_of_a_machine_would_be_found() -> None:
    for folder in ("home", "Users", "work"):
        assert MACHINE_PATH.search(f'"/{folder}/x"')
    assert not MACHINE_PATH.search("tests/work/x, https://example.org/home/x")


def test_no_secret_or_result_of_a_run_is_tracked() -> None:
    for name in _tracked():
        assert not re.search(r"\.(pem|sqlite|sig|parquet|partial)(-wal|-shm)?$", name), name
