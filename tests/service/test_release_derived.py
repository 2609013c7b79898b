"""A schema with derived attributes in every place where a schema may name one, released end to end and again from its bundle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from caseschemas import parse_schema
from casesynth.derived import derivations
from casesynth.domain import Domain
from casesynth.tables import read_model

if TYPE_CHECKING:
    from tests.conftest import MakePeople, Shelter

BANDS = {"0-17": "minor", "18-29": "", "30+": ""}


def _derived(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "role": "analysis", "labels": {"en": name}, "missing": ["blank"], "merge": "agree", **fields}


def _extend(path: Path) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    minor = [{"code": "minor", "labels": {"en": "Minor"}}]
    schema["attributes"] += [
        _derived("isMinor", kind="flag", values=minor, derived={"from": "age", "recode": BANDS}),
        _derived("isChild", kind="flag", values=minor, derived={"from": "age", "recode": BANDS}),
        _derived(
            "adulthood",
            kind="category",
            values=[*minor, {"code": "adult", "labels": {"en": "Adult"}}],
            derived={"from": "age", "hierarchy": "adulthoods"},
        ),
    ]
    schema["hierarchies"] = [
        {
            "name": "adulthoods",
            "labels": {"en": "Minor or adult"},
            "attribute": "age",
            "parents": [
                {"code": "minor", "labels": {"en": "Minor"}, "members": ["0-17"]},
                {"code": "adult", "labels": {"en": "Adult"}, "members": ["18-29", "30+"]},
            ],
        }
    ]
    schema["groups"] = [
        {"name": "both", "labels": {"en": "Both"}, "members": ["isMinor", "isChild"], "answered": "any"},
        {"name": "mixed", "labels": {"en": "Mixed"}, "members": ["isMinor", "gender", "adulthood"], "answered": "all"},
    ]
    schema["logic"] = [
        {
            "name": "genderOfAdults",
            "labels": {"en": "Gender is asked of adults only"},
            "attributes": ["gender"],
            "onlyWith": {"attribute": "adulthood", "codes": ["adult"]},
        }
    ]
    path.write_text(json.dumps(schema), encoding="utf-8")
    return schema


@pytest.mark.parametrize("columns", ["without the columns", "with columns that contradict the table"])
def test_derived_attributes_may_stand_in_groups_logic_and_hierarchies(
    shelter: Shelter, people: MakePeople, columns: str
) -> None:
    schema = _extend(shelter.folder / "shelter.json")
    records = people(400)
    if columns.startswith("with columns"):
        records = [{**record, "isMinor": "minor", "isChild": "nonsense", "adulthood": "minor"} for record in records]
    header = list(dict.fromkeys(name for record in records for name in record))
    result = shelter.release(shelter.write("cases.csv", records, header))
    assert result.exit_code == 0, result.output
    folder = shelter.folder / "bundle"
    assert shelter.run("verify", folder).exit_code == 2  # whole, by a signer that nobody has trusted yet
    domain = Domain.from_schema(parse_schema(schema))
    made = pd.read_parquet(folder / "synthetic.parquet").astype(str)
    assert len(made) > 100
    for link in derivations(domain):
        source, column = domain.columns[link.source], domain.columns[link.column]
        table = dict(zip(source.values, (column.values[place] for place in link.table.argmax(axis=1)), strict=True))
        assert (made[source.name].map(table) == made[column.name]).all()
    adult = made["adulthood"] == "adult"
    assert not made.loc[~adult, "gender"].isin(["woman", "man"]).any()  # the schema's logic, through the source
    model, _ = read_model(folder / "model.parquet", domain)
    for link in model.links:
        assert link.doubt is not None and np.isfinite(link.doubt).all()


def test_a_file_says_nothing_through_a_derived_column(shelter: Shelter, people: MakePeople) -> None:
    """What a release prints is the same sort of lines whatever the column holds; no cell of it is repeated."""
    _extend(shelter.folder / "shelter.json")
    records = [{**record, "adulthood": "SECRET-CELL"} for record in people(300)]
    header = list(dict.fromkeys(name for record in records for name in record))
    result = shelter.release(shelter.write("cases.csv", records, header))
    assert result.exit_code == 0, result.output
    assert "SECRET-CELL" not in result.output
    for path in (shelter.folder / "bundle").iterdir():
        assert b"SECRET-CELL" not in path.read_bytes(), path.name
