"""Exact numbers stay with their organisation: nothing that makes a release can reach them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
USES = re.compile(r"^\s*(?:from|import) casehaven\.statistics\b", re.MULTILINE)


def _users() -> set[str]:
    roots = [ROOT / "platform", ROOT / "synth", ROOT / "schemas"]
    found = {path for root in roots for path in root.rglob("*.py") if USES.search(path.read_text(encoding="utf-8"))}
    return {path.relative_to(ROOT).as_posix() for path in found}


def test_only_own_statistics_itself_its_command_and_its_job_import_it() -> None:
    inside = {name for name in _users() if name.startswith("platform/casehaven/statistics/")}
    assert inside
    assert _users() - inside == {
        "platform/casehaven/cli/_tables_server.py",
        "platform/casehaven/cli/tables.py",
        "platform/casehaven/worker/own_statistics.py",
    }
