"""The decision about a drawn release: published or withheld, in the ledger and in a signed file beside the bundle (privacy rule 33).

1. The ledger decides what is possible: a decision is made once and stays (`casehaven.ledger.decisions`). It is on disk there before the file is written.
2. The file is for others: anybody who has the bundle and trusts its signer can check that the decision is final and whether private data was used.
3. What is decided about is the bundle as it is signed, by its signer. A bundle that was changed, or signed by another key, is refused.
4. A release that was withheld after its private report was opened is marked (`casehaven.releases.private_decision`). So is one that was decided about after
   the report of another release of the same datasets was opened: the ledger says so at once, and its bundle when `decide_release` is called for it.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from casehaven.ledger import DecisionKind, Ledger, ReleaseDecision
from casehaven.releases.private_decision import finish_marking, is_marked, mark_private_decision
from casehaven.releases.published import ReleaseFactsError
from casesynth._files import write_whole
from casesynth.canonical import JsonValue, canonical_json
from casesynth.manifest import MANIFEST_NAME, Manifest, verify_bundle
from casesynth.signing import SigningKey, TrustStore

DECISION_FORMAT = "casehaven-decision/1"


@dataclass(frozen=True, kw_only=True)
class DrawnRelease:
    """A bundle that this key signed, with what the ledger holds about it."""

    bundle: Path
    manifest: Manifest
    decision: ReleaseDecision


def drawn_release(bundle: Path, ledger: Ledger, key: SigningKey) -> DrawnRelease:
    """Verify a bundle of one's own and find it in the ledger.

    Raises:
        BadSignatureError, ManifestError, ChangedFileError: it is not as it was signed.
        UnknownSignerError: another key signed it.
        ReleaseFactsError: this ledger holds no release with these measurements under its charge, or it is no release of this kind.
    """
    finish_marking(bundle)
    found = verify_bundle(bundle, TrustStore().add("the key that was given", key.public_key))
    if found.manifest is None:
        raise AssertionError("verify_bundle returns only whole bundles")
    charge, digest = (found.manifest.facts.get(name) for name in ("charge", "measurements_sha256"))
    known = ledger.release(charge) if isinstance(charge, str) else None
    if known is None or known.result_sha256 != digest:
        raise ReleaseFactsError(f"{ledger.path} did not pay for {bundle}; name the ledger that did")
    return DrawnRelease(bundle=bundle, manifest=found.manifest, decision=known)


def decide_release(bundle: Path, ledger: Ledger, key: SigningKey, kind: DecisionKind) -> ReleaseDecision:
    """Publish or withhold a drawn release, for good.

    Args:
        bundle: as it is signed by the key.
        ledger: that paid for it.
        key: signs the decision.
        kind: published or withheld.

    Raises:
        DecisionError: the release was withheld before, and is to be published.
        Whatever `drawn_release` raises; nothing was decided.
    """
    drawn = drawn_release(bundle, ledger, key)
    made = ledger.decide(drawn.decision.charge_id, kind)
    keep_marked(bundle, made, key)
    _write(bundle, made, key)
    return made


def open_report(drawn: DrawnRelease, ledger: Ledger, key: SigningKey, *, before_decision: bool) -> ReleaseDecision:
    """Record that the private report is about to be opened; the ledger's entry and the bundle's mark are on disk before this returns.

    Args:
        drawn: the release.
        ledger: that paid for it.
        key: signs the bundle anew where it gets the mark.
        before_decision: the steward opens it although nothing was decided.

    Raises:
        DecisionNeededError: nothing was decided about it, or about another release of the same datasets, and the steward did not say that this is meant;
            nothing was written.
    """
    made = ledger.decide(drawn.decision.charge_id, DecisionKind.REPORT_OPENED, before_decision=before_decision)
    keep_marked(drawn.bundle, made, key)
    return made


def keep_marked(bundle: Path, made: ReleaseDecision, key: SigningKey) -> None:
    """Mark the bundle where the ledger says that the decision used private data."""
    if made.used_private_data:
        mark_private_decision(bundle, key)


def decision_path(bundle: Path) -> Path:
    """Where the signed decision about a bundle is: beside it, because a bundle holds only what its manifest names."""
    return bundle.with_name(f"{bundle.name}.decision.json")


def _write(bundle: Path, made: ReleaseDecision, key: SigningKey) -> None:
    decision = DecisionKind.WITHHELD if made.decision is None else made.decision
    stated: dict[str, JsonValue] = {
        "format": DECISION_FORMAT,
        "decision": decision.value,
        "decision_used_private_data": is_marked(bundle),
        "charge": made.charge_id,
        "manifest_sha256": hashlib.sha256((bundle / MANIFEST_NAME).read_bytes()).hexdigest(),
        "decided_on": datetime.now(UTC).date().isoformat(),
        "public_key": key.public_key.text,
    }
    signature = base64.b64encode(key.sign_decision(canonical_json(stated))).decode("ascii")
    write_whole(decision_path(bundle), canonical_json({**stated, "signature": signature}), mode=0o644, replace=True)
