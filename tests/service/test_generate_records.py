"""Case records: inside the schema's domain, consistent for one person, spread over organisations, the same for the same seed."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from casehaven.generate import RecordMaker, RequestError, generate_population, generate_records
from casehaven.generate.files import write_records
from casehaven.generate.records import chunk_sizes
from caseschemas import CaseSchema, load_schema

PEOPLE = 40_000
GOLDEN = "adb94867e28ea259c0382adfe73296a522b044adea969d5cba550aa8ad567451"
"""SHA-256 of the CSV of 1,000 people with seed 1: a seed means the same people on every machine and in every version."""


@pytest.fixture(scope="module")
def schema() -> CaseSchema:
    return load_schema("ctdc-global")


@pytest.fixture(scope="module")
def records(schema: CaseSchema) -> pd.DataFrame:
    whole: pd.DataFrame = pa.Table.from_batches(list(generate_records(schema, PEOPLE, seed=1))).to_pandas()
    return whole.astype(str)


def merged(schema: CaseSchema, records: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """Merge the records of every person by the schema's rules, slowly and plainly."""
    profiles: dict[str, tuple[str, ...]] = {}
    date = schema.attribute("yearOfRegistration")
    for token, own in records.groupby("personToken", sort=False):
        dates = [date.code_of(cell) or 99 for cell in own["yearOfRegistration"]]
        row = []
        for attribute in schema.analysis:
            known = [
                (when, code)
                for when, cell in zip(dates, own[attribute.name], strict=True)
                if (code := attribute.code_of(cell)) is not None and code >= attribute.first_known
            ]
            codes = {code for _, code in known}
            if not known or attribute.merge == "agree" and len(codes) > 1:
                merged_code = attribute.blank
            elif attribute.merge == "min":
                merged_code = min(codes)
            elif attribute.merge == "max":
                merged_code = max(codes)
            elif attribute.merge == "earliest":
                merged_code = min(known)[1]
            elif attribute.merge == "latest":
                last = max(when for when, _ in known)
                merged_code = min(code for when, code in known if when == last)
            else:
                (merged_code,) = codes
            row.append(attribute.values[merged_code].code)
        profiles[str(token)] = tuple(row)
    return profiles


def test_columns_are_those_of_the_schema_in_order(schema: CaseSchema, records: pd.DataFrame) -> None:
    assert list(records.columns) == [attribute.name for attribute in schema.attributes]


def test_every_cell_is_a_code_of_the_public_list(schema: CaseSchema, records: pd.DataFrame) -> None:
    for attribute in schema.attributes:
        if not attribute.values:
            assert (records[attribute.name] != "").all()
            continue
        for cell in records[attribute.name].unique():
            position = attribute.code_of(cell)
            assert position is not None, attribute.name
            assert attribute.values[position].code == cell


def test_no_record_breaks_the_public_logic(schema: CaseSchema, records: pd.DataFrame) -> None:
    for rule in schema.logic:
        forbidden = ~records[rule.only_with.attribute].isin(rule.only_with.codes)
        for name in rule.attributes:
            assert (records.loc[forbidden, name] == "").all()
            assert (records[name] != "").any()


def test_people_have_one_to_five_records(records: pd.DataFrame) -> None:
    counts = records["personToken"].value_counts()
    assert len(counts) == PEOPLE
    assert set(counts.unique()) == {1, 2, 3, 4, 5}
    assert 0.08 < (counts > 1).mean() < 0.18


def test_case_references_are_unique(records: pd.DataFrame) -> None:
    assert records["caseReference"].is_unique


def test_merged_records_are_the_population(schema: CaseSchema, records: pd.DataFrame) -> None:
    several = records[records["personToken"].duplicated(keep=False)]
    single = records[~records["personToken"].duplicated(keep=False)]
    names = [attribute.name for attribute in schema.analysis]
    found = Counter(merged(schema, several).values()) + Counter(single[names].itertuples(index=False, name=None))
    population = generate_population(PEOPLE, seed=1).astype(str)
    assert found == Counter(population.itertuples(index=False, name=None))


