"""Any document at all is a question that fits or is refused with its place; never anything else."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import jsonschema
from hypothesis import given
from hypothesis import strategies as st

from casesynth.answers import (
    AnswerPlanError,
    QuestionError,
    parse_question,
    plan_answer,
    question_digest,
)
from casesynth.answers.plan import CELLS_MAX
from casesynth.domain import Domain, Multi
from casesynth.privacy import PrivacyLossError

DOMAIN = Domain.declare(
    {"sex": ["f", "m"], "age": ["0-17", "18+"], "year": ["2019", "2020"], "means": Multi(values=["debt", "threats"])}
)
SCHEMA = json.loads(files("casesynth.answers").joinpath("question.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

names = st.sampled_from(["sex", "age", "year", "means", "name", ""])
codes = st.sampled_from(["", "f", "m", "0-17", "18+", "2019", "2020", "debt", "threats", "x"])
lists = st.lists(codes, max_size=3)
labels = st.sampled_from(["a", "b", "(other)", "", "x" * 90, "a\nb"])
leaf = st.one_of(
    st.fixed_dictionaries({"attribute": names, "equals": codes}),
    st.fixed_dictionaries({"attribute": names, "in": lists}),
    st.fixed_dictionaries({"attribute": names, "between": lists}),
    st.fixed_dictionaries({"attribute": names}),
)
where = st.recursive(
    leaf,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"all": st.lists(inner, max_size=3)}),
        st.fixed_dictionaries({"any": st.lists(inner, max_size=3)}),
    ),
    max_leaves=6,
)
axis = st.one_of(
    names,
    st.fixed_dictionaries({"attribute": names}),
    st.fixed_dictionaries({"attribute": names, "period": st.sampled_from(["year", "week"])}),
    st.fixed_dictionaries(
        {"attribute": names, "groups": st.lists(st.fixed_dictionaries({"label": labels, "codes": lists}), max_size=3)}
    ),
    st.fixed_dictionaries(
        {
            "label": labels,
            "facts": st.lists(st.fixed_dictionaries({"label": labels, "attribute": names, "codes": lists}), max_size=3),
        }
    ),
)
show = st.one_of(
    st.sampled_from(["counts", "percentages", "rows"]),
    st.fixed_dictionaries({"median": names}),
    st.fixed_dictionaries({"changes": names}),
    st.fixed_dictionaries({"quantiles": st.lists(st.floats(), max_size=3), "of": names}),
    st.fixed_dictionaries(
        {"mean": names, "bounds": st.dictionaries(codes, st.lists(st.floats(), max_size=2), max_size=3)}
    ),
)
numbers = st.one_of(st.floats(), st.integers(), st.booleans(), st.none())
accuracy = st.one_of(
    st.fixed_dictionaries({"within_people": numbers}),
    st.fixed_dictionaries({"epsilon": numbers}),
    st.just({"within_people": 25}),
    st.just({"epsilon": 0.5}),
)
count = st.one_of(
    st.just("people"), st.fixed_dictionaries({"records": st.fixed_dictionaries({"at_most": st.integers(-1, 101)})})
)
shaped = st.fixed_dictionaries(
    {"accuracy": accuracy},
    optional={
        "by": st.lists(axis, max_size=5),
        "where": where,
        "show": show,
        "totals": st.booleans(),
        "count": count,
        "format": st.sampled_from(["casehaven-question/1", "casehaven-question/2"]),
    },
)
sensible_leaf = st.one_of(
    st.sampled_from(
        [
            {"attribute": "sex", "equals": "f"},
            {"attribute": "sex", "in": ["", "m"]},
            {"attribute": "means", "equals": "debt"},
            {"attribute": "means", "in": ["debt", "threats"]},
            {"attribute": "year", "between": ["2019", "2020"]},
            {"attribute": "age", "equals": ""},
        ]
    )
)
sensible = st.recursive(
    sensible_leaf,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"all": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"any": st.lists(inner, min_size=1, max_size=3)}),
    ),
    max_leaves=4,
)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=8,
)


def _read(document: object) -> None:
    try:
        question = parse_question(document, DOMAIN)  # type: ignore[arg-type]  # whatever it is
    except QuestionError as error:
        assert str(error)
        return
    VALIDATOR.validate(document)
    canonical = json.dumps(question.canonical)
    assert question_digest(question) == question_digest(parse_question(document, DOMAIN)), canonical  # type: ignore[arg-type]
    try:
        plan = plan_answer(question, people_cap=1000)
    except (AnswerPlanError, PrivacyLossError):
        return
    assert 0 < sum(table.cost for table in plan.tables) <= plan.nano_rho
    assert plan.cells <= CELLS_MAX


@given(document=shaped)
def test_any_question_shaped_document_is_read_or_refused(document: dict[str, Any]) -> None:
    _read(document)


@given(document=json_values)
def test_any_json_is_read_or_refused(document: object) -> None:
    _read(document)


@given(unverified=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(unverified: bytes) -> None:
    try:
        parse_question(unverified, DOMAIN)
    except QuestionError:
        pass


@given(condition=sensible, order=st.randoms(use_true_random=False))
def test_the_order_of_conditions_makes_no_other_question(condition: dict[str, Any], order: Any) -> None:
    def shuffled(entry: Any) -> Any:
        for word in ("all", "any"):
            if word in entry:
                parts = [shuffled(part) for part in entry[word]]
                order.shuffle(parts)
                return {word: [*parts, parts[0]]}
        return entry

    def digest(where_: Any) -> str | None:
        try:
            return question_digest(parse_question({"where": where_, "accuracy": {"epsilon": 1}}, DOMAIN))
        except QuestionError as error:
            assert "nobody" in str(error)
            return None

    assert digest(condition) == digest(shuffled(condition))
