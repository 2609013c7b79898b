"""Published releases, read by whoever asks: what a question and a comparison answer, what is refused, and that the work is bounded."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.made_synthesis import leaning
from tests.shelved import record_of_bundle

from casehaven.core.problems import problem_of
from casehaven.registry.errors import NotComparableError, NotReadableError, RegistryBusyError
from casehaven.registry.reading import COMPARISONS, KEPT, MOST, OF_ONE, WAITING, Published, Shelf
from casehaven.releases.comparison import compare, comparison_facts
from casehaven.releases.published import PublishedRelease, open_release, verified_facts
from casehaven.releases.questions import ReleaseQuestionError, released_rows
from casehaven.schema_questions import parsed_question
from caseschemas import load_schema, parse_schema
from casesynth.answers.document import row_document
from casesynth.answers.fields import QuestionError
from casesynth.bundle import write_bundle
from casesynth.estimates import TABLES, CombinationError, Estimates
from casesynth.notes import ReleaseNotes
from casesynth.sharper import Sharper
from casesynth.signing import SigningKey, TrustStore

if TYPE_CHECKING:
    from tests.service.conftest import Press

BY_GENDER: dict[str, Any] = {"by": ["gender", "age"]}


def written(press: Press, name: str, *, people: float, seed: int = 4) -> Path:
    """A signed bundle of the press over its schema, without a fit."""
    synthesis = leaning(press.domain, people=people, seed=seed)
    synthesis = replace(synthesis, records=tuple(np.zeros(5, dtype=np.uint16) for _ in press.domain.columns))
    notes = ReleaseNotes(title=name, created="2025-03-01", organisations=2, legal_basis="made up")
    write_bundle(synthesis, notes, press.folder / name, SigningKey.load(press.folder / "key.pem"))
    return press.folder / name


@pytest.fixture(scope="session")
def bundle(refuge: Press) -> Path:
    """A release; tests that change it copy it first."""
    return written(refuge, "read", people=800)


def shelved(press: Press, bundle: Path) -> Published:
    """A bundle of the press as the registry knows it."""
    schema = load_schema(press.options[1])
    key = SigningKey.load(press.folder / "key.pem")
    return Published(folder=bundle, document=record_of_bundle(bundle, key, schema), schemas=(schema,))


def read(press: Press, bundle: Path) -> PublishedRelease:
    """The same, as the commands open it."""
    return open_release(verified_facts(bundle, TrustStore.load(press.folder / "trust.json")), press.options[1])


@pytest.fixture(scope="session")
def later(refuge: Press) -> Path:
    """Another release of the same schema, of twice as many people."""
    return written(refuge, "read-later", people=1_600)


def test_an_answer_has_the_releases_own_numbers_and_its_guarantee(refuge: Press, bundle: Path) -> None:
    published = shelved(refuge, bundle)
    answer = Shelf().answer(published, BY_GENDER)
    release = read(refuge, bundle)
    question = parsed_question(
        {**BY_GENDER, "accuracy": {"within_people": 7}}, release.schema, release.estimates.domain
    )
    assert answer["rows"] == [row_document(row) for row in released_rows(question, release)]
    assert {row.get("hidden", False) for row in answer["rows"]} == {False, True}
    assert all(row["low"] <= row["estimate"] <= row["high"] for row in answer["rows"] if "hidden" not in row)
    assert answer["release"]["id"] == published.document["id"] and "snapshot" not in answer
    assert answer["guarantee"] == published.document["guarantee"]
    json.dumps(answer, allow_nan=False)


@pytest.mark.parametrize(
    "question",
    [
        {"by": ["gender", "age", "status", "citizenship"]},
        {"by": ["gender"], "totals": True},
        {"by": ["gender"], "registered": ["2023"]},
        {"by": ["gender"], "count": {"records": {"at_most": 2}}},
        {"show": {"mean": "year"}},
    ],
)
def test_what_a_release_does_not_answer_is_refused_with_what_it_does(
    refuge: Press, bundle: Path, question: dict[str, Any]
) -> None:
    shelf = Shelf()
    with pytest.raises(ReleaseQuestionError, match="a release "):
        shelf.answer(shelved(refuge, bundle), question)
    assert shelf._inside == 0


def test_what_is_no_question_is_refused_at_its_place(refuge: Press, bundle: Path) -> None:
    for question in ({"by": ["shoe"]}, {"by": ["token"]}, {"code": "1"}, {"show": "percentages"}):
        with pytest.raises(QuestionError):
            Shelf().answer(shelved(refuge, bundle), question)


def test_a_question_that_needs_too_many_combinations_is_refused_before_any_is_made(refuge: Press, bundle: Path) -> None:
    release = read(refuge, bundle)
    asked: dict[str, Any] = {"by": ["citizenship", "status", "age"], "accuracy": {"within_people": 1}}
    question = parsed_question(asked, release.schema, release.estimates.domain)
    sizes = [len(release.schema.attribute(name).values) for name in asked["by"]]
    needed = sizes[0] * sizes[1] * sizes[2]
    assert needed < MOST and len(released_rows(question, release, most=needed)) == needed
    broken = replace(release, estimates=replace(release.estimates, model=None))  # type: ignore[arg-type]  # reading it would fail
    with pytest.raises(ReleaseQuestionError, match=f"at most {needed - 1:,} combinations"):
        released_rows(question, broken, most=needed - 1)
    narrowed = {**asked, "where": {"attribute": "gender", "in": ["woman", "man"]}, "by": asked["by"][:2]}
    question = parsed_question(narrowed, release.schema, release.estimates.domain)
    with pytest.raises(ReleaseQuestionError, match="combinations"):
        released_rows(question, broken, most=2 * sizes[0] * sizes[1] - 1)


def test_a_union_of_thousands_of_combinations_is_the_sum_of_them(refuge: Press, bundle: Path) -> None:
    estimates: Estimates = read(refuge, bundle).estimates
    places = [column.name for column in estimates.domain.columns]
    first, second, third = (places.index(name) for name in ("citizenship", "status", "age"))
    parts = [
        ((first, one), (second, two), (third, three)) for one in range(45) for two in range(4) for three in range(5)
    ]
    whole = estimates.union(parts)
    assert whole.value == pytest.approx(estimates.people.value) and len(parts) == 900
    with pytest.raises(CombinationError, match="exclude each other"):
        estimates.union([*parts, parts[7]])
    with pytest.raises(CombinationError, match="exclude each other"):
        estimates.union([((first, 1),), ((second, 1),)])


@pytest.mark.parametrize("change", ["model", "fingerprint", "manifest_sha256", "schema", "folder", "signature"])
def test_a_bundle_that_is_not_what_the_record_says_is_not_read(
    refuge: Press, bundle: Path, tmp_path: Path, change: str
) -> None:
    folder = shutil.copytree(bundle, tmp_path / "copy")
    published = replace(shelved(refuge, bundle), folder=folder)
    assert Shelf().answer(published, BY_GENDER)["rows"]
    if change == "model":
        path = folder / "model.parquet"
        path.chmod(0o600)
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    elif change == "schema":
        published = replace(published, schemas=())
    elif change == "folder":
        published = replace(published, folder=tmp_path / "absent")
    elif change == "signature":
        path = folder / "manifest.sig"
        path.chmod(0o600)
        path.write_bytes(b"{}")
    else:
        published = replace(published, document={**published.document, change: "0" * 64})
    with pytest.raises(NotReadableError) as refused:
        Shelf().answer(published, BY_GENDER)
    assert str(tmp_path) not in str(refused.value) and problem_of(refused.value).status == 409


def test_a_comparison_is_the_one_of_the_command_and_is_kept(refuge: Press, bundle: Path, later: Path) -> None:
    shelf, ends = Shelf(), [shelved(refuge, each) for each in (bundle, later)]
    found = shelf.compare(*ends)
    wanted = comparison_facts(compare(read(refuge, bundle), read(refuge, later), pairs=20))
    assert found == {**wanted, "records": [each.document["id"] for each in ends]}
    assert found["people"]["real"] and found["people"]["direction"] == "rose"
    gone = [replace(each, folder=Path("absent")) for each in ends]
    assert shelf.compare(*gone) == found
    with pytest.raises(NotReadableError):
        Shelf().compare(*gone)
    with pytest.raises(NotComparableError):  # what is kept is of both, not of one
        shelf.compare(ends[1], ends[1])


def test_a_schema_of_the_same_name_with_other_values_is_not_the_releases(refuge: Press, bundle: Path) -> None:
    document = json.loads(json.dumps(refuge.schema))
    gender = next(one for one in document["attributes"] if one["name"] == "gender")
    gender["values"][0]["code"] = "girl"
    published = replace(shelved(refuge, bundle), schemas=(parse_schema(document),))
    with pytest.raises(NotReadableError):
        Shelf().answer(published, BY_GENDER)


def test_what_cannot_be_set_side_by_side_is_refused_without_a_path(refuge: Press, bundle: Path) -> None:
    one = shelved(refuge, bundle)
    with pytest.raises(NotComparableError, match="not compared with itself"):
        Shelf().compare(one, one)
    document = json.loads(json.dumps(refuge.schema))
    document["id"], document["attributes"][2]["values"] = "hut", document["attributes"][2]["values"][:1]
    hut = refuge.with_schema(document)
    other = written(hut, "hut", people=500)
    with pytest.raises(NotComparableError, match="different attributes or value lists") as refused:
        Shelf().compare(one, shelved(hut, other))
    assert str(refuge.folder) not in str(refused.value)


def test_few_wait_and_whoever_comes_beyond_them_comes_again(refuge: Press, bundle: Path) -> None:
    shelf, published = Shelf(), shelved(refuge, bundle)
    shelf._inside = WAITING
    with pytest.raises(RegistryBusyError) as refused:
        shelf.answer(published, BY_GENDER)
    problem = problem_of(refused.value)
    assert (problem.status, problem.code, problem.headers()) == (503, "registry-busy", {"Retry-After": "5"})
    shelf._inside, shelf._of["192.0.2.1"] = 2, OF_ONE
    with pytest.raises(RegistryBusyError):
        shelf.answer(published, BY_GENDER, address="192.0.2.1")
    assert shelf.answer(published, BY_GENDER, address="192.0.2.2")["rows"]
    assert (shelf._inside, shelf._of) == (2, {"192.0.2.1": OF_ONE})


def test_a_table_that_an_interval_needs_is_made_once_and_few_are_kept(refuge: Press, bundle: Path) -> None:
    release = read(refuge, bundle)
    places = [column.name for column in release.estimates.domain.columns]
    age, citizenship = (places.index(name) for name in ("age", "citizenship"))
    widths = np.full((release.estimates.domain.sizes[age], release.estimates.domain.sizes[citizenship]), 3.0)
    sharper = (Sharper(columns=(age, citizenship), half_widths=widths),)
    estimates = replace(release.estimates, errors=replace(release.estimates.errors, sharper=sharper))
    question = parsed_question(
        {"by": ["citizenship", "age"], "accuracy": {"within_people": 1}}, release.schema, estimates.domain
    )
    exact, plain = (
        released_rows(question, replace(release, estimates=each)) for each in (estimates, release.estimates)
    )
    kept = estimates._tables[citizenship, age]
    assert released_rows(question, replace(release, estimates=estimates)) == exact
    assert estimates._tables[citizenship, age] is kept and len(estimates._tables) == 1
    for one, other in zip(exact, plain, strict=True):
        if one.estimate is not None and other.estimate is not None:
            assert isinstance(one.low, float) and isinstance(other.low, float) and one.low >= other.low
    for place in range(TABLES):
        estimates._tables[place,] = kept
    estimates._half_widths((citizenship,))
    assert len(estimates._tables) == TABLES


def test_attributes_with_a_table_that_is_too_large_are_refused(refuge: Press, bundle: Path) -> None:
    release = read(refuge, bundle)
    asked = {
        "by": ["age"],
        "where": {
            "all": [{"attribute": "citizenship", "equals": "country 01"}, {"attribute": "status", "equals": "none"}]
        },
        "accuracy": {"within_people": 1},
    }
    question = parsed_question(asked, release.schema, release.estimates.domain)
    size = 1
    for name in ("age", "citizenship", "status"):
        size *= len(release.schema.attribute(name).values)
    assert len(released_rows(question, release, cells=size)) == len(release.schema.attribute("age").values)
    with pytest.raises(ReleaseQuestionError, match=f"at most {size - 1} combinations"):
        released_rows(question, release, cells=size - 1)


def test_so_many_releases_and_comparisons_are_kept_and_no_more(refuge: Press, bundle: Path) -> None:
    shelf, published = Shelf(), shelved(refuge, bundle)
    release = shelf._opened(published)
    for place in range(KEPT):
        shelf._releases[f"{place}"] = release
    shelf._opened(replace(published, document={**published.document, "id": "CHV-0000-0000-0000.v1"}))
    assert len(shelf._releases) == KEPT + 1  # it was there, and is the newest now
    assert next(reversed(shelf._releases)) == published.digest
    shelf._releases.pop(published.digest)
    shelf._opened(published)
    assert len(shelf._releases) == KEPT and COMPARISONS >= KEPT
