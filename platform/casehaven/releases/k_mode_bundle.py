"""The bundle of a k-synthetic file: loudly labelled, signed, with the two approvals in it.

1. Its files say in their names, and its datasheet and manifest in their first words, that it is not differentially private.
2. It states no epsilon, no interval and no count of people. The number of records follows from the single counts and is nobody's number of people.
3. The two approvals are a file of the bundle. Whoever verifies the bundle sees who approved, and that both signatures fit the request that the manifest names.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from casehaven.ledger.two_people import APPROVERS
from casehaven.releases.k_mode_request import Approval, KRequest, KRequestError
from casesynth._files import read_regular, sync_folder, write_whole
from casesynth.bundle import BundleExistsError
from casesynth.canonical import JsonValue, canonical_json, parse_json
from casesynth.domain import Domain
from casesynth.kanonymity import ATTACKS, OPEN, WARNING, KSynthetic
from casesynth.manifest import Manifest, sign_manifest, write_manifest
from casesynth.signing import SigningKey, TrustStore
from casesynth.tables import write_frame

KIND = "k-synthetic"
"""What the manifest's fact `kind` says."""

STEM = "not-differentially-private"
APPROVALS_NAME = "approvals.json"
_LIMIT = 262_144


def k_frame(made: KSynthetic, domain: Domain) -> pd.DataFrame:
    """Return the records with the attributes' own codes, empty where they state nothing; values of a multi-value attribute joined with `;`."""
    frame: dict[str, object] = {}
    for attribute in domain.attributes:
        places = [place for place, column in enumerate(domain.columns) if column.attribute == attribute.name]
        if not attribute.multi:
            codes = made.columns[places[0]].astype(np.int64)
            cells = np.array([*attribute.values, ""], dtype=object)
            frame[attribute.name] = cells[np.where(codes == OPEN, len(attribute.values), codes)]
            continue
        joined = np.full(made.records, "", dtype=object)
        for place in places:
            chosen = made.columns[place] == 1
            value = domain.columns[place].value or ""
            joined[chosen] = [f"{cell};{value}" if cell else value for cell in joined[chosen]]
        frame[attribute.name] = joined
    return pd.DataFrame(frame, dtype=object)


def datasheet(request: KRequest, *, consent_applied: bool) -> str:
    """Return the datasheet, in Markdown."""
    ground = "people who agreed to it" if consent_applied else f"the legal basis: {request.legal_basis}"
    attacks = "\n\n".join(f"**{attack.name}.** {attack.how} {attack.remedy}" for attack in ATTACKS)
    return f"""# {WARNING}: {request.title}

**This file carries no privacy guarantee that a number could state.** It is a k-synthetic file with k = {request.k}. Give it only to people whom you would
trust not to try to learn about a person in it, and never release the same people in this way again.

## What it promises

- Every record of it, taken whole, is stated by at least {request.k} real people: the values that it states, all together, are in the records of {request.k} people or more.
- Every value occurs as often as among the people, rounded down to a multiple of {request.k}. A value of fewer than {request.k} people does not occur.
- An empty cell means: nothing recorded, or left away by the rule above. The file cannot say which.
- The number of records is not the number of people.

Mode: {request.mode}. It was made of records of {ground}.

## What is known to break it

{attacks}

## Why it was made all the same

{request.reason}

Two people approved this, by signature; `casehaven verify` shows them. The ledger holds the dataset as unbounded from this day for good: no release of it with
a privacy guarantee follows.
"""


