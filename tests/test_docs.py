"""The documents say what the code does: commands, options, variables, nouns, facts and files are there, links lead somewhere, and examples run."""

from __future__ import annotations

import importlib
import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pandas as pd
import pytest

import casesynth
from casehaven import errors
from casehaven.cli import main
from casesynth.aggregates import MINIMUM
from casesynth.balance import ROWS_MAX
from casesynth.folds import BROAD_BELOW, FOLD_BELOW, FOLD_SIZE
from casesynth.plan import (
    CELLS,
    FILLED,
    FILLED_IN_TRIPLES,
    LENGTH_SHARES,
    SHORT_LENGTH_SHARES,
    TRIPLE_CELLS,
    TRIPLE_VALUES,
)
from casesynth.signing import SigningKey
from casesynth.tables import MEASUREMENTS_FORMAT, MODEL_FORMAT

if TYPE_CHECKING:
    from tests.conftest import MakePeople, Shelter

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
GUIDE = (ROOT / "docs" / "guides" / "cli.md").read_text(encoding="utf-8")
BUNDLE = (ROOT / "docs" / "spec" / "bundle.md").read_text(encoding="utf-8")
ENGINE = (ROOT / "docs" / "spec" / "engine.md").read_text(encoding="utf-8")

NOUNS = """
    organisation, member, role, case record, person, person token, people cap, block, dataset, snapshot, purpose, consent, agreement,
    account, ledger, charge, quote, query, answer, release, registry, domain, attribute, clique, marginal, measurement, privacy loss,
    neighbouring datasets
"""
"""The nouns that everything uses, in the order of the data."""

VARIABLE = re.compile(r"\bCASEHAVEN_[A-Z_]+\b")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
PATH = re.compile(r"`((?:schemas|synth|platform|tests|benchmarks|docs|requirements)/[^`\s]*)`")
DOTTED = re.compile(r"`((?:caseschemas|casesynth|casehaven)(?:\.\w+)+)")


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _blocks(text: str, language: str) -> list[str]:
    return [body for found, body in FENCE.findall(text) if found == language]


