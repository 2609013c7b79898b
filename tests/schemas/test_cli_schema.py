"""`casehaven schema list | show | check`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from casehaven.cli.schema import SHOWN_FAULTS, command
from caseschemas import CaseschemasError, parse_schema


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


@pytest.fixture
def mine(tmp_path: Path, example_text: str) -> Path:
    """A file of the user without faults."""
    path = tmp_path / "mine.json"
    path.write_text(example_text, "utf-8")
    return path


def test_list_names_every_shipped_schema() -> None:
    result = run("list")
    assert result.exit_code == 0
    listed = [line.split()[:3] for line in result.output.splitlines()[1:]]
    assert listed == [
        ["ctdc-global", "1.0.0", "27"],
        ["ctdc-victim-perpetrator", "1.0.0", "16"],
        ["htcds-2.0", "1.0.0", "18"],
    ]


def test_show_gives_every_attribute_with_kind_role_and_merge_rule() -> None:
    lines = run("show", "ctdc-global").output.splitlines()
    assert any(line.split()[:5] == ["ageBroad", "number", "analysis", "10", "earliest"] for line in lines)
    assert any(line.split()[:3] == ["caseReference", "identifier", "identifier"] for line in lines)
    assert "languages: en (reviewed), fr (not reviewed), es (not reviewed), ar (not reviewed)" in lines


def test_show_explains_a_file_of_the_user_too(mine: Path) -> None:
    output = run("show", str(mine)).output
    assert "  farm: only where worked is '1'" in output
    assert "  region: from in 5 coarser values" in output
    assert "consent: pooled_statistics in mayPool" in output


def test_show_speaks_the_language_asked_for() -> None:
    assert "Année d’enregistrement" in run("show", "ctdc-global", "--language", "fr").output


def test_show_attribute_gives_its_list_of_values() -> None:
    lines = run("show", "ctdc-global", "--attribute", "gender").output.splitlines()
    assert any(line.startswith("'Woman'") and "Female" in line for line in lines)
    assert any(line.startswith("''") and "unknown" in line for line in lines)


def test_show_attribute_says_that_an_identifier_never_leaves_the_vault() -> None:
    assert "never leaves the vault" in run("show", "ctdc-global", "--attribute", "caseReference").output


def test_show_json_is_a_schema_of_its_own(mine: Path) -> None:
    assert parse_schema(run("show", str(mine), "--json").output) == parse_schema(mine.read_bytes())


@pytest.mark.parametrize("arguments", [("nowhere",), ("ctdc-global", "--attribute", "nothing")])
def test_show_refuses_what_does_not_exist_and_says_what_to_do(arguments: tuple[str, ...]) -> None:
    result = run("show", *arguments)
    assert result.exit_code == 1
    assert isinstance(result.exception, CaseschemasError)
    assert "casehaven schema" in result.exception.__notes__[0]


def test_check_of_a_right_file_ends_with_0(mine: Path) -> None:
    result = run("check", str(mine))
    assert (result.exit_code, result.output) == (
        0,
        f"{mine}: no faults (shelter-intake 1.0.0: 11 attributes, 7 for analysis)\n",
    )


def test_check_explains_a_fault_with_its_place_and_ends_with_1(mine: Path, spec: str) -> None:
    mine.write_text(mine.read_text("utf-8").replace('"from": 18', '"from": 17'), "utf-8")
    result = run("check", str(mine))
    assert result.exit_code == 1
    shown = spec.split("$ casehaven schema check mine.json\n")[1].split("```")[0]
    assert result.output == shown.replace("mine.json", str(mine))


def test_check_json_holds_every_fault(mine: Path, example: dict[str, Any]) -> None:
    example["attributes"] *= SHOWN_FAULTS // 5
    mine.write_text(json.dumps(example), "utf-8")
    result = run("check", str(mine), "--json")
    faults = json.loads(result.output)
    assert result.exit_code == 1
    assert len(faults) > SHOWN_FAULTS
    assert set(faults[0]) == {"code", "pointer", "line", "found", "expected", "advice"}
    text = run("check", str(mine)).output
    assert text.count("  found     ") == SHOWN_FAULTS
    assert f"and {len(faults) - SHOWN_FAULTS} more" in text


def test_check_json_of_a_right_file_is_an_empty_list(mine: Path) -> None:
    result = run("check", str(mine), "--json")
    assert (result.exit_code, json.loads(result.output)) == (0, [])


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[1,", b"null", b"\x00" * 100, b"[" * 5000])
def test_check_of_anything_else_is_an_explained_fault(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.json"
    path.write_bytes(content)
    result = run("check", str(path))
    assert result.exit_code == 1
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "  do        " in result.output


@pytest.mark.parametrize("name", ["absent.json", ""])
def test_check_of_no_file_is_refused(tmp_path: Path, name: str) -> None:
    result = run("check", str(tmp_path / name))
    assert result.exit_code == 1
    assert isinstance(result.exception, CaseschemasError)
