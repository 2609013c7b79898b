"""How a choice of an agreement's datasets is named in an answer: by a hash that nobody outside can try names against, because the document has a nonce.

1. The name follows from one document of the agreement and the datasets that were counted. Another document, or another choice, has another name.
2. So an answer is known to be one under a document: its name is that of a choice of the document's datasets. How many were left out stands in the answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from casehaven.agreements.document import AgreementDocument


def pool_name(document: AgreementDocument, datasets: Iterable[str]) -> str:
    """Return the name of a choice.

    Args:
        document: of the agreement.
        datasets: that are counted, in the order of the document.
    """
    names = "\n".join([document.digest, document.nonce, *datasets])
    return hashlib.sha256(f"casehaven-pool/1\n{names}".encode()).hexdigest()


def pool_names(document: AgreementDocument, left_out: int) -> frozenset[str]:
    """Return the names of every choice without so many of a document's datasets: of 20 there are 184,756 at most."""
    kept = len(document.datasets) - left_out
    return (
        frozenset(pool_name(document, chosen) for chosen in combinations(document.datasets, kept))
        if kept > 0
        else frozenset()
    )
