"""The client's guide runs as it stands, against a real service."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from casesynth.signing import TrustStore

if TYPE_CHECKING:
    from tests.service.api.conftest import House

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "guides" / "client.md"


def test_every_block_of_the_guide_runs(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = GUIDE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    blocks = [
        block for block in blocks if "sign_in" not in block
    ]  # tests/service/api/test_client_signed_in.py runs that
    assert len(blocks) == 5
    tokens = [
        house_token(caller, text, words)
        for caller, words in ((house.researcher, "For questions"), (house.north, "For uploads"))
    ]
    header = "caseReference,personToken,consentPooledStatistics,consentSyntheticRelease,yearOfRegistration,gender\n"
    (tmp_path / "cases.csv").write_text(f"{header}guide-1,guide-person-1,yes,yes,2021,Woman\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"trust": TrustStore()}
    for block, token in zip(blocks, (tokens[0], tokens[0], tokens[0], tokens[1], tokens[0]), strict=True):
        place = tmp_path / "token"
        place.write_text(token, encoding="ascii")
        place.chmod(0o600)
        monkeypatch.setenv("CASEHAVEN_SERVER", house.running.origin)
        monkeypatch.setenv("CASEHAVEN_TOKEN_FILE", str(place))
        code = compile(f"from casehaven.client import Client\nclient = Client.from_env()\n{block}", "guide", "exec")
        exec(code, names)  # noqa: S102 - our own document, to show that it runs
        names["client"].close()
    said = capsys.readouterr().out
    assert "north/cases ctdc-global 2000" in said
    assert "1 new records" in said
    assert "100%" in said
    assert names["statement"].fingerprint in said


def test_the_operations_that_the_guide_names_for_a_stewards_machine_make_a_token(house: House) -> None:
    assert house_token(house.north, GUIDE.read_text(encoding="utf-8"), "For a steward's machine also").startswith(
        "chv_"
    )


def house_token(caller: Any, text: str, words: str) -> str:
    """Make a token for the operations that the guide names."""
    listed = re.search(words + r": ((?:`[a-z]+\.[a-z]+`(?:, )?)+)", text)
    assert listed is not None
    operations = re.findall(r"[a-z]+\.[a-z]+", listed[1])
    made = caller.post("/v1/tokens", {"name": "guide", "operations": operations, "days": 1})
    assert made.status_code == 201, made.text
    value: str = made.json()["value"]
    return value
