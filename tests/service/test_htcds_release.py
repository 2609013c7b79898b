"""The whole way of an organisation that keeps HTCDS records: made-up records, mapped to CTDC, released, verified."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from casehaven.cli import main
from casesynth.signing import SigningKey


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, entered, with no settings from outside."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("CASEHAVEN_") and name != "CASEHAVEN_NO_SKIPS"]:
        monkeypatch.delenv(name)
    return tmp_path


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return result


def test_htcds_records_are_mapped_and_released(folder: Path) -> None:
    run("generate", "--schema", "htcds-2.0", "--people", "300", "--seed", "1", "-o", "htcds.csv")
    run("schema", "map", "htcds.csv", "--from", "htcds-2.0", "--to", "ctdc-global", "-o", "ctdc.csv")
    run("ledger", "create", "--epsilon", "10")
    run("keys", "create")
    released = run(
        *(
            "release",
            "ctdc.csv",
            "--schema",
            "ctdc-global",
            "--epsilon",
            "5",
            "--open-accounts",
            "--people-cap",
            "1000",
        ),
        *("--organisation", "shelter", "--out", "bundle"),
    )
    assert "released   bundle" in released.output
    fingerprint = SigningKey.load(folder / "casehaven-signing-key.pem").public_key.fingerprint
    run("keys", "trust", "add", "shelter", "bundle", "--fingerprint", fingerprint)
    run("verify", "bundle")
    with (folder / "bundle" / "synthetic.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    # HTCDS cannot say it, and noise alone says little: .97 to .99 in six releases, a deviation of .014
    assert sum(row["traffickMonths"] == "" for row in rows) > 0.8 * len(rows)
    assert sum(row["yearOfRegistration"] != "" for row in rows) > 0.5 * len(rows)
    for path in (folder / "bundle").iterdir():
        assert b"Example first name" not in path.read_bytes()
