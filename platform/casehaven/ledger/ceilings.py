"""Spending below the anchored ceiling, and resuming from it (privacy rule 20).

1. A charge that would pass a ceiling raises it in the anchor first, on disk, and spends then. A ledger that dies in between has a higher ceiling and
   has spent nothing.
2. A ledger is *behind* its anchor when its chain of entries does not go through the end that the anchor knows: it is an earlier copy, or one of two copies
   that both went on. It spends nothing, draws nothing and shows nothing new.
3. It is resumed by counting every ceiling as spent: whatever the copy forgot was spent below it. The difference stands in `resume_line`.
   Datasets, raises and marks that the copy forgot come back from the anchor.
4. A charge of before the resumption is never drawn again: the copy does not know what became of it.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from sqlalchemy import Connection, func, insert, select, update

from casehaven.ledger import models
from casehaven.ledger.accounts import Charged
from casehaven.ledger.anchor import LedgerAnchor
from casehaven.ledger.anchored import (
    AnchoredApprovers,
    AnchoredDataset,
    AnchoredRaise,
    AnchoredState,
    step_up,
    stored_state,
)
from casehaven.ledger.chain import Head, append, contains, head, meeting
from casehaven.ledger.errors import BudgetPolicyError, DrawRefusedError, LedgerBehindAnchorError
from casesynth.privacy import PrivacyLoss


def check_not_behind(connection: Connection, anchor: LedgerAnchor) -> Head:
    """Return the end of the ledger's chain when it goes through the end that the anchor knows.

    Raises:
        LedgerBehindAnchorError: it does not (rule 2).
        LedgerAnchorMissingError, BrokenLedgerAnchorError: there is nothing to compare with.
    """
    last = meeting(connection, anchor.end())
    if last is None:
        raise behind(anchor)
    return last


def behind(anchor: LedgerAnchor) -> LedgerBehindAnchorError:
    """Return the refusal of a ledger that is behind its anchor (rule 2)."""
    return LedgerBehindAnchorError(
        f"this ledger is an earlier copy than its anchor {anchor.path} knows, or another one went on from it; "
        "nothing is spent until it is resumed from the anchored ceiling"
    )


def confirm(connection: Connection, anchor: LedgerAnchor) -> None:
    """Write the present end of the chain into the anchor, and before it whatever an earlier anchor, put back, does not know of the rest.

    The caller holds the anchor, and the transaction sees what was committed.

    Raises:
        LedgerBehindAnchorError: another copy of the ledger went on from the anchor meanwhile.
    """
    present = check_not_behind(connection, anchor)
    if present.position > anchor.end().position:
        anchor.renew(stored_state(connection))
        anchor.write_end(present)


def is_confirmed(connection: Connection, anchor: LedgerAnchor) -> bool:
    """Whether the anchor knows everything that the ledger knows."""
    end = anchor.end()
    return meeting(connection, end) == end


def anchor_opened(anchor: LedgerAnchor, dataset: str, state: AnchoredState) -> None:
    """Bring a dataset that is being opened into the anchor, so that no copy opens it again with another policy.

    Raises:
        BudgetPolicyError: it was opened with another one.
    """
    known = anchor.raise_state(state).datasets[dataset]
    _same_policy(dataset, known, state.datasets[dataset])


def _same_policy(name: str, known: AnchoredDataset, here: AnchoredDataset) -> None:
    policies = [
        (each.epsilon, each.delta_units, each.additive_delta_units, each.cap_nano_rho) for each in (known, here)
    ]
    if policies[0] != policies[1]:
        raise BudgetPolicyError(
            f"the anchor knows {name} with epsilon {known.epsilon} at {known.delta_units} units of delta, not {here.epsilon} at {here.delta_units}; "
            "a cap never changes but by a raise"
        )


def raise_ceilings(
    connection: Connection, anchor: LedgerAnchor, accounts: Sequence[Charged], loss: PrivacyLoss
) -> None:
    """Bring the ceilings of accounts to where a charge fits below them: in the anchor first, then in the ledger (rule 1)."""
    wanted = dict[int, tuple[int, int]]()
    for account in accounts:
        rho, delta = account.ceiling_nano_rho, account.ceiling_delta_units
        needed = account.spent_nano_rho + loss.nano_rho, account.spent_delta_units + loss.delta_units
        if needed[0] > rho or needed[1] > delta:
            wanted[account.account_id] = (
                max(rho, step_up(needed[0], account.cap_nano_rho)),
                max(delta, step_up(needed[1], account.cap_delta_units)),
            )
    if not wanted:
        return
    new = {account.account_id for account in accounts if not account.has_ceiling}
    for account_id, (rho, delta) in wanted.items():
        _set_ceiling(connection, account_id, rho, delta, new=account_id in new)
    anchor.raise_state(stored_state(connection))


def refuse_after_resumption(connection: Connection, charge_id: str) -> None:
    """Return when a charge was made by this course of the ledger (rule 4).

    Raises:
        DrawRefusedError: the ledger was resumed since.
    """
    resumed = connection.scalar(select(func.max(models.resume.c.position)))
    if resumed is None:
        return
    made = connection.scalar(
        select(func.min(models.entry.c.position)).where(models.entry.c.subject == f"charge {charge_id}")
    )
    if made is None or made < resumed:
        raise DrawRefusedError(
            f"charge {charge_id} was made before this ledger was resumed; what became of it is not known, and a new draw needs a new charge"
        )


def resume(connection: Connection, anchor: LedgerAnchor, now: str) -> bool:
    """Count every anchored ceiling as spent (rule 3); the caller writes the new end into the anchor after the commit.

    Returns:
        Whether there was anything to resume: False where the ledger is not behind.

    Raises:
        BudgetPolicyError: the copy has a dataset with another policy than the anchor; nothing is resumed.
    """
    end, state, here = anchor.end(), anchor.state(), stored_state(connection)
    if contains(connection, end):
        return False
    for name in sorted({*state.datasets} & {*here.datasets}):
        _same_policy(name, state.datasets[name], here.datasets[name])
    for name, dataset in sorted(state.datasets.items()):
        _bring_back(connection, name, dataset, now)
    _bring_back_raises(connection, None, state.odometer_raises)
    _bring_back_approvers(connection, state.approvers)
    _spend_ceilings(connection, state, end, now)
    return True


def _spend_ceilings(connection: Connection, state: AnchoredState, end: Head, now: str) -> None:
    resume_id = secrets.token_hex(16)
    after = Head(position=max(end.position, head(connection).position), chain=end.chain)
    made = append(connection, f"resume {resume_id} {end.chain}", after=after)
    connection.execute(insert(models.resume).values(resume_id=resume_id, position=made.position, resumed_at=now))
    ceilings = {
        (name, block): amount for name, dataset in state.datasets.items() for block, amount in dataset.ceilings.items()
    }
    known = set(connection.scalars(select(models.ceiling.c.account_id)))
    for account in connection.execute(select(models.account).order_by(models.account.c.account_id)).all():
        rho, delta = ceilings.get((account.dataset_id, account.block), (0, 0))
        lost = max(0, rho - account.spent_nano_rho), max(0, delta - account.spent_delta_units)
        if (account.dataset_id, account.block) in ceilings:
            _set_ceiling(connection, account.account_id, rho, delta, new=account.account_id not in known)
        if lost == (0, 0):
            continue
        connection.execute(
            insert(models.resume_line).values(
                resume_id=resume_id, account_id=account.account_id, nano_rho=lost[0], delta_units=lost[1]
            )
        )
        connection.execute(
            update(models.account)
            .where(models.account.c.account_id == account.account_id)
            .values(
                spent_nano_rho=models.account.c.spent_nano_rho + lost[0],
                spent_delta_units=models.account.c.spent_delta_units + lost[1],
            )
        )


def _bring_back(connection: Connection, name: str, dataset: AnchoredDataset, now: str) -> None:
    """Make what the copy does not have of a dataset: itself, raises, accounts, its vault, marks."""
    if connection.execute(select(models.dataset).where(models.dataset.c.dataset_id == name)).first() is None:
        connection.execute(
            insert(models.dataset).values(
                dataset_id=name,
                epsilon=dataset.epsilon,
                delta_units=dataset.delta_units,
                additive_delta_units=dataset.additive_delta_units,
                cap_nano_rho=dataset.cap_nano_rho,
                opened_at=dataset.opened_at,
            )
        )
    _bring_back_raises(connection, name, dataset.raises)
    cap = max([dataset.cap_nano_rho, *(each.cap_nano_rho for each in dataset.raises)])
    there = set(connection.scalars(select(models.account.c.block).where(models.account.c.dataset_id == name)))
    for block in sorted({*dataset.ceilings} - there):
        connection.execute(
            insert(models.account).values(
                dataset_id=name,
                block=block,
                cap_nano_rho=cap,
                cap_delta_units=dataset.additive_delta_units,
                spent_nano_rho=0,
                spent_delta_units=0,
            )
        )
    bound = select(models.vault_of_dataset).where(models.vault_of_dataset.c.dataset_id == name)
    if dataset.vault_id is not None and connection.execute(bound).first() is None:
        values = {"dataset_id": name, "vault_id": dataset.vault_id, "since": now}
        connection.execute(insert(models.vault_of_dataset).values(**values))
    marked = set(connection.scalars(select(models.unbounded.c.request_sha256)))
    for request, since in sorted(dataset.unbounded.items()):
        if request not in marked:
            connection.execute(insert(models.unbounded).values(request_sha256=request, dataset_id=name, since=since))


def _bring_back_raises(connection: Connection, name: str | None, raises: Sequence[AnchoredRaise]) -> None:
    there = set(connection.scalars(select(models.budget_raise.c.request_sha256)))
    for each in raises:
        if each.request_sha256 not in there:
            connection.execute(insert(models.budget_raise).values(dataset_id=name, **vars(each)))
            if name is not None:
                set_caps(connection, name, each.cap_nano_rho)


def _bring_back_approvers(connection: Connection, sets: Sequence[AnchoredApprovers]) -> None:
    """Name the people whom the anchor knows and the copy does not; where both named others meanwhile, those of the anchor come last."""
    known = models.approvers.c
    there = set(connection.scalars(select(known.request_sha256)))
    last = connection.scalar(select(func.max(known.number))) or 0
    for each in sets:
        if each.request_sha256 not in there:
            last += 1
            connection.execute(insert(models.approvers).values(**{**vars(each), "number": last}))


def set_caps(connection: Connection, dataset: str, cap_nano_rho: int) -> None:
    """Bring the accounts of a dataset to the cap of a raise; the database checks that the raise is there."""
    connection.execute(
        update(models.account)
        .where(models.account.c.dataset_id == dataset, models.account.c.cap_nano_rho < cap_nano_rho)
        .values(cap_nano_rho=cap_nano_rho)
    )


def _set_ceiling(connection: Connection, account_id: int, nano_rho: int, delta_units: int, *, new: bool) -> None:
    row = models.ceiling.c
    if new:
        connection.execute(
            insert(models.ceiling).values(account_id=account_id, nano_rho=nano_rho, delta_units=delta_units)
        )
        return
    present = connection.execute(select(models.ceiling).where(row.account_id == account_id)).one()
    connection.execute(
        update(models.ceiling)
        .where(row.account_id == account_id)
        .values(nano_rho=max(present.nano_rho, nano_rho), delta_units=max(present.delta_units, delta_units))
    )
