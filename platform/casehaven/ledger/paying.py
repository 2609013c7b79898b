"""A charge: every account of it is debited in one transaction, or none (privacy rules 14, 15 and 18).

1. What a charge has to know is read in one statement, and what it changes is written in as few as the database allows: every charge waits for them. Where the accounts
   together do not tell that all is well (`casehaven.ledger.standing`), they are read one by one.
2. The same request again gets the same receipt, before anything else is asked (privacy rule 16).
3. A ledger that is behind its anchor charges nothing, and ceilings are raised in the anchor before they are spent (privacy rule 20).
4. A dataset that is bound to a vault is charged for no other vault.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection

from casehaven.ledger._raw import RawStatement
from casehaven.ledger.accounts import Charged, missing, refuse_exhausted, stored_ledger_policy
from casehaven.ledger.allowances import AllowanceState, refuse_beyond_allowance
from casehaven.ledger.anchor import LedgerAnchor
from casehaven.ledger.anchoring import Footing
from casehaven.ledger.ceilings import behind, check_not_behind, raise_ceilings
from casehaven.ledger.chain import FIRST, Head, linked
from casehaven.ledger.charges import ChargeRequest
from casehaven.ledger.errors import BrokenLedgerAnchorError, IdempotencyConflictError, LedgerAnchorMissingError
from casehaven.ledger.odometer import refuse_beyond_odometer
from casehaven.ledger.standing import COLUMNS, STANDINGS, Standing, all_fit, joined
from casehaven.ledger.unbounded import refuse_unbounded
from casehaven.ledger.vaults import bind_vault, refuse_other_vault
from casesynth.privacy import PrivacyLoss, Receipt


class _Known(NamedTuple):
    """The charge that a key stands for."""

    charge_id: str
    request_sha256: str
    nano_rho: int
    delta_units: int
    charged_at: str


class _Facts(NamedTuple):
    """What is true of the ledger as a whole, and may be another thing at the next charge."""

    place: str | None
    known_chain: str | None
    last_charged_at: str | None
    position: int | None
    chain: str | None
    is_served: bool
    """Whether the key was answered at no charge."""


_KNOWN = RawStatement(
    "SELECT charge_id, request_sha256, nano_rho, delta_units, charged_at FROM charge WHERE idempotency_key = :key"
)
_READ = f"""
SELECT (SELECT place FROM anchoring), (SELECT chain FROM entry WHERE position = :known),
  (SELECT charged_at FROM charge WHERE charge_id =
    (SELECT substr(subject, 8) FROM entry WHERE substr(subject, 1, 7) = 'charge ' ORDER BY position DESC LIMIT 1)),
  last_entry.position, last_entry.chain, EXISTS (SELECT 1 FROM served WHERE served.idempotency_key = :key),
  replayed.charge_id, replayed.request_sha256, replayed.nano_rho, replayed.delta_units, replayed.charged_at,
  {COLUMNS}
FROM {STANDINGS}
  LEFT JOIN (SELECT position, chain FROM entry ORDER BY position DESC LIMIT 1) AS last_entry ON true
  LEFT JOIN charge AS replayed ON replayed.idempotency_key = :key
  LEFT JOIN vault_of_dataset ON vault_of_dataset.dataset_id = stood.dataset_id{{allowance}}
"""
"""What is to be known of the ledger, and of the accounts together; they are locked."""

_ACCOUNTS = """
SELECT account.account_id, account.dataset_id, account.cap_nano_rho, account.cap_delta_units, account.spent_nano_rho, account.spent_delta_units,
  COALESCE(ceiling.nano_rho, 0), COALESCE(ceiling.delta_units, 0), ceiling.account_id IS NOT NULL,
  EXISTS (SELECT 1 FROM unbounded WHERE unbounded.dataset_id = account.dataset_id), vault_of_dataset.vault_id, {own}
FROM account
  LEFT JOIN ceiling ON ceiling.account_id = account.account_id
  LEFT JOIN vault_of_dataset ON vault_of_dataset.dataset_id = account.dataset_id{allowance}
WHERE account.dataset_id IN (texts(:datasets)) AND account.block IN (texts(:blocks))
ORDER BY account.account_id
"""
"""Accounts in the order of their ids, each with all that is to be known of it; the statement before has locked them."""


def _with_allowances(template: str, table: str, lock: str = "") -> dict[bool, RawStatement]:
    """Return a statement without and with an analyst's own allowances."""
    own = "allowance.limit_nano_rho, COALESCE(allowance.spent_nano_rho, 0)"
    join = f"\n  LEFT JOIN allowance ON allowance.analyst = :analyst AND allowance.dataset_id = {table}.dataset_id"
    return {
        analyst: RawStatement(template.replace("{own}", said).replace("{allowance}", joining), lock=lock)
        for analyst, said, joining in ((False, "NULL, 0", ""), (True, own, join))
    }


