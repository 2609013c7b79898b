"""The proof in docs/spec/privacy.md cites code and tests that exist; a step without either proves nothing."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "spec" / "privacy.md").read_text(encoding="utf-8")
CITED = sorted(set(re.findall(r"`([^`\n]+)`", TEXT)))
FILES = [cited for cited in CITED if re.fullmatch(r"tests/[\w/]+\.py", cited)]
TESTS = [cited for cited in CITED if re.fullmatch(r"test_\w+", cited)]
CODE = [cited for cited in CITED if re.fullmatch(r"case(synth|haven)(\.\w+)+", cited)]


def test_the_proof_cites_code_and_tests() -> None:
    assert len(FILES) > 10 and len(TESTS) > 3 and len(CODE) > 10


@pytest.mark.parametrize("path", FILES)
def test_a_cited_file_of_tests_is_there_and_has_tests(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    assert re.search(r"\ndef test_|\nTest\w+ = \w+\.TestCase", text)


@pytest.mark.parametrize("name", TESTS)
def test_a_cited_test_is_there(name: str) -> None:
    assert any(f"def {name}(" in path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))


@pytest.mark.parametrize("name", CODE)
def test_cited_code_is_there(name: str) -> None:
    module = name.split(".")
    rest: list[str] = []
    while module:
        try:
            found: object = importlib.import_module(".".join(module))
        except ModuleNotFoundError:
            rest.insert(0, module.pop())
            continue
        break
    assert module
    for part in rest:
        found = getattr(found, part)


def test_every_step_names_its_code_and_its_tests() -> None:
    for number in (2, 3, 4, 5, 6, 7, 8, 9):
        step = TEXT.split(f"\n## {number}. ")[1].split("\n## ")[0]
        assert re.search(r"case(synth|haven)", step), f"step {number} cites no code"
        assert "tests/" in step, f"step {number} cites no test"


def test_the_last_section_names_a_test_for_every_rule_of_noise_and_proof() -> None:
    table = TEXT.split("\n## 11. ")[1]
    rows = [row.split("|")[1:3] for row in re.findall(r"^\| \d.*$", table, re.MULTILINE)]
    assert all("test" in held for _, held in rows)
    named = {int(number) for rules, _ in rows for number in re.findall(r"\b\d+\b", rules)}
    assert {*range(1, 17), 18, *range(26, 32), 34} <= named


def test_it_can_be_read_in_an_hour() -> None:
    """At 100 words a minute, slow enough to look up each step's code."""
    assert len(re.findall(r"\w+", TEXT)) < 6_000


@pytest.mark.parametrize(
    "word", ["Blocks", "Tokens", "conversion", "omposition", "post-processing", "neighbours", "Gaussian"]
)
def test_every_part_of_the_proof_is_there(word: str) -> None:
    assert word in TEXT
