"""Made-up HTCDS records: in the schema's lists, obviously made up, and the ctdc-global people again once they are mapped."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from casehaven.generate import generate_population, generate_records
from casehaven.generate.htcds import HtcdsModel
from casehaven.generate.registry import model_for
from casehaven.intake.mapping import map_frame
from caseschemas import CaseSchema, load_mapping, load_schema
from casesynth.domain import Domain
from casesynth.encode import encode
from casesynth.persons import PersonTableBuilder

PEOPLE = 20_000
MAPPING = load_mapping("htcds-2.0", "ctdc-global")
FULL = [column.to for column in MAPPING.columns if column.coverage == "full"]
SECTORS = [f"typeOfLabour{name}" for name in ("Agriculture", "Construction", "DomesticWork", "Hospitality")]
RELATIONS = [f"recruiterRelation{name}" for name in ("Family", "Friend", "Other")]


@pytest.fixture(scope="module")
def schema() -> CaseSchema:
    return load_schema("htcds-2.0")


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    return generate_population(PEOPLE, 1, "htcds-2.0").astype(str)


@pytest.fixture(scope="module")
def records(schema: CaseSchema) -> pd.DataFrame:
    whole: pd.DataFrame = pa.Table.from_batches(list(generate_records(schema, PEOPLE, seed=1))).to_pandas()
    return whole.astype(str)


@pytest.fixture(scope="module")
def originals() -> pd.DataFrame:
    """The ctdc-global people of the same seed."""
    return generate_population(PEOPLE, 1, "ctdc-global").astype(str)


@pytest.fixture(scope="module")
def mapped(people: pd.DataFrame) -> pd.DataFrame:
    """Every person's profile mapped; those who are no victims keep their place as missing rows."""
    others = {name: "" for name in MAPPING.needed if name not in people}
    frame = people.assign(**others, caseReference=people.index.astype(str))
    found: pd.DataFrame = map_frame(frame, MAPPING).set_index("caseReference").reindex(people.index.astype(str))
    return found


def test_the_world_of_its_own_is_used(schema: CaseSchema) -> None:
    assert isinstance(model_for(schema), HtcdsModel)


def test_every_cell_reads_as_what_was_meant(schema: CaseSchema, records: pd.DataFrame) -> None:
    assert list(records.columns) == [attribute.name for attribute in schema.attributes]
    for attribute in schema.attributes:
        for cell in records[attribute.name].unique() if attribute.values else ():
            positions = attribute.codes_of(cell)
            assert positions is not None
            assert ";".join(attribute.values[position].code for position in positions) == cell


@pytest.mark.parametrize("column", ["yearOfRegistration", "CountryOfExploitation", "ageBroad", *FULL])
def test_a_mapped_file_shows_the_ctdc_people_again(mapped: pd.DataFrame, originals: pd.DataFrame, column: str) -> None:
    over = mapped["personToken"].notna().to_numpy()
    assert over.mean() > 0.985
    assert (mapped[column].to_numpy()[over] == originals[column].to_numpy()[over]).all()


@pytest.mark.parametrize("columns", [SECTORS, RELATIONS])
def test_of_several_sectors_or_relations_htcds_keeps_one(
    mapped: pd.DataFrame, originals: pd.DataFrame, columns: list[str]
) -> None:
    over = mapped["personToken"].notna().to_numpy()
    kept, had = ((frame[columns].to_numpy() == "1")[over] for frame in (mapped, originals))
    assert not (kept & ~had).any()
    assert (kept.sum(axis=1) == had.any(axis=1)).all()
    assert (had.sum(axis=1) > 1).any()


def test_what_htcds_cannot_say_is_empty(mapped: pd.DataFrame) -> None:
    assert set(mapped["traffickMonths"].dropna()) == {""}
    assert set(mapped["recruiterRelationIntimatePartner"].dropna()) == {""}


def test_people_who_are_no_victims_have_no_exploitation_or_means(people: pd.DataFrame) -> None:
    none = people[people["vic_TraffickingStatus"] == "NotAVictimOfTrafficking"]
    assert 0 < len(none) < 0.015 * len(people)
    assert (none["vic_TypeOfExploitation"] == "").all()
    assert set(none["vic_MethodsOfControl"]) <= {"", "Other"}


def test_merging_the_mapped_records_of_each_person_gives_the_ctdc_people(
    records: pd.DataFrame, originals: pd.DataFrame
) -> None:
    domain = Domain.from_schema(MAPPING.target)
    builder = PersonTableBuilder(domain)
    builder.add(encode(map_frame(records, MAPPING), domain, person="personToken"))
    table = builder.build(people_cap=PEOPLE)
    for place, column in enumerate(domain.columns):
        if column.name in (*FULL, "yearOfRegistration"):
            shares = np.bincount(table.columns[place], minlength=column.size) / PEOPLE
            wanted = originals[column.name].value_counts(normalize=True).reindex(column.values, fill_value=0).to_numpy()
            assert np.abs(shares - wanted).max() < 0.012, column.name


def test_the_logic_of_the_schema_holds(records: pd.DataFrame) -> None:
    labour = records["vic_TypeOfExploitation"].str.contains("ForcedLabour|ChildLabour|ForcedBegging")
    assert (records.loc[~labour, "vic_ForcedLabourIndustry"] == "").all()
    assert (records.loc[labour, "vic_ForcedLabourIndustry"] != "").mean() > 0.3
    sexual = records["vic_TypeOfExploitation"].str.contains("SexualExploitation")
    assert (records.loc[~sexual, "vic_TypeOfSexExploitation"] == "").all()


def test_identifiers_and_free_text_are_obviously_made_up(schema: CaseSchema, records: pd.DataFrame) -> None:
    made_up = re.compile(r"(Example|example|Made-up|EX-).*\d{9}(@example\.org)?")
    hidden = [one.name for one in schema.attributes if one.role in ("identifier", "text")]
    for name in hidden:
        if name not in ("caseReference", "prs_Birthdate"):
            assert records[name].map(lambda cell: made_up.fullmatch(cell) is not None).all(), name
    names = records.groupby("personToken")["prs_FirstName"].nunique()
    assert (names == 1).all()
    assert records["prs_FirstName"].nunique() == PEOPLE


def test_birthdates_are_one_per_person_and_fit_age_and_year(schema: CaseSchema, records: pd.DataFrame) -> None:
    known = records[records["prs_Birthdate"] != ""]
    assert 0.4 < len(known) / len(records) < 0.7
    assert known["prs_Birthdate"].str.endswith("-01-01").all()
    assert (known.groupby("personToken")["prs_Birthdate"].nunique() == 1).all()
    ages = known["yearOfRegistration"].astype(int) - known["prs_Birthdate"].str[:4].astype(int)
    age = schema.attribute("ageAtRegistration")
    assert [age.code_of(str(years)) for years in ages] == [age.code_of(band) for band in known["ageAtRegistration"]]


def test_two_seeds_differ_and_one_seed_does_not(people: pd.DataFrame) -> None:
    assert generate_population(PEOPLE, 1, "htcds-2.0").astype(str).equals(people)
    assert not generate_population(PEOPLE, 2, "htcds-2.0").astype(str).equals(people)


def test_the_first_people_of_a_long_sample_are_the_people_of_a_short_one(people: pd.DataFrame) -> None:
    assert generate_population(500, 1, "htcds-2.0").astype(str).equals(people[:500])
