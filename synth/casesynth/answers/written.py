"""How axes and what is shown are written in the one canonical form of a question (privacy rule 17)."""

from __future__ import annotations

from casesynth.answers.question import Axis, Changes, Counts, Mean, Quantiles, Show, Split
from casesynth.canonical import JsonValue


def written_axis(axis: Axis) -> JsonValue:
    """Return an axis by positions in its value lists."""
    if isinstance(axis, Split):
        return {
            "attribute": axis.attribute,
            "parts": [[part.label, sorted(part.positions)] for part in axis.parts],
        }
    return {
        "facts": axis.label,
        "parts": [[fact.label, *([name, sorted(positions)] for name, positions in fact.holds)] for fact in axis.facts],
    }


def written_show(show: Show) -> JsonValue:
    """Return what is shown."""
    if isinstance(show, Changes):
        return {"changes": show.attribute}
    if isinstance(show, Mean):
        return {"mean": show.attribute, "bounds": [None if ends is None else list(ends) for ends in show.bounds]}
    if isinstance(show, Quantiles):
        return {"quantiles": list(show.levels), "of": show.attribute}
    return "counts" if isinstance(show, Counts) else "percentages"
