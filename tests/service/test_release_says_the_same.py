"""A release says the same on the terminal, in its report, in its datasheet and in its table."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.conftest import MakePeople, Shelter


def test_terminal_report_and_datasheet_give_one_number_of_combinations(shelter: Shelter, people: MakePeople) -> None:
    output = shelter.release(shelter.write("north.csv", people(400)), extra=("--epsilon", "6")).output
    bundle = shelter.folder / "bundle"
    with (bundle / "aggregates.csv").open(newline="", encoding="utf-8") as file:
        known = sum(row["missing"] == "False" for row in csv.DictReader(file))
    assert known > 0
    said = f"{known:,} combinations of up to three values"
    assert said in output
    assert said in (bundle / "report.html").read_text(encoding="utf-8")
    assert said in (bundle / "datasheet.md").read_text(encoding="utf-8")


def test_a_bundle_of_a_schema_speaks_in_its_labels(shelter: Shelter, people: MakePeople) -> None:
    shelter.release(shelter.write("north.csv", people(400)), extra=("--epsilon", "6"))
    report = (shelter.folder / "bundle" / "report.html").read_text(encoding="utf-8")
    assert re.search(r"<h3><bdi>Means of control</bdi> <code>means</code></h3>", report)
    datasheet = (shelter.folder / "bundle" / "datasheet.md").read_text(encoding="utf-8")
    assert "| Means of control | means | 4 | Threats (threats); Debt (debt); Papers kept (papers);" in datasheet


def test_where_the_noise_drowns_what_there_is_all_three_say_so(shelter: Shelter, people: MakePeople) -> None:
    output = shelter.release(shelter.write("north.csv", people(150)), extra=("--epsilon", "0.002")).output
    bundle = shelter.folder / "bundle"
    report, datasheet = ((bundle / name).read_text(encoding="utf-8") for name in ("report.html", "datasheet.md"))
    assert "the noise drowns" in output
    for text in (report, datasheet):
        assert "The noise drowns" in text  # everything, or by chance all but a few numbers that are too high
        assert "with two values in common is within" not in text