def _commands(group: click.Group, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _commands(command, (*words, name))
        else:
            yield (*words, name), command


COMMANDS = dict(_commands(main, ("casehaven",)))


def _lines(text: str) -> Iterator[list[str]]:
    """Every line of a shell block that calls casehaven, as words."""
    for block in (*_blocks(text, ""), *_blocks(text, "console")):
        for line in block.splitlines():
            plain = line.removeprefix("$ ")
            if plain.startswith("casehaven ") and "[" not in plain and not re.search(r"casehaven [A-Z]", plain):
                yield shlex.split(plain)


def _section(words: tuple[str, ...]) -> str:
    """The part of the guide on one command; empty when there is none."""
    parts = re.split(r"^## ", GUIDE, flags=re.MULTILINE)
    return next((part for part in parts if part.startswith(f"`{' '.join(words)}`\n")), "")


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_a_section_in_the_guide_with_an_example_and_all_its_options(words: tuple[str, ...]) -> None:
    section = _section(words)
    assert any(tuple(line[: len(words)]) == words for line in _lines(section)), f"no example of {' '.join(words)}"
    for parameter in COMMANDS[words].params:
        if isinstance(parameter, click.Option):
            for option in parameter.opts:
                assert f"`{option}`" in section, f"{' '.join(words)} {option} is not in the guide"


def test_the_guide_has_no_section_on_a_command_that_is_not_there() -> None:
    sections = re.findall(r"^## `(casehaven .*)`$", GUIDE, re.MULTILINE)
    assert sorted(sections) == sorted(" ".join(words) for words in COMMANDS)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_guide_names_no_option_that_the_command_has_not(words: tuple[str, ...]) -> None:
    has = {option for parameter in COMMANDS[words].params for option in parameter.opts}
    listed = re.findall(r"^- (`-.*?):", _section(words), re.MULTILINE)
    assert {option for line in listed for option in re.findall(r"`(-[\w-]+)`", line)} <= has


@pytest.mark.parametrize("path", DOCUMENTS, ids=_name)
def test_every_command_line_in_a_document_can_be_parsed(path: Path) -> None:
    for line in _lines(path.read_text(encoding="utf-8")):
        words = max((w for w in COMMANDS if tuple(line[: len(w)]) == w), key=len, default=None)
        assert words is not None, line
        COMMANDS[words].make_context(" ".join(words), line[len(words) :])  # raises a UsageError when an option is wrong


def test_every_environment_variable_is_in_the_guide() -> None:
    places = [ROOT / ".ci" / "run", ROOT / "Makefile", *(ROOT / "tests").rglob("*.py")]
    places += [path for root in ("platform", "synth", "schemas") for path in (ROOT / root).rglob("*.py")]
    used = {name for path in places for name in VARIABLE.findall(path.read_text(encoding="utf-8"))}
    documented = set(re.findall(r"^\| `(CASEHAVEN_\w+)` \|", GUIDE, re.MULTILINE))
    assert used - {"CASEHAVEN_"} == documented


def test_every_exit_code_is_in_the_guide() -> None:
    codes = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    assert {0, *codes} == {int(code) for code in re.findall(r"^\| (\d+) \|", GUIDE, re.MULTILINE)}


def test_advice_names_only_commands_and_options_that_are_there() -> None:
    options = {option for command in COMMANDS.values() for p in command.params for option in p.opts} | {"--help"}
    for name, outcome in errors.outcomes().items():
        for word in re.findall(r"(?<![\w-])--[a-z-]+", outcome.advice):
            assert word in options, (name, word)
        for called in re.findall(r"`(casehaven [a-z -]+)", outcome.advice):
            words = called.split(" --")[0].split()
            assert any(w[: len(words)] == tuple(words) for w in COMMANDS), (name, called)


def test_the_glossary_has_every_noun() -> None:
    entries = re.findall(r"^- \*\*(.+?)\*\*", (ROOT / "GLOSSARY.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert {noun.strip() for noun in NOUNS.split(",")} <= set(entries)
    assert len(set(entries)) == len(entries)


def _anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=_name)
def test_every_relative_link_leads_to_a_file_and_a_heading(path: Path) -> None:
    for target in LINK.findall(FENCE.sub("", path.read_text(encoding="utf-8"))):
        if re.match(r"https?:", target):
            continue
        name, _, anchor = target.partition("#")
        there = (path.parent / name).resolve() if name else path
        assert there.exists(), target
        assert not anchor or anchor in _anchors(there), target


def test_every_document_can_be_reached_from_the_readme() -> None:
    seen, waiting = set[Path](), [README]
    while waiting:
        path = waiting.pop()
        if path in seen or path.suffix != ".md":
            continue
        seen.add(path)
        names = (target.partition("#")[0] for target in LINK.findall(path.read_text(encoding="utf-8")))
        waiting += [(path.parent / name).resolve() for name in names if name and not re.match(r"https?:", name)]
    assert set(DOCUMENTS) <= seen


@pytest.mark.parametrize("path", DOCUMENTS, ids=_name)
def test_documents_name_only_files_and_names_that_are_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for named in PATH.findall(text):
        assert any(ROOT.glob(named.rstrip("/"))), named
    for dotted in DOTTED.findall(text):
        assert _resolves(dotted), dotted


def _resolves(dotted: str) -> bool:
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        return all(hasattr(found, name) and bool(found := getattr(found, name)) for name in parts[length:])
    return False


def test_the_modules_of_casesynth_are_all_in_the_architecture() -> None:
    text = (ROOT / "docs" / "spec" / "architecture.md").read_text(encoding="utf-8")
    section = text.split("## casesynth\n")[1].split("\n## ")[0]
    named = set(re.findall(r"`([a-z]+)\.py`", section)) | set(re.findall(r"`([a-z]+)/", section))
    listed = subprocess.run(
        ["git", "ls-files", "synth/casesynth"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    there = {re.split(r"[/.]", name)[2] for name in listed.stdout.split() if re.match(r"synth/casesynth/[a-z]", name)}
    assert there - named <= {"errors", "notes", "progress", "py"}
    assert named - {"private", "mechanisms"} <= there


def test_the_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) < 120


def _run(text: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> dict[str, Any]:
    """Run the Python blocks of a document one after the other in a folder; return the names that they leave."""
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    blocks = _blocks(text, "python")
    assert blocks
    for block in blocks:
        exec(compile(block, "document", "exec"), names)  # noqa: S102 - our own documents, to show that they run
    return names


def test_the_snippet_of_the_readme_runs_on_a_small_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.DataFrame(
        {
            "id": [f"p{i}" for i in range(600)],
            "sex": [("female", "male", "")[i % 3] for i in range(600)],
            "age": [("0-17", "18-29", "30+", "")[i % 4] for i in range(600)],
            "notes": "never read",
        }
    )
    frame.to_csv(tmp_path / "people.csv", index=False)
    text = README.read_text(encoding="utf-8")
    (block,) = _blocks(text, "python")
    assert len([line for line in block.splitlines() if line.strip()]) <= 5
    release = _run(text, monkeypatch, tmp_path)["release"]
    assert isinstance(release, casesynth.Release)
    assert list(release.records.columns) == ["sex", "age"]
    people, low, high = release.people
    assert low <= people <= high
    assert len(release.records) == people


@pytest.fixture
def bundle(shelter: Shelter, people: MakePeople) -> Path:
    """A small bundle, `bundle`, beside the schema that it was made with, `shelter.json`."""
    result = shelter.release(shelter.write("north.csv", people(600)))
    assert result.exit_code == 0, result.output
    return shelter.folder / "bundle"


def test_the_lines_of_the_engine_specification_recompute_a_bundle(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = _run(ENGINE, monkeypatch, bundle.parent)
    aggregates = pd.read_parquet(bundle / "aggregates.parquet")
    records = pd.read_parquet(bundle / "synthetic.parquet")
    for found in (names["aggregates"], names["listed"]):
        pd.testing.assert_frame_equal(found, aggregates, check_dtype=False)
    for found in (names["records"], names["sampled"]):
        assert found.astype(str).equals(records.astype(str))
    assert names["expected"].shape == names["table"].shape == (4, 4)
    assert "noise" in capsys.readouterr().out


def test_every_fact_of_a_manifest_is_in_the_specification(bundle: Path) -> None:
    facts = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))["facts"]
    section = BUNDLE.split("### Facts")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert sorted(name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])) == sorted(facts)
    for name, fact in facts.items():
        inner = fact[0] if isinstance(fact, list) else fact
        (row,) = [row for row in rows if f"`{name}`" in row.split("|")[1]]
        for field in inner if isinstance(inner, dict) else ():
            assert f"`{field}`" in row, (name, field)


def test_every_file_of_a_bundle_is_in_the_specification(bundle: Path) -> None:
    section = BUNDLE.split("## Files")[1].split("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("|")]
    named = [name for cell in cells for name in re.findall(r"`([a-z]+\.[a-z]+)`", cell)]
    assert sorted(named) == sorted(os.listdir(bundle))


def test_every_column_of_the_data_files_is_in_the_engine_specification(bundle: Path) -> None:
    for name in ("measurements", "model", "aggregates"):
        for column in pd.read_parquet(bundle / f"{name}.parquet").columns:
            assert f"`{re.sub('_2$', '_1', column)}`" in ENGINE, (name, column)


CONSTANTS: dict[str, Callable[[], str]] = {
    "triples": lambda: f"the smallest triples: each of at most {TRIPLE_CELLS:,} cells",
    "long lists": lambda: f"A list of more than {TRIPLE_VALUES} values is in triples",
    "cells": lambda: f"all tables together within {CELLS:,} cells",
    "shares by length": lambda: "These four get {}, {}, {} and {} of rho".format(
        *(f"{share:.2f}".lstrip("0") for share in LENGTH_SHARES)
    ),
    "shares without long lists": lambda: "where no list is long enough to fold, {}, {}, {} and {}".format(
        *(f"{share:.2f}".lstrip("0") for share in SHORT_LENGTH_SHARES)
    ),
    "folds": lambda: (
        f"In a list of at least {FOLD_SIZE} values, those whose noisy count is below {FOLD_BELOW:g} standard errors"
    ),
    "filled": lambda: f"has {FILLED} of them in tables of two columns and {FILLED_IN_TRIPLES} in triples",
    "folds in triples": lambda: f"those below {BROAD_BELOW:g} standard errors fold too",
    "minimum": lambda: f"an estimate of at least {MINIMUM:g}",
    "balanced records": lambda: f"(up to {ROWS_MAX:,} records)",
    "measurements": lambda: f"`{MEASUREMENTS_FORMAT}`",
    "model": lambda: f"`{MODEL_FORMAT}`",
}


@pytest.mark.parametrize("name", CONSTANTS)
def test_numbers_and_formats_of_the_engine_specification_are_those_of_the_code(name: str) -> None:
    assert CONSTANTS[name]() in ENGINE


def test_the_changelog_and_the_supported_versions_know_this_version() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = re.findall(r'^version = "(.+)"$', project, re.MULTILINE)[0]
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"| {version.rpartition('.')[0]} | yes |" in (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def test_a_key_of_the_right_kind_is_in_the_examples() -> None:
    length = len(SigningKey.create().public_key.fingerprint)
    for path in DOCUMENTS:
        for fingerprint in re.findall(r"SHA256:[\w+/]+", path.read_text(encoding="utf-8")):
            assert len(fingerprint) == length, (path.name, fingerprint)
