"""Comparison: two published releases side by side, and which of the changes between them are real."""

from casehaven.releases.comparison.changes import (
    FALSE_ALARM,
    Change,
    Comparison,
    DifferentDomainsError,
    SameReleaseError,
    check_comparable,
    compare,
    holm,
)
from casehaven.releases.comparison.facts import comparison_facts
from casehaven.releases.comparison.page import page
from casehaven.releases.comparison.sentences import caveats, ends, span, summary, verdict

__all__ = [
    "FALSE_ALARM",
    "Change",
    "Comparison",
    "DifferentDomainsError",
    "SameReleaseError",
    "caveats",
    "check_comparable",
    "compare",
    "comparison_facts",
    "ends",
    "holm",
    "page",
    "span",
    "summary",
    "verdict",
]
