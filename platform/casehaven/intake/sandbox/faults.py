"""What can be wrong with a file, as the parsing process says it: a kind and a sentence, no cell."""

from __future__ import annotations

from typing import Literal

from casehaven.errors import CasehavenError

Kind = Literal[
    "kind", "encoding", "header", "ragged", "large", "password", "encrypted", "sheet", "form", "damaged", "rows"
]


class FaultError(CasehavenError):
    """The file cannot be read; the sentence names columns and rows, and says what to do."""

    def __init__(self, kind: Kind, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind
        self.sentence = sentence


def too_large(what: str, limit: int) -> FaultError:
    """Return the fault of a file that is over a bound.

    >>> too_large("rows", 2_000_000).sentence
    'more than 2,000,000 rows; split it into smaller files'
    """
    return FaultError("large", f"more than {limit:,} {what}; split it into smaller files")
