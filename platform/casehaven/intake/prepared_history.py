"""What a dataset remembers of its prepared files: under which linkage key their tokens were made, and when the latest one was prepared.

1. Tokens under two linkage keys never meet: a person in both would count as two, and a refusal would not follow. The first prepared file of a dataset decides; a file under another key
   is refused.
2. Files are taken in in the order in which they were prepared: an older one would bring its older content back as corrections, an older yes aside. It is refused unless somebody says
   that it is to be taken in all the same. So is a file without a time, once one with a time is there: files of earlier versions have none.
3. A time that has not come yet is refused: it would turn all later files away.
4. What is remembered is sealed with a key of the organisation and changes in the transaction that takes the file in. Whoever sealed a file states its key and its time: both are
   claims, as all that a prepared file says.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from casehaven.intake.errors import PreparedFileError, PreparedKeyError, PreparedOrderError
from casehaven.intake.sealed_upload import PREPARED_AT, PreparedFile
from casehaven.vault import models
from casehaven.vault.context import prefixed
from casehaven.vault.datasets import Dataset, now
from casehaven.vault.mac import MacKey
from casehaven.vault.sealed import seal, unseal
from casehaven.vault.store import Vault

__all__ = ["PreparedHistory", "check_prepared_order", "more_linkage_keys", "prepared_history", "remember_prepared"]

_KEY: Final = "prepared-history"
_SIZE: Final = 512
_AHEAD: Final = timedelta(days=1)
"""So much a clock may be ahead of ours."""


@dataclass(frozen=True, kw_only=True)
class PreparedHistory:
    """What is remembered; None where there was no such file yet."""

    linkage_key: str | None = None
    """Fingerprint of the linkage key."""
    prepared_at: str | None = None
    """When the latest file was prepared, in UTC."""


def prepared_history(vault: Vault, dataset: Dataset, connection: Connection | None = None) -> PreparedHistory:
    """Return what a dataset remembers.

    Args:
        vault: where.
        dataset: which.
        connection: of the transaction in which it is asked; a new one by default.

    Raises:
        SealBrokenError: it is not what was written.
    """
    if connection is None:
        with vault.database.transaction(writes=False) as opened:
            return prepared_history(vault, dataset, opened)
    index, table = _index(vault, dataset), models.intake_mapping.c
    where = (table.dataset_id == dataset.dataset_id, table.columns_index == index)
    sealed = connection.scalar(select(table.sealed).where(*where))
    if sealed is None:
        return PreparedHistory()
    text = unseal(vault.keys_of(dataset).index_key(_KEY), bytes(sealed), dataset.context("detail", _KEY))
    return PreparedHistory(**json.loads(text))


def check_prepared_order(history: PreparedHistory, file: PreparedFile, *, older: bool = False) -> None:
    """Refuse a prepared file that does not follow those that the dataset has (rules 1 to 3).

    Args:
        history: what the dataset remembers.
        file: to be taken in.
        older: somebody said that it is to be taken in although it is older.

    Raises:
        PreparedKeyError: its tokens were made under another linkage key.
        PreparedOrderError: it is older than the latest one, or says no time.
        PreparedFileError: its time has not come yet.
    """
    name, at = file.path.name, file.prepared_at
    if history.linkage_key not in (None, file.linkage_key):
        raise PreparedKeyError(
            f"{name}: its tokens were made under the linkage key {file.linkage_key}, those of the dataset under {history.linkage_key}"
        )
    if at is not None and _moment(at) > datetime.now(UTC) + _AHEAD:
        raise PreparedFileError(f"{name} says that it was prepared at {at}, a time that has not come yet")
    if history.prepared_at is None or older:
        return
    if at is None:
        raise PreparedOrderError(
            f"{name} does not say when it was prepared; the dataset has one of {history.prepared_at}"
        )
    if _moment(at) < _moment(history.prepared_at):
        raise PreparedOrderError(f"{name} was prepared at {at}; the dataset has one of {history.prepared_at}")


def remember_prepared(
    vault: Vault, dataset: Dataset, file: PreparedFile, connection: Connection, *, older: bool = False
) -> None:
    """Remember a prepared file, in the transaction that takes it in (rule 4).

    Raises:
        PreparedKeyError, PreparedOrderError: another file came in meanwhile, which this one does not follow.
    """
    before = prepared_history(vault, dataset, connection)
    check_prepared_order(before, file, older=older)
    latest = max(filter(None, (before.prepared_at, file.prepared_at)), default=None)
    text = json.dumps({"linkage_key": file.linkage_key, "prepared_at": latest}).encode().ljust(_SIZE)
    sealed = seal(vault.keys_of(dataset).index_key(_KEY), text, dataset.context("detail", _KEY))
    index, table = _index(vault, dataset), models.intake_mapping
    connection.execute(delete(table).where(table.c.dataset_id == dataset.dataset_id, table.c.columns_index == index))
    connection.execute(
        insert(table).values(dataset_id=dataset.dataset_id, columns_index=index, sealed=sealed, recorded_at=now())
    )


def _index(vault: Vault, dataset: Dataset) -> bytes:
    """Where it lies beside the mappings that the dataset remembers: no names of columns lead there."""
    mac = MacKey(vault.keys_of(dataset).index_key(f"{_KEY}/place"))
    return mac.digest(prefixed(dataset.name.encode()))[: models.TOKEN_INDEX_BYTES]


def _moment(text: str) -> datetime:
    return datetime.strptime(text, PREPARED_AT).replace(tzinfo=UTC)


def more_linkage_keys(vault: Vault, datasets: Sequence[Dataset]) -> int:
    """Return how many linkage keys there are beyond one of each organisation; that tokens were made under none counts as one.

    Under each further key a person may have one token more (privacy rule 2).

    Raises:
        SealBrokenError: what a dataset remembers of its prepared files is not what was written.
    """
    organisations = [dataset.organisation for dataset in datasets]
    several = [dataset for dataset in datasets if organisations.count(dataset.organisation) > 1]
    keys = {(dataset.organisation, prepared_history(vault, dataset).linkage_key) for dataset in several}
    return len(keys) - len({organisation for organisation, _ in keys})
