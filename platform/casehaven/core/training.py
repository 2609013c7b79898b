"""Training: one dataset of an organisation in which everybody is made up, so that everything can be tried without anybody's records.

1. It is known by its name alone, `ORGANISATION/training`. So vault, ledger, store and pages all know it, nothing can be marked or unmarked, and it stays what it is in a copy or a restored backup.
2. The name is kept for it: no other way makes a dataset of that name.
3. The worker takes into it the made-up file of `casehaven.generate.practice` and no other, because what is asked of it counts in nobody's total.
4. It is in no release, no k-synthetic file, no agreement, and in no question together with another dataset. Where that is decided, `refuse_training` is called.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from casehaven.errors import CasehavenError

TRAINING: Final = "training"
"""Name of the dataset within its organisation (rule 1)."""


class TrainingDataError(CasehavenError):
    """The dataset of training is asked for something that made-up people must not be in, or people for something that only made-up ones may be in."""


def is_training(dataset: str) -> bool:
    """Tell whether a dataset, `organisation/name`, is one of training.

    >>> is_training("north/training"), is_training("training/cases"), is_training("north/training-2")
    (True, False, False)
    """
    return dataset.partition("/")[2] == TRAINING


def refuse_training(datasets: Iterable[str]) -> None:
    """Return where none of these datasets is one of training.

    Raises:
        TrainingDataError: one is (rule 4).
    """
    if any(map(is_training, datasets)):
        raise TrainingDataError(
            "the dataset of training holds made-up people; it is in no agreement, pooled question or release"
        )
