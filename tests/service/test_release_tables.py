"""Tables that matter on the command line: stated, charged like any release, and part of what makes a request that request."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

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
