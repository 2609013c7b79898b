"""What a release would be worth, as a document for programs: `casehaven-feasibility/1`, of `casehaven plan --json` and of the service's release plans. Public facts alone."""

from __future__ import annotations

from collections.abc import Sequence

from casesynth.feasibility import Feasibility, Suggestion, YearsOutlook


def plan_document(
    found: Feasibility, helpful: Sequence[Suggestion], outlook: YearsOutlook | None, blocks: Sequence[str] = ()
) -> dict[str, object]:
    """Return everything as `casehaven-feasibility/1`."""
    plan = found.plan
    return {
        "format": "casehaven-feasibility/1",
        "schema": plan.domain.source,
        **({"registered": list(blocks)} if blocks else {}),
        "people": found.people,
        "people_cap": plan.people_cap,
        "epsilon": plan.epsilon,
        "delta": plan.delta,
        "nano_rho": plan.loss.nano_rho,
        "max_tokens_per_person": plan.max_tokens_per_person,
        "epsilon_per_person": plan.epsilon_per_person,
        "useful": found.useful,
        "extrapolated": found.extrapolated,
        "lengths": [
            {
                "length": each.length,
                "noise": round(each.noise, 3),
                "shown_from": each.shown_from,
                "share_shown": round(each.share_shown, 3),
                "errors": [{"count": size, "error": round(error, 1)} for size, error in each.errors],
            }
            for each in found.lengths
        ],
        "years": None
        if outlook is None
        else {
            "cap_epsilon": outlook.cap_epsilon,
            "years": outlook.years,
            "releases_per_year": outlook.releases_per_year,
            "releases_paid_for": outlook.paid_for,
            "suffices": outlook.suffices,
            "even_epsilon": outlook.even_epsilon,
            "releases": [{"epsilon": epsilon, "number": number} for epsilon, number in outlook.table],
        },
        "suggestions": [
            {
                "kind": each.kind,
                "attribute": each.attribute,
                "text": each.text,
                "error_ratio": round(each.ratio, 3),
                "errors": [round(error, 1) for error in each.errors],
                "shown_from": list(each.shown_from),
            }
            for each in helpful
        ],
    }
