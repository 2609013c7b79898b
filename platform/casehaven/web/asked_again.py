"""The same question once more: from the canonical form that an answer states back to `casehaven-question/1`, and the lines that repeat it at no charge.

1. The document means what the canonical form says: reading it gives that form again, byte for byte (`tests/web/test_asked_again.py`).
2. The lines ask for what was stored on the answer's own day: that counts nobody and costs nothing.
"""

from __future__ import annotations

import pprint
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from caseschemas import CaseSchema, SchemaAttribute
from casesynth.answers.question import REST


def document_of(answer: Mapping[str, Any], schema: CaseSchema) -> dict[str, Any]:
    """Return the question of an answer as a document of the grammar.

    Args:
        answer: `casehaven-answer/1`.
        schema: of what was asked about.
    """
    canonical = answer["question"]
    made: dict[str, Any] = {"format": "casehaven-question/1"}
    if canonical["count"] != "people":
        made["count"] = canonical["count"]
    show, by = canonical["show"], canonical["by"]
    if isinstance(show, Mapping) and "changes" not in show:
        by = by[:-1]  # the attribute of a mean or of quantiles stands last
    made["by"] = [_axis(axis, schema) for axis in by]
    if canonical["where"] != {"all": []}:
        made["where"] = canonical["where"]
    if show != "counts":
        made["show"] = _show(show, schema)
    if canonical["totals"]:
        made["totals"] = True
    if "registered" in canonical:
        made["registered"] = canonical["registered"]
    made["accuracy"] = {name: _plain(number) for name, number in answer["accuracy"].items()}
    return made


def python_lines(answer: Mapping[str, Any], question: Mapping[str, Any]) -> str:
    """Return the lines of Python that show an answer again at no charge."""
    snapshot = answer["snapshot"]
    written = pprint.pformat(dict(question), width=88, sort_dicts=False)
    return (
        "from casehaven.client import Client\n\n"
        "client = Client.from_env()\n"
        f"question = {written}\n"
        f"answer = client.queries.ask({_target(snapshot)}, as_of={snapshot['day']!r})\n"
        "print(answer.to_pandas())\n"
    )


def _target(snapshot: Mapping[str, Any]) -> str:
    """Return the arguments that name what was asked about, with the question among them."""
    if "agreement" in snapshot:
        return f"document=question, agreement={snapshot['agreement']!r}"
    datasets: list[str] = snapshot["datasets"]
    tokens = "" if snapshot["person_tokens"] == "separate" else f", person_tokens={snapshot['person_tokens']!r}"
    return f"{(datasets[0] if len(datasets) == 1 else datasets)!r}, question{tokens}"


def command_line(answer: Mapping[str, Any], origin: str) -> str:
    """Return the command that shows an answer again at no charge; its question is in `question.json`."""
    snapshot = answer["snapshot"]
    words = ["casehaven", "ask", "--server", origin]
    if "agreement" in snapshot:
        words += ["--agreement", snapshot["agreement"]]
    else:
        for name in snapshot["datasets"]:
            words += ["--from", name]
        if snapshot["person_tokens"] != "separate":
            words += ["--person-tokens", snapshot["person_tokens"]]
    return shlex.join([*words, "--question", "question.json", "--as-of", snapshot["day"]])


def _axis(axis: Mapping[str, Any], schema: CaseSchema) -> Any:
    if "facts" in axis:
        return _facts(axis, schema)
    attribute = schema.attribute(axis["attribute"])
    codes = [value.code for value in attribute.values]
    if [(label, places) for label, places in axis["parts"]] == [(code, [n]) for n, code in enumerate(codes)]:
        return attribute.name
    groups = [
        {"label": label, "codes": [codes[place] for place in places]}
        for label, places in axis["parts"]
        if label != REST and not _is_missing(attribute, label, places)
    ]
    return {"attribute": attribute.name, "groups": groups}


def _is_missing(attribute: SchemaAttribute, label: str, places: Sequence[int]) -> bool:
    """Tell whether a part is a missing value by itself, which stands there without being named."""
    return len(places) == 1 and places[0] < attribute.first_known and attribute.values[places[0]].code == label


def _facts(axis: Mapping[str, Any], schema: CaseSchema) -> Any:
    facts = []
    for label, held in axis["parts"]:
        attribute = schema.attribute(held[0])
        codes = [attribute.values[place].code for place in held[1]]
        facts.append({"label": label, "attribute": attribute.name, "codes": codes})
    names = {fact["attribute"] for fact in facts}
    if names == {axis["facts"]}:
        attribute = schema.attribute(axis["facts"])
        answers = [value.code for value in attribute.values if value.answered]
        if attribute.kind == "multi" and [(fact["label"], fact["codes"]) for fact in facts] == [
            (code, [code]) for code in answers
        ]:
            return attribute.name
    return {"label": axis["facts"], "facts": facts}


def _show(show: Any, schema: CaseSchema) -> Any:
    if not isinstance(show, Mapping) or "changes" in show:
        return show
    if "mean" in show:
        attribute = schema.attribute(show["mean"])
        bounds = {
            value.code: [_plain(end) for end in ends]
            for value, ends in zip(attribute.values, show["bounds"], strict=True)
            if ends is not None
        }
        return {"mean": attribute.name, "bounds": bounds}
    return {"quantiles": [_plain(level) for level in show["quantiles"]], "of": show["of"]}


def _plain(number: float) -> float:
    """Write whole numbers in one way."""
    return int(number) if float(number).is_integer() else number
