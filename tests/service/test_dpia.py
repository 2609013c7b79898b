"""Evidence for an impact assessment: complete, from public facts alone, and the same whoever is in the vault (docs/spec/dpia.md)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from casehaven.cli import main
from casehaven.dpia.flow_plot import flow_plot
from casehaven.dpia.flows import FLOWS

if TYPE_CHECKING:
    from tests.conftest import MakePeople, SafeHouse

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def founded(house: SafeHouse) -> SafeHouse:
    for words in (
        ["ledger", "create", "--epsilon", "8", "--ledger", str(house.folder / "ledger.sqlite")],
        ["keys", "create", "--key", str(house.folder / "key.pem")],
    ):
        made = CliRunner().invoke(main, words)
        assert made.exit_code == 0, made.output
    return house


def evidence(house: SafeHouse, name: str, *options: str) -> dict[str, Any]:
    out = house.folder / name
    places = ("--ledger", house.folder / "ledger.sqlite", "--key", house.folder / "key.pem")
    made = house.run("dpia", "-o", out, *options, *places)
    assert made.exit_code == 0, made.output
    found: dict[str, Any] = json.loads((out / "evidence.json").read_text(encoding="utf-8"))
    return found


def test_the_evidence_is_the_same_whoever_is_in_the_vault(founded: SafeHouse, people: MakePeople) -> None:
    empty = evidence(founded, "empty")
    founded.take_in([{**record, "mayCare": "yes", "mayCount": "yes", "mayPool": "yes"} for record in people(37)])
    full = evidence(founded, "full")
    assert full == empty
    pages = [(founded.folder / name / "evidence.html").read_bytes() for name in ("empty", "full")]
    assert pages[0] == pages[1]


def test_every_attribute_and_every_purpose_is_in_the_inventory(founded: SafeHouse) -> None:
    (dataset,) = evidence(founded, "out")["inventory"]
    schema = founded.open().dataset("north", "cases").schema
    assert [one["name"] for one in dataset["attributes"]] == [one.name for one in schema.attributes]
    assert {one["role"] for one in dataset["attributes"]} >= {"analysis", "person", "text"}
    assert all(one["stays"] for one in dataset["attributes"])
    columns = {one["purpose"]: one["column"] for one in dataset["consent"]}
    assert {purpose: column for purpose, column in columns.items() if column is not None} == dict(schema.consent)
    assert len(columns) == 4
    page = (founded.folder / "out" / "evidence.html").read_text(encoding="utf-8")
    assert all(f'<td class="w">{one.name}</td>' in page for one in schema.attributes)
    assert page.count("<svg") == 1


def test_other_organisations_are_left_out_when_one_is_named(founded: SafeHouse) -> None:
    founded.add_dataset("cases", "south")
    assert {one["dataset"] for one in evidence(founded, "both")["inventory"]} == {"north/cases", "south/cases"}
    assert "south" not in json.dumps(evidence(founded, "one", "--organisation", "north")["inventory"])
    nobody = founded.run(
        "dpia", "-o", founded.folder / "none", "--organisation", "east", "--ledger", founded.folder / "ledger.sqlite"
    )
    assert nobody.exit_code == 1
    assert "no dataset of east" in nobody.output
    assert not (founded.folder / "none").exists()


def test_a_folder_that_is_there_is_refused(founded: SafeHouse) -> None:
    evidence(founded, "out")
    before = {path.name: path.read_bytes() for path in (founded.folder / "out").iterdir()}
    again = founded.run("dpia", "-o", founded.folder / "out", "--ledger", founded.folder / "ledger.sqlite")
    assert again.exit_code == 1
    assert "is there already" in again.output
    assert {path.name: path.read_bytes() for path in (founded.folder / "out").iterdir()} == before


def test_where_root_key_and_anchor_are_is_said(founded: SafeHouse) -> None:
    settings = {one["name"]: one["value"] for one in evidence(founded, "out")["settings"]}
    assert (settings["root key"], settings["anchor"]) == ("file", "beside the vault")
    assert settings["epsilon for one account"] == "8"


def test_every_flow_names_a_document_that_is_there() -> None:
    for flow in FLOWS:
        assert (ROOT / flow.proof).is_file(), flow.proof


def test_a_step_that_leads_back_cannot_be_drawn() -> None:
    with pytest.raises(ValueError, match="lead back"):
        flow_plot([("a", "b"), ("b", "c"), ("c", "a")])
