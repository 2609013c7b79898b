"""What can go wrong with a ledger, by cause. Messages name datasets, blocks, files and amounts, never a case or a count of people."""

from casehaven.errors import CasehavenError


class LedgerError(CasehavenError):
    """Root of the ledger's errors."""


class LedgerMissingError(LedgerError):
    """There is no ledger at the path, or it may not be opened."""


class LedgerExistsError(LedgerError):
    """A ledger cannot be created where a file is already: spending is never forgotten by starting over."""


class NotALedgerError(LedgerError):
    """The file is something else than a ledger."""


class LedgerVersionError(LedgerError):
    """The ledger was written in a format that this software does not know."""


class DamagedLedgerError(LedgerError):
    """The file is a ledger whose content cannot be trusted: damaged pages, or balances that are not the sums of their charges."""


class LedgerBusyError(LedgerError):
    """Other processes held the ledger for longer than a charge may wait."""


class LedgerStorageError(LedgerError):
    """The ledger could not be read or written: the disk is full, failing or read-only. Nothing was charged by halves."""


class BudgetPolicyError(LedgerError):
    """A policy that means nothing, exceeds the ledger's, or contradicts the one that the dataset was opened with."""


class AccountNameError(LedgerError):
    """A dataset id or a block that is not written as the ledger expects."""


class OtherVaultError(LedgerError):
    """The ledger has the accounts of this dataset for another vault."""


class UnknownAccountError(LedgerError):
    """A charge names a dataset or block whose account was never opened."""


class ChargeRequestError(LedgerError):
    """A charge that names no account, no purpose, or an amount that is not a privacy loss."""


class BudgetExhaustedError(LedgerError):
    """A charge would take an account over its cap. No balance changed."""


class AllowanceExhaustedError(BudgetExhaustedError):
    """An analyst's own allowance does not allow a charge. No balance changed."""


class OdometerExhaustedError(BudgetExhaustedError):
    """A charge would take the worst total for one person over the deployment's cap. No balance changed."""


class LedgerAnchorMissingError(LedgerError):
    """The ledger has no anchor, or it cannot be read or written: nothing is spent without it (privacy rule 20)."""


class BrokenLedgerAnchorError(LedgerError):
    """The anchor is not this ledger's, or was changed."""


class LedgerBehindAnchorError(LedgerError):
    """The ledger is an earlier copy, or went another way than its anchor knows: nothing is spent until it is resumed from the ceiling."""


class BudgetRaiseError(LedgerError):
    """A raise that asks for what is never done, or that two known people did not approve."""


class BudgetStatementError(LedgerError):
    """A public statement of cumulative loss that is not the format, or cannot be written."""


class IdempotencyKeyError(LedgerError):
    """Text that cannot be an idempotency key."""


class IdempotencyConflictError(LedgerError):
    """A key that was used before came back with another request."""


class DecisionError(LedgerError):
    """A decision about a release that contradicts one that was made before."""


class DecisionNeededError(DecisionError):
    """The private report of a release that nobody has decided about yet (privacy rule 33)."""


class UnboundedAccountError(LedgerError):
    """A dataset that was released without differential privacy: nothing is charged to it or drawn from it any more (privacy rule 34)."""


class UnboundedRequestUsedError(LedgerError):
    """A request to release without differential privacy that was used before."""


class UnknownChargeError(LedgerError):
    """A receipt that this ledger did not issue."""


class DrawRefusedError(LedgerError):
    """The charge allowed a first draw and one redraw, and both have begun; or nothing was drawn that could be revealed."""


class AlreadyRevealedError(LedgerError):
    """The result of this charge was revealed; it is never drawn again."""

    def __init__(self, message: str, *, result_digest: str) -> None:
        super().__init__(message)
        self.result_digest = result_digest
        """SHA-256 of the result that was revealed, to find it again."""
