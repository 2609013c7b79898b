"""Made-up victims with their perpetrators: many rows repeat another, some 9 of 16 cells are filled, several perpetrators share a cell."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest

from casehaven.generate import generate_population, generate_records
from casehaven.generate.ctdc_victim_perpetrator import MOST_FILLED, VictimPerpetratorModel
from casehaven.generate.registry import model_for
from caseschemas import CaseSchema, load_schema

PEOPLE = 17_000
"""About as many victims as the published file speaks of; the share of repeated rows depends on it."""


@pytest.fixture(scope="module")
def schema() -> CaseSchema:
    return load_schema("ctdc-victim-perpetrator")


@pytest.fixture(scope="module", params=[1, 2, 3])
def people(request: pytest.FixtureRequest) -> pd.DataFrame:
    return generate_population(PEOPLE, request.param, "ctdc-victim-perpetrator").astype(str)


def test_the_world_of_its_own_is_used(schema: CaseSchema) -> None:
    assert isinstance(model_for(schema), VictimPerpetratorModel)


def test_more_than_half_of_the_rows_equal_another_row(people: pd.DataFrame) -> None:
    assert abs(people.duplicated(keep=False).mean() - 0.547) < 0.02


def test_nine_cells_a_row_are_filled_and_never_more_than_fourteen(people: pd.DataFrame) -> None:
    filled = (people != "").sum(axis=1)
    assert abs(filled.mean() - 9.3) < 0.1
    assert filled.max() == MOST_FILLED == 14


def test_cells_hold_several_perpetrators(schema: CaseSchema, people: pd.DataFrame) -> None:
    for name in ("IP_Gender", "IP_ageBroad", "IP_citizen_UNRegion", "IP_Relation"):
        attribute = schema.attribute(name)
        told = people.loc[people[name] != "", name]
        assert 0.02 < told.str.contains(";").mean() < 0.6
        for cell in told.unique():
            positions = attribute.codes_of(cell)
            assert positions is not None
            assert ";".join(attribute.values[position].code for position in positions) == cell
    assert (people["IP_Gender"] == "Female;Male").any()


def test_perpetrators_come_mostly_from_the_region_of_the_victim(people: pd.DataFrame) -> None:
    both = people[(people["UN_COO_Region"] != "") & (people["IP_citizen_UNRegion"] != "")]
    same = [
        region in cell.split(";")
        for region, cell in zip(both["UN_COO_Region"], both["IP_citizen_UNRegion"], strict=True)
    ]
    assert 0.8 < sum(same) / len(same) < 0.98


def test_most_perpetrators_are_no_friends_or_family(people: pd.DataFrame) -> None:
    told = people.loc[people["IP_Relation"] != "", "IP_Relation"]
    assert told.str.contains("StrangerUnknownOther").mean() > 0.6


def test_records_are_those_of_the_schema_and_merge_into_the_people(schema: CaseSchema) -> None:
    records: pd.DataFrame = pa.Table.from_batches(list(generate_records(schema, 2_000, seed=1))).to_pandas().astype(str)
    people = generate_population(2_000, 1, schema).astype(str)
    assert list(records.columns) == [attribute.name for attribute in schema.attributes]
    assert records["personToken"].nunique() == 2_000
    assert len(records) > 2_100
    unions = records.groupby("personToken")["IP_Relation"].agg(
        lambda cells: ";".join(sorted({p for c in cells for p in c.split(";") if p}))
    )
    expected = people["IP_Relation"].map(lambda cell: ";".join(sorted(filter(None, cell.split(";")))))
    assert sorted(unions) == sorted(expected)


def test_a_seed_means_the_same_people_and_the_first_of_more(people: pd.DataFrame) -> None:
    first = generate_population(40_000, 1, "ctdc-victim-perpetrator").astype(str)
    assert generate_population(PEOPLE, 1, "ctdc-victim-perpetrator").astype(str).equals(first[:PEOPLE])


@pytest.mark.parametrize("count", [0, 1])
def test_small_populations_have_every_column(count: int) -> None:
    assert generate_population(count, 3, "ctdc-victim-perpetrator").shape == (count, 16)
