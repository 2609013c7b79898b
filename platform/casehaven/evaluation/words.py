"""What the private report says about itself and its numbers, in the words that screen and page share."""

from __future__ import annotations

from collections.abc import Sequence

from casehaven.evaluation.service import PrivateReport
from casesynth.evaluation.attacks import RISK_LIMIT, Risk
from casesynth.evaluation.detail import Bucket
from casesynth.evaluation.private import Utility
from casesynth.report.precision import LENGTH_NAMES

MARK = "PRIVATE: NOT FOR RELEASE"
WARNING = f"{MARK}. Exact numbers about real people. No decision about this release, or about planning another one of the same people, may rest on them: the guarantee would not cover it."

UTILITY_HEADS = (
    "combinations of", "distance of tables", "mean error", "relative error, counts of 10 and more",
    "lost, counts of 10 and more", "shown with 10 and more, and nobody has it",
)  # fmt: skip
SIZE_HEADS = ("real count", "combinations", "mean error", "19 of 20 within", "shown", "intervals that hold it")
RISK_HEADS = ("attack", "on real people", "on control people", "risk", "95 % interval", f"within {RISK_LIMIT:.0%}")
GROUP_HEADS = ("people with", "people", "relative error of their numbers", "shown of those with 10 and more")

NOTES = (
    "Distance is half the sum of the differences of two tables of shares: 0 is equal, 1 is disjoint; the mean over all tables of that length.",
    "Counts are compared over all combinations that the real or the released data have, so hiding a number is no way to be right.",
    "The real people are those who may be counted today. Consent, corrections and erasures since the release make a difference that is no error of it.",
    "A risk is the part of the attacks that succeed on real people and not on control people, who come from the released model and not from the data.",
    "Control people are a little easier to attack than people who were really left out, so a risk can be larger than it looks. What bounds it for every attacker is the guarantee, not this table.",
    "How close the closest synthetic record is to a real one is not looked at: it says how common a person is, and nothing about what was learnt.",
)


def lead(report: PrivateReport) -> tuple[str, ...]:
    """Return what matters most, in sentences."""
    estimate, low, high = report.people_released
    inside = "holds" if low <= report.people <= high else "does not hold"
    lines = [
        f"{report.people:,} real people ({report.source}); the release says {estimate:,.0f}, and its interval {low:,.0f} to {high:,.0f} {inside} that."
    ]
    if report.records:
        last = report.records[-1]
        lines.append(
            f"Counts of synthetic records for combinations of {LENGTH_NAMES[last.length - 1]} are off by {last.relative_error:.0%} on average, where 10 and more people have them."
        )
    judged = [risk for risk in report.risks if not risk.about]
    if judged:
        beyond = [risk.attack for risk in judged if risk.verdict == "beyond"]
        unknown = [risk.attack for risk in judged if risk.verdict == "cannot say"]
        if beyond:
            lines.append(f"Attacks succeed more often on real people than they may: {', '.join(beyond)}.")
        elif unknown:
            lines.append(f"No attack certainly passes the bound; too few people to say more of: {', '.join(unknown)}.")
        else:
            lines.append(f"Singling out, linkability and inference: each risk is certainly within {RISK_LIMIT:.0%}.")
    if report.used_private_data:
        lines.append(
            "This release carries the mark that its decision used private data; the guarantee does not cover that decision."
        )
    return tuple(lines)


def utility_rows(found: Sequence[Utility]) -> list[tuple[str, ...]]:
    """Return a row per length."""
    return [
        (
            LENGTH_NAMES[each.length - 1],
            f"{each.total_variation:.4f}",
            f"{each.mean_error:.2f}",
            f"{each.relative_error:.1%}",
            f"{each.suppressed:.1%}",
            f"{each.fabricated_shown:.2%}",
        )
        for each in found
    ]


def size_rows(found: Sequence[Bucket], length: int) -> list[tuple[str, ...]]:
    """Return a row per size of one length."""
    return [
        (
            f"{each.low:,} and more" if each.high is None else f"{each.low:,} to {each.high - 1:,}",
            f"{each.combinations:,}",
            f"{each.mean_error:.1f}",
            f"± {each.error:.0f}",
            f"{each.shown:.0%}",
            "-" if each.held is None else f"{each.held:.0%}",
        )
        for each in found
        if each.length == length
    ]


def risk_rows(risks: Sequence[Risk]) -> list[tuple[str, ...]]:
    """Return a row per attack."""
    return [
        (
            risk.attack if not risk.about else f"{risk.attack} of {risk.about}",
            f"{risk.real.value:.1%}",
            f"{risk.control.value:.1%}",
            f"{risk.value:.1%}",
            f"{risk.lower:.1%} to {risk.upper:.1%}",
            {"within": "yes", "beyond": "no", "cannot say": "cannot be said"}[risk.verdict],
        )
        for risk in risks
    ]


def group_rows(report: PrivateReport, most: int) -> list[tuple[str, ...]]:
    """Return a row per subgroup, the one with the largest error first."""
    return [
        (f"{each.attribute}: {each.value}", f"{each.people:,}", f"{each.relative_error:.0%}", f"{each.shown:.0%}")
        for each in report.subgroups[:most]
    ]
