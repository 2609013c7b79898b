"""What makes a request for a release that request: public choices only, so that a key stands for one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from casesynth.canonical import JsonValue
from casesynth.plan import ReleasePlan

if TYPE_CHECKING:
    from casehaven.releases.draft import ReleaseDraft


def request_body(draft: ReleaseDraft, plan: ReleasePlan) -> dict[str, JsonValue]:
    """Return what makes this request this request: public choices only, nothing of the files; only its hash is stored."""
    return {
        **({"vault_datasets": list(draft.vault_datasets)} if draft.vault_datasets else {}),
        **({"tables": [list(table) for table in plan.named], "table_share": plan.table_share} if plan.named else {}),
        **({"registered": list(draft.registered)} if draft.registered else {}),
        "schema": draft.schema.digest(),
        "organisations": list(draft.contributors),
        "epsilon": plan.epsilon,
        "delta": plan.delta,
        "people_cap": plan.people_cap,
        "person": draft.person,
        "person_tokens": draft.tokens_are,
        "max_tokens_per_person": plan.max_tokens_per_person,
        "legal_basis": draft.legal_basis,
        "title": draft.title,
        "tokens_reason": draft.tokens_reason,
        "decision_used_private_data": draft.decision_used_private_data,
    }
