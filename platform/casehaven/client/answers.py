"""Answers: noisy numbers with intervals, as they are stored; in a notebook, as a frame, or as the bytes they are.

1. A number never comes without its interval, nor without what the answer cost.
2. What is hidden is no number, and is not nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from casehaven.client.agreements import agreement_id
from casehaven.client.datasets import dataset_path
from casehaven.client.display import html_table, shown
from casehaven.client.errors import UnexpectedAnswerError
from casehaven.client.fields import Fields
from casehaven.client.jobs import Jobs
from casesynth.canonical import canonical_json

if TYPE_CHECKING:
    import pandas as pd

NANO: Final = 10**9
FORMAT: Final = "casehaven-answer/1"
KINDS: Final = frozenset({"count", "percentage", "mean", "quantile", "change"})
_OWN: Final = ("kind", "level", "value", "low", "high", "rho", "hidden")
"""Columns of a frame beside the axes."""

Number = float | str
"""A quantile is a value of a list: a text."""


@dataclass(frozen=True, kw_only=True)
class AnswerRow:
    """One number of an answer."""

    cell: tuple[tuple[str, str], ...]
    """Axis and part, for each axis; the part is empty where nothing is known."""
    kind: str
    """`count`, `percentage`, `mean`, `quantile` or `change`."""
    value: Number | None
    """The estimate; None where it is hidden."""
    low: Number | None
    """Lower end of the 95 % interval."""
    high: Number | None
    """Upper end of the 95 % interval."""
    level: float | None
    """Of a quantile."""
    answered: bool
    """False for those of whom it is not known, or who were not asked."""

    @property
    def hidden(self) -> bool:
        """Whether it is too small to be told from noise; not the same as nobody."""
        return self.value is None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer to a question."""

    document: Mapping[str, Any] = field(repr=False)
    """`casehaven-answer/1`, as the server sent it."""
    rows: tuple[AnswerRow, ...] = field(repr=False)
    nano_rho: int
    """Privacy loss of this answer for one person token, in billionths of rho."""
    within: float
    """Half width of the widest count's interval, before rounding; in people, or in records."""
    charged_nano_rho: int | None = None
    """What was charged for it; None where it cost nothing, and for a listed answer."""
    free: str | None = None
    """Why it cost nothing."""
    key: str | None = None
    """Idempotency key of the request: the same question under it is this answer again, at no charge."""

    @property
    def rho(self) -> float:
        """Privacy loss of this answer for one person token."""
        return self.nano_rho / NANO

    @property
    def day(self) -> str:
        """The day (UTC) on which its people were counted."""
        return Fields(self.document.get("snapshot"), "snapshot").text("day")

    @property
    def axes(self) -> tuple[str, ...]:
        """What it is by."""
        return tuple(dict.fromkeys(name for row in self.rows for name, _ in row.cell))

    def to_bytes(self) -> bytes:
        """Return the answer as canonical JSON: the same answer is the same bytes."""
        return canonical_json(self.document)

    def to_pandas(self) -> pd.DataFrame:
        """Return a frame with a row for each number.

        Columns: one for each axis, `kind`, `level` (of quantiles, where there are any), `value`, `low`, `high`, `rho` (of the whole answer, in every row: do not add it up) and `hidden`. An axis with
        one of these names has ` (axis)` behind it. A hidden number is missing, never zero.
        """
        import pandas as pd

        names = {axis: f"{axis} (axis)" if axis in _OWN else axis for axis in self.axes}
        levels = any(row.level is not None for row in self.rows)
        made: dict[str, list[Any]] = {
            names[axis]: [dict(row.cell).get(axis) for row in self.rows] for axis in self.axes
        }
        made["kind"] = [row.kind for row in self.rows]
        if levels:
            made["level"] = [row.level for row in self.rows]
        for name in ("value", "low", "high"):
            made[name] = [getattr(row, name) for row in self.rows]
        made["rho"] = [self.rho] * len(self.rows)
        made["hidden"] = [row.hidden for row in self.rows]
        frame = pd.DataFrame(made)
        for name in ("value", "low", "high"):
            if not any(isinstance(found, str) for found in made[name]):
                frame[name] = frame[name].astype("float64")
        return frame

    def _repr_html_(self) -> str:
        heads = [*self.axes, "number", "95 % interval"]
        rows = [
            [
                *(dict(row.cell).get(axis, "") or "(not known)" for axis in self.axes),
                "hidden" if row.hidden else shown(row.value),
                "" if row.hidden else f"{shown(row.low)} to {shown(row.high)}",
            ]
            for row in self.rows
        ]
        notes = [
            f"Noisy numbers; rho {self.rho:.9f} for one person token. Hidden is too small to be told from noise, and not the same as nobody."
        ]
        return html_table("", heads, rows, notes)


