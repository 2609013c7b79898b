"""What an answer states of its question is turned back into a question that means the same, and is the same to the ledger."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any, Final

import pytest

from casehaven.queries.errors import SavedQuestionError
from casehaven.queries.saved import SAVED, saved_question
from casehaven.schema_questions import parsed_question
from casehaven.web.asked_again import command_line, document_of, python_lines
from casehaven.web.asking_form import saved_for
from caseschemas import shipped_schema, shipped_schema_ids
from casesynth.domain import Domain

EXACT: Final = {"within_people": 25}
LOSS: Final = {"epsilon": 0.25}
COUNTRIES: Final = ["KEN", "UGA"]

QUESTIONS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "everybody": ("ctdc-global", {"accuracy": EXACT}),
    "by value": ("ctdc-global", {"by": ["gender", "isForcedLabour"], "totals": True, "accuracy": EXACT}),
    "by level": ("ctdc-global", {"by": ["citizenshipRegion"], "accuracy": EXACT}),
    "some": (
        "ctdc-global",
        {
            "by": ["gender"],
            "where": {
                "any": [
                    {"attribute": "citizenship", "in": COUNTRIES},
                    {
                        "all": [
                            {"attribute": "ageBroad", "between": ["9-17", "21-23"]},
                            {"attribute": "gender", "equals": ""},
                        ]
                    },
                ]
            },
            "registered": ["", "2019"],
            "accuracy": EXACT,
        },
    ),
    "one condition": ("ctdc-global", {"where": {"attribute": "gender", "equals": "Man"}, "accuracy": EXACT}),
    "groups": (
        "ctdc-global",
        {
            "by": [
                {"attribute": "gender", "groups": [{"label": "known", "codes": ["Man", "Woman"]}]},
                {"attribute": "ageBroad", "groups": [{"label": "unclear or young", "codes": ["", "0-8"]}]},
                {"attribute": "traffickMonths", "groups": [{"label": "unclear", "codes": [""]}]},
            ],
            "accuracy": EXACT,
        },
    ),
    "years": ("ctdc-global", {"by": [{"attribute": "yearOfRegistration", "period": "year"}], "accuracy": EXACT}),
    "records": ("ctdc-global", {"count": {"records": {"at_most": 3}}, "by": ["gender"], "accuracy": LOSS}),
    "percentages": ("ctdc-global", {"by": ["gender"], "show": "percentages", "accuracy": LOSS}),
    "median": ("ctdc-global", {"by": ["gender"], "show": {"median": "ageBroad"}, "accuracy": LOSS}),
    "quartiles": (
        "ctdc-global",
        {"by": ["gender"], "show": {"quantiles": [0.25, 0.5, 0.75], "of": "ageBroad"}, "accuracy": LOSS},
    ),
    "mean": (
        "ctdc-global",
        {"by": ["gender"], "show": {"mean": "ageBroad", "bounds": {"48+": [48, 90]}}, "accuracy": LOSS},
    ),
    "mean of years": ("ctdc-global", {"show": {"mean": "yearOfRegistration"}, "accuracy": LOSS}),
    "changes": (
        "ctdc-global",
        {"by": ["yearOfRegistration", "gender"], "show": {"changes": "yearOfRegistration"}, "accuracy": LOSS},
    ),
    "several values": ("htcds-2.0", {"by": ["vic_TypeOfExploitation", "genderBroad"], "accuracy": EXACT}),
    "level of several values": ("htcds-2.0", {"by": ["controlBroad"], "show": "percentages", "accuracy": LOSS}),
    "facts": (
        "ctdc-global",
        {
            "by": [
                {
                    "label": "form",
                    "facts": [
                        {"label": "labour", "attribute": "isForcedLabour", "codes": ["1"]},
                        {"label": "sexual", "attribute": "isSexualExploit", "codes": ["1"]},
                    ],
                }
            ],
            "accuracy": EXACT,
        },
    ),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_comes_back_as_it_was(name: str) -> None:
    schema_id, asked = QUESTIONS[name]
    schema = shipped_schema(schema_id)
    domain = Domain.from_schema(schema)
    canonical = parsed_question(asked, schema, domain).canonical
    back = document_of({"question": canonical, "accuracy": asked["accuracy"]}, schema)
    assert parsed_question(json.loads(json.dumps(back)), schema, domain).canonical == canonical
    assert back["accuracy"] == asked["accuracy"]


def test_an_attribute_of_several_values_is_named_and_not_written_out() -> None:
    schema_id, asked = QUESTIONS["several values"]
    schema = shipped_schema(schema_id)
    canonical = parsed_question(asked, schema, Domain.from_schema(schema)).canonical
    assert document_of({"question": canonical, "accuracy": EXACT}, schema)["by"][0] == "vic_TypeOfExploitation"


@pytest.mark.parametrize("schema_id", shipped_schema_ids())
def test_the_saved_questions_of_the_pages_are_those_of_the_command_line(schema_id: str) -> None:
    schema, expected = shipped_schema(schema_id), {}
    for name in SAVED:
        try:
            expected[name] = saved_question(name, schema)["by"]
        except SavedQuestionError:
            continue
    assert dict(saved_for(schema)) == expected
    for by in expected.values():
        canonical = parsed_question({"by": by, "accuracy": EXACT}, schema, Domain.from_schema(schema)).canonical
        back = document_of({"question": canonical, "accuracy": EXACT}, schema)
        assert parsed_question(back, schema, Domain.from_schema(schema)).canonical == canonical


def test_every_saved_question_has_words() -> None:
    words = json.loads(files("casehaven.web").joinpath("words/asking.en.json").read_text(encoding="utf-8"))
    assert {f"saved_{name}" for name in SAVED} == {
        key for key in words if key.startswith("saved_") and key != "saved_why"
    }


def test_an_answer_under_an_agreement_is_asked_for_under_it_again() -> None:
    snapshot = {"agreement": "0" * 32, "pool": "1" * 64, "person_tokens": "shared", "day": "2026-11-23"}
    answer = {"snapshot": snapshot}
    line = command_line(answer, "https://cases.example.org")
    assert line == (
        f"casehaven ask --server https://cases.example.org --agreement {'0' * 32} --question question.json "
        "--as-of 2026-11-23"
    )
    lines = python_lines(answer, {"by": ["gender"]})
    assert f"client.queries.ask(document=question, agreement='{'0' * 32}', as_of='2026-11-23')" in lines
    compile(lines, "lines", "exec")


def test_a_command_line_quotes_what_a_shell_would_read() -> None:
    snapshot = {"datasets": ["north/cases", "south/cases"], "person_tokens": "shared", "day": "2026-11-23"}
    line = command_line({"snapshot": snapshot}, "https://cases.example.org/$(x)")
    assert line == (
        "casehaven ask --server 'https://cases.example.org/$(x)' --from north/cases --from south/cases "
        "--person-tokens shared --question question.json --as-of 2026-11-23"
    )
