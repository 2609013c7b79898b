"""The ledger: what every release and question pays from, before any record is opened."""

from casehaven.ledger.charges import ChargeRecord, ChargeState
from casehaven.ledger.decisions import DecisionKind, ReleaseDecision
from casehaven.ledger.errors import (
    AccountNameError,
    AlreadyRevealedError,
    BudgetExhaustedError,
    BudgetPolicyError,
    ChargeRequestError,
    DamagedLedgerError,
    DecisionError,
    DecisionNeededError,
    DrawRefusedError,
    IdempotencyConflictError,
    IdempotencyKeyError,
    LedgerBusyError,
    LedgerError,
    LedgerExistsError,
    LedgerMissingError,
    LedgerStorageError,
    LedgerVersionError,
    NotALedgerError,
    UnknownAccountError,
    UnknownChargeError,
)
from casehaven.ledger.policy import BudgetPolicy, IdempotencyKey, LedgerPolicy
from casehaven.ledger.service import Ledger, Step
from casehaven.ledger.statement import Odometer, Statement, StatementRow

__all__ = [
    "AccountNameError",
    "AlreadyRevealedError",
    "BudgetExhaustedError",
    "BudgetPolicy",
    "BudgetPolicyError",
    "ChargeRecord",
    "ChargeRequestError",
    "ChargeState",
    "DamagedLedgerError",
    "DecisionError",
    "DecisionKind",
    "DecisionNeededError",
    "DrawRefusedError",
    "IdempotencyConflictError",
    "IdempotencyKey",
    "IdempotencyKeyError",
    "Ledger",
    "LedgerBusyError",
    "LedgerError",
    "LedgerExistsError",
    "LedgerMissingError",
    "LedgerPolicy",
    "LedgerStorageError",
    "LedgerVersionError",
    "NotALedgerError",
    "Odometer",
    "ReleaseDecision",
    "Statement",
    "StatementRow",
    "Step",
    "UnknownAccountError",
    "UnknownChargeError",
]
