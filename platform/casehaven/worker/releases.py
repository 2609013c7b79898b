"""Jobs of releases: what one would be worth, drawing it, and deciding about it.

1. A release here is of datasets of one organisation. Pooling several needs an agreement, and there are none yet.
2. The job's id is the ledger's key: a job that was cut short finds its charge, and finishes the bundle that it had measured.
3. A bundle is drawn first. Whether it is published is decided afterwards and for good, from what it says of itself (privacy rule 33).
"""

from __future__ import annotations

from typing import Any

from casehaven.cli.plan import as_document
from casehaven.core.release_rows import add_release, set_state
from casehaven.ledger import DecisionKind, IdempotencyKey
from casehaven.releases.decision import decide_release
from casehaven.releases.draft import ReleaseDraft
from casehaven.releases.service import release_vault_datasets
from casehaven.worker.work import Done, Work, plain
from casesynth.feasibility import feasibility, suggestions
from casesynth.manifest import MANIFEST_NAME, verify_bundle
from casesynth.signing import SigningKey, TrustStore


def plan(work: Work) -> Done:
    """Say what a release would be worth, from public facts alone. Nothing is charged or opened."""
    found = feasibility(_draft(work).plan(), sum(dataset.people_cap for dataset in work.datasets()))
    return Done(result=plain(as_document(found, suggestions(found), None)))


def run(work: Work) -> Done:
    """Charge the ledger, draw a release, and put its bundle into the registry as drawn."""
    bench, draft = work.bench, _draft(work)
    key = SigningKey.load(bench.signing_key)

    def progress(phase: str, share: float | None) -> None:
        work.tick(phase if phase in _PHASES else "running")

    release_vault_datasets(
        draft, bench.vault, bench.ledger, key, IdempotencyKey(text=f"job-{work.job.job_id}"), progress=progress
    )
    document = _document(work, draft, key)
    with bench.store.writing() as connection:
        add_release(connection, work.job.job_id, work.job.organisation, document, now=bench.clock())
    return Done(result={"release": work.job.job_id})


def decide(work: Work) -> Done:
    """Publish or withhold a drawn release, for good."""
    bench, release_id = work.bench, str(work.request["release"])
    kind = DecisionKind.PUBLISHED if work.request["decision"] == "publish" else DecisionKind.WITHHELD
    made = decide_release(bench.store.releases / release_id, bench.ledger, SigningKey.load(bench.signing_key), kind)
    with bench.store.writing() as connection:
        set_state(connection, release_id, kind.value)
    return Done(result={"release": release_id, "state": kind.value, "used_private_data": made.used_private_data})


_PHASES = frozenset({"check", "charge", "count", "measure", "fit", "sample", "write"})
"""Fixed words; a phase that is not among them is `running`."""


def _draft(work: Work) -> ReleaseDraft:
    asked, datasets = work.request, work.datasets()
    return ReleaseDraft(
        vault_datasets=tuple(dataset.id for dataset in datasets),
        schema=datasets[0].schema,
        epsilon=float(asked["epsilon"]),
        delta=None if asked.get("delta") is None else float(asked["delta"]),
        people_cap=sum(dataset.people_cap for dataset in datasets),
        out=work.bench.store.releases / work.job.job_id,
        tokens_are="separate" if len(datasets) > 1 else None,
        title=asked.get("title"),
        registered=tuple(asked.get("registered") or ()),
    )


def _document(work: Work, draft: ReleaseDraft, key: SigningKey) -> dict[str, Any]:
    verified = verify_bundle(draft.out, TrustStore().add("service", key.public_key))
    assert verified.manifest is not None
    facts = verified.manifest.facts
    return {
        "organisation": work.job.organisation,
        "datasets": list(draft.vault_datasets),
        "title": facts.get("title"),
        "created": facts.get("created"),
        "schema": f"{draft.schema.id} {draft.schema.version}",
        "epsilon": draft.epsilon,
        "fingerprint": key.public_key.fingerprint,
        "files": sorted(path.name for path in draft.out.iterdir()),
        "manifest": MANIFEST_NAME,
    }
