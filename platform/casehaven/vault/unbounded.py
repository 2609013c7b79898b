"""The vault's own mark of a dataset that is released without differential privacy, whichever ledger holds the other (privacy rule 34).

1. A mark is the dataset's name in the anchor and an entry of the audit log. Both are on disk before a record is opened, and nothing takes them back:
   not another ledger, an earlier copy of the ledger, nor a restore from a backup made before.
2. Nothing is released from a marked dataset, whatever the ledger says that a release was given.
3. The log also says under which charges a dataset was opened, so a ledger that is not the dataset's own, or an earlier copy of it, is told by the charges
   that it does not hold. It is asked at every charge: an open vault remembers what it read, and reads only what came since.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from weakref import WeakKeyDictionary

from sqlalchemy import select

from casehaven.core.audit import read_entries
from casehaven.core.audit_models import audit
from casehaven.vault.anchor_state import UNBOUNDED
from casehaven.vault.datasets import Dataset
from casehaven.vault.errors import UnboundedDatasetError
from casehaven.vault.store import Vault

OPENED = "snapshot.open"
"""The action of an entry that tells of a dataset opened under a charge."""

_CHARGE = ", charge "


def mark_dataset(vault: Vault, dataset: Dataset, *, request_sha256: str, ledger: str) -> None:
    """Mark a dataset, for good: first in the anchor, then in the audit log (rule 1).

    Args:
        vault: where it is.
        dataset: about to be opened without differential privacy.
        request_sha256: of the request that two people approved.
        ledger: id of the ledger that holds the other mark.

    Raises:
        AnchorMissingError: the anchor's storage is not there; nothing may be opened.
    """
    vault.anchor.add_unbounded(dataset.id, datetime.now(UTC).date().isoformat())
    with vault.writing() as connection:
        vault.audit.append(
            connection,
            action=UNBOUNDED,
            object_kind="dataset",
            object_id=dataset.id,
            organisation=dataset.organisation,
            reason=f"request {request_sha256}, ledger {ledger}",
        )


def marked_since(vault: Vault, dataset: Dataset) -> str | None:
    """Return the day of a dataset's first mark; None when it has none.

    Raises:
        RolledBackError: the vault is not the one that the anchor knows.
    """
    with vault.database.transaction(writes=False) as connection:
        return vault.anchor.check(connection).unbounded.get(dataset.id)


def refuse_marked(vault: Vault, datasets: Sequence[Dataset]) -> None:
    """Return only when none of the datasets is marked (rule 2).

    Raises:
        UnboundedDatasetError: one is.
    """
    for dataset in datasets:
        since = marked_since(vault, dataset)
        if since is not None:
            raise UnboundedDatasetError(
                f"{dataset.id} was released without differential privacy on {since}: the vault holds it as unbounded for good, whatever "
                "this ledger says, and nothing with a privacy guarantee can be made of it"
            )


_READ: WeakKeyDictionary[Vault, dict[str, tuple[int, Mapping[str, str]]]] = WeakKeyDictionary()
"""By open vault and dataset: the last position that was read, and the charges until there. Entries of the log never change."""


def charges_of(vault: Vault, dataset: Dataset) -> Mapping[str, str]:
    """Return the ids of the charges under which a dataset was opened, as the audit log has them, each with when it was last (rule 3).

    Raises:
        BrokenReasonError: an entry does not open, so nobody can say.
    """
    read = _READ.setdefault(vault, {})
    last, known = read.get(dataset.id, (-1, MappingProxyType({})))
    this = (audit.c.action == OPENED, audit.c.object_id == dataset.id, audit.c.position > last)
    opened = dict(known)
    with vault.database.transaction(writes=False) as connection:
        for entry in read_entries(connection, select(audit).where(*this).order_by(audit.c.position)):
            _, found, charge = (vault.audit.reason(entry) or "").partition(_CHARGE)
            last = entry.position
            if found:
                opened[charge] = entry.at
    read[dataset.id] = last, MappingProxyType(opened)  # two threads that read at once store the same
    return read[dataset.id][1]
