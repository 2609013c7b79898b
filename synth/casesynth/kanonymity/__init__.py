"""k-synthetic files: each record, taken whole, is stated by at least k people. Not differentially private (privacy rule 34)."""

from casesynth.kanonymity.attacks import ATTACKS, WARNING, Attack
from casesynth.kanonymity.check import check_promises
from casesynth.kanonymity.errors import BrokenPromiseError, KModeError
from casesynth.kanonymity.items import OPEN, Items
from casesynth.kanonymity.synthesis import KSynthetic, Mode, k_synthetic

__all__ = [
    "ATTACKS",
    "OPEN",
    "WARNING",
    "Attack",
    "BrokenPromiseError",
    "Items",
    "KModeError",
    "KSynthetic",
    "Mode",
    "check_promises",
    "k_synthetic",
]
