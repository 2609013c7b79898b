"""The form of a question: which fields it has, and the `casehaven-question/1` that they make.

1. The form makes questions that the grammar has; the route reads them by the grammar, and nothing here decides what may be asked.
2. A saved question brings its axes along; the rest of the form is as for any other.
3. The form does not write everything that the grammar has: groups of one's own, conditions within conditions and changes from period to period are asked by a program.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

from casehaven.web.asking_source import BLANK, Source, View
from casehaven.web.forms import Form
from caseschemas import CaseSchema
from casesynth.answers.grammar import AXES_MAX, RECORDS_MAX, WITHIN_MAX
from casesynth.canonical import canonical_json
from casesynth.privacy.accounting import EPSILON_MAX, EPSILON_MIN

SHOWS: Final = ("counts", "percentages", "median", "quartiles", "mean")
WITHIN: Final = 30
"""People; what a new form begins with."""
_OF_A_NUMBER: Final = frozenset({"median", "quartiles", "mean"})
_QUARTILES: Final = (0.25, 0.5, 0.75)
_PLAN: Final = re.compile(r"the question has (\d+) cells in \d+ tables, expected at most (\d+) in \d+")
_DIGITS: Final = str.maketrans("٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹٫", "01234567890123456789.")


@cache
def _saved() -> Mapping[str, Mapping[str, list[Any]]]:
    """Schema, name, and the axes of every saved question: what `casehaven.queries.saved` makes, as a file, because this process loads nothing of questions that opens a vault."""
    text = files("casehaven.web").joinpath("saved_questions.json").read_text(encoding="utf-8")
    found: Mapping[str, Mapping[str, list[Any]]] = json.loads(text)
    return found


def saved_for(schema: CaseSchema) -> Mapping[str, list[Any]]:
    """Return the axes of the saved questions that a schema can play, by their names."""
    return _saved().get(schema.id, {})


def where_field(view: View) -> str:
    """Return the name of the field of a condition on a view."""
    return f"where-{view.name}"


def question_of(form: Form, source: Source) -> dict[str, Any]:
    """Return the question that a form makes; what is wrong with the form is noted in it."""
    made: dict[str, Any] = {"format": "casehaven-question/1", "by": _by(form, source)}
    show = _show(form, source)
    if show != "counts":
        made["show"] = show
    elif form.ticked("totals"):
        made["totals"] = True
    if form.ticked("records"):
        made["count"] = {"records": {"at_most": form.number("at_most", least=1, most=RECORDS_MAX)}}
    where = _where(form, source)
    if where:
        made["where"] = {"all": where}
    years = [year for year in source.years if (year or BLANK) in form.all("registered")]
    if years and len(years) < len(source.years):
        made["registered"] = years
    made["accuracy"] = _accuracy(form)
    return made


def price_tag(source: Source, question: dict[str, Any]) -> str:
    """Return what a price belongs to: a digest of what is asked, of whom, and how exactly."""
    return hashlib.sha256(canonical_json([source.target, question])).hexdigest()


def note_plan(form: Form, detail: str) -> bool:
    """Note which of the limits a question passed, beside the field that can be changed; False where the service did not say.

    Args:
        form: of the question.
        detail: of the problem `answer-plan`: sizes of public lists, and nothing else.
    """
    found = _PLAN.fullmatch(detail)
    if found is not None and int(found[1]) > int(found[2]):
        form.fault("by", "asking.too_many_cells", cells=f"{int(found[1]):,}", most=f"{int(found[2]):,}")
    elif detail.startswith("no price buys an answer within "):
        form.fault("within", "asking.no_price")
    elif detail.startswith("the budget is too small for the "):
        form.fault("epsilon", "asking.too_little")
    else:
        return False
    return True


def _by(form: Form, source: Source) -> list[Any]:
    saved = saved_for(source.schema).get(form.text("saved"))
    if saved is not None:
        return saved
    names = [view.name for view in source.views if view.name in form.all("by")]
    if len(names) > AXES_MAX:
        form.fault("by", "asking.by_most", most=AXES_MAX)
    return names[:AXES_MAX]


def _show(form: Form, source: Source) -> Any:
    show = form.text("show") or "counts"
    if show == "percentages":
        return "percentages"
    if show not in _OF_A_NUMBER:
        return "counts"
    name = form.text("number")
    if name not in [view.name for view in source.numbers]:
        form.fault("number", "asking.number_needed")
        return "counts"
    if show == "median":
        return {"median": name}
    if show == "quartiles":
        return {"quantiles": list(_QUARTILES), "of": name}
    ends = source.band_ends(name)
    if ends is None:
        return {"mean": name}
    code, low = ends
    return {"mean": name, "bounds": {code: [low, form.number("up_to", least=low, most=10**6)]}}


def _where(form: Form, source: Source) -> list[dict[str, Any]]:
    found = []
    for view in source.views:
        chosen = form.all(where_field(view))
        codes = [code for part in view.known if part.value in chosen for code in part.codes]
        if codes:
            found.append({"attribute": view.attribute, "in": codes})
    return found


def _accuracy(form: Form) -> dict[str, Any]:
    if form.text("accuracy") != "epsilon":
        return {"within_people": form.number("within", least=1, most=WITHIN_MAX)}
    text = form.text("epsilon").translate(_DIGITS).replace(",", ".")
    number = float(text) if text.isascii() and text.replace(".", "", 1).isdecimal() else 0.0
    if not EPSILON_MIN <= number <= EPSILON_MAX:
        form.fault("epsilon", "asking.epsilon_between", least=EPSILON_MIN, most=EPSILON_MAX)
    return {"epsilon": number}
