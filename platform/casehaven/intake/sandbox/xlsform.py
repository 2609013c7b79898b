"""XLSForm: a form as a workbook, not data. What it knows of an export: names, labels in every language, and the codes of its choices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from casehaven.intake.sandbox.clean import clean_cell
from casehaven.intake.sandbox.faults import FaultError
from casehaven.intake.sandbox.tables import Row

SHEETS = frozenset(("survey", "choices"))


@dataclass(frozen=True, kw_only=True)
class Question:
    """One question of a form."""

    name: str
    path: str
    """Names of its groups and its own, with `/` between them."""
    labels: tuple[str, ...]
    options: Mapping[str, str]
    """Code to the first label, for a question with choices."""
    multiple: bool


@dataclass(frozen=True, kw_only=True)
class Form:
    """The questions of a form."""

    questions: tuple[Question, ...]

    def question(self, header: str) -> Question | None:
        """Return the question that a header of an export stands for: by path, by name, or by a label."""
        as_path = header.replace("-", "/")
        for question in self.questions:
            if header in (question.path, question.name) or as_path == question.path:
                return question
        last = header.rpartition("/")[2]
        found = [
            question
            for question in self.questions
            if last == question.name or header in question.labels or last in question.labels
        ]
        return found[0] if len(found) == 1 else None

    def document(self) -> list[dict[str, Any]]:
        """Return the form as plain values."""
        return [
            {
                "name": question.name,
                "path": question.path,
                "labels": list(question.labels),
                "options": dict(question.options),
                "multiple": question.multiple,
            }
            for question in self.questions
        ]


def form_of(document: Iterable[Mapping[str, Any]]) -> Form:
    """Return the form of plain values."""
    return Form(
        questions=tuple(
            Question(
                name=entry["name"],
                path=entry["path"],
                labels=tuple(entry["labels"]),
                options=dict(entry["options"]),
                multiple=bool(entry["multiple"]),
            )
            for entry in document
        )
    )


def read_form(survey: Iterable[Row], choices: Iterable[Row]) -> Form:
    """Return the form of its two sheets.

    Raises:
        FaultError: a sheet has no header of an XLSForm.
    """
    lists: dict[str, dict[str, str]] = {}
    for entry in _entries(choices, "list_name", "name"):
        code = entry["name"][0]
        lists.setdefault(entry["list_name"][0], {})[code] = next(iter(entry.get("label", [])), "") or code
    questions: list[Question] = []
    groups: list[str] = []
    for entry in _entries(survey, "type", "name", needed=("type",)):
        kind, _, rest = entry["type"][0].replace("begin_", "begin ").replace("end_", "end ").partition(" ")
        name = next(iter(entry.get("name", [])), "")
        if kind == "begin":
            groups.append(name)
        elif kind == "end" and rest:
            groups = groups[:-1]
        elif name:
            listed = rest.split()[0] if rest and kind in ("select_one", "select_multiple", "rank") else ""
            questions.append(
                Question(
                    name=name,
                    path="/".join([*groups, name]),
                    labels=tuple(dict.fromkeys(label for label in entry.get("label", []) if label)),
                    options=lists.get(listed, {}),
                    multiple=kind in ("select_multiple", "rank"),
                )
            )
    return Form(questions=tuple(questions))


def _entries(
    rows: Iterable[Row], *columns: str, needed: tuple[str, ...] | None = None
) -> Iterable[dict[str, list[str]]]:
    """Yield each row as values by the kind of its column; `label::English (en)` is a label."""
    kinds: list[str] | None = None
    for _, cells in rows:
        cleaned = [clean_cell(cell) for cell in cells]
        if kinds is None:
            kinds = [cell.lower().split("::")[0].strip().replace("list name", "list_name") for cell in cleaned]
            if not set(columns) <= set(kinds):
                raise FaultError("form", f"not an XLSForm: expected columns {', '.join(columns)}")
            continue
        entry: dict[str, list[str]] = {}
        for kind, cell in zip(kinds, cleaned, strict=False):
            if cell:
                entry.setdefault(kind, []).append(cell)
        if all(name in entry for name in (needed or columns)):
            yield entry