_READ_FOR = _with_allowances(_READ, "stood", lock="account")
_ACCOUNTS_FOR = _with_allowances(_ACCOUNTS, "account")

_FACTS, _REPLAYED = len(_Facts._fields), len(_Facts._fields) + len(_Known._fields)

_CHARGE = (
    "INSERT INTO charge (charge_id, idempotency_key, request_sha256, nano_rho, delta_units, purpose, charged_at, draws, shown, analyst) "
    "VALUES (:charge, :key, :request, :rho, :delta, :purpose, :now, 0, 0, :analyst)"
)
_LINES = (
    "INSERT INTO charge_line (charge_id, account_id) SELECT CAST(:charge AS TEXT), value FROM (numbers(:ids)) AS ids"
)
_ENTRY = "INSERT INTO entry (position, subject, chain) VALUES (:position, :subject, :chain)"
_ALLOWANCES = (
    "INSERT INTO allowance (analyst, dataset_id, spent_nano_rho) SELECT CAST(:analyst AS TEXT), value, CAST(:rho AS BIGINT) FROM (texts(:own)) AS own WHERE true "
    "ON CONFLICT (analyst, dataset_id) DO UPDATE SET spent_nano_rho = allowance.spent_nano_rho + excluded.spent_nano_rho"
)
_SPEND = (
    "UPDATE account SET spent_nano_rho = spent_nano_rho + :rho, spent_delta_units = spent_delta_units + :delta "
    "WHERE account_id IN (numbers(:ids))"
)
_WRITE_ONE_BY_ONE = tuple(RawStatement(text) for text in (_CHARGE, _LINES, _ENTRY, _SPEND))
_WRITE_ALLOWANCES = RawStatement(_ALLOWANCES)
_WRITE_AT_ONCE = {
    analyst: RawStatement(f"WITH paid AS ({_CHARGE}), lines AS ({_LINES}), told AS ({_ENTRY}){own} {_SPEND}")
    for analyst, own in ((False, ""), (True, f", own AS ({_ALLOWANCES})"))
}
"""For Postgres: one way to the server and back."""


@dataclass(frozen=True, kw_only=True)
class Paid:
    """What a charge came to."""

    receipt: Receipt
    footing: Footing | None
    """What the next charge may begin with; None when it was not asked for."""


def write_charge(
    connection: Connection,
    request: ChargeRequest,
    footing: Callable[[], Footing],
    guess: Footing | None,
    now: str,
    *,
    vault_id: str | None,
    ceiling: Callable[[], None],
) -> Paid:
    """Debit every account of a request, or none; a replay gets its receipt and debits nothing.

    Args:
        connection: of a transaction that no other writer runs beside.
        request: checked.
        footing: reads where the anchor is, within the transaction.
        guess: where the anchor was at the last charge; it is read there, and where the ledger says that it is elsewhere now it is read there once more.
        now: UTC, ISO 8601.
        vault_id: of the vault that the records are in; None for records of a file.
        ceiling: called when the ceilings are in the anchor; a failpoint.
    """
    asked = {
        "key": request.key.text,
        "datasets": list(request.datasets),
        "blocks": list(request.blocks),
        "analyst": None if request.analyst is None else request.analyst.text,
    }
    end, rows = _read(connection, asked, guess)
    if not rows:
        return _without_accounts(connection, request, footing)
    facts = _Facts._make(rows[0][:_FACTS])
    if rows[0][_FACTS] is not None:
        return Paid(receipt=_replayed(request, _Known._make(rows[0][_FACTS:_REPLAYED])), footing=guess)
    if facts.is_served:
        raise IdempotencyConflictError(
            f"the key {request.key.text} was used for a request that was answered at no charge"
        )
    if guess is None or guess.place != facts.place:
        guess = footing()
        end, rows = _read(connection, asked, guess)
        facts = _Facts._make(rows[0][:_FACTS])
    last = _checked_end(facts, end, guess.anchor)
    standings = [Standing._make(row[_REPLAYED:]) for row in rows]
    accounts: list[Charged] = []
    if not all_fit(request, standings, vault_id):
        one_by_one = _ACCOUNTS_FOR[request.analyst is not None].rows(connection, asked)
        accounts = [Charged._make(row) for row in one_by_one]
        _refuse(connection, request, accounts, vault_id)
        raise_ceilings(connection, guess.anchor, accounts, request.loss)
    ceiling()
    receipt = _write(connection, request, joined(standings), last, max(now, facts.last_charged_at or ""))
    if guess.odometer_capped:
        refuse_beyond_odometer(connection, stored_ledger_policy(connection))
    bind_vault(connection, guess.anchor, accounts, vault_id, now)  # nothing refuses the charge any more
    return Paid(receipt=receipt, footing=guess)


