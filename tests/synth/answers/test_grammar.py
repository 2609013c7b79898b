"""The closed grammar: what it understands, what it refuses and where, and that equal questions are one question."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import jsonschema
import pytest

from casesynth.answers import QuestionError, parse_question, question_digest
from casesynth.answers.question import Condition, Every, FactAxis, Mean, Split
from casesynth.domain import Domain, Multi

DOMAIN = Domain.declare(
    {
        "sex": ["f", "m"],
        "age": ["0-17", "18-29", "30+"],
        "month": ["2019-01", "2019-02", "2020-01"],
        "means": Multi(values=["threats", "debt", "papers"]),
    }
)
SCHEMA = json.loads(files("casesynth.answers").joinpath("question.schema.json").read_text(encoding="utf-8"))
AT = {"accuracy": {"within_people": 25}}
BOUNDS = {"0-17": [0, 17], "18-29": [18, 29], "30+": [30, 100]}

UNDERSTOOD: dict[str, dict[str, Any]] = {
    "everybody": {},
    "one attribute": {"by": ["sex"]},
    "an attribute as an object": {"by": [{"attribute": "sex"}]},
    "several values": {"by": ["sex", "means"]},
    "groups": {"by": [{"attribute": "age", "groups": [{"label": "child", "codes": ["0-17"]}]}]},
    "years of months": {"by": [{"attribute": "month", "period": "year"}]},
    "facts": {"by": [{"label": "x", "facts": [{"label": "a", "attribute": "sex", "codes": ["f"]}]}]},
    "years of first registration": {"registered": ["2019", ""]},
    "equals": {"where": {"attribute": "sex", "equals": "f"}},
    "in": {"where": {"attribute": "means", "in": ["debt", "papers"]}},
    "between": {"where": {"attribute": "age", "between": ["0-17", "18-29"]}},
    "all and any": {
        "where": {"all": [{"attribute": "sex", "equals": "f"}, {"any": [{"attribute": "means", "equals": "debt"}]}]}
    },
    "records": {"count": {"records": {"at_most": 3}}},
    "totals": {"by": ["sex", "age"], "totals": True},
    "percentages": {"by": ["sex"], "show": "percentages"},
    "percentages of facts": {"by": ["sex", "means"], "show": "percentages"},
    "median": {"by": ["sex"], "show": {"median": "age"}},
    "quantiles": {"show": {"quantiles": [0.5, 0.25], "of": "age"}},
    "mean": {"show": {"mean": "age", "bounds": BOUNDS}},
    "changes": {"by": ["month"], "show": {"changes": "month"}},
    "epsilon": {"accuracy": {"epsilon": 0.1}},
}


@pytest.mark.parametrize("name", UNDERSTOOD)
def test_what_is_understood_is_in_the_published_schema_and_read_twice_the_same(name: str) -> None:
    document = {**AT, **UNDERSTOOD[name]}
    jsonschema.validate(document, SCHEMA)
    one, other = (
        parse_question(document, DOMAIN, blocks=("", "2019", "2020")),
        parse_question(json.dumps(document).encode(), DOMAIN, blocks=("", "2019", "2020")),
    )
    assert one == other and question_digest(one) == question_digest(other)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown key": ({"sql": "select"}, "/: expected an object"),
    "another format": ({"format": "casehaven-question/2"}, "/format"),
    "no accuracy": ({"accuracy": None}, "/accuracy"),
    "two accuracies": ({"accuracy": {"within_people": 25, "epsilon": 1}}, "/accuracy"),
    "accuracy as a percentage": ({"accuracy": {"within_percent": 5}}, "/accuracy"),
    "less than one person": ({"accuracy": {"within_people": 0.5}}, "/accuracy/within_people"),
    "not a number": ({"accuracy": {"within_people": float("nan")}}, "/accuracy/within_people"),
    "true for a number": ({"accuracy": {"epsilon": True}}, "/accuracy/epsilon"),
    "no such attribute": ({"by": ["name"]}, "/by/0"),
    "an attribute twice": ({"by": ["sex", "sex"]}, "/by"),
    "too many axes": ({"by": ["sex", "age", "month", "means", "sex"]}, "/by"),
    "three axes of facts": (
        {
            "by": [
                {"label": label, "facts": [{"label": "a", "attribute": "sex", "codes": ["f"]}]}
                for label in ("x", "y", "z")
            ]
        },
        "/by",
    ),
    "groups that overlap": (
        {"by": [{"attribute": "age", "groups": [{"label": str(i), "codes": ["0-17"]} for i in range(2)]}]},
        "/by/0/groups/1/codes",
    ),
    "a group called other": (
        {"by": [{"attribute": "age", "groups": [{"label": "(other)", "codes": ["0-17"]}]}]},
        "/by/0/groups",
    ),
    "groups of several values": (
        {"by": [{"attribute": "means", "groups": [{"label": "x", "codes": ["debt"]}]}]},
        "/by/0",
    ),
    "years of no date": ({"by": [{"attribute": "age", "period": "year"}]}, "/by/0/period"),
    "a label with a line break": (
        {"by": [{"label": "a\nb", "facts": [{"label": "a", "attribute": "sex", "codes": ["f"]}]}]},
        "/by/0/label",
    ),
    "no such value": ({"where": {"attribute": "sex", "equals": "x"}}, "/where/equals/0"),
    "a pattern": ({"where": {"attribute": "sex", "like": "f%"}}, "/where"),
    "two comparisons": ({"where": {"attribute": "sex", "equals": "f", "in": ["m"]}}, "/where"),
    "between the wrong way round": ({"where": {"attribute": "age", "between": ["30+", "0-17"]}}, "/where/between"),
    "between missing values": ({"where": {"attribute": "age", "between": ["", "0-17"]}}, "/where/between"),
    "between several values": ({"where": {"attribute": "means", "between": ["threats", "debt"]}}, "/where/between"),
    "nobody": (
        {"where": {"all": [{"attribute": "sex", "equals": "f"}, {"attribute": "sex", "equals": "m"}]}},
        "/where: nobody",
    ),
    "deep nesting": ({"where": {"all": [{"all": [{"all": [{"all": [{"attribute": "sex"}]}]}]}]}}, "nest at most"),
    "missing of several values": ({"where": {"attribute": "means", "equals": ""}}, "/where/equals/0"),
    "no bound on records": ({"count": {"records": {}}}, "/count/records"),
    "no records": ({"count": {"records": {"at_most": 0}}}, "/count/records/at_most"),
    "rows": ({"count": "rows"}, "/count"),
    "a median of several values": ({"show": {"median": "means"}}, "/show/median"),
    "a mean without numbers": ({"show": {"mean": "age"}}, "/show/bounds"),
    "bounds the wrong way round": (
        {"show": {"mean": "age", "bounds": {**BOUNDS, "0-17": [17, 0]}}},
        "/show/bounds/0-17",
    ),
    "a quantile of all": ({"show": {"quantiles": [1.0], "of": "age"}}, "/show/quantiles/0"),
    "changes of nothing": ({"show": {"changes": "month"}}, "/show/changes"),
    "percentages of nothing": ({"show": "percentages"}, "/show"),
    "percentages of the unknown": (
        {
            "by": [{"label": "x", "facts": [{"label": "a", "attribute": "sex", "codes": [""]}]}],
            "show": "percentages",
        },
        "/by: a fact about missing",
    ),
    "totals of percentages": ({"by": ["sex"], "show": "percentages", "totals": True}, "/totals"),
    "totals as a word": ({"totals": "yes"}, "/totals"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_understood_is_refused_with_its_place(name: str) -> None:
    change, place = REFUSED[name]
    with pytest.raises(QuestionError, match="^(?s:.*)" + place.replace("+", r"\+")):
        parse_question({**AT, **change}, DOMAIN)


def test_a_key_twice_too_many_bytes_and_no_json_are_refused() -> None:
    for unverified in (b'{"accuracy": {"epsilon": 1}, "accuracy": {"epsilon": 2}}', b" " * 70_000, b"\xff", b"[1"):
        with pytest.raises(QuestionError):
            parse_question(unverified, DOMAIN)


SAME: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
    (
        {"where": {"attribute": "sex", "in": ["m", "f"]}, "by": ["sex"]},
        {"by": [{"attribute": "sex"}], "where": {"all": [{"attribute": "sex", "in": ["f", "m"]}]}},
    ),
    (
        {"where": {"any": [{"attribute": "age", "equals": "0-17"}, {"attribute": "age", "equals": "18-29"}]}},
        {"where": {"attribute": "age", "between": ["0-17", "18-29"]}},
    ),
    (
        {"where": {"all": [{"attribute": "sex", "equals": "f"}, {"attribute": "means", "equals": "debt"}]}},
        {
            "where": {
                "all": [
                    {"attribute": "means", "in": ["debt"]},
                    {"all": [{"attribute": "sex", "equals": "f"}, {"attribute": "sex", "in": ["m", "f"]}]},
                ]
            }
        },
    ),
    ({"accuracy": {"epsilon": 1}}, {"accuracy": {"within_people": 5}}),
    ({"where": {"attribute": "sex", "in": ["", "f", "m"]}}, {}),
    ({"show": {"median": "age"}}, {"show": {"quantiles": [0.5], "of": "age"}}),
)


@pytest.mark.parametrize("pair", SAME)
def test_two_ways_to_ask_the_same_have_one_name(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    one, other = (parse_question({**AT, **document}, DOMAIN) for document in pair)
    assert question_digest(one) == question_digest(other)


def test_different_questions_have_different_names() -> None:
    names = {
        question_digest(parse_question({**AT, **document}, DOMAIN, blocks=("", "2019", "2020")))
        for document in UNDERSTOOD.values()
    }
    assert len(names) == len(UNDERSTOOD) - 2  # by sex in two ways; everybody at another accuracy


def test_what_no_group_names_is_counted_apart_and_the_unknown_too() -> None:
    question = parse_question(
        {**AT, "by": [{"attribute": "age", "groups": [{"label": "child", "codes": ["0-17"]}]}]}, DOMAIN
    )
    (axis,) = question.by
    assert isinstance(axis, Split)
    found = [(part.label, sorted(part.positions), part.answered) for part in axis.parts]
    assert found == [("child", [1], True), ("", [0], False), ("(other)", [2, 3], True)]


def test_several_values_are_facts_that_may_overlap_and_who_answered_has_any() -> None:
    (axis,) = parse_question({**AT, "by": ["means"]}, DOMAIN).by
    assert isinstance(axis, FactAxis) and axis.answered is not None
    assert [fact.label for fact in axis.facts] == ["threats", "debt", "papers"]
    assert axis.answered.holds == (("means", frozenset({1, 2, 3})),)


def test_a_mean_takes_the_numbers_of_the_schema_where_none_are_given() -> None:
    numbers = {"age": (None, (0.0, 17.0), (18.0, 29.0), (30.0, 99.0))}
    show = parse_question({**AT, "show": {"mean": "age"}}, DOMAIN, numbers).show
    assert isinstance(show, Mean) and show.bounds == numbers["age"]
    open_ended = {"age": (None, (0.0, 17.0), (18.0, 29.0), (30.0, float("inf")))}
    with pytest.raises(QuestionError, match="/show/bounds"):
        parse_question({**AT, "show": {"mean": "age"}}, DOMAIN, open_ended)


def test_conditions_on_several_values_are_not_merged_where_all_have_to_hold() -> None:
    both = {"all": [{"attribute": "means", "equals": "debt"}, {"attribute": "means", "equals": "papers"}]}
    where = parse_question({**AT, "where": both}, DOMAIN).where
    assert isinstance(where, Every) and len(where.parts) == 2
    either = parse_question({**AT, "where": {"any": both["all"]}}, DOMAIN).where
    assert either == Condition(attribute="means", positions=frozenset({2, 3}))


# --- coarser levels and years of first registration ---

LEVELS = {
    "minor": ("age", (("child", ("0-17",)), ("adult", ("18-29", "30+")))),
    "kind": ("means", (("force", ("threats",)), ("other", ("debt", "papers")))),
}


def test_a_coarser_level_is_the_same_question_as_its_groups() -> None:
    groups = [{"label": "child", "codes": ["0-17"]}, {"label": "adult", "codes": ["18-29", "30+"]}]
    named = parse_question({"by": ["minor"], **AT}, DOMAIN, levels=LEVELS)
    written = parse_question({"by": [{"attribute": "age", "groups": groups}], **AT}, DOMAIN)
    assert question_digest(named) == question_digest(written)
    (axis,) = named.by
    assert isinstance(axis, Split) and [part.label for part in axis.parts] == ["child", "adult", ""]
    (facts,) = parse_question({"by": ["kind"], **AT}, DOMAIN, levels=LEVELS).by
    assert isinstance(facts, FactAxis) and [fact.label for fact in facts.facts] == ["force", "other"]
    with pytest.raises(QuestionError, match="/by/0"):
        parse_question({"by": ["minor"], **AT}, DOMAIN)


def test_years_of_first_registration_make_another_question_unless_they_are_all() -> None:
    blocks = ("", "2019", "2020")
    plain = question_digest(parse_question({"by": ["sex"], **AT}, DOMAIN, blocks=blocks))
    found = {
        years: parse_question({"by": ["sex"], "registered": list(years), **AT}, DOMAIN, blocks=blocks)
        for years in (("2019",), ("2020", "2019"), ("2019", "2020"), ("2020", "", "2019"))
    }
    assert question_digest(found["2020", "", "2019"]) == plain and found["2020", "", "2019"].registered is None
    assert found["2020", "2019"].canonical == found["2019", "2020"].canonical
    assert len({plain, *map(question_digest, found.values())}) == 3
    assert found["2020", "2019"].registered == ("2019", "2020")
    with pytest.raises(QuestionError, match="/registered/0"):
        parse_question({"registered": ["2019"], **AT}, DOMAIN)
