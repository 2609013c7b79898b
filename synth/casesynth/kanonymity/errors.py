"""What can be wrong with a k-synthetic file. Messages name limits and columns, never case values or counts of people."""

from casesynth.errors import CasesynthError


class KModeError(CasesynthError):
    """A k-synthetic file that cannot be made from these choices."""


class BrokenPromiseError(KModeError):
    """Records that do not keep what the k mode promises: a fault of the program. Nothing is written."""
