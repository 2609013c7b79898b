"""Questions to datasets of a vault and to released bundles: priced, charged first, answered with intervals."""

from casehaven.queries.errors import (
    AnswerNotYetError,
    ChargedFailureError,
    NoAnswerOfThatDayError,
    OtherUnitError,
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
    "OtherUnitError",
    "Queries",
    "QueryError",
    "Quote",
    "SavedQuestionError",
    "shown_answer",
]
