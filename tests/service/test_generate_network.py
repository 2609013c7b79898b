"""Any schema can be generated: a network over its public lists keeps domain, logic and dependence."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from casehaven.generate import generate_population, generate_records
from casehaven.generate.network import NetworkModel
from casehaven.generate.records import RecordMaker
from casehaven.generate.registry import MODELS, model_for
from caseschemas import CaseSchema, Labels, SchemaAttribute, Value, load_schema
from caseschemas.schema import Condition, Rule


def value(code: str, missing: Any = None) -> Value:
    return Value(code=code, labels=Labels({"en": code or "empty"}), missing=missing)


def attribute(
    name: str, kind: Any, codes: str, *, merge: Any, missing: tuple[Value, ...] | None = None, **more: Any
) -> SchemaAttribute:
    """A listed attribute whose first value is empty and missing."""
    values = (missing or (value("", "unknown"),)) + tuple(value(code) for code in codes.split())
    return SchemaAttribute(
        name=name, kind=kind, role=more.pop("role", "analysis"), labels=Labels({"en": name}), values=values, merge=merge, outside="", **more
    )  # fmt: skip


@pytest.fixture(scope="module")
def shelter() -> CaseSchema:
    """A schema of another kind: no case reference, no date, several missing values, a multi-value column, free text."""
    rule = Rule(
        name="workOnlyWithJob", labels=Labels({"en": "rule"}), attributes=("work", "pay"),
        only_with=Condition(attribute="job", codes=("1",)),
    )  # fmt: skip
    missing = (value("", "unknown"), value("not asked", "not_asked"), value("no", "no"))
    return CaseSchema(
        id="shelter", version="1.0.0", title=Labels({"en": "Shelter"}), languages=(), person_key="who", logic=(rule,),
        attributes=(
            SchemaAttribute(name="who", kind="identifier", role="person", labels=Labels({"en": "who"})),
            attribute("job", "flag", "1", merge="max", missing=missing),
            attribute("work", "category", "farm site shop", merge="agree"),
            attribute("pay", "category", "low middle high", merge="max"),
            attribute("needs", "multi", "food bed doctor lawyer", merge="union", separators=("; ", "|")),
            attribute("country", "country", " ".join(f"C{number:03d}" for number in range(300)), merge="latest"),
            SchemaAttribute(name="notes", kind="text", role="text", labels=Labels({"en": "notes"})),
        ),
    )  # fmt: skip


@pytest.fixture(scope="module")
def people(shelter: CaseSchema) -> pd.DataFrame:
    return generate_population(50_000, 1, shelter)


def test_the_shipped_schema_has_a_world_of_its_own() -> None:
    schema = load_schema("ctdc-global")
    assert isinstance(model_for(schema), MODELS["ctdc-global"])  # type: ignore[arg-type]  # the value is a class


def test_a_changed_copy_of_a_schema_gets_a_network() -> None:
    schema = load_schema("ctdc-global")
    shorter = dataclasses.replace(schema.attribute("gender"), values=schema.attribute("gender").values[:-1])
    changed = tuple(shorter if one.name == "gender" else one for one in schema.attributes)
    assert isinstance(model_for(dataclasses.replace(schema, attributes=changed)), NetworkModel)


def test_every_cell_is_in_the_domain(shelter: CaseSchema) -> None:
    records = pa.Table.from_batches(list(generate_records(shelter, 50_000, 1))).to_pandas().astype(str)
    assert list(records.columns) == [one.name for one in shelter.attributes]
    for one in shelter.analysis:
        cells = records[one.name].unique()
        assert len(cells) >= len(one.values)
        for cell in cells:
            positions = one.codes_of(cell)
            assert positions is not None
            assert "; ".join(one.values[position].code for position in positions) == cell
    assert records["who"].nunique() == 50_000
    assert (records["notes"] == "").all()


def test_the_logic_of_the_schema_holds(shelter: CaseSchema) -> None:
    records = pa.Table.from_batches(list(generate_records(shelter, 50_000, 1))).to_pandas().astype(str)
    without = records["job"] != "1"
    assert 0.02 < without.mean() < 0.98
    for name in ("work", "pay"):
        assert (records.loc[without, name] == "").all()
        assert (records.loc[~without, name] != "").mean() > 0.1


def test_columns_depend_on_each_other(people: pd.DataFrame) -> None:
    codes = people.apply(lambda column: column.cat.codes)
    dependent = 0
    for first, second in (("job", "work"), ("job", "needs"), ("work", "needs"), ("pay", "needs"), ("needs", "country")):
        table = pd.crosstab(codes[first], codes[second]).to_numpy()
        alone = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
        dependent += bool(0.5 * np.abs(table - alone).sum() / table.sum() > 0.03)
    assert dependent >= 3


def test_two_seeds_are_two_samples_of_one_population(shelter: CaseSchema, people: pd.DataFrame) -> None:
    other = generate_population(50_000, 2, shelter)
    assert not other.equals(people)
    for name in people:
        shares = [frame[name].value_counts(normalize=True, sort=False) for frame in (people, other)]
        assert 0.5 * np.abs(shares[0] - shares[1]).sum() < 0.04


def test_people_known_to_two_organisations_exist_in_any_schema(shelter: CaseSchema) -> None:
    batches = RecordMaker(shelter, 1, organisations=2).batches(0, 20_000)
    first, second = (set(batch.column("who").to_pylist()) for batch in batches)
    assert len(first | second) == 20_000
    assert 0.05 < len(first & second) / 20_000 < 0.10


def test_the_same_seed_gives_the_same_people(shelter: CaseSchema, people: pd.DataFrame) -> None:
    again = generate_population(50_000, 1, shelter)
    for name in people.columns:
        assert (again[name].cat.codes == people[name].cat.codes).all()


def test_without_a_person_key_one_record_is_one_person(shelter: CaseSchema) -> None:
    attributes = tuple(one for one in shelter.attributes if one.role != "person")
    keyless = dataclasses.replace(shelter, person_key=None, attributes=attributes)
    assert sum(batch.num_rows for batch in generate_records(keyless, 5_000, 1)) == 5_000