_End = Head | LedgerAnchorMissingError | BrokenLedgerAnchorError


def _read(
    connection: Connection, asked: Mapping[str, object], guess: Footing | None
) -> tuple[_End, list[tuple[Any, ...]]]:
    """Read what a charge has to know, and the end that the anchor knows; a replay needs no anchor, so its absence is told later."""
    end: _End = Head(position=-1, chain="")
    if guess is not None:
        try:
            end = guess.anchor.end()
        except (LedgerAnchorMissingError, BrokenLedgerAnchorError) as error:
            end = error
    known = end.position if isinstance(end, Head) else -1
    return end, _READ_FOR[asked["analyst"] is not None].rows(connection, {**asked, "known": known})


def _checked_end(facts: _Facts, end: _End, anchor: LedgerAnchor) -> Head:
    """Return the end of the ledger's chain when it goes through the end that the anchor knows (rule 3)."""
    if not isinstance(end, Head):
        raise end
    if (FIRST if end.position == 0 else facts.known_chain) != end.chain:
        raise behind(anchor)
    if facts.position is None or facts.chain is None:
        return Head(position=0, chain=FIRST)
    return Head(position=facts.position, chain=facts.chain)


def _refuse(connection: Connection, request: ChargeRequest, accounts: Sequence[Charged], vault_id: str | None) -> None:
    """Return only when every account is there, is of the same vault, and can pay, and every allowance can."""
    if any(account.is_unbounded for account in accounts):
        refuse_unbounded(connection, request.datasets)
    if len(accounts) != len(request.datasets) * len(request.blocks):
        raise missing(connection, request.datasets, request.blocks)
    refuse_other_vault(accounts, vault_id)
    own = None
    if request.analyst is not None:
        states = {
            account.dataset_id: AllowanceState(
                analyst=request.analyst,
                dataset=account.dataset_id,
                limit_nano_rho=account.limit_nano_rho,
                spent_nano_rho=account.used_nano_rho,
            )
            for account in accounts
        }
        own = [states[dataset] for dataset in request.datasets]
        refuse_beyond_allowance(own, request.loss)
    refuse_exhausted(connection, accounts, request.loss, own)


def _write(connection: Connection, request: ChargeRequest, accounts: str, last: Head, charged_at: str) -> Receipt:
    charge_id = secrets.token_hex(16)
    subject = f"charge {charge_id}"
    values = {
        "charge": charge_id,
        "key": request.key.text,
        "request": request.sha256,
        "rho": request.loss.nano_rho,
        "delta": request.loss.delta_units,
        "purpose": request.purpose,
        "now": charged_at,  # a clock set back dates none before another
        "analyst": None if request.analyst is None else request.analyst.text,
        "own": list(request.datasets),
        "ids": accounts,
        "position": last.position + 1,
        "subject": subject,
        "chain": linked(last.chain, subject),
    }
    if connection.dialect.name == "postgresql":
        _WRITE_AT_ONCE[request.analyst is not None].run(connection, values)
    else:
        for statement in _WRITE_ONE_BY_ONE:
            statement.run(connection, values)
        if request.analyst is not None:
            _WRITE_ALLOWANCES.run(connection, values)
    return Receipt(charge_id=charge_id, loss=request.loss)


def _replayed(request: ChargeRequest, known: _Known) -> Receipt:
    """Return the receipt of a request that was charged before (rule 2)."""
    if known.request_sha256 != request.sha256:  # privacy rule 16: the same key with another body
        raise IdempotencyConflictError(
            f"the key {request.key.text} was used for another request, charged {known.charged_at}"
        )
    loss = PrivacyLoss(nano_rho=known.nano_rho, delta_units=known.delta_units)
    return Receipt(charge_id=known.charge_id, loss=loss)


def _without_accounts(connection: Connection, request: ChargeRequest, footing: Callable[[], Footing]) -> Paid:
    """Say why a request is refused of which not one account is there; another request may have its key."""
    found = _KNOWN.rows(connection, {"key": request.key.text})
    if found:
        return Paid(receipt=_replayed(request, _Known._make(found[0])), footing=None)
    check_not_behind(connection, footing().anchor)
    raise missing(connection, request.datasets, request.blocks)
