"""Erasure of a person: the key destroyed, the chunks rewritten, and a receipt that says so.

1. The anchor names the person before anything is destroyed (`Vault.destroy_person`). Cut short after that, the erasure is finished when the vault is opened;
   an old backup that is restored loses the person again (privacy rule 20).
2. The person's key, records, consents and index entries go in one transaction with the row that remembers the erasure, and with the audit log's entry. Sealed
   reasons of earlier entries about the person go too; the entries stay.
3. The receipt says what was destroyed, what stays and what nobody here can reach. It names a number that stood for the person, never a case reference.
   It can be made again, byte for byte, from the row that stays.
4. An erasure returns no budget, and published releases stand (privacy rule 21). The day of it is kept as a month.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, insert, select

from casehaven.vault import models
from casehaven.vault.datasets import Dataset, Person, this_month
from casehaven.vault.errors import UnknownPersonError
from casesynth.canonical import canonical_json

if TYPE_CHECKING:
    from casehaven.vault.store import Vault

FORMAT = "casehaven-erasure-receipt/1"

DESTROYED = (
    "the key of the person's records: whatever copy of them is left in this vault cannot be opened",
    "the records, corrected ones included, the consents and the index entries",
    "the person's rows in the files of coded columns, which were written anew without them under new keys",
    "the sealed reasons of earlier entries about the person in the audit log",
)
STAYS = (
    "a random number that stood for the person, in the list of erasures: so that a restored backup erases the person again",
    "entries of the audit log without their reasons: that something was done, when, and by whom",
    "releases that were published before: they are protected, and name nobody",
)
NOT_REACHED = (
    "case files, exports and reports outside the vault: destroy them where they are, because another file that still holds the person brings the person back",
    "backups of the data: their keys are wrapped under a key of the month, which a key backup may hold until it is overwritten",
    "copies that others made of the disk",
)


@dataclass(frozen=True, kw_only=True)
class ErasureReceipt:
    """Proof that a person was erased. Holds nothing about the person."""

    vault_id: str
    dataset: str
    """`organisation/dataset`."""
    person_id: int
    """The random number that stood for the person."""
    erased_month: str
    """Such as `2026-11`."""

    def body(self) -> bytes:
        """What is signed: canonical JSON."""
        return canonical_json(
            {
                "format": FORMAT,
                "vault_id": self.vault_id,
                "dataset": self.dataset,
                "number": str(self.person_id),  # as text: 63 bits are more than JSON readers keep
                "erased_month": self.erased_month,
                "destroyed": list(DESTROYED),
                "stays": list(STAYS),
                "not_reached": list(NOT_REACHED),
            }
        )

    def sha256(self) -> bytes:
        """What the vault keeps of it."""
        return hashlib.sha256(self.body()).digest()


def signed_receipt(vault: Vault, receipt: ErasureReceipt) -> bytes:
    """Return a receipt as a file: the body and the vault's Ed25519 signature over it, as JSON."""
    key = vault.keystore.signing_key()
    return canonical_json(
        {
            "receipt": receipt.body().decode("utf-8"),
            "signature": base64.b64encode(key.sign(receipt.body())).decode("ascii"),
            "public_key": base64.b64encode(key.public_key().public_bytes_raw()).decode("ascii"),
        }
    )


def erase_person(
    vault: Vault, dataset: Dataset, person: Person, *, reason: str, actor: str | None = None
) -> ErasureReceipt:
    """Erase a person.

    Args:
        vault: open.
        dataset: held with `Vault.locked`.
        person: who.
        reason: why, without a name; sealed in the audit log.
        actor: who does it; the user of this process unless given.

    Raises:
        UnknownPersonError: the person is not there, or no longer.
        AnchorMissingError: the anchor cannot be written; nothing was destroyed.
        DamagedChunkError: a chunk cannot be read; nothing was destroyed.
    """
    receipt = ErasureReceipt(
        vault_id=vault.folder.vault_id, dataset=dataset.id, person_id=person.person_id, erased_month=this_month()
    )

    def remember(connection: Connection) -> None:
        connection.execute(
            insert(models.erasure).values(
                person_id=person.person_id,
                dataset_id=dataset.dataset_id,
                erased_month=receipt.erased_month,
                receipt_sha256=receipt.sha256(),
            )
        )
        vault.audit.append(
            connection,
            action="person.erase",
            object_kind="person",
            object_id=str(person.person_id),
            organisation=dataset.organisation,
            actor=actor,
            reason=reason,
        )

    vault.destroy_person(dataset, person, also=remember)
    return receipt


def receipt_of(vault: Vault, person_id: int) -> ErasureReceipt:
    """Return the receipt of an erasure again.

    Raises:
        UnknownPersonError: nobody was erased under this number.
    """
    with vault.database.transaction(writes=False) as connection:
        query = (
            select(models.erasure.c.erased_month, models.dataset.c.organisation, models.dataset.c.name)
            .join(models.dataset, models.dataset.c.dataset_id == models.erasure.c.dataset_id)
            .where(models.erasure.c.person_id == person_id)
        )
        row = connection.execute(query).first()
    if row is None:
        raise UnknownPersonError(f"the vault erased nobody under the number {person_id}")
    return ErasureReceipt(
        vault_id=vault.folder.vault_id,
        dataset=f"{row.organisation}/{row.name}",
        person_id=person_id,
        erased_month=row.erased_month,
    )