def test_records_of_one_person_differ_and_later_ones_know_more(schema: CaseSchema, records: pd.DataFrame) -> None:
    names = [attribute.name for attribute in schema.analysis if attribute.name != "yearOfRegistration"]
    several = records[records["personToken"].duplicated(keep=False) & (records["yearOfRegistration"] != "")]
    filled = (several[names] != "").sum(axis=1)
    ordered = several.assign(filled=filled).sort_values(["personToken", "yearOfRegistration"], kind="stable")
    by_person = ordered.groupby("personToken")
    spread = by_person["yearOfRegistration"].agg(["first", "last"])
    apart = spread.index[spread["first"] != spread["last"]]
    first, last = by_person["filled"].first()[apart], by_person["filled"].last()[apart]
    assert len(apart) > 500
    assert last.mean() > first.mean() + 1
    assert (first < last).mean() > 0.6


def test_most_but_not_all_people_consent_to_each_purpose_and_some_take_it_back(
    schema: CaseSchema, records: pd.DataFrame
) -> None:
    shares = [(records[column] == "yes").mean() for column in schema.consent.values()]
    assert all(0.6 < share < 0.99 for share in shares)
    names = [
        schema.consent[purpose] for purpose in ("care", "own_statistics", "pooled_statistics", "synthetic_release")
    ]
    assert (records[names] == "yes").mean().is_monotonic_decreasing
    answers = records.groupby("personToken")[names[-1]].nunique()
    assert (answers > 1).sum() > 50


@pytest.mark.parametrize("organisations", [2, 3, 12, 30])
def test_five_to_ten_percent_of_people_are_known_to_two_organisations(
    schema: CaseSchema, records: pd.DataFrame, organisations: int
) -> None:
    maker = RecordMaker(schema, 1, organisations=organisations)
    tokens = []
    for chunk, size in chunk_sizes(PEOPLE):
        for number, batch in enumerate(maker.batches(chunk, size)):
            tokens.append(pd.DataFrame({"token": batch.column("personToken").to_pylist(), "organisation": number}))
    known = pd.concat(tokens)
    assert sorted(known["token"]) == sorted(records["personToken"])
    assert set(known["organisation"]) == set(range(organisations))
    places = known.groupby("token")["organisation"].nunique()
    assert set(places.unique()) == {1, 2}
    assert 0.05 < (places == 2).mean() < 0.10


def test_organisations_differ_in_what_they_write_down(schema: CaseSchema) -> None:
    first, second = (batch.to_pandas() for batch in RecordMaker(schema, 4, organisations=2).batches(0, 32_768))
    assert (first["citizenship"] == "").mean() > (second["citizenship"] == "").mean() + 0.05


def test_a_chunk_alone_is_the_chunk_of_the_whole(schema: CaseSchema) -> None:
    whole = list(generate_records(schema, 70_000, seed=9))
    (alone,) = RecordMaker(schema, 9).batches(1, 32_768)
    assert len(whole) == 3
    assert alone.equals(whole[1])


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_same_seed_writes_the_same_bytes_and_another_seed_others(
    schema: CaseSchema, tmp_path: Path, suffix: str
) -> None:
    digests = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        (path,) = write_records(schema, 1_000, seed, tmp_path / f"{name}{suffix}")
        digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
    assert digests[0] == digests[1] != digests[2]
    if suffix == ".csv":
        assert digests[0] == GOLDEN


@pytest.mark.parametrize(("people", "seed", "words"), [(-1, 0, "people"), (10**10, 0, "people"), (1, -1, "seed")])
def test_numbers_out_of_range_are_refused(schema: CaseSchema, people: int, seed: int, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        list(generate_records(schema, people, seed))


@pytest.mark.parametrize("organisations", [0, 1_001])
def test_organisations_out_of_range_are_refused(schema: CaseSchema, organisations: int) -> None:
    with pytest.raises(RequestError, match="organisations"):
        RecordMaker(schema, 0, organisations=organisations)


def test_tokens_of_two_seeds_do_not_meet(schema: CaseSchema) -> None:
    tokens: list[Any] = [
        set(next(generate_records(schema, 1_000, seed)).column("personToken").to_pylist()) for seed in (1, 2)
    ]
    assert not tokens[0] & tokens[1]
