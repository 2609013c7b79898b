"""A question of the builder to a published release: answered at once, at no charge.

1. Nothing is stored, so the answer is the page that comes back when the form is sent; sent again it is the same answer.
2. The same form sent for a file (`do=csv`, `do=question`) is answered with the file.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from fastapi import Response

from casehaven.core.problems import ProblemError
from casehaven.web.answer_view import csv_bytes, read
from casehaven.web.asking_form import question_of
from casehaven.web.asking_source import Source
from casehaven.web.desk import Desk
from casehaven.web.forms import Form
from casehaven.web.release_numbers import rounded_up

_OF_PEOPLE: Final = ("by", "show", "where", "format")
"""Of the form's question, what a release can be asked; it has no accuracy to buy."""
_SHOWN: Final = ("question", "release-question", "answer-plan", "release-not-read", "registry-busy")
"""Refusals that are shown beside the question."""


async def ask_release(desk: Desk, form: Form, source: Source, again: Callable[[], Response]) -> Response:
    """Answer what the form asks a release, or show the form again.

    Args:
        desk: of the reader.
        form: that was sent.
        source: the release.
        again: shows the form, with what is wrong.
    """
    if form.text("do") not in ("ask", "csv", "question"):
        return again()
    question = {name: value for name, value in question_of(form, source).items() if name in _OF_PEOPLE}
    form.faults.pop("within", None)  # fields that a release does not have
    form.faults.pop("epsilon", None)
    if not form.fine:
        return again()
    if form.text("do") == "question":
        document = {**question, "accuracy": {"within_people": 1}}
        text = json.dumps(document, ensure_ascii=False, indent=1)
        return desk.file(f"{text}\n".encode(), name="question.json", media_type="application/json")
    name = str(source.target["release"])
    answer = await desk.ask("POST", "/v1/registry/{}/answers", name, body={"question": question})
    if answer.problem is not None:
        if answer.problem.code not in _SHOWN:
            raise ProblemError(answer.problem)
        form.problem = answer.problem
        return again()
    document = answer.body["answer"]
    found = read(document, source.schema, desk.words)
    if form.text("do") == "csv":
        content = csv_bytes(document, found)
        return desk.file(content, name=f"{name}-answer.csv", media_type="text/csv; charset=utf-8")
    return desk.page(
        "asking/released.html", found=found, answer=document, form=form, hidden=_hidden(form), up=rounded_up
    )


def _hidden(form: Form) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in form.hidden if name != "do"]
