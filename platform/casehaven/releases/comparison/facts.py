"""A comparison for programs: one JSON document."""

from __future__ import annotations

from casehaven.releases.comparison.changes import FALSE_ALARM, Change, Comparison
from casehaven.releases.comparison.sentences import summary
from casehaven.releases.published import ReleaseFacts
from casesynth.canonical import JsonValue
from casesynth.report.words import SPACE, Estimate

COMPARISON_FORMAT = "casehaven-comparison/1"


def comparison_facts(comparison: Comparison) -> dict[str, JsonValue]:
    """Return the comparison as JSON; people to one decimal, null for what is hidden."""
    return {
        "format": COMPARISON_FORMAT,
        "first": _release(comparison.first),
        "second": _release(comparison.second),
        "summary": [line.replace(SPACE, " ") for line in summary(comparison)],
        "correction": {
            "method": "Holm",
            "false_alarm": FALSE_ALARM,
            "values_compared": len(comparison.values) + 1,
            "pairs_compared": comparison.pairs_compared,
        },
        "people": _change(comparison.people),
        "values": [_change(change) for change in comparison.values],
        "pairs": [_change(change) for change in comparison.pairs],
        "pairs_real": comparison.pairs_real,
    }


def _release(facts: ReleaseFacts) -> dict[str, JsonValue]:
    return {
        "title": facts.title,
        "created": facts.created,
        "manifest_sha256": facts.manifest_sha256,
        "fingerprint": facts.fingerprint,
        "epsilon": facts.epsilon,
        "delta": facts.delta,
        "unit": facts.unit,
        "citation": facts.citation,
    }


def _change(change: Change) -> dict[str, JsonValue]:
    difference: dict[str, JsonValue] | None = None
    if change.shown:
        difference = {
            "estimate": round(change.difference, 1),
            "low": round(change.low, 1),
            "high": round(change.high, 1),
        }
    return {
        "facts": [{"attribute": attribute, "value": value} for attribute, value in change.facts],
        "label": change.label,
        "first": _estimate(change.first),
        "second": _estimate(change.second),
        "difference": difference,
        "real": change.real,
        "direction": ("rose" if change.rose else "fell") if change.real else None,
    }


def _estimate(estimate: Estimate) -> dict[str, JsonValue] | None:
    if not estimate.shown:  # privacy rule 25
        return None
    return {"estimate": round(estimate.value, 1), "low": round(estimate.low, 1), "high": round(estimate.high, 1)}
