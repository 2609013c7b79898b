"""Two releases side by side, for everybody: what changed, how sure that is, and which changes are real.

1. The numbers and verdicts are those of `GET /v1/registry/{record}/comparison`; nothing is worked out here. Signs, words and rounding are the page's.
2. A change is called real by the route alone (Holm's method). Without it nothing is called a rise or a fall.
3. On the page are the real changes; every value of an attribute is on a page of its own, so that a page stays light. The picture shows what the table beside it has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Query, Response

from casehaven.core.problems import Problem, ProblemError
from casehaven.web.charts import Bar
from casehaven.web.desk import Anybody, Desk
from casehaven.web.registry_pages import NAME, record_of
from casehaven.web.release_numbers import fact_names_of, names_of
from casehaven.web.router import PageRouter
from casehaven.web.words import Words

router = PageRouter()

REAL_MOST: Final = 25
"""Real changes on the page; the others are under their attributes."""
BARS: Final = 12
LISTED: Final = 100
"""Other releases that are looked through for one that can be compared."""
_SHOWN: Final = ("not-comparable", "release-not-read", "registry-busy", "release-withdrawn", "not-found")
"""Refusals that are shown beside the choice."""

Change = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One number in both releases, as it is read."""

    label: str
    first: Mapping[str, float] | None
    second: Mapping[str, float] | None
    difference: Mapping[str, float] | None
    """None where one of the numbers is hidden."""
    real: bool
    rose: bool

    @property
    def bar(self) -> Bar | None:
        """The difference in a picture."""
        found = self.difference
        if found is None:
            return None
        return Bar(label=self.label, value=found["estimate"], low=found["low"], high=found["high"], chosen=self.real)


@router.get("/registry/{record}/compare")
async def compare(
    desk: Anybody,
    record: str,
    other: Annotated[str, Query(alias="with", max_length=30)] = "",
    attribute: Annotated[str, Query(max_length=80)] = "",
) -> Response:
    """A release beside an earlier one, or beside another of the same schema."""
    found = await record_of(desk, record)
    choices = await _choices(desk, found)
    if found["withdrawal"] or not other:
        return _page(desk, found, choices, other=other)
    answer = await desk.backend.call("GET", f"/v1/registry/{found['id']}/comparison?with={_name(other)}")
    problem = answer.problem
    if problem is not None:
        if problem.code not in _SHOWN:
            raise ProblemError(problem)
        return _page(desk, found, choices, other=other, problem=problem, status=problem.status)
    beside = await record_of(desk, other)
    label = _labels(str(found["schema"]), desk.words)
    shown = answer.body
    rows = {change_id(each): _row(each, label) for each in (*shown["values"], *shown["pairs"])}
    named = names_of(str(found["schema"]), desk.words.language.code)
    attributes = list(dict.fromkeys(each["facts"][0]["attribute"] for each in shown["values"]))
    real = [each for each in shown["values"] if each["real"]]
    real.sort(key=lambda each: -abs(each["difference"]["estimate"]) if each["difference"] else 0.0)
    of = [rows[change_id(each)] for each in shown["values"] if each["facts"][0]["attribute"] == attribute]
    everybody = _row(shown["people"], lambda _: desk.words.text("compare.everybody"))
    drawn = [everybody, *(rows[change_id(each)] for each in real)]
    return _page(
        desk,
        found,
        choices,
        other=str(beside["id"]),
        beside=beside,
        people=everybody,
        rose=sum(each["direction"] == "rose" for each in real),
        fell=sum(each["direction"] == "fell" for each in real),
        compared=shown["correction"]["values_compared"] - 1,
        pairs_compared=shown["correction"]["pairs_compared"],
        pairs_real=shown["pairs_real"],
        real=[rows[change_id(each)] for each in real[:REAL_MOST]],
        left=max(0, len(real) - REAL_MOST),
        pairs=[rows[change_id(each)] for each in shown["pairs"] if each["real"]],
        bars=[bar for row in drawn[: BARS + 1] if (bar := row.bar) is not None],
        attributes=[(name, named(name, None)) for name in attributes],
        attribute=attribute if of else "",
        of=of,
        of_name=named(attribute, None) if of else "",
    )


def signed(value: float) -> str:
    """Write a difference with its sign.

    >>> signed(-12.4), signed(3), signed(0.2)
    ('−12', '+3', '0')
    """
    whole = round(value)
    return f"{whole:+,}".replace("-", "−") if whole else "0"


def change_id(change: Change) -> tuple[tuple[str, str], ...]:
    """Return what names a change: its facts."""
    return tuple((str(each["attribute"]), str(each["value"])) for each in change["facts"])


def _labels(schema: str, words: Words) -> Callable[[Change], str]:
    fact = fact_names_of(schema, words.language.code)

    def label(change: Change) -> str:
        facts: Sequence[Mapping[str, str]] = change["facts"]
        if words.language.code == "en" or len(facts) == 1:
            return fact(facts[0]["attribute"], facts[0]["value"], str(change["label"]))
        written = str(change["label"]).split(", ", 1) if len(facts) == 2 else []
        said = written if len(written) == 2 else [str(change["label"])] * len(facts)
        return "، ".join(fact(one["attribute"], one["value"], text) for one, text in zip(facts, said, strict=True))

    return label


def _row(change: Change, label: Callable[[Change], str]) -> Row:
    return Row(
        label=label(change),
        first=change["first"],
        second=change["second"],
        difference=change["difference"],
        real=bool(change["real"]),
        rose=change["direction"] == "rose",
    )


def _name(other: str) -> str:
    return other if NAME.fullmatch(other) else "CHV-0000-0000-0000"


async def _choices(desk: Desk, record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what a release can be compared with, by name and title: its other versions first, then others of the same schema."""
    versions = [each for each in record["versions"] if each["id"] != record["id"] and not each["withdrawal"]]
    found = {str(each["id"]): (str(record["title"]), str(each["published"])) for each in versions}
    for each in (await desk.get("/v1/registry", limit=LISTED))["items"]:
        if each["schema"] == record["schema"] and not each["withdrawal"] and each["id"] != record["id"]:
            found[str(each["id"])] = (str(each["title"]), str(each["published"]))
    return [(name, f"{title} · {name} · {published[:10]}") for name, (title, published) in found.items()]


def _page(
    desk: Desk,
    record: Mapping[str, Any],
    choices: list[tuple[str, str]],
    *,
    other: str,
    beside: Mapping[str, Any] | None = None,
    problem: Problem | None = None,
    status: int = 200,
    **shown: Any,
) -> Response:
    return desk.page(
        "registry/compare.html",
        status=status,
        record=record,
        choices=choices,
        other=other,
        beside=beside,
        problem=problem,
        signed=signed,
        **shown,
    )
