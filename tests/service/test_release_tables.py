"""Tables that matter on the command line: stated, charged like any release, and part of what makes a request that request."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from caseschemas import load_schema, parse_schema
from casesynth.domain import Domain, Function
from casesynth.named import named_tables
from casesynth.plan import PlanError, ReleasePlan

if TYPE_CHECKING:
    from tests.conftest import MakePeople, Shelter


def test_named_tables_are_stated_and_bound_to_the_request(shelter: Shelter, people: MakePeople) -> None:
    cases = shelter.write("cases.csv", people(300))
    options = ("--epsilon", "2", "--idempotency-key", "request-tables", "--table", "gender,means")
    result = shelter.release(cases, extra=options)
    assert result.exit_code == 0, result.output
    facts = json.loads((shelter.folder / "bundle" / "manifest.json").read_text(encoding="utf-8"))["facts"]
    assert (facts["named_tables"], facts["table_share"]) == ([["gender", "means"]], 0.25)
    page = (shelter.folder / "bundle" / "report.html").read_text(encoding="utf-8")
    assert "25% of the budget made these tables sharper: gender, means." in page
    again = shelter.release(cases, extra=options)
    assert again.exit_code == 0, again.output
    other = shelter.release(cases, extra=(*options, "--table", "age"))
    assert other.exit_code != 0


def test_a_table_of_attributes_that_the_schema_lacks_costs_nothing(shelter: Shelter, people: MakePeople) -> None:
    cases = shelter.write("cases.csv", people(50))
    result = shelter.release(cases, extra=("--epsilon", "2", "--table", "gender,shoe"))
    assert result.exit_code != 0 and "no attribute shoe in the domain" in result.output
    assert not (shelter.folder / "bundle").exists()


def test_tables_of_the_schema_come_first_and_the_command_line_adds_to_them() -> None:
    schema = parse_schema(
        {**load_schema("ctdc-global").document(), "tables": [["gender", "ageBroad"]], "tablePercent": 30}
    )
    both = named_tables(schema, [("ageBroad", "gender"), ("citizenship",)])
    assert both == ((("gender", "ageBroad"), ("citizenship",)), 0.3)
    assert named_tables(schema, share=0.1) == ((("gender", "ageBroad"),), 0.1)
    assert named_tables(schema, [("citizenship",)], of_the_schema=False) == ((("citizenship",),), None)
    assert named_tables(schema, of_the_schema=False) == ((), None)
    assert named_tables(load_schema("ctdc-global")) == ((), None)


def test_a_release_by_a_schema_gives_its_tables_their_share_unless_told_otherwise(
    shelter: Shelter, people: MakePeople
) -> None:
    cases = shelter.write("cases.csv", people(200))
    schema = json.loads((shelter.folder / "shelter.json").read_text(encoding="utf-8"))
    (shelter.folder / "shelter.json").write_text(
        json.dumps({**schema, "tables": [["gender", "age"]], "tablePercent": 30}), encoding="utf-8"
    )
    assert shelter.release(cases, extra=("--epsilon", "2")).exit_code == 0
    facts = json.loads((shelter.folder / "bundle" / "manifest.json").read_text(encoding="utf-8"))["facts"]
    assert (facts["named_tables"], facts["table_share"]) == ([["gender", "age"]], 0.3)


def test_a_derived_attribute_is_no_table_of_its_own() -> None:
    domain = Domain.declare(
        {"place": ["a", "b"], "region": Function(of="place", table={"a": "n", "b": "s"}), "sex": ["f", "m"]}
    )
    with pytest.raises(PlanError, match="region is derived and never measured; name place"):
        ReleasePlan.make(domain, epsilon=1, people_cap=100, tables=[("region", "sex")])
