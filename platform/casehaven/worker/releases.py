"""Jobs of releases: what one would be worth, drawing it, and deciding about it.

1. A release is of datasets of one organisation, or of those of an agreement that can pay. What may be counted is decided first (`casehaven.worker.pooling`), at the plan, at the charge, and
   when the bundle comes into the list of releases: one whose agreement was revoked meanwhile is hidden there, and can be published no more (privacy rule 35).
2. It is drawn from a draft that everybody who has to has approved (`casehaven.worker.drafts`), and from nothing else: without the approvals, or where what would be drawn is not what was approved, nothing
   is charged. One draft is one release: the draft's digest is the ledger's key and the release's name, so a job that was cut short finds its charge and finishes the bundle that it had measured.
3. When a release is seen is fixed before anything is charged, from its people cap alone (`release_ticks`): the end of its job, its row in the registry and the times of its files are of that
   tick, and until then the job is running, in one phase (privacy rule 24). One that takes longer is seen at a later tick of the same schedule, and not thrown away: it is paid for. What fails
   after the charge fails at a tick, with one sentence. After the charge a job is cancelled no more.
4. A bundle is drawn first. Whether it is published is decided afterwards and for good, from what it says of itself (privacy rule 33). After 14 days without a decision it can be withheld and
   published no more (privacy rule 35). What was published is withdrawn by a notice (`casehaven.worker.registry`), never withheld.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from casehaven.agreements.document import LEFT_OUT
from casehaven.agreements.errors import AgreementNeededError
from casehaven.agreements.service import agreement_of
from casehaven.core.release_rows import add_release, release_of, set_state
from casehaven.drafts.document import DraftDocument
from casehaven.drafts.service import document_of
from casehaven.ledger import DecisionKind, IdempotencyKey, LedgerError
from casehaven.organisations.access import Operation
from casehaven.plan_document import plan_document
from casehaven.queries.errors import ChargedFailureError
from casehaven.queries.ticks import FACTOR, STEPS, Ticks
from casehaven.registry.errors import DecisionExpiredError, PublishedAlreadyError
from casehaven.releases.decision import decide_release
from casehaven.releases.draft import ReleaseDraft
from casehaven.releases.service import release_vault_datasets
from casehaven.worker.drafts import approved_release, permitted_release, release_draft
from casehaven.worker.pooling import Permission, nameless, signed_in_log
from casehaven.worker.registry import publish, publishable
from casehaven.worker.work import Done, Work, plain
from casesynth.feasibility import feasibility, suggestions
from casesynth.manifest import MANIFEST_NAME, verify_bundle
from casesynth.privacy import PrivacyLoss
from casesynth.signing import SigningKey, TrustStore


def plan(work: Work) -> Done:
    """Say what a release would be worth, from public facts alone. Nothing is charged or opened."""
    permitted = permitted_release(work, Operation.RELEASE_PLAN)
    with nameless(permitted):
        draft = release_draft(work, permitted, work.request, work.job.job_id)
        found = feasibility(draft.plan(), draft.people_cap)
    return Done(result=plain(plan_document(found, suggestions(found), None)))


def run(work: Work) -> Done:
    """Charge the ledger, draw the release of an approved draft, and list its bundle as drawn."""
    bench = work.bench
    document, permitted, draft = approved_release(work)
    release_id, digest = document.release, document.digest
    key = SigningKey.load(bench.signing_key)
    charged = False

    def progress(phase: str, share: float | None) -> None:
        if not charged:
            work.tick("running")

    @contextmanager
    def permit(loss: PrivacyLoss) -> Iterator[None]:
        nonlocal charged
        with permitted.permit(loss):
            yield
        charged = True

    with nameless(permitted):
        ticks = release_ticks(draft.people_cap)
        due = ticks.next_tick(bench.clock())
        try:
            with permitted.using(release_id):
                release_vault_datasets(
                    draft,
                    bench.vault,
                    bench.ledger,
                    key,
                    IdempotencyKey(text=permitted.key),
                    progress=progress,
                    payer=None if permitted.document is None else permitted.analyst,
                    permit=permit,
                )
            listed = _document(permitted, draft, key, document)
        except LedgerError:
            if charged:
                work.due = _not_before(due, bench.clock(), ticks.period)
            raise
        except Exception:  # privacy rule 23: whatever it is, it may have depended on records
            if not charged:
                raise
            work.due = _not_before(due, bench.clock(), ticks.period)
            raise ChargedFailureError("the release failed after it was charged; the charge stands") from None
    with bench.store.writing() as connection:
        work.due = _not_before(due, bench.clock(), ticks.period)
        add_release(connection, release_id, permitted.asker.organisation, listed, now=work.due)
        if not permitted.in_force_within(connection) or document_of(connection, digest, bench.clock()).ended_at:
            set_state(connection, release_id, "hidden")
    for path in (*draft.out.iterdir(), draft.out):  # a download tells the time of its file
        os.utime(path, (work.due, work.due))
    return Done(result={"release": release_id}, visible_at=work.due)


def release_ticks(people_cap: int) -> Ticks:
    """Return the schedule of releases: four times the longest, which is 14 seconds and 100 for each million people; the longest of `docs/benchmarks.md` is 16.4 s with 200,000.

    >>> release_ticks(2_000).period, release_ticks(200_000).period
    (60, 300)
    """
    needed = math.ceil(FACTOR * (14 + 100 * people_cap / 1e6))
    return Ticks(period=next((step for step in STEPS if step >= needed), STEPS[-1]))


def _not_before(due: int, now: int, period: int) -> int:
    """Return the tick at which what is ready now is seen.

    >>> _not_before(120, 61, 60), _not_before(120, 120, 60), _not_before(120, 121, 60)
    (120, 180, 180)
    """
    return due if now < due else (now // period + 1) * period


def decide(work: Work) -> Done:
    """Publish or withhold a drawn release, for good. What is published gets its record in the registry."""
    bench, release_id = work.bench, str(work.request["release"])
    kind = DecisionKind.PUBLISHED if work.request["decision"] == "publish" else DecisionKind.WITHHELD
    with bench.store.reading() as connection:
        found = release_of(connection, release_id, reader=work.job.organisation, now=bench.clock())
        agreement = found.get("agreement")
        if agreement is not None and found["state"] in ("drawn", "expired"):
            document = agreement_of(connection, agreement).in_force(bench.clock())
            if kind is DecisionKind.PUBLISHED and (document is None or not signed_in_log(bench.vault, document)):
                raise AgreementNeededError
    if kind is DecisionKind.WITHHELD and found["state"] in ("published", "withdrawn"):
        raise PublishedAlreadyError
    if kind is DecisionKind.PUBLISHED and found["state"] == "expired":
        raise DecisionExpiredError
    if kind is DecisionKind.PUBLISHED:
        publishable(work, release_id)
    made = decide_release(bench.store.releases / release_id, bench.ledger, SigningKey.load(bench.signing_key), kind)
    record = None
    if kind is DecisionKind.PUBLISHED:
        if found["state"] != "withdrawn":
            record = publish(work, release_id)
    else:
        with bench.store.writing() as connection:
            set_state(connection, release_id, kind.value)
    return Done(
        result={
            "release": release_id,
            "state": kind.value,
            "record": record,
            "used_private_data": made.used_private_data,
        }
    )


def _document(found: Permission, draft: ReleaseDraft, key: SigningKey, document: DraftDocument) -> dict[str, Any]:
    verified = verify_bundle(draft.out, TrustStore().add("service", key.public_key))
    assert verified.manifest is not None
    facts = verified.manifest.facts
    whose: dict[str, Any] = {"organisation": found.asker.organisation, "datasets": list(draft.vault_datasets)}
    if found.document is not None:  # contributors' names do not show
        left_out = len(found.datasets) - len(found.counted)
        whose = {"agreement": found.document.agreement, "left_out": left_out, "left_out_rule": LEFT_OUT}
    return {
        **whose,
        "draft": document.draft,
        "digest": document.digest,
        "title": facts.get("title"),
        "created": facts.get("created"),
        "schema": f"{draft.schema.id} {draft.schema.version}",
        "epsilon": draft.epsilon,
        "fingerprint": key.public_key.fingerprint,
        "files": sorted(path.name for path in draft.out.iterdir()),
        "manifest": MANIFEST_NAME,
    }
