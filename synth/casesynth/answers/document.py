"""Answers and noisy tables as JSON: what is shown, and what is kept beside it so that later answers can rest on it.

1. `casehaven-answer/1` is what people and programs see. It states the question, the numbers with intervals, and the guarantee (privacy rule 26).
2. `casehaven-stored-answer/2` holds it with the noisy tables behind it. The tables are protected, but are not shown: cells that rule 25 hides are in them.
3. Writing is canonical, so that the same answer is the same bytes (privacy rule 17).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final

import numpy as np

from casesynth.answers.answer import AnswerRow, answer_rows, seen_grids
from casesynth.answers.counted import NoisyTable
from casesynth.answers.hiding import MINIMUM, threshold_sigmas
from casesynth.answers.plan import AnswerPlan
from casesynth.answers.question import CountTable, Fact, Integers, Part, Question, Split, WithinPeople, stored_where
from casesynth.answers.told import SeenGrid
from casesynth.canonical import JsonValue, canonical_json, parse_json
from casesynth.errors import CasesynthError

ANSWER_FORMAT: Final = "casehaven-answer/1"
STORED_FORMAT: Final = "casehaven-stored-answer/2"


class StoredAnswerError(CasesynthError):
    """A stored answer that this software did not write, or that was changed."""


def answer_document(
    plan: AnswerPlan,
    tables: Sequence[tuple[CountTable, Integers]],
    snapshot: JsonValue,
    *,
    minimum: float = MINIMUM,
    earlier: Sequence[SeenGrid] = (),
) -> dict[str, JsonValue]:
    """Return an answer as JSON.

    Args:
        plan: of the question.
        tables: its own noisy tables, and others that were paid for before under the same condition.
        snapshot: public facts of what was asked about.
        minimum: smallest count that is shown; never below `MINIMUM`.
        earlier: what earlier answers about the same snapshot show of their counts.
    """
    minimum = max(float(minimum), MINIMUM)
    rows = answer_rows(plan.question, tables, minimum=minimum, earlier=earlier)
    others = len(tables) - len(plan.tables)
    return {
        "format": ANSWER_FORMAT,
        "question": plan.question.canonical,
        "accuracy": _accuracy(plan),
        "snapshot": snapshot,
        "guarantee": {
            "unit": "person token",
            "nano_rho": plan.nano_rho,
            "epsilon": plan.epsilon,
            "delta": plan.delta,
            "max_tokens_per_person": plan.tokens,
            "epsilon_per_person": plan.epsilon_per_person,
            "mechanism": "discrete Gaussian (opendp)",
            "software": f"casehaven {version('casehaven')}, opendp {version('opendp')}",
            "not_protected": "facts true of a whole group; the exact group-level picture",
        },
        "earlier_tables": others,
        "within": plan.within,
        "hidden_below": {"count": minimum, "standard_deviations": round(threshold_sigmas(plan.question), 2)},
        "rows": [row_document(row) for row in rows],
    }


def stored_document(
    answer: Mapping[str, JsonValue], tables: Sequence[NoisyTable], question: Question | None = None
) -> bytes:
    """Return the bytes that are kept of an answer.

    Args:
        answer: of `answer_document`.
        tables: its noisy tables.
        question: of the answer, so that later ones tell nothing that it hides; None: nothing is kept of what it shows.
    """
    seen: list[JsonValue] = []
    if question is not None:
        rows: Any = answer["rows"]
        flags = {"count": [not row.get("hidden", False) for row in rows if row["kind"] == "count"]}
        seen = [
            {"table": grid.table.facts_of_it(), "seen": "".join("01"[int(flag)] for flag in grid.seen.ravel())}
            for grid in seen_grids(question, flags["count"])
        ]
    kept: list[JsonValue] = [
        {"table": found.table.facts_of_it(), "values": found.values.ravel().tolist()} for found in tables
    ]
    more = {"seen": seen} if seen else {}
    return canonical_json({"format": STORED_FORMAT, "answer": answer, "tables": kept, **more})


def read_stored(unverified: bytes) -> tuple[dict[str, Any], list[tuple[CountTable, Integers]]]:
    """Return the answer and the noisy tables of a stored document.

    Raises:
        StoredAnswerError: it is none.
    """
    return read_whole(unverified)[:2]


def read_seen(unverified: bytes) -> list[SeenGrid]:
    """Return what a stored answer shows of its counts.

    Raises:
        StoredAnswerError: it is none.
    """
    return read_whole(unverified)[2]


def read_whole(unverified: bytes) -> tuple[dict[str, Any], list[tuple[CountTable, Integers]], list[SeenGrid]]:
    """Return all that is kept of an answer: what people see, its noisy tables, and what it shows of its counts.

    Raises:
        StoredAnswerError: it is none.
    """
    document = parse_json(unverified, "the stored answer")
    try:
        if not isinstance(document, dict) or document["format"] != STORED_FORMAT:
            raise StoredAnswerError("the stored answer has another format")
        tables = [_table(entry) for entry in document["tables"]]
        found = [(_facts(entry["table"]), entry["seen"]) for entry in document.get("seen", [])]
        seen = [
            SeenGrid(table=table, seen=np.array([flag == "1" for flag in flags]).reshape(table.shape))
            for table, flags in found
        ]
        return document["answer"], tables, seen
    except (KeyError, TypeError, ValueError):
        raise StoredAnswerError("the stored answer is not as it was written") from None


def _table(entry: Mapping[str, Any]) -> tuple[CountTable, Integers]:
    table = _facts(entry["table"])
    return table, np.array(entry["values"], np.int64).reshape(table.shape)


def _facts(facts: Mapping[str, Any]) -> CountTable:
    splits = tuple(
        Split(attribute=name, parts=tuple(Part(label="", positions=frozenset(p), answered=True) for p in parts))
        for name, parts in facts["splits"]
    )
    held = tuple(
        Fact(label="", holds=tuple((name, frozenset(positions)) for name, positions in holds))
        for holds in facts["facts"]
    )
    return CountTable(
        splits=splits,
        facts=held,
        nano_rho=facts["nano_rho"],
        where=stored_where(facts["where"]),
        at_most=None if facts["unit"] == "people" else int(facts["unit"]["records"]["at_most"]),
        registered=tuple(facts["registered"]) if "registered" in facts else None,
    )


def _accuracy(plan: AnswerPlan) -> JsonValue:
    asked = plan.question.accuracy
    if isinstance(asked, WithinPeople):
        return {"within_people": asked.people}
    return {"epsilon": asked.epsilon}


def row_document(row: AnswerRow) -> dict[str, JsonValue]:
    """Return a row as JSON."""
    written: dict[str, JsonValue] = {"cell": [list(pair) for pair in row.cell], "kind": row.kind}
    if row.level is not None:
        written["level"] = row.level
    if not row.answered:
        written["answered"] = False
    if row.hidden:
        return {**written, "hidden": True}
    return {**written, "estimate": _short(row.estimate), "low": _short(row.low), "high": _short(row.high)}


def _short(number: float | str | None) -> JsonValue:
    if isinstance(number, float):
        return int(number) if number.is_integer() else round(number, 4)
    return number