def read_answer(
    unverified: object, *, charged_nano_rho: int | None = None, free: str | None = None, key: str | None = None
) -> Answer:
    """Read an answer.

    Args:
        unverified: `casehaven-answer/1`.
        charged_nano_rho: for it.
        free: why it cost nothing.
        key: of its request.

    Raises:
        UnexpectedAnswerError: it is none.
    """
    fields = Fields(unverified, "answer")
    if fields.text("format") != FORMAT:
        raise UnexpectedAnswerError("the server's answer has another format; use a newer client")
    guarantee, below = fields.inner("guarantee"), fields.inner("hidden_below")
    for name in ("epsilon", "delta", "epsilon_per_person", "max_tokens_per_person"):
        guarantee.number(name)
    for name in ("unit", "mechanism", "not_protected"):
        guarantee.text(name)
    for name in ("count", "standard_deviations"):
        below.number(name)
    fields.whole("earlier_tables")
    fields.inner("question")
    return Answer(
        document=fields.all,
        rows=fields.each("rows", _row),
        nano_rho=guarantee.whole("nano_rho"),
        within=fields.number("within"),
        charged_nano_rho=charged_nano_rho,
        free=free,
        key=key,
    )


def _row(fields: Fields) -> AnswerRow:
    cell = fields.all.get("cell")
    pairs: Sequence[Any] = cell if isinstance(cell, list) else [None]
    if not all(isinstance(pair, list) and len(pair) == 2 and all(isinstance(t, str) for t in pair) for pair in pairs):
        raise UnexpectedAnswerError("the server's answer has a row without a cell")
    kind = fields.text("kind")
    if kind not in KINDS:
        raise UnexpectedAnswerError("the server's answer has numbers of a kind that this client does not know")
    hidden = fields.flag("hidden", default=False)

    def number(name: str) -> Number | None:
        if hidden:
            return None
        return fields.text(name) if isinstance(fields.all.get(name), str) else fields.number(name)

    return AnswerRow(
        cell=tuple((pair[0], pair[1]) for pair in pairs),
        kind=kind,
        value=number("estimate"),
        low=number("low"),
        high=number("high"),
        level=None if "level" not in fields.all else fields.number("level"),
        answered=fields.flag("answered", default=True),
    )


class Answers:
    """The answers that are stored."""

    def __init__(self, jobs: Jobs) -> None:
        """Use a connection."""
        self._jobs = jobs

    def list(
        self, dataset: str | None = None, *, agreement: str | None = None, every_day: bool = False
    ) -> tuple[Answer, ...]:
        """Return the stored answers about a dataset, or under an agreement, of today or of every day. Costs nothing, and does not say who asked.

        Args:
            dataset: organisation/dataset.
            agreement: in its place: one that lets you ask.
            every_day: those of earlier days as well.

        Raises:
            NotThereError: the dataset or the agreement is not there for you.
        """
        query = {"every_day": "true"} if every_day else {}
        if (dataset is None) == (agreement is None):
            raise TypeError("name a dataset or an agreement")
        if agreement is not None:
            path, query["agreement"] = "/v1/answers", agreement_id(agreement)
        else:
            path = f"{dataset_path(str(dataset))}/answers"
        job = self._jobs.ask("GET", path, query=query or None)
        return Fields(job.result, "list of answers").each("answers", lambda fields: read_answer(fields.all))
