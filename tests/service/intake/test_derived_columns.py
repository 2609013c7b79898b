"""A column that follows from another one by the schema's table is never read from a file, and that is said."""

from __future__ import annotations

import copy
import json

import pytest

from casehaven.intake.check import check_file
from casehaven.intake.mapped_file import MappedFile
from casehaven.intake.mapping_document import parse_intake_mapping
from casehaven.intake.proposal import propose
from casehaven.intake.sealed_upload import allowed_columns
from caseschemas import CaseSchema, parse_schema
from caseschemas.errors import MappingFaultsError

from .conftest import MakeSource


@pytest.fixture
def schema(ctdc: CaseSchema) -> CaseSchema:
    """CTDC with a flag that follows from the age."""
    document = copy.deepcopy(ctdc.document())
    (flag,) = [entry for entry in document["attributes"] if entry["name"] == "meansThreats"]
    (age,) = [entry for entry in document["attributes"] if entry["name"] == "ageBroad"]
    codes = {band["code"]: "1" if band["code"] in ("0-8", "9-17") else "" for band in age["bands"]}
    derived = {"from": "ageBroad", "recode": codes}
    labels = {language: f"Minor {language}" for language in flag["labels"]}
    document["attributes"].append({**flag, "name": "isMinor", "labels": labels, "derived": derived})
    return parse_schema(document)


@pytest.mark.parametrize("header", ["isMinor", "is minor", "Minor en"])
def test_it_is_dropped_and_the_reason_is_said(make_source: MakeSource, schema: CaseSchema, header: str) -> None:
    held = make_source(["personToken", "yearOfRegistration", "ageBroad", header], [["p1", "2019", "21-23", "Nonsense"]])
    mapping = propose(held, schema).accepted()
    report = check_file(MappedFile(held=held, mapping=mapping, schema=schema))
    assert [(one.column, one.why) for one in report.dropped] == [(header, "follows from ageBroad: not read")]
    assert "isMinor" not in {finding.to for finding in report.attributes}
    assert "isMinor" not in report.unfilled
    assert report.taken == 1


def test_it_is_in_no_record_and_in_no_prepared_file(make_source: MakeSource, schema: CaseSchema) -> None:
    held = make_source(["personToken", "ageBroad", "isMinor"], [["p1", "21-23", "1"]])
    file = MappedFile(held=held, mapping=propose(held, schema).accepted(), schema=schema)
    assert "ageBroad" in file.columns
    assert "isMinor" not in file.columns
    assert "isMinor" not in allowed_columns(schema)


def test_a_mapping_that_fills_it_is_refused(make_source: MakeSource, schema: CaseSchema) -> None:
    held = make_source(["personToken", "ageBroad", "isMinor"], [["p1", "21-23", "1"]])
    document = propose(held, schema).document()
    document["attributes"].append({"to": "isMinor", "from": ["isMinor"]})
    with pytest.raises(MappingFaultsError) as refused:
        parse_intake_mapping(json.dumps(document).encode(), schema)
    (fault,) = refused.value.faults
    assert fault.pointer.endswith("/to")
    assert fault.advice == "remove the entry: it follows from 'ageBroad' by the schema's table"
