"""Which ledger holds a dataset's accounts: one, for good, so that a fresh ledger beside the same vault is no fresh budget (privacy rules 12 and 20).

1. Before the first charge to a dataset the vault notes the ledger's id: in the audit log, then in the anchor, both on disk before the charge. It never changes.
2. Another ledger is refused from then on, before it is charged: one that was made anew, also under the old one's name; a restore of the vault does not undo it.
3. At every charge the ledger must know every charge under which the dataset was opened. An earlier copy of the ledger does not, even where its anchor was put
   back with it, and is refused; so is another ledger for a dataset that was opened before this was noted.
4. A ledger that was resumed from its anchor counts its ceilings as spent, and with them what it forgot: of what was opened before its last resumption nothing is asked.
5. There is no call that takes it back. A ledger that was lost is brought back with its own anchor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from casehaven.vault.anchor_state import LEDGER, ledgers_of
from casehaven.vault.datasets import Dataset
from casehaven.vault.errors import OtherLedgerError
from casehaven.vault.store import Vault
from casehaven.vault.unbounded import charges_of

Unknown = Callable[[Mapping[str, str]], frozenset[str]]
"""Returns those of some ids of charges, each with when a dataset was opened under it, that a ledger neither issued nor counts since a later resumption."""


def bind_ledger(vault: Vault, datasets: Sequence[Dataset], ledger_id: str, unknown: Unknown) -> None:
    """Return when each dataset's accounts are known to be in this ledger, and all of them; the first call of a dataset notes it (rule 1).

    Args:
        vault: where the datasets are.
        datasets: about to be charged.
        ledger_id: of the ledger that is about to charge them.
        unknown: of that ledger (`Ledger.unknown`).

    Raises:
        OtherLedgerError: a dataset's accounts are in another ledger, or this copy misses a charge of it; nothing was noted or charged.
        RolledBackError: the vault is not the one that the anchor knows.
        AnchorMissingError: the anchor's storage is not there; nothing may be charged.
    """
    with vault.database.transaction(writes=False) as connection:
        known = vault.anchor.check(connection).ledgers
    new = _not_bound(datasets, known, ledger_id)
    for dataset in datasets:
        if unknown(charges_of(vault, dataset)):  # rule 3
            raise OtherLedgerError(
                f"{dataset.id} was opened before under a ledger that is not this one, or is newer than this copy; "
                "put back the latest copy, or resume this one from the latest anchor"
            )
    if not new:
        return
    with vault.writing() as connection:
        for dataset in _not_bound(new, ledgers_of(connection), ledger_id):
            vault.audit.append(
                connection,
                action=LEDGER,
                object_kind="account",
                object_id=f"{dataset.id} {ledger_id}",
                organisation=dataset.organisation,
            )
    vault.anchor.add_ledgers({dataset.id: ledger_id for dataset in new})


def _not_bound(datasets: Sequence[Dataset], known: Mapping[str, str], ledger_id: str) -> list[Dataset]:
    """Return the datasets of which no ledger is known.

    Raises:
        OtherLedgerError: another one is known of one of them (rule 2).
    """
    for dataset in datasets:
        if known.get(dataset.id, ledger_id) != ledger_id:
            raise OtherLedgerError(
                f"the accounts of {dataset.id} are in the ledger {known[dataset.id]}, not in {ledger_id}; a dataset has one ledger for good"
            )
    return [dataset for dataset in datasets if dataset.id not in known]
