"""Questions to datasets of a vault: priced, charged first, answered with intervals."""

from casehaven.queries.errors import (
    AnswerNotYetError,
    ChargedFailureError,
    NoAnswerOfThatDayError,
    QueryError,
    SavedQuestionError,
)
from casehaven.queries.held import HeldPeople
from casehaven.queries.priced import Asked, Quote
from casehaven.queries.service import Queries
from casehaven.queries.stored import shown as shown_answer

__all__ = [
    "AnswerNotYetError",
    "Asked",
    "ChargedFailureError",
    "HeldPeople",
    "NoAnswerOfThatDayError",
    "Queries",
    "QueryError",
    "Quote",
    "SavedQuestionError",
    "shown_answer",
]
