"""The options with which `quote` and `ask` take a question: a file, a saved question, or its parts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from casehaven.errors import CasehavenError
from casesynth._files import read_regular
from casesynth.answers.grammar import QUESTION_BYTES
from casesynth.canonical import parse_json

if TYPE_CHECKING:
    from caseschemas import CaseSchema

F = TypeVar("F", bound=Callable[..., Any])


UNKNOWN = "unknown"
"""How `--registered` names people whose year of first registration was not known."""


class QuestionOptionsError(CasehavenError):
    """Options that do not make one question."""


_OPTIONS = (
    click.option(
        "--question",
        "path_of_question",
        type=click.Path(path_type=Path, dir_okay=False),
        help="A file with a question, `casehaven-question/1`.",
    ),
    click.option("--saved", help="A saved question, such as sdg-16.2.2."),
    click.option("--by", multiple=True, metavar="ATTRIBUTE", help="Count by this attribute. Can be repeated."),
    click.option(
        "--where",
        multiple=True,
        metavar="ATTRIBUTE=VALUE[,VALUE]",
        help="Only those with any of these values. Can be repeated; all have to hold.",
    ),
    click.option("--records", type=int, metavar="N", help="Count case records, of one person at most N."),
    click.option(
        "--registered",
        multiple=True,
        metavar="YEAR[,YEAR]",
        help="Only people who were first registered in these years, or `unknown`; these years alone are charged. Can be repeated.",
    ),
    click.option("--totals", is_flag=True, help="Measure and show totals over the attributes as well."),
    click.option("--percentages", is_flag=True, help="Show percentages of those who answered the last --by."),
    click.option("--median", metavar="ATTRIBUTE", help="Show the median of this attribute."),
    click.option("--mean", metavar="ATTRIBUTE", help="Show the mean of this attribute."),
    click.option("--changes", metavar="ATTRIBUTE", help="Show the changes from period to period of this --by."),
    click.option("--within", type=float, metavar="PEOPLE", help="Every count within so many people, 95 times in 100."),
    click.option("--epsilon", type=float, help="What the answer may cost, in place of --within."),
)


def question_options(command: F) -> F:
    """Add the options; they arrive as `path_of_question` and by their names."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def question_document(schema: Callable[[], CaseSchema], options: dict[str, Any]) -> dict[str, Any]:
    """Return the question that the options make.

    Args:
        schema: returns that of the datasets; called for a saved question alone.
        options: what the options hold, by name.

    Raises:
        QuestionOptionsError: they make none, or several.
        JsonFaultError, OSError: the file is not JSON, or cannot be read.
        SavedQuestionError: there is no such saved question.
    """
    accuracy = {
        key: value
        for key, value in (("within_people", options["within"]), ("epsilon", options["epsilon"]))
        if value is not None
    }
    parts = [
        name
        for name in ("by", "where", "registered", "records", "totals", "percentages", "median", "mean", "changes")
        if options[name]
    ]
    path, saved = options["path_of_question"], options["saved"]
    if path is not None:
        if saved or parts:
            raise QuestionOptionsError("--question holds all of the question but its accuracy")
        document = parse_json(read_regular(path, limit=QUESTION_BYTES, follow=True), path.name)
        if not isinstance(document, dict):
            raise QuestionOptionsError(f"{path.name} holds no question")
    elif saved:
        if parts:
            raise QuestionOptionsError("--saved is a whole question; leave --by, --where and the like away")
        document = _saved(saved, schema())
    else:
        document = _from_parts(options)
    if accuracy:
        document["accuracy"] = accuracy
    if "accuracy" not in document:
        raise QuestionOptionsError("say how exact the answer has to be: --within PEOPLE, or --epsilon")
    return document


def _saved(name: str, schema: CaseSchema) -> dict[str, Any]:
    try:
        from casehaven.queries.saved import saved_question
    except ImportError:
        raise QuestionOptionsError(
            "--saved needs all of casehaven; write the question with --by or --question"
        ) from None
    return saved_question(name, schema)


def _from_parts(options: dict[str, Any]) -> dict[str, Any]:
    shows = [name for name in ("percentages", "median", "mean", "changes") if options[name]]
    if len(shows) > 1:
        raise QuestionOptionsError(f"an answer shows one thing: --{shows[0]} or --{shows[1]}")
    document: dict[str, Any] = {"by": list(options["by"])}
    if shows:
        document["show"] = "percentages" if shows == ["percentages"] else {shows[0]: options[shows[0]]}
    if options["totals"]:
        document["totals"] = True
    if options["records"] is not None:
        document["count"] = {"records": {"at_most": options["records"]}}
    if options["registered"]:
        years = [year for text in options["registered"] for year in text.split(",")]
        document["registered"] = ["" if year == UNKNOWN else year for year in years]
    conditions = []
    for text in options["where"]:
        name, equals, values = text.partition("=")
        if not equals:
            raise QuestionOptionsError(f"--where is written ATTRIBUTE=VALUE, got {text[:60]!r}")
        conditions.append({"attribute": name, "in": values.split(",")})
    if conditions:
        document["where"] = {"all": conditions}
    return document
