"""docs/spec/ledger.md and docs/spec/bundle.md say what the code does: every table, column, field and limit is there."""

from __future__ import annotations

import json
import re
from pathlib import Path

from casehaven.ledger import models
from casehaven.ledger.charges import ChargeState
from casesynth import manifest, signing

SPEC = Path(__file__).parents[2] / "docs" / "spec"
LEDGER = (SPEC / "ledger.md").read_text()
BUNDLE = (SPEC / "bundle.md").read_text()


def test_every_table_and_column_of_the_ledger_is_documented() -> None:
    for table in models.metadata.sorted_tables:
        line = next(line for line in LEDGER.splitlines() if line.startswith(f"| `{table.name}`"))
        documented = re.findall(r"`(\w+)`", line)[1:]
        assert [name for name in documented if name != "id"] == [c.name for c in table.columns if c.name != "id"]


def test_the_marks_of_the_file_and_every_state_are_documented() -> None:
    assert f"0x{models.APPLICATION_ID:X}" in LEDGER
    assert f"`user_version` is {models.SCHEMA_VERSION}" in LEDGER
    for state in ChargeState:
        assert f"| `{state.value}` |" in LEDGER


def test_every_format_and_context_of_a_bundle_is_documented() -> None:
    for name in (manifest.MANIFEST_FORMAT, signing.SIGNATURE_FORMAT, signing.TRUST_FORMAT, signing.ALGORITHM):
        assert f"`{name}`" in BUNDLE or f'"{name}"' in BUNDLE
    assert signing.MANIFEST_CONTEXT == b"casehaven-release-manifest/1\n"
    assert '"casehaven-release-manifest/1" || 0x0A' in BUNDLE


def test_the_example_of_a_trust_store_can_be_loaded(tmp_path: Path) -> None:
    example = BUNDLE.split("```json\n")[1].split("```")[0]
    json.loads(example)
    (tmp_path / "trust.json").write_text(example)
    assert [signer.name for signer in signing.TrustStore.load(tmp_path / "trust.json").signers] == ["Aid Office"]


def test_every_field_of_a_signature_is_documented() -> None:
    fields = json.loads(signing.SigningKey.create().sign_manifest(b"").to_bytes())
    section = BUNDLE.split("## `manifest.sig`")[1].split("## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == set(fields)
