"""Questions: what one would cost, and its answer.

1. A question is written as `casehaven-question/1`, or by its parts; the server reads it by its closed grammar, and nothing else decides.
2. It is about datasets, or under an agreement: then about all of its datasets together, and no name of one is told.
3. Asking carries a key that is made before the first attempt. The same question under the same key is one request, however often the connection breaks: it is charged once.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from casehaven.client.agreements import agreement_id
from casehaven.client.answers import NANO, Answer, read_answer
from casehaven.client.datasets import dataset_parts
from casehaven.client.display import html_table
from casehaven.client.fields import Fields
from casehaven.client.jobs import Jobs, Progress


@dataclass(frozen=True, kw_only=True)
class Quote:
    """What a question would cost and how exact its answer would be. Reserves nothing."""

    document: Mapping[str, Any] = field(repr=False)
    """`casehaven-quote/1`, as the server sent it."""
    nano_rho: int
    """Price for one person token, in billionths of rho; 0 where it is free."""
    epsilon: float
    """The price as epsilon, at `delta`."""
    delta: float
    epsilon_per_person: float
    """For a person behind `max_tokens_per_person` person tokens."""
    max_tokens_per_person: int
    within: float
    """Every count is within so many, 95 times in 100."""
    counted: str
    """What is counted: `people` or `records`."""
    cells: int
    """Noisy cells that are measured."""
    tables: int
    """Noisy tables that they are in."""
    earlier_tables: int
    """Noisy tables that are paid for and help."""
    alone_nano_rho: int
    """Price if nothing were paid for."""
    asked_on: tuple[str, ...]
    """Earlier days on which it was answered as exactly, the latest first."""
    registered: tuple[str, ...]
    """Years of first registration that are charged; the empty text is an unknown one."""
    some_registered: bool
    """Whether the question names them."""
    free: str | None
    """Why it costs nothing; None where it costs the price."""
    left_nano_rho: Mapping[str, int | None]
    """What is left of your own fair share, by dataset; None where there is no limit."""

    @property
    def rho(self) -> float:
        """Price for one person token."""
        return self.nano_rho / NANO

    def _repr_html_(self) -> str:
        rows = [
            [
                "price",
                "nothing" if self.free else f"rho {self.rho:.9f}, epsilon {self.epsilon:.4g} at delta {self.delta:.2g}",
            ],
            ["accuracy", f"every count within {self.within:,.1f}, 95 times in 100"],
            *(
                [f"your share of {name}", "no limit" if left is None else f"rho {left / NANO:.9f} left"]
                for name, left in self.left_nano_rho.items()
            ),
        ]
        return html_table("", [], rows, ["A quote fixes price and accuracy; it reserves nothing."])


def new_key() -> str:
    """Return a new idempotency key."""
    return f"client-{secrets.token_hex(16)}"


def question(
    *,
    by: Sequence[Any] = (),
    where: Mapping[str, Any] | None = None,
    show: Any = None,
    totals: bool = False,
    records: int | None = None,
    registered: Sequence[str] | None = None,
    within: float | None = None,
    epsilon: float | None = None,
) -> dict[str, Any]:
    """Return a question by its parts.

    >>> question(by=["gender"], where={"country": ["KE", "UG"]}, within=25)
    {'by': ['gender'], 'where': {'all': [{'attribute': 'country', 'in': ['KE', 'UG']}]}, 'accuracy': {'within_people': 25}}

    Args:
        by: attributes, or axes as `casehaven-question/1` writes them.
        where: attribute to a value or a list of values, all of which have to hold; or a condition as the format writes it, with `all` or `any`.
        show: `percentages`, `{"median": A}` and so on; counts by default.
        totals: measure and show totals as well.
        records: count case records, of one person at most so many.
        registered: only people first registered in these years, the empty text for an unknown one; these years alone are charged.
        within: every count within so many people, 95 times in 100.
        epsilon: what the answer may cost, in place of `within`.
    """
    made: dict[str, Any] = {"by": list(by)}
    if show is not None:
        made["show"] = show
    if totals:
        made["totals"] = True
    if records is not None:
        made["count"] = {"records": {"at_most": records}}
    if registered is not None:
        made["registered"] = list(registered)
    if where:
        made["where"] = dict(where) if set(where) <= {"all", "any"} else {"all": [_held(*one) for one in where.items()]}
    accuracy = {"within_people": within, "epsilon": epsilon}
    made["accuracy"] = {name: number for name, number in accuracy.items() if number is not None}
    return made


def _held(attribute: str, values: Any) -> dict[str, Any]:
    return {"attribute": attribute, "in": [values] if isinstance(values, str) else list(values)}


def read_quote(unverified: object) -> Quote:
    """Read a quote, `casehaven-quote/1`.

    Raises:
        UnexpectedAnswerError: it is none.
    """
    fields = Fields(unverified, "quote")
    left = fields.all.get("allowances")
    pairs = [pair for pair in (left if isinstance(left, list) else []) if isinstance(pair, list) and len(pair) == 2]
    return Quote(
        document=fields.all,
        nano_rho=fields.whole("nano_rho"),
        epsilon=fields.number("epsilon"),
        delta=fields.number("delta"),
        epsilon_per_person=fields.number("epsilon_per_person"),
        max_tokens_per_person=fields.whole("max_tokens_per_person"),
        within=fields.number("within"),
        counted=fields.text("counted"),
        cells=fields.whole("cells"),
        tables=fields.whole("tables"),
        earlier_tables=fields.whole("earlier_tables"),
        alone_nano_rho=fields.whole("alone_nano_rho"),
        asked_on=fields.texts("asked_on"),
        registered=fields.texts("registered"),
        some_registered=fields.flag("some_registered"),
        free=fields.maybe_text("free"),
        left_nano_rho={name: n for name, n in pairs if isinstance(name, str) and isinstance(n, int | None)},
    )


class Queries:
    """Questions to datasets."""

    def __init__(self, jobs: Jobs) -> None:
        """Use a connection."""
        self._jobs = jobs

    def quote(
        self,
        datasets: str | Sequence[str] | None = None,
        document: Mapping[str, Any] | None = None,
        *,
        agreement: str | None = None,
        person_tokens: str | None = None,
        **parts: Any,
    ) -> Quote:
        """Say what a question would cost and how exact its answer would be. Reads no record and charges nothing.

        Args:
            datasets: organisation/dataset, or several.
            document: `casehaven-question/1`; in its place, the parts.
            agreement: in the place of datasets: one that lets you ask.
            person_tokens: of several organisations: `shared` where equal tokens mean the same person.
            parts: see `question`.

        Raises:
            BadRequestError: the question does not fit; names the place.
            NotThereError: a dataset is not there for you.
            NotAllowedError: the agreement is not in force, or does not let you ask this.
        """
        body = _body(datasets, agreement, document, person_tokens, parts)
        return read_quote(self._jobs.ask("POST", "/v1/quotes", body=body).result)

    def ask(
        self,
        datasets: str | Sequence[str] | None = None,
        document: Mapping[str, Any] | None = None,
        *,
        agreement: str | None = None,
        person_tokens: str | None = None,
        as_of: str | None = None,
        key: str | None = None,
        progress: Progress | None = None,
        **parts: Any,
    ) -> Answer:
        """Ask a question. It is charged first, and the charge stands whatever happens after.

        Args:
            datasets: organisation/dataset, or several.
            document: `casehaven-question/1`; in its place, the parts.
            agreement: in the place of datasets: one that lets you ask.
            person_tokens: of several organisations: `shared` where equal tokens mean the same person; an agreement says it itself.
            as_of: an earlier day, such as `2026-03-01`: what was stored on it costs nothing, and nobody is counted.
            key: of an attempt that did not finish: the same question under it is charged no second time.
            progress: is told of the job now and then.
            parts: see `question`.

        Raises:
            BudgetRefusedError: a budget or your fair share is exhausted; no balance changed.
            ConflictError: the key was used with another question.
            BadRequestError, NotThereError, NotAllowedError: see `quote`.
        """
        body = _body(datasets, agreement, document, person_tokens, parts)
        if as_of is not None:
            body["as_of"] = as_of
        used = new_key() if key is None else key
        job = self._jobs.ask("POST", "/v1/answers", body=body, key=used, progress=progress)
        fields = Fields(job.result, "result")
        return read_answer(
            fields.all.get("answer"),
            charged_nano_rho=fields.maybe_whole("charged_nano_rho"),
            free=fields.maybe_text("free"),
            key=used,
        )


def _body(
    datasets: str | Sequence[str] | None,
    agreement: str | None,
    document: Mapping[str, Any] | None,
    person_tokens: str | None,
    parts: Mapping[str, Any],
) -> dict[str, Any]:
    if document is not None and parts:
        raise TypeError("give a question as a document or by its parts, not both")
    if (agreement is None) == (datasets is None):
        raise TypeError("name datasets or an agreement")
    asked = _one_form(question(**parts) if document is None else dict(document))
    if agreement is not None:
        if person_tokens is not None:
            raise TypeError("whether tokens are shared is the agreement's to say")
        return {"agreement": agreement_id(agreement), "question": asked}
    names = [datasets] if isinstance(datasets, str) else list(datasets or ())
    for name in names:
        dataset_parts(name)
    return {"datasets": names, "question": asked, "person_tokens": person_tokens or "separate"}


def _one_form(value: Any) -> Any:
    """Write whole numbers in one way, so that the same question is the same request under its key.

    >>> _one_form({"within_people": 25.0})
    {'within_people': 25}
    """
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {name: _one_form(inner) for name, inner in value.items()}
    return [_one_form(inner) for inner in value] if isinstance(value, list | tuple) else value
