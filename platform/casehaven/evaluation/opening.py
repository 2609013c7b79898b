"""What a private report takes from the bundle of its release: the charge that paid, the people cap, whose tokens they are, and the datasets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from casehaven.evaluation.service import OpenReal, vault_datasets
from casehaven.releases.decision import DrawnRelease
from casehaven.releases.published import PublishedRelease, ReleaseFactsError
from casesynth.privacy import PrivacyLoss, Receipt
from casesynth.signing import SigningKey, TrustStore

if TYPE_CHECKING:
    from casehaven.vault.store import Vault


def own_signer(key: SigningKey) -> TrustStore:
    """Return a trust store that knows the steward's own key alone."""
    return TrustStore().add("the key that was given", key.public_key)


def receipt_of(drawn: DrawnRelease) -> Receipt:
    """Return the receipt of the release's own charge: its records are opened once more, and nothing of them is released.

    Raises:
        ReleaseFactsError: the manifest states no rho.
    """
    guarantee = drawn.manifest.facts["guarantee"]
    nano_rho = guarantee["nano_rho"] if isinstance(guarantee, dict) else None
    if type(nano_rho) is not int:
        raise ReleaseFactsError("the manifest does not state its rho as a release does")
    return Receipt(charge_id=drawn.decision.charge_id, loss=PrivacyLoss(nano_rho=nano_rho))


def people_cap_of(drawn: DrawnRelease) -> int:
    """Return the people cap of a release.

    Raises:
        ReleaseFactsError: the manifest states none.
    """
    cap = drawn.manifest.facts["people_cap"]
    if type(cap) is not int:
        raise ReleaseFactsError("the manifest does not state its people cap as a release does")
    return cap


def tokens_of(drawn: DrawnRelease) -> Literal["shared", "separate"]:
    """Return whether equal tokens of different organisations were one person."""
    guarantee = drawn.manifest.facts["guarantee"]
    return "shared" if isinstance(guarantee, dict) and guarantee.get("person_tokens") == "shared" else "separate"


def datasets_of(
    vault: Vault, release: PublishedRelease, drawn: DrawnRelease, named: Sequence[str], reason: str
) -> OpenReal:
    """Check the datasets of a vault that paid for a release; opening them writes to the audit log first.

    Args:
        vault: where they are.
        release: verified and opened.
        drawn: the same, with the ledger's entry.
        named: the datasets that the steward named.
        reason: in the steward's words; sealed.

    Raises:
        OtherDatasetsError: they are not those that paid, or their schema is another one.
    """
    return vault_datasets(
        vault,
        drawn.decision.datasets,
        named,
        release.schema,
        people_cap=people_cap_of(drawn),
        tokens_are=tokens_of(drawn),
        registered=_registered(drawn),
        receipt=receipt_of(drawn),
        reason=reason,
    )


def _registered(drawn: DrawnRelease) -> tuple[str, ...]:
    guarantee = drawn.manifest.facts.get("guarantee")
    named = guarantee.get("registered", ()) if isinstance(guarantee, dict) else ()
    return tuple(str(block) for block in named) if isinstance(named, list) else ()