def k_facts(
    request: KRequest, approvals: tuple[Approval, ...], domain: Domain, *, consent_applied: bool
) -> dict[str, JsonValue]:
    """Return what the manifest states."""
    return {
        "kind": KIND,
        "warning": WARNING,
        "differentially_private": False,
        "title": request.title,
        "created": request.created,
        "k": request.k,
        "mode": request.mode,
        "single_counts": f"rounded down to a multiple of {request.k}",
        "known_attacks": [attack.name for attack in ATTACKS],
        "unit": "record" if request.person_key is None else "person token",
        "people_cap": request.people_cap,
        "organisations": 1,
        "reason": request.reason,
        "source": request.source,
        "request_sha256": request.digest(),
        "approved_by": sorted(approval.public_key.fingerprint for approval in approvals),
        "consent_applied": consent_applied,
        "legal_basis": request.legal_basis,
        "domain": {"source": domain.source, "sha256": domain.digest()},
        "software": {"casehaven": version("casehaven"), "numpy": version("numpy")},
    }


def write_k_bundle(
    made: KSynthetic,
    domain: Domain,
    request: KRequest,
    approvals: tuple[Approval, ...],
    folder: Path,
    key: SigningKey,
    *,
    consent_applied: bool,
) -> Manifest:
    """Write, sign and place a bundle; whole, or nothing is left.

    Raises:
        BundleExistsError: the folder is there already; it is left as it was.
        OSError: the disk is full or the place cannot be written.
    """
    if folder.exists() or folder.is_symlink():
        raise BundleExistsError(f"{folder} is there already; a bundle is never overwritten")
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".partial", dir=folder.parent))
    try:
        write_frame(k_frame(made, domain), work, STEM)
        text = datasheet(request, consent_applied=consent_applied)
        write_whole(work / "datasheet.md", text.encode(), mode=0o644, replace=False)
        listed = [parse_json(approval.to_bytes(), APPROVALS_NAME) for approval in approvals]
        write_whole(work / APPROVALS_NAME, canonical_json({"approvals": _json(listed)}), mode=0o644, replace=False)
        for path in work.iterdir():
            path.chmod(0o644)
        manifest = write_manifest(work, k_facts(request, approvals, domain, consent_applied=consent_applied))
        sign_manifest(work, key)
        work.chmod(0o755)
        sync_folder(work)
        os.rename(work, folder)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    sync_folder(folder.parent)
    return manifest


def _json(listed: list[object]) -> JsonValue:
    return [item for item in listed if isinstance(item, dict)]


@dataclass(frozen=True, kw_only=True)
class KBundleFacts:
    """What a verified k-synthetic bundle says about itself."""

    k: int
    approved_by: tuple[str, ...]
    """Names where the trust store knows them, fingerprints where it does not."""


def verify_k_approvals(folder: Path, manifest: Manifest, trust: TrustStore) -> KBundleFacts:
    """Check that two people approved the request of a k-synthetic bundle, which is whole.

    Raises:
        KRequestError: the approvals are not there, are not of the request that the manifest names, or are not of two keys.
        BadSignatureError: an approval does not fit.
    """
    if APPROVALS_NAME not in {entry.name for entry in manifest.files}:
        raise KRequestError(f"a k-synthetic bundle without {APPROVALS_NAME}: nobody approved it")
    unverified = parse_json(read_regular(folder / APPROVALS_NAME, limit=_LIMIT), APPROVALS_NAME)
    listed = unverified.get("approvals") if isinstance(unverified, dict) else None
    if not isinstance(listed, list):
        raise KRequestError(f"{APPROVALS_NAME} holds no list of approvals")
    approvals = [Approval.parse(item, APPROVALS_NAME, KRequest) for item in listed]
    requests = {approval.request.digest() for approval in approvals}
    keys = {approval.public_key.raw for approval in approvals}
    if requests != {manifest.facts.get("request_sha256")} or len(keys) != APPROVERS or len(approvals) != APPROVERS:
        raise KRequestError(
            f"a k-synthetic bundle needs {APPROVERS} people's approvals of the request that it was made for"
        )
    if approvals[0].request.k != manifest.facts.get("k"):
        raise KRequestError("the bundle states another k than was approved")
    names = []
    for approval in approvals:
        signer = trust.lookup(approval.public_key)
        names.append(f"{approval.public_key.fingerprint} (unknown here)" if signer is None else signer.name)
    return KBundleFacts(k=approvals[0].request.k, approved_by=tuple(sorted(names)))
