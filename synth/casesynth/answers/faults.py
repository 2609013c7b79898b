"""What axes cannot be asked together: no grid would tell their numbers apart, or what is shown would be of nobody.

1. Found before a price is named: what is planned can be answered, and nothing is charged for a question that no answer follows from.
2. Two axes of one fact would make one person move a table by more than is charged (privacy rule 1), so they are refused here, and by every table again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from casesynth.answers.question import Axis, Changes, Fact, FactAxis, Mean, Percentages, Quantiles, Show, Split


def fault_of(by: Sequence[Axis], show: Show, *, most_axes: int, most_fact_axes: int) -> str | None:
    """Return what is wrong with axes together, with its place in the question; None where nothing is.

    Args:
        by: axes; of a mean or of quantiles its attribute comes last.
        show: what is shown over them.
        most_axes: that a question has.
        most_fact_axes: of those, of overlapping facts.
    """
    return next(_faults(by, show, most_axes, most_fact_axes), None)


def _faults(by: Sequence[Axis], show: Show, most_axes: int, most_fact_axes: int) -> Iterator[str]:
    keys = [axis.attribute if isinstance(axis, Split) else axis.label for axis in by]
    fact_axes = [axis for axis in by if isinstance(axis, FactAxis)]
    if len(by) > most_axes or len(set(keys)) != len(keys):
        yield f"/by: expected at most {most_axes} axes, each of another attribute, with /show's"
    if len(fact_axes) > most_fact_axes:
        yield f"/by: expected at most {most_fact_axes} axes of overlapping facts"
    if isinstance(show, Mean | Quantiles | Changes) and fact_axes:
        yield "/by: means, quantiles and changes take no axis of overlapping facts"
    yield from _equal_facts(by, fact_axes)
    if isinstance(show, Percentages):
        yield from _percentages(by, fact_axes)
    if isinstance(show, Mean | Quantiles):
        yield from _nobody_answers(by[-1], "/show")


def _equal_facts(by: Sequence[Axis], fact_axes: Sequence[FactAxis]) -> Iterator[str]:
    facts = [fact.key for axis in fact_axes for fact in axis.facts]
    if len(set(facts)) != len(facts):
        yield "/by: expected another fact each time; the same one is named twice"
    halves = {
        Fact(label="", holds=((axis.attribute, part.positions),)).key
        for axis in by
        if isinstance(axis, Split) and len(axis.parts) == 2
        for part in axis.parts
    }
    if halves & set(facts):
        yield "/by: a fact is one of the two parts of another axis; one of them says it all"


def _percentages(by: Sequence[Axis], fact_axes: Sequence[FactAxis]) -> Iterator[str]:
    if not by:
        yield "/show: percentages are of the last axis, and /by has none"
        return
    last = by[-1]
    if len(fact_axes) - isinstance(last, FactAxis):
        yield "/by: percentages take overlapping facts in the last axis only"
    if isinstance(last, Split):
        yield from _nobody_answers(last, "/by")
        return
    answered = last.answered
    if answered is None:
        yield "/by: a fact about missing values has no percentage of those who answered"
        return
    if answered.key in {fact.key for fact in last.facts}:
        yield "/by: a fact holds of everybody who answered: it is 100 %, and nothing has to be counted for it"
    halves = [axis for axis in by if isinstance(axis, Split) and len(axis.parts) == 2]
    if any(answered.holds == ((axis.attribute, part.positions),) for axis in halves for part in axis.parts):
        yield "/by: who answered is one of the two parts of another axis; leave that axis away"


def _nobody_answers(axis: Axis, place: str) -> Iterator[str]:
    if isinstance(axis, Split) and not any(part.answered for part in axis.parts):
        yield f"{place}: no part of {axis.attribute} holds answers alone, so there is nobody to show this of"
