"""Datasets whose accounts bound nothing any more: released once without differential privacy (privacy rule 34).

1. A mark belongs to a dataset, so to all its blocks, those of later years too. It is written before records are opened and is never removed.
2. From then on nothing is charged to the dataset and nothing is drawn under a charge of it: whatever was promised with a number would be untrue.
   What was measured before stays what it is, and a result whose writing was cut short may be finished from what is on disk.
3. One request is good for one attempt: the same request again is refused, whatever became of the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select

from casehaven.ledger import models
from casehaven.ledger.errors import UnboundedAccountError, UnboundedRequestUsedError, UnknownAccountError
from casesynth.privacy import PrivacyLoss, Receipt

_NO_BOUND = (1 << 63) - 1


@dataclass(frozen=True, kw_only=True)
class UnboundedMark:
    """Proof that a dataset was marked before it is opened without differential privacy."""

    dataset: str
    """`organisation/dataset`."""
    since: str
    """Day of the first mark, ISO 8601."""
    request_sha256: str
    """Of the request that two people approved."""

    @property
    def receipt(self) -> Receipt:
        """What a snapshot asks for before it opens; its loss stands for one that no number bounds."""
        return Receipt(charge_id=_receipt_id(self.request_sha256), loss=PrivacyLoss(nano_rho=_NO_BOUND))


def _receipt_id(request_sha256: str) -> str:
    return f"unbounded-{request_sha256[:32]}"


def unbounded_since(connection: Connection) -> dict[str, str]:
    """Return the datasets that are marked, each with the day of its first mark."""
    mark = models.unbounded.c
    query = select(mark.dataset_id, func.min(mark.since)).group_by(mark.dataset_id)
    return {dataset: since for dataset, since in connection.execute(query)}


def refuse_unbounded(connection: Connection, datasets: Iterable[str]) -> None:
    """Return only when none of the datasets is marked.

    Raises:
        UnboundedAccountError: one is.
    """
    since = unbounded_since(connection)
    for dataset in datasets:
        if dataset in since:
            raise UnboundedAccountError(
                f"{dataset} was released without differential privacy on {since[dataset]}: its accounts are unbounded for good, "
                "and nothing with a privacy guarantee can be made of it"
            )


def refuse_closed(connection: Connection, datasets: tuple[str, ...]) -> None:
    """Return only when every dataset has accounts, and none is marked.

    Raises:
        UnknownAccountError: one has no account.
        UnboundedAccountError: one is marked.
    """
    known = set(connection.scalars(select(models.dataset.c.dataset_id)))
    for dataset in datasets:
        if dataset not in known:
            raise UnknownAccountError(f"no account was opened for {dataset}")
    refuse_unbounded(connection, datasets)


def refuse_unbounded_charge(connection: Connection, charge_id: str) -> None:
    """Return only when none of the datasets that a charge touches is marked.

    Raises:
        UnboundedAccountError: one is.
    """
    touched = (
        select(models.account.c.dataset_id)
        .join(models.charge_line, models.charge_line.c.account_id == models.account.c.account_id)
        .where(models.charge_line.c.charge_id == charge_id)
        .distinct()
    )
    refuse_unbounded(connection, connection.scalars(touched).all())


def write_mark(connection: Connection, dataset: str, request_sha256: str, today: str) -> UnboundedMark:
    """Write a mark, for good.

    Raises:
        UnknownAccountError: the dataset has no account.
        UnboundedRequestUsedError: the request was used before.
    """
    if connection.execute(select(models.dataset).where(models.dataset.c.dataset_id == dataset)).first() is None:
        raise UnknownAccountError(f"no account was opened for {dataset}")
    mark = models.unbounded.c
    if connection.execute(select(mark.since).where(mark.request_sha256 == request_sha256)).first() is not None:
        raise UnboundedRequestUsedError("this request was used before; one request is good for one attempt")
    connection.execute(insert(models.unbounded).values(dataset_id=dataset, request_sha256=request_sha256, since=today))
    return UnboundedMark(dataset=dataset, since=unbounded_since(connection)[dataset], request_sha256=request_sha256)


def unknown(connection: Connection, opened: Mapping[str, str]) -> frozenset[str]:
    """Return those of some ids of receipts, of charges and of marks, that this ledger neither issued nor counts since it was resumed.

    Args:
        connection: to the ledger.
        opened: ids, each with when something was last opened under it: UTC, ISO 8601, to the second. What was opened before the last resumption may be
            forgotten: it was spent below the ceilings, which count as spent.
    """
    marks = connection.scalars(select(models.unbounded.c.request_sha256))
    charges = connection.scalars(select(models.charge.c.charge_id))
    missing = frozenset(opened) - frozenset(charges) - frozenset(_receipt_id(digest) for digest in marks)
    if not missing:
        return missing
    resumed = connection.scalar(select(func.max(models.resume.c.resumed_at)))
    return frozenset(each for each in missing if resumed is None or opened[each] > resumed)


def pooled_with(connection: Connection, dataset: str) -> tuple[str, ...]:
    """Return the datasets of other organisations that were ever charged together with this one."""
    organisation = dataset.partition("/")[0]
    line, account = models.charge_line.c, models.account.c
    own = select(line.charge_id).join(models.account).where(account.dataset_id == dataset)
    together = select(account.dataset_id).join(models.charge_line).where(line.charge_id.in_(own)).distinct()
    return tuple(sorted(name for name in connection.scalars(together) if name.partition("/")[0] != organisation))
